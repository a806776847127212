"""`retrain recipe`: a named way to train a dataset, written into params.yaml where `git diff` shows it."""

from pathlib import Path
from typing import Any

from retrain import cli, environment, files, params
from retrain.errors import RetrainError

import click


@click.command()
@click.argument("dataset")
@click.argument("file", type=click.Path(path_type=Path))
@cli.one_line_errors
def command(dataset: str, file: Path) -> None:
    """Write the knobs of a recipe FILE into DATASET's block of params.yaml; `git checkout params.yaml` takes them back.

    A recipe holds sections of the block. Each knob in it replaces the one of that name, whole; the others stay.
    """
    here = environment.workspace()
    block = params.dataset_block(here, dataset)
    recipe = sections(file)
    for stage in recipe:
        if not isinstance(block[stage], dict):
            raise RetrainError(params.place(dataset, stage), "is not a mapping", "give it knobs")
    content = params.round_trip().load((here / params.FILE).read_text(encoding="utf-8"))
    for stage, knobs in recipe.items():
        content["datasets"][dataset][stage].update(knobs)
    with files.replacing(here / params.FILE) as (draft,), draft.open("w", encoding="utf-8") as stream:
        params.round_trip().dump(content, stream)
    click.echo(f"params.yaml: {dataset} follows {file}; now: dvc exp run --name {file.stem} plot@{dataset}")


def sections(file: Path) -> dict[str, dict[str, Any]]:
    """What a recipe holds: knobs by section.

    Raises:
        RetrainError: it is missing, no YAML, or names what is no section.
    """
    recipe = params.load_yaml(file, str(file), "correct the path", params.round_trip())
    if not isinstance(recipe, dict) or not all(isinstance(knobs, dict) for knobs in recipe.values()):
        raise RetrainError(str(file), "is no recipe", f"give it sections with knobs: {', '.join(params.STAGES)}")
    for name in recipe:
        if name not in params.STAGES:
            raise RetrainError(str(file), f"unknown section '{name}'", params.nearest(str(name), params.STAGES))
    return recipe

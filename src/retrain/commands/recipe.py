"""`retrain recipe`: a named way to train a dataset, written into params.yaml where `git diff` shows it."""

from pathlib import Path
from typing import Any

from retrain import cli, environment, files, params, schema, yaml_files
from retrain.errors import RetrainError

import click
from ruamel.yaml.comments import CommentedMap, CommentedSeq


@click.command()
@click.argument("dataset")
@click.argument("file", type=click.Path(path_type=Path))
@cli.one_line_errors
def command(dataset: str, file: Path) -> None:
    """Write the parameters of a recipe FILE into DATASET's block of params.yaml; `git checkout params.yaml` takes them back.

    A recipe holds sections of the block. Each parameter in it replaces the one of that name, whole; the others stay.
    """
    here = environment.workspace()
    block = params.dataset_block(here, dataset)
    recipe = sections(file)
    for stage in recipe:
        if not isinstance(block[stage], dict):
            raise RetrainError(params.section_path(dataset, stage), "is not a mapping", "give it parameters")
    content = yaml_files.round_trip().load((here / params.FILE).read_text(encoding="utf-8"))
    expected = yaml_files.load_yaml(here / params.FILE, params.FILE, "restore it")
    for stage, parameters in recipe.items():
        expected["datasets"][dataset][stage].update(parameters)
        replace(content["datasets"][dataset][stage], parameters)
    with files.replacing(here / params.FILE) as (draft,):
        with files.writing(draft), draft.open("w", encoding="utf-8") as stream:
            yaml_files.round_trip().dump(content, stream)
        if yaml_files.load_yaml(draft, params.FILE, "lay it out as in the last commit") != expected:
            raise RetrainError(params.FILE, "can't be edited in this layout", "lay it out as in the last commit")
    click.echo(f"params.yaml: {dataset} follows {file}; now: dvc exp run --name {file.stem} plot@{dataset}")


def replace(section: Any, parameters: dict[str, Any]) -> None:
    """Replace parameters of a section that was read for a round trip.

    A list or mapping that is laid out over several lines loses the comment on the line of its name: a value on that
    line would end up behind it.
    """
    for name, parameter in parameters.items():
        old = section.get(name)
        if isinstance(old, CommentedSeq | CommentedMap) and not old.fa.flow_style():
            section.ca.items.pop(name, None)
        section[name] = parameter


def sections(file: Path) -> dict[str, dict[str, Any]]:
    """What a recipe holds: parameters by section.

    Raises:
        RetrainError: it is missing, no YAML, or names what is no section.
    """
    yaml_files.load_yaml(file, str(file), "correct the path")  # what is kept for a round trip may hold more than values
    recipe = yaml_files.load_yaml(file, str(file), "correct the path", yaml_files.round_trip())
    if not isinstance(recipe, dict) or not all(isinstance(parameters, dict) for parameters in recipe.values()):
        raise RetrainError(str(file), "is no recipe", f"give it sections with parameters: {', '.join(params.STAGES)}")
    for name in recipe:
        if name not in params.STAGES:
            raise RetrainError(str(file), f"unknown section '{name}'", schema.nearest(str(name), params.STAGES))
    return recipe

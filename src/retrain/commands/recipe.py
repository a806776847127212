"""`retrain recipe`: copies the parameters of a recipe file into params.yaml."""

from pathlib import Path
from typing import Any

from retrain import cli, environment, params, schema, yaml_files
from retrain.errors import RetrainError
from retrain.pipeline import dvc_yaml

import click
from ruamel.yaml.comments import CommentedMap, CommentedSeq

__all__ = ["command"]


@click.command(epilog=cli.examples("retrain recipe ag_news docs/recipes/ag_news_course.yaml"))
@click.argument("dataset")
@click.argument("file", type=click.Path(path_type=Path))
@cli.one_line_errors
def command(dataset: str, file: Path) -> None:
    """Write the parameters of a recipe FILE into params.yaml.

    A recipe contains sections of DATASET's block. Each of its parameters replaces the one with the same name; the others
    stay. To undo this: `retrain reset DATASET`.
    """
    here = environment.workspace()
    recipe = sections(file)
    with dvc_yaml.editing(here):
        write(here, dataset, recipe)
    click.echo(
        f"params.yaml has the parameters of {file} for {dataset}; run: dvc exp run --name {file.stem} plot@{dataset}"
    )


def write(here: Path, dataset: str, recipe: dict[str, dict[str, Any]]) -> None:
    """Replace the parameters of a dataset in params.yaml by those of a recipe.

    Raises:
        RetrainError: there is no such dataset, one of its sections is not a mapping, or the file can't be edited.
    """
    block = params.dataset_block(here, dataset)
    for stage in recipe:
        if not isinstance(block[stage], dict):
            where = params.section_path(dataset, stage)
            raise RetrainError(where, "is not a mapping", "write its parameters as `name: value`")
    content = yaml_files.round_trip().load((here / params.FILE).read_text(encoding="utf-8"))
    expected = yaml_files.load_yaml(here / params.FILE, params.FILE, "run: git checkout params.yaml")
    for stage, parameters in recipe.items():
        expected["datasets"][dataset][stage].update(parameters)
        replace(content["datasets"][dataset][stage], parameters)
    yaml_files.replace(here / params.FILE, content, expected, "lay it out as in the last commit")


def replace(section: Any, parameters: dict[str, Any]) -> None:
    """Replace parameters of a section that was read for a round trip.

    A list or mapping on several lines loses the comment next to its name: a value on that line would end up behind it.
    """
    for name, parameter in parameters.items():
        old = section.get(name)
        if isinstance(old, CommentedSeq | CommentedMap) and not old.fa.flow_style():
            section.ca.items.pop(name, None)
        section[name] = parameter


def sections(file: Path) -> dict[str, dict[str, Any]]:
    """The content of a recipe: parameters by section.

    Raises:
        RetrainError: it is missing or not valid YAML, or it names an unknown section.
    """
    yaml_files.load_yaml(file, str(file), "check the path")  # a round trip keeps more than the values
    recipe = yaml_files.load_yaml(file, str(file), "check the path", yaml_files.round_trip())
    if not isinstance(recipe, dict) or not all(isinstance(parameters, dict) for parameters in recipe.values()):
        raise RetrainError(str(file), "is not a recipe", f"write sections with parameters: {', '.join(params.STAGES)}")
    for name in recipe:
        if name not in params.STAGES:
            raise RetrainError(str(file), f"unknown section '{name}'", schema.nearest(str(name), params.STAGES))
    return recipe

"""Which datasets can be had now: their rows are on this machine, or can be fetched."""

from pathlib import Path

from retrain import environment, params, schema
from retrain.data import sources
from retrain.data.sources import SourceContext
from retrain.errors import RetrainError, UnavailableError

import click


def fetch(workspace: Path, dataset: str) -> None:
    """Make sure that a dataset's rows can be had.

    Raises:
        UnavailableError: they can't be had now.
        RetrainError: they never will, by these parameters.
    """
    block = params.dataset_block(workspace, dataset)["prepare"]
    source = sources.load(block, dataset)
    parameters = schema.check(block, source.parameters, params.section_path(dataset, "prepare"))
    source.fetch(parameters, SourceContext(dataset, workspace, environment.root()))


def is_available(workspace: Path, dataset: str) -> bool:
    """Whether a dataset's rows can be had; where they can't, one line says why."""
    try:
        fetch(workspace, dataset)
    except UnavailableError as error:
        click.echo(f"{dataset} is left out: {error}", err=True)
        return False
    return True


def chosen(workspace: Path, dataset: str | None, command: str) -> list[str]:
    """The dataset that was named, or every one that can be had.

    Raises:
        RetrainError: the one that was named can't be had, or none can.
    """
    if dataset is not None:
        fetch(workspace, dataset)
        return [dataset]
    ready = [name for name in map(str, params.datasets(workspace)) if is_available(workspace, name)]
    if not ready:
        raise RetrainError(command, "no dataset can be had", "see above")
    return ready

"""Which datasets are available now: their data is on this machine, or can be downloaded."""

from pathlib import Path

from retrain import environment, params, schema
from retrain.data import sources
from retrain.data.sources import SourceContext
from retrain.errors import RetrainError, UnavailableError

import click

__all__ = ["available_datasets", "ensure_available"]


def ensure_available(workspace: Path, dataset: str) -> None:
    """Download a dataset's data, unless it is on this machine already.

    Raises:
        UnavailableError: that is not possible now.
        RetrainError: it will never be possible with these parameters.
    """
    block = params.dataset_block(workspace, dataset)["prepare"]
    source = sources.load(block, dataset)
    parameters = schema.check(block, source.parameters, params.section_path(dataset, "prepare"))
    source.fetch(parameters, SourceContext(dataset, workspace, environment.root()))


def is_available(workspace: Path, dataset: str) -> bool:
    """Whether a dataset's data is available; if not, a line says why."""
    try:
        ensure_available(workspace, dataset)
    except UnavailableError as error:
        click.echo(f"{dataset} is left out: {error}", err=True)
        return False
    return True


def available_datasets(workspace: Path, dataset: str | None) -> list[str]:
    """The named dataset, or every available one.

    The choices of all datasets are checked first. DVC needs them for any dataset, and its own error is hard to read.

    Raises:
        RetrainError: a choice of any dataset is wrong, the named dataset is not available, or none is.
    """
    for name in params.datasets(workspace):
        params.check_choices(workspace, name)
    if dataset is not None:
        ensure_available(workspace, dataset)
        return [dataset]
    ready = [name for name in map(str, params.datasets(workspace)) if is_available(workspace, name)]
    if not ready:
        raise RetrainError(
            params.FILE, "has no dataset whose data is available", "the lines above say what each one needs"
        )
    return ready

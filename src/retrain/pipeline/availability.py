"""Which datasets are available now: their data is on this machine, or can be downloaded."""

from collections.abc import Container
from pathlib import Path

from retrain import environment, params, schema
from retrain.data import sources
from retrain.data.sources import SourceContext
from retrain.errors import RetrainError, UnavailableError

import click

__all__ = ["available_datasets", "broken_blocks", "ensure_available"]


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


def broken_blocks(workspace: Path) -> dict[str, RetrainError]:
    """The datasets that DVC can't run, and the error of each; see `check`."""
    found = {}
    for name in map(str, params.datasets(workspace)):
        try:
            check(workspace, name)
        except RetrainError as error:
            found[name] = error
    return found


def check(workspace: Path, dataset: str) -> None:
    """Raise RetrainError if DVC can't run a dataset: its choices are wrong, or a folder that dvc.yaml names is not there."""
    params.check_choices(workspace, dataset)
    if not (workspace / "data" / "raw" / dataset).exists():
        hint = f"make it, with a README.md about the data; after a renaming: git mv data/raw/OLD data/raw/{dataset}"
        raise RetrainError(f"data/raw/{dataset}", "does not exist", hint)


def available_datasets(workspace: Path, dataset: str | None, without: Container[str] = ()) -> list[str]:
    """The named dataset, or every available one that is not in `without`.

    Raises:
        RetrainError: a choice of these datasets is wrong, the named dataset is not available, or none is.
    """
    names = [name for name in map(str, params.datasets(workspace)) if name not in without]
    for name in names if dataset is None else [dataset]:
        check(workspace, name)
    if dataset is not None:
        ensure_available(workspace, dataset)
        return [dataset]
    ready = [name for name in names if is_available(workspace, name)]
    if not ready:
        raise RetrainError(
            params.FILE, "has no dataset whose data is available", "the lines above say what each one needs"
        )
    return ready

"""Which datasets are available now: their data is on this machine, or can be downloaded."""

from collections.abc import Iterable
from pathlib import Path

from retrain import environment, params, schema
from retrain.data import sources
from retrain.data.sources import SourceContext
from retrain.errors import RetrainError, UnavailableError

import click

__all__ = ["available_datasets", "broken_blocks", "ensure_available", "named_or_available"]


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


def named_or_available(workspace: Path, dataset: str | None) -> list[str]:
    """The named dataset, or every available one.

    Raises:
        RetrainError: a choice of these datasets is wrong, the named dataset is not available, or none is.
    """
    if dataset is not None:
        check(workspace, dataset)
        ensure_available(workspace, dataset)
        return [dataset]
    for error in broken_blocks(workspace).values():
        raise error
    return available_datasets(workspace, map(str, params.datasets(workspace)))


def available_datasets(workspace: Path, datasets: Iterable[str]) -> list[str]:
    """Those of some datasets that are available, and a line for each other one; raises RetrainError if none is."""
    ready = []
    for name in datasets:
        try:
            ensure_available(workspace, name)
            ready.append(name)
        except UnavailableError as error:
            click.echo(f"{name} is left out: {error}", err=True)
    if not ready:
        raise RetrainError(
            params.FILE, "has no dataset whose data is available", "the lines above say what each one needs"
        )
    return ready

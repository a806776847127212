"""Which datasets are available now: their data is on this machine, or can be downloaded."""

from collections.abc import Callable
from pathlib import Path

from retrain import environment, params, schema
from retrain.data import sources
from retrain.data.downloads import tracked_by
from retrain.data.sources import SourceContext
from retrain.errors import RetrainError, UnavailableError

import click

__all__ = ["available_and_broken", "ensure_available", "named_or_available"]


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


def check(workspace: Path, dataset: str) -> None:
    """Raise RetrainError if DVC can't run a dataset: its choices are wrong, or a folder that dvc.yaml names is not there."""
    params.check_choices(workspace, dataset)
    raw = Path("data", "raw", dataset)
    if not (workspace / raw).exists():
        if tracked := tracked_by(raw, workspace):
            raise UnavailableError(str(raw), "does not exist", f"run: dvc pull {tracked}")
        hint = f"make it, with a README.md about the data; after a renaming: git mv data/raw/OLD {raw}"
        raise RetrainError(str(raw), "does not exist", hint)


def named_or_available(workspace: Path, dataset: str | None) -> list[str]:
    """The named dataset, or every available one.

    Raises:
        RetrainError: a choice of these datasets is wrong, the named dataset is not available, or none is.
    """
    if dataset is not None:
        check(workspace, dataset)
        ensure_available(workspace, dataset)
        return [dataset]
    return available_and_broken(workspace, all_or_none=True)[0]


def available_and_broken(
    workspace: Path, check_block: Callable[[Path, str], None] = params.check_choices, *, all_or_none: bool = False
) -> tuple[list[str], list[str]]:
    """The datasets that can run now, and those that need a correction first; prints a line for each that can't run.

    Args:
        workspace: the project's folder.
        check_block: raises RetrainError for a dataset that is wrong in another way.
        all_or_none: whether a dataset that needs a correction is an error even if others can run.

    Raises:
        RetrainError: no dataset can run.
    """
    ready: list[str] = []
    problems: dict[str, RetrainError] = {}
    for name in map(str, params.datasets(workspace)):
        try:
            check(workspace, name)
            ensure_available(workspace, name)
            check_block(workspace, name)
            ready.append(name)
        except RetrainError as error:
            problems[name] = error
    broken = [name for name, error in problems.items() if not isinstance(error, UnavailableError)]
    if broken and (all_or_none or not ready):
        raise problems[broken[0]]
    for name, why in problems.items():
        click.echo(f"{name} is left out: {why}", err=True)
    if not ready:
        fact = "has no dataset whose data is available"
        raise RetrainError(params.FILE, fact, "the lines above say what each one needs")
    return ready, broken

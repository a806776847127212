"""Which datasets are available now: their data is on this machine, or can be downloaded."""

from collections.abc import Mapping, Sequence
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
    ready, problems = looked_up(workspace)
    for error in broken(problems).values():
        raise error
    left_out(ready, problems)
    return ready


def available_and_broken(workspace: Path) -> tuple[list[str], list[str]]:
    """The datasets that can run now, and those that need a correction first; prints a line for each that can't run.

    Raises:
        RetrainError: no dataset can run.
    """
    ready, problems = looked_up(workspace)
    wrong = broken(problems)
    if not ready:
        for error in wrong.values():
            raise error
    left_out(ready, problems)
    return ready, [*wrong]


def looked_up(workspace: Path) -> tuple[list[str], dict[str, RetrainError]]:
    """The datasets that can run now, after their data is downloaded, and why each other one can't."""
    ready, problems = [], {}
    for name in map(str, params.datasets(workspace)):
        try:
            check(workspace, name)
            ensure_available(workspace, name)
            ready.append(name)
        except RetrainError as error:
            problems[name] = error
    return ready, problems


def broken(problems: Mapping[str, RetrainError]) -> dict[str, RetrainError]:
    """Those problems that are not a lack of data."""
    return {name: error for name, error in problems.items() if not isinstance(error, UnavailableError)}


def left_out(ready: Sequence[str], problems: Mapping[str, RetrainError]) -> None:
    """Print a line for each dataset that is left out; raises RetrainError if none is left."""
    for name, error in problems.items():
        click.echo(f"{name} is left out: {error}", err=True)
    if not ready:
        fact = "has no dataset whose data is available"
        raise RetrainError(params.FILE, fact, "the lines above say what each one needs")

"""`retrain sync`: creates or completes MLflow runs from the files of results."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from retrain import cli, environment, git, params
from retrain.errors import RetrainError, printable
from retrain.models.result import Result
from retrain.pipeline import dvc_lock
from retrain.pipeline.dvc_cache import OutputFinder
from retrain.pipeline.dvc_lock import Entry, Lock, LockedStage
from retrain.pipeline.revisions import Revision, collect
from retrain.tracking import recording, runs, store
from retrain.tracking.recording import Outbox
from retrain.tracking.store import StoreError

import click

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["command"]


RECORDED = ("train", "evaluate", "plot")
"""The stages whose outputs a run contains."""


@dataclass(frozen=True)
class LockedResult:
    """A dataset's result, as a revision's dvc.lock records it."""

    revision: Revision
    dataset: str
    stages: dict[str, LockedStage]
    """The stages whose outputs belong together, in order."""

    @property
    def outputs(self) -> tuple[Entry, ...]:
        """The outputs of all stages."""
        return tuple(out for stage in self.stages.values() for out in stage.outs)

    @property
    def trained(self) -> tuple[Entry, ...]:
        """The outputs of train, which identify the result."""
        return self.stages["train"].outs


@click.command(epilog=cli.examples("retrain sync", "retrain sync diabetes --all-commits"))
@click.argument("dataset", required=False)
@click.option("--all-commits", is_flag=True, help="Also sync the results of earlier commits that are in DVC's cache.")
@cli.one_line_errors
def command(dataset: str | None, all_commits: bool) -> None:  # noqa: FBT001 (click gives it by name)
    """Create or complete MLflow runs from result files.

    For DATASET, or for all datasets. Safe to repeat: a run is found by the content of its result. New runs get the tag
    `recreated`. The exit code is 1 if a result of the working tree can't be read.
    """
    workspace = environment.workspace()
    known = params.datasets(workspace)
    outbox = Outbox.of_environment()  # `connect` changes the environment
    client = store.connect()
    finder = OutputFinder.of(workspace)
    tally = Tally(all_commits)
    for found in recorded_results(
        workspace, dataset, revisions(workspace) if all_commits else [Revision(workspace, "")]
    ):
        stages = tally.stages_of(found)
        if not stages:
            continue
        with TemporaryDirectory() as folder:
            outputs = [(out.path, out.md5) for out in found.outputs]
            lacking = collect(outputs, found.revision, finder, Path(folder))
            if lacking:
                name = found.dataset
                again = f"; run: dvc pull --with-deps plot@{name}; if no remote has it: make repro DATASET={name}"
                get = again if name in known and not all_commits else ""
                if found.trained not in tally.missing:  # many commits may have the same result
                    say(f"sync {name}: {lacking} of {found.revision.name} is not in DVC's cache{get}")
                tally.missing.add(found.trained)
                continue
            run = run_of(client, found, Result(found.dataset, Path(folder), stages))
        if run:
            tally.done.setdefault(found.trained, {}).update(found.stages)
            click.echo(printable(f"sync {found.dataset}: the result of {found.revision.name} is run {run}"))
        else:
            tally.unreadable.add(found.trained)
    recording.sweep(outbox)
    click.echo(str(tally))
    sys.exit(1 if tally.unreadable and not all_commits else 0)


@dataclass
class Tally:
    """The outcome for all results, by what identifies them."""

    all_commits: bool
    missing: set[tuple[Entry, ...]] = field(default_factory=set)
    unreadable: set[tuple[Entry, ...]] = field(default_factory=set)
    done: dict[tuple[Entry, ...], dict[str, LockedStage]] = field(default_factory=dict)
    """With the stages whose outputs its run contains."""

    def stages_of(self, found: LockedResult) -> tuple[str, ...]:
        """The stages of a result to record.

        They are empty if a newer commit already recorded these stages, or recorded different outputs for one of them.

        An earlier commit may have evaluated what a later one only trained.
        """
        known = self.done.get(found.trained, {})
        if any(stage.outs != known[name].outs for name, stage in found.stages.items() if name in known):
            return ()
        new = found.stages.keys() - known.keys()
        return tuple(name for name in found.stages if name in {*new, "train"}) if new else ()

    def __str__(self) -> str:
        lost, odd = (len(found - self.done.keys()) for found in (self.missing, self.unreadable))
        done, get = len(self.done), " (run: dvc fetch --all-commits)" if self.all_commits else ""
        missing = f"; {lost} {'is' if lost == 1 else 'are'} not in DVC's cache{get}" if lost else ""
        recorded = "1 result is" if done == 1 else f"{done} results are"
        return f"{recorded} recorded{missing}" + (f"; {odd} can't be read" if odd else "")


def say(line: str) -> None:
    """Print a warning; it may contain names from a foreign dvc.lock."""
    click.echo(printable(line), err=True)


def run_of(client: "MlflowClient", found: LockedResult, result: Result) -> str:
    """Record the result in a folder and return its run, or nothing if its files can't be read.

    An earlier commit may be from another version of the project. A store that stops answering ends the command.
    """
    try:
        return runs.record(client, result)
    except StoreError:
        raise
    except RetrainError as error:
        fact = str(error).replace(f"{result.folder}/", "")
        say(f"sync {found.dataset}: the result of {found.revision.name} can't be read ({fact})")
        return ""


def revisions(workspace: Path) -> list[Revision]:
    """Every commit that changed dvc.lock, the newest first: of branches, tags and DVC experiments."""
    listed = git.text(workspace, "rev-list", "--all", "--full-history", "--", dvc_lock.FILE)
    return [Revision(workspace, commit) for commit in listed.split()]


def recorded_results(workspace: Path, dataset: str | None, among: list[Revision]) -> Iterator[LockedResult]:
    """Every result that these revisions record; a commit with an unreadable dvc.lock is left out with a message.

    Raises:
        RetrainError: there is no result, or the working tree's dvc.lock is damaged.
    """
    nothing = True
    for revision in among:
        try:
            lock = revision.lock()
        except RetrainError as error:
            if not revision.commit:
                raise
            say(f"sync: {error.where}: {error.fact}; left out")
            continue
        for name in lock.datasets() if dataset is None else [dataset]:
            found = LockedResult(revision, name, consistent_stages(lock, name))
            if found.stages:
                nothing = False
                yield found
    if nothing:
        hint = f"run: make repro{f' DATASET={dataset}' if dataset else ''}"
        raise RetrainError(dvc_lock.FILE, f"has no results{f' for {dataset}' if dataset else ''}", hint)


def consistent_stages(lock: Lock, dataset: str) -> dict[str, LockedStage]:
    """The stages from train on, as long as each has outputs and was run with those of the previous one."""
    chain: dict[str, LockedStage] = {}
    for name in RECORDED:
        stage = lock.stages.get(f"{name}@{dataset}")
        made = {out.path: out.md5 for before in chain.values() for out in before.outs}
        if stage is None or not stage.outs or any(made.get(entry.path, entry.md5) != entry.md5 for entry in stage.deps):
            break
        chain[name] = stage
    return chain

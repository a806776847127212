"""`retrain sync`: runs in MLflow for results that have none, or an incomplete one, made from the results' files."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from retrain import cli, environment, git, schema, yaml_files
from retrain.errors import RetrainError, printable
from retrain.pipeline import clean_clone, dvc_cache, dvc_lock
from retrain.pipeline.dvc_cache import Kept
from retrain.pipeline.dvc_lock import Entry, Lock, Stage
from retrain.tracking import runs, store
from retrain.tracking.result import Result
from retrain.tracking.store import StoreError

import click
from ruamel.yaml import YAML

if TYPE_CHECKING:
    from mlflow import MlflowClient

RECORDED = ("train", "evaluate", "plot")
"""The stages whose outputs a run has."""


@dataclass(frozen=True)
class Revision:
    """A commit, or the working tree as it is."""

    folder: Path
    commit: str
    """Nothing for the working tree."""

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"commit {self.commit[:7]}" if self.commit else "the working tree"

    def read(self, path: str) -> bytes | None:
        """A file that git keeps, or None where there is none."""
        if not self.commit:
            return (self.folder / path).read_bytes() if (self.folder / path).is_file() else None
        try:
            return git.run(self.folder, "show", f"{self.commit}:{path}")
        except RetrainError:
            return None

    def lock(self) -> Lock:
        """Its dvc.lock; raises RetrainError where it is none."""
        if not self.commit:
            return dvc_lock.read(self.folder)
        where = f"{dvc_lock.FILE} of {self.name}"
        content = yaml_files.parsed(self.read(dvc_lock.FILE) or b"stages: {}", where, YAML(typ="safe"))
        return schema.check(content, Lock, where)


@dataclass(frozen=True)
class Promise:
    """What a revision's dvc.lock says of a dataset's result."""

    revision: Revision
    dataset: str
    stages: dict[str, Stage]
    """Those whose outputs belong together, in their order."""

    @property
    def outputs(self) -> tuple[Entry, ...]:
        """All of their outputs."""
        return tuple(out for stage in self.stages.values() for out in stage.outs)

    @property
    def trained(self) -> tuple[Entry, ...]:
        """What names the result."""
        return self.stages["train"].outs


@click.command()
@click.argument("dataset", required=False)
@click.option("--all-commits", is_flag=True, help="The results of every commit, as far as DVC's cache has them.")
@cli.one_line_errors
def command(dataset: str | None, all_commits: bool) -> None:  # noqa: FBT001 (click gives it by name)
    """Complete the runs of DATASET's result, or of every dataset's, in the MLflow store that is set; make those that are missing.

    A run is found by its result's content. Done twice, nothing changes. A run that is made here is tagged `recreated`.
    Where a result of the working tree can not be read, the others are recorded, and the exit code is 1.
    """
    workspace = environment.workspace()
    client = store.connect()
    if client is None:
        sys.exit(1)
    kept = Kept(clean_clone.cache_folder(workspace), (workspace,))
    tally = Tally()
    for promise in promised(workspace, dataset, revisions(workspace) if all_commits else [Revision(workspace, "")]):
        stages = tally.stages_of(promise)
        if not stages:
            continue
        with TemporaryDirectory() as folder:
            lacking = collect_files(promise, kept, Path(folder))
            if lacking:
                tally.missing.add(promise.trained)
                say(f"sync {promise.dataset}: {lacking} of {promise.revision.name} is not at hand")
                continue
            run = recorded(client, promise, Result(promise.dataset, Path(folder), stages))
        if run:
            tally.done.setdefault(promise.trained, {}).update(promise.stages)
            click.echo(printable(f"sync {promise.dataset}: the result of {promise.revision.name} is run {run}"))
        else:
            tally.unreadable.add(promise.trained)
    click.echo(str(tally))
    sys.exit(1 if tally.unreadable and not all_commits else 0)


@dataclass
class Tally:
    """What came of all results, each by what names it."""

    missing: set[tuple[Entry, ...]] = field(default_factory=set)
    unreadable: set[tuple[Entry, ...]] = field(default_factory=set)
    done: dict[tuple[Entry, ...], dict[str, Stage]] = field(default_factory=dict)
    """With the stages whose outputs its run has."""

    def stages_of(self, promise: Promise) -> tuple[str, ...]:
        """The stages of a promise that are to be recorded; none where a newer commit has them, or has others in their place.

        An earlier commit may have evaluated what a later one only trained.
        """
        known = self.done.get(promise.trained, {})
        if any(stage.outs != known[name].outs for name, stage in promise.stages.items() if name in known):
            return ()
        new = promise.stages.keys() - known.keys()
        return tuple(name for name in promise.stages if name in {*new, "train"}) if new else ()

    def __str__(self) -> str:
        lost, odd = (len(found - self.done.keys()) for found in (self.missing, self.unreadable))
        return (
            f"{len(self.done)} results are recorded{f'; {lost} are not at hand: dvc fetch --all-commits' if lost else ''}"
            f"{f'; {odd} can not be read' if odd else ''}"
        )


def say(line: str) -> None:
    """Say what is not as it should be; names come from dvc.lock, which may be from elsewhere."""
    click.echo(printable(line), err=True)


def recorded(client: "MlflowClient", promise: Promise, result: Result) -> str:
    """Record what was brought to a folder; its run, or nothing where its files are no result, which is said.

    An earlier commit may be of another version of the project. A store that stops answering ends the command.
    """
    try:
        return runs.record(client, result)
    except StoreError:
        raise
    except RetrainError as error:
        fact = str(error).replace(f"{result.folder}/", "")
        say(f"sync {promise.dataset}: the result of {promise.revision.name} can't be read ({fact})")
        return ""


def revisions(workspace: Path) -> list[Revision]:
    """Every commit that changed dvc.lock and that git still refers to: branches, tags, DVC's experiments; the newest first."""
    listed = git.text(workspace, "rev-list", "--all", "--full-history", "--", dvc_lock.FILE)
    return [Revision(workspace, commit) for commit in listed.split()]


def promised(workspace: Path, dataset: str | None, among: list[Revision]) -> Iterator[Promise]:
    """Every result that these revisions promise; a commit whose dvc.lock is of another kind is left out, which is said.

    Raises:
        RetrainError: the dataset has none, or it is the working tree's dvc.lock that can't be read.
    """
    found = 0
    for revision in among:
        try:
            lock = revision.lock()
        except RetrainError as error:
            if not revision.commit:
                raise
            say(f"sync: {error.where}: {error.fact}; left out")
            continue
        for name in lock.datasets() if dataset is None else [dataset]:
            promise = Promise(revision, name, consistent_stages(lock, name))
            if promise.stages:
                found += 1
                yield promise
    if not found:
        raise RetrainError(dvc_lock.FILE, f"has no result{f' of {dataset}' if dataset else ''}", "run dvc repro first")


def consistent_stages(lock: Lock, dataset: str) -> dict[str, Stage]:
    """The stages from train on, as far as each was run with what the one before it made."""
    chain: dict[str, Stage] = {}
    for name in RECORDED:
        stage = lock.stages.get(f"{name}@{dataset}")
        made = {out.path: out.md5 for before in chain.values() for out in before.outs}
        if stage is None or any(made.get(entry.path, entry.md5) != entry.md5 for entry in stage.deps):
            break
        chain[name] = stage
    return chain


def collect_files(promise: Promise, kept: Kept, folder: Path) -> str:
    """Put the files of a result into a folder as a workspace has them; what is not at hand, or nothing."""
    for out in promise.outputs:
        whole = not out.md5.endswith(dvc_cache.FOLDER)
        listing = {"": out.md5} if whole else kept.listing(out.path, out.md5)
        if listing is None:
            return out.path
        for name, digest in listing.items():
            path = f"{out.path}/{name}" if name else out.path
            target = folder / path
            content = content_of(path, digest, promise.revision, kept)
            if content is None or not target.resolve().is_relative_to(folder.resolve()):
                return path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    return ""


def content_of(path: str, digest: str, revision: Revision, kept: Kept) -> bytes | None:
    """A file's content: from DVC's cache or the workspace, else from git."""
    where = kept.file(path, digest)
    if where:
        return where.read_bytes()
    content = revision.read(path)
    return content if content is not None and dvc_cache.digest(content) == digest else None

"""A disk that is full at any write: the old outputs stay, the error names the file, and MLflow's store is whole.

A limit on the size of files stands for a disk that is full at any byte of any file. A small disk of its own, where
the system lets one be mounted, is really full.
"""

import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from support.damage import STAGES, draw_for
from support.damage.outputs import content_of
from support.project import Project
from support.servers import mlflow_server
from support.tried import Tried
from support.warm import ENOUGH, Limits, StageRun, Warm
from test_damage import OWN

DATASET = "tiny_news"
OLD = b"what was there before\n"
NAMED = re.compile(
    rf"(MLflow \(.*\):? .+; nothing is lost: .+\n)?Error: (MLflow \(.*\)|(data|models|reports)/{DATASET}/[\w./]+|[\w/.-]*(mlruns|mlflow\.db|\.retrain)\S*|\S+/tmp\w+/rows):? .+; .+\n|Error: the system: No usable temporary directory .+; .+\n"
)
STORE = re.compile(r"^Error: (MLflow \(|\S*(mlruns|mlflow\.db|\.retrain/(?!checkpoints)))", re.MULTILINE)
"""An error that names MLflow's store as the place."""
LARGE = 1 << 21
"""Bytes; every file of the project is smaller."""


def outputs_of(folder: Path, stage: str) -> dict[str, bytes]:
    """What a stage writes."""
    own = tuple(path.format(DATASET) for path in OWN[stage])
    names = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return {name: content_of(folder / name) for name in names if name.startswith(own)}


def is_whole(store: Path) -> bool:
    """Whether SQLite finds nothing wrong with a database: with a copy of it, since it may need room to look at one."""
    with TemporaryDirectory() as folder:
        for path in store.parent.glob(f"{store.name}*"):  # a checkpoint may belong to it
            shutil.copy2(path, folder)
        with closing(sqlite3.connect(Path(folder, store.name))) as connection:
            return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def allowed(ended: StageRun, new: dict[str, bytes]) -> list[dict[str, bytes]]:
    """The outputs that a stage may leave: new ones where it ends well, else old ones, and never some of each.

    Its run in MLflow is begun before its outputs are written and completed after that: where the error names the store,
    they may be of before or after; `replaced` counts how often they were new.
    """
    old = dict.fromkeys(new, OLD)
    if ended.code == 0:
        return [new]
    return [old, new] if STORE.search(ended.stderr) else [old]


def check(tried: Tried, folder: Path, stage: str, ended: StageRun, new: dict[str, bytes]) -> None:
    """Count a run in."""
    after, failed = outputs_of(folder, stage), ended.code != 0
    wrong = {
        "changed": after not in allowed(ended, new),
        "drafts": any(folder.rglob("*.draft")),
        "stores": not is_whole(folder / "mlflow.db"),
        "unnamed": failed and not (ended.code == 1 and NAMED.fullmatch(ended.stderr)),
    }
    what = ", ".join(name for name, is_so in wrong.items() if is_so)
    failure = f"{stage}: {what}: {ended.code} {ended.stderr!r}" if what else ""
    tried.add({"failed": failed, "replaced": failed and after == new, **wrong}, failure)


def with_old_outputs(whole: Path, folder: Path, stage: str) -> dict[str, bytes]:
    """Copy the project, its stage's outputs replaced by old ones; what they are when they are new."""
    shutil.copytree(whole, folder, symlinks=True)
    new = outputs_of(folder, stage)
    for name in new:
        (folder / name).write_bytes(OLD)
    return new


def sizes(stage: str, count: int) -> list[int]:
    """Numbers of bytes, small ones as likely as large ones."""
    draw = draw_for("sizes", stage)
    return sorted({0, 1, 4096, *(int(LARGE ** draw.random()) for _ in range(count))})


def try_out(warm: Warm, whole: Path, stage: str, count: int, **environment: str) -> Tried:
    """Run a stage with files of every size at most."""
    tried, folder = Tried(), whole.with_name("project")
    for size in sizes(stage, count):
        new = with_old_outputs(whole, folder, stage)
        limits: Limits = replace(ENOUGH, file_size=size)
        check(tried, folder, stage, warm.run(folder, stage, "--dataset", DATASET, limits=limits, **environment), new)
        shutil.rmtree(folder)
    return tried


@pytest.mark.parametrize("stage", ["prepare", "split"])
def test_full_disk_keeps_old_outputs(stage, warm, small):
    tried = try_out(warm, small, stage, 3)
    assert tried.counts["failed"] > 0
    tried.check()


@pytest.mark.campaign
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("stage", STAGES)
def test_disk_full_at_any_byte(stage, warm, whole):
    tried = try_out(warm, whole, stage, 40)
    print(f"{stage}, files of limited size: {tried}")
    tried.check()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tracking server, whose disk is not full: so the stages get to their own writes."""
    folder = tmp_path_factory.mktemp("server")
    with mlflow_server(folder, Project(folder).environment) as address:
        yield address


@pytest.mark.campaign
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("stage", ["train", "evaluate", "plot"])
def test_full_disk_with_tracking_server(stage, warm, whole, server):
    tried = try_out(warm, whole, stage, 40, MLFLOW_TRACKING_URI=server)
    print(f"{stage}, files of limited size, runs on a server: {tried}")
    tried.check()


# A disk of its own


@dataclass(frozen=True)
class Disk:
    """A small disk that only one warm process sees; `here` is the way to it from outside."""

    warm: Warm
    mounted: Path
    here: Path
    whole: Path

    def fill(self, free: int) -> None:
        """Leave so many bytes."""
        with (self.here / "filler").open("wb", buffering=0) as filler:
            try:
                while filler.write(bytes(4096)):
                    pass
            except OSError:
                filler.truncate(max(0, filler.tell() - free))

    def run(self, stage: str) -> StageRun:
        """Run a stage in the project."""
        return self.warm.run(self.mounted / "project", stage, "--dataset", DATASET, TMPDIR=str(self.mounted))


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory, whole: Path) -> Iterator[Disk]:
    """The disk, and beside it, on another one, a project that knows its place there."""
    mounted = tmp_path_factory.mktemp("disk")
    mount = 'mount -t tmpfs -o size=16m tmpfs "$0" && exec "$@"'
    before = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(mounted))
    if (
        shutil.which("unshare") is None
        or subprocess.run([*before, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("this system lets nobody mount a disk")
    with Warm(Project(mounted).environment, *before) as warm:
        kept = tmp_path_factory.mktemp("kept") / "whole"
        ready = warm.run(mounted, "retrain", "--help")
        assert ready.code == 0, ready.said
        disk = Disk(warm, mounted, Path(f"/proc/{warm.process.pid}/root{mounted}"), kept)
        shutil.copytree(whole, disk.here / "project", symlinks=True)
        assert disk.run("evaluate").code == 0  # it adapts the store to its place
        shutil.move(disk.here / "project", kept)
        yield disk


@pytest.mark.campaign
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("stage", STAGES)
def test_small_disk_recovers(stage, disk):
    tried, folder = Tried(), disk.here / "project"
    for free in sizes(stage, 30):
        new = with_old_outputs(disk.whole, folder, stage)
        disk.fill(free)
        check(tried, folder, stage, disk.run(stage), new)
        (disk.here / "filler").unlink()
        again = disk.run(stage)
        assert again.code == 0, again.said
        assert outputs_of(folder, stage) == new
        shutil.rmtree(folder)
    print(f"{stage}, a full disk: {tried}")
    tried.check()

"""Stages run in folders of their own, and what they read there, by the file system's own record.

A file's access time is set by whoever reads it: Python, a library in C++ or Rust, a program that the stage starts. So
nothing is put into the stage's process, and nothing that it reads is missed.
"""

import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from retrain import files, git
from retrain.errors import RetrainError
from retrain.pipeline.dvc_yaml import Stage

LONG_AGO = 0


@dataclass(frozen=True)
class StageRun:
    """A stage that has ended, well or not."""

    status: int
    said: str
    outputs: dict[str, str]
    """A digest per output that is there."""

    def same(self, other: "StageRun") -> bool:
        """Whether both ended well and left the same bytes."""
        return self.status == other.status == 0 and self.outputs == other.outputs


@dataclass(frozen=True)
class ObservedRun:
    """A stage that was watched: files and folders, relative to where it ran."""

    ended: StageRun
    read: frozenset[str]
    wrote: frozenset[str]


def working_tree(workspace: Path, stages: Iterable[Stage]) -> list[str]:
    """What git tracks or would track, and the dependencies that no stage makes, which need not be in git.

    Raises:
        RetrainError: this is no repository.
    """
    listed = git.run(workspace, "ls-files", "-co", "--exclude-standard", "-z")
    made = {path for stage in stages for path in stage.outputs}
    given = {path for stage in stages for path in stage.dependencies if not Path(path).is_absolute()} - made
    return sorted({*filter(None, os.fsdecode(listed).split("\0")), *given})


def copy(names: Iterable[str], source: Path, target: Path) -> None:
    """Copy files, and folders with all that is in them; a link is copied as what it leads to.

    What does not exist is left out.
    """
    target.mkdir(parents=True)
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, dirs_exist_ok=True)
        elif (source / name).exists():
            shutil.copy2(source / name, target / name)


def copy_read(watched: ObservedRun, source: Path, target: Path) -> None:
    """Copy what a stage was seen to read and nothing else; of a folder only the names in it, as empty files."""
    copy((name for name in watched.read if (source / name).is_file()), source, target)
    for folder in (source / name for name in watched.read if (source / name).is_dir()):
        for path in [folder, *folder.iterdir()]:
            copied = target / path.relative_to(source)
            if path.is_dir():
                copied.mkdir(parents=True, exist_ok=True)
            elif not copied.exists():
                copied.touch()


def make_root(root: Path, real: Path) -> None:
    """A folder for what outlives a run: with the project's environment and its downloads, and with no runs."""
    (root / ".retrain").mkdir(parents=True)
    for name in (".venv", ".retrain/downloads"):
        if (real / name).exists():
            (root / name).symlink_to((real / name).resolve())


def check_access_times(folder: Path) -> None:
    """Raise RetrainError where a folder's file system does not record when a file was read."""
    probe = folder / "probe"
    probe.write_text("read me", encoding="utf-8")
    forget_access(probe)
    probe.read_text(encoding="utf-8")
    if probe.stat().st_atime_ns == LONG_AGO:
        fact = "its file system keeps no access times, which show what a stage reads"
        raise RetrainError(str(folder), fact, "set TMPDIR to a folder on one that does (mounted without noatime)")


def forget_access(path: Path) -> None:
    """Set the access time to long ago, so that the next access is recorded also where only the first of a day is."""
    os.utime(path, ns=(LONG_AGO, path.stat().st_mtime_ns))


def watch(stage: Stage, folder: Path, root: Path) -> ObservedRun:
    """Run a stage in a folder, and see what it read and wrote there."""
    remove_outputs(stage, folder)
    before = content(folder)
    for name in before:
        forget_access(folder / name)
    status, said = run(stage, folder, root)
    after = content(folder)
    read = frozenset(
        name
        for name, was in before.items()
        if name in after and after[name].st_atime_ns != LONG_AGO and (was.st_size or stat.S_ISDIR(was.st_mode))
    )  # an empty file, such as a package's `__init__.py`, can't change a result
    wrote = frozenset(
        name
        for name, now in after.items()
        if not stat.S_ISDIR(now.st_mode) and (name not in before or now.st_mtime_ns != before[name].st_mtime_ns)
    )
    return ObservedRun(StageRun(status, said, digests(stage, folder)), read, wrote)


def remove_outputs(stage: Stage, folder: Path) -> None:
    """Take a stage's outputs away, as DVC does before it runs a stage."""
    for path in stage.outputs:
        files.remove(folder / path)


def content(folder: Path) -> dict[str, os.stat_result]:
    """The state of everything in a folder. A folder's is taken before it is listed, which is an access."""
    found: dict[str, os.stat_result] = {}
    waiting = [folder]
    while waiting:
        for path in sorted(waiting.pop().iterdir()):
            name = path.relative_to(folder).as_posix()
            found[name] = path.lstat()
            if stat.S_ISDIR(found[name].st_mode):
                waiting.append(path)
    return found


def run(stage: Stage, folder: Path, root: Path) -> tuple[int, str]:
    """Run a stage's command in a folder; returns its exit status and what it said."""
    lines = [stage.command] if isinstance(stage.command, str) else stage.command
    environment = git.own_variables() | {
        "DVC_ROOT": str(root),
        "GIT_CEILING_DIRECTORIES": str(folder.parent),
        "PYTHONDONTWRITEBYTECODE": "1",  # a module is read from its source each time, and that is seen
    }
    with subprocess.Popen(
        ["/bin/sh", "-c", " && ".join(lines)], cwd=folder, env=environment, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    ) as process:  # fmt: skip
        try:
            said, _ = process.communicate()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, said


def digests(stage: Stage, folder: Path) -> dict[str, str]:
    """A digest per output that is there."""
    return {path: files.sha256(folder / path) for path in stage.outputs if (folder / path).exists()}


def attempt(stage: Stage, folder: Path, root: Path) -> StageRun:
    """Run a stage in a folder, without watching it."""
    remove_outputs(stage, folder)
    status, said = run(stage, folder, root)
    return StageRun(status, said, digests(stage, folder))

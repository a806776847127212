"""Runs stages in temporary folders and finds out what they read there, from access times.

The file system sets a file's access time for every reader: Python, a library in C++ or Rust, a child process. So the
stage's process is not modified, and nothing that it reads is missed.
"""

import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from retrain import files, git, processes
from retrain.errors import RetrainError
from retrain.pipeline.dvc_yaml import Stage

__all__ = ["attempt", "check_access_times", "copy", "copy_read", "make_root", "observe", "working_tree"]


LONG_AGO = 0


@dataclass(frozen=True)
class StageRun:
    """The result of running a stage."""

    status: int
    printed: str
    outputs: dict[str, str]
    """The digest of each existing output."""

    def same(self, other: "StageRun") -> bool:
        """Whether both succeeded and wrote the same bytes."""
        return self.status == other.status == 0 and self.outputs == other.outputs


@dataclass(frozen=True)
class ObservedRun:
    """What a stage read and wrote: files and folders, relative to where it ran."""

    run: StageRun
    read: frozenset[str]
    wrote: frozenset[str]


def working_tree(workspace: Path, stages: Iterable[Stage]) -> list[str]:
    """The files that git tracks or would track, and the dependencies that no stage writes.

    Raises:
        RetrainError: the workspace is not in a git repository.
    """
    listed = git.run(workspace, "ls-files", "-co", "--exclude-standard", "-z")
    made = {path for stage in stages for path in stage.outputs}
    given = {path for stage in stages for path in stage.dependencies if not Path(path).is_absolute()} - made
    return sorted({*filter(None, os.fsdecode(listed).split("\0")), *given})


def copy(names: Iterable[str], source: Path, target: Path) -> None:
    """Copy files and whole folders that exist; a link is copied as its target.

    Compiled code is left out: with it, Python would not read the sources.
    """
    target.mkdir(parents=True)
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(
                source / name, target / name, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
            )
        elif (source / name).exists():
            shutil.copy2(source / name, target / name)


def copy_read(observed: ObservedRun, source: Path, target: Path) -> None:
    """Copy only what a stage was seen to read; a folder that it listed gets empty files with the same names."""
    copy((name for name in observed.read if (source / name).is_file()), source, target)
    for folder in (source / name for name in observed.read if (source / name).is_dir()):
        for path in [folder, *folder.iterdir()]:
            copied = target / path.relative_to(source)
            if path.is_dir():
                copied.mkdir(parents=True, exist_ok=True)
            elif not copied.exists():
                copied.touch()


def make_root(root: Path, real: Path) -> None:
    """Make a folder with the project's environment and downloads, and without runs."""
    (root / ".retrain").mkdir(parents=True)
    for name in (".venv", ".retrain/downloads"):
        if (real / name).exists():
            (root / name).symlink_to((real / name).resolve())


def check_access_times(folder: Path) -> None:
    """Raise RetrainError if a folder's file system does not record when a file was read."""
    probe = folder / "probe"
    probe.write_text("read me", encoding="utf-8")
    forget_access(probe)
    probe.read_text(encoding="utf-8")
    if probe.stat().st_atime_ns == LONG_AGO:
        fact = "is on a file system without access times, which show what a stage reads"
        raise RetrainError(str(folder), fact, "set TMPDIR to a folder on a disk that is mounted without noatime")


def forget_access(path: Path) -> None:
    """Set the access time to long ago: many file systems record only the first access of a day."""
    os.utime(path, ns=(LONG_AGO, path.stat().st_mtime_ns))


def observe(stage: Stage, folder: Path, root: Path) -> ObservedRun:
    """Run a stage in a folder and find out what it read and wrote there."""
    remove_outputs(stage, folder)
    before = content(folder)
    for name in before:
        forget_access(folder / name)
    ended = attempt(stage, folder, root)
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
    return ObservedRun(ended, read, wrote)


def remove_outputs(stage: Stage, folder: Path) -> None:
    """Remove a stage's outputs, as DVC does before it runs a stage."""
    for path in stage.outputs:
        files.remove(folder / path)


def content(folder: Path) -> dict[str, os.stat_result]:
    """The state of everything in a folder; that of a folder is read before listing it, which is an access."""
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
    """Run a stage's command in a folder; returns its exit status and what it printed."""
    lines = [stage.command] if isinstance(stage.command, str) else stage.command
    environment = git.own_variables() | {
        "DVC_ROOT": str(root),
        "GIT_CEILING_DIRECTORIES": str(folder.parent),
        "RETRAIN_TRACKING": "off",  # a recorder would outlive the stage
        "PYTHONDONTWRITEBYTECODE": "1",  # modules are read from their sources each time
    }
    process = None
    try:
        with processes.deferred_signals():
            process = subprocess.Popen(
                ["/bin/sh", "-c", " && ".join(lines)], cwd=folder, env=environment, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            )  # fmt: skip
        printed, _ = process.communicate()
    except BaseException:
        if process:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        raise
    return process.returncode, printed


def attempt(stage: Stage, folder: Path, root: Path) -> StageRun:
    """Run a stage in a folder without observing it."""
    remove_outputs(stage, folder)
    status, printed = run(stage, folder, root)
    outputs = {path: files.sha256(folder / path) for path in stage.outputs if (folder / path).exists()}
    return StageRun(status, printed, outputs)

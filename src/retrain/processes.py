"""The parent processes of this one, long commands that it starts, and what only one process may do at a time."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

__all__ = ["Ancestors", "deferred_signals", "lock", "parent_processes", "run_to_completion"]


DVC = re.compile(r"(^|/)(dvc|retrain\.pipeline\.dvc_program)$")
"""An argument that is the program or module of DVC."""

Ancestors = tuple[psutil.Process, ...]
"""Processes, equal if their numbers and start times are; the system reuses numbers."""


def parent_processes() -> Ancestors:
    """The processes through which DVC runs this stage, the nearest first, DVC last; empty if DVC does not run it.

    All ancestors up to DVC are returned: a shell between DVC and the stage may outlive DVC. What started DVC, such as a
    terminal, may end earlier.
    """
    if "DVC_STAGE" in os.environ:
        with suppress(psutil.Error, OSError):
            parents = psutil.Process().parents()
            for number, parent in enumerate(parents, start=1):
                if any(DVC.search(argument) for argument in parent.cmdline()):
                    return tuple(parents[:number])
    return ()


PATIENCE = 30.0
"""Seconds that interrupted processes get to end their work."""


def run_to_completion(command: list[str], folder: Path, variables: Mapping[str, str], output: int) -> int:
    """Run a command in its own process group, pass Ctrl-C and SIGTERM on to the whole group, and wait for its end.

    Args:
        command: the program and its arguments.
        folder: where it runs.
        variables: its whole environment.
        output: the file descriptor that gets what it prints.

    Returns:
        Its exit status. A stage that is interrupted has the time to end its run and to leave nothing half-written.
    """
    process = None
    try:
        with deferred_signals():
            process = subprocess.Popen(command, cwd=folder, env=variables, stdout=output, start_new_session=True)
        return process.wait()
    except (KeyboardInterrupt, SystemExit) as interruption:
        if process:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT if isinstance(interruption, KeyboardInterrupt) else signal.SIGTERM)
            process.wait()
            wait_for_group(process.pid)
        raise


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back until the block ends: one in the middle of a process's start would leave it running."""
    held: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda number, _frame: held.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for caught in held:
        signal.raise_signal(caught)


def wait_for_group(group: int) -> None:
    """Wait for the last process of a group: DVC exits at once on SIGTERM, before its stage has ended."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)


@contextmanager
def lock(root: Path, what: str) -> Iterator[None]:
    """One process of a root at a time, for what must not happen twice; `what` names the lock. Who holds it may take it again."""
    from filelock import FileLock

    path = root / ".retrain" / f"{what}.lock"
    path.parent.mkdir(exist_ok=True)
    with FileLock(path, is_singleton=True):
        yield

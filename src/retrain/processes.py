"""The processes above this one, and long commands below it."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

Ancestors = tuple[psutil.Process, ...]
"""Processes; they are equal where number and time of birth are, counted from the system's start: numbers are given again."""


def parent_processes() -> Ancestors:
    """The processes that started this one, the nearest first; those that have ended are not among them.

    A shell that runs one command for DVC may outlive DVC, so the nearest alone would tell nothing.
    """
    try:
        return tuple(psutil.Process().parents())
    except (psutil.Error, OSError):
        return ()


PATIENCE = 30.0
"""Seconds in which what was interrupted may end its work."""


def run_to_completion(command: list[str], folder: Path, variables: Mapping[str, str], output: int) -> int:
    """Run a command in a process group of its own, hand Ctrl-C and SIGTERM on to all of it, and wait for its end.

    Args:
        command: the program and its arguments.
        folder: where it runs.
        variables: its whole environment.
        output: the file descriptor that gets what it prints.

    Returns:
        Its exit status. A stage that is interrupted has the time to end its run and to leave nothing half-written.
    """
    with subprocess.Popen(command, cwd=folder, env=variables, stdout=output, start_new_session=True) as process:
        try:
            return process.wait()
        except (KeyboardInterrupt, SystemExit) as interruption:
            os.killpg(process.pid, signal.SIGINT if isinstance(interruption, KeyboardInterrupt) else signal.SIGTERM)
            process.wait()
            wait_for_group(process.pid)
            raise


def wait_for_group(group: int) -> None:
    """Wait for the last process of a group: DVC leaves at once on SIGTERM, before its stage has ended its work."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)

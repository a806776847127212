"""A long command, run to its end whatever interrupts it."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

PATIENCE = 30.0
"""Seconds in which what was interrupted may end its work."""


def run_to_its_end(command: list[str], folder: Path, variables: Mapping[str, str], output: int) -> int:
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

"""Run a script, and kill its process group at a call into C that it makes while it saves something.

`python killed.py NUMBER SCRIPT ARGUMENTS`: the calls are counted from 1; with 0 none is the last, and their number is
printed. Each system call of a save is made by one of these calls, so the kills imitate a loss of power between any two.
"""

import os
import runpy
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import click

SAVES = {("journal.py", "save"), ("files.py", "replacing")}


class Killer:
    """Counts the calls into C from when a draft is opened until it has taken its place."""

    def __init__(self, number: int) -> None:
        self.number, self.calls = number, 0

    def watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook: begin to count where a draft is opened."""
        if event == "open" and ".draft" in str(arguments[0]) and sys.getprofile() is None:
            sys.setprofile(self.count)

    def count(self, frame: FrameType, event: str, argument: Any) -> None:
        """A profiler: count, kill, and end when the function that saves does."""
        if event == "c_call":
            self.calls += 1
            if self.calls == self.number:
                os.killpg(0, signal.SIGKILL)
        elif event == "return" and (Path(frame.f_code.co_filename).name, frame.f_code.co_name) in SAVES:
            sys.setprofile(None)


def main() -> None:
    """Run what the command line names."""
    killer = Killer(int(sys.argv[1]))
    sys.argv = sys.argv[2:]
    sys.path.insert(0, str(Path(sys.argv[0]).resolve().parent))
    sys.addaudithook(killer.watch)
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        click.echo(f"calls: {killer.calls}")


if __name__ == "__main__":
    main()

"""Run a script, and kill its process group at a call into C that it makes while it saves something.

`python killed.py WHAT NUMBER SCRIPT ARGUMENTS`: WHAT is `checkpoint` or `result`, its saves' calls are counted from 1; with 0
none is the last, and their number is printed. One such call may make several system calls: tests/test_kills.py has
strace stand between those, where there is strace.
"""

import os
import runpy
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import click

SAVES = {"checkpoint": ("checkpoint.py", "save"), "result": ("files.py", "replacing")}


class Killer:
    """Counts the calls into C from when a draft is made until it has taken its place."""

    def __init__(self, what: str, number: int) -> None:
        self.what, self.number, self.calls = what, number, 0

    def watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook: begin to count where a draft of the kind is made, as a file or as a folder."""
        if event not in ("open", "os.mkdir") or ".draft" not in str(arguments[0]) or sys.getprofile() is not None:
            return
        if ("checkpoints" in Path(str(arguments[0])).parts) == (self.what == "checkpoint"):
            sys.setprofile(self.count)

    def count(self, frame: FrameType, event: str, argument: Any) -> None:
        """A profiler: count, kill, and end when the function that saves does."""
        if event == "c_call":
            self.calls += 1
            if self.calls == self.number:
                os.killpg(0, signal.SIGKILL)
        elif event == "return" and (Path(frame.f_code.co_filename).name, frame.f_code.co_name) == SAVES[self.what]:
            sys.setprofile(None)


def main() -> None:
    """Run what the command line names."""
    killer = Killer(sys.argv[1], int(sys.argv[2]))
    sys.argv = sys.argv[3:]
    sys.path.insert(0, str(Path(sys.argv[0]).resolve().parent))
    sys.addaudithook(killer.watch)
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        click.echo(f"calls: {killer.calls}")


if __name__ == "__main__":
    main()

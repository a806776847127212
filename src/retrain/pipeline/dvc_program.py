"""DVC as `retrain repro` runs it: `python -m retrain.pipeline.dvc_program repro plot@diabetes`.

It is DVC's own command line. It hides advice about git, and advice to run `dvc push` if there is no remote. A failed stage is
named in the last line.
"""

import json
import logging
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TextIO

from retrain import cli, environment, git, processes
from retrain.errors import RetrainError
from retrain.pipeline import dvc_lock, dvc_yaml

__all__ = ["output", "repro"]


FAILED = 1
"""The exit code after a failed stage, whose own message names the cause; other codes are DVC's."""


def output(folder: Path, *arguments: str) -> str:
    """Run DVC in a folder and return what it prints.

    Raises:
        RetrainError: it fails; the error holds the last line of its message.
    """
    command = [sys.executable, "-m", __name__, *arguments]
    ended = subprocess.run(command, cwd=folder, env=git.own_variables(), capture_output=True, text=True, check=False)
    if ended.returncode:
        where, lines = f"dvc {arguments[0]}", ended.stderr.strip().splitlines() or ["no message"]
        raise RetrainError(where, f"fails ({lines[-1]})", f"correct it, then run: dvc {' '.join(arguments)}")
    return ended.stdout


def repro(folder: Path, variables: Mapping[str, str], printed: int, *arguments: str) -> None:
    """Run stages as `dvc repro` does.

    Args:
        folder: the project.
        variables: the whole environment.
        printed: the file descriptor that gets what DVC and the stages print.
        arguments: options and stages.

    Raises:
        RetrainError: DVC fails.
        SystemExit: a stage fails; what it printed says why.
    """
    command = [sys.executable, "-m", __name__, "repro", *arguments]
    code = processes.run_to_completion(command, folder, variables, printed)
    if code == FAILED:
        sys.exit(code)
    if code:
        raise RetrainError("dvc repro", f"failed with exit code {code}", "its message is above")


class FailedStage(logging.Filter):
    """Notes the stage whose command failed and drops DVC's message, which would repeat that of the stage."""

    name = ""
    status = 0
    """The exit status of the command; that of a process that a signal ended is negative."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to print a record."""
        from dvc.stage.exceptions import StageCmdFailedError

        error = record.exc_info[1] if record.exc_info else None
        cause = error.__cause__ if error else None
        if not isinstance(cause, StageCmdFailedError):
            return True
        named, ended = re.search(r"'([^']+)'", str(error)), re.search(r"-?\d+$", str(cause))
        self.name = named[1] if named else ""
        self.status = int(ended[0]) if ended else 0
        return False

    def __str__(self) -> str:
        """How the stage ended. One that was killed has printed nothing; a shell adds 128 to the signal."""
        if self.status >= 0 and self.status != 128 + signal.SIGKILL:
            return f"stage {self.name} failed; its message is above; to try it alone, run: dvc repro {self.name}"
        number = -self.status if self.status < 0 else self.status - 128
        cause = ", perhaps for lack of memory" if number == signal.SIGKILL else ""
        return f"stage {self.name} was killed (signal {number}){cause}; the same command continues it"


def hide_push_advice() -> None:
    """Drop the advice to run `dvc push` if there is no remote to push to."""
    from dvc.config import Config
    from dvc.ui import ui

    write = ui.write

    def write_others(*texts: Any, **options: Any) -> None:
        if not (texts and str(texts[0]).startswith("Use `dvc push`")) or Config.from_cwd()["remote"]:
            write(*texts, **options)

    ui.write = write_others


@cache
def write_lock_faster() -> None:
    """Let DVC read dvc.lock as plain values before it writes it again, which it does after each stage, and keep the lines of what stays.

    It reads it with comments, which it never writes there; that takes it five times as long. And it makes the lines of all
    stages anew each time.
    """
    from dvc.utils.serialize import _yaml

    dump = vars(_yaml)["_dump"]
    known: dict[str, str] = {}

    def parse(text: str, path: str) -> Any:
        return _yaml.parse_yaml(text, path, typ="safe" if Path(path).name == dvc_lock.FILE else "rt")

    def lines(name: str, stage: Any) -> str:
        if (key := repr((name, stage))) not in known:
            known[key] = _yaml.dumps_yaml({"stages": {name: stage}}).removeprefix("stages:\n")
        return known[key]

    def write(data: Any, stream: TextIO) -> None:
        if list(data) != ["schema", "stages"] or not data["stages"]:
            dump(data, stream)
            return
        dump({"schema": data["schema"]}, stream)
        stream.writelines(["stages:\n", *(lines(name, stage) for name, stage in data["stages"].items())])

    vars(_yaml).update(parse_yaml_for_update=parse, _dump=write)


def remove_unreadable_locks() -> None:
    """Remove DVC's list of locked paths if it can't be read, as after a full disk: DVC would refuse each command.

    DVC writes it under a lock of its own, so what is unreadable under that lock was left by a command that has ended.
    """
    from dvc import rwlock
    from dvc.lock import make_lock
    from voluptuous import Invalid

    folder = environment.workspace() / ".dvc" / "tmp"
    path = folder / rwlock.RWLOCK_FILE

    def is_unreadable() -> bool:
        try:
            rwlock.SCHEMA(json.loads(path.read_bytes()))
        except OSError:
            return False
        except (ValueError, Invalid):
            return True
        return False

    if not is_unreadable():
        return
    with make_lock(str(folder / rwlock.RWLOCK_LOCK), tmp_dir=str(folder)):
        if is_unreadable():
            path.unlink()
            sys.stderr.write(f"removed .dvc/tmp/{path.name}, which can't be read, perhaps after a full disk\n")


def main(arguments: list[str]) -> int:
    """Run DVC and return the exit code."""
    from dvc import cli as dvc_cli
    from dvc.repo import scm_context

    failed = FailedStage()
    dvc_cli.logger.addFilter(failed)
    scm_context.logger.setLevel(logging.WARNING)
    hide_push_advice()
    write_lock_faster()
    remove_unreadable_locks()
    dvc_yaml.leave_out_broken_blocks()
    code: int = dvc_cli.main(arguments)
    if not failed.name:
        return code
    sys.stderr.write(f"{failed}\n")
    return FAILED


if __name__ == "__main__":
    cli.run(lambda: sys.exit(main(sys.argv[1:])))

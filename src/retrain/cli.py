"""What all commands share: one-line errors, signals, and the command of a stage."""

import atexit
import errno
import functools
import gc
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from retrain import environment, files, params, requirements
from retrain.errors import SYSTEM_ERRORS, RetrainError, hint_of, lack_of_memory, printable

import click

__all__ = [
    "SECONDS",
    "examples",
    "leave",
    "one_line_errors",
    "patient_signals",
    "require_unchanged",
    "run",
    "stage",
    "stage_message",
    "warn",
]


class Seconds(click.FloatRange):
    """A number of seconds; NaN, which passes every comparison of a range, is rejected."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return number


SECONDS = Seconds(min=0)
READS = {
    "prepare": ("data/raw/{}",),
    "split": ("data/{}/prepared",),
    "train": ("data/{}/examples",),
    "evaluate": ("data/{}/splits", "models/{}", "reports/{}/history.csv"),
    "plot": (
        "models/{}",
        *(f"reports/{{}}/{name}" for name in ("history.csv", "metrics.json", "predictions.csv", "tables")),
    ),
}
"""The files and folders of a dataset that each stage reads."""
GRACE_SECONDS = 0.8
"""How long work may continue after a signal to reach a good place to stop."""

NEW_OBJECTS = 200_000
"""How many new objects Python waits for until it looks for unused ones; by default it is 700."""


def examples(*lines: str) -> str:
    """The examples below a command's help, as its `epilog`."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def run(program: Callable[[], object]) -> None:
    """Run a command as the whole program.

    Libraries such as torch and MLflow make a million objects when they are imported. Meanwhile Python would search them for
    unused ones again and again, and at the end delete each of them. To do neither saves a large part of the time of a small stage.
    """
    code: list[int] = []
    atexit.register(end_at_once, code)  # the first to be registered is the last to be called
    gc.set_threshold(NEW_OBJECTS)
    try:
        program()
    except SystemExit as end:
        code += [end.code or 0] if isinstance(end.code, int | None) else []
        raise
    code.append(0)


def end_at_once(code: Sequence[int]) -> None:
    """End the process with an exit code, once everything is written; do nothing if there is none."""
    streams = [stream for stream in (sys.stdout, sys.stderr) if stream is not None and not stream.closed]
    if code:
        for stream in streams:
            stream.flush()
        os._exit(code[0])


def stage(work: Callable[..., None]) -> click.Command:
    """The command of a stage: `--dataset NAME`, run in the workspace; `work` may add options."""

    @click.command(help=work.__doc__, context_settings={"help_option_names": ["-h", "--help"]})
    @click.option("--dataset", required=True, metavar="NAME", help="A dataset of params.yaml, such as ag_news.")
    @one_line_errors
    @functools.wraps(work)
    def command(dataset: str, **options: Any) -> None:
        os.chdir(environment.workspace())
        name = Path(work.__code__.co_filename).stem
        parameters = params.dataset_block(environment.workspace(), dataset)[name]
        code, data = environment.code_states(), data_states(name, dataset)
        click.get_current_context().obj = Inputs(name, dataset, time.time_ns(), code, data, parameters)
        if other := requirements.warning(Path()):
            warn(f"{name} {dataset}: {other}")
        try:
            work(dataset, **options)
        except KeyboardInterrupt:
            again = environment.stage_command(name, dataset)
            stage_message(name, dataset)(f"interrupted before its end. To run it again: {again}")
            raise
        require_unchanged()

    return command


@dataclass(frozen=True)
class Inputs:
    """What a stage began with."""

    stage: str
    dataset: str
    began: int
    code: Mapping[str, tuple[int, int]]
    """The states of the modules that were loaded; others are loaded when they are needed."""
    data: Mapping[str, Mapping[str, tuple[int, int]]]
    parameters: Any

    def is_changed(self, module: str, state: tuple[int, int]) -> bool:
        """Whether a module has changed since, or was loaded and has changed."""
        if module in self.code:
            return self.code[module] != state
        return self.began < state[0] <= time.time_ns() or state == (0, 0)


def require_unchanged() -> None:
    """Raise RetrainError if parameters, code or data have changed since the stage began.

    DVC records them as they are after a stage, not as they were when it read them.
    """
    inputs: Inputs = click.get_current_context().obj
    changed = [f"src/{path}" for path, state in environment.code_states().items() if inputs.is_changed(path, state)]
    data = data_states(inputs.stage, inputs.dataset)
    changed += [path for path, states in data.items() if inputs.data[path] != states]
    if params.dataset_block(environment.workspace(), inputs.dataset)[inputs.stage] != inputs.parameters:
        changed.append(params.section_path(inputs.dataset, inputs.stage))
    if changed:
        fact = f"has used an earlier version of {' and '.join(changed)}"
        raise RetrainError(f"the stage {inputs.stage}", fact, f"run it again: dvc repro plot@{inputs.dataset}")


def data_states(stage: str, dataset: str) -> dict[str, dict[str, tuple[int, int]]]:
    """The time of the last change and the size of each file that a stage reads, by the paths of `READS`; nothing is read."""
    found: dict[str, dict[str, tuple[int, int]]] = {path.format(dataset): {} for path in READS[stage]}
    for path, states in found.items():
        for file in (Path(path), *Path(path).rglob("*")):
            with suppress(OSError):  # it does not exist, or is gone
                if not file.is_dir():
                    states[str(file)] = (file.stat().st_mtime_ns, file.stat().st_size)
    return found


def stage_message(stage: str, dataset: str) -> Callable[[str], None]:
    """A function that prints a line about a stage to standard error."""
    return lambda text: click.echo(f"{stage} {dataset}: {text}", err=True)


def warn(message: str) -> None:
    """Print a warning on standard error."""
    click.echo(f"Warning: {printable(' '.join(message.split()))}", err=True)


def one_line_errors(work: Callable[..., None]) -> Callable[..., None]:
    """Turn errors that a user can fix into one line and exit code 1; anything else is a bug and keeps its traceback.

    Ctrl-C and SIGTERM raise SystemExit in the work, so that it cleans up; the exit code is 128 + signal.
    """

    @functools.wraps(work)
    def command(*arguments: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, leave)
        sys.stdin = sys.stdin or Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 (None if it is closed)
        environment.name_user()
        environment.keep_memory()
        try:
            check_memory()
            work(*arguments, **options)
        except RetrainError as error:
            fail(str(error))
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(128 + signal.SIGPIPE)
        except (OSError, MemoryError, RuntimeError, ImportError, SystemError) as error:
            user_error = as_user_error(error)
            if user_error is None:
                raise
            fail(str(user_error))

    return command


def check_memory() -> None:
    """Raise RetrainError if there is too little memory to load the libraries; some of them would crash."""
    limit, needed = environment.address_space(), environment.ADDRESS_SPACE
    if limit < needed:
        fact = f"is limited to {limit / 2**20:,.0f} MB"
        raise RetrainError("memory", fact, f"allow {needed / 2**20:,.0f} or more: ulimit -v {needed // 1024}")


def as_user_error(error: BaseException) -> RetrainError | None:
    """An error of the system (memory, disk, permissions) as one that says what to do; None for any other error."""
    if message := lack_of_memory(error):
        return RetrainError("out of memory", message, "raise the limit, or lower train.loop.batch_size")
    if not isinstance(error, OSError):
        return None
    path, fact = error.filename2 or error.filename, str(error.strerror or error)
    if not path and error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "make room; to see which, run: df -h . ${TMPDIR:-/tmp}"
        return RetrainError("the disk", f"is full ({fact})", hint)
    where = files.named(path) if path else "the system"
    if path and error.errno in SYSTEM_ERRORS:
        fact = SYSTEM_ERRORS[error.errno][0]
    return RetrainError(where, fact, hint_of(error, where if path else ""))


def leave(number: int, frame: FrameType | None) -> NoReturn:
    """A signal handler that raises SystemExit."""
    sys.exit(128 + number)


@dataclass
class Interruption:
    """The signal that asks the work to end; 0 if there was none."""

    number: int = 0
    saving: bool = False
    """Whether the work is being saved, which is a good place to stop only at its end."""


@contextmanager
def patient_signals() -> Iterator[Interruption]:
    """Note Ctrl-C and SIGTERM, so that the work can stop at a good place; after `GRACE_SECONDS` raise SystemExit, unless it is saving."""
    interruption = Interruption()

    def note(number: int, frame: FrameType | None) -> None:
        if not interruption.number:
            interruption.number = number
            signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)

    def unwind(number: int, frame: FrameType | None) -> None:
        if not interruption.saving:
            leave(interruption.number, frame)

    handlers = {signal.SIGINT: note, signal.SIGTERM: note, signal.SIGALRM: unwind}
    heard = [number for number in handlers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handlers[number]) for number in heard}
    try:
        yield interruption
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def fail(message: str) -> NoReturn:
    """Print an error as one line, and exit with 1."""
    click.echo(f"Error: {printable(' '.join(message.split()))}", err=True)
    sys.exit(1)

"""What every command line of the project shares: one-line errors, signals, and the stages' command."""

import atexit
import functools
import gc
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

from retrain import environment, files
from retrain.errors import RetrainError, lack_of_memory, printable

import click


class Seconds(click.FloatRange):
    """A number of seconds; NaN, which passes every comparison of a range, is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return number


SECONDS = Seconds(min=0)
GRACE_SECONDS = 0.8
"""How long work may take to come to a good place before a signal unwinds it."""


def stage(work: Callable[..., None]) -> click.Command:
    """A stage's command: `--dataset NAME`, run at the top of the workspace; `work` may have options of its own."""

    @click.command(help=work.__doc__)
    @click.option("--dataset", required=True, metavar="NAME", help="A dataset of params.yaml, such as ag_news.")
    @one_line_errors
    @functools.wraps(work)
    def command(dataset: str, **options: Any) -> None:
        os.chdir(environment.workspace())
        work(dataset, **options)

    return command


def stage_message(stage: str, dataset: str) -> Callable[[str], None]:
    """A function that prints a line about a stage to standard error."""
    return lambda text: click.echo(f"{stage} {dataset}: {text}", err=True)


def one_line_errors(work: Callable[..., None]) -> Callable[..., None]:
    """Turn what a user can mend into one line and exit code 1; anything else is a bug and keeps its traceback.

    Ctrl-C and SIGTERM unwind the work, so that nothing is left half-written, and exit with 128 + signal. However it ends, the
    process does not look through all that libraries have made for what nobody uses: with torch and MLflow that takes a second.
    """

    @functools.wraps(work)
    def command(*arguments: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, leave)
        atexit.register(gc.freeze)
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
    """Raise RetrainError where the libraries can't even be loaded: some crash then, each in its own way."""
    limit, needed = environment.address_space(), environment.ADDRESS_SPACE
    if limit < needed:
        fact = f"is limited to {limit / 2**20:,.0f} MB"
        raise RetrainError("memory", fact, f"allow {needed / 2**20:,.0f} or more: ulimit -v {needed // 1024}")


def as_user_error(error: BaseException) -> RetrainError | None:
    """What the user can do about an error of the system's: more memory, more room, other permissions; None of another."""
    if said := lack_of_memory(error):
        hint = "give it more, or lower batch_size and the network's size"
        return RetrainError("memory", f"there is not enough ({said})", hint)
    if not isinstance(error, OSError):
        return None
    where = files.named(error.filename2 or error.filename or "this machine")
    return RetrainError(where, str(error.strerror or error), "check that it is there, may be written and has room")


def leave(number: int, frame: FrameType | None) -> NoReturn:
    """A signal handler that unwinds the work."""
    sys.exit(128 + number)


@dataclass
class Interruption:
    """The signal that asks the work to end; 0 as long as there was none."""

    number: int = 0


@contextmanager
def patient_signals() -> Iterator[Interruption]:
    """Note Ctrl-C and SIGTERM, so that the work can end itself at a good place; after some grace it is unwound."""
    interruption = Interruption()

    def note(number: int, frame: FrameType | None) -> None:
        if not interruption.number:
            interruption.number = number
            signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)

    def unwind(number: int, frame: FrameType | None) -> None:
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
    """Say it in one line and leave with 1. DVC has removed the stage's earlier outputs by then; its cache has them."""
    stage = os.environ.get("DVC_STAGE", "")
    in_git = f" && git checkout reports/{stage.removeprefix('evaluate@')}/metrics.json"
    restore = f"dvc checkout {stage}{in_git if stage.startswith('evaluate@') else ''}"
    line = printable(" ".join(message.split()))
    click.echo(f"Error: {line}{f' (earlier outputs: {restore})' if stage else ''}", err=True)
    sys.exit(1)

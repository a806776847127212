"""Real commands in forked copies of a process that has imported what they need: hundreds of commands in a minute.

Run as a program it is that process: it takes a request a line, as JSON, forks, and the child goes on as the command
would, to the interpreter's own end. `Warm` is the other side.
"""

import atexit
import gc
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

SRC = Path(__file__).resolve().parents[2] / "src"
MODULES = (
    "prepare", "split", "train", "evaluate", "plot", "retrain.commands", "retrain.data.tables", "retrain.models.predictor",
    "retrain.training.loop", "retrain.devices", "retrain.data.cleaning", "retrain.commands.predict", "retrain.commands.recipe",
    "retrain.commands.curves", "retrain.commands.ui", "retrain.data.encoders.text", "retrain.data.encoders.ngrams",
    "retrain.data.encoders.numbers", "retrain.models.networks.mlp", "retrain.models.networks.embedding_bag", "retrain.models.networks.ngram_bag",
    "retrain.data.tasks.classification", "retrain.data.tasks.regression", "retrain.data.sources.files", "retrain.data.sources.docstrings",
    "retrain.data.sources.scikit_learn", "matplotlib.figure", "matplotlib.backends.backend_agg", "pyarrow.parquet",
    "sklearn.datasets", "mlflow.store.tracking.sqlalchemy_store", "requests", "tqdm", "filelock",
    "torch._dynamo", "dvc.repo",
)  # fmt: skip
LINUX_CAPABILITY_VERSION_3 = 0x20080522


@dataclass(frozen=True)
class Limits:
    """What a command may use."""

    seconds: float
    memory: int
    """Bytes of address space beyond what the imports have taken."""
    file_size: int
    """Bytes in a file; what is beyond can't be written, as on a full disk."""


ENOUGH = Limits(seconds=120, memory=3 << 30, file_size=1 << 40)


@dataclass(frozen=True)
class StageRun:
    """A command that has ended, or was ended because it did not."""

    code: int
    hung: bool
    stdout: str
    stderr: str
    peak: int
    """Bytes of memory at most, beyond those that the imports took."""

    @property
    def said(self) -> str:
        return self.stdout + self.stderr


class Warm(AbstractContextManager["Warm"]):
    """The process that has imported everything; `before` is what starts it, such as `nice`."""

    def __init__(self, environment: dict[str, str], *before: str) -> None:
        program = [*before, sys.executable, __file__]
        paths = {"PYTHONPATH": str(SRC)}
        self.process = subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment | paths
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def run(
        self, folder: Path, *command: str, stdin: str = os.devnull, limits: Limits = ENOUGH, **environment: str
    ) -> StageRun:
        """Run `prepare --dataset x`, `retrain predict x`... in a folder; `stdin` is the path of a file."""
        request = {
            "folder": str(folder), "command": command, "stdin": stdin,
            "limits": vars(limits), "environment": environment,
        }  # fmt: skip
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return StageRun(**json.loads(self.process.stdout.readline()))


def serve() -> Callable[[], Any]:
    """Answer requests until there are no more; in a child, return the command that it is to run."""
    for line in sys.stdin:
        request = json.loads(line)
        outputs = {name: os.pipe() for name in ("stdout", "stderr")}
        child = os.fork()
        if not child:
            return command_of(request, [writer for _, writer in outputs.values()])
        for _, writer in outputs.values():
            os.close(writer)
        answer = answer_of(child, {name: reader for name, (reader, _) in outputs.items()}, request["limits"]["seconds"])
        print(json.dumps(answer), flush=True)
    return sys.exit


def answer_of(child: int, outputs: dict[str, int], seconds: float) -> dict[str, Any]:
    """How a child ended and what it said; one that does not end in time is killed, with its own children."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, hung, said = time.monotonic(), False, dict.fromkeys(outputs, b"")
    for reader in outputs.values():
        os.set_blocking(reader, False)
    while True:
        ended, status, used = os.wait4(child, os.WNOHANG)
        for name, reader in outputs.items():
            said[name] += everything_in(reader)
        if ended:
            break
        if time.monotonic() - started > seconds:
            hung = True
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.002)
    for reader in outputs.values():
        os.close(reader)
    peak = max(0, used.ru_maxrss - before) * (1 if sys.platform == "darwin" else 1024)
    texts = {name: content.decode(errors="replace") for name, content in said.items()}
    return {"code": os.waitstatus_to_exitcode(status), "hung": hung, "peak": peak, **texts}


def everything_in(reader: int) -> bytes:
    """What a pipe holds just now."""
    parts = []
    with suppress(BlockingIOError):
        while part := os.read(reader, 1 << 20):
            parts.append(part)
    return b"".join(parts)


def command_of(request: dict[str, Any], outputs: list[int]) -> Callable[[], Any]:
    """The command of a request; this process becomes one that a shell would have started for it."""
    os.setsid()
    os.chdir(request["folder"])
    for number, file in enumerate((os.open(request["stdin"], os.O_RDONLY), *outputs)):
        os.dup2(file, number)
    os.environ.update({"RETRAIN_TRACKING": "here"} | request["environment"])
    name, *arguments = request["command"]
    sys.argv = [str(SRC / f"{name}.py") if name != "retrain" else "retrain", *arguments]
    give_up_privileges()
    limit(Limits(**request["limits"]))
    module = importlib.import_module("retrain.commands" if name == "retrain" else name)
    return module.main


def limit(limits: Limits) -> None:
    """Set the limits of this process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file_size, limits.file_size))
    if sys.platform == "linux":
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + limits.memory,) * 2)


def give_up_privileges() -> None:
    """Make root obey the permissions of files, as everyone else does."""
    if sys.platform == "linux":
        import ctypes

        header = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3, 0)
        ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)())


def import_everything() -> None:
    """Import what commands need, once and for all of them, and use none of it: a fork takes no threads along."""
    from retrain import environment
    from retrain.tracking import store

    environment.pin_cpu(threads=1)
    store.configure_mlflow()
    for module in MODULES:
        importlib.import_module(module)


def run_to_the_end(command: Callable[[], Any]) -> None:
    """What the interpreter does with a program, but for tidying up memory, which takes a second of a large process."""
    code = 0
    try:
        command()
    except SystemExit as left:
        code = left.code or 0
    except BaseException:  # noqa: BLE001 (as the interpreter does)
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    import_everything()
    gc.freeze()
    run_to_the_end(serve())

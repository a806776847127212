"""`retrain serve` as a process, and models that answer differently."""

import multiprocessing
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrain.files import replacing
from support.model_folders import write_model
from support.project import REPOSITORY
from support.servers import wait

import requests
import torch
from safetensors.torch import load_file, save_file

PROGRAM = "from retrain.commands import run; run()"


FORKS = multiprocessing.get_context("forkserver")
"""Makes copies of a process that has imported what a server needs: most of a server's start is imports."""
FORKS.set_forkserver_preload(["retrain.commands.serve", "retrain.serving.server"])


class Fork:
    """A server in such a copy, with as much of `subprocess.Popen` as tests use."""

    def __init__(self, log: Path, arguments: tuple[str, ...], hidden: tuple[str, ...]) -> None:
        self.process = FORKS.Process(target=serve_here, args=(log, arguments, hidden))
        self.process.start()

    def poll(self) -> int | None:
        """The exit code; None if it runs."""
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.process.pid, number)

    def wait(self, timeout: float) -> int:
        """The exit code, once it has ended."""
        self.process.join(timeout)
        assert self.process.exitcode is not None, "it did not end in time"
        return self.process.exitcode

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.join()


def serve_here(log: Path, arguments: tuple[str, ...], hidden: tuple[str, ...]) -> None:
    """Go on as the server that a shell would have started."""
    from retrain import commands

    os.chdir(log.parent)
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    for number in (1, 2):
        os.dup2(output, number)
    sys.modules.update(dict.fromkeys(hidden))
    sys.argv = ["retrain", "serve", *arguments, "--port", "0"]
    commands.run()


class Service:
    """A running server."""

    def __init__(self, process: "subprocess.Popen | Fork", log: Path) -> None:
        self.process, self.path = process, log
        wait(lambda: "serving " in self.log() or process.poll() is not None, 0.05)
        found = re.search(r"on (http://\S+:(\d+))", self.log())
        assert found, self.log()
        self.url, self.port = found[1], int(found[2])

    def log(self) -> str:
        """What it has printed."""
        return self.path.read_text(encoding="utf-8")

    def post(self, body: bytes, kind: str | None = "application/json", path: str = "/invocations") -> requests.Response:
        """The response to a body."""
        return requests.post(self.url + path, data=body, headers={"content-type": kind} if kind else {}, timeout=30)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=60)


@contextmanager
def serve(log: Path, *arguments: str, hidden: tuple[str, ...] = ()) -> Iterator[Service]:
    """A server on a free port, until the end of the block; some libraries are as if they were not installed."""
    log.touch()
    process = Fork(log, arguments, hidden)
    try:
        yield Service(process, log)
    finally:
        process.kill()


def run_serve(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """A server that ends by itself."""
    command = [sys.executable, "-c", PROGRAM, "serve", *arguments]
    return subprocess.run(
        command, check=False, cwd=folder, env=variables(), capture_output=True, text=True, timeout=120
    )


def hiding(libraries: tuple[str, ...]) -> str:
    """Lines of a program that make imports of these libraries fail."""
    return f"import sys; sys.modules.update(dict.fromkeys({libraries!r})); "


def variables() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}


def model_that_answers(folder: Path, encoder: str = "ngrams", task: str = "classification", seed: int = 1) -> Path:
    """A model with random weights, in a new folder."""
    return reweigh(write_model(folder, encoder, task), seed)


def reweigh(folder: Path, seed: int) -> Path:
    """Replace the weights of a model: it answers differently afterwards."""
    generator = torch.Generator().manual_seed(seed)
    weights = load_file(folder / "model.safetensors")
    random = {
        name: torch.randn(tensor.shape, generator=generator) if tensor.is_floating_point() else tensor
        for name, tensor in weights.items()
    }
    with replacing(folder / "model.safetensors") as (draft,):
        save_file(random, draft)
    return folder

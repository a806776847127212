"""Servers of the tests: free ports, waiting, and ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import requests

Answer = Callable[[BaseHTTPRequestHandler], None]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/health", timeout=5).ok
    except requests.ConnectionError:
        return False


def wait(happened: Callable[[], bool], seconds: float = 0.25) -> None:
    """Wait for something, for two minutes at most; it is asked for again after so many seconds."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if happened():
            return
        time.sleep(seconds)
    raise AssertionError("it did not happen in time")


def end(process: subprocess.Popen) -> None:
    """End a process and its group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=15)


@contextmanager
def running(command: list[str], port: int, folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen]:
    """A server, from its first answer to the end of the block; what it says goes to `said.txt` in the folder."""
    said = folder / "said.txt"
    with (
        said.open("wb") as output,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):  # fmt: skip
        try:
            wait(lambda: answers(port) or process.poll() is not None)
            assert process.poll() is None, said.read_text()
            yield process
        finally:
            end(process)


SERVER = """
import os, sys
import uvicorn
from mlflow import server

folder, port = sys.argv[1:]
os.environ |= {
    server.BACKEND_STORE_URI_ENV_VAR: f"sqlite:///{folder}/server.db", server.SERVE_ARTIFACTS_ENV_VAR: "true",
    server.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/", server.ARTIFACTS_DESTINATION_ENV_VAR: f"{folder}/served",
}
uvicorn.run("mlflow.server.fastapi_app:app", port=int(port), log_level="warning")
"""
"""What `mlflow server` runs in a process of its own, after it has imported as much itself."""


@contextmanager
def mlflow_server(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """The address of an MLflow server with a store of its own in a folder, until the end of the block."""
    port = free_port()
    with running([sys.executable, "-c", SERVER, str(folder), str(port)], port, folder, environment):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def closed_port() -> Iterator[int]:
    """A port of 127.0.0.1 that is taken, so that no one else gets it, and on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@contextmanager
def listening(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server on 127.0.0.1, which ends with the block, however that ends: it would keep a core busy."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving(other: Answer, answers: Mapping[str, Answer] | None = None) -> Iterator[tuple[str, list[str]]]:
    """A server on 127.0.0.1 with these answers by path, and another for all other paths; and the paths of its requests."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            with suppress(ConnectionError):
                (answers or {}).get(self.path.partition("?")[0], other)(self)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with listening(Handler) as server:
        yield server, asked


def answer(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    """Answer with a body and headers. Underscores in their names become hyphens."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def sending(body: bytes, missing: int = 0) -> Answer:
    """Sends a body, and claims that so many bytes more follow."""
    return lambda handler: answer(handler, body, Content_Length=str(len(body) + missing))


def redirect(location: str) -> Answer:
    """Leads to another location."""
    return lambda handler: answer(handler, b"", status=302, Location=location, Content_Length="0")

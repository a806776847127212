"""Servers of the tests: free ports, waiting, and ends."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

import requests


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

"""Bad clients, overload, and the end of a server."""

import asyncio
import json
import signal
import socket
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from retrain.serving.batches import Batches
from retrain.serving.counters import Counters
from retrain.serving.limits import Limits, RefusedError

import pytest
import requests
from support.service import model_that_answers, run_serve, serve

SECONDS = 2
HEAD = b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
BODY = b'{"inputs": ["a ship"]}'
WHOLE = HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return model_that_answers(tmp_path_factory.mktemp("limits") / "boats")


@pytest.fixture(scope="module", params=["httptools", "h11"])
def small(folder, request, tmp_path_factory):
    """A server with low limits, with the extra `serve` and without it."""
    hidden = ("httptools", "uvloop") if request.param == "h11" else ()
    options = ["--timeout", str(SECONDS), "--max-rows", "500", "--max-body", "1", "--max-queue", "1"]
    with serve(tmp_path_factory.mktemp("small") / "log", str(folder), *options, hidden=hidden) as service:
        yield service


def talk(port: int, *parts: bytes) -> bytes:
    """What a server answers to bytes sent over a connection, until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"".join(parts))
        return received(connection)


def received(connection: socket.socket) -> bytes:
    """All bytes until the end."""
    content = b""
    try:
        while part := connection.recv(1 << 16):
            content += part
    except ConnectionError:
        pass
    return content


def error_of(answer: bytes) -> tuple[int, str]:
    """Status and error code of a response."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error_code"]


def test_too_many_rows(small):
    answer = small.post(json.dumps({"inputs": ["a"] * 501}).encode())
    assert (answer.status_code, answer.json()["error_code"]) == (413, "REQUEST_TOO_LARGE")
    assert len(small.post(json.dumps({"inputs": ["a"] * 500}).encode()).json()["predictions"]) == 500


def test_too_large_bodies(small):
    assert small.post(b" " * (1 << 20) + b"x").status_code == 413
    declared = talk(small.port, HEAD + b"content-length: 1000000000\r\nconnection: close\r\n\r\n")
    assert error_of(declared) == (413, "REQUEST_TOO_LARGE")

    def chunks():
        for _ in range(64):
            yield b" " * (1 << 16)

    assert small.post(chunks()).status_code == 413


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        HEAD + b"content-length: -1\r\n\r\n",
        HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_http(small, sent):
    assert error_of(talk(small.port, sent)) == (400, "BAD_REQUEST")


def test_slow_clients_are_cut_off(small):
    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        silent, slow_head, slow_body, kept = pool.map(
            lambda parts: talk(small.port, *parts),
            [(b"",), (HEAD,), (HEAD + b"content-length: 100\r\n\r\n", b"{"), (WHOLE,)],
        )
    assert time.monotonic() - began < 20
    assert silent == b""
    assert error_of(slow_head) == error_of(slow_body) == (408, "REQUEST_TIMEOUT")
    assert kept.startswith(b"HTTP/1.1 200")
    assert kept.count(b"HTTP/1.1") == 1  # an idle connection is closed without a word


def test_a_slow_reader_is_cut_off(small):
    rows = json.dumps({"inputs": ["a"] * 100}).encode()
    one = HEAD + b"content-length: %d\r\n\r\n" % len(rows) + rows
    with socket.create_connection(("127.0.0.1", small.port), timeout=60) as connection:
        every = iter([one] * 100_000)  # far more than the buffers on the way hold
        with pytest.raises(ConnectionError):
            deque(map(connection.sendall, every), 0)
        assert len(list(every)) > 50_000


def test_requests_in_a_row(small):
    last = WHOLE.replace(b"host: x", b"host: x\r\nconnection: close")
    assert talk(small.port, WHOLE + WHOLE + last).count(b"HTTP/1.1 200") == 3


def test_a_client_that_leaves(small):
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", small.port)) as connection:
            connection.sendall(HEAD + b"content-length: 100\r\n\r\n{")
        with socket.create_connection(("127.0.0.1", small.port)) as connection:
            connection.sendall(WHOLE)
    assert small.post(BODY).status_code == 200
    assert "failed" not in small.log()


def test_overload_is_refused(small):
    large = json.dumps({"inputs": ["the ship and the harbour, an anchor, a cow near the barn " * 20] * 500}).encode()
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda _: small.post(large), range(48)))
    refused = [answer for answer in answers if answer.status_code == 503]
    assert {answer.status_code for answer in answers} == {200, 503}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert refused[0].json()["error_code"] == "TEMPORARILY_UNAVAILABLE"


def test_open_to_others_is_a_warning_and_connections_are_limited(folder, tmp_path):
    open_ones = []
    with serve(tmp_path / "log", str(folder), "--host", "0.0.0.0") as service:  # noqa: S104
        assert "Warning: the server is open to other machines, without a password or encryption" in service.log()
        try:
            open_ones += [socket.create_connection(("127.0.0.1", service.port)) for _ in range(1000)]
            assert error_of(talk(service.port, WHOLE)) == (503, "TEMPORARILY_UNAVAILABLE")
        finally:
            for connection in open_ones:
                connection.close()
        assert service.post(BODY).status_code == 200
        assert service.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_answers_what_has_arrived(folder, tmp_path, number):
    rows = json.dumps({"inputs": ["the ship and the harbour"] * 10_000}).encode()
    with serve(tmp_path / "log", str(folder)) as service, ThreadPoolExecutor(4) as pool:
        large = [pool.submit(service.post, rows) for _ in range(3)]
        with socket.create_connection(("127.0.0.1", service.port)) as half:
            half.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY[:5])
            while metric(service, "connections") < 5:
                time.sleep(0.01)
            service.process.send_signal(number)
            time.sleep(0.3)
            half.sendall(BODY[5:])
            assert received(half).startswith(b"HTTP/1.1 200")
        assert [one.result().status_code for one in large] == [200] * 3
        assert service.process.wait(timeout=60) == 0
        last = service.log().splitlines()[-1]
        assert last.endswith("stopped; all requests have been answered")
        with pytest.raises(requests.ConnectionError):
            service.post(BODY)


def metric(service, name: str) -> float:
    text = requests.get(f"{service.url}/metrics", timeout=9).text
    return float(next(line for line in text.splitlines() if line.startswith(f"retrain_serve_{name} ")).split()[1])


def test_a_taken_port_is_named(folder, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run_serve(tmp_path, str(folder), "--port", str(port))
    assert ended.returncode == 1
    assert ended.stderr == (
        f"Error: 127.0.0.1, port {port} can't be used (Address already in use); use --port 0 for a free one\n"
    )


def test_without_a_queue_the_idle_thread_still_works():
    async def answers():
        batches = Batches(Limits(queue=0), Counters())
        release = threading.Event()
        first = asyncio.create_task(batches.in_thread(release.wait))
        await asyncio.sleep(0)
        with pytest.raises(RefusedError, match="try again later"):
            await batches.in_thread(list)
        release.set()
        return [await first, await batches.in_thread(list)]

    assert asyncio.run(answers()) == [True, []]

"""The routes of the server: an ASGI application without a framework."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any, NamedTuple

from retrain.data.raw_rows import RawRows, gaps, unknown
from retrain.errors import RetrainError
from retrain.models.explaining import explain
from retrain.models.model import Columns, Model
from retrain.serving.batches import SMALL_BYTES, SMALL_ROWS, Batches
from retrain.serving.bodies import count_of, rows_of
from retrain.serving.connections import error_body
from retrain.serving.counters import CONTENT_TYPE, EMPTY, UNKNOWN, ZONES, Counters
from retrain.serving.limits import BUSY, Limits, RefusedError
from retrain.serving.page import page, security_headers
from retrain.serving.watching import Served

import orjson

__all__ = ["App"]


PROTOCOL = "3.17.2"
"""The version of MLflow whose scoring protocol this is; its clients ask for it."""
JSON = "application/json"
CLIENT_LEFT = 499

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Strange = dict[tuple[str, str], int]
"""As in `Counters.strange`."""


class Response(NamedTuple):
    """What is sent to a client."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = {}


class ClientLeftError(Exception):
    """The client closed the connection before it had sent its request."""


class App:
    """What the server answers."""

    def __init__(self, served: Served, limits: Limits, log: Callable[[str], None], *, access_log: bool) -> None:
        self.served, self.limits, self.log, self.access_log = served, limits, log, access_log
        self.counters = Counters()
        self.batches = Batches(limits, self.counters)
        self.connections: set[Any] = set()
        self.buffered = 0
        """Bytes of bodies that are in memory."""
        self.unanswered = 0
        """Requests that a stop did not wait for."""
        self.get_routes = {
            "/": self.page,
            "/ping": lambda: Response(200, b"\n"),
            "/health": self.health,
            "/version": lambda: Response(200, PROTOCOL.encode(), "text/plain; charset=utf-8"),
            "/metrics": self.metrics,
        }
        self.post_routes = {"/invocations": self.predictions, "/explain": self.explanation}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        path, began = scope["path"], time.perf_counter()
        try:
            answer = await self.answer(scope["method"], path, scope, receive)
        except RefusedError as refused:
            answer = refusal(refused)
        except ClientLeftError:
            self.count(path, CLIENT_LEFT, began)
            return
        except asyncio.CancelledError:  # a stop that takes too long
            self.unanswered += 1
            answer = refusal(RefusedError(503, "the server stops", BUSY))
        except Exception as error:  # noqa: BLE001 (a fault of the server ends one request, not the others)
            self.log(f"{path} failed: {place_of(error)}")
            answer = refusal(RefusedError(500, "the server failed; its log has a line about it"))
        self.count(path, answer.status, began)
        headers = {"content-type": answer.content_type, "content-length": str(len(answer.body)), **answer.headers}
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
        await send({"type": "http.response.body", "body": answer.body})

    async def answer(self, method: str, path: str, scope: Scope, receive: Receive) -> Response:
        """The answer to a request; raises RefusedError if there is none."""
        if compute := self.post_routes.get(path):
            require(method, ("POST",))
            headers = dict(scope["headers"])
            body = await self.body_of(headers, receive)
            try:
                return await compute(body, headers.get(b"content-type", b"").decode("latin-1"))
            finally:
                self.buffered -= len(body)
        if read := self.get_routes.get(path):
            require(method, ("GET", "HEAD"))
            return read()
        raise RefusedError(404, "there is nothing here; predictions are at /invocations")

    async def body_of(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """The body of a request. The caller subtracts its size from `buffered`.

        Raises:
            RefusedError: it is too large, or compressed.
            ClientLeftError: it does not arrive.
        """
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise RefusedError(415, "compressed bodies are not supported")
        self.check_size(int(headers.get(b"content-length", b"0")))
        body, more = bytearray(), True
        try:
            while more:
                message = await received(receive)
                body += message["body"]
                more = message["more_body"]
                self.buffered += len(message["body"])
                self.check_size(len(body))
        except BaseException:
            self.buffered -= len(body)
            raise
        return bytes(body)

    def check_size(self, size: int) -> None:
        """Raise RefusedError if a body of this size is too large, alone or together with all others."""
        if size > self.limits.body_bytes:
            fact = f"the body is larger than {self.limits.body_bytes:,} bytes"
            raise RefusedError(413, f"{fact}; send fewer rows at once")
        if self.buffered > self.limits.buffered_bytes:
            raise RefusedError(503, "too many large requests arrive at once; try again later", BUSY)

    async def predictions(self, body: bytes, content_type: str) -> Response:
        """The predictions for the rows of a body."""
        model = self.served.model  # the same for the whole request, also if another one replaces it meanwhile
        if len(body) > SMALL_BYTES:
            rows, strange, content = await self.batches.in_thread(partial(self.large, model, body, content_type))
        else:
            _, columns, rows, strange = self.checked(model, body, content_type)
            if rows <= SMALL_ROWS:
                content = written(await self.small(model, columns, rows))
            else:
                content = await self.batches.in_thread(lambda: written(answers_of(model, columns)))
        self.counters.rows += rows
        if strange:
            self.counters.strange.update(strange)
        return Response(200, content, headers={"model-sha256": model.short_sha256})

    def checked(self, model: Model, body: bytes, content_type: str) -> tuple[RawRows, Columns, int, Strange]:
        """The rows of a body, their columns, and the numbers of rows and of values that the model does not know; raises RefusedError where the client is at fault."""
        rows = rows_of(body, content_type)
        count = count_of(rows)
        if count > self.limits.rows:
            fact = f"there are {count:,} rows, but a request may have {self.limits.rows:,} at most"
            raise RefusedError(413, f"{fact}; send them in parts")
        try:
            columns = model.columns_of(rows)
            return rows, columns, count, counted(model, columns, rows)
        except RetrainError as error:
            raise RefusedError(400, str(error)) from None

    async def small(self, model: Model, columns: Columns, rows: int) -> list[dict[str, Any]]:
        """The answers to a small request."""
        if not rows:
            return []
        with blaming(model, columns):
            if len(self.connections) == 1:  # no other client can join, so there is no batch to wait for
                return self.batches.predict_now(model, columns, rows)
            return await self.batches.predict(model, columns, rows)

    def large(self, model: Model, body: bytes, content_type: str) -> tuple[int, Strange, bytes]:
        """The number of rows of a large request and of values that the model does not know, and its answer, all in the worker thread."""
        _, columns, rows, strange = self.checked(model, body, content_type)
        return rows, strange, written(answers_of(model, columns))

    async def explanation(self, body: bytes, content_type: str) -> Response:
        """The answer to a single row, and where it comes from."""
        model = self.served.model
        rows, columns, count, _ = self.checked(model, body, content_type)
        if count != 1:
            raise RefusedError(400, f"there are {count:,} rows, but one row is explained at a time")
        with blaming(model, columns):
            found = await self.batches.in_thread(partial(explain, model, columns))
        told = asdict(found) | {"warnings": model.warnings_of(rows, columns)}
        return Response(200, orjson.dumps(told), headers={"model-sha256": model.short_sha256})

    def page(self) -> Response:
        """The page on which a row can be typed."""
        return Response(
            200, page(self.served.model, self.served.sha256), "text/html; charset=utf-8", security_headers()
        )

    def health(self) -> Response:
        """That the server answers, and which model."""
        served = self.served
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(served.since))
        facts = {"status": "ok", "model": served.model.name, "sha256": served.sha256, "since": since}
        if served.problem:
            facts["problem"] = served.problem
        return Response(200, orjson.dumps(facts) + b"\n")

    def metrics(self) -> Response:
        """The counters, for Prometheus."""
        served = self.served
        text = self.counters.text(served.model.name, served.sha256, len(self.connections), self.batches.waiting)
        return Response(200, text.encode(), CONTENT_TYPE)

    def count(self, path: str, status: int, began: float) -> None:
        """Count a request, and log it if asked to."""
        seconds = time.perf_counter() - began
        known = path if path in self.get_routes or path in self.post_routes else "other"
        self.counters.requests[known, status] += 1
        if path == "/invocations":
            self.counters.seconds.add(seconds)
        if self.access_log:
            self.log(f"{known} {status} {1000 * seconds:.1f} ms")


async def received(receive: Receive) -> Message:
    """The next part of a body; raises ClientLeftError if there is none."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientLeftError
    return message


def require(method: str, methods: tuple[str, ...]) -> None:
    """Raise RefusedError for another method."""
    if method not in methods:
        raise RefusedError(405, f"use {methods[0]}", {"allow": ", ".join(methods)})


def refusal(refused: RefusedError) -> Response:
    """The answer to a refused request."""
    return Response(refused.status, error_body(refused.status, refused.message), headers=refused.headers)


def counted(model: Model, columns: Columns, rows: RawRows) -> Strange:
    """The number of values that the model does not know, as `Counters.strange` has them."""
    offsets = {(ZONES, name): found[model.offsets[name]] for name, found in model.zones_of(rows).items()}
    categories = {(UNKNOWN, name): len(values) for name, values in unknown(columns, model.encoder).items()}
    usual = model.gaps_of(rows)
    found = gaps(columns, model.encoder)[0] if usual else {}
    empty = {(EMPTY, name): count for name, count in found.items() if name in usual}
    return categories | {place: count for place, count in (offsets | empty).items() if count}


def answers_of(model: Model, columns: Columns) -> list[dict[str, Any]]:
    """The answers to a large request."""
    with blaming(model, columns):
        return model.answers(columns)


@contextmanager
def blaming(model: Model, columns: Columns) -> Iterator[None]:
    """Raise RefusedError in place of an error that the client is to blame for.

    It is if the encoder rejects the rows, for example because a number is too far off.
    """
    try:
        yield
    except RetrainError as error:
        try:
            model.encoder.encode(columns)
        except RetrainError as rejected:
            raise RefusedError(400, str(rejected)) from None
        raise error from None


def written(answers: list[dict[str, Any]]) -> bytes:
    """The body of an answer."""
    return orjson.dumps({"predictions": answers})


def place_of(error: Exception) -> str:
    """Where in the code an error comes from, without its text, which may repeat data."""
    if isinstance(error, RetrainError):
        return str(error)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" in {trace.tb_frame.f_code.co_name}, line {trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{where}"

"""uvicorn's HTTP protocols with what they lack: limits on slow clients and on connections, errors as JSON."""

import asyncio
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from retrain.serving.limits import ERROR_CODES, Limits

import orjson
from uvicorn.protocols.http.flow_control import FlowControl

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as Protocol
else:
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as Protocol
    except ImportError:  # without the extra `serve`: slower, and the same otherwise
        from uvicorn.protocols.http.h11_impl import H11Protocol as Protocol

__all__ = ["error_body", "protocol_of"]


HEAD = re.compile(rb"HTTP/1\.1 [2-5]")
"""The start of an answer that is final: the head of `100 Continue` must not wait."""
PHRASES = {400: b"Bad Request", 408: b"Request Timeout", 503: b"Service Unavailable"}


class Flow(FlowControl):
    """Reads no further request of a connection while one is answered: uvicorn would keep all of them in memory."""

    def __init__(self, transport: asyncio.Transport, busy: Callable[[], bool]) -> None:
        super().__init__(transport)
        self.busy = busy

    def resume_reading(self) -> None:
        """Read on, unless a request is being answered."""
        if not self.busy():
            super().resume_reading()


class Joined:
    """A transport that sends the head of an answer with its body: uvicorn writes them one after the other.

    Each write is a call of the system, which takes a large part of the time of a small answer.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.head = b""

    def __getattr__(self, name: str) -> Any:
        """All that it does not do itself."""
        return getattr(self.transport, name)

    def write(self, content: bytes) -> None:
        """Write the content behind a head that waits; let the head of an answer wait for its body."""
        content, self.head = self.head + content, b""
        if HEAD.match(content) and content.endswith(b"\r\n\r\n"):
            self.head = content
        else:
            self.transport.write(content)

    def flush(self) -> None:
        """Write the head of an answer without a body."""
        if self.head:
            self.transport.write(self.head)
            self.head = b""

    def close(self) -> None:
        """Write what waits, and close."""
        self.flush()
        self.transport.close()


class Connection(Protocol):
    """A connection that knows since when it waits for its client."""

    limits: Limits

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note the time; turn away a connection that is one too many."""
        self.idle, self.since, self.written_since = True, self.loop.time(), 0.0
        self.ending = False
        super().connection_made(transport)
        self.transport = Joined(transport)  # type: ignore[assignment]
        self.flow = Flow(transport, self.is_busy)
        if len(self.connections) > self.limits.connections:
            self.refuse(503, "too many connections; try again later")

    def data_received(self, data: bytes) -> None:
        """Note when a request begins."""
        if self.idle:
            self.idle, self.since = False, self.loop.time()
        super().data_received(data)

    def on_response_complete(self) -> None:
        """The connection waits for its next request, or begins with one that has arrived already."""
        self.transport.flush()  # type: ignore[attr-defined]
        self.idle, self.since = True, self.loop.time()
        self.ending = True
        super().on_response_complete()
        self.ending = False
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def answers(self) -> bool:
        """Whether a request has arrived whole and is not answered yet."""
        return self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete

    def is_busy(self) -> bool:
        """Whether there are requests to answer before another one is read."""
        return self.ending or bool(getattr(self, "pipeline", ())) or self.answers()

    def check(self, now: float) -> None:
        """Close the connection if its client takes too long: to send a request, or to take an answer."""
        oldest = now - self.limits.seconds
        if self.transport.get_write_buffer_size():
            self.written_since = self.written_since or now
            if self.written_since < oldest:
                self.transport.abort()
            return
        self.written_since = 0.0
        if self.answers() or self.since > oldest or self.transport.is_closing():
            return
        cycle = self.cycle
        if self.idle or (cycle is not None and (cycle.response_started and not cycle.response_complete)):
            self.transport.close()
        else:
            self.refuse(408, f"the request took longer than {self.limits.seconds:g} seconds to arrive")

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self.refuse(400, "the request is not valid HTTP")

    def refuse(self, status: int, message: str) -> None:
        """Send an error without asking the app, and close the connection."""
        body = error_body(status, message)
        head = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (status, PHRASES[status], len(body)) + body)
        self.transport.close()


def protocol_of(limits: Limits) -> type[Any]:
    """The protocol of a server with these limits."""
    return type("LimitedConnection", (Connection,), {"limits": limits})


def error_body(status: int, message: str) -> bytes:
    """An error in the form of MLflow's servers."""
    return orjson.dumps({"error_code": ERROR_CODES[status], "message": message})

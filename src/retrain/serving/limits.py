"""What the server takes from its clients, and how it refuses the rest."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["BUSY", "ERROR_CODES", "Limits", "RefusedError"]


ERROR_CODES = {
    400: "BAD_REQUEST",
    404: "ENDPOINT_NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    413: "REQUEST_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}
"""The `error_code` of each status."""
BUSY = {"retry-after": "1"}
"""Headers of a refusal for lack of time or memory."""


@dataclass(frozen=True)
class Limits:
    """Limits of one server."""

    body_bytes: int = 10 << 20
    """Bytes of a request's body."""
    rows: int = 10_000
    """Rows of a request."""
    seconds: float = 10.0
    """For a client to send a whole request, or to take an answer; for a large request to wait for the worker thread."""
    queue: int = 64
    """Large requests that wait for it."""
    connections: int = 1000
    """Connections at once."""
    buffered_bytes: int = 256 << 20
    """Bytes of the bodies of all requests together."""
    stop_seconds: float = 15.0
    """For requests in flight to be answered after a signal to stop."""


@dataclass
class RefusedError(Exception):
    """A request that is not answered: its status, why, and headers of the answer. The message never repeats data."""

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)

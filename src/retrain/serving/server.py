"""A server on one port, from its start to a graceful stop."""

import asyncio
import errno
import gc
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from retrain.errors import RetrainError
from retrain.serving.app import App
from retrain.serving.connections import protocol_of
from retrain.serving.limits import Limits
from retrain.serving.watching import Served

import uvicorn

__all__ = ["listen", "run"]


WATCH_SECONDS = 1.0
CHECK_SECONDS = 1.0
BACKLOG = 2048


class Server(uvicorn.Server):
    """uvicorn's server, where a signal to stop is a normal end."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and report it."""
        await super().startup(sockets)
        self.ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and Ctrl-C, without raising them again at the end."""
        signals = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self.handle_exit) for number in signals]
        try:
            yield
        finally:
            for number, handler in zip(signals, before, strict=True):
                signal.signal(number, handler)


def listen(host: str, port: int) -> socket.socket:
    """A socket that accepts connections; port 0 takes a free one.

    Raises:
        RetrainError: the address can't be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)  # with its protocol: without, asyncio leaves Nagle's delay on
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(BACKLOG)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        hint = "use --port 0 for a free one" if in_use else "check --host, and use a port above 1023"
        raise RetrainError(f"{host}, port {port}", f"can't be used ({error.strerror})", hint) from None
    return listening


def run(
    served: Served, listening: socket.socket, limits: Limits, log: Callable[[str], None], *, access_log: bool
) -> None:
    """Serve until a signal, and answer what is in flight then."""
    app = App(served, limits, log, access_log=access_log)
    config = uvicorn.Config(
        app,
        http=protocol_of(limits), ws="none", lifespan="off", log_config=None, log_level=100, access_log=False,
        server_header=False, headers=[("x-content-type-options", "nosniff")],
        timeout_keep_alive=round(limits.seconds), timeout_graceful_shutdown=round(limits.stop_seconds),
    )  # fmt: skip
    host, port, *_ = listening.getsockname()
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    line = f"serving {served.model.name}, model {served.sha256}, on {address} (end with Ctrl-C)"
    server = Server(config, lambda: log(line))
    app.connections = server.server_state.connections

    async def check_connections() -> None:
        """Close slow connections."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            for connection in list(app.connections):
                with suppress(RuntimeError):  # of a connection that is closing
                    connection.check(loop.time())

    async def serve() -> None:
        tasks = [asyncio.create_task(check_connections())]
        tasks.append(asyncio.create_task(served.watch(WATCH_SECONDS, app.counters, log)))
        try:
            await server.serve(sockets=[listening])
        finally:
            for task in tasks:
                task.cancel()

    gc.collect()
    gc.freeze()  # what was loaded is never searched for garbage again
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(serve())
    count = app.unanswered
    outcome = f"{count} request{'s' * (count != 1)} got the status 503 instead of an answer"
    log(f"stopped; {outcome if count else 'all requests have been answered'}")

"""One listening socket, served by uvicorn until a signal stops it."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from avhash_nas.errors import AvnasError, MissingExtraError

_CONNECTIONS = 512
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def bind(host: str, port: int) -> socket.socket:
    """Binds a socket; port 0 selects any free port.

    Raises:
        AvnasError: The address is in use, or does not belong to this machine.
    """
    if not 0 <= port <= 65535:
        raise AvnasError(f"--port must be between 0 and 65535, got {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise AvnasError(f"--host {host}: {error.strerror}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise AvnasError(f"--host {host} --port {port}: cannot listen: {error.strerror}") from error
    return bound


def address(bound: socket.socket) -> str:
    """URL of a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: Any, bound: socket.socket, grace: int, announce: Callable[[], object]) -> None:
    """Serves requests until SIGINT or SIGTERM, then finishes running ones, canceling them after `grace` seconds.

    The bound socket is closed at the end; `announce` is called when the service is ready.

    Raises:
        MissingExtraError: uvicorn is not installed.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtraError("uvicorn", "serve", "the service") from error

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            announce()

    log = {**uvicorn.config.LOGGING_CONFIG}
    log["handlers"] = {name: {**handler, "stream": "ext://sys.stderr"} for name, handler in log["handlers"].items()}
    config = uvicorn.Config(
        app,
        log_config=log,
        http="h11",
        ws="none",
        lifespan="on",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=grace,
    )
    with bound, _signals_ignored():
        Server(config).run(sockets=[bound])


@contextmanager
def _signals_ignored() -> Iterator[None]:
    """Uvicorn handles signals and raises each again when it has stopped; that one is ignored."""
    previous = {each: signal.signal(each, lambda *_: None) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)

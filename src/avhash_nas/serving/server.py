"""Listening: one socket, answered by uvicorn until a signal asks it to stop."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from avhash_nas.errors import AvnasError, MissingExtraError

_CONNECTIONS = 512
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def bind(host: str, port: int) -> socket.socket:
    """Take an address, without answering on it yet.

    Args:
        host: Name or address of this machine.
        port: 0 for any that is free.

    Raises:
        AvnasError: The address is taken, or none of this machine's.
    """
    if not 0 <= port <= 65535:
        raise AvnasError(f"--port must be between 0 and 65535, got {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        taken = socket.socket(family, kind, protocol)
    except OSError as error:
        raise AvnasError(f"--host {host}: {error.strerror}") from error
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
    except OSError as error:
        taken.close()
        raise AvnasError(f"--host {host} --port {port}: cannot be listened on: {error.strerror}") from error
    return taken


def address(taken: socket.socket) -> str:
    """Where a browser finds what listens on a socket."""
    host, port = taken.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: Any, taken: socket.socket, grace: int, announce: Callable[[], object]) -> None:
    """Answer requests until SIGINT or SIGTERM, then finish those that run.

    Args:
        app: An ASGI app.
        taken: What `bind` gave; it is closed at the end.
        grace: Seconds that running requests have left after the signal; then they are cut off.
        announce: Called when requests are answered.

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
    with taken, _signals_taken():
        Server(config).run(sockets=[taken])


@contextmanager
def _signals_taken() -> Iterator[None]:
    """Within the block, signals are uvicorn's, which sends each once more when it is done: that one is ignored."""
    former = {each: signal.signal(each, lambda *_: None) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)

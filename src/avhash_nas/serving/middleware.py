"""Security checks on every request and security headers on every response."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
"""Pages load and run only files of this service; other sites can neither embed them nor read responses. `blob:` is the
video that the user has selected."""


class SecurityMiddleware:
    """Checks requests to an ASGI app and adds headers to its responses.

    Requests with a foreign `Host` are rejected, as another site could read responses through a name that resolves to
    this machine (DNS rebinding). So are requests sent by pages of other sites.

    Args:
        app: The app.
        hosts: Host names of the service, without port; empty to accept any.
    """

    def __init__(self, app: App, hosts: Iterable[str] = ()) -> None:
        self.app = app
        self.hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], *_encoded(HEADERS)]
            await send(message)

        refusal = self._refusal(scope)
        if refusal:
            await _answer(send_with_headers, *refusal)
            return
        try:
            await self.app(scope, receive, send_with_headers)
        except asyncio.CancelledError:  # the server cancels running requests when it stops
            if not started:
                await _answer(send_with_headers, 503, "the service is shutting down")

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = _without_port(headers.get(b"host", "").lower())
        if self.hosts and host not in self.hosts:
            return 421, f"unknown host name {host!r}; add it with --hosts"
        if scope["method"] not in ("GET", "HEAD") and _from_elsewhere(headers):
            return 403, "pages of other sites may not use this service"
        return None


def _from_elsewhere(headers: dict[bytes, str]) -> bool:
    """Whether a page of another site sends the request; only browsers send these headers."""
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get(b"origin")
    return origin is not None and origin.partition("://")[2] != headers.get(b"host")


def _without_port(host: str) -> str:
    """The name in a `Host` header; an IPv6 address without its brackets.

    >>> _without_port("[::1]:8000"), _without_port("localhost:80"), _without_port("localhost")
    ('::1', 'localhost', 'localhost')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


async def _answer(send: Send, status: int, message: str) -> None:
    body = json.dumps({"error": message}).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    await send({"type": "http.response.start", "status": status, "headers": _encoded(headers)})
    await send({"type": "http.response.body", "body": body})

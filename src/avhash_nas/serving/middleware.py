"""What holds for every request and every answer: hosts, other sites, headers."""

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
"""Pages load nothing from elsewhere and run no script but their own files; no other site embeds them or reads answers.
`blob:` is the video that the user has just chosen."""


class Guard:
    """Checks requests and adds headers around an ASGI app.

    A request whose `Host` is not the service's own is refused: a site elsewhere whose name is made to lead to this
    machine (DNS rebinding) would otherwise read the answers. So is one that a page of another site sends.

    Args:
        app: The app.
        hosts: Names that the service goes by, without port; empty for any.
    """

    def __init__(self, app: App, hosts: Iterable[str] = ()) -> None:
        self.app = app
        self.hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [*message["headers"], *_encoded(HEADERS)]
            await send(message)

        refusal = self._refusal(scope)
        if refusal:
            await _answer(send_with_headers, *refusal)
            return
        try:
            await self.app(scope, receive, send_with_headers)
        except asyncio.CancelledError:  # the server cuts off what still runs when it is asked to stop
            if not begun:
                await _answer(send_with_headers, 503, "the service is shutting down")

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = _without_port(headers.get(b"host", "").lower())
        if self.hosts and host not in self.hosts:
            return 421, f"this service does not go by the name {host!r}; its --hosts option adds names"
        if scope["method"] not in ("GET", "HEAD") and _from_elsewhere(headers):
            return 403, "pages of other sites may not use this service"
        return None


def _from_elsewhere(headers: dict[bytes, str]) -> bool:
    """Whether a page of another site sends the request; programs that are no browsers send neither header."""
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

"""What every request passes before the application sees it, and every answer on its way out."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dexml.dashboard.problems import problem

__all__ = ["BODY_LIMIT", "LOOPBACK_HOSTS", "Guard"]

BODY_LIMIT = 64 * 1024
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")

_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class Guard:
    """ASGI middleware: host allow-list, body limit, security headers, a request id.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    hosts : iterable of str
        Names under which the service may be called, without port; others are refused, so that a
        page which rebinds its name to this address reads nothing.
    body_limit : int
        Bytes of request body, whatever the Content-Length says.
    """

    def __init__(
        self, app: ASGIApp, hosts: Iterable[str] = LOOPBACK_HOSTS, body_limit: int = BODY_LIMIT
    ) -> None:
        self.app, self.hosts, self.body_limit = app, frozenset(hosts), body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        scope["dexml_request_id"] = request_id
        send = _with_headers(send, request_id)
        refusal = self._refusal(headers, request_id)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self.app(scope, self._counted(receive), send)

    def _refusal(self, headers: Headers, request_id: str) -> ASGIApp | None:
        host = re.sub(r":\d+$", "", headers.get("host", ""))
        if host not in self.hosts:
            fix = "Ask for it by the address that dexml printed."
            return problem(421, "Unknown host", f"{host!r} is not served here.", fix, request_id)
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            fix = "Send a whole number."
            return problem(400, "Bad content length", "It is not a number.", fix, request_id)
        if int(length) > self.body_limit:
            fix = f"Send at most {self.body_limit} bytes at a time."
            return problem(413, "Body too large", f"It has {length} bytes.", fix, request_id)
        return None

    def _counted(self, receive: Receive) -> Receive:
        n_bytes = 0

        async def counted() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > self.body_limit:
                raise HTTPException(413, "Body too large")  # the application answers with it
            return message

        return counted


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _with_headers(send: Send, request_id: str) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers["X-Request-Id"] = request_id
        await send(message)

    return with_headers

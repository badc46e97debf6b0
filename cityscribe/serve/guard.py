"""What stands before every request: who may ask, how much may be sent, how many at once; and what is noted of it.

- Without a token only this machine is served, and only to pages of its own: a foreign page that a browser shows can
  send requests here too, but not without its own name in `Origin`, or in `Host` where it made a name point here.
- A body is counted while it arrives, whatever its length is said to be, and must arrive in time.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cityscribe.serve.log import log, log_bug
from cityscribe.serve.metrics import ServiceMetrics
from cityscribe.serve.refusal import Refusal, disk_full, no_room, stopping
from cityscribe.serve.settings import ServeSettings

LOOPBACK = ("127.0.0.1", "localhost", "::1")

OPEN = ("/", "/healthz", "/readyz", "/page/style.css", "/page/page.js", "/page/camera.js")
"""What needs no token: the page itself holds no content."""

UPLOAD = "/v1/describe"


def security_headers(media: str) -> tuple[tuple[bytes, bytes], ...]:
    """The headers of every answer: a page loads what this service gives, and videos from `media` only."""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; "
        f"media-src {media}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return (
        (b"content-security-policy", policy.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-resource-policy", b"same-origin"),
    )


HEADERS = security_headers("blob:")


@dataclass(eq=False, slots=True)
class Guard:
    """The ASGI application around the one that answers."""

    app: ASGIApp
    settings: ServeSettings
    token: str  # empty: none is needed
    metrics: ServiceMetrics
    stopping: Callable[[], bool]
    admitted: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no route speaks anything else; the server then refuses the connection
        began = time.monotonic()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
            await send(message)

        if scope["path"] != "/" and scope["path"].endswith("/"):
            scope["path"] = scope["path"].rstrip("/") or "/"  # some clients put one behind every address
        body = _Body(receive, self._most_bytes(scope), self.settings.receive_timeout_s)
        counted = False
        try:
            self._check(scope)
            if scope["method"] == "POST":
                self._admit()
                counted = True
            await self.app(scope, body.receive, sending)
        except Refusal as refusal:
            if not status:
                await refusal.response()(scope, receive, sending)
        except Exception as error:
            full = no_room(error)
            if not full:
                log_bug("request", error)
            if not status:
                reply = disk_full() if full else Refusal(500, "internal", "an error of the service")
                await reply.response()(scope, receive, sending)
        finally:
            self.admitted -= counted
            route = getattr(scope.get("route"), "path", "other")  # a refused or unknown request has no route
            seconds = time.monotonic() - began
            self.metrics.count("cityscribe_requests_total", route=route, status=str(status))
            self.metrics.took(route, seconds)
            log("request", route=route, status=status, ms=round(seconds * 1000, 1), bytes=body.bytes)

    def _admit(self) -> None:
        if self.stopping():
            raise stopping()
        if self.admitted >= self.settings.queue:
            raise Refusal(429, "queue_full", f"{self.admitted} requests are being answered or wait already")
        self.admitted += 1

    def _check(self, scope: Scope) -> None:
        headers = headers_of(scope)
        if is_foreign(headers):
            raise Refusal(403, "foreign_page", "pages of other sites cannot ask here")
        if not self.token:
            if host_name(headers) not in (*LOOPBACK, self.settings.host.lower()):
                raise Refusal(403, "foreign_host", "without a token only this machine is served, by its own name")
        elif scope["path"] not in OPEN:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self.token.encode()):
                raise Refusal(401, "token", "expected the service's token: Authorization: Bearer TOKEN")
        length = headers.get("content-length", "0")
        if length.isascii() and length.isdigit() and int(length) > self._most_bytes(scope):
            raise _too_large(self._most_bytes(scope))

    def _most_bytes(self, scope: Scope) -> int:
        megabytes = self.settings.max_upload_mb if scope["path"] == UPLOAD else self.settings.max_body_mb
        return megabytes * 1_000_000


@dataclass(eq=False, slots=True)
class _Body:
    """Counts what is received of a request, and how long it takes."""

    inner: Receive
    most: int
    timeout_s: float
    bytes: int = 0
    ends: float = 0.0
    whole: bool = False

    async def receive(self) -> Message:
        if self.whole:
            return await self.inner()
        self.ends = self.ends or time.monotonic() + self.timeout_s
        try:
            message = await asyncio.wait_for(self.inner(), max(self.ends - time.monotonic(), 0.001))
        except TimeoutError:
            words = f"the request did not arrive within {self.timeout_s:g} s"
            raise Refusal(408, "receive_timeout", words) from None
        self.whole = not message.get("more_body", False)
        self.bytes += len(message.get("body", b""))
        if self.bytes > self.most:
            raise _too_large(self.most)
        return message


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers of a request by their names in lower case."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def is_foreign(headers: Mapping[str, str]) -> bool:
    """Whether a page of another site sends the request; one that says its origin in no known form is of another."""
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    except ValueError:
        return True


def host_name(headers: Mapping[str, str]) -> str:
    """The name in the Host header in lower case, without port and brackets."""
    host = headers.get("host", "").lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _too_large(most: int) -> Refusal:
    return Refusal(413, "too_large", f"up to {most / 1e6:g} MB are taken in this request")

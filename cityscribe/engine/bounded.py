"""An HTTP client that gives up: on a reply that is not whole within a time, and on one that is too large.

The timeouts of HTTP libraries are for one read, so that a server which sends a byte now and then holds its client for
ever, and one that never ends fills the memory. Here a timer shuts the connection down, and bodies are counted as they
come, unpacked.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any

import httpx2 as httpx


class BoundedClient(httpx.Client):
    """`deadline_s` is for all of a reply from the moment it is asked for, `max_bytes` for its body. A reply that is
    asked for as a stream is the caller's to bound.

    Each request has a connection of its own: the one that is shut down holds no other request's reply.
    """

    def __init__(self, *, deadline_s: float, max_bytes: int) -> None:
        super().__init__(
            timeout=httpx.Timeout(deadline_s),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            follow_redirects=False,  # the body of a redirection would be read without a limit
        )
        self.deadline_s = deadline_s
        self.max_bytes = max_bytes

    def send(self, request: httpx.Request, *, stream: bool = False, **options: Any) -> httpx.Response:
        """As httpx. Raises httpx.ReadTimeout at the deadline and httpx.ReadError for a reply that is too large."""
        if stream:
            return super().send(request, stream=True, **options)
        ends = time.monotonic() + self.deadline_s
        connection = _Connection()
        request.extensions = {**request.extensions, "trace": connection.trace}
        timer = threading.Timer(self.deadline_s, connection.shut_down)
        timer.daemon = True
        timer.start()
        try:
            response = self._whole(super().send(request, stream=True, **options), request)
        except httpx.TransportError as error:
            if connection.over or time.monotonic() >= ends:
                raise self._too_late(request) from error
            raise
        finally:
            timer.cancel()
        if connection.over:  # the end of a connection can pass for the end of a body
            raise self._too_late(request)
        return response

    def _too_late(self, request: httpx.Request) -> httpx.ReadTimeout:
        return httpx.ReadTimeout(f"no whole reply within {self.deadline_s:g} s", request=request)

    def _whole(self, response: httpx.Response, request: httpx.Request) -> httpx.Response:
        try:
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > self.max_bytes:
                    raise httpx.ReadError(f"a reply of more than {self.max_bytes} bytes", request=request)
        finally:
            response.close()
        unpacked = [
            (name, value)
            for name, value in response.headers.multi_items()
            if name not in ("content-encoding", "content-length", "transfer-encoding")
        ]
        return httpx.Response(response.status_code, headers=unpacked, content=bytes(body), request=request)


class _Connection:
    """The connection of one request, found while it is opened."""

    def __init__(self) -> None:
        self.stream: Any = None
        self.over = False

    def trace(self, event: str, info: dict[str, object]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self.stream = info["return_value"]
            if self.over:
                self.shut_down()

    def shut_down(self) -> None:
        self.over = True
        found = self.stream.get_extra_info("socket") if self.stream is not None else None
        if found is not None:
            with contextlib.suppress(OSError):  # closed already: the reply ended at the last moment
                found.shutdown(socket.SHUT_RDWR)

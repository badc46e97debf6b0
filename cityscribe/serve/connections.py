"""Connections with limits: how many there are, how long a request's head may take, how long a client may not read.

A client that connects and stays silent, sends its headers a byte a minute or never reads its answer would hold a
connection for ever, and some thousand of them all the descriptors that the process may open.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from cityscribe.serve.metrics import ServiceMetrics

SPARE_DESCRIPTORS = 96
"""Kept for files, pipes and libraries."""


def most_connections(wanted: int) -> int:
    """As many connections as wanted, or as the descriptors of this process allow."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, max(soft - SPARE_DESCRIPTORS, 8))


def bounded(most: int, head_s: float, stalled_s: float, metrics: ServiceMetrics | None = None) -> type[H11Protocol]:
    """The protocol of a server that holds at most `most` connections.

    A connection is closed when the head of a request has not arrived within `head_s` of its first byte (of the
    connection, for the first request), and when the client has read nothing for `stalled_s` of an answer that waits.
    """

    class BoundedProtocol(H11Protocol):
        _head: asyncio.TimerHandle | None = None
        _write: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > most:
                self._close("too-many")
            else:
                self._head = self.loop.call_later(head_s, self._close, "head")

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if not self._between_requests():
                self._stop_clocks(write=False)
            elif self._head is None and not self.transport.is_closing() and self.timeout_keep_alive_task is None:
                self._head = self.loop.call_later(head_s, self._close, "head")

        def pause_writing(self) -> None:
            super().pause_writing()
            self._watch_reading(self.transport.get_write_buffer_size())

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._write is not None:
                self._write.cancel()
                self._write = None

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_clocks()
            super().connection_lost(exc)

        def _watch_reading(self, unread: int) -> None:
            """Close the connection unless, by then, less is left than the `unread` bytes of now."""

            def look() -> None:
                left = self.transport.get_write_buffer_size()
                if left >= unread:
                    self._close("stalled")
                else:
                    self._watch_reading(left)

            self._write = self.loop.call_later(stalled_s, look)

        def _between_requests(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def _close(self, why: str) -> None:
            if metrics is not None:
                metrics.count("cityscribe_connections_refused_total", why=why)
            self._stop_clocks()
            self.transport.abort()

        def _stop_clocks(self, *, write: bool = True) -> None:
            clocks: list[Any] = [self._head, *([self._write] if write else [])]
            for clock in clocks:
                if clock is not None:
                    clock.cancel()
            self._head = None
            if write:
                self._write = None

    return BoundedProtocol

"""Serve the page on this machine until Ctrl-C."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from cityscribe.browse.app import browsing
from cityscribe.browse.library import Library
from cityscribe.serve.connections import bounded, most_connections
from cityscribe.serve.server import listening

HOST = "127.0.0.1"
MOST_CONNECTIONS, HEAD_S, STALLED_S = 128, 10.0, 60.0


def browse(library: Library, port: int, tell: Callable[[str], None]) -> None:
    """Serve a library, as `serve_here`."""
    serve_here(browsing(library), port, tell)


def serve_here(app: ASGIApp, port: int, tell: Callable[[str], None]) -> None:
    """Serve pages to this machine; `tell` is given the address once connections are taken. A port of 0 takes a free
    one.

    Raises InputError for a port that is taken.
    """
    with listening(HOST, port) as sock:
        config = uvicorn.Config(
            app,
            http=bounded(most_connections(MOST_CONNECTIONS), HEAD_S, STALLED_S),
            log_config=None,
            access_log=False,
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        tell(f"http://{HOST}:{sock.getsockname()[1]}")
        asyncio.run(uvicorn.Server(config).serve([sock]))

"""Start the service, and stop it gracefully.

    cityscribe serve runs/demo/model

SIGTERM and Ctrl-C: nothing new is taken, what is under way has `serve.grace_s` to finish, the rest is handed back.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn
from sse_starlette.sse import AppStatus

from cityscribe.files import InputError
from cityscribe.serve.app import Service, serving
from cityscribe.serve.connections import bounded, most_connections
from cityscribe.serve.log import log, log_to_stderr
from cityscribe.serve.refusal import Refusal
from cityscribe.serve.settings import Serving
from cityscribe.serve.workplace import workplace

TOKEN = "CITYSCRIBE_TOKEN"
LEAST_TOKEN = 16
"""Characters of a token; a shorter one can be guessed."""


def read_token(file: Path | None) -> str:
    """The token of a file, else of the environment, else none. Raises InputError for one that is too short."""
    try:
        token = os.environ.get(TOKEN, "") if file is None else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read as text") from error
    token = token.strip()
    if (token or file is not None) and (len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable()):
        raise InputError(f"{file or TOKEN}: a token is {LEAST_TOKEN} printable ASCII characters or more")
    return token


def serve(checkpoint: str, settings: Serving, drafts: Path, token: str, tell: Callable[[str], None]) -> None:
    """Serve a checkpoint until a signal says to stop. `tell` is given the address once connections are taken.

    Raises InputError for a checkpoint that cannot be used, an address that cannot be listened on, and one that others
    can reach without a token.
    """
    host = settings.serve.host
    if not token and not is_loopback(host):
        raise InputError(f"serve.host: {host} can be reached by others: give a token (--token-file or {TOKEN})")
    log_to_stderr()
    AppStatus.disable_automatic_graceful_drain()  # streams end when what they tell of does: see `Service.drain`
    limits = settings.serve
    with listening(host, limits.port) as sock, workplace() as folder:
        guard, parts = serving(checkpoint, drafts, settings, token, folder)
        config = uvicorn.Config(
            guard,
            http=bounded(
                most_connections(limits.max_connections),
                limits.head_timeout_s,
                limits.send_timeout_s,
                guard.metrics,
            ),
            log_config=None,
            access_log=False,
            lifespan="on",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
        port = sock.getsockname()[1]
        tell(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        server = _Server(config, parts, settings.serve.grace_s)
        asyncio.run(server.serve([sock]))
        loading = parts().loading
        if not loading.cancelled():
            try:
                loading.result()
            except Refusal as refusal:
                raise InputError(f"serve: {refusal.message}") from refusal


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own and of no use to others."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens on an address. Raises InputError where it is taken or none of this machine's."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(128)
    except OSError as error:
        raise InputError(f"serve: cannot listen on {host}, port {port}: {error.strerror or error}") from error
    return sock


class _Server(uvicorn.Server):
    """Ends when the model cannot be loaded, and lets the service finish before connections are closed."""

    def __init__(self, config: uvicorn.Config, parts: Callable[[], Service], grace_s: float) -> None:
        super().__init__(config)
        self._parts, self._grace_s = parts, grace_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._parts().loading.add_done_callback(self._loaded)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        drain = asyncio.create_task(self._parts().drain(self._grace_s))
        while not drain.done() and not self.force_exit:
            await asyncio.wait({drain}, timeout=0.1)
        drain.cancel()
        await super().shutdown(sockets)
        log("stopped")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Not raised again afterwards, as uvicorn does: it would end the process before its folders are removed.
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    def _loaded(self, loading: asyncio.Task[None]) -> None:
        if loading.cancelled() or loading.exception() is not None:
            self.should_exit = True

"""A process of ours that may die: started fresh, spoken to through a pipe, killed when it must be."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


class Child:
    """Runs `target(connection, *args)` in a new process. What it sends arrives in `said`; None says that it is gone.

    Must be made inside a running event loop. The process ends when its end of the pipe reads the end of the file, so
    that it never outlives the one that started it.
    """

    def __init__(self, target: Callable[..., None], *args: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self.process = context.Process(target=_run, args=(target, theirs, *args), daemon=True)
        self.process.start()
        theirs.close()
        self.said: asyncio.Queue[Any] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def tell(self, message: Any) -> None:
        """Send a message. That the process is gone is learned from `said`, not here."""
        with contextlib.suppress(OSError):
            self._pipe.send(message)

    async def broke(self) -> bool:
        """Whether the process, which is gone, ended by an error of its own rather than by a signal from outside."""
        await asyncio.to_thread(self.process.join)
        return self.process.exitcode not in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)

    async def stop(self, patience_s: float = 0.0) -> None:
        """End the process: by the end of the pipe, and by force when it is still there after `patience_s`."""
        if patience_s > 0:
            self.tell(None)
            await asyncio.to_thread(self.process.join, patience_s)
        self.process.kill()
        await asyncio.to_thread(self.process.join)
        await asyncio.to_thread(self._reader.join)
        self._pipe.close()
        self.process.close()

    def _listen(self) -> None:
        message: Any = None
        while True:
            try:
                message = self._pipe.recv()
            except (EOFError, OSError):
                message = None
            try:
                self._loop.call_soon_threadsafe(self.said.put_nowait, message)
            except RuntimeError:  # the loop is closed: nobody listens any more
                return
            if message is None:
                return


def _run(target: Callable[..., None], connection: Connection, *args: Any) -> None:
    # Ctrl-C reaches every process of a terminal; when to end is for the one that listens to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        target(connection, *args)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)

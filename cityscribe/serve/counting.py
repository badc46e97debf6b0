"""How many tokens images are, by their sizes alone: asked beside the batches, so that nobody waits for one of them."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

PATIENCE_S = 10.0
"""For a count; it takes milliseconds, unless the process is busy with what holds all threads."""


class Counting:
    """The end of a pipe at which is asked; `other_end` goes to the process that holds the model (`count_images`)."""

    def __init__(self) -> None:
        self._pipe, self.other_end = multiprocessing.get_context("spawn").Pipe()
        self._turn = threading.Lock()
        self._number = 0

    def ask(self, sizes: list[tuple[int, int]]) -> int:
        """The tokens of images of these sizes together; 0 where nobody tells."""
        with self._turn, contextlib.suppress(OSError, EOFError):
            self._number += 1
            self._pipe.send((self._number, sizes))
            ends = time.monotonic() + PATIENCE_S
            while self._pipe.poll(max(ends - time.monotonic(), 0.0)):
                number, tokens = self._pipe.recv()
                if number == self._number:  # not the answer to one who waits no more
                    return int(tokens)
        return 0

    def close(self) -> None:
        """To be called when the other process is gone: who asked is told nothing then."""
        with self._turn:
            self._pipe.close()


def count_images(pipe: Connection, processor: Any) -> None:
    """Answer what `Counting.ask` asks, until its end of the pipe is closed."""
    from cityscribe.tokens.sizes import fewest_image_tokens

    with contextlib.suppress(OSError, EOFError):
        while True:
            number, sizes = pipe.recv()
            pipe.send((number, fewest_image_tokens(processor, sizes)))

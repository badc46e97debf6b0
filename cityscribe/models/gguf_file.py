"""GGUF files read in a fraction of the time: their metadata are parsed once, and on plain arrays.

transformers parses a file anew for its tokenizer, its configuration and its weights. The reader of `gguf` cuts some
hundred thousand pieces out of a memory map, an array of a kind that is slow to cut.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np


@contextlib.contextmanager
def read_once() -> Iterator[None]:
    """Within the block each GGUF file is parsed once. Nothing happens where the package `gguf` is missing."""
    try:
        import gguf
    except ImportError:  # who reads such a file says so
        yield
        return
    readers: dict[str, Any] = {}

    class Reader(gguf.GGUFReader):  # type: ignore[misc, name-defined, unused-ignore]
        @property  # type: ignore[override, unused-ignore]
        def data(self) -> np.ndarray:
            return self._plain

        @data.setter
        def data(self, mapped: np.ndarray) -> None:
            self._plain: np.ndarray = np.asarray(mapped)

    def read(path: Any, *arguments: Any) -> Any:
        if str(path) not in readers:
            readers[str(path)] = Reader(path, *arguments)
        return readers[str(path)]

    original, names = gguf.GGUFReader, vars(gguf)
    names["GGUFReader"] = read
    try:
        yield
    finally:
        names["GGUFReader"] = original

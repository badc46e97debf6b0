"""Encoded conversations on disk: blocks of them as safetensors, read without loading the rest.

What the model takes for media is not stored, only its content keys: pixels are many times larger than tokens, and are
made again from the files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from cityscribe.files import InputError, whole_file
from cityscribe.tokens.encode import Encoded
from cityscribe.tokens.media import MediaItem

KEY_BYTES = 16
"""Of a content key."""


def write_block(path: Path, conversations: Sequence[Encoded]) -> None:
    """Write conversations, whole or not at all. Raises InputError where they cannot be written.

    `lengths` [conversations]; `input_ids`, `trained`, `media_ids` [tokens] and `position_ids` [axes, tokens] of all of
    them, one after the other; `media` [items, 16] and how many each has. Inputs per token have names of their own, and
    a length in each conversation: 0 where it has none.
    """
    names = sorted({name for each in conversations for name in each.token_inputs})
    keys = [item.key for each in conversations for item in each.media]
    arrays = {
        "lengths": np.array([each.length for each in conversations]),
        "input_ids": _joined([each.input_ids for each in conversations]),
        "trained": np.concatenate([each.trained for each in conversations]),
        "media_ids": _joined([each.media_ids for each in conversations]),
        "position_ids": np.concatenate([each.position_ids for each in conversations], axis=1).astype(np.int32),
        "media": np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), KEY_BYTES),
        "media_counts": np.array([len(each.media) for each in conversations]),
    }
    for name in names:
        values = [each.token_inputs.get(name, np.empty(0, dtype=np.int64)) for each in conversations]
        arrays[f"inputs.{name}"] = _joined(values)
        arrays[f"inputs.{name}.lengths"] = np.array([len(each) for each in values])
    try:
        with whole_file(path, shared=True) as partial:
            save_file(arrays, partial)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from error


class TokenBlock:
    """Conversations that `write_block` wrote, by their numbers. Raises InputError for a file that it did not write."""

    def __init__(self, path: Path) -> None:
        try:
            self._file: Any = safe_open(path, "np")
            names = set(self._file.keys())
            self.lengths: np.ndarray = self._file.get_tensor("lengths")
            self._starts = _starts(self.lengths)
            self._media = _starts(self._file.get_tensor("media_counts"))
            self._inputs = {
                name[len("inputs.") : -len(".lengths")]: _starts(self._file.get_tensor(name))
                for name in names
                if name.startswith("inputs.") and name.endswith(".lengths")
            }
        except (OSError, SafetensorError) as error:
            raise InputError(f"{path}: not a block of tokens: {error}; remove it") from error

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, number: int) -> Encoded:
        tokens = slice(*self._starts[number : number + 2].tolist())
        items = slice(*self._media[number : number + 2].tolist())
        inputs = {name: slice(*starts[number : number + 2].tolist()) for name, starts in self._inputs.items()}
        positions = self._file.get_slice("position_ids")[:, tokens]
        keys = self._file.get_slice("media")[items] if items.stop > items.start else ()
        return Encoded(
            input_ids=self._read("input_ids", tokens),
            position_ids=positions.astype(np.int64),
            token_inputs={
                name: self._read(f"inputs.{name}", part) for name, part in inputs.items() if part.stop > part.start
            },
            media=tuple(MediaItem(key.tobytes(), {}) for key in keys),
            media_ids=self._read("media_ids", tokens),
            trained=self._file.get_slice("trained")[tokens],
        )

    def _read(self, name: str, part: slice) -> np.ndarray:
        values: np.ndarray = self._file.get_slice(name)[part]
        return values.astype(np.int64)


def _joined(values: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(values).astype(np.int32)


def _starts(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)])

"""Drafts from a corpus: what usually follows in the training captions, for the model to verify in one step.

    drafts = Drafts([tokenizer.encode(caption, add_special_tokens=False) + [end] for caption in captions])
    drafts.propose(generated, longest=8)    # token ids, possibly none

Captions of one kind of scene repeat themselves. For contexts of several lengths the index holds the token that
follows most often in the corpus and its share of all that follow. A draft grows token by token, each by the longest
context that the corpus knows, as long as all of it together is more likely to be right than not. The model verifies a
draft in the step in which it would have generated one token, so that drafts never change an answer (retrieval-based
speculative decoding, as in REST; He et al., 2024).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

CONTEXTS = (8, 5, 3)
"""Lengths of the contexts, longest first: a long context is rare and nearly always right."""

LONGEST = 12
"""Tokens of a draft at most."""

LIKELY = 0.5
"""A draft grows while the shares of its tokens, multiplied, are at least this."""

START = -1
"""Stands before the first token of a text."""

_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no token is lost in the product


class Drafts:
    """An index over texts as token ids. Equal texts, in any order, give equal drafts.

    Contexts are known by a hash of 64 bits; two of them under one hash would cost a wrong proposal and nothing else.
    """

    def __init__(self, texts: Iterable[Sequence[int]]) -> None:
        # As many starts as the longest context, so that the beginning of a text is a context of any length.
        pad = [START] * CONTEXTS[0]
        tokens = np.array([token for text in texts for token in (*pad, *text)], dtype=np.int64)
        self.tables = {length: _follow(tokens, length) for length in CONTEXTS}

    def propose(self, generated: Sequence[int], longest: int = LONGEST) -> list[int]:
        """What may follow behind `generated`, at most `longest` tokens; empty where the corpus knows nothing."""
        context = [START] * CONTEXTS[0] + list(generated[-CONTEXTS[0] :])
        draft: list[int] = []
        chance = 1.0
        while len(draft) < min(longest, LONGEST):
            known = next((found for n in CONTEXTS if (found := self.tables[n].follow(context[-n:]))), None)
            if known is None or chance * known[1] < LIKELY:
                break
            draft.append(known[0])
            context.append(known[0])
            chance *= known[1]
        return draft


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """For every context of one length, what follows it most often."""

    keys: np.ndarray  # [contexts] uint64, ascending hashes
    tokens: np.ndarray  # [contexts]
    shares: np.ndarray  # [contexts] of all that follow

    def follow(self, context: Sequence[int]) -> tuple[int, float] | None:
        key = 0
        for token in context:
            key = (key * int(_BASE) + token + 2) & 0xFFFFFFFFFFFFFFFF
        place = int(self.keys.searchsorted(np.uint64(key)))
        if place == len(self.keys) or int(self.keys[place]) != key:
            return None
        return int(self.tokens[place]), float(self.shares[place])


def _follow(tokens: np.ndarray, length: int) -> _Table:
    """What follows each context of a length; of tokens that follow equally often, the smallest."""
    count = max(len(tokens) - length, 0)
    keys = np.zeros(count, dtype=np.uint64)
    for n in range(length):
        keys = keys * _BASE + (tokens[n : n + count] + 2).astype(np.uint64)
    following = tokens[length:]
    real = following != START
    keys, following = keys[real], following[real]
    if not len(keys):
        return _Table(keys, following, np.zeros(0))
    order = np.lexsort((following, keys))
    keys, following = keys[order], following[order]
    pairs = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]) | (following[1:] != following[:-1])])
    counts = np.diff(np.r_[pairs, len(keys)])
    keys, following = keys[pairs], following[pairs]
    contexts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    totals = np.add.reduceat(counts, contexts)
    # Sorted by context and count, the best of each context stands where the context begins.
    best = np.lexsort((following, -counts, keys))[contexts]
    return _Table(keys[best], following[best], counts[best] / totals)

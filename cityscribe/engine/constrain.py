"""Structured output: answers that can only be what a grammar allows.

    Request(messages, media, grammar=json_schema({"enum": ["dry", "wet"]}))
    Request(messages, media, grammar=one_of("abcd"))

A grammar is text, in the form that llguidance reads; the tokens that may come next are masked by it before one is
chosen, and nothing else of the decoding changes. Where the grammar leaves no choice of text, it is spelled as the
tokenizer spells it, and proposed as a draft: the keys of an object cost one step and not one a token. Needs the extra
`serve`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from transformers import ProcessorMixin

from cityscribe.engine.drafts import LONGEST
from cityscribe.engine.grammars import library
from cityscribe.files import InputError

if TYPE_CHECKING:
    from llguidance import LLMatcher


class Guides:
    """Begins guides for a processor's tokenizer. `ends` are the tokens that end an answer."""

    def __init__(self, processor: ProcessorMixin, ends: Sequence[int]) -> None:
        tokenizer = processor.tokenizer
        if not tokenizer.is_fast:
            raise InputError(f"{type(tokenizer).__name__}: constrained answers need a fast tokenizer")
        backend = json.loads(tokenizer.backend_tokenizer.to_str()) | {"padding": None, "truncation": None}
        self._library = library()
        self._tokenizer = self._library.LLTokenizer(json.dumps(backend), eos_token=list(ends))

    def begin(self, grammar: str) -> Guide:
        """Raises InputError for a grammar that cannot be compiled or that no text follows."""
        matcher = self._library.LLMatcher(self._tokenizer, grammar, log_level=0)
        guide = Guide(matcher)
        if matcher.is_error() or guide.allowed(self._tokenizer.vocab_size) is None:
            raise InputError(f"the grammar cannot be followed: {matcher.get_error() or 'no text fits it'}")
        return guide


class Guide:
    """Where one answer stands in its grammar."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher

    def allowed(self, vocabulary: int) -> Tensor | None:
        """Which tokens may come next, [vocabulary] bool. None: the grammar grew too large to follow."""
        found = np.zeros(vocabulary, dtype=bool)
        forced = self._matcher.compute_ff_tokens()
        if forced:
            found[forced[0]] = True
            return torch.from_numpy(found)
        bits = np.unpackbits(np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8), bitorder="little")
        # A model may have rows behind its tokenizer's last entry, and the mask is filled up to whole words.
        count = min(vocabulary, len(bits))
        found[:count] = bits[:count] > 0
        return None if self._matcher.is_error() or not found.any() else torch.from_numpy(found)

    def mask(self, logits: Tensor) -> Tensor | None:  # [vocabulary]
        """The logits with what may not come next at minus infinity; None as `allowed`."""
        allowed = self.allowed(len(logits))
        return None if allowed is None else logits.masked_fill(~allowed.to(logits.device), float("-inf"))

    def take(self, token: int) -> None:
        """Go on behind a token that was allowed."""
        taken = self._matcher.consume_token(token)
        assert taken or self._matcher.is_error(), token

    def forced(self, longest: int) -> list[int]:
        """What must come next, as the tokenizer spells it; at most `longest` tokens."""
        most = min(longest, LONGEST)
        return self._matcher.compute_ff_tokens()[:most] if most > 0 else []

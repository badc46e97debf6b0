"""The next token of an answer: the likeliest, or one that is drawn."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor
from transformers import RepetitionPenaltyLogitsProcessor

from cityscribe.predict.decode import Talk
from cityscribe.predict.prompts import Prompt


def seed_of(seed: int, prompt: Prompt) -> int:
    """The seed of one answer. It is of what is asked, so that a draw does not depend on those before or beside it."""
    key = repr(seed).encode() + b" " + prompt.key
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") >> 1


def next_token(talk: Talk, logits: Tensor, *, penalty: float, temperature: float, top_p: float = 1.0) -> int:
    """The next token of a talk by its logits [vocabulary], after the repetition penalty of the model.

    At temperature 0 it is the likeliest; otherwise one drawn by the talk's generator from the likeliest that make up
    `top_p` at this temperature.
    """
    if penalty != 1.0:
        ids = torch.tensor([[*talk.prompt.input_ids.tolist(), *talk.said]], device=logits.device)
        logits = RepetitionPenaltyLogitsProcessor(penalty)(ids, logits[None].float())[0]
    if temperature == 0:
        return int(logits.argmax())
    shares = (logits.float() / temperature).softmax(dim=0).cpu()
    if top_p < 1:
        ordered, order = shares.sort(descending=True, stable=True)
        shares[order[ordered.cumsum(dim=0) - ordered >= top_p]] = 0
    return int(torch.multinomial(shares, 1, generator=talk.generator))

"""The next token of an answer: the likeliest, or one that is drawn."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from cityscribe.engine.request import Sampling
from cityscribe.tokens.encode import Encoded


def seed_of(seed: int, prompt: Encoded, sample: int = 0) -> int:
    """The seed of one answer. It is of what is asked, so that a draw does not depend on those before or beside it."""
    key = repr(seed).encode() + b" " + prompt.key + (f" {sample}".encode() if sample else b"")
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") >> 1


class Sampler:
    """Chooses the tokens of one answer. `penalty` is the repetition penalty of the checkpoint."""

    def __init__(self, sampling: Sampling, prompt: Encoded, penalty: float, sample: int = 0) -> None:
        self.temperature, self.top_p = sampling.temperature, sampling.top_p
        self.penalty = penalty if sampling.repetition_penalty is None else sampling.repetition_penalty
        self.seed = seed_of(sampling.seed, prompt, sample)
        self._generator = torch.Generator().manual_seed(self.seed) if self.temperature > 0 else None
        self._prompt = prompt
        self._seen: Tensor | None = None  # [vocabulary] bool, which tokens stand in the prompt or the answer

    @property
    def takes_likeliest(self) -> bool:
        """Whether it is `argmax` of the logits as they are."""
        return self.temperature == 0 and self.penalty == 1.0

    def choose(self, logits: Tensor) -> int:
        """The next token by its logits [vocabulary], after the penalty: the likeliest at temperature 0, else drawn from
        the likeliest that make up `top_p` at this temperature."""
        if self.penalty != 1.0:
            logits = self._penalised(logits.float())
        if self._generator is None:
            token = int(logits.argmax())
        else:
            shares = (logits.float() / self.temperature).softmax(dim=0).cpu()
            if self.top_p < 1:
                ordered, order = shares.sort(descending=True, stable=True)
                shares[order[ordered.cumsum(dim=0) - ordered >= self.top_p]] = 0
            token = int(torch.multinomial(shares, 1, generator=self._generator))
        if self._seen is not None:
            self._seen[token] = True
        return token

    def _penalised(self, logits: Tensor) -> Tensor:
        """As RepetitionPenaltyLogitsProcessor of transformers, without the whole sequence in each step."""
        if self._seen is None:
            self._seen = torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
            self._seen[torch.from_numpy(self._prompt.input_ids).to(logits.device)] = True
        return logits.where(~self._seen, torch.where(logits < 0, logits * self.penalty, logits / self.penalty))

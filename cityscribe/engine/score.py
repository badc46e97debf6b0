"""How likely a model is to answer with given texts.

The texts are branches that part where the prompt ends: the prompt is computed once, and all texts of all prompts go
through the model together in one pass. Equal to scoring each text in a sequence of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from cityscribe.engine.attention import NAME
from cityscribe.engine.failure import Failure, apart, failure_of, shared_step
from cityscribe.engine.prefix import Memory, begin, feed, media_inputs_of, positions_from, token_inputs_of
from cityscribe.models.attention import decoder_attention
from cityscribe.models.inputs import only_kept
from cityscribe.tokens.encode import Encoded


@dataclass(slots=True, eq=False)
class ScoredText:
    """A prompt and the tokens of one text."""

    prompt: Encoded
    token_ids: list[int]
    logprobs: list[float] = field(default_factory=list)  # of the tokens, in nats
    failure: Failure | None = None

    @property
    def done(self) -> bool:
        return bool(self.logprobs) or self.failure is not None

    def fail(self, failure: Failure) -> None:
        self.failure = failure

    def read(self, logits: Tensor) -> None:  # [tokens, vocabulary]
        ids = torch.tensor(self.token_ids, device=logits.device)[:, None]
        self.logprobs = logits.float().log_softmax(dim=-1).gather(1, ids)[:, 0].tolist()


class ValuedText(ScoredText):
    """A text whose worth is asked for: `logprobs` is the one number that a reward head gives at its last token."""

    def read(self, logits: Tensor) -> None:  # [tokens, 1]
        self.logprobs = [float(logits[-1, 0])]


def score_together(model: PreTrainedModel, branches: Sequence[ScoredText], memory: Memory) -> None:
    """Fill in the branches over shared prompts. One that raises fails alone."""

    def run(part: Sequence[ScoredText], first: bool) -> None:
        with shared_step():
            # A question with one text has its prompt for itself; what memory holds of it is continued.
            begun = begin(model, [branch.prompt for branch in part], memory if first else Memory())
            tokens, positions = [], []
            for branch, fed in zip(part, begun.fed, strict=True):
                tokens.append([*branch.prompt.input_ids[fed:].tolist(), *branch.token_ids[:-1]])
                positions.append(positions_from(branch.prompt, fed, len(tokens[-1])))
            wanted = [len(branch.token_ids) for branch in part]
            with decoder_attention(model, NAME):
                logits = feed(model, begun.cache, tokens, positions, wanted)
            for branch, own in zip(part, logits.split(wanted), strict=True):
                branch.read(own)

    apart(branches, run, ScoredText.fail, lambda branch: branch.done)


def score_alone(model: PreTrainedModel, branch: ScoredText) -> None:
    """The same by the model's own `forward`, for models that cannot share a prompt."""
    prompt, ids = branch.prompt, branch.token_ids
    try:
        whole = torch.from_numpy(np.concatenate([prompt.input_ids, ids[:-1]])[None].astype(np.int64)).to(model.device)
        more = torch.zeros(1, len(ids) - 1, dtype=torch.long, device=model.device)
        token_inputs = {name: torch.cat([each, more], dim=1) for name, each in token_inputs_of(model, prompt).items()}
        logits = model(
            input_ids=whole,
            attention_mask=torch.ones_like(whole),
            use_cache=False,
            logits_to_keep=len(ids),
            **media_inputs_of(model, prompt),
            **token_inputs,
        ).logits
        branch.read(only_kept(logits, len(ids)))
    except Exception as error:
        branch.fail(failure_of(error))

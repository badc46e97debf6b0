"""Score the options of multiple-choice questions: how likely a model is to answer with each of them.

    (scores,) = score_options(engine, [Conversation(messages, images)], [["left", "right", "in front"]])
    best = max(range(3), key=lambda n: scores[n].total)

The options are branches that part where the prompt ends: the prompt is computed once, and all options of all questions
go through the model together in one pass. Equal to scoring each option in a sequence of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cityscribe.files import InputError
from cityscribe.models.attention import decoder_attention
from cityscribe.predict.attention import NAME
from cityscribe.predict.batches import whole_groups
from cityscribe.predict.decode import begin, feed, image_inputs_of, positions_from, token_inputs_of
from cityscribe.predict.local import Engine
from cityscribe.predict.prompts import Conversation, Prompt


@dataclass(frozen=True, slots=True)
class OptionScore:
    """The log-likelihood of one option, in nats."""

    total: float  # of all its tokens
    tokens: int

    @property
    def mean(self) -> float:
        """A token, so that long options have the same chance as short ones."""
        return self.total / self.tokens


@torch.inference_mode()
def score_options(
    engine: Engine, conversations: Sequence[Conversation], options: Sequence[Sequence[str]], *, ended: bool = False
) -> list[list[OptionScore]]:
    """The log-likelihood of each option as the answer to its conversation, in the order given.

    An option's tokens are those of its text by itself. With `ended` the end token counts as well: then an option that
    begins another one is not at an advantage. Raises InputError for an option without tokens, and as `Engine.answer`.
    """
    tokenizer = engine.processor.tokenizer
    prompts = engine.read(conversations)
    scores: list[list[OptionScore]] = [[] for _ in prompts]
    branches: list[list[tuple[Prompt, list[int]]]] = []
    for prompt, texts in zip(prompts, options, strict=True):
        ids = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
        for text, each in zip(texts, ids, strict=True):
            if not each:
                raise InputError(f"option `{text}`: has no tokens")
        branches.append([(prompt, [*each, engine.ends[0]] if ended else each) for each in ids])
    asked = [n for n, each in enumerate(branches) if each]
    for part in whole_groups(asked, lambda n: prompts[n].scene, engine.settings.batch_size):
        flat = [branch for n in part for branch in branches[n]]
        shared = engine.shares(flat[0][0])
        remaining = iter(_together(engine, flat) if shared else [_alone(engine, *branch) for branch in flat])
        for n in part:
            scores[n] = [OptionScore(next(remaining), len(ids)) for _, ids in branches[n]]
    return scores


def _together(engine: Engine, branches: Sequence[tuple[Prompt, list[int]]]) -> list[float]:
    """The log-likelihood of the last tokens of each branch, all in one pass over shared prompts."""
    # A question with one option has its prompt for itself; what memory holds of it is continued.
    begun = begin(engine.model, [prompt for prompt, _ in branches], engine.memory)
    tokens, positions = [], []
    for (prompt, ids), fed in zip(branches, begun.fed, strict=True):
        tokens.append([*prompt.input_ids[fed:].tolist(), *ids[:-1]])
        positions.append(positions_from(prompt, fed, len(tokens[-1])))
    wanted = [len(ids) for _, ids in branches]
    with decoder_attention(engine.model, NAME):
        logits = feed(engine.model, begun.cache, tokens, positions, wanted)
    return [_sum(part, ids) for part, (_, ids) in zip(logits.split(wanted), branches, strict=True)]


def _alone(engine: Engine, prompt: Prompt, ids: list[int]) -> float:
    """The same by the model's own `forward`, for models that cannot share a prompt."""
    model = engine.model
    whole = torch.from_numpy(np.concatenate([prompt.input_ids, ids[:-1]])[None].astype(np.int64)).to(model.device)
    more = torch.zeros(1, len(ids) - 1, dtype=torch.long, device=model.device)
    token_inputs = {name: torch.cat([each, more], dim=1) for name, each in token_inputs_of(model, prompt).items()}
    logits = model(
        input_ids=whole,
        attention_mask=torch.ones_like(whole),
        use_cache=False,
        logits_to_keep=len(ids),
        **image_inputs_of(model, prompt),
        **token_inputs,
    ).logits[0]
    return _sum(logits, ids)


def _sum(logits: Tensor, ids: list[int]) -> float:  # [tokens, vocabulary]
    logprobs = logits.float().log_softmax(dim=-1)
    return float(logprobs.gather(1, torch.tensor(ids, device=logits.device)[:, None]).sum())

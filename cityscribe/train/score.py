"""From a micro-batch to its loss: the log-probabilities of its trained tokens, as an objective takes them.

Where the logits of all kept positions over the whole vocabulary would take much memory, in float32 and once more for
their gradient, the head is computed for some trained tokens at a time, and again in the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from cityscribe.models.replaced import replaced_forward
from cityscribe.models.reward_head import changes_logits, scoring
from cityscribe.train.collator import MicroBatch
from cityscribe.train.events import outcome_logprobs
from cityscribe.train.exact import kept_logits
from cityscribe.train.groups import Group
from cityscribe.train.objectives.objective import Compared, Objective, Scored
from cityscribe.train.tree_attention import TreeAttention
from cityscribe.tree import Rows, target_logprobs

CHUNK = 2**27
"""How many logits are computed at once: half a gibibyte in float32."""


class TokenReading(Protocol):
    """Reads numbers at the trained tokens of a micro-batch, [targets]."""

    def __call__(
        self,
        model: nn.Module,
        micro: MicroBatch,
        attention: TreeAttention | None,
        dtype: torch.dtype,
        *,
        bare: PreTrainedModel,
    ) -> Tensor: ...


def summed_loss(
    objective: Objective,
    model: nn.Module,
    micro: MicroBatch,
    groups: Sequence[Group],
    attention: TreeAttention | None,
    dtype: torch.dtype,
    *,
    bare: PreTrainedModel,
) -> Tensor:
    """The loss of a micro-batch of these groups before it is divided; zero, with a gradient of zeros, where it does not
    count."""
    read = reward_values if objective.head == "reward" else None
    loss = objective.loss(score(model, micro, groups, attention, dtype, bare=bare, read=read))
    return loss if micro.counts else loss * 0


def score(
    model: nn.Module,
    micro: MicroBatch,
    groups: Sequence[Group],
    attention: TreeAttention | None,
    dtype: torch.dtype,
    *,
    bare: PreTrainedModel,
    read: TokenReading | None = None,
) -> Scored:
    """What a model gives the trained tokens of a micro-batch, computed in `dtype` as far as autocast goes.

    `bare` is the model itself where `model` is something around it. `read` takes the place of `trained_logprobs`.
    """
    logprobs, compared = (read or trained_logprobs)(model, micro, attention, dtype, bare=bare), None
    if micro.teacher is not None:
        teacher = micro.teacher
        compared = Compared(logprobs[:, 1:], teacher.logprobs.to(logprobs), teacher.own.to(logprobs))
        logprobs = logprobs[:, 0]
    return Scored(
        logprobs=logprobs,
        rows=micro.rows,
        samples=tuple(groups[group].samples[number] for group, number in micro.branches),
        units=micro.units,
        reference=micro.reference,
        compared=compared,
        old=micro.old,
        advantages=micro.advantages,
    )


def trained_logprobs(
    model: nn.Module, micro: MicroBatch, attention: TreeAttention | None, dtype: torch.dtype, *, bare: PreTrainedModel
) -> Tensor:
    """The log-probability of each distinct trained token, [targets], float32 or wider; where there is a teacher, with
    those of its outcomes behind it, [targets, 1 + outcomes]."""
    rows, teacher = micro.rows, micro.teacher

    def own(logits: Tensor, targets: slice) -> Tensor:
        return token_logprobs(logits, rows.target[targets])

    if teacher is not None:
        ids, outcomes = teacher.ids, teacher.outcomes

        def compared(logits: Tensor, targets: slice) -> Tensor:
            others = outcome_logprobs(logits, None if ids is None else ids[targets], outcomes)
            return torch.cat([own(logits, targets).to(others), others], dim=1)

        return of_targets(model, micro, attention, dtype, compared, bare=bare)
    if len(rows.target) > chunk_of(bare) and can_be_chunked(bare):
        return of_targets(model, micro, attention, dtype, own, bare=bare).squeeze(-1)
    with computing_in(dtype, rows):
        logits = kept_logits(model, micro, attention)
    return target_logprobs(logits, rows)


def reward_values(
    model: nn.Module, micro: MicroBatch, attention: TreeAttention | None, dtype: torch.dtype, *, bare: PreTrainedModel
) -> Tensor:
    """What the reward head gives before each distinct trained token, [targets], float32 or wider."""
    rows = micro.rows
    with computing_in(dtype, rows), scoring(bare):
        return kept_logits(model, micro, attention).index_select(0, rows.source).squeeze(-1)


def token_logprobs(logits: Tensor, tokens: Tensor) -> Tensor:
    """The log-probabilities of tokens [n], [n, 1], by logits [n, vocabulary]; float32 or wider."""
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return wide.gather(1, tokens[:, None]) - torch.logsumexp(wide, dim=1, keepdim=True)


OfTargets = Callable[[Tensor, slice], Tensor]
"""From the logits that predict some targets, [n, vocabulary], and which these are, to [n, columns]."""


def of_targets(
    model: nn.Module,
    micro: MicroBatch,
    attention: TreeAttention | None,
    dtype: torch.dtype,
    outputs: OfTargets,
    *,
    bare: PreTrainedModel,
) -> Tensor:
    """What `outputs` makes of the logits of each target, [targets, columns], some targets at a time where they are
    many."""
    rows, size = micro.rows, chunk_of(bare)
    with computing_in(dtype, rows):
        if len(rows.target) <= size or not can_be_chunked(bare):
            return outputs(kept_logits(model, micro, attention).index_select(0, rows.source), slice(None))
        with head_in_chunks(bare, rows, size, outputs):
            return kept_logits(model, micro, attention)


def computing_in(dtype: torch.dtype, rows: Rows) -> torch.autocast:
    """Within it a model computes in `dtype` as far as autocast goes.

    Here and not by the accelerator, which would wrap the model's `forward` and leave it wrapped.
    """
    return torch.autocast(rows.input_ids.device.type, dtype, enabled=dtype == torch.bfloat16)


def chunk_of(model: PreTrainedModel) -> int:
    """For how many targets the head is computed at once."""
    return max(CHUNK // model.config.get_text_config().vocab_size, 1)


def can_be_chunked(model: PreTrainedModel) -> bool:
    """Whether what the head gives are the logits themselves, and its weights are there whenever it is called."""
    head = model.get_output_embeddings()
    # DeepSpeed's ZeRO-3 has the weights of a module only while that computes, and gives them an attribute.
    return (
        head is not None
        and not changes_logits(model)
        and not any(hasattr(parameter, "ds_id") for parameter in head.parameters())
    )


@contextmanager
def head_in_chunks(model: PreTrainedModel, rows: Rows, size: int, outputs: OfTargets) -> Iterator[None]:
    """Within it the head gives, in the place of logits [kept, vocabulary], what `outputs` makes of those of each target
    of `rows`, [targets, columns], computed for `size` targets at a time."""
    head = model.get_output_embeddings()
    compute: Callable[[Tensor], Tensor] = head.forward

    def part(hidden: Tensor, targets: slice) -> Tensor:
        return outputs(compute(hidden), targets)

    def forward(hidden: Tensor) -> Tensor:
        starts = range(0, len(rows.target), size)
        return torch.cat(
            [
                checkpoint(
                    part,
                    hidden.index_select(0, rows.source[start : start + size]),
                    slice(start, start + size),
                    use_reentrant=False,
                )
                for start in starts
            ]
        )

    with replaced_forward(head, forward):
        yield

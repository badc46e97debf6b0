"""From a micro-batch to its loss: the log-probabilities of its trained tokens, as an objective takes them.

Where the logits of all kept positions over the whole vocabulary would take much memory, in float32 and once more for
their gradient, the head is computed for some trained tokens at a time, and again in the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from cityscribe.train.collator import MicroBatch
from cityscribe.train.exact import kept_logits
from cityscribe.train.groups import Group
from cityscribe.train.objectives.objective import Objective, Scored
from cityscribe.train.tree_attention import TreeAttention
from cityscribe.tree import Rows, target_logprobs

CHUNK = 2**27
"""How many logits are computed at once: half a gibibyte in float32."""

SCALED = ("final_logit_softcapping", "logit_scale", "logits_scaling")
"""Settings of decoders that change logits behind the head."""


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
    loss = objective.loss(score(model, micro, groups, attention, dtype, bare=bare))
    return loss if micro.counts else loss * 0


def score(
    model: nn.Module,
    micro: MicroBatch,
    groups: Sequence[Group],
    attention: TreeAttention | None,
    dtype: torch.dtype,
    *,
    bare: PreTrainedModel,
) -> Scored:
    """What a model gives the trained tokens of a micro-batch, computed in `dtype` as far as autocast goes.

    `bare` is the model itself where `model` is something around it.
    """
    return Scored(
        logprobs=trained_logprobs(model, micro, attention, dtype, bare=bare),
        rows=micro.rows,
        samples=tuple(groups[group].samples[number] for group, number in micro.branches),
        units=micro.units,
        reference=micro.reference,
    )


def trained_logprobs(
    model: nn.Module, micro: MicroBatch, attention: TreeAttention | None, dtype: torch.dtype, *, bare: PreTrainedModel
) -> Tensor:
    """The log-probability of each distinct trained token, [targets], float32 or wider."""
    rows = micro.rows
    # Here and not by the accelerator, which would wrap the model's `forward` and leave it wrapped.
    autocast = torch.autocast(rows.input_ids.device.type, dtype, enabled=dtype == torch.bfloat16)
    size = max(CHUNK // bare.config.get_text_config().vocab_size, 1)
    if len(rows.target) <= size or not can_be_chunked(bare):
        with autocast:
            logits = kept_logits(model, micro, attention)
        return target_logprobs(logits, rows)
    with autocast, head_in_chunks(bare, rows, size):
        return kept_logits(model, micro, attention).squeeze(-1)


def can_be_chunked(model: PreTrainedModel) -> bool:
    """Whether what the head gives are the logits themselves, and its weights are there whenever it is called."""
    text = model.config.get_text_config().to_dict()
    head = model.get_output_embeddings()
    # DeepSpeed's ZeRO-3 has the weights of a module only while that computes, and gives them an attribute.
    return (
        head is not None
        and not any(text.get(name) for name in SCALED)
        and not any(hasattr(parameter, "ds_id") for parameter in head.parameters())
    )


@contextmanager
def head_in_chunks(model: PreTrainedModel, rows: Rows, size: int) -> Iterator[None]:
    """Within it the head gives, in the place of logits [kept, vocabulary], the log-probability of each target of `rows`
    in one column, [targets, 1], computed for `size` targets at a time."""
    head = model.get_output_embeddings()
    compute: Callable[[Tensor], Tensor] = head.forward

    def logprobs(hidden: Tensor, target: Tensor) -> Tensor:
        logits = compute(hidden)
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return wide.gather(1, target[:, None]) - torch.logsumexp(wide, dim=1, keepdim=True)

    def forward(hidden: Tensor) -> Tensor:
        parts = zip(rows.source.split(size), rows.target.split(size), strict=True)
        return torch.cat(
            [
                checkpoint(logprobs, hidden.index_select(0, source), target, use_reentrant=False)
                for source, target in parts
            ]
        )

    before = vars(head).get("forward")
    vars(head)["forward"] = forward
    try:
        yield
    finally:
        if before is None:
            del vars(head)["forward"]
        else:
            vars(head)["forward"] = before

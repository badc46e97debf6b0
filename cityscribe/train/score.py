"""From a micro-batch to its loss: the log-probabilities of its trained tokens, as an objective takes them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cityscribe.train.collator import MicroBatch
from cityscribe.train.exact import kept_logits
from cityscribe.train.groups import Group
from cityscribe.train.objectives.objective import Objective, Scored
from cityscribe.train.rules import TreeAttention
from cityscribe.tree import target_logprobs


def summed_loss(
    objective: Objective,
    model: nn.Module,
    micro: MicroBatch,
    groups: Sequence[Group],
    attention: TreeAttention | None,
    dtype: torch.dtype,
) -> Tensor:
    """The loss of a micro-batch of these groups before it is divided; zero, with a gradient of zeros, where it does not
    count."""
    loss = objective.loss(score(model, micro, groups, attention, dtype))
    return loss if micro.counts else loss * 0


def score(
    model: nn.Module, micro: MicroBatch, groups: Sequence[Group], attention: TreeAttention | None, dtype: torch.dtype
) -> Scored:
    """What the model gives the trained tokens of a micro-batch, computed in `dtype` as far as autocast goes."""
    return Scored(
        logprobs=trained_logprobs(model, micro, attention, dtype),
        rows=micro.rows,
        samples=tuple(groups[group].samples[number] for group, number in micro.branches),
        units=micro.units,
        reference=micro.reference,
    )


def trained_logprobs(
    model: nn.Module, micro: MicroBatch, attention: TreeAttention | None, dtype: torch.dtype
) -> Tensor:
    """The log-probability of each distinct trained token, [targets], float32 or wider."""
    # Here and not by the accelerator, which would wrap the model's `forward` and leave it wrapped.
    with torch.autocast(micro.rows.input_ids.device.type, dtype, enabled=dtype == torch.bfloat16):
        logits = kept_logits(model, micro, attention)
    return target_logprobs(logits, micro.rows)

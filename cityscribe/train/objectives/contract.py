"""What every objective promises, tried out before a training on made-up log-probabilities.

A loss that is no sum over its units would depend on how the work is cut into micro-batches, without a word.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from cityscribe.files import InputError
from cityscribe.records import Sample
from cityscribe.train.objectives.objective import Compared, Objective, Scored
from cityscribe.tree import Branch, build_forest, lay_out

TOKENS = 3
"""How many trained tokens each sample has here."""


def check_contract(objective: Objective, units: Sequence[Sequence[Sample]]) -> None:
    """Raises InputError where the loss of the first two units is not a number with a gradient, or not a sum."""
    first, *others = ([unit] for unit in units[:2])
    losses = [_loss(objective, part, start) for part, start in _placed(first, *others)]
    both = _loss(objective, [*first, *(unit for part in others for unit in part)], 0)
    if abs(both - sum(losses)) > 1e-9 * max(abs(both), 1.0):
        raise InputError(
            f"objective {objective.name}: its loss of two units is not the sum of their losses ({both:.6g}, not "
            f"{sum(losses):.6g}); what it is divided by belongs into `denominator`"
        )


def _placed(*parts: list[Sequence[Sample]]) -> list[tuple[list[Sequence[Sample]], int]]:
    """Units one by one, with the number of samples before each."""
    starts = np.cumsum([0, *(len(unit) for part in parts for unit in part)]).tolist()
    return list(zip(parts, starts, strict=False))


def _loss(objective: Objective, units: Sequence[Sequence[Sample]], start: int) -> float:
    """The loss of units whose samples are made up from the number `start` on."""
    samples = [sample for unit in units for sample in unit]
    branches = [
        Branch(np.arange(TOKENS + 1) + 100 * n, np.arange(TOKENS + 1)[None], np.array([0.0] + [1.0] * TOKENS))
        for n in range(len(samples))
    ]
    rows = lay_out([build_forest(branches)])
    numbers = TOKENS * start + torch.arange(TOKENS * len(samples), dtype=torch.float64)
    logprobs = (-1 - numbers.sin().abs()).requires_grad_()
    ends = np.cumsum([0, *(len(unit) for unit in units)]).tolist()
    loss = objective.loss(
        Scored(
            logprobs=logprobs,
            rows=rows,
            samples=tuple(samples),
            units=tuple(tuple(range(*ends[n : n + 2])) for n in range(len(units))),
            reference=-1 - numbers.cos().abs() if objective.needs_reference or objective.samples_answers else None,
            compared=_compared(logprobs, numbers) if objective.needs_teacher else None,
            old=-1 - (2 * numbers).sin().abs() if objective.samples_answers else None,
            advantages=numbers[::TOKENS].cos() if objective.samples_answers else None,
        )
    )
    if loss.numel() != 1 or loss.grad_fn is None:
        raise InputError(f"objective {objective.name}: its loss is not one number with a gradient")
    return float(loss.detach())


def _compared(logprobs: Tensor, numbers: Tensor) -> Compared:
    """Made-up distributions of two outcomes, one of them the trained token."""
    teacher = (-1 - numbers.cos().abs())[:, None]
    pairs = [torch.cat([own, torch.log1p(-own.exp())], dim=1) for own in (logprobs[:, None], teacher)]
    return Compared(student=pairs[0], teacher=pairs[1], own=teacher[:, 0])

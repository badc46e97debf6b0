"""A tree through recurrent layers: each stretch between two forks is computed once, from the state of the one above it.

A layer never gets a single token and a state: kernels have a shortcut for that, made for generating, which writes over
the state and gives no gradient. Before a stretch of one token, the end of the one above it is computed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cityscribe.models.recurrent import FromState, LayerState
from cityscribe.train.segments import TreeSegment

TAIL = 2
"""Tokens at the end of a stretch that are computed again for each single token that follows it."""


@dataclass(frozen=True, slots=True)
class TreeStretch:
    """Tokens of a row that are computed together."""

    size: int
    lead: tuple[int, ...]  # numbers of the stretches right above it that are computed again with it, in their order
    start: int  # number of the stretch in whose last state all of that begins, -1 where nothing stands before


@dataclass(frozen=True, slots=True)
class TreeFork:
    """The stretches of each row of a micro-batch, which cover it; a stretch comes behind those above it."""

    rows: tuple[tuple[TreeStretch, ...], ...]

    def through(self, layer: int, hidden: Tensor, run: FromState) -> Tensor:
        """A recurrent layer's output for hidden states [rows, length, width]."""
        return torch.cat([_row(stretches, row, run) for stretches, row in zip(self.rows, hidden.split(1), strict=True)])


def stretches_of(segments: Sequence[TreeSegment]) -> tuple[TreeStretch, ...]:
    """The stretches of a row whose segments are given, parents before children."""
    parents = [above[-1] if above else -1 for _, above in segments]
    leads_one = {parent for (size, _), parent in zip(segments, parents, strict=True) if size == 1 and parent >= 0}
    ends: list[int] = []  # of each segment the stretch that ends it
    stretches: list[TreeStretch] = []
    for number, ((size, _), parent) in enumerate(zip(segments, parents, strict=True)):
        above = ends[parent] if parent >= 0 else -1
        if size == 1 and parent >= 0:
            tail = stretches[above]
            # A tail of one token was itself computed with what stands before it, and its start is that one's end.
            start = tail.start if not tail.lead else tail.lead[-1]
            stretches.append(TreeStretch(1, (above,), start))
        elif number in leads_one and size >= 2 * TAIL:
            stretches.append(TreeStretch(size - TAIL, (), above))
            stretches.append(TreeStretch(TAIL, (), len(stretches) - 1))
        else:
            stretches.append(TreeStretch(size, (), above))
        ends.append(len(stretches) - 1)
    return tuple(stretches)


def cut_in_two(length: int) -> TreeFork:
    """One sequence of at least four tokens as two stretches."""
    first = max(length // 3, 2)
    return TreeFork(((TreeStretch(first, (), -1), TreeStretch(length - first, (), 0)),))


def without_padding(segments: Sequence[TreeSegment]) -> list[TreeSegment]:
    """The segments of a row in which the single tokens at its end, which is what padding looks like, are one."""
    real = len(segments)
    while real and segments[real - 1] == (1, ()):
        real -= 1
    padding = len(segments) - real
    return [*segments[:real], *([(padding, ())] if padding else [])]


def _row(stretches: Sequence[TreeStretch], hidden: Tensor, run: FromState) -> Tensor:
    # Split once: the gradient of each slice by itself would be as long as the row.
    parts = hidden.split([stretch.size for stretch in stretches], dim=1)
    states: list[LayerState] = []
    outputs: list[Tensor] = []
    for number, stretch in enumerate(stretches):
        seen = [parts[n] for n in (*stretch.lead, number)]
        before = states[stretch.start] if stretch.start >= 0 else {}
        output, state = run(torch.cat(seen, dim=1) if stretch.lead else seen[0], before)
        outputs.append(output[:, -stretch.size :])
        states.append(state)
    return torch.cat(outputs, dim=1)

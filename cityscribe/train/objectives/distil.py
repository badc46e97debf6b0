"""Distillation: the student learns what a teacher gives each token of the answers, beside the answers themselves.

    (1 - alpha) * CE(answers) + alpha * T^2 * D(teacher, student)

with both distributions at temperature T (Hinton et al. 2015). A position is compared where it predicts a token of an
answer: the first token of an answer is one of them, what follows its end is not. D is one of

    forward     KL(t || s)
    reverse     KL(s || t)                                     (Gu et al. 2024, MiniLLM)
    symmetric   share KL(t || s) + (1 - share) KL(s || t)      (LLaVA-KD's code has share 0.9)
    js          share KL(t || m) + (1 - share) KL(s || m), m = share t + (1 - share) s     (Agarwal et al. 2024, GKD)
    skewed      KL(t || share t + (1 - share) s)               (Ko et al. 2024, DistiLLM: share 0.1)
    skewed-reverse   KL(s || share s + (1 - share) t)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from cityscribe.records import Sample
from cityscribe.settings import Fraction
from cityscribe.train.objectives.objective import Arrangement, Scored, Taught
from cityscribe.train.objectives.supervised import Supervised

if TYPE_CHECKING:
    from torch import Tensor

    from cityscribe.tree import Forest

Divergence = Literal["forward", "reverse", "symmetric", "js", "skewed", "skewed-reverse"]

SHARES: dict[Divergence, float] = {"symmetric": 0.9, "js": 0.5, "skewed": 0.1, "skewed-reverse": 0.1}
"""What `share` is by default, as published."""


class Distil(Taught):
    """Every sample is a unit of its own; tokens weigh what `train.weighting` says. Rejected answers are left out."""

    kind: Literal["distil"] = "distil"
    alpha: Fraction = Field(0.5, description="how much the teacher counts; the rest is the answers' likelihood")
    divergence: Divergence = "forward"
    share: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="of the divergences with one (docs/distil.md); null takes the published one"
    )

    def arrange(self, samples: Sequence[Sample]) -> Arrangement:
        return Supervised().arrange(samples)

    def denominator(self, forests: Sequence[Forest], units: int) -> float:
        return Supervised().denominator(forests, units)

    def loss(self, scored: Scored) -> Tensor:
        compared = scored.of_teacher()
        share = SHARES.get(self.divergence, 0.5) if self.share is None else self.share
        apart = divergence(self.divergence, compared.teacher, compared.student, share)
        each = -(1 - self.alpha) * scored.logprobs + self.alpha * self.temperature**2 * apart
        return (each * scored.rows.weights).sum()


def divergence(kind: Divergence, teacher: Tensor, student: Tensor, share: float) -> Tensor:
    """The divergence of two distributions [n, outcomes], given as log-probabilities: [n]."""
    if kind == "forward":
        return kl(teacher, student)
    if kind == "reverse":
        return kl(student, teacher)
    if kind == "symmetric":
        return share * kl(teacher, student) + (1 - share) * kl(student, teacher)
    if kind == "skewed":
        return kl(teacher, mixed(teacher, student, share))
    if kind == "skewed-reverse":
        return kl(student, mixed(student, teacher, share))
    between = mixed(teacher, student, share)
    return share * kl(teacher, between) + (1 - share) * kl(student, between)


def kl(first: Tensor, second: Tensor) -> Tensor:
    """KL(first || second) of log-probabilities [n, outcomes]: [n]."""
    return (first.exp() * (first - second)).sum(dim=1)


def mixed(first: Tensor, second: Tensor, share: float) -> Tensor:
    """The log-probabilities of `share` of the first distribution and the rest of the second."""
    from torch import logaddexp

    return logaddexp(first + math.log(share), second + math.log1p(-share))

"""How far the answers of a training by comparison are from what the model would say itself, before it begins.

What a model says itself costs it about as many nats a token as its entropy. A chosen answer that costs much more is one
that the model would hardly ever give (off-policy): learning then pushes the rejected answer down rather than the chosen
one up (OPA-DPO, Yang et al. 2025). Where rejected answers are the model's own output, `excess` is an estimate of how
far, in nats a token, the chosen ones are from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from cityscribe.train.groups import Groups

UNLIKELY = float(np.log(0.01))


@dataclass(frozen=True, slots=True)
class Gauge:
    """Means over answers, by the model before the training."""

    pairs: int
    chosen: float  # nats a token of the chosen answers
    rejected: float
    log_ratio: float  # log-probability of the chosen answer less that of the rejected one, nats
    excess: float  # nats a token by which chosen answers cost more than rejected ones
    unlikely: float  # share of the tokens of chosen answers that the model gives less than 1 %
    unlikely_rejected: float

    def __str__(self) -> str:
        return (
            f"before the training, chosen answers cost the model {self.chosen:.2f} nats a token and rejected ones "
            f"{self.rejected:.2f} ({self.excess:+.2f}); {self.unlikely:.0%} and {self.unlikely_rejected:.0%} of their "
            f"tokens get less than 1 %; log-ratio of chosen and rejected {self.log_ratio:+.1f} nats, {self.pairs} pairs"
        )

    def to_json(self) -> dict[str, float]:
        return asdict(self)


def gauge_of(groups: Groups, reference: Sequence[Sequence[np.ndarray]]) -> Gauge | None:
    """The gauge of units whose first sample is chosen before others; None where there are none.

    `reference` has the log-probabilities of the trained tokens of each sample of each group, [tokens] each.
    """
    chosen: list[np.ndarray] = []
    rejected: list[np.ndarray] = []
    ratios = []
    for number, (outline, values) in enumerate(zip(groups.outlines, reference, strict=True)):
        samples = groups.samples_of(number)
        for first, *others in outline.units:
            if samples[first].rejected:
                continue
            compared = [other for other in others if samples[other].rejected]
            ratios += [float(values[first].sum() - values[other].sum()) for other in compared]
            rejected += [values[other] for other in compared]
            chosen += [values[first]] if compared else []
    if not chosen:
        return None
    costs = [float(np.mean([-each.mean() for each in side])) for side in (chosen, rejected)]
    unlikely = [float((np.concatenate(side) < UNLIKELY).mean()) for side in (chosen, rejected)]
    return Gauge(
        pairs=len(ratios),
        chosen=costs[0],
        rejected=costs[1],
        log_ratio=float(np.mean(ratios)),
        excess=costs[0] - costs[1],
        unlikely=unlikely[0],
        unlikely_rejected=unlikely[1],
    )

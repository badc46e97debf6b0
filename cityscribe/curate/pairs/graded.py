"""The best against the worst of several sampled answers, by rewards, where they are far enough apart.

Both answers are the model's own. Answers graded on several scales, and pairs by the distance of their grades, are those
of Li et al. 2024 (preference alignment against the forgetting of instruction tuning).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cityscribe.curate.pairs.builder import Answering, NoPair, Pair, PairBuilder, pair_of
from cityscribe.files import InputError
from cityscribe.records import Sample
from cityscribe.rewards.reward import Reward, check_names, reward_parts, weighted
from cityscribe.settings import OneOf, Rate


class Graded(PairBuilder):
    kind: Literal["graded"] = "graded"
    rewards: tuple[Annotated[Reward, OneOf("reward")], ...] = Field(
        (), description="what answers are worth, each `{kind: ..., weight: ...}`"
    )
    count: int = Field(8, ge=2, description="answers that are sampled to each question")
    temperature: Rate = 1.0
    margin: float = Field(0.1, ge=0, description="the least difference in reward between the two")

    asks: ClassVar[bool] = True

    def build(self, samples: Sequence[Sample], answering: Answering, seed: int) -> Iterator[Pair | NoPair]:
        if not self.rewards:
            raise InputError("pairs.builder graded: rewards: name at least one, such as [{kind: length}]")
        check_names(self.rewards, "pairs.builder graded: rewards")
        asked = answering(samples, count=self.count, temperature=self.temperature)
        for sample, answers in zip(samples, asked, strict=True):
            values = weighted(self.rewards, reward_parts(self.rewards, sample, answers))
            best, worst = max(values), min(values)
            if best - worst < self.margin or best == worst:
                yield NoPair(sample.name, "its answers are worth about the same")
                continue
            chosen, rejected = answers[values.index(best)], answers[values.index(worst)]
            sources = (f"own answer worth {best:.3g}", f"own answer worth {worst:.3g}")
            yield pair_of(self.kind, sample, chosen, rejected, sources)

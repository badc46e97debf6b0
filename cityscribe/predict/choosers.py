"""Which of several sampled answers is given: choosers by name, for `predict.choose`.

    chooser.choose(sample, answers)      # the number of the one that is given

Answers that say the same count as often as they were drawn. Of equal ones the first is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Field, model_validator

from cityscribe.engine.request import Answer
from cityscribe.files import InputError
from cityscribe.records import Sample
from cityscribe.registry import Registry
from cityscribe.rewards.reward import Reward, answered, reward_parts, weighted
from cityscribe.settings import OneOf, Section, check_section, conflict


class Chooser(Section):
    """A member of `CHOOSERS`. Its fields are settings, beside `kind`, which has its name as the default."""

    needs_logprobs: ClassVar[bool] = False  # of the tokens of answers

    def choose(self, sample: Sample, answers: Sequence[Answer]) -> int:
        """The number of the answer that is given to the last question of a sample."""
        raise NotImplementedError


class First(Chooser):
    """The first one, whatever else was drawn."""

    kind: Literal["first"] = "first"

    def choose(self, sample: Sample, answers: Sequence[Answer]) -> int:
        return 0


class BestOf(Chooser):
    """The one that rewards say is worth most (best of N). A reward that compares with the reference chooses by what is
    to be found out: that is the most that any chooser could reach, and no result."""

    kind: Literal["best-of"] = "best-of"
    rewards: tuple[Annotated[Reward, OneOf("reward")], ...] = Field(
        cast(Any, ({"kind": "length"},)),
        min_length=1,
        description="what answers are worth, each `{kind: ..., weight: ...}`",
    )
    knows_reference: bool = Field(
        False, description="allow rewards that compare with the reference, to see what a perfect choice would reach"
    )

    @model_validator(mode="after")
    def _without_the_answer(self) -> BestOf:
        knowing = [reward.name for reward in self.rewards if reward.needs_reference]
        if knowing and not self.knows_reference:
            raise conflict(
                f"the reward {knowing[0]} compares with the reference, which a prediction does not know; set "
                "knows_reference to see what a perfect choice would reach"
            )
        return self

    def choose(self, sample: Sample, answers: Sequence[Answer]) -> int:
        texts = [answer.text for answer in answers]
        return _best(weighted(self.rewards, reward_parts(self.rewards, sample, texts)))


class LeastRisk(Chooser):
    """The one that is closest to all others (minimum Bayes risk, Kumar and Byrne 2004; sampling-based, Eikema and Aziz
    2022): worth most on average where each of the others is taken for the reference."""

    kind: Literal["minimum-bayes-risk"] = "minimum-bayes-risk"
    reward: Annotated[Reward, OneOf("reward")] = Field(
        cast(Any, {"kind": "overlap"}),
        description="how close an answer is to another one: a reward that compares with the reference",
    )

    @model_validator(mode="after")
    def _compares(self) -> LeastRisk:
        if not self.reward.needs_reference:
            raise conflict(f"the reward {self.reward.name} compares with nothing")
        return self

    def choose(self, sample: Sample, answers: Sequence[Answer]) -> int:
        texts = [answer.text for answer in answers]
        worth = dict.fromkeys(texts, 0.0)
        for reference in dict.fromkeys(texts):
            if not reference.strip():
                continue
            others = list(worth)
            times = texts.count(reference)
            scores = self.reward.score(answered(sample, reference), others)
            for text, score in zip(others, scores, strict=True):
                # An answer is not compared with itself, only with its equals.
                worth[text] += score * (times - (text == reference))
        return _best([worth[text] for text in texts])


class Likeliest(Chooser):
    """The one whose tokens the model itself finds likeliest, on average."""

    kind: Literal["likeliest"] = "likeliest"

    needs_logprobs: ClassVar[bool] = True

    def choose(self, sample: Sample, answers: Sequence[Answer]) -> int:
        return _best([math.fsum(a.logprobs) / len(a.logprobs) if a.logprobs else -math.inf for a in answers])


def given(chooser: Chooser, sample: Sample, answers: Sequence[Answer]) -> Answer:
    """The answer that is given, among those that are whole where there are such."""
    whole = [answer for answer in answers if not answer.problem] or list(answers)
    if len(whole) == 1:
        return whole[0]
    number = chooser.choose(sample, whole)
    if not 0 <= number < len(whole):
        raise InputError(f"chooser {vars(chooser)['kind']}: chose answer {number} of {len(whole)}")
    return whole[number]


def _best(values: Sequence[float]) -> int:
    return values.index(max(values))


def _check(name: str, member: Any) -> None:
    check_section("chooser", name, member, Chooser)


CHOOSERS: Registry[type[Chooser]] = Registry(
    "chooser", "which of several sampled answers is given (predict.choose)", _check
)
CHOOSERS.add("first", First, "the first one")
CHOOSERS.add("best-of", BestOf, "the one that is worth most", paper="Gunjal et al. 2023")
CHOOSERS.add("minimum-bayes-risk", LeastRisk, "the one that is closest to the others", paper="Kumar and Byrne 2004")
CHOOSERS.add("likeliest", Likeliest, "the one that the model finds likeliest, by the token")

"""What a reward is, and how several of them make one number.

class Length(Reward):                                # a member is a section of settings with one method
    kind: Literal["length"] = "length"
    most: Positive = 120

    def score(self, sample, answers): ...            # a number for each answer
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field

from cityscribe.files import InputError
from cityscribe.records import Preference, Sample, SampleMessage, message, text_block, text_of
from cityscribe.settings import Section, check_section

FACTS = "\nWhat is known about it: {}"
"""How a question tells what is known."""


class Reward(Section):
    """A member of `REWARDS`. Its fields are settings, beside `kind`, which has its name as the default.

    Rewards are numbers of about 0 to 1, the more the better, so that weights mean the same for all.
    """

    weight: float = Field(1.0, allow_inf_nan=False, description="of this reward in the sum")

    needs_reference: ClassVar[bool] = False  # whether it compares with the last answer of the sample: then it can
    # train and judge, but not choose among answers to a question whose answer is not known

    @property
    def name(self) -> str:
        """Its name in `REWARDS`."""
        return str(vars(self)["kind"])

    def score(self, sample: Sample, answers: Sequence[str]) -> list[float]:
        """What each of some answers to the last question of a sample is worth."""
        raise NotImplementedError


def asked_of(sample: Sample) -> tuple[SampleMessage, ...]:
    """The conversation up to the last question."""
    messages = sample.messages
    return messages[:-1] if messages and messages[-1]["role"] == "assistant" else messages


def reference_answer(sample: Sample) -> str:
    """The last answer of a sample; empty where it ends with a question."""
    messages = sample.messages
    return text_of(messages[-1]) if messages and messages[-1]["role"] == "assistant" else ""


def answered(sample: Sample, answer: str, preference: Preference | None = None) -> Sample:
    """A sample with another last answer."""
    messages = (*asked_of(sample), message("assistant", text_block(answer)))
    return replace(sample, messages=messages, preference=preference)


def with_facts(sample: Sample, facts: str) -> Sample:
    """A sample whose last question tells what is known (Fact-RLHF, Sun et al. 2023)."""
    asked = list(asked_of(sample))
    if not facts.strip() or not asked:
        return sample
    last = asked[-1]
    told = message(last["role"], *last["content"], text_block(FACTS.format(facts.strip())))
    return replace(sample, messages=(*asked[:-1], told, *sample.messages[len(asked) :]))


def reward_parts(rewards: Sequence[Reward], sample: Sample, answers: Sequence[str]) -> list[dict[str, float]]:
    """What each reward gives each answer, by name, unweighted.

    Raises InputError where one gives no finite number, or another number of them.
    """
    parts: list[dict[str, float]] = [{} for _ in answers]
    for reward in rewards:
        scores = reward.score(sample, answers)
        if len(scores) != len(answers):
            raise InputError(f"reward {reward.name}: gives {len(scores)} numbers for {len(answers)} answers")
        for part, score, answer in zip(parts, scores, answers, strict=True):
            if not math.isfinite(score):
                raise InputError(f"reward {reward.name}: gives {score} for `{answer[:60]}` of {sample.name}")
            part[reward.name] = part.get(reward.name, 0.0) + float(score)
    return parts


def weighted(rewards: Sequence[Reward], parts: Sequence[dict[str, float]]) -> list[float]:
    """The sum of the rewards of each answer by their weights."""
    weights = {reward.name: reward.weight for reward in rewards}
    return [math.fsum(weights[name] * value for name, value in part.items()) for part in parts]


def check_names(rewards: Sequence[Reward], place: str) -> None:
    """Raises InputError for two rewards of one name, whose parts could not be told apart."""
    names = [reward.name for reward in rewards]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{place}: the reward {name} stands there twice; give it once, with its weight")


def check_reward(name: str, member: Any) -> None:
    """Raises InputError where a member of the registry is no reward."""
    check_section("reward", name, member, Reward)
    if member.score is Reward.score:
        raise InputError(f"reward {name}: has no score")

"""Rewards that read what an answer says of the traffic.

All read texts by rules, against the reference, the turns before, or a book of rules. A model that is trained by one can
learn to please its rules: look at scores by another reader as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from cityscribe.evaluate.hallucination.objects import Vocabulary, in_truth, mentions, read_vocabulary
from cityscribe.records import Sample, text_of
from cityscribe.rewards.reward import Reward, asked_of, reference_answer
from cityscribe.traffic.metrics.attribute_scores import judge
from cityscribe.traffic.metrics.attributes import UNCLEAR, agrees, attributes, read_attributes
from cityscribe.traffic.metrics.consistency import SegmentFacts
from cityscribe.traffic.metrics.named_objects import TRAFFIC_OBJECTS
from cityscribe.traffic.rule_book import read_rules, violations


class AttributeTruth(Reward):
    """Of the attributes that the reference states, the share that is right less the share that is contradicted.

    What is left out costs nothing but its chance to be right. 0 where the reference states none.
    """

    kind: Literal["attributes"] = "attributes"
    contradicted: float = Field(1.0, ge=0, description="what a contradicted attribute costs, where a right one gives 1")
    about: tuple[Literal["pedestrian", "vehicle", "scene"], ...] = Field(
        ("pedestrian", "vehicle", "scene"), description="what the attributes are about that count"
    )
    held_out: tuple[str, ...] = Field((), description="attributes that do not count, to look for what else is learned")

    needs_reference: ClassVar[bool] = True

    def score(self, sample: Sample, answers: Sequence[str]) -> list[float]:
        known = attributes()
        counted = [name for name in known if known[name].about in self.about and name not in self.held_out]
        stated = {name: value for name, value in read_attributes(reference_answer(sample)).items() if name in counted}
        stated = {name: value for name, value in stated.items() if value != UNCLEAR}
        scores = []
        for answer in answers:
            facts = SegmentFacts(stated, read_attributes(answer))
            verdicts = [judge(name, facts) for name in stated]
            gained = verdicts.count("right") - self.contradicted * verdicts.count("contradicted")
            scores.append(gained / len(stated) if stated else 0.0)
        return scores


class NamedObjects(Reward):
    """1 less the share of the objects that an answer names and the reference does not (CHAIRi of one caption)."""

    kind: Literal["objects"] = "objects"
    vocabulary: Path | None = Field(None, description="names of objects; null takes those of the city")

    needs_reference: ClassVar[bool] = True

    def score(self, sample: Sample, answers: Sequence[str]) -> list[float]:
        vocabulary = _vocabulary(self.vocabulary or TRAFFIC_OBJECTS)
        truth = tuple(dict.fromkeys(mentions(reference_answer(sample), vocabulary)))
        named = [mentions(answer, vocabulary) for answer in answers]
        invented = [sum(not in_truth(name, truth, vocabulary) for name in names) for names in named]
        return [1 - wrong / max(len(names), 1) for wrong, names in zip(invented, named, strict=True)]


class RuleBook(Reward):
    """1 less the number of rules that an answer breaks with what it says and what was said in the turns before."""

    kind: Literal["rules"] = "rules"
    file: Path | None = Field(None, description="YAML of rules; null takes those of the city")

    def score(self, sample: Sample, answers: Sequence[str]) -> list[float]:
        rules = read_rules(self.file)
        before = _said_before(sample)
        return [1.0 - len(violations({**before, **read_attributes(answer)}, rules)) for answer in answers]


class Turns(Reward):
    """1 less the share of the attributes, of those that the turns before state as well, which an answer states
    otherwise; 1 where there are none."""

    kind: Literal["turns"] = "turns"

    def score(self, sample: Sample, answers: Sequence[str]) -> list[float]:
        before = _said_before(sample)
        scores = []
        for answer in answers:
            said = read_attributes(answer)
            both = [name for name in said if name in before]
            differing = sum(not agrees(name, before[name], said[name]) for name in both)
            scores.append(1 - differing / len(both) if both else 1.0)
        return scores


@lru_cache(maxsize=8)  # scored question by question
def _vocabulary(file: Path) -> Vocabulary:
    return read_vocabulary(file)


def _said_before(sample: Sample) -> dict[str, str]:
    """The attributes that the answers before the last question state clearly, the latest counts."""
    found: dict[str, str] = {}
    for entry in asked_of(sample):
        if entry["role"] == "assistant":
            found |= {name: value for name, value in read_attributes(text_of(entry)).items() if value != UNCLEAR}
    return found

"""Pairs that are told apart by what the attribute reader reads.

A text is changed by exchanging the words that state one attribute for words that state another value of it, taken from
a caption of the data in the same wording, so that the sentence stays one. A change counts where it does what it is to
do, read again, and nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from cityscribe.curate.pairs.builder import Answering, NoPair, Pair, PairBuilder, pair_of
from cityscribe.curate.pairs.own_output import OfOwnOutput
from cityscribe.records import Sample
from cityscribe.rewards.reward import reference_answer
from cityscribe.traffic.metrics.attribute_scores import judge
from cityscribe.traffic.metrics.attributes import UNCLEAR, agrees, read_attributes, statements, tidy
from cityscribe.traffic.metrics.consistency import SegmentFacts
from cityscribe.traffic.rule_book import read_rules, violations

ErrorKind = Literal["side", "colour", "object", "number"]

ERROR_KINDS: Mapping[ErrorKind, tuple[str, ...]] = {
    "side": ("position", "orientation", "vehicle_position"),
    "colour": ("upper_colour", "lower_colour", "headwear_colour", "vehicle_colour"),
    "object": ("upper", "lower", "headwear", "carried", "vehicle_kind"),
    "number": ("age", "height", "lanes", "vehicle_speed"),
}
"""What is exchanged -> the attributes that state it."""


class SmallestCorrection(OfOwnOutput):
    """The model's own output with the attributes right that it contradicts, against that output (OPA-DPO, Yang et al.
    2025). What it leaves out stays out and its words stay: the chosen answer is one that it would nearly give."""

    kind: Literal["smallest-correction"] = "smallest-correction"

    def build(self, samples: Sequence[Sample], answering: Answering, seed: int) -> Iterator[Pair | NoPair]:
        for found in self.with_own(samples, answering):
            if isinstance(found, NoPair):
                yield found
                continue
            sample, own = found
            corrected, changed, wrong = correct(own, reference_answer(sample))
            if not wrong:
                yield NoPair(sample.name, "the model contradicts nothing of the reference")
            elif not changed:
                yield NoPair(sample.name, "no small change corrects what the model says")
            else:
                sources = ("own output, corrected", "own output")
                yield pair_of(self.kind, sample, corrected, tidy(own), sources, changed)


class InjectedErrors(PairBuilder):
    """The reference against itself with one statement exchanged for another value, in words of another caption."""

    kind: Literal["injected-errors"] = "injected-errors"
    errors: tuple[ErrorKind, ...] = Field(("side", "colour", "object", "number"), description="what may be exchanged")
    count: int = Field(1, ge=1, le=8, description="rejected answers to a question, each with one error, each a pair")

    def build(self, samples: Sequence[Sample], answering: Answering, seed: int) -> Iterator[Pair | NoPair]:
        wanted = [name for kind in self.errors for name in ERROR_KINDS[kind]]
        phrases = phrases_of((reference_answer(sample) for sample in samples), wanted)
        for sample in samples:
            reference = tidy(reference_answer(sample))
            draw = random.Random(f"{seed} {sample.group}/{sample.name}")
            found = 0
            for name, wrong in _with_errors(reference, wanted, phrases, draw):
                pair = pair_of(f"{self.kind}-{found}", sample, reference, wrong, ("reference", "one error"), (name,))
                yield pair
                found += 1
                if found == self.count:
                    break
            if not found:
                yield NoPair(sample.name, "states nothing that could be exchanged")


class BrokenRules(OfOwnOutput):
    """The reference against the model's output, where that breaks a rule and the reference breaks none."""

    kind: Literal["broken-rules"] = "broken-rules"
    file: Path | None = Field(None, description="YAML of rules; null takes those of the city")

    def build(self, samples: Sequence[Sample], answering: Answering, seed: int) -> Iterator[Pair | NoPair]:
        rules = read_rules(self.file)
        for found in self.with_own(samples, answering):
            if isinstance(found, NoPair):
                yield found
                continue
            sample, own = found
            reference = reference_answer(sample)
            broken = violations(read_attributes(own), rules)
            if not broken:
                yield NoPair(sample.name, "the model breaks no rule")
            elif violations(read_attributes(reference), rules):
                yield NoPair(sample.name, "the reference breaks a rule itself")
            else:
                yield pair_of(self.kind, sample, reference, own, ("reference", "own output"), broken)


def correct(said: str, reference: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """A text with the attributes right that contradict the reference, as far as a small change gets them right.

    Returns the text, the attributes that were corrected, and all that were wrong.
    """
    stated = {name: value for name, value in read_attributes(reference).items() if value != UNCLEAR}
    text, changed = tidy(said), []
    facts = SegmentFacts(stated, read_attributes(text))
    wrong = tuple(name for name in stated if judge(name, facts) == "contradicted")
    for name in wrong:
        before = read_attributes(text)
        if agrees(name, stated[name], before.get(name, UNCLEAR)):
            changed.append(name)  # set right by the words of another one
            continue
        for candidate in _exchanged(text, reference, name):
            after = read_attributes(candidate)
            others = [other for other in before.keys() | after.keys() if other != name]
            if agrees(name, stated[name], after.get(name, UNCLEAR)) and all(
                after.get(other) == before.get(other)
                or (other in before and other in stated and agrees(other, stated[other], after.get(other, UNCLEAR)))
                for other in others
            ):
                text = candidate
                changed.append(name)
                break
    return text, tuple(changed), wrong


def phrases_of(captions: Iterator[str], names: Sequence[str]) -> dict[tuple[str, int], dict[str, str]]:
    """Attribute and number of a wording -> value -> the words of the first caption that states it so."""
    found: dict[tuple[str, int], dict[str, str]] = {}
    for caption in captions:
        whole = tidy(caption)
        for each in statements(caption):
            if each.attribute in names:
                said = found.setdefault((each.attribute, each.wording), {})
                said.setdefault(each.value, whole[each.start : each.end])
    return found


def _exchanged(text: str, reference: str, name: str) -> Iterator[str]:
    """The text with its words for an attribute exchanged for those of the reference: the words alone where both are of
    one wording, then the whole sentence."""
    whole = tidy(reference)
    own = [each for each in statements(text) if each.attribute == name]
    other = [each for each in statements(reference) if each.attribute == name]
    for mine in own:
        for right in (each for each in other if each.wording == mine.wording):
            yield text[: mine.start] + _as_in(text, mine.start, whole[right.start : right.end]) + text[mine.end :]
    for mine in own:
        for right in other:
            first, last = right.sentence
            yield text[: mine.sentence[0]] + whole[first:last] + text[mine.sentence[1] :]


def _with_errors(
    reference: str, names: Sequence[str], phrases: Mapping[tuple[str, int], Mapping[str, str]], draw: random.Random
) -> Iterator[tuple[str, str]]:
    """A reference with one attribute wrong, each attribute once, in the order of the draw; with its name."""
    before = read_attributes(reference)
    stated = [each for each in statements(reference) if each.attribute in names]
    draw.shuffle(stated)
    done: set[str] = set()
    for each in stated:
        name = each.attribute
        if name in done or before.get(name, UNCLEAR) == UNCLEAR:
            continue
        said = phrases[name, each.wording]
        values = [value for value in said if not agrees(name, before[name], value)]
        draw.shuffle(values)
        for value in values:
            words = _as_in(reference, each.start, said[value])
            candidate = reference[: each.start] + words + reference[each.end :]
            after = read_attributes(candidate)
            if after.get(name) == value and {**after, name: ""} == {**before, name: ""}:
                done.add(name)
                yield name, candidate
                break


def _as_in(text: str, start: int, words: str) -> str:
    """Words with a first letter as large as that of what they replace."""
    upper = text[start : start + 1].isupper()
    return words[:1].upper() + words[1:] if upper else words[:1].lower() + words[1:]

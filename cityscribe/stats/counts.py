"""The numbers of a data set of scenarios: how much there is of what, how large boxes are, how long phases and captions.

A caption counts once for its scenario, phase and road user, whichever views repeat it; boxes and videos count for each
view.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Required, TypedDict

from cityscribe.prepare.labeller import label_by_rules
from cityscribe.traffic.dimensions import DIMENSIONS
from cityscribe.traffic.scenario import PHASES, ROLES, Scenario
from cityscribe.traffic.sentences import split_sentences

WORD = re.compile(r"[^\W_]+(?:[-'’.][^\W_]+)*")

FUNCTION_WORDS = frozenset(
    """a about after also although an and any are as at be been before being both but by can could did do does each for
    from had has have he her here him his i if in into is it its itself just may might more most no nor not of off on
    one only or other others our out over own same she should so some such than that the their them then there these
    they this those through to too under up us very was we were what when where which while who will with would you
    """.split()  # noqa: SIM905
)
"""DimensionWords that say nothing about a dimension."""

MOST_WORDS = 20
"""Shown of each dimension."""


@dataclass(frozen=True, slots=True)
class Caption:
    """One caption and whose it is."""

    split: str
    scenario: str
    phase: int
    role: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.scenario}, {PHASES[self.phase]}, {self.role}"


def captions_of(scenarios: Iterable[Scenario]) -> list[Caption]:
    """The captions of scenarios, each once: that of the first view that has it."""
    return [
        Caption(scenario.split, scenario.name, number, role, text)
        for scenario in scenarios
        for (number, role), text in scenario.captions().items()
    ]


class Summary(TypedDict, total=False):
    """Numbers in short; the count alone where there is none."""

    count: Required[int]
    mean: float
    least: float
    median: float
    greatest: float


class Spread(Summary):
    """The same with a histogram."""

    bins: list[int]


class DimensionWords(TypedDict):
    """What is said in a dimension."""

    sentences: int
    words: dict[str, int]  # the most frequent ones but function words


def summary(values: Sequence[float]) -> Summary:
    """Count, mean, and the least, median and greatest value; the count alone where there is none."""
    if not values:
        return {"count": 0}
    return {
        "count": len(values),
        "mean": round(fmean(values), 2),
        "least": round(min(values), 2),
        "median": round(median(values), 2),
        "greatest": round(max(values), 2),
    }


def histogram(values: Iterable[float], edges: Sequence[float]) -> list[int]:
    """How many values lie in each bin [edges[i], edges[i + 1]); what lies outside counts in the first or last one."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        place = sum(edge <= value for edge in edges[1:-1])
        counts[place] += 1
    return counts


COUNTED = (
    "scenarios",
    "internal scenarios",
    "external scenarios",
    "scenarios without a box",
    "views",
    "overhead views",
    "vehicle views",
    "views without phases",
    "phases of views",
    "captions",
    "annotated boxes",
    "generated boxes",
)
"""What is counted in each split."""


def split_counts(scenarios: Sequence[Scenario]) -> dict[str, dict[str, int]]:
    """What each split holds, by the names of COUNTED."""
    found: dict[str, dict[str, int]] = {}
    for scenario in scenarios:
        counts = found.setdefault(scenario.split, dict.fromkeys(COUNTED, 0))
        counts["scenarios"] += 1
        counts[f"{scenario.domain} scenarios"] += 1
        counts["scenarios without a box"] += not any(boxes for v in scenario.views for boxes in v.boxes.values())
        for view in scenario.views:
            counts["views"] += 1
            counts[f"{view.kind} views"] += 1
            counts["views without phases"] += not view.phases
            counts["phases of views"] += len(view.phases)
            for boxes in view.boxes.values():
                counts["generated boxes"] += sum(box.generated for box in boxes)
                counts["annotated boxes"] += sum(not box.generated for box in boxes)
    for caption in captions_of(scenarios):
        found[caption.split]["captions"] += 1
    return found


BOX_EDGES = [0, *(2.0**power for power in range(2, 11))]
"""Pixels: the root of a box's area, so that a bin is twice as long as the one before it."""

CAPTION_EDGES = [*range(0, 220, 20), 10**6]
PHASE_EDGES = [0, 0.5, 1, 2, 3, 4, 6, 8, 12, 20, 10**6]


def box_sizes(scenarios: Sequence[Scenario]) -> dict[str, Spread]:
    """By road user: the root of each box's area in pixels, summed up and by bins."""
    found: dict[str, Spread] = {}
    for role in ROLES:
        sides = [box.area**0.5 for s in scenarios for view in s.views for box in view.boxes.get(role, ())]
        found[role] = {**summary(sides), "bins": histogram(sides, BOX_EDGES)}
    return found


def phase_lengths(scenarios: Sequence[Scenario]) -> dict[str, Spread]:
    """By phase: seconds, summed up and by bins. Views that share a caption file count once."""
    found: dict[int, list[float]] = {number: [] for number in range(len(PHASES))}
    for scenario in scenarios:
        spans = {(phase.number, phase.start_s, phase.end_s) for view in scenario.views for phase in view.phases}
        for number, start_s, end_s in spans:
            found[number].append(end_s - start_s)
    return {
        PHASES[number]: {**summary(lengths), "bins": histogram(lengths, PHASE_EDGES)}
        for number, lengths in found.items()
    }


def caption_lengths(captions: Sequence[Caption]) -> dict[str, Spread]:
    """By road user: words of a caption, summed up and by bins."""
    found: dict[str, Spread] = {}
    for role in ROLES:
        lengths = [len(WORD.findall(caption.text)) for caption in captions if caption.role == role]
        found[role] = {**summary(lengths), "bins": histogram(lengths, CAPTION_EDGES)}
    return found


def words_by_dimension(
    captions: Sequence[Caption], step: Callable[[], None] = lambda: None
) -> dict[str, dict[str, DimensionWords]]:
    """By road user and dimension: how many sentences, and the most frequent words but function words."""
    sentences: Counter[tuple[str, str, str]] = Counter()
    for caption in captions:
        for sentence, dimension in label_by_rules(caption.role, split_sentences(caption.text)):
            sentences[caption.role, dimension, sentence] += 1
        step()
    counts: dict[tuple[str, str], Counter[str]] = {}
    totals: Counter[tuple[str, str]] = Counter()
    for (role, dimension, sentence), times in sentences.items():
        totals[role, dimension] += times
        words = counts.setdefault((role, dimension), Counter())
        for word in WORD.findall(sentence.casefold()):
            if word not in FUNCTION_WORDS:
                words[word] += times
    return {
        role: {
            dimension: {
                "sentences": totals[role, dimension],
                "words": dict(_most(counts.get((role, dimension), Counter()))),
            }
            for dimension in DIMENSIONS
        }
        for role in ROLES
    }


def _most(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_WORDS]

"""The seam of probes: questions with options, their variants, and what the answers to them show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from PIL import Image

from cityscribe.evaluate import resampling
from cityscribe.evaluate.resampling import Interval, Paired

Finding = Literal["passed", "failed", "unclear"]
"""failed: the fault is surely there (95 % of draws); passed: it is surely smaller than `TOLERANCE`, or never seen;
unclear: too few questions to tell, or a model that does not look."""

TOLERANCE = 0.05
"""A share of questions. A fault that is surely smaller is let pass, one that is surely larger is a failure."""


class ImageChange(Protocol):
    """What is done to each image of a question. Equal changes of equal images with equal seeds are equal."""

    @property
    def name(self) -> str:
        """Part of the name of the file that it makes."""
        ...

    def apply(self, image: Image.Image, seed: int) -> Image.Image:
        """The changed image: RGB, of the same size."""
        ...


@dataclass(frozen=True, slots=True)
class ProbedQuestion:
    """A question with options and images, of which the right answer is known."""

    key: str
    group: str  # questions of one group are about the same clip or image
    options: tuple[str, ...]
    right: int  # the number of the right option


@dataclass(frozen=True, slots=True)
class ChangedQuestion:
    """A changed question: other options or another order of them, or changed images."""

    label: str  # unique among the variants of a question, and the same for the same change of another one
    options: tuple[str, ...]
    change: ImageChange | None = None


@dataclass(frozen=True, slots=True)
class ProbedAnswers:
    """What was said to a question and to its variants: the texts of options, empty where an answer names none."""

    question: ProbedQuestion
    plain: str
    blind: str
    changed: tuple[str, ...]  # in the order of the variants
    variants: tuple[ChangedQuestion, ...]

    @property
    def truth(self) -> str:
        return self.question.options[self.question.right]


@dataclass(frozen=True, slots=True)
class ProbeLine:
    """A share of questions, or a difference of two, with the interval of 95 % of draws of the groups."""

    name: str
    value: float
    interval: Interval | None  # None where there are fewer than two groups
    questions: int


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a probe found. `lines` are what it measured, `examples` keys of questions that show the fault."""

    finding: Finding
    why: str
    lines: tuple[ProbeLine, ...]
    examples: tuple[str, ...]


class Probe(Protocol):
    """A member of `PROBES`."""

    def variants(self, question: ProbedQuestion) -> Sequence[ChangedQuestion]:
        """The changed questions; none where the question cannot be changed in this way."""
        ...

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        """What the answers show, of at least one question, each with its variants. `seed` is of the draws."""
        ...


def share(name: str, asked: Sequence[ProbedAnswers], outcomes: Sequence[float], seed: int) -> ProbeLine:
    """The mean of an outcome a question, from 0 to 1."""
    groups = [each.question.group for each in asked]
    table = resampling.stratum(groups, [""] * len(groups), outcomes)
    return ProbeLine(name, resampling.mean([table]), resampling.interval([table], seed), len(asked))


def difference(
    name: str, asked: Sequence[ProbedAnswers], first: Sequence[float], second: Sequence[float], seed: int
) -> ProbeLine:
    """The mean of the first outcomes minus that of the second ones of the same questions."""
    groups, columns = [each.question.group for each in asked], [""] * len(asked)
    one, other = resampling.stratum(groups, columns, first), resampling.stratum(groups, columns, second)
    found = resampling.paired_interval([Paired(one.sums, other.sums, one.counts)], seed)
    return ProbeLine(name, resampling.mean([one]) - resampling.mean([other]), found, len(asked))


def accuracy(asked: Sequence[ProbedAnswers], seed: int) -> tuple[ProbeLine, ProbeLine, ProbeLine]:
    """The lines that every probe begins with: accuracy with images, without them, and what looking is worth."""
    plain, blind = plain_right(asked), [float(each.blind == each.truth) for each in asked]
    return (
        share("accuracy", asked, plain, seed),
        share("accuracy blind", asked, blind, seed),
        difference("gain by looking", asked, plain, blind, seed),
    )


def plain_right(asked: Sequence[ProbedAnswers]) -> list[float]:
    return [float(each.plain == each.truth) for each in asked]


def judged(fault: ProbeLine, what: str) -> tuple[Finding, str]:
    """The finding on a share of questions that show a fault, or on a loss of accuracy."""
    shown = f"{what}: {100 * fault.value:.1f} %"
    if fault.interval is None:
        return "unclear", f"{shown} of one group of questions only"
    if fault.interval.low > TOLERANCE:
        return "failed", f"{shown}, surely more than {100 * TOLERANCE:.0f} %"
    if fault.interval.high <= TOLERANCE:
        return "passed", f"{shown}, surely no more than {100 * TOLERANCE:.0f} %"
    return "unclear", f"{shown}, too few questions to tell"

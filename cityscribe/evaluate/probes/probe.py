"""The seam of probes: questions, what is changed in them, and what the answers to both show.

A probe is one of three things. It changes the questions of a data set (`Probe`), it brings questions with pictures of
its own (`OwnQuestions`), or it looks into a checkpoint beside its answers (`Inside`). All end in a `ProbeResult`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from PIL import Image

from cityscribe.engine.members import Setup
from cityscribe.evaluate import resampling
from cityscribe.evaluate.resampling import Interval, Paired
from cityscribe.letters import ASK, LETTERS, listed
from cityscribe.records import Sample

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
    """A question with options of which the right answer is known."""

    key: str
    group: str  # questions of one group are about the same clip or image
    options: tuple[str, ...]  # empty: it is answered in free words
    right: int  # the number of the right option; -1 where there are none
    text: str = ""  # its words, with the options as they are listed
    images: tuple[Path, ...] = ()
    words: str = ""  # all that is known of the group: the right answers and descriptions of the data
    about: Mapping[str, str] = field(default_factory=dict)  # such as {"phase": "action"}; nothing empty

    @property
    def stem(self) -> str:
        """Its words without the options."""
        return self.text.partition(f"\n{LETTERS[0]}. ")[0].strip()


@dataclass(frozen=True, slots=True)
class ChangedQuestion:
    """A changed question: other words, options or images. What is not said stays as it is."""

    label: str  # unique among the variants of a question, and the same for the same change of another one
    options: tuple[str, ...]  # without a `text` the same ones in another order; empty: it is answered in free words
    change: ImageChange | None = None
    text: str | None = None  # the whole words that are asked, with the options as they are to be listed
    images: tuple[Path, ...] | None = None  # other images
    places: tuple[int, ...] | None = None  # the numbers of the images that change; None: all
    right: str | None = None  # the option that is right now; None: the same as before; empty: none is


@dataclass(frozen=True, slots=True)
class ProbedAnswers:
    """What was said to a question and to its variants: the texts of options, empty where an answer names none; of
    questions without options the whole answers."""

    question: ProbedQuestion
    plain: str
    blind: str
    changed: tuple[str, ...]  # in the order of the variants
    variants: tuple[ChangedQuestion, ...]
    scores: tuple[float, ...] = ()  # log-likelihoods of the options of the plain question, where a probe wants them

    @property
    def truth(self) -> str:
        return self.question.options[self.question.right] if self.question.options else ""

    def truth_of(self, number: int) -> str:
        """What is right for a variant."""
        right = self.variants[number].right
        return self.truth if right is None else right

    def right(self) -> list[float]:
        """For each variant whether the right option was said."""
        return [float(bool(said) and said == self.truth_of(n)) for n, said in enumerate(self.changed)]


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
    fault: ProbeLine  # what the finding rests on: the mean of `faults`
    faults: tuple[float, ...]  # of each question, so that two models can be compared


@runtime_checkable
class Comparing(Protocol):
    """What every probe that asks can do."""

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        """What the answers show, of at least one question, each with its variants. `seed` is of the draws."""
        ...


@runtime_checkable
class Probe(Comparing, Protocol):
    """A member of `PROBES` that changes questions of a data set."""

    def variants(self, question: ProbedQuestion, others: Sequence[ProbedQuestion]) -> Sequence[ChangedQuestion]:
        """The changed questions; none where the question cannot be changed in this way. `others` are all that are
        asked, the question itself among them."""
        ...


@dataclass(frozen=True, slots=True)
class Asking:
    """A question of a probe's own with its variants. All images are named by their whole paths."""

    sample: Sample
    variants: Sequence[ChangedQuestion]
    about: Mapping[str, str] = field(default_factory=dict)  # what is known of what it shows


@runtime_checkable
class OwnQuestions(Protocol):
    """A member of `PROBES` that brings its own questions, whatever the data set asks."""

    def questions(self, folder: Path, count: int, seed: int) -> Iterator[Asking]:
        """At least so many questions, whose images are written into a folder. Equal arguments give equal ones."""
        ...


@runtime_checkable
class NeedsScores(Protocol):
    """A probe that wants to know how likely each option of the plain questions is."""

    needs_scores: bool


@runtime_checkable
class Inside(Protocol):
    """A member of `PROBES` that looks into a checkpoint of this machine."""

    def look(self, asked: Sequence[ProbedAnswers], checkpoint: Path | str, setup: Setup, seed: int) -> ProbeResult:
        """What is found, beside the answers to the plain questions. Raises InputError for a checkpoint that cannot be
        looked into."""
        ...


def with_options(stem: str, options: Sequence[str], ask: str = ASK) -> str:
    """The words of a question with its options, as sources list them."""
    return f"{stem}\n{listed(options)}\n{ask}"


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


def changed_right(asked: Sequence[ProbedAnswers], label: str) -> list[float]:
    """Whether the variant of a label is answered right; 0 for a question that has none of it."""
    return [
        next((right for variant, right in zip(each.variants, each.right(), strict=True) if variant.label == label), 0.0)
        for each in asked
    ]


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


def judged_gains(gains: Sequence[ProbeLine], lacking: str = "") -> tuple[Finding, str]:
    """The finding on what a model that looks has to gain: passed where all gains are surely above `TOLERANCE`, failed,
    with what is `lacking`, where one surely is not."""
    shown = ", ".join(f"{gain.name}: {100 * gain.value:.1f} points" for gain in gains)
    intervals = [gain.interval for gain in gains if gain.interval is not None]
    if len(intervals) < len(gains):
        return "unclear", f"{shown}, of one group of questions only"
    if all(interval.low > TOLERANCE for interval in intervals):
        return "passed", f"{shown}, surely more than {100 * TOLERANCE:.0f}"
    if any(interval.high <= TOLERANCE for interval in intervals):
        return "failed", f"{shown}, surely no more than {100 * TOLERANCE:.0f}{lacking}"
    return "unclear", f"{shown}, too few questions to tell"


def looks(lines: Sequence[ProbeLine]) -> bool:
    """Whether looking is surely worth something: of the lines of `accuracy`, the gain is surely above zero."""
    return lines[2].interval is not None and lines[2].interval.low > 0


def judged_if_looked(fault: ProbeLine, what: str, lines: Sequence[ProbeLine], hurt: str) -> tuple[Finding, str]:
    """`judged` of what a change of images costs. A model that does not look passes nothing by that: what is `hurt`
    cannot be. `lines` begin with those of `accuracy`."""
    finding, why = judged(fault, what)
    if finding != "failed" and not looks(lines):
        return "unclear", f"looking at the images is not surely worth anything, so {hurt}"
    return finding, why


def result(
    asked: Sequence[ProbedAnswers],
    faults: Sequence[float],
    name: str,
    what: str,
    lines: Sequence[ProbeLine],
    seed: int,
) -> ProbeResult:
    """The result of a probe whose fault is a share of questions, called `name` among the lines and `what` in the
    finding; `lines` stand before it."""
    fault = share(name, asked, faults, seed)
    finding, why = judged(fault, what)
    examples = [each.question.key for each, bad in zip(asked, faults, strict=True) if bad > 0]
    return ProbeResult(finding, why, (*lines, fault), tuple(examples), fault, tuple(faults))

"""The scores of answered questions as they are written and read: `scores.json` and `segments.json`.

    scores.total, scores.segments            what `evaluate` writes
    read_total(path), read_outcomes(path)    what a page or a table reads, checked

A part or a number that a run has nothing for is not in the file; None says that there is too little for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from cityscribe.files import InputError, read_json

IntervalBounds = tuple[float, float] | None
"""The lower and the upper end; None where there are too few groups."""


Origin = Literal["train", "references"]
"""Which data say what is usual."""


class Result(BaseModel):
    """What stands in a file of scores. A field that was never set is not written."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True, allow_inf_nan=False)

    def to_json(self) -> dict[str, object]:
        return self.model_dump(exclude_unset=True)


class Majority(Result):
    """Saying always what is usual."""

    origin: Origin = Field(alias="from")


class MajorityOfChoices(Majority):
    accuracy: float


class MajorityOfAnswers(Majority):
    exact: float


class ReadBy(Result):
    """How many answers named their option by its letter, and by its words."""

    letter: int
    text: int


class LetterShares(Result):
    """The share of a letter among what is right, and among what was chosen."""

    right: float
    chosen: float


class ClassScores(Result):
    """A class: the text of an option."""

    name: str = Field(alias="class")
    questions: int
    chosen: int
    recall: float
    interval: IntervalBounds
    precision: float | None  # None where it was never chosen


class Confusion(Result):
    """What is right (rows) against what was said (columns)."""

    rows: list[str]
    columns: list[str]
    counts: list[list[int]]


class Against(Result):
    """One class against all others."""

    name: str = Field(alias="class")
    accuracy: float
    confusion: Confusion


class Kind(Result):
    """The questions of one kind, such as those of a phase."""

    value: str
    questions: int
    accuracy: float


class Circular(Result):
    """Questions that were asked with their options in every rotation."""

    questions: int
    accuracy: float
    interval: IntervalBounds
    asked: int
    accuracy_of_all_asked: float
    unparsed: int
    chance: float


class ChoiceScores(Result):
    """Questions with options. The classes and what follows stand there where there are few enough of them."""

    questions: int
    accuracy: float
    interval: IntervalBounds
    correct: int
    unparsed: int
    missing: int
    read_by: ReadBy
    majority: MajorityOfChoices
    chance: float
    letters: dict[str, LetterShares]
    breakdowns: dict[str, list[Kind]]
    balanced: float | None = None
    balanced_interval: IntervalBounds = None
    classes: list[ClassScores] = []
    confusion: Confusion | None = None
    against: Against | None = None
    circular: Circular | None = None


class AnswerType(Result):
    """The short answers of one type."""

    type: str
    questions: int
    exact: float
    f1: float


class ShortScores(Result):
    """Open questions with short answers."""

    questions: int
    exact: float
    exact_interval: IntervalBounds
    f1: float
    f1_interval: IntervalBounds
    missing: int
    empty: int
    majority: MajorityOfAnswers
    types: list[AnswerType]


class WithMetrics(Result):
    """What also has the metrics of a profile, by name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float]

    @classmethod
    def of(cls, metrics: Mapping[str, float], **fields: object) -> Self:
        return cls.model_validate({**fields, **metrics})

    @property
    def metrics(self) -> dict[str, float]:
        return self.__pydantic_extra__


class LongScores(WithMetrics):
    """Open questions with long answers, scored as captions."""

    questions: int
    missing: int
    score: float


class QuestionTotal(Result):
    """`scores.json` of questions."""

    questions: int
    choices: ChoiceScores | None = None
    answers: ShortScores | None = None
    captions: LongScores | None = None
    unscored: int = 0
    score: float | None  # mean outcome in points; None where no question has a reference
    interval: IntervalBounds = None

    @property
    def parts(self) -> list[ChoiceScores | ShortScores | LongScores]:
        return [part for part in (self.choices, self.answers, self.captions) if part is not None]


class ChoiceOutcome(Result):
    """A question with options."""

    kind: Literal["choice"] = "choice"
    group: str  # questions of one group are about the same clip or image
    outcome: float  # in [0, 1]
    truth: str
    said: str
    right: str
    chosen: str
    how: Literal["letter", "text", "unparsed", "missing"]


class ShortOutcome(Result):
    """A question with a short answer."""

    kind: Literal["answer"] = "answer"
    group: str
    outcome: float
    f1: float
    type: str


class LongOutcome(WithMetrics):
    """A question with a long answer."""

    kind: Literal["caption"] = "caption"
    group: str
    outcome: float


Outcome = Annotated[ChoiceOutcome | ShortOutcome | LongOutcome, Field(discriminator="kind")]
OUTCOMES: TypeAdapter[dict[str, Outcome]] = TypeAdapter(dict[str, Outcome])


def read_total(path: Path) -> QuestionTotal:
    """The scores of questions in a file. Raises InputError for a file of something else."""
    value = read_json(path)
    try:
        return QuestionTotal.model_validate(value)
    except ValidationError as error:
        raise _wrong(path, error) from error


def read_outcomes(path: Path) -> dict[str, Outcome]:
    """The outcomes of questions in a file. Raises InputError for a file of something else."""
    value = read_json(path)
    try:
        return OUTCOMES.validate_python(value)
    except ValidationError as error:
        raise _wrong(path, error) from error


def _wrong(path: Path, error: ValidationError) -> InputError:
    fault = error.errors()[0]
    place = ".".join(map(str, fault["loc"])) or "the file"
    return InputError(f"{path}: is not of questions: {place}: {fault['msg']}; run `cityscribe evaluate` again")

"""The seam of decoders of answers over time, and the one that looks at no other question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from cityscribe.settings import Section, check_section

if TYPE_CHECKING:
    from cityscribe.predict.over_time.counts import AnswerCounts


@dataclass(frozen=True, slots=True)
class StepQuestion:
    """One question with options, as it is asked in one step of a sequence."""

    name: str  # what is asked: equal names in other steps are the same question
    step: int  # -1 of what is asked about the sequence as a whole
    options: tuple[str, ...]
    scores: tuple[float, ...] = ()  # log-likelihood of each option, in nats; empty in the training data
    chosen: int = 0  # the option that the model chose or, in the training data, the right one


@dataclass(frozen=True, slots=True)
class Decoded:
    """What was chosen. Relations are pairs of questions that the training answers relate and that were both asked."""

    chosen: tuple[int, ...]  # the option of each question, in their order
    relations: int = 0  # that were used
    left_out: int = 0  # that would have made the joint answers too many


class AnswerDecoder(Section):
    """A member of `ANSWER_DECODERS`. Its fields are settings, beside `kind`, which has its name as the default."""

    needs_counts: ClassVar[bool] = False  # of the training answers

    def decode(self, questions: Sequence[StepQuestion], counts: AnswerCounts | None) -> Decoded:
        """An option of each question of one sequence; `counts` are there where they are needed."""
        raise NotImplementedError


class Independent(AnswerDecoder):
    """What the model chose."""

    kind: Literal["independent"] = "independent"

    def decode(self, questions: Sequence[StepQuestion], counts: AnswerCounts | None) -> Decoded:
        return Decoded(tuple(question.chosen for question in questions))


def check_decoder(name: str, member: Any) -> None:
    check_section("answer-decoder", name, member, AnswerDecoder)

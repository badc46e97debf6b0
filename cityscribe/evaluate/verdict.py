"""What a judge is shown and what it says, whoever judges."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JudgeItem:
    """One answer to be judged; `second_question` and `second_answer` are of the rubric consistency."""

    question: str
    reference: str
    answer: str
    second_question: str = ""
    second_answer: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge said of one answer: yes or no, and a grade (0 to 5; in MM-Vet 0 to 1).

    Both are None where the reply cannot be read; `correct` also where a rubric asks for a grade alone.
    """

    correct: bool | None
    score: float | None
    reply: str = ""

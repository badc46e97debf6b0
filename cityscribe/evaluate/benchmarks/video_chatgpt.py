"""Video-ChatGPT's five dimensions of what is said about videos, each graded from 0 to 5 by a judge.

    generic_qa.json       [{"video_name", "Q", "A"}]           correctness, detail, context: judged three times
    temporal_qa.json      [{"video_name", "Q", "A"}]           temporal understanding
    consistency_qa.json   [{"video_name", "Q1", "Q2", "A"}]    consistency: one question asked in two ways
    videos anywhere below

By `evaluate_benchmark_1..5.py`: a dimension is the mean of the grades as whole numbers (cut, not rounded), in order of
the questions of its file; verdicts that could not be read were never written and do not count. `mean` is that of the
five dimensions. The id of a question is FILE/NUMBER, in `consistency` FILE/NUMBER/1 and /2; a verdict's id is
DIMENSION/NUMBER.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, Field

from cityscribe.evaluate.benchmarks.layout import find, read_as
from cityscribe.evaluate.benchmarks.question import Benchmark, BenchmarkQuestion, Row, RuleScores, ToJudge
from cityscribe.evaluate.verdict import JudgeItem, Verdict
from cityscribe.files import InputError

DIMENSIONS = {
    "correctness": "generic",
    "detail": "generic",
    "context": "generic",
    "temporal": "temporal",
    "consistency": "consistency",
}
"""Dimension -> the file of its questions."""

FILES = tuple(dict.fromkeys(DIMENSIONS.values()))


class _Generic(BaseModel):
    video_name: str
    question: str = Field(alias="Q")
    answer: str = Field(alias="A")


class _Consistency(BaseModel):
    video_name: str
    first: str = Field(alias="Q1")
    second: str = Field(alias="Q2")
    answer: str = Field(alias="A")


def read_video_chatgpt(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The questions of the files that are there. The dimensions have no splits."""
    questions = []
    for path in find(data, "*_qa.json"):
        name = path.name.removesuffix("_qa.json")
        if name in ("generic", "temporal"):
            for number, entry in enumerate(read_as(path, list[_Generic])):
                facts = {"file": name, "number": number}
                questions.append(
                    BenchmarkQuestion(
                        f"{name}/{number}", entry.question, (entry.answer,), video=entry.video_name, facts=facts
                    )
                )
        elif name == "consistency":
            for number, pair in enumerate(read_as(path, list[_Consistency])):
                for turn, text in enumerate((pair.first, pair.second), start=1):
                    facts = {"file": name, "number": number}
                    question = BenchmarkQuestion(
                        f"{name}/{number}/{turn}", text, (pair.answer,), video=pair.video_name, facts=facts
                    )
                    questions.append(question)
    if not questions:
        raise InputError(f"{data}: has none of generic_qa.json, temporal_qa.json, consistency_qa.json")
    return questions


def _numbers(questions: Sequence[BenchmarkQuestion]) -> dict[str, list[int]]:
    """Dimension -> the numbers of its questions, of those dimensions that have any."""
    found = {file: sorted({q.facts["number"] for q in questions if q.facts["file"] == file}) for file in FILES}
    return {dimension: found[file] for dimension, file in DIMENSIONS.items() if found[file]}


def score_video_chatgpt(
    questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str], verdicts: Mapping[str, Verdict]
) -> RuleScores:
    """The five dimensions, from 0 to 5, and their mean over those whose questions are there."""
    total: dict[str, float] = {}
    unread: dict[str, int] = {}
    rows: list[Row] = []
    for dimension, numbers in _numbers(questions).items():
        grades = [verdicts[f"{dimension}/{number}"].score for number in numbers]
        read = [int(grade) for grade in grades if grade is not None]
        total[dimension] = sum(read) / len(read) if read else 0.0
        unread[dimension] = len(grades) - len(read)
        rows += [
            {"id": f"{dimension}/{number}", "grade": grade, "score": 0 if grade is None else int(grade)}
            for number, grade in zip(numbers, grades, strict=True)
        ]
    total["mean"] = sum(total.values()) / len(total)
    return RuleScores({**total, "unparsed": unread}, rows)


class _Dimensions:
    """A verdict a question and dimension, by the rubric of the dimension."""

    def ids(self, questions: Sequence[BenchmarkQuestion]) -> list[str]:
        return [f"{dimension}/{number}" for dimension, numbers in _numbers(questions).items() for number in numbers]

    def items(self, questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> ToJudge:
        """Raises InputError where only one of the two wordings of `consistency` has an answer."""
        by_place: dict[tuple[str, int], list[BenchmarkQuestion]] = {}
        for question in questions:
            by_place.setdefault((question.facts["file"], question.facts["number"]), []).append(question)
        items: ToJudge = {}
        for key in self.ids(questions):
            dimension, _, number = key.partition("/")
            first, *second = by_place[DIMENSIONS[dimension], int(number)]
            if dimension == "consistency" and not second:
                raise InputError(f"question {first.id}: its other wording has no answer, and consistency needs both")
            more = (second[0].text, answers[second[0].id]) if second else ("", "")
            items.setdefault(dimension, {})[key] = JudgeItem(first.text, first.truth[0], answers[first.id], *more)
        return items


VIDEO_CHATGPT = Benchmark(
    read_video_chatgpt,
    score_video_chatgpt,
    prompt="open",
    split="",
    rule="Video-ChatGPT evaluate_benchmark_1 to 5",
    judged="always",
    judge="video-chatgpt",
    to_judge=_Dimensions(),
    headline="mean",
)

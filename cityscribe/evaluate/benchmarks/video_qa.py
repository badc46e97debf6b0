"""MSVD-QA and ActivityNet-QA: short answers about videos.

    SPLIT_qa.json, youtube_mapping.txt   [{"id", "video_id", "question", "answer"}]; lines NAME vidN    MSVD-QA
    SPLIT_q.json                         [{"question_id", "video_name", "question"}]                    ActivityNet-QA
    SPLIT_a.json                         [{"question_id", "answer", "type"}]
    videos anywhere below

Two rules. `exact` is the share of answers that are the right one letter for letter: ActivityNet-QA's own `eval.py`, and
how MSVD-QA was scored before language models answered. Since Video-ChatGPT a judge says whether an answer means the
same and grades it from 0 to 5: `accuracy` is the share of its yes, `score` the mean grade. Officially (`LLaMA-VID`,
`Video-ChatGPT`) only verdicts that can be read count; `accuracy_of_all` counts the others as wrong.

ActivityNet-QA's `eval.py` prints a number for all free questions that is wrong, because it sums the types in the order
in which they come in the file; `exact_free` here is the share of types 3 to 8, as meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from pydantic import BaseModel

from cityscribe.evaluate.benchmarks.layout import IdText, find_one, read_as
from cityscribe.evaluate.benchmarks.question import (
    Benchmark,
    BenchmarkQuestion,
    Measures,
    Row,
    RuleScores,
    percent,
    percent_by,
)
from cityscribe.evaluate.text_files import text_of_file
from cityscribe.evaluate.verdict import Verdict
from cityscribe.files import InputError

TYPES = (
    "motion",
    "spatial relation",
    "temporal relation",
    "yes or no",
    "colour",
    "object",
    "location",
    "number",
    "other",
)
"""Of ActivityNet-QA, by their numbers; from the fourth on they are those of free questions."""

FREE = TYPES[3:]


class _Msvd(BaseModel):
    id: IdText
    video_id: IdText
    question: str
    answer: str


class _Asked(BaseModel):
    question_id: IdText
    video_name: str
    question: str


class _Answered(BaseModel):
    question_id: IdText
    answer: str
    type: int


def read_msvd_qa(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The questions of a split; a video is named as its file is, by `youtube_mapping.txt` where that is there."""
    mapping = data / "youtube_mapping.txt"
    names: dict[str, str] = {}
    for line in text_of_file(mapping).splitlines() if mapping.is_file() else ():
        name, _, number = line.strip().rpartition(" ")
        names[number.removeprefix("vid")] = name
    return [
        BenchmarkQuestion(
            id=entry.id,
            text=entry.question,
            truth=(entry.answer,),
            video=names.get(entry.video_id, f"vid{entry.video_id}"),
            facts={"begins with": entry.question.partition(" ")[0].lower()},
        )
        for entry in read_as(find_one(data, f"{split}_qa.json"), list[_Msvd])
    ]


def read_activitynet_qa(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The questions of a split with their answers and types."""
    path = find_one(data, f"{split}_a.json")
    answered = {entry.question_id: entry for entry in read_as(path, list[_Answered])}
    questions = []
    for entry in read_as(find_one(data, f"{split}_q.json"), list[_Asked]):
        found = answered.get(entry.question_id)
        if found is None or not 0 <= found.type < len(TYPES):
            raise InputError(f"{path}: question {entry.question_id}: has no answer with a type from 0 to 8")
        kind = TYPES[found.type]
        facts = {"type": kind}
        questions.append(
            BenchmarkQuestion(
                entry.question_id, entry.question, (found.answer,), video=f"v_{entry.video_name}", facts=facts
            )
        )
    return questions


def score_video_qa(
    questions: Sequence[BenchmarkQuestion],
    answers: Mapping[str, str],
    verdicts: Mapping[str, Verdict] | None = None,
    *,
    by: str,
) -> RuleScores:
    """`exact` in percent, in total and by a fact; with verdicts also what `judged` gives."""
    exact = [float(answers[question.id] == question.truth[0]) for question in questions]
    total: Measures = {"exact": percent(exact), f"exact by {by}": percent_by(questions, exact, by)}
    if by == "type":
        free = [value for question, value in zip(questions, exact, strict=True) if question.facts["type"] in FREE]
        total["exact_free"] = percent(free)
    rows: list[Row] = [
        {"id": question.id, "answer": answers[question.id], "truth": question.truth[0], "score": value}
        for question, value in zip(questions, exact, strict=True)
    ]
    if verdicts is not None:
        total = {**judged(questions, verdicts, by=by), **total}
        for row in rows:
            verdict = verdicts[row["id"]]
            row |= {"correct": verdict.correct, "grade": verdict.score, "score": float(bool(verdict.correct))}
    return RuleScores(total, rows)


def judged(questions: Sequence[BenchmarkQuestion], verdicts: Mapping[str, Verdict], *, by: str) -> Measures:
    """`accuracy` (percent) and `score` (0 to 5) of the verdicts that can be read, and both counts of the accuracy."""
    read = [question for question in questions if verdicts[question.id].correct is not None]
    values = [float(bool(verdicts[question.id].correct)) for question in read]
    grades = [verdict.score for question in questions if (verdict := verdicts[question.id]).score is not None]
    return {
        "accuracy": percent(values),
        "accuracy_of_all": 100 * sum(values) / len(questions) if questions else 0.0,
        "score": sum(grades) / len(grades) if grades else 0.0,
        "unparsed": len(questions) - len(read),
        f"accuracy by {by}": percent_by(read, values, by),
    }


MSVD_QA = Benchmark(
    read_msvd_qa,
    partial(score_video_qa, by="begins with"),
    prompt="open",
    split="test",
    rule="exact match; Video-ChatGPT's judge",
    judged="also",
    judge="video-chatgpt",
    headline="exact",
)
ACTIVITYNET_QA = Benchmark(
    read_activitynet_qa,
    partial(score_video_qa, by="type"),
    prompt="open",
    split="test",
    rule="activitynet-qa eval.py; Video-ChatGPT's judge",
    judged="also",
    judge="video-chatgpt",
    headline="exact",
)

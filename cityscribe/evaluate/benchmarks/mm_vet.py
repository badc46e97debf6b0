"""MM-Vet: free answers that a language model grades from 0 to 1.

    mm-vet.json   {"v1_0": {"imagename", "question", "answer" (parts joined by <AND> or <OR>), "capability": [...]}}
    images/IMAGENAME

By the official `mm-vet_evaluator.py`: the mean grade times 100, in total, by capability (a question counts for each of
its own), and by combination of capabilities; rounded to one decimal. An answer whose grade cannot be read counts as 0.
The official grader shows examples to GPT-4 in a prompt of its own and repeats with rising temperature; grades made in
that way are read as verdicts too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from cityscribe.evaluate.benchmarks.layout import find_one, folder_of, read_as
from cityscribe.evaluate.benchmarks.question import (
    Benchmark,
    BenchmarkQuestion,
    JudgedAnswers,
    Measures,
    Row,
    RuleScores,
    percent,
    percent_by,
)
from cityscribe.evaluate.judge import Judge, Rubric
from cityscribe.evaluate.verdict import Verdict


class _Question(BaseModel):
    imagename: str
    question: str
    answer: str
    capability: list[str]


def read_mm_vet(data: Path, split: str) -> list[BenchmarkQuestion]:
    """All questions, in their order. MM-Vet has no splits."""
    folder = folder_of(data, "images", "mm-vet/images")
    return [
        BenchmarkQuestion(
            id=name,
            text=entry.question,
            truth=(entry.answer,),
            images=(f"{folder}{entry.imagename}",),
            shared_id=name.removeprefix("v1_"),  # as LLaVA numbers them, which has one question an image
            facts={"capability": entry.capability, "capabilities": "+".join(sorted(set(entry.capability)))},
        )
        for name, entry in read_as(find_one(data, "mm-vet.json"), dict[str, _Question]).items()
    ]


def score_mm_vet(
    questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str], verdicts: Mapping[str, Verdict]
) -> RuleScores:
    """`score` of 100, in total, by capability and by combination; and how many grades could not be read."""
    rows: list[Row] = []
    for question in questions:
        grade = verdicts[question.id].score
        rows.append({"id": question.id, "answer": answers[question.id], "grade": grade, "score": grade or 0.0})
    values = [float(row["score"] or 0.0) for row in rows]
    total: Measures = {
        "score": round(percent(values), 1),
        "ungraded": sum(row["grade"] is None for row in rows),
        **{
            f"score by {fact}": {name: round(share, 1) for name, share in percent_by(questions, values, fact).items()}
            for fact in ("capability", "capabilities")
        },
    }
    return RuleScores(total, rows)


def first_grade(reply: str, rubric: Rubric) -> Verdict:
    """The number from 0 to 1 before the first space of a reply, as MM-Vet reads it."""
    try:
        grade = float(reply.strip().split(" ")[0].strip())
    except ValueError:
        return Verdict(None, None, reply)
    return Verdict(None, grade if 0 <= grade <= 1 else None, reply)


def _parts(question: BenchmarkQuestion) -> str:
    return question.truth[0].replace("<AND>", " <AND> ").replace("<OR>", " <OR> ")


JUDGE = Judge((__package__ or "", "mm_vet_judge.yaml"), first_grade)

MM_VET = Benchmark(
    read_mm_vet,
    score_mm_vet,
    prompt="open",
    split="",
    rule="MM-Vet mm-vet_evaluator.py",
    judged="always",
    judge="mm-vet",
    to_judge=JudgedAnswers("mm-vet", reference=_parts),
    headline="score",
)

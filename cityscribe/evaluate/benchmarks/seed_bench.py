"""SEED-Bench: four options about images (types 1 to 9) and videos (types 10 to 12).

    SEED-Bench.json   {"questions": [{"question_id", "question_type_id", "data_type", "data_id", "question",
                      "choice_a".."choice_d", "answer"}], "question_type": {name: id}}
    SEED-Bench-image/DATA_ID;  SEED-Bench-video-image/QUESTION_ID.png, one frame of each video, as LLaVA takes it
    (the names of the two folders are LLaVA's and from memory)

Officially the option with the lowest loss is the answer, so `eval.py` never reads a text (and its own accuracies stop
at a key that it does not store). LLaVA's `convert_seed_for_submission.py` counts an answer that is the letter, and
nothing else, as right; missing answers are wrong. Both are the same rule for a file that holds letters, whether a
model wrote them or they are the most likely options.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


class _Question(BaseModel):
    question_id: IdText
    question_type_id: int
    data_type: str
    data_id: str
    question: str
    choice_a: str
    choice_b: str
    choice_c: str
    choice_d: str
    answer: str


class _File(BaseModel):
    questions: list[_Question]
    question_type: dict[str, int] = {}


def read_seed_bench(data: Path, split: str) -> list[BenchmarkQuestion]:
    """All questions, in their order. SEED-Bench has no splits."""
    file = read_as(find_one(data, "SEED-Bench.json", "SEED-Bench*.json"), _File)
    names = {number: name for name, number in file.question_type.items()}
    return [
        BenchmarkQuestion(
            id=entry.question_id,
            text=entry.question,
            truth=(entry.answer,),
            options=(entry.choice_a, entry.choice_b, entry.choice_c, entry.choice_d),
            images=(
                f"SEED-Bench-image/{entry.data_id}"
                if entry.data_type == "image"
                else f"SEED-Bench-video-image/{entry.question_id}.png",
            ),
            facts={
                "type": names.get(entry.question_type_id, str(entry.question_type_id)),
                "media": entry.data_type,
            },
        )
        for entry in file.questions
    ]


def score_seed_bench(questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> RuleScores:
    """`accuracy` in percent: of all, of images, of videos, and by type."""
    rows: list[Row] = [
        {
            "id": question.id,
            "answer": answers.get(question.id),
            "parsed": answers.get(question.id, "") if answers.get(question.id, "") in ("A", "B", "C", "D") else "",
            "score": float(answers.get(question.id) == question.truth[0]),
        }
        for question in questions
    ]
    values = [row["score"] for row in rows]
    total: Measures = {
        "accuracy": percent(values),
        "unparsed": sum(not row["parsed"] for row in rows),
        "accuracy by media": percent_by(questions, values, "media"),
        "accuracy by type": percent_by(questions, values, "type"),
    }
    return RuleScores(total, rows)


SEED_BENCH = Benchmark(
    read_seed_bench,
    score_seed_bench,
    prompt="choice",
    split="",
    rule="LLaVA convert_seed_for_submission.py",
    missing="wrong",
)

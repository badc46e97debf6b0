"""LingoQA: open questions about driving, judged by a text classifier of its authors, Lingo-Judge.

    *.parquet   question_id, segment_id, images, question, answer: two rows a question, two references

By `benchmark/evaluate.py` and `judge.py` of wayveai/LingoQA: the classifier (`wayveai/Lingo-Judge`, DeBERTa) sees the
question, a reference and the answer, the latter two in small letters; an answer is right where its highest logit over
the references is above 0, and `accuracy` is the share that is right (`--judge FOLDER`). Without the classifier only
`exact` is there, the answers that are a reference but for capitals and marks; it compares with no published number. A
question is named QUESTION_ID/SEGMENT_ID, or QUESTION_ID where that is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from cityscribe.evaluate.benchmarks.layout import check, find
from cityscribe.evaluate.benchmarks.lines import plain
from cityscribe.evaluate.benchmarks.question import Benchmark, BenchmarkQuestion, Row, RuleScores, percent
from cityscribe.evaluate.verdict import Verdict
from cityscribe.files import InputError


class _Row(BaseModel):
    question_id: str
    segment_id: str
    images: list[str]
    question: str
    answer: str


def read_lingoqa(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The questions of the files whose name holds the split, or of all; the answers to one are its references."""
    found: dict[tuple[str, str, str], list[_Row]] = {}
    for path in find(data, f"*{split}*.parquet", *(["*.parquet"] if split == "val" else [])):
        try:
            rows = pq.read_table(path).to_pylist()
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            raise InputError(f"{path}: not a readable Parquet file: {error}") from error
        for number, row in enumerate(rows):
            entry = check(path, f"row {number}", row, _Row)
            found.setdefault((entry.question_id, entry.segment_id, entry.question), []).append(entry)
    return [
        BenchmarkQuestion(
            id=name if name == segment else f"{name}/{segment}",
            text=text,
            truth=tuple(entry.answer for entry in entries),
            images=tuple(entries[0].images),
            shared_id=name,
        )
        for (name, segment, text), entries in found.items()
    ]


def score_lingoqa(
    questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str], verdicts: Mapping[str, Verdict] | None = None
) -> RuleScores:
    """Shares in percent; `accuracy` where the classifier has judged."""
    rows: list[Row] = []
    right, exact = [], []
    for question in questions:
        answer = answers[question.id]
        exact.append(float(plain(answer) in map(plain, question.truth)))
        verdict = None if verdicts is None else verdicts[question.id]
        correct = None if verdict is None else bool(verdict.correct)
        right += [] if correct is None else [float(correct)]
        score = exact[-1] if correct is None else right[-1]
        grade = None if verdict is None else verdict.score
        rows.append({"id": question.id, "answer": answer, "correct": correct, "grade": grade, "score": score})
    judged = {} if verdicts is None else {"accuracy": percent(right)}
    return RuleScores({**judged, "exact": percent(exact)}, rows)


LINGOQA = Benchmark(
    read_lingoqa,
    score_lingoqa,
    prompt="open",
    split="val",
    rule="wayveai/LingoQA benchmark/evaluate.py with Lingo-Judge",
    judged="also",
    judged_by="classifier",
    headline="exact",
    splits=("train", "val"),
    licence="Wayve, non-commercial (February 2024)",
    home="github.com/wayveai/LingoQA",
)

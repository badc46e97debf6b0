"""Video-MME: four options about videos from eleven seconds to an hour.

    *.json      [{"video_id", "duration", "domain", "sub_category", "questions": [{"question_id", "task_type",
                "question", "options": ["A. ...", ...], "answer"}]}]          output_test_template.json
    *.parquet   the same, a row a question, with "videoID"                    as on its hub page (layout from memory)
    videos anywhere below, called by `videoID` or `video_id`

By the official `eval_your_results.py`: some ways to begin an answer are taken out, an answer of more than ten words
without a capital A to D is empty, and otherwise the first such letter counts, wherever it stands (`An apple` is an A).
Two commas are missing in the official list, so that four of its beginnings are two long ones that nobody writes, and
`The best option is` stays in the text. Empty answers leave the denominator: `accuracy` is officially of what was
answered, `accuracy_of_all` of everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from cityscribe.evaluate.benchmarks.layout import IdText, check, find, read_as
from cityscribe.evaluate.benchmarks.question import Benchmark, BenchmarkQuestion, Measures, Row, RuleScores, percent
from cityscribe.files import InputError

BEGINNINGS = (
    "The best answer is",
    "The correct answer is",
    "The answer is",
    "The answer",
    "The best option isThe correct option is",
    "Best answer:Best option:",
)
"""As the official script has them, its two slips included."""

FACTS = ("duration", "domain", "sub_category", "task_type")


class _Asked(BaseModel):
    question_id: IdText
    task_type: str
    question: str
    options: list[str]
    answer: str


class _Video(BaseModel):
    video_id: IdText
    duration: str
    domain: str
    sub_category: str
    videoID: str = ""  # noqa: N815  (the name of the column)
    questions: list[_Asked]


def read_video_mme(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The questions of all files, in their order. Video-MME has no splits."""
    questions = []
    for path in find(data, "*.parquet", "*.json"):
        if path.suffix == ".json":
            videos: Iterable[_Video] = read_as(path, list[_Video])
        else:
            videos = _rows(path)
        for video in videos:
            for entry in video.questions:
                questions.append(
                    BenchmarkQuestion(
                        id=entry.question_id,
                        text=entry.question,
                        truth=(entry.answer,),
                        options=tuple(re.sub(r"^[A-D]\. ?", "", option) for option in entry.options),
                        video=video.videoID or video.video_id,
                        facts={
                            "duration": video.duration,
                            "domain": video.domain,
                            "sub_category": video.sub_category,
                            "task_type": entry.task_type,
                        },
                    )
                )
    return questions


def _rows(path: Path) -> list[_Video]:
    try:
        rows = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file: {error}") from error
    return [check(path, f"row {number}", {**row, "questions": [row]}, _Video) for number, row in enumerate(rows)]


def parsed(answer: str) -> str:
    """The letter of an answer; empty where it has none."""
    answer = answer.strip()
    for beginning in BEGINNINGS:
        answer = answer.replace(beginning, "")
    found = re.search("[ABCD]", answer)
    return found[0] if found else ""


def score_video_mme(questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> RuleScores:
    """`accuracy` in percent of the answers with a letter, in total and by duration, domain, sub-category and task."""
    rows: list[Row] = []
    for question in questions:
        letter = parsed(answers[question.id])
        right = float(letter == question.truth[0])
        rows.append({"id": question.id, "answer": answers[question.id], "parsed": letter, "score": right})
    answered = [(q, row["score"]) for q, row in zip(questions, rows, strict=True) if row["parsed"]]
    by: dict[str, dict[str, list[float]]] = {fact: {} for fact in FACTS}
    for question in questions:
        for fact in FACTS:
            by[fact].setdefault(question.facts[fact], [])  # a group without any answer has 0, as officially
    for question, value in answered:
        for fact in FACTS:
            by[fact][question.facts[fact]].append(value)
    total: Measures = {
        "accuracy": percent([value for _, value in answered]),
        "accuracy_of_all": percent([row["score"] for row in rows]),
        "answered": len(answered),
        "unparsed": len(rows) - len(answered),
        **{
            f"accuracy by {fact}": {name: percent(values) for name, values in sorted(groups.items())}
            for fact, groups in by.items()
        },
    }
    return RuleScores(total, rows)


VIDEO_MME = Benchmark(read_video_mme, score_video_mme, prompt="choice", split="", rule="Video-MME eval_your_results.py")

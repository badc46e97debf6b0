"""TAR: reasoning about anomalies in traffic video, ten tasks (AI City Challenge 2026, Track 3).

    test/test.json, train/*.json   {"format": "tao-vl-reason-v1.0", "metadata": {"type": "annotation"},
                                   "items": [{"item_index", "task_type", "video_id", "question", "answer"}]}
    test/videos/..., train/videos/...   the videos, by `video_id`

By the organisers' `evaluate.py`, which comes with the data set (read in VNPT-AI-Official/AICITY2026_track3): yes or no
where an answer begins with it or else first says it; the letter of an option; the mean IoU of time spans written as
JSON, of those that can be read alone; and for seven open tasks BERTScore F1 with roberta-large, layer 17, rescaled.
`mean` is that over the tasks that are scored. The answers of the test set are not published: a split of one's own, such
as train, is scored. Open tasks need an encoder (`--encoder`); without one they are left out of the mean, and
`accuracy` (of yes or no and of letters together) and `mean of scored tasks` say what there is.

Unlike there, an item that the file names twice is refused, an empty answer to an open task is scored as an empty text
and no failure, and a span that is no object, or with a number that is none, counts as unread. Answers are also taken as
the submission, a CSV file with `item_index,prediction`.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from cityscribe.evaluate.benchmarks.answers import read_answers
from cityscribe.evaluate.benchmarks.layout import find, read_as
from cityscribe.evaluate.benchmarks.question import (
    Benchmark,
    BenchmarkQuestion,
    JudgedAnswers,
    Row,
    RuleScores,
    WrittenAnswer,
    percent,
)
from cityscribe.evaluate.verdict import Verdict
from cityscribe.files import InputError

OPEN = (
    *("bcq_openended", "mcq_openended", "open_qa", "causal_linkage"),
    *("scene_description", "temporal_description", "video_summarization"),
)
"""Tasks that BERTScore scores."""

CLOSED = {"bcq": "bcq_accuracy", "mcq": "mcq_accuracy"}
SPANS = "temporal_localization"


class _Item(BaseModel):
    item_index: str
    task_type: str
    video_id: str
    question: str
    answer: str


class _Metadata(BaseModel):
    type: Literal["annotation"]


class _File(BaseModel):
    format: Literal["tao-vl-reason-v1.0"]
    metadata: _Metadata
    items: list[_Item]


def read_tar(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The items of all files of a split, in their order. Raises InputError for an answer of another form."""
    questions: dict[str, BenchmarkQuestion] = {}
    for path in find(data, f"{split}/*.json", f"*{split}*.json"):
        for number, item in enumerate(read_as(path, _File).items):
            if item.item_index in questions:
                raise InputError(f"{path}: items.{number}.item_index: {item.item_index} is there twice")
            truth = item.answer.strip()
            if truth and not _is_readable(item.task_type, truth):
                raise InputError(f"{path}: items.{number}.answer: is {truth[:40]!r}, no answer of {item.task_type}")
            folder = f"{split}/videos/{item.video_id}"
            questions[item.item_index] = BenchmarkQuestion(
                id=item.item_index,
                text=item.question,
                truth=(item.answer,) if truth else (),
                video=folder if (data / folder).exists() else item.video_id,
                facts={"task": item.task_type},
            )
    return list(questions.values())


def _is_readable(task: str, truth: str) -> bool:
    if task == "bcq":
        return _first_word(truth) in ("yes", "no")
    if task == "mcq":
        return bool(re.match(r"[A-Za-z]\)", truth))
    return task != SPANS or span_of(truth) is not None


def _first_word(truth: str) -> str:
    return next(iter(truth.strip().lower().split(".")[0].split()), "")


def read_tar_answers(path: Path) -> list[WrittenAnswer]:
    """Answers as a submission, or in any of the usual forms. Raises InputError for an item that is there twice."""
    if path.suffix != ".csv":
        return read_answers(path)
    csv.field_size_limit(1 << 30)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, restval="")
        if not {"item_index", "prediction"} <= set(reader.fieldnames or ()):
            raise InputError(f"{path}: line 1: expected the columns item_index, prediction")
        answers = [WrittenAnswer(f"row {n}", row["item_index"], row["prediction"]) for n, row in enumerate(reader, 2)]
    seen: set[str] = set()
    for answer in answers:
        if answer.id in seen:
            raise InputError(f"{path}: {answer.place}: item {answer.id} is there twice")
        seen.add(answer.id)
    return answers


def yes_or_no(text: str) -> str:
    """What an answer says, first at its beginning; empty where neither stands in it."""
    text = text.strip().lower()
    found = re.match(r"(yes|no)\b", text) or re.search(r"\b(yes|no)\b", text)
    return found[1] if found else ""


def letter(text: str) -> str:
    """The option of an answer: a letter that it begins with, of any alphabet's place, or a capital A to D in it."""
    text = text.strip()
    found = re.match(r"\(?([A-Za-z])\)?[).\s,:]", text) or re.fullmatch(r"([A-Da-d])", text)
    if found is None:
        found = re.search(r"\b([A-D])\b", text)
    return found[1].upper() if found else ""


def span_of(text: str) -> tuple[float, float] | None:
    """Start and end in seconds of a span written as JSON, also within a fence; None where it cannot be read."""
    value = _fenced(text.strip())
    if not (isinstance(value, dict) and "start" in value and "end" in value):
        return None
    try:
        span = _seconds(value["start"]), _seconds(value["end"])
    except (ValueError, TypeError, OverflowError):
        return None
    return span if all(map(math.isfinite, span)) else None


def _fenced(text: str) -> Any:
    fenced = re.search(r"```json\s*(.*?)\s*```", text, re.DOTALL)
    for part in ([fenced[1]] if fenced else []) + [text]:
        try:
            value = json.loads(part)
        except (json.JSONDecodeError, RecursionError):
            continue
        first = value[0] if isinstance(value, list) and value and part is not text else None
        return first if isinstance(first, dict) and {"start", "end"} <= first.keys() else value
    return None


def _seconds(value: Any) -> float:
    parts = str(value).strip().split(":")
    if len(parts) == 2:
        return int(parts[0]) * 60 + float(parts[1])
    if len(parts) == 3:
        return int(parts[0]) * 3600 + int(parts[1]) * 60 + float(parts[2])
    return float(value)


def overlap(truth: tuple[float, float], said: tuple[float, float]) -> float:
    """IoU of two spans as the script has it, which takes an end before its start as it comes."""
    both = max(0.0, min(truth[1], said[1]) - max(truth[0], said[0]))
    either = max(0.0, (truth[1] - truth[0]) + (said[1] - said[0]) - both)
    return both / either if either > 0 else 0.0


def score_tar(
    questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str], verdicts: Mapping[str, Verdict] | None = None
) -> RuleScores:
    """Measures from 0 to 1 by their official names; `accuracy` and `mean of scored tasks` in percent."""
    rows: list[Row] = []
    values: dict[str, list[float]] = {}
    unread = 0
    for question in questions:
        task, answer, truth = question.facts["task"], answers[question.id], question.truth[0]
        row: Row = {"id": question.id, "answer": answer, "score": 0.0}
        rows.append(row)
        if task in CLOSED:
            read = yes_or_no if task == "bcq" else letter
            said = read(answer)
            meant = _first_word(truth) if task == "bcq" else truth.strip()[0].upper()
            row["parsed"], row["score"] = said, float(said == meant)
            values.setdefault(CLOSED[task], []).append(row["score"])
        elif task == SPANS:
            span, expected = span_of(answer), span_of(truth)
            values.setdefault("temporal_localization_miou", [])
            if span is None or expected is None:
                unread += 1
                continue
            row["score"] = overlap(expected, span)
            values["temporal_localization_miou"].append(row["score"])
        elif task in OPEN and verdicts is not None:
            row["score"] = verdicts[question.id].score or 0.0
            values.setdefault(f"{task}_bertscore_f1", []).append(row["score"])
    measures = {name: sum(found) / len(found) if found else 0.0 for name, found in values.items()}
    scored = sum(measures.values()) / len(measures) if measures else None
    tasks = {question.facts["task"] for question in questions}
    closed = [value for name in CLOSED.values() for value in values.get(name, [])]
    return RuleScores(
        {
            **measures,
            "mean": scored if verdicts is not None or not tasks & set(OPEN) else None,
            "mean of scored tasks": None if scored is None else 100 * scored,
            "accuracy": percent(closed) if closed else None,
            "spans that cannot be read": unread,
            "tasks that are not scored": sorted(
                tasks - {*CLOSED, SPANS} - (set(OPEN) if verdicts is not None else set())
            ),
        },
        rows,
    )


def _is_open(question: BenchmarkQuestion) -> bool:
    return question.facts["task"] in OPEN


TAR = Benchmark(
    read_tar,
    score_tar,
    prompt="open",
    split="test",
    rule="evaluate.py of AI City Challenge 2026, Track 3",
    judged="also",
    judged_by="encoder",
    to_judge=JudgedAnswers(needed=_is_open),
    read_answers=read_tar_answers,
    headline="mean of scored tasks",
    alike="task",
    splits=("train",),
    licence="CC-BY-4.0 (texts)",
    home="huggingface.co/datasets/nvidia/PhysicalAI-Traffic-Anomaly-Reasoning",
)

"""SUTD-TrafficQA: up to four options about clips of traffic events, six kinds of reasoning.

    *.jsonl   ["record_id", "vid_id", "vid_filename", "perspective", "q_body", "q_type", "option0", ..., "answer"]
              and a list of such values a line; a missing option is "", `answer` is the number of the right one
    the clips anywhere below, by their file names

The layout is that of `examples/` of SUTDCV/SUTD-TrafficQA; no scorer is published there. Answers are handed in as the
number of an option (`submission_example.csv`: record_id, predicted_answer), and right is the number of the annotation:
`accuracy` over all, and by the kind of reasoning. Numbers, in such a CSV file or as the text of an answer, count as
they are; of an answer in words the letter counts, as `cityscribe.letters` reads it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cityscribe.evaluate.benchmarks.answers import read_answers
from cityscribe.evaluate.benchmarks.layout import check, find
from cityscribe.evaluate.benchmarks.question import (
    Benchmark,
    BenchmarkQuestion,
    Row,
    RuleScores,
    WrittenAnswer,
    percent,
    percent_by,
)
from cityscribe.evaluate.text_files import json_lines
from cityscribe.files import InputError
from cityscribe.letters import LETTERS, read_choice

COLUMNS = (
    *("record_id", "vid_id", "vid_filename", "perspective", "q_body", "q_type"),
    *("option0", "option1", "option2", "option3", "answer"),
)

KINDS = {
    "U": "basic understanding",
    "A": "attribution",
    "F": "event forecasting",
    "R": "reverse reasoning",
    "C": "counterfactual inference",
    "I": "introspection",
}


def read_sutd_trafficqa(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The questions of the files whose name holds the split; for the test set of all where none does."""
    # Without the split in its name a file is the test set: no training reads it for another.
    paths = find(data, f"*{split}*.jsonl", *(["*.jsonl"] if split == "test" else []))
    questions = []
    for path in paths:
        lines = list(json_lines(path))
        if not lines or lines[0][1] != list(COLUMNS):
            raise InputError(f"{path}: line 1: expected {list(COLUMNS)}")
        questions += [_question(path, place, row) for place, row in lines[1:]]
    return questions


def _question(path: Path, place: str, row: Any) -> BenchmarkQuestion:
    values = check(path, place, row, list[int | str])
    if len(values) != len(COLUMNS):
        raise InputError(f"{path}: {place}: has {len(values)} values, expected {len(COLUMNS)}")
    named = dict(zip(COLUMNS, values, strict=True))
    texts = [str(named[f"option{number}"]) for number in range(4)]
    shown = [number for number, text in enumerate(texts) if text]
    if named["answer"] not in shown:
        raise InputError(f"{path}: {place}.answer: is {named['answer']}, which is no option")
    return BenchmarkQuestion(
        id=str(named["record_id"]),
        text=str(named["q_body"]),
        truth=(LETTERS[shown.index(int(named["answer"]))].upper(),),
        options=tuple(texts[number] for number in shown),
        video=str(named["vid_filename"]),
        facts={"kind": KINDS.get(str(named["q_type"]), str(named["q_type"])), "numbers": shown},
    )


def read_sutd_answers(path: Path) -> list[WrittenAnswer]:
    """Answers in the form of `submission_example.csv`, or in any of the usual ones."""
    if path.suffix != ".csv":
        return read_answers(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row]
    if not rows or rows[0] != ["record_id", "predicted_answer"]:
        raise InputError(f"{path}: line 1: expected record_id, predicted_answer")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != 2:
            raise InputError(f"{path}: line {number}: expected two values")
    return [WrittenAnswer(f"line {number}", *row) for number, row in enumerate(rows[1:], start=2)]


def parsed(answer: str, question: BenchmarkQuestion) -> str:
    """The letter that an answer means; empty where it means none."""
    if re.fullmatch(r"\s*\d+\s*", answer):
        numbers = question.facts["numbers"]
        return LETTERS[numbers.index(int(answer))].upper() if int(answer) in numbers else ""
    return read_choice(answer, question.options).letter.upper()


def score_sutd_trafficqa(questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> RuleScores:
    """`accuracy` in percent, in total and by kind of reasoning."""
    rows: list[Row] = []
    for question in questions:
        letter = parsed(answers[question.id], question)
        right = float(letter == question.truth[0])
        rows.append({"id": question.id, "answer": answers[question.id], "parsed": letter, "score": right})
    values = [row["score"] for row in rows]
    return RuleScores(
        {
            "accuracy": percent(values),
            "accuracy by kind": percent_by(questions, values, "kind"),
            "unparsed": sum(not row["parsed"] for row in rows),
        },
        rows,
    )


SUTD_TRAFFICQA = Benchmark(
    read_sutd_trafficqa,
    score_sutd_trafficqa,
    prompt="choice",
    split="test",
    rule="the number of the annotation (no scorer is published)",
    read_answers=read_sutd_answers,
    splits=("train", "test"),
    licence="on request, for research",
    home="sutdcv.github.io/SUTD-TrafficQA",
)

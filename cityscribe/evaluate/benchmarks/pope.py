"""POPE on its official files, and on questions that were built from a data set of one's own.

    *_pope_random.json, *_pope_popular.json, *_pope_adversarial.json   {"question_id", "image", "text", "label"} a line
    llava_pope_test.jsonl (where LLaVA's toolkit answers)               {"question_id", "text", "category"} a line
    images in val2014/, images/ or beside

Each category has measures of its own; `f1` and `accuracy` are the means of the categories, the numbers that papers
give. The id of a question is CATEGORY/NUMBER, because each official file counts from one; with LLaVA's file it is
LLaVA's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from cityscribe.evaluate.benchmarks.layout import IdText, find, find_one, folder_of, read_lines_as
from cityscribe.evaluate.benchmarks.question import Benchmark, BenchmarkQuestion, Measures, Row, RuleScores
from cityscribe.evaluate.hallucination.pope import CATEGORIES, measures, parsed
from cityscribe.files import InputError

LLAVA = "llava_pope_test.jsonl"


class _Question(BaseModel):
    question_id: IdText
    image: str
    text: str
    label: Literal["yes", "no"]


class _Asked(BaseModel):
    question_id: IdText
    category: str


def read_pope(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The questions of the categories that are there, one after another. POPE has no splits."""
    folder = folder_of(data, "val2014", "images", "")
    llava: dict[str, list[str]] = {}
    if (data / LLAVA).is_file():
        for entry in read_lines_as(data / LLAVA, _Asked):
            llava.setdefault(entry.category, []).append(entry.question_id)
    found = {path.stem.rpartition("_")[2] for path in find(data, "*_pope_*.json")}
    questions = []
    for category in CATEGORIES:
        if category not in found:
            continue
        path = find_one(data, f"*_pope_{category}.json")
        rows = read_lines_as(path, _Question)
        names = llava.get(category, [f"{category}/{row.question_id}" for row in rows])
        if len(names) != len(rows):
            raise InputError(f"{path}: {len(rows)} questions, but {LLAVA} has {len(names)} of this category")
        for row, name in zip(rows, names, strict=True):
            # LLaVA's file asks in the order of the official ones; only by that do labels and ids belong together.
            image, facts = (f"{folder}{row.image}",), {"category": category}
            questions.append(BenchmarkQuestion(name, row.text, (row.label,), images=image, facts=facts))
    if not questions:
        raise InputError(f"{data}: has no *_pope_*.json of the categories {', '.join(CATEGORIES)}")
    return questions


def score_pope(questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> RuleScores:
    """The measures of each category in percent, and the means of F1 and accuracy over the categories."""
    rows: list[Row] = []
    by: dict[str, tuple[list[str], list[str]]] = {}
    for question in questions:
        said = parsed(answers[question.id])
        labels, found = by.setdefault(question.facts["category"], ([], []))
        labels.append(question.truth[0])
        found.append(said)
        right = float(said == question.truth[0])
        rows.append({"id": question.id, "answer": answers[question.id], "parsed": said, "score": right})
    categories = {category: measures(*pair) for category, pair in by.items()}
    total: Measures = {}
    for name in ("f1", "accuracy", "yes_ratio"):
        values = [value for found in categories.values() if (value := found[name]) is not None]
        total[name] = sum(values) / len(values) if len(values) == len(categories) else None
    return RuleScores({**total, "categories": categories}, rows)


POPE = Benchmark(read_pope, score_pope, prompt="short", split="", rule="RUCAIBox/POPE evaluate.py", headline="f1")

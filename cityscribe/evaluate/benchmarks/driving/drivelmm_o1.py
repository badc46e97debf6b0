"""DriveLMM-o1: reasoning in steps about six cameras of nuScenes, and a final answer.

    *TEST*.json   [{"idx", "image", "question", "final_answer", "steps"}], or such entries by any key
    images/STEM.png, where STEM is `idx` without its last number: the six cameras stitched together

By `evaluation/evaluation_script.py` of ayesha-ishaq/DriveLMM-o1: questions whose `idx` ends in 2, 3, 4, 5 or 8 have
options, and are right where the first option named behind the last `Final Answer` (or one of eight other ways to begin
it) is that of the reference; where neither names one, they agree. `accuracy` is of these. The steps are graded by a
judge from 1 to 10 in twelve respects; `reasoning` is the mean overall grade in percent (`--judge`, there GPT-4o mini:
numbers of two judges do not compare). There an answer whose grade cannot be read drops out of both; here it stays in
`accuracy`.
"""

from __future__ import annotations

import json
import re
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
)
from cityscribe.evaluate.judge import Judge, Rubric
from cityscribe.evaluate.verdict import Verdict

WITH_OPTIONS = (2, 3, 4, 5, 8)

BEGINNINGS = (
    "The final answer is:",
    "**Final Answer:**",
    "Final Answer",
    "Answer",
    "Why take this action?:",
    "**Final Answer**",
    "**Final Decision**:",
    "Final Step:",
    "<CONCLUSION>",
)
"""Of a final answer, in the order in which they are looked for."""

HIGHEST = 10


class _Question(BaseModel):
    idx: str
    image: str | list[str] = ""
    question: str
    final_answer: str
    steps: str = ""


def read_drivelmm_o1(data: Path, split: str) -> list[BenchmarkQuestion]:
    """All questions, in their order."""
    found = read_as(find_one(data, "*TEST*.json", "*.json"), list[_Question] | dict[str, _Question])  # type: ignore[arg-type]
    folder = folder_of(data, "images", "stitched")
    return [
        BenchmarkQuestion(
            id=entry.idx,
            text=entry.question,
            truth=(entry.final_answer,),
            images=(f"{folder}{entry.idx.rpartition('_')[0]}.png",),
            facts={"steps": entry.steps, "options": _has_options(entry.idx), "kind": entry.idx.rpartition("_")[2]},
        )
        for entry in (found.values() if isinstance(found, dict) else found)
    ]


def _has_options(idx: str) -> bool:
    number = idx.rpartition("_")[2]
    return number.isdecimal() and int(number) in WITH_OPTIONS


def final_answer(text: str) -> str:
    """What stands behind the last of the first beginning that a text has; empty where it has none."""
    beginning = next((words for words in BEGINNINGS if words in text), None)
    return "" if beginning is None else text.split(beginning)[-1]


def option_of(text: str) -> str:
    """The first option that a text names; `none` where it names none."""
    found = re.search(r"([A-F])\)\s*.+", text)
    if found is None:
        return "F" if "none of the " in text.lower() else "none"
    return found[1]


def score_drivelmm_o1(
    questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str], verdicts: Mapping[str, Verdict] | None = None
) -> RuleScores:
    """Shares in percent."""
    rows: list[Row] = []
    right, grades = [], []
    for question in questions:
        answer = answers[question.id]
        row: Row = {"id": question.id, "answer": answer, "score": 0.0}
        if question.facts["options"]:
            row["parsed"] = option_of(final_answer(answer))
            row["score"] = float(row["parsed"] == option_of(question.truth[0]))
            right.append(row["score"])
        if verdicts is not None:
            row["grade"] = verdicts[question.id].score
            grades += [] if row["grade"] is None else [row["grade"] / HIGHEST]
        rows.append(row)
    total: Measures = {"accuracy": percent(right) if right else None, "questions with options": len(right)}
    if verdicts is not None:
        total |= {"reasoning": percent(grades) if grades else None, "ungraded": len(questions) - len(grades)}
    return RuleScores(total, rows)


def _with_steps(question: BenchmarkQuestion) -> str:
    return f"{question.facts['steps']}\nFinal answer: {question.truth[0]}"


def overall_grade(reply: str, rubric: Rubric) -> Verdict:
    """`Overall Score` of a JSON object in a reply, or else the mean of the grades in it."""
    found = re.search(r"\{.*?\}", reply, re.DOTALL)
    try:
        said = json.loads(found[0]) if found else {}
    except (json.JSONDecodeError, RecursionError):
        said = {}
    grades = {
        name: float(value)
        for name, value in said.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= HIGHEST
    }
    parts = [value for name, value in grades.items() if name != "Overall Score"]
    grade = grades.get("Overall Score", sum(parts) / len(parts) if parts else None)
    return Verdict(None, grade, reply)


JUDGE = Judge(("cityscribe.evaluate.benchmarks.driving", "judge.yaml"), overall_grade)

DRIVELMM_O1 = Benchmark(
    read_drivelmm_o1,
    score_drivelmm_o1,
    prompt="steps",
    split="",
    rule="ayesha-ishaq/DriveLMM-o1 evaluation/evaluation_script.py",
    judged="also",
    judge="drivelmm-o1",
    to_judge=JudgedAnswers("drivelmm-o1", reference=_with_steps),
    alike="kind",
    licence="not stated; images: nuScenes, non-commercial",
    home="github.com/ayesha-ishaq/DriveLMM-o1",
)

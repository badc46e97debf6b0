"""ScienceQA, and of it the questions with an image (SQA-IMG).

    problems.json     {id: {"question", "choices", "answer" (its index), "hint", "image" (a file name or null), ...}}
    pid_splits.json   {"test": [id, ...], ...}
    images/SPLIT/ID/image.png

By LLaVA's `eval_science_qa.py`: an answer is a letter A to E alone, or begins with a letter, a period and a space, or
holds exactly one `The answer is X` with a character after the letter. (`The answer is B` at the very end, without a
period, is not one.) All else, letters without an option and missing answers are wrong. `accuracy_image` counts the
questions with an image; it is the number that papers call SQA-IMG.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from cityscribe.evaluate.benchmarks.layout import read_listed
from cityscribe.evaluate.benchmarks.question import (
    LETTERS,
    Benchmark,
    BenchmarkQuestion,
    Measures,
    Row,
    RuleScores,
    percent,
    percent_by,
)
from cityscribe.files import InputError

OPTIONS = "ABCDE"
THE_ANSWER = re.compile(r"The answer is ([A-Z]).")


class _Problem(BaseModel):
    question: str
    choices: list[str]
    answer: int
    hint: str = ""
    image: str | None = None
    subject: str = ""
    grade: str = ""


def read_science_qa(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The questions of a split, with and without images, in the order of its list."""
    path, problems = read_listed(data, split, _Problem)
    questions = []
    for name, problem in problems:
        if not 0 <= problem.answer < len(problem.choices):
            raise InputError(f"{path}: {name}.answer: {problem.answer}, expected the index of a choice")
        questions.append(
            BenchmarkQuestion(
                id=name,
                text=f"{problem.hint}\n{problem.question}" if problem.hint else problem.question,
                truth=(LETTERS[problem.answer],),
                options=tuple(problem.choices),
                images=(f"images/{split}/{name}/{problem.image}",) if problem.image else (),
                facts={"image": bool(problem.image), "subject": problem.subject, "grade": problem.grade},
            )
        )
    return questions


def parsed(answer: str, options: int) -> str:
    """The letter that an answer gives, of a question with so many options; empty where it gives none."""
    if len(answer) == 1 and answer in OPTIONS:
        letter = answer
    elif len(answer) >= 3 and answer[0] in OPTIONS and answer[1:3] == ". ":
        letter = answer[0]
    else:
        found = THE_ANSWER.findall(answer)
        letter = found[0] if len(found) == 1 else ""
    return letter if letter and letter in OPTIONS[:options] else ""


def score_science_qa(questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> RuleScores:
    """`accuracy_image` and `accuracy` in percent, how many answers could not be read, and by subject and grade."""
    rows: list[Row] = []
    for question in questions:
        letter = parsed(answers.get(question.id, ""), len(question.options))
        right = letter == question.truth[0]
        rows.append({"id": question.id, "answer": answers.get(question.id), "parsed": letter, "score": float(right)})
    values = [row["score"] for row in rows]
    with_image = [row["score"] for question, row in zip(questions, rows, strict=True) if question.facts["image"]]
    total: Measures = {
        "accuracy_image": percent(with_image),
        "accuracy": percent(values),
        "questions_image": len(with_image),
        "unparsed": sum(not row["parsed"] for row in rows),
        **{f"accuracy by {fact}": percent_by(questions, values, fact) for fact in ("subject", "grade")},
    }
    return RuleScores(total, rows)


SCIENCE_QA = Benchmark(
    read_science_qa,
    score_science_qa,
    prompt="choice",
    split="test",
    rule="LLaVA eval_science_qa.py",
    missing="wrong",
    headline="accuracy_image",
)

"""MME: two questions an image, yes or no, in fourteen subtasks.

    SUBTASK/IMAGE.txt (or SUBTASK/questions_answers_YN/IMAGE.txt)   two lines QUESTION <tab> Yes|No
    SUBTASK/IMAGE.jpg|png (or SUBTASK/images/...)

By the official `calculation.py`: the answer is lower-cased; if it is not just `yes` or `no`, its first four characters
are searched for `yes`, then for `no` (so `know` is a no), and all else is `other`, which is wrong. A subtask is worth
the share of right answers plus the share of images with both right, 200 at most; perception is the sum of ten
subtasks, cognition of four.

The answers may also be in the official form: a folder with SUBTASK.txt, lines IMAGE, QUESTION, TRUTH, ANSWER between
tabs. The id of a question is SUBTASK/IMAGE/0 or /1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cityscribe.evaluate.benchmarks.answers import read_answers
from cityscribe.evaluate.benchmarks.question import (
    Benchmark,
    BenchmarkQuestion,
    Measures,
    Row,
    RuleScores,
    WrittenAnswer,
    percent,
)
from cityscribe.evaluate.text_files import text_of_file
from cityscribe.files import InputError

PERCEPTION = (
    "existence",
    "count",
    "position",
    "color",
    "posters",
    "celebrity",
    "scene",
    "landmark",
    "artwork",
    "OCR",
)
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")
IMAGES = (".jpg", ".png", ".jpeg")


def read_mme(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The questions of the subtasks that are there, in their official order. MME has no splits."""
    questions = []
    for task in (*PERCEPTION, *COGNITION):
        folder = next((path for path in (data / task / "questions_answers_YN", data / task) if path.is_dir()), None)
        for path in sorted(folder.glob("*.txt")) if folder else ():
            lines = [line for line in text_of_file(path).splitlines() if line.strip()]
            if len(lines) != 2:
                raise InputError(f"{path}: {len(lines)} questions, expected two")
            image = _image(data, task, path.stem)
            for number, line in enumerate(lines):
                text, _, truth = line.rpartition("\t")
                if not text or truth.strip() not in ("Yes", "No"):
                    raise InputError(f"{path}: line {number + 1}: expected a question, a tab, and Yes or No")
                questions.append(
                    BenchmarkQuestion(
                        id=f"{task}/{path.stem}/{number}",
                        text=text.strip(),
                        truth=(truth.strip().lower(),),
                        images=(image,),
                        shared_id=f"{task}/{path.stem}",
                        facts={"task": task, "image": f"{task}/{path.stem}"},
                    )
                )
    if not questions:
        raise InputError(f"{data}: has none of the folders {', '.join((*PERCEPTION, *COGNITION))} with questions")
    return questions


def _image(data: Path, task: str, stem: str) -> str:
    names = [f"{task}/{folder}{stem}{suffix}" for folder in ("images/", "") for suffix in IMAGES]
    return next((name for name in names if (data / name).is_file()), f"{task}/{stem}.jpg")


def read_mme_answers(path: Path) -> list[WrittenAnswer]:
    """Answers in any form that all benchmarks take, or the folder of the official form. Raises InputError."""
    if not path.is_dir():
        return read_answers(path)
    found = []
    for task in (*PERCEPTION, *COGNITION):
        file = path / f"{task}.txt"
        for number, line in enumerate(text_of_file(file).split("\n") if file.is_file() else (), start=1):
            cells = line.split("\t")
            if len(cells) == 4:
                image, question, _, answer = cells
                found.append(WrittenAnswer(f"{file.name}: line {number}", f"{task}/{image}", answer, question))
            elif line.strip():
                raise InputError(f"{file}: line {number}: expected image, question, truth and answer between tabs")
    return found


def parsed(answer: str) -> str:
    """`yes`, `no` or `other`."""
    answer = answer.lower()
    if answer in ("yes", "no"):
        return answer
    return next((word for word in ("yes", "no") if word in answer[:4]), "other")


def score_mme(questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> RuleScores:
    """Perception, cognition and both; each subtask with its accuracy, accuracy+ and the answers that were neither."""
    rows: list[Row] = []
    for question in questions:
        found = parsed(answers[question.id])
        right = found == question.truth[0]
        rows.append({"id": question.id, "answer": answers[question.id], "parsed": found, "score": float(right)})
    by_task: dict[str, dict[str, list[float]]] = {}
    others: dict[str, int] = {}
    for question, row in zip(questions, rows, strict=True):
        task = question.facts["task"]
        by_task.setdefault(task, {}).setdefault(question.facts["image"], []).append(row["score"])
        others[task] = others.get(task, 0) + (row["parsed"] == "other")
    tasks = {}
    for task, images in by_task.items():
        single = [image for image, values in images.items() if len(values) != 2]
        if single:
            raise InputError(f"{single[0]}: MME counts both questions of an image, and one has no answer")
        accuracy = percent([value for values in images.values() for value in values])
        plus = percent([min(values) for values in images.values()])
        tasks[task] = {"score": accuracy + plus, "accuracy": accuracy, "accuracy_plus": plus, "other": others[task]}
    perception = sum(tasks[task]["score"] for task in PERCEPTION if task in tasks)
    cognition = sum(tasks[task]["score"] for task in COGNITION if task in tasks)
    total: Measures = {
        "score": perception + cognition,
        "perception": perception,
        "cognition": cognition,
        "tasks": tasks,
        "tasks_missing": [task for task in (*PERCEPTION, *COGNITION) if task not in tasks],
    }
    return RuleScores(total, rows)


MME = Benchmark(
    read_mme,
    score_mme,
    prompt="short",
    split="",
    rule="MME eval_tool/calculation.py",
    read_answers=read_mme_answers,
    headline="score",
)

"""Answers to benchmarks put before a judge: which rubric each one asks for, and what its reply is worth.

MSVD-QA and ActivityNet-QA ask for right or wrong and 0 to 5, Video-ChatGPT for 0 to 5 in five dimensions, MM-Vet for
0.0 to 1.0: the number at the beginning of the reply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path

from cityscribe.evaluate.benchmarks.question import Question, Verdict
from cityscribe.evaluate.benchmarks.video_chatgpt import DIMENSIONS, verdict_ids
from cityscribe.evaluate.judge import Judge, JudgeItem, Rubric, judge_items, load_rubrics
from cityscribe.files import InputError

Progress = Callable[[int, int], None]


def read_rubrics(name: str, path: Path | None = None) -> dict[str, Rubric]:
    """The rubrics that a benchmark needs, of the package or of a YAML file. Raises InputError."""
    wanted = {"mm-vet": ["mm-vet"], "video-chatgpt": list(DIMENSIONS)}.get(name, ["answer"])
    if path is None and name == "mm-vet":
        with resources.as_file(resources.files(__package__) / "mm_vet_judge.yaml") as own:
            return load_rubrics(own)
    rubrics = load_rubrics(path)
    for rubric in wanted:
        if rubric not in rubrics:
            raise InputError(f"{path}: has no entry {rubric}, which {name} needs")
    return {rubric: rubrics[rubric] for rubric in wanted}


def judge_answers(
    name: str,
    questions: Sequence[Question],
    answers: Mapping[str, str],
    judge: Judge,
    rubrics: Mapping[str, Rubric],
    *,
    cache: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> dict[str, Verdict]:
    """The verdicts that the rule of a benchmark needs, by id; only of questions that have an answer.

    Raises InputError where the judge cannot be asked.
    """
    asked = [question for question in questions if question.id in answers]
    verdicts: dict[str, Verdict] = {}
    for rubric, items in _items(name, asked, answers).items():
        found = judge_items(list(items.values()), judge, rubrics[rubric], cache=cache, progress=progress)
        for key, said in zip(items, found, strict=True):
            score = said.score if name != "mm-vet" else first_grade(said.reply)
            verdicts[key] = Verdict(said.correct, None if score is None else float(score))
    return verdicts


def first_grade(reply: str) -> float | None:
    """The number from 0 to 1 before the first space of a reply, as MM-Vet reads it; None where there is none."""
    try:
        grade = float(reply.strip().split(" ")[0].strip())
    except ValueError:
        return None
    return grade if 0 <= grade <= 1 else None


def _items(name: str, questions: Sequence[Question], answers: Mapping[str, str]) -> dict[str, dict[str, JudgeItem]]:
    """Rubric -> id of the verdict -> what is judged."""
    if name != "video-chatgpt":
        rubric = "mm-vet" if name == "mm-vet" else "answer"
        return {rubric: {q.id: JudgeItem(q.text, _reference(q), answers[q.id]) for q in questions}}
    by_place: dict[tuple[str, int], list[Question]] = {}
    for question in questions:
        by_place.setdefault((question.facts["file"], question.facts["number"]), []).append(question)
    items: dict[str, dict[str, JudgeItem]] = {}
    for key in verdict_ids(questions):
        dimension, _, number = key.partition("/")
        first, *second = by_place[DIMENSIONS[dimension], int(number)]
        if dimension == "consistency" and not second:
            raise InputError(f"question {first.id}: its other wording has no answer, and consistency needs both")
        more = (second[0].text, answers[second[0].id]) if second else ("", "")
        items.setdefault(dimension, {})[key] = JudgeItem(first.text, first.truth[0], answers[first.id], *more)
    return items


def _reference(question: Question) -> str:
    return question.truth[0].replace("<AND>", " <AND> ").replace("<OR>", " <OR> ")

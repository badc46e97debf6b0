"""Answers to a benchmark, in the forms in which toolkits write them, brought to the questions.

    {"question_id": 1, "text": "yes", "prompt": ...}     LLaVA, a line each
    {"question_id": 1, "answer": "yes"}                  VQA, ActivityNet-QA
    {"questionId": "1", "prediction": "yes"}             GQA, one list
    {"id": "1", "answer": "yes", "reference": ...}       what `predict` writes
    {"question": ..., "answer": "yes"}                   POPE: without ids, in the order of the questions
    {"v1_0": "yes"}                                      MM-Vet, one object

A file holds one list, one object or one object a line, whatever it is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cityscribe.evaluate.benchmarks.layout import SHOWN
from cityscribe.evaluate.benchmarks.question import Benchmark, BenchmarkQuestion, WrittenAnswer
from cityscribe.evaluate.text_files import json_lines
from cityscribe.files import InputError, read_json

ID_KEYS = ("question_id", "questionId", "id", "index")
TEXT_KEYS = ("text", "prediction", "pred", "response", "answer")
"""In this order: an answer called `text` or `pred` may stand beside the right one, called `answer`."""

ROTATION = 1_000_000
"""What MMBench adds to the index of a question for each rotation of its options."""


def read_answers(path: Path) -> list[WrittenAnswer]:
    """The answers of a file, in its order. Raises InputError with file and place."""
    rows = _rows(path)
    if isinstance(rows, Mapping):
        return [_answer(path, name, {"id": name, "text": text}) for name, text in rows.items()]
    answers = [_answer(path, place, row) for place, row in rows]
    if not answers:
        raise InputError(f"{path}: holds no answers")
    without = [answer.place for answer in answers if not answer.id]
    if without and len(without) < len(answers):
        raise InputError(f"{path}: {without[0]}: has none of {', '.join(ID_KEYS)}")
    return answers


def _rows(path: Path) -> Mapping[str, Any] | list[tuple[str, Any]]:
    try:
        value = read_json(path)
    except InputError:
        return list(json_lines(path))  # names the line itself where that is no JSON either
    if isinstance(value, list):
        return [(f"[{number}]", row) for number, row in enumerate(value)]
    if isinstance(value, dict):
        one_row = any(key in value for key in ID_KEYS) and any(key in value for key in TEXT_KEYS)
        return [("line 1", value)] if one_row else value
    raise InputError(f"{path}: holds {type(value).__name__}, expected answers")


def _answer(path: Path, place: str, row: Any) -> WrittenAnswer:
    text = next((row[key] for key in TEXT_KEYS if key in row), None) if isinstance(row, dict) else None
    if not isinstance(text, str):
        raise InputError(f"{path}: {place}: expected an object with the answer as text in {', '.join(TEXT_KEYS)}")
    name = next((row[key] for key in ID_KEYS if key in row), "")
    rotation = row.get("round_id", 0)
    if type(rotation) is int and rotation and type(name) is int:
        name += rotation * ROTATION
    prompt = row.get("prompt", "")
    return WrittenAnswer(place, str(name), text, prompt if isinstance(prompt, str) else "")


def match_answers(
    path: Path,
    answers: Sequence[WrittenAnswer],
    questions: Sequence[BenchmarkQuestion],
    *,
    rule: Benchmark,
    partial: bool = False,
) -> tuple[dict[str, str], list[str]]:
    """Question id -> text of its answer, and warnings.

    An answer whose id all questions about an image share (TextVQA and MME as LLaVA writes them) belongs to the one
    whose words its prompt repeats. Raises InputError where a question has two different answers, and where questions
    have none unless the rule counts those as wrong; with `partial` they are passed over instead.
    """
    if answers and not answers[0].id:
        if len(answers) != len(questions):
            raise InputError(f"{path}: {len(answers)} answers without ids to {len(questions)} questions")
        return {question.id: answer.text for question, answer in zip(questions, answers, strict=True)}, []
    known = {question.id for question in questions}
    sharing: dict[str, list[BenchmarkQuestion]] = {}
    for question in questions:
        if question.shared_id:
            sharing.setdefault(question.shared_id, []).append(question)
    found: dict[str, WrittenAnswer] = {}
    strangers = []
    for answer in answers:
        name: str | None = answer.id
        if answer.id not in known:
            # The id of an image may be that of its file.
            candidates = sharing.get(answer.id) or sharing.get(answer.id.rpartition(".")[0], [])
            name = _by_prompt(answer, candidates)
        if name is None:
            strangers.append(answer.id)
        elif name in found and found[name].text != answer.text:
            raise InputError(f"{path}: {answer.place}: question {name} has another answer at {found[name].place}")
        else:
            found[name] = answer
    missing = [question.id for question in questions if not question.optional and question.id not in found]
    if missing and (not found or (rule.missing == "refused" and not partial)):
        raise InputError(
            f"{path}: {len(missing)} of {len(questions)} questions have no answer: {_listed(missing)}; "
            "--partial scores those that have"
        )
    warnings = [f"{path}: {len(strangers)} answers to no question: {_listed(strangers)}"] if strangers else []
    if missing:
        what = "passed over" if partial else "counted as wrong"
        warnings.append(f"{path}: {len(missing)} of {len(questions)} questions have no answer and are {what}")
    return {name: answer.text for name, answer in found.items()}, warnings


def _by_prompt(answer: WrittenAnswer, candidates: Sequence[BenchmarkQuestion]) -> str | None:
    if len(candidates) == 1:
        return candidates[0].id
    prompt = answer.prompt.lower()
    fitting = [question for question in candidates if question.text.lower() in prompt]
    # Of a question that begins another one, both are in the prompt: the longer one was asked.
    return max(fitting, key=lambda question: len(question.text)).id if fitting else None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")

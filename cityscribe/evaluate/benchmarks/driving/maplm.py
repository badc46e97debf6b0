"""MAPLM-QA: what a map of a road would say, asked of three cameras and a view from above.

    problems.json     {FRAME: {"image", "qa": [{"task": "closed choice" or another, "question", "choices", "answer"}]}}
    pid_splits.json   {"test": [FRAME, ...]}

By `baseline/evaluation/run_eval.py` of LLVM-AD/MAPLM: a question with choices is answered by the first choice that the
reply contains, capitals or not; `QNS` is the share that is right, `FRM` that of frames with no such question wrong, and
each wording has a share of its own (`LAN`, `INT`, `QLT`, `SCN` in the paper). Another question has the sentence BLEU-4
of the reply, not smoothed, in the share of its wording only. The id of a question is FRAME/NUMBER; replies are also
taken in the official form, a list of `{"id", "conversations"}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, Field

from cityscribe.evaluate.benchmarks.answers import read_answers
from cityscribe.evaluate.benchmarks.layout import read_as, read_listed
from cityscribe.evaluate.benchmarks.question import (
    Benchmark,
    BenchmarkQuestion,
    Measures,
    Row,
    RuleScores,
    WrittenAnswer,
    percent,
)
from cityscribe.evaluate.bleu import plain_bleu
from cityscribe.files import InputError, read_json

CLOSED = "closed choice"
OTHER_WORDING = {"How many lanes in current road?": "How many lanes on the current road?"}
"""How replies may repeat a question, as the official script has it."""


class _Question(BaseModel):
    task: str
    question: str
    choices: list[str] = Field(default_factory=list)
    answer: int | str


class _Frame(BaseModel):
    image: str | list[str] = ""
    qa: list[_Question]


class _Turn(BaseModel):
    value: str


class _Reply(BaseModel):
    id: str
    conversations: list[_Turn]


def read_maplm(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The questions of the frames of a split, in their order."""
    path, frames = read_listed(data, split, _Frame)
    questions = []
    for name, frame in frames:
        images = (frame.image,) if isinstance(frame.image, str) else tuple(frame.image)
        for number, entry in enumerate(frame.qa):
            closed = entry.task == CLOSED
            if closed and not (isinstance(entry.answer, int) and 0 <= entry.answer < len(entry.choices)):
                raise InputError(f"{path}: {name}.qa.{number}.answer: is {entry.answer!r}, expected a choice's number")
            questions.append(
                BenchmarkQuestion(
                    id=f"{name}/{number}",
                    text=entry.question,
                    truth=(entry.choices[int(entry.answer)] if closed else str(entry.answer),),
                    options=tuple(entry.choices) if closed else (),
                    images=images,
                    shared_id=name,
                    facts={"frame": name, "wording": entry.question, "closed": closed},
                )
            )
    return questions


def read_maplm_answers(path: Path) -> list[WrittenAnswer]:
    """Replies in the official form, whose questions are found by their words, or in any of the usual ones."""
    value = read_json(path) if path.suffix == ".json" else None
    if not (isinstance(value, list) and value and isinstance(value[0], dict) and "conversations" in value[0]):
        return read_answers(path)
    answers = []
    for reply in read_as(path, list[_Reply]):
        turns = [turn.value for turn in reply.conversations]
        for asked, said in zip(turns[::2], turns[1::2], strict=False):
            for wording, written in OTHER_WORDING.items():
                asked = asked.replace(written, wording)
            if "<image>" not in asked:  # the turn that shows the images asks nothing
                answers.append(WrittenAnswer(reply.id, reply.id, said, asked))
    return answers


def score_maplm(questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> RuleScores:
    """Shares in percent."""
    rows: list[Row] = []
    frames: dict[str, bool] = {}
    wordings: dict[str, list[float]] = {}
    closed = []
    for question in questions:
        answer, frame = answers[question.id], question.facts["frame"]
        frames.setdefault(frame, True)
        said = ""
        if question.facts["closed"]:
            said = next((choice for choice in question.options if choice.lower() in answer.lower()), "")
            value = float(bool(said) and question.options.index(said) == question.options.index(question.truth[0]))
            closed.append(value)
            frames[frame] = frames[frame] and bool(value)
        else:
            value = plain_bleu(question.truth[0].split(), answer.split())
        wordings.setdefault(question.facts["wording"], []).append(value)
        rows.append({"id": question.id, "answer": answer, "parsed": said, "score": value})
    total: Measures = {
        "QNS": percent(closed),
        "FRM": percent([float(right) for right in frames.values()]),
        "by wording": {wording: percent(values) for wording, values in sorted(wordings.items())},
        "unparsed": sum(not row["parsed"] and q.facts["closed"] for row, q in zip(rows, questions, strict=True)),
    }
    return RuleScores(total, rows)


def _choice(question: BenchmarkQuestion, option: int) -> str:
    return question.options[option]


MAPLM = Benchmark(
    read_maplm,
    score_maplm,
    prompt="choice-text",
    split="test",
    rule="LLVM-AD/MAPLM baseline/evaluation/run_eval.py",
    read_answers=read_maplm_answers,
    headline="QNS",
    alike="wording",
    option_answer=_choice,
    splits=("train", "val", "test"),
    licence="MIT (repository)",
    home="github.com/LLVM-AD/MAPLM",
)

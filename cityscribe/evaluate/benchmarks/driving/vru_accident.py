"""VRU-Accident: dash-camera clips of accidents with people on foot or on two wheels, six questions each.

    MetaData/SET/SET_VQA_annotation.json   {"./VRU_videos/SET/VRU_1.mp4": {CATEGORY: {"question",
                                           "options": "A. cloudy day, B. sunny day, ...", "GT": "B"}}}
    VRU_videos/SET/VRU_1.mp4               SET is CAP_DATA, DADA_2000, DoTA or MANUAL_DATA

By `VQA_eval` in `utils/evaluation.py` of Kimyounggun99/VRU-Accident: an answer is right where, without spaces around it
and in capitals, it is the letter of the annotation; by category, and `accuracy` over all. Each model there has a way of
its own to make a letter of what it says before that; here `accuracy_read` is that of letters as `cityscribe.letters`
reads them. Answers are also taken in the official form, `{VIDEO: {CATEGORY: {"pred": "B"}}}`, one file or a folder of
them. The id of a question is SET/VRU_1/CATEGORY.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from pydantic import BaseModel

from cityscribe.evaluate.benchmarks.answers import read_answers
from cityscribe.evaluate.benchmarks.layout import find, read_as
from cityscribe.evaluate.benchmarks.question import (
    Benchmark,
    BenchmarkQuestion,
    Row,
    RuleScores,
    WrittenAnswer,
    percent,
    percent_by,
)
from cityscribe.files import InputError, read_json
from cityscribe.letters import read_choice

OPTION = re.compile(r"(?:^|,)\s*([A-D])\.\s*")
"""Where an option begins; options hold commas themselves."""


class _Question(BaseModel):
    question: str
    options: str
    GT: str


class _Said(BaseModel):
    pred: str | None


def read_vru_accident(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The questions of all sets that are there, in their order. VRU-Accident has no splits."""
    questions = []
    for path in find(data, "*_VQA_annotation.json", "MetaData/*/*_VQA_annotation.json"):
        for video, categories in read_as(path, dict[str, dict[str, _Question]]).items():
            for category, entry in categories.items():
                options = tuple(text.strip() for text in OPTION.split(entry.options)[2::2])
                if len(options) < 2:
                    raise InputError(f"{path}: {video}.{category}.options: expected A. ..., B. ..., C. ..., D. ...")
                questions.append(
                    BenchmarkQuestion(
                        id=_name(video, category),
                        text=entry.question,
                        truth=(entry.GT,),
                        options=options,
                        video=str(PurePosixPath(video)),
                        facts={"category": category},
                    )
                )
    return questions


def _name(video: str, category: str) -> str:
    path = PurePosixPath(video)
    return f"{path.parent.name}/{path.stem}/{category}"


def read_vru_answers(path: Path) -> list[WrittenAnswer]:
    """Answers in the official form, or in any of the usual ones. A `pred` of null is an empty answer."""
    if not path.is_dir() and not _is_official(read_json(path) if path.suffix == ".json" else None):
        return read_answers(path)
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    return [answer for file in files for answer in _official(file)]


def _is_official(value: object) -> bool:
    """Whether a value is nested as the official responses are."""
    first = next(iter(value.values()), None) if isinstance(value, dict) else None
    inner = next(iter(first.values()), None) if isinstance(first, dict) else None
    return isinstance(inner, dict) and "pred" in inner


def _official(file: Path) -> Iterator[WrittenAnswer]:
    for video, categories in read_as(file, dict[str, dict[str, _Said]]).items():
        for category, said in categories.items():
            yield WrittenAnswer(f"{file.name}: {video}.{category}", _name(video, category), said.pred or "")


def score_vru_accident(questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> RuleScores:
    """Shares in percent: `accuracy` by the official rule, by category, and of letters as we read them."""
    rows: list[Row] = []
    read = []
    for question in questions:
        answer, truth = answers[question.id], question.truth[0].strip().upper()
        letter = read_choice(answer, question.options).letter.upper()
        read.append(float(letter == truth))
        right = float(answer.strip().upper() == truth)
        rows.append({"id": question.id, "answer": answer, "parsed": letter, "truth": truth, "score": right})
    values = [row["score"] for row in rows]
    return RuleScores(
        {
            "accuracy": percent(values),
            "accuracy_read": percent(read),
            "accuracy by category": percent_by(questions, values, "category"),
            "unparsed": sum(not row["parsed"] for row in rows),
        },
        rows,
    )


VRU_ACCIDENT = Benchmark(
    read_vru_accident,
    score_vru_accident,
    prompt="choice",
    split="",
    rule="Kimyounggun99/VRU-Accident utils/evaluation.py VQA_eval",
    read_answers=read_vru_answers,
    alike="category",
    licence="not stated",
    home="github.com/Kimyounggun99/VRU-Accident",
)

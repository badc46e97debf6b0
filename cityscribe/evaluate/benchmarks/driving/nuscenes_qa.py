"""NuScenes-QA: a word or a number about what surrounds a car at a key frame of nuScenes.

    NuScenes_{train,val}_questions.json   {"questions": [{"sample_token", "question", "answer", "template_type",
                                          "num_hop"}]}
    sample_data.json, samples/            of nuScenes, anywhere below; needed to ask, not to score

By `src/execution/result_eval.py` of qiantianwen/NuScenes-QA: an answer is right where it is the reference letter by
letter, in total (`accuracy`), by type of question, and by type and number of hops. The official models choose among
thirty answers and never say `Yes.`; `accuracy_plain` compares without regard to capitals and marks. The id of a
question is SAMPLE_TOKEN/NUMBER, as `data.source: nuscenes-qa` names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator

from cityscribe.evaluate.benchmarks.layout import find_one, read_as
from cityscribe.evaluate.benchmarks.lines import plain
from cityscribe.evaluate.benchmarks.question import (
    Benchmark,
    BenchmarkQuestion,
    Row,
    RuleScores,
    percent,
    percent_by,
)

CAMERAS = ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT")

AsText = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int) else value)]
"""A count is written as a number."""


class _Question(BaseModel):
    question: str
    answer: AsText
    sample_token: str
    template_type: str
    num_hop: int


class _File(BaseModel):
    questions: list[_Question]


class _Shot(BaseModel):
    sample_token: str
    filename: str


def read_nuscenes_qa(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The questions of a split, in their order; with their six images where the table of nuScenes is there."""
    path = find_one(data, f"NuScenes_{split}_questions.json")
    shots = _shots(data)
    return [
        BenchmarkQuestion(
            id=f"{entry.sample_token}/{number}",
            text=entry.question,
            truth=(entry.answer,),
            images=tuple(shots.get(entry.sample_token, {}).get(camera, "") for camera in CAMERAS if shots),
            facts={"type": entry.template_type, "type and hops": f"{entry.template_type}_{entry.num_hop}"},
        )
        for number, entry in enumerate(read_as(path, _File).questions)
    ]


def _shots(data: Path) -> dict[str, dict[str, str]]:
    """Sample token -> camera -> image, relative to the data folder."""
    table = next(iter(sorted(data.rglob("sample_data.json"))), None)
    shots: dict[str, dict[str, str]] = {}
    for shot in [] if table is None else read_as(table, list[_Shot]):
        if shot.filename.startswith("samples/CAM_"):
            shots.setdefault(shot.sample_token, {})[shot.filename.split("/")[1]] = shot.filename
    return shots


def score_nuscenes_qa(questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> RuleScores:
    """Shares in percent: `accuracy` by the official rule, `accuracy_plain` without regard to capitals and marks."""
    rows: list[Row] = []
    plainly = []
    for question in questions:
        answer = answers[question.id]
        right = float(answer == question.truth[0])
        plainly.append(float(plain(answer) == plain(question.truth[0])))
        rows.append({"id": question.id, "answer": answer, "truth": question.truth[0], "score": right})
    values = [row["score"] for row in rows]
    by = {f"accuracy by {fact}": percent_by(questions, values, fact) for fact in ("type", "type and hops")}
    return RuleScores({"accuracy": percent(values), "accuracy_plain": percent(plainly), **by}, rows)


NUSCENES_QA = Benchmark(
    read_nuscenes_qa,
    score_nuscenes_qa,
    prompt="short",
    split="val",
    rule="qiantianwen/NuScenes-QA src/execution/result_eval.py",
    alike="type",
    splits=("train", "val"),
    licence="not stated; images: nuScenes, non-commercial",
    home="github.com/qiantianwen/NuScenes-QA, nuscenes.org",
)

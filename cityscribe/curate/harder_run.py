"""A round of the loop of `harder` on a run, written as a data set of messages: what `cityscribe data harder` does.

OUT/train.jsonl            hard questions and new ones like them, with the teacher's answers, and easy ones
OUT/...                    the pictures
OUT/round/assessed.jsonl   what the student said of each question, and what that was worth
OUT/round/counts.json      counts, and what was left out, by its reason
OUT.asked/                 what was said so far; a stopped one goes on
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, cast

from pydantic import Field

from cityscribe.curate.harder import (
    AnswersOf,
    Assessed,
    TextTeacher,
    assess,
    beside,
    known_of,
    like,
    parted,
    question_of,
    taught,
)
from cityscribe.curate.pairs.asking import EngineAnswering
from cityscribe.engine.request import Engine
from cityscribe.files import InputError, check_new, copy_file, new_folder, remove_folder, write_json, write_text
from cityscribe.llm.message import ReplySampling
from cityscribe.llm.settings import LocalSettings, ScriptSettings, ServerSettings, language_model_client
from cityscribe.progress import Progress, silent
from cityscribe.records import Sample, text_of
from cityscribe.rewards import Reward
from cityscribe.settings import OneOf, Positive, Section
from cityscribe.sources.messages import write_messages
from cityscribe.traffic.meta import traffic_meta


class HarderSettings(Section):
    """Who teaches, who writes questions, and what is hard."""

    teacher: str = Field(
        "", description="folder or hub id of a model that sees; empty lets the language model answer from what is known"
    )
    language_model: Annotated[ServerSettings | LocalSettings | ScriptSettings, Field(discriminator="kind")] = Field(
        ServerSettings(), description="who writes questions: `kind` server, local or script, and its settings"
    )
    reward: Annotated[Reward, OneOf("reward")] = Field(
        cast(Reward, {"kind": "overlap"}), description="what the student's answer is worth, measured by the teacher's"
    )
    below: float = Field(0.5, description="worth below which a question is hard")
    most: Positive = Field(200, description="hard questions, the worst first")
    like: int = Field(2, ge=0, description="new questions for each hard one")
    easy: Annotated[float, Field(ge=0, lt=1)] = Field(0.5, description="share of easy questions in what is written")
    temperature: Annotated[float, Field(ge=0)] = Field(0.7, description="of the language model")
    max_new_tokens: Positive = Field(64, description="of an answer")
    batch_size: Positive = Field(8, description="questions that are asked together")
    seed: int = Field(0, ge=0, description="of the easy questions that are drawn")


def write_round(
    settings: HarderSettings,
    samples: Sequence[Sample],
    root: Path,
    student: str,
    load: Callable[[str], Engine],
    out: Path,
    *,
    progress: Progress = silent,
) -> dict[str, int]:
    """Write a round for the model `student`, whose training samples show images below `root`; returns its counts.

    `load` opens the engine of a model. Raises InputError where `out` exists, nothing is hard, and models cannot be
    asked.
    """
    check_new(out)
    asked = out.with_name(out.name + ".asked")
    asked.mkdir(parents=True, exist_ok=True)
    client = language_model_client(settings.language_model, "language_model", cache=asked / "replies")
    kept = [one for one in samples if one.preference is None and one.messages[-1]["role"] == "assistant"]
    text_teacher = None if settings.teacher else TextTeacher(client, known_of(kept))
    teacher: AnswersOf = text_teacher or _asking(settings, settings.teacher, root, load, asked / "teacher", progress)
    found, left_out = assess(
        kept, _asking(settings, student, root, load, asked / "student", progress), teacher, settings.reward
    )
    hard, easy = parted(found, settings.below, settings.most)
    if not hard:
        raise InputError(f"{student}: no answer of {len(found)} is worth less than {settings.below:g}; nothing is hard")
    new = like(client, hard, settings.like, ReplySampling(settings.temperature)) if settings.like else None
    answered = taught(new.samples, teacher) if new else None
    for counts in (new and new.left_out, answered and answered.left_out, text_teacher and text_teacher.left_out):
        left_out.update(counts or {})
    made = answered.samples if answered else []
    plain = beside(easy, settings.easy, len(hard) + len(made), settings.seed)
    told = {"hard": len(hard), "like them": len(made), "easy": len(plain)}
    _write(out, root, [*(each.sample for each in hard), *made, *plain], found, told, left_out)
    remove_folder(asked)
    return told


def _asking(
    settings: HarderSettings, model: str, root: Path, load: Callable[[str], Engine], folder: Path, progress: Progress
) -> AnswersOf:
    key = hashlib.sha256(json.dumps([model, settings.model_dump(mode="json")]).encode()).hexdigest()
    answering = EngineAnswering(
        lambda: load(model),
        root,
        folder,
        key,
        seed=settings.seed,
        max_tokens=settings.max_new_tokens,
        batch_size=settings.batch_size,
        progress=progress,
    )
    return lambda samples: [said for (said,) in answering(samples)] if samples else []


def _write(
    out: Path,
    root: Path,
    samples: Sequence[Sample],
    found: Sequence[Assessed],
    told: dict[str, int],
    left_out: Counter[str],
) -> None:
    lines = [
        {
            "images": list(each.sample.images),
            "question": question_of(each.sample),
            "teacher": text_of(each.sample.messages[-1]),
            "student": each.said,
            "worth": round(each.worth, 4),
        }
        for each in found
    ]
    with new_folder(out) as partial:
        for image in dict.fromkeys(image for sample in samples for image in sample.images):
            copy_file(root / image, partial / image)
        training = [replace(sample, meta=replace(traffic_meta(sample), split="train")) for sample in samples]
        write_messages(training, partial / "train.jsonl")
        (partial / "round").mkdir()
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        write_text(partial / "round" / "assessed.jsonl", text)
        write_json(partial / "round" / "counts.json", {**told, "assessed": len(found), "left out": dict(+left_out)})

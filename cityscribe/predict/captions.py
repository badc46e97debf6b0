"""What the captions of a phase are written from: its frames, or what was answered about them (`predict.captions`).

`facts` asks the short questions of a phase first, with its images: what people look like, where everybody is and what
each does, what surrounds them. The captions are then written from these answers alone:

    join              the answers, one after the other, in the order of captions
    model             the same model, asked for the caption without images and with the answers before the question
    language-model    a language model of its own, which has seen no picture

The winner of Track 2 of the AI City Challenge 2026 reports that captions from answers alone scored higher than those
from answers and frames. Choosing among samples is for captions from frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from cityscribe.engine.request import UNANSWERED, Answer, Engine, Request
from cityscribe.llm.message import ReplySampling
from cityscribe.llm.settings import LocalSettings, ScriptSettings, ServerSettings, language_model_client
from cityscribe.predict.sequential import AskedScene
from cityscribe.records import image_block, message, text_block
from cityscribe.registry import Registry
from cityscribe.settings import Section, check_section, conflict
from cityscribe.traffic.meta import TrafficMeta
from cityscribe.traffic.prompts import load_prompts, short_question

FACTS = {
    "pedestrian": ("attributes", "pedestrian_position", "pedestrian_motion", "environment"),
    "vehicle": ("vehicle_position", "vehicle_motion", "environment", "attributes"),
}
"""Road user -> the short questions whose answers its caption is written from, in the order of captions."""

KNOWN = "What is known:\n{facts}\n{question}"
"""How a model without images is asked for a caption."""

WRITE = "{known}\nWrite it as one paragraph, from nothing but what is known."


class CaptionWriter(Section):
    """A member of `CAPTION_WRITERS`. Its fields are settings, beside `kind`, which has its name as the default."""


class FromFrames(CaptionWriter):
    """The long question about each road user is asked with the images."""

    kind: Literal["frames"] = "frames"


class FromFacts(CaptionWriter):
    """Written from the answers to the short questions."""

    kind: Literal["facts"] = "facts"
    writer: Literal["join", "model", "language-model"] = Field("join", description="who makes a caption of answers")
    language_model: Annotated[ServerSettings | LocalSettings | ScriptSettings, Field(discriminator="kind")] | None = (
        Field(None, description="of the writer language-model, such as {kind: local, model: FOLDER}")
    )
    prompts: Path | None = Field(None, description="the file of prepare.prompts, where that is set")

    @model_validator(mode="after")
    def _named_writer(self) -> FromFacts:
        if (self.writer == "language-model") != (self.language_model is not None):
            raise conflict("writer: language-model and language_model go together: set both or neither")
        return self


@dataclass(frozen=True, slots=True)
class _Fact:
    """A short question of a scene."""

    scene: int
    key: str
    request: Request


def write_from_facts(
    engine: Engine, scenes: Sequence[AskedScene], metas: Sequence[TrafficMeta], writer: FromFacts, asking: Request
) -> list[dict[str, Answer]]:
    """The caption of each road user of each scene. `asking` says how answers are to be made, one each.

    A fact that cannot be had is left out of the captions; a caption without any has the problem of its first one.
    Raises InputError for a file of prompts or a language model that cannot be used.
    """
    asking = replace(asking, samples=1)
    facts = _facts(scenes, metas, writer, asking)
    answers = [found for (found,) in engine.answer([fact.request for fact in facts])]
    known = {(fact.scene, fact.key): answer for fact, answer in zip(facts, answers, strict=True)}
    captions: list[dict[str, Answer]] = [{} for _ in scenes]
    places = [(n, role) for n, scene in enumerate(scenes) for role in scene.questions]
    said = {place: [known[place[0], key] for key in FACTS[place[1]] if (place[0], key) in known] for place in places}
    told = {place: [a.text.strip() for a in found if a.text.strip()] for place, found in said.items()}
    written = _written([place for place in places if told[place]], told, scenes, engine, writer, asking)
    for place in places:
        nothing = next((a for a in said[place] if a.problem in UNANSWERED), Answer("", 0, 0))
        captions[place[0]][place[1]] = written.get(place, nothing)
    return captions


def _facts(
    scenes: Sequence[AskedScene], metas: Sequence[TrafficMeta], writer: FromFacts, asking: Request
) -> list[_Fact]:
    prompts = load_prompts(writer.prompts)
    found = []
    for n, (scene, meta) in enumerate(zip(scenes, metas, strict=True)):
        shown = [*scene.videos, *(image_block() for _ in scene.images)]
        for key in dict.fromkeys(key for role in scene.questions for key in FACTS[role]):
            question = short_question(prompts, meta.view_kind, meta.phase, meta.marked, key)
            if question is not None:
                asks = message("user", *shown, text_block(question))
                found.append(_Fact(n, key, replace(asking, messages=(asks,), media=scene.images)))
    return found


def _written(
    places: Sequence[tuple[int, str]],
    told: Mapping[tuple[int, str], Sequence[str]],
    scenes: Sequence[AskedScene],
    engine: Engine,
    writer: FromFacts,
    asking: Request,
) -> dict[tuple[int, str], Answer]:
    if writer.writer == "join":
        return {place: Answer(" ".join(told[place]), 0, 0) for place in places}
    known = [
        KNOWN.format(facts="\n".join(f"- {fact}" for fact in told[n, role]), question=scenes[n].questions[role])
        for n, role in places
    ]
    if writer.language_model is None:
        requests = [replace(asking, messages=(message("user", text_block(text)),), media=()) for text in known]
        return {place: answer for place, (answer,) in zip(places, engine.answer(requests), strict=True)}
    client = language_model_client(writer.language_model, "predict.captions.language_model")
    replies = client.ask(
        [[{"role": "user", "content": WRITE.format(known=text)}] for text in known],
        ReplySampling(max_tokens=asking.max_tokens),
        lambda place, text: text.strip() or None,
    )
    return {place: Answer(text or "", 0, 0) for place, text in zip(places, replies.values, strict=True)}


def _check(name: str, member: Any) -> None:
    check_section("caption-writer", name, member, CaptionWriter)


CAPTION_WRITERS: Registry[type[CaptionWriter]] = Registry(
    "caption-writer", "what captions are written from (predict.captions)", _check
)
CAPTION_WRITERS.add("frames", FromFrames, "the images: the long questions are asked with them")
CAPTION_WRITERS.add("facts", FromFacts, "the answers to the short questions, without images")

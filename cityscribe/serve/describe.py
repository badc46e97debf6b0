"""Descriptions of a clip: per phase its images, as `prepare` makes them, and what is said about each road user.

The questions, their order and the images follow the settings that the model was tuned with.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from cityscribe.engine.request import Request
from cityscribe.predict.orders import ORDERS
from cityscribe.predict.settings import PredictSettings
from cityscribe.prepare.settings import PrepareSettings
from cityscribe.records import SampleMessage, image_block, message, text_block
from cityscribe.serve.decoder import Decoder
from cityscribe.serve.decoding import PhaseImages, TimedBox, decode_phases
from cityscribe.serve.facts import facts_grammar, facts_question, most_tokens
from cityscribe.serve.jobs import FACTS, DescribeJob
from cityscribe.serve.model_process import ModelProcess, whole
from cityscribe.serve.refusal import Refusal
from cityscribe.traffic.prompts import Prompts, long_question
from cityscribe.traffic.scenario import PHASES, Phase, ViewKind

TRIES = 4
"""Of one question, where the model dies over it."""

MOST_BOXES = 2000

Seconds = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
PixelCoordinate = Annotated[float, Field(ge=-1e5, le=1e5, allow_inf_nan=False)]
Side = Annotated[float, Field(gt=0, le=1e5, allow_inf_nan=False)]
PhaseName = Literal["prerecognition", "recognition", "judgement", "action", "avoidance"]


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GivenPhase(_Given):
    phase: PhaseName
    start_s: Seconds
    end_s: Seconds


class GivenBox(_Given):
    role: Literal["pedestrian", "vehicle"]
    time_s: Seconds
    xywh: tuple[PixelCoordinate, PixelCoordinate, Side, Side]
    phase: PhaseName | None = None


@dataclass(frozen=True, slots=True)
class Describer:
    """What it takes to describe a clip."""

    model: ModelProcess
    decoder: Decoder
    prompts: Prompts
    pictures: PrepareSettings
    asking: PredictSettings

    async def describe(
        self, job: DescribeJob, clip: Path, phases: tuple[Phase, ...], boxes: tuple[TimedBox, ...], view: ViewKind
    ) -> None:
        """Fill in a job. Raises Refusal."""
        shown: list[PhaseImages] = await self.decoder.run(
            decode_phases, clip, job.folder, phases, boxes, view, self.pictures, self.decoder.limits
        )
        clip.unlink()
        for each in shown:
            places = range(len(job.images), len(job.images) + len(each.images))
            job.images += each.images
            job.phases.append(
                {
                    "phase": PHASES[each.phase.number],
                    "start_s": each.phase.start_s,
                    "end_s": each.phase.end_s,
                    "images": [f"/v1/jobs/{job.id}/images/{place}" for place in places],
                    "marked": list(each.marked),
                    "note": each.note,
                    **dict.fromkeys(job.parts),
                }
            )
        job.tell("phases", {"phases": [dict(phase) for phase in job.phases]})
        try:
            async with asyncio.TaskGroup() as group:
                for n, each in enumerate(shown):
                    group.create_task(self._describe_phase(job, n, each, view))
        except ExceptionGroup as errors:
            first: Exception = errors
            while isinstance(first, ExceptionGroup):
                first = first.exceptions[0]
            raise first from None

    async def _describe_phase(self, job: DescribeJob, place: int, shown: PhaseImages, view: ViewKind) -> None:
        """What is said about each road user, and behind all of it the facts."""
        conversations = ORDERS[self.asking.order]
        async with asyncio.TaskGroup() as group:
            for roles in conversations:
                group.create_task(self._ask(job, place, shown, roles, view))
        if FACTS in job.parts:
            said: tuple[SampleMessage, ...] = ()
            for role in (role for roles in conversations for role in roles):
                answered = message("assistant", text_block(job.phases[place][role]["text"]))
                said += (self._question(said, shown, role, view), answered)
            await self._ask_facts(job, place, shown, said)

    def _question(
        self, said: tuple[SampleMessage, ...], shown: PhaseImages, role: str, view: ViewKind
    ) -> SampleMessage:
        """The question about a road user; the images stand before the first one."""
        question = text_block(long_question(self.prompts, view, shown.phase.number, shown.marked, role))
        return message("user", *[image_block() for _ in shown.images if not said], question)

    async def _ask(
        self, job: DescribeJob, place: int, shown: PhaseImages, roles: tuple[str, ...], view: ViewKind
    ) -> None:
        """One conversation about a phase: the earlier answer stays when the later question is asked."""
        said: tuple[SampleMessage, ...] = ()
        for role in roles:
            said += (self._question(said, shown, role, view),)
            text, finish = await self._answer(Request(said, shown.images, self.asking.max_new_tokens))
            said += (message("assistant", text_block(text)),)
            job.phases[place][role] = {"text": text, "finish": finish}
            job.tell("answer", {"phase": job.phases[place]["phase"], "role": role, "text": text, "finish": finish})

    async def _ask_facts(
        self, job: DescribeJob, place: int, shown: PhaseImages, said: tuple[SampleMessage, ...]
    ) -> None:
        """The facts of a phase. A model whose context they exceed leaves them out and says so."""
        said += (message("user", text_block(facts_question())),)
        values, finish = None, "context_length_exceeded"
        try:
            text, finish = await self._answer(Request(said, shown.images, most_tokens(), grammar=facts_grammar()))
            values = json.loads(text) if finish == "stop" else None
        except Refusal as refusal:
            if refusal.code != finish:
                raise
        job.phases[place][FACTS] = {"values": values, "finish": finish}
        job.tell(FACTS, {"phase": job.phases[place]["phase"], "values": values, "finish": finish})

    async def _answer(self, request: Request) -> tuple[str, str]:
        for tries_left in reversed(range(TRIES)):
            try:
                text, said = await whole(self.model.ask(request, timeout_s=None))
                return text, said.finish
            except Refusal as refusal:
                if refusal.code != "interrupted" or not tries_left:
                    raise
        raise AssertionError("an answer ends with Said or a Refusal")


def given_phases(text: str) -> tuple[Phase, ...]:
    """The phases of a request in their order. Raises Refusal (422) with the place of what is wrong."""
    given = _parsed(list[GivenPhase], text, "phases")
    for n, phase in enumerate(given):
        if phase.end_s <= phase.start_s:
            raise Refusal(422, "phases", f"phases[{n}] ends before it starts", param="phases")
    if len({phase.phase for phase in given}) < len(given):
        raise Refusal(422, "phases", "each phase is given once at most", param="phases")
    phases = [Phase(PHASES.index(phase.phase), phase.start_s, phase.end_s) for phase in given]
    return tuple(sorted(phases, key=lambda phase: phase.number))


def given_boxes(text: str) -> tuple[TimedBox, ...]:
    """The boxes of a request. Raises Refusal (422) with the place of what is wrong."""
    given = _parsed(list[GivenBox], text, "boxes")
    if len(given) > MOST_BOXES:
        raise Refusal(422, "boxes", f"{len(given)} boxes; up to {MOST_BOXES} are taken", param="boxes")
    return tuple(
        TimedBox(box.role, box.time_s, box.xywh, PHASES.index(box.phase) if box.phase else None) for box in given
    )


def _parsed(kind: Any, text: str, param: str) -> Any:
    try:
        return TypeAdapter(kind).validate_json(text or "[]")
    except ValidationError as error:
        first = error.errors()[0]
        place = param + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        raise Refusal(422, param, f"{place}: {first['msg']}", param=param) from error

"""Instruction data of a data set, written as a data set of messages: what `cityscribe data instruct` does.

OUT/train.jsonl, val.jsonl, test.jsonl    conversations, descriptions, reasoning, boxes, and what is mixed in
OUT/...                                   the pictures
OUT/skipped.txt                           what was left out, by its reason
OUT.replies/                              what the language model said, so that a stopped one goes on
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from cityscribe.curate.described import described_samples, described_scenarios
from cityscribe.curate.instructions import (
    FORMATS,
    KINDS,
    DescribedImage,
    InstructionKind,
    box_questions,
    instruct,
    mixed,
    with_forms,
)
from cityscribe.files import InputError, copy_file, new_folder, write_text
from cityscribe.llm.message import ReplySampling
from cityscribe.llm.settings import LocalSettings, ScriptSettings, ServerSettings, language_model_client
from cityscribe.records import Sample
from cityscribe.settings import Section, conflict
from cityscribe.sources import SOURCES, ScenarioSource
from cityscribe.sources.messages import write_messages
from cityscribe.sources.reading import conversation_source, scenario_source
from cityscribe.sources.recognise import recognise

BOX = "box"
MADE = (*KINDS, BOX)


class InstructSettings(Section):
    """What is written for each picture, by whom, and what it is mixed with."""

    language_model: Annotated[ServerSettings | LocalSettings | ScriptSettings, Field(discriminator="kind")] = Field(
        ServerSettings(), description="who writes: `kind` server, local or script, and its settings"
    )
    kinds: tuple[InstructionKind, ...] = Field(
        KINDS, description="what is written for each picture; without any nothing is asked"
    )
    boxes: bool = Field(True, description="also questions whose answer is a box")
    formats: bool = Field(True, description="whether questions with short answers say so")
    forms: dict[str, str] = Field({}, description=f"other words for {', '.join(FORMATS)}")
    temperature: float = Field(0.0, ge=0, description="of the language model")
    max_tokens: int = Field(1024, ge=1, description="of a reply")
    repeats: int = Field(1, ge=0, description="times that a reply which cannot be read is asked for again")
    image_size: int = Field(0, ge=0, description="longer side of a picture in pixels; 0 keeps that of the frame")
    sets: dict[str, Path] = Field(
        {}, description="other conversations that are mixed in, as text-only ones: name, folder"
    )
    shares: dict[str, float] = Field(
        {}, description=f"of {', '.join(MADE)} and the sets, among what trains; none takes everything"
    )
    seed: int = Field(0, ge=0, description="of the mixture")

    @model_validator(mode="after")
    def _known(self) -> InstructSettings:
        if unknown := sorted(self.forms.keys() - FORMATS.keys()):
            raise conflict(f"forms: {unknown[0]}: no form of answers; expected {', '.join(FORMATS)}")
        if taken := sorted(self.sets.keys() & set(MADE)):
            raise conflict(f"sets: {taken[0]} is what is made here; give the set another name")
        if unknown := sorted(self.shares.keys() - {*MADE, *self.sets}):
            raise conflict(f"shares: {unknown[0]}: no set; expected {', '.join((*MADE, *self.sets))}")
        if self.shares and (min(self.shares.values()) < 0 or sum(self.shares.values()) <= 0):
            raise conflict("shares: expected numbers that add up to something")
        return self


@dataclass(frozen=True, slots=True)
class WrittenInstructions:
    """How many samples were written of each set and split, and what was left out, by its reason."""

    counts: Mapping[tuple[str, str], int]  # (split, set)
    skipped: Mapping[str, int]


def write_instructions(settings: InstructSettings, data: Path, out: Path, source: str = "") -> WrittenInstructions:
    """Write the instruction data of a data set into the folder `out`, whole or not at all.

    Raises InputError where `out` exists, the data or a set cannot be read, the language model cannot be asked, and
    nothing comes out.
    """
    skipped: Counter[str] = Counter()
    counts: Counter[tuple[str, str]] = Counter()
    with new_folder(out) as partial:
        scenes = _scenes(settings, data, source, partial, skipped)
        sets = _made(settings, scenes, out, skipped)
        for name, folder in settings.sets.items():
            sets[name] = _set(name, folder, partial)
        chosen = _mixture(settings, sets)
        by_split: dict[str, list[Sample]] = {}
        forms = {**FORMATS, **settings.forms}
        for name, sample in chosen:
            split = sample.meta.split or "train"
            counts[split, name] += 1
            by_split.setdefault(split, []).append(with_forms(sample, forms) if settings.formats else sample)
        if not by_split:
            raise InputError(
                f"{data}: no instruction came out; left out: {dict(skipped) or 'nothing: it has no captions'}"
            )
        for split, samples in by_split.items():
            write_messages(samples, partial / f"{split}.jsonl")
        left_out = "".join(f"{count} times: {reason}\n" for reason, count in sorted(skipped.items()))
        write_text(partial / "skipped.txt", left_out)
    return WrittenInstructions(counts, skipped)


def _scenes(
    settings: InstructSettings, data: Path, source: str, out: Path, skipped: Counter[str]
) -> list[DescribedImage]:
    named = source or recognise(data)
    if isinstance(SOURCES[named], ScenarioSource):
        scenarios, _ = scenario_source(named).read(data)
        found = list(described_scenarios(scenarios, out, skipped, settings.image_size))
    else:
        samples, _ = conversation_source(named).read(data)
        found = list(described_samples(samples, data, out, skipped))
    if not found:
        raise InputError(f"{data}: read as {named}; no picture in it has a caption")
    return found


def _made(
    settings: InstructSettings, scenes: Sequence[DescribedImage], out: Path, skipped: Counter[str]
) -> dict[str, list[Sample]]:
    """The samples of each kind that is made of the pictures."""
    sets: dict[str, list[Sample]] = {}
    if settings.kinds:
        cache = out.with_name(out.name + ".replies")
        client = language_model_client(settings.language_model, "language_model", cache=cache)
        sampling = ReplySampling(settings.temperature, settings.max_tokens)
        made = instruct(client, scenes, settings.kinds, sampling=sampling, repeats=settings.repeats)
        skipped.update(made.skipped)
        for kind in settings.kinds:
            sets[kind] = [sample for sample in made.samples if sample.meta.question == kind]
    if settings.boxes:
        forms = {**FORMATS, **settings.forms}
        sets[BOX] = [sample for scene in scenes for sample in box_questions(scene, forms)]
    return sets


def _set(name: str, folder: Path, out: Path) -> list[Sample]:
    """The training samples of another data set, whose pictures are copied below the name of the set."""
    samples, problems = conversation_source(recognise(folder, "conversations")).read(folder)
    training = [sample for sample in samples if sample.meta.split in ("", "train")]
    if not training:
        raise InputError(f"{folder}: no conversation in it trains{f'; {problems[0]}' if problems else ''}")
    for image in dict.fromkeys(image for sample in training for image in sample.images):
        if not (folder / image).is_file():
            raise InputError(f"{folder}: {image} is no file of its own; `cityscribe prepare` makes one")
        copy_file(folder / image, out / name / image)
    return [
        replace(
            sample,
            images=tuple(f"{name}/{image}" for image in sample.images),
            group=f"{name}/{sample.group}",
            meta=replace(sample.meta, scenario=f"{name}/{sample.meta.scenario}", split="train"),
        )
        for sample in training
    ]


def _mixture(settings: InstructSettings, sets: Mapping[str, list[Sample]]) -> list[tuple[str, Sample]]:
    """What is written, each sample with its set: what trains by the shares, as many as the scarcest set allows, and all
    else as it is."""
    named = [(name, sample) for name, samples in sets.items() for sample in samples]
    if not settings.shares:
        return named
    training = {
        name: [sample for sample in samples if sample.meta.split in ("", "train")] for name, samples in sets.items()
    }
    wanted = {name: share for name, share in settings.shares.items() if share > 0}
    if empty := next((name for name in wanted if not training.get(name)), None):
        raise InputError(f"shares: {empty}: no sample of it trains")
    total = sum(wanted.values())
    count = int(min(len(training[name]) * total / share for name, share in wanted.items()) + 1e-9)
    origin = {id(sample): name for name, samples in training.items() for sample in samples}
    chosen = mixed(training, wanted, count, settings.seed)
    others = [(name, sample) for name, sample in named if sample.meta.split not in ("", "train")]
    return [(origin[id(sample)], sample) for sample in chosen] + others

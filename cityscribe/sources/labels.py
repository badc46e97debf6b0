"""Labels that models made of clips, and what a person said of those that are uncertain (`cityscribe label`).

    labels.jsonl       a label a line: what, where, how sure, who says so
    answers.jsonl      what a person says of a label: yes, no, or the right value; the last answer counts
    frames/CLIP/       the frames that were looked at, NUMBER.jpg
    boxes/CLIP.xml     the tracks that are sure or confirmed, as CVAT XML, which `data.tracks` reads

A sample is a frame with the question of its label and the answer that the value means. Labels that are sure, and those
that a person confirmed or corrected, become samples; those that a person rejected or has not looked at do not, and are
counted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cityscribe.files import printable
from cityscribe.records import Problem, Sample, image_block, text_block
from cityscribe.sources import ConversationSource
from cityscribe.sources.conversation import FRAMES, ConversationEntry, build_sample
from cityscribe.sources.intake import Intake, open_intake
from cityscribe.sources.listing import Certainty, Listing
from cityscribe.traffic.meta import TrafficMeta

LABELS, ANSWERS = "labels.jsonl", "answers.jsonl"
Line = TypeVar("Line", bound=BaseModel)

LabelBox = tuple[int, float, float, float, float]
"""Frame, and x, y, width, height in pixels."""


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PseudoLabel(_Line):
    """What models say that a stretch of a clip shows, or that an object of it is."""

    id: str = Field(min_length=1, max_length=2000)
    clip: str = Field(min_length=1, max_length=1000)
    kind: Literal["feature", "track"]
    name: str = Field(max_length=200)  # of the feature; of a track, its number among those of its clip
    value: str = Field(max_length=200)  # of the feature; of a track, what it is called
    options: dict[str, str] = {}  # what it could be -> the answer that means it
    ask: str = Field(max_length=2000)
    frames: tuple[int, int]  # the first and the last one, counted from 0
    times_s: tuple[float, float]
    shown: tuple[int, ...] = ()  # frames that become samples
    confidence: float = Field(ge=0, le=1.000001)
    by: tuple[str, ...] = ()  # who says so
    sure: bool
    why: str = ""  # it is not
    boxes: tuple[LabelBox, ...] = ()  # of a track, on frames that were looked at


class LabelAnswer(_Line):
    """What a person says of a label, which had this value then."""

    id: str = Field(max_length=2000)
    value: str = Field(max_length=200)
    answer: Literal["yes", "no", "corrected", "open"]  # "open" takes an answer back
    right: str = Field("", max_length=200)  # the right value of a label that is corrected


def right_value(label: PseudoLabel, said: LabelAnswer | None) -> str | None:
    """The value that counts; None where the label is not to be used."""
    if said is None:
        return label.value if label.sure else None
    return {"yes": label.value, "no": None, "corrected": said.right}[said.answer]


def read_labels(intake: Intake) -> tuple[list[PseudoLabel], dict[str, LabelAnswer]]:
    """The labels of a folder, and the last answer to each that has one. What is malformed is noted and left out; so is
    an answer to what has become another label."""
    labels: dict[str, PseudoLabel] = {}
    for place, label in _lines(intake, LABELS, PseudoLabel):
        if label.id in labels:
            intake.add("error", intake.root / LABELS, place, f"{label.id} is there twice; the first one counts")
        labels.setdefault(label.id, label)
    answers: dict[str, LabelAnswer] = {}
    unfit = 0
    for _, said in _lines(intake, ANSWERS, LabelAnswer) if (intake.root / ANSWERS).is_file() else ():
        if said.id not in labels or not fits(labels[said.id], said):
            unfit += 1
        elif said.answer == "open":
            answers.pop(said.id, None)
        else:
            answers[said.id] = said
    if unfit:
        what = f"{unfit} answers are to labels that are no longer there, or have another value now; not used"
        intake.add("warning", intake.root / ANSWERS, "", what)
    return list(labels.values()), answers


def fits(label: PseudoLabel, said: LabelAnswer) -> bool:
    """Whether an answer is one to this label."""
    return (
        said.value == label.value
        and (said.answer == "corrected") == (said.right != "")
        and (said.right in label.options or not said.right)
    )


def _lines(intake: Intake, name: str, kind: type[Line]) -> list[tuple[str, Line]]:
    found = []
    for place, value in intake.json_lines(intake.root / name):
        try:
            found.append((place, kind.model_validate(value)))
        except ValidationError as error:
            first = error.errors()[0]
            where = printable(".".join([place, *(str(part)[:60] for part in first["loc"])]))
            intake.add("error", intake.root / name, where, f"{first['msg'][:1].lower()}{first['msg'][1:]}")
    return found


def frame_file(clip: str, frame: int) -> str:
    """Where a frame lies, relative to the folder of the labels."""
    return f"frames/{clip}/{frame:06d}.jpg"


def read_label_folder(
    root: Path, *, files: Sequence[str] = (), frames: int = FRAMES
) -> tuple[list[Sample], list[Problem]]:
    """A sample for each frame that a usable label of a feature shows. Raises InputError where the root is no folder."""
    intake = open_intake(root)
    labels, answers = read_labels(intake)
    samples: list[Sample] = []
    counts: Counter[str] = Counter()
    for label in labels:
        if label.kind == "track":
            continue
        said = answers.get(label.id)
        value = right_value(label, said)
        counts[_group(label, said)] += 1
        if value is not None:
            origin = f"label {label.confidence:.2f}" if said is None else "label of a person"
            samples += _samples(intake, label, value, origin)
    told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    intake.add("note", root / LABELS, "", f"labels of features: {told or 'none'}")
    samples.sort(key=lambda sample: sample.group)  # the questions about a frame together
    return samples, intake.problems


def _group(label: PseudoLabel, said: LabelAnswer | None) -> str:
    if said is not None:
        return "rejected" if said.answer == "no" else "confirmed or corrected"
    return "sure" if label.sure else "uncertain and not looked at, left out"


def _samples(intake: Intake, label: PseudoLabel, value: str, origin: str) -> list[Sample]:
    found = []
    for frame in label.shown:
        entry = ConversationEntry(intake, intake.root / LABELS, f"{label.id} frame {frame}", {})
        try:
            image = intake.below(intake.root, frame_file(label.clip, frame))
        except ValueError as error:
            entry.error("clip", str(error))
            continue
        turns = [
            ("user", [image_block(), text_block(label.ask)]),
            ("assistant", [text_block(label.options.get(value, value))]),
        ]
        meta = TrafficMeta(scenario=label.clip, kind="short", dimension=label.name, split="train", note=origin)
        sample = build_sample(entry, turns, [image], [], frames=1, name=label.id, split="train", meta=meta, group=image)
        if sample is not None:
            found.append(sample)
    return found


def write_answer(folder: Path, said: LabelAnswer) -> None:
    """Add an answer to those of a folder."""
    with (folder / ANSWERS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(said.model_dump()) + "\n")


def recognise(listing: Listing) -> Certainty:
    return Certainty.CERTAIN if listing.having(r"^labels\.jsonl$") else Certainty.NO


SOURCE = ConversationSource(read_label_folder, recognise=recognise, looks_for="labels.jsonl of `cityscribe label`")

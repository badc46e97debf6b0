"""DriveLM-nuScenes: graph questions about key frames, each seen by six cameras.

    *.json   {SCENE: {"key_frames": {FRAME: {"image_paths": {"CAM_FRONT": "../nuscenes/samples/..."},
              "QA": {"perception" | "prediction" | "planning" | "behavior": [{"Q": ..., "A": ...}]}}}}}

The images are those of nuScenes (`samples/`), below the data folder. Each image follows the name of its camera, because
tags such as `<c1,CAM_BACK,1088.3,497.5>` in the questions name cameras; the tags stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cityscribe.entries import EntryModel, Text, checked
from cityscribe.files import printable
from cityscribe.records import MessageBlock, Problem, Sample, image_block, text_block
from cityscribe.sources import ConversationSource
from cityscribe.sources.conversation import FRAMES, ConversationEntry, build_sample
from cityscribe.sources.intake import UNREADABLE, open_intake
from cityscribe.sources.listing import Certainty, Listing
from cityscribe.sources.splits import split_named
from cityscribe.traffic.meta import TrafficMeta
from cityscribe.values import plain_text, shown

TOPICS = ("perception", "prediction", "planning", "behavior")


def read_drivelm(root: Path, *, files: Sequence[str] = (), frames: int = FRAMES) -> tuple[list[Sample], list[Problem]]:
    """One sample a question, named `SCENE_FRAME_NUMBER` as the challenge names them; those of a frame are one group.

    `dimension` of a sample is its topic. Answers may be missing, as in a test set. Raises InputError where the root is
    no folder.
    """
    intake = open_intake(root)
    samples: list[Sample] = []
    for path in intake.data_files(files, (".json",)):
        scenes = intake.json(path)
        if scenes is UNREADABLE:
            continue
        if not isinstance(scenes, dict):
            intake.add("error", path, "", f"holds {shown(scenes)}, expected scenes by token")
            continue
        for scene, record in scenes.items():
            key_frames = record.get("key_frames") if isinstance(record, dict) else None
            if not isinstance(key_frames, dict):
                intake.add(
                    "error", path, f"{scene}.key_frames", f"is {shown(key_frames)}, expected key frames by token"
                )
                continue
            for frame, value in key_frames.items():
                row = value if isinstance(value, dict) else {}
                samples += _frame(ConversationEntry(intake, path, f"{scene}.{frame}", row), scene, frame)
    return samples, intake.problems


class _Asked(EntryModel):
    """One question, with its answer where it is no test set."""

    Q: Text
    A: Text = ""


def _frame(entry: ConversationEntry, scene: str, frame: str) -> list[Sample]:
    cameras = entry.row.get("image_paths")
    if not isinstance(cameras, dict) or not cameras:
        entry.error("image_paths", f"is {shown(cameras)}, expected an image by camera")
        return []
    blocks: list[MessageBlock] = []
    images: list[str] = []
    for camera, name in cameras.items():
        image = _image(entry, str(camera), name)
        if image is None:
            return []
        images.append(image)
        blocks += [text_block(f"{plain_text(camera)}: "), image_block(), text_block("\n")]
    topics = entry.row.get("QA")
    if not isinstance(topics, dict):
        entry.error("QA", f"is {shown(topics)}, expected questions by topic")
        return []
    samples: list[Sample] = []
    split = split_named(entry.intake.relative(entry.path)) or ""
    number = 0
    for topic in [*TOPICS, *(name for name in topics if name not in TOPICS)]:
        asked = topics.get(topic, [])
        if not isinstance(asked, list):
            entry.error(f"QA.{topic}", f"is {shown(asked)}, expected a list of questions")
            continue
        for index, row in enumerate(asked):
            name = f"{scene}_{frame}_{number}"
            number += 1
            said = checked(_Asked, row, entry.note, f"QA.{topic}[{index}]", whole="Q and A", level="error")
            if said is None:
                continue
            turns = [("user", [*blocks, text_block(said.Q)])]
            turns += [("assistant", [text_block(said.A)])] if said.A else []
            meta = TrafficMeta(
                scenario=printable(scene),
                kind="chat",
                dimension=printable(topic),
                question=printable(name),
                split=split,
            )
            sample = build_sample(entry, turns, images, [], frames=1, name=scene, split=split, meta=meta)
            samples += [sample] if sample is not None else []
    return samples


def _image(entry: ConversationEntry, camera: str, name: Any) -> str | None:
    """The image of a camera. The release names it from beside the data folder (`../nuscenes/samples/...`)."""
    if not isinstance(name, str):
        entry.error(f"image_paths.{camera}", f"is {shown(name)}, expected the path of an image")
        return None
    inner = re.sub(r"^(\.\./)+", "", name)
    why = ""
    for candidate in dict.fromkeys((inner, inner.removeprefix("nuscenes/"), f"nuscenes/{inner}")):
        try:
            return entry.intake.below(entry.path.parent, candidate)
        except ValueError as error:
            why = why or str(error)
    entry.error(f"image_paths.{camera}", why)
    return None


def recognise(listing: Listing) -> Certainty:
    heads = (listing.head(name) for name in listing.data_files(".json"))
    return Certainty.CERTAIN if any('"key_frames"' in head for head in heads) else Certainty.NO


SOURCE = ConversationSource(
    read_drivelm, recognise=recognise, looks_for="JSON with key_frames", licence="CC-BY-NC-SA-4.0"
)

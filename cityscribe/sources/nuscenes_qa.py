"""NuScenes-QA: questions about key frames of nuScenes, answered with a word or a number.

    NuScenes_{train,val}_questions.json   {"questions": [{"question", "answer", "sample_token", "template_type", ...}]}
    .../sample_data.json                  of nuScenes: which images belong to a sample token
    samples/CAM_FRONT/...jpg              its key frames

The six cameras are shown in one order, each after its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from cityscribe.entries import EntryModel, Text, checked
from cityscribe.records import MessageBlock, Problem, Sample, image_block, text_block
from cityscribe.sources import ConversationSource
from cityscribe.sources.conversation import FRAMES, ConversationEntry, Turn, build_sample, entries_of
from cityscribe.sources.intake import UNREADABLE, Intake, open_intake
from cityscribe.sources.listing import Certainty, Listing
from cityscribe.sources.splits import split_named
from cityscribe.sources.videos import files_by_stem
from cityscribe.traffic.meta import TrafficMeta
from cityscribe.values import name_of, plain_text, shown

CAMERAS = ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT")
TABLE = "sample_data.json"


def read_nuscenes_qa(
    root: Path, *, files: Sequence[str] = (), frames: int = FRAMES
) -> tuple[list[Sample], list[Problem]]:
    """One sample a question, in their order; those of a key frame are one group. `dimension` is the question's type.

    The table of nuScenes is found anywhere below the root. Raises InputError where the root is no folder.
    """
    intake = open_intake(root)
    table = files_by_stem(root, (TABLE,)).get(TABLE.removesuffix(".json"))
    if table is None:
        intake.add("error", root, "", f"has no {TABLE} of nuScenes below it, which says what a question is about")
        return [], intake.problems
    shots = _shots(intake, root / table)
    samples: list[Sample] = []
    for path in intake.data_files(files, (".json",)):
        if path.name == TABLE:
            continue
        value = intake.json(path)
        if value is UNREADABLE:
            continue
        asked = value.get("questions") if isinstance(value, dict) else value
        if not isinstance(asked, list):
            intake.add("error", path, "questions", f"is {shown(asked)}, expected a list of questions")
            continue
        placed = ((f"questions[{number}]", row) for number, row in enumerate(asked))
        for number, entry in enumerate(entries_of(intake, path, placed, "a question")):
            sample = _question(entry, shots, number)
            samples += [sample] if sample is not None else []
    return samples, intake.problems


def _shots(intake: Intake, path: Path) -> dict[str, dict[str, str]]:
    """Sample token -> camera -> image as the table names it."""
    shots: dict[str, dict[str, str]] = {}
    value = intake.json(path)
    for row in value if isinstance(value, list) else []:
        token, name = (row.get("sample_token"), row.get("filename")) if isinstance(row, dict) else (None, None)
        if isinstance(token, str) and isinstance(name, str) and name.startswith("samples/CAM_"):
            shots.setdefault(token, {})[name.split("/")[1]] = name
    if not shots:
        intake.add("error", path, "", "names no image samples/CAM_...; expected the sample_data.json of nuScenes")
    return shots


def _as_text(value: Any) -> Any:
    """A count is written as a number."""
    return str(value) if isinstance(value, int) and abs(value) < 10**18 else value


class _Asked(EntryModel):
    """One question; what is no text is no answer."""

    question: Annotated[Text, BeforeValidator(_as_text)] = Field(description="text")
    answer: Annotated[str | None, BeforeValidator(lambda value: plain_text(_as_text(value)))] = None


def _question(entry: ConversationEntry, shots: dict[str, dict[str, str]], number: int) -> Sample | None:
    token = entry.row.get("sample_token")
    seen = shots.get(token, {}) if isinstance(token, str) else {}
    if not seen:
        entry.error("sample_token", f"is {shown(token)}, which has no images in {TABLE}")
        return None
    asked = checked(_Asked, entry.row, entry.note, "", level="error")
    if asked is None:
        return None
    blocks: list[MessageBlock] = []
    images = []
    for camera in CAMERAS:
        if camera in seen:
            try:
                images.append(entry.intake.below(entry.intake.root, seen[camera]))
            except ValueError as error:
                entry.error("sample_token", str(error))
                return None
            blocks += [text_block(f"{camera}: "), image_block(), text_block("\n")]
    split = split_named(entry.intake.relative(entry.path)) or ""
    turns: list[Turn] = [("user", [*blocks, text_block(asked.question)])]
    turns += [("assistant", [text_block(asked.answer)])] if asked.answer else []
    kind = plain_text(entry.row.get("template_type")) or ""
    name = name_of(entry.row.get("question_id")) or f"{name_of(token)}/{number}"
    meta = TrafficMeta(scenario=name_of(token) or "", kind="chat", question=name, dimension=kind, split=split)
    return build_sample(entry, turns, images, [], frames=1, name=name, split=split, meta=meta)


def recognise(listing: Listing) -> Certainty:
    return Certainty.CERTAIN if listing.having(r"(?:^|/)NuScenes_\w+_questions\.json$") else Certainty.NO


SOURCE = ConversationSource(read_nuscenes_qa, recognise=recognise, looks_for="NuScenes_{train,val}_questions.json")

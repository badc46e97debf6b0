"""The question-answering sub-task of WTS (2025, 2026): questions with two to four options about events and their place.

    annotations/vqa/SPLIT/[normal_trimmed/]SCENARIO/{environment,overhead_view,vehicle_view}/SCENARIO.json
    external/BDD_PC_5K/annotations/vqa/SPLIT/videoN*.json
    WTS_VQA_PUBLIC_TEST.json                         the test questions, each with an id and `"correct": ""`

    annotations/bbox_annotated/...                   as in `wts`: the boxes that are drawn on a frame of a phase

A file is a list of records (one of a training file): the questions about each phase under
`event_phase[].conversations`, those about the place under `environment` or `conversations`. Answers are handed in by
`choices.write_submission`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

from cityscribe.entries import EntryModel, Text, checked
from cityscribe.records import Problem, Sample
from cityscribe.sources import ConversationSource
from cityscribe.sources.choices import LETTERS, choice_turns, write_submission
from cityscribe.sources.conversation import FRAMES, ConversationEntry, build_sample
from cityscribe.sources.intake import UNREADABLE, Intake, open_intake
from cityscribe.sources.listing import Certainty, Listing
from cityscribe.sources.splits import split_named
from cityscribe.sources.video_blocks import AS_VIDEO, boxed_frame, frames_of
from cityscribe.sources.videos import files_below, files_by_stem, stem_of
from cityscribe.sources.wts_boxes import read_box_file
from cityscribe.sources.wts_folders import BOX_SUFFIX
from cityscribe.traffic.captions import MAX_TIME_S, phase_number
from cityscribe.traffic.meta import TrafficMeta
from cityscribe.traffic.scenario import PHASES, ROLES, Box, Domain, Split, ViewKind, phase_opening
from cityscribe.values import finite, name_of, plain_text, shown

VIDEO_KEYS = ("videos", "overhead_videos", "vehicle_view", "vehicle_views", "video_name")
TEST_FILE = "wts_vqa"

XYWH = tuple[float, float, float, float]
VIEWS: dict[str, tuple[str, ViewKind | str]] = {
    "environment": ("environment", ""),
    "overhead_view": ("", "overhead"),
    "vehicle_view": ("", "vehicle"),
}


def read_wts_vqa(root: Path, *, files: Sequence[str] = (), frames: int = FRAMES) -> tuple[list[Sample], list[Problem]]:
    """The questions as samples of kind "choice", and everything that is wrong with their files.

    A question about a phase shows `frames` frames of it, one about the place as many of the whole video, of the first
    named video that exists below the root. Where the phase has annotated boxes, the first frame is the annotated one,
    to be shown with the boxes. Questions about the same frames are one group. Raises InputError where the
    root is no folder.
    """
    intake = open_intake(root)
    videos = files_by_stem(root)
    boxes = _BoxFiles(intake)
    paths = intake.data_files(files, (".json",)) if files else sorted(_question_files(root))
    if not paths and not files:
        intake.add("error", root, "", "has no questions: neither annotations/vqa/ nor WTS_VQA_PUBLIC_TEST.json")
    samples: list[Sample] = []
    for path in paths:
        value = intake.json(path)
        if value is UNREADABLE:
            continue
        records = value if isinstance(value, list) else [value]
        for number, record in enumerate(records):
            place = f"[{number}]" if isinstance(value, list) else ""
            if isinstance(record, dict):
                samples += _record(ConversationEntry(intake, path, place, record), videos, boxes, frames)
            else:
                intake.add("error", path, place, f"is {shown(record)}, expected a record with questions")
    return samples, intake.problems


def questions_by_id(root: Path) -> dict[str, int]:
    """The questions of WTS_VQA_PUBLIC_TEST.json by id, in their order, each with how many options it has.

    Raises InputError where the root is no folder.
    """
    intake = open_intake(root)
    found: dict[str, int] = {}
    for path in sorted(_question_files(root)):
        value = intake.json(path) if path.name.lower().startswith(TEST_FILE) else []
        for record in value if isinstance(value, list) else []:
            parts = [record, *_dicts(record.get("event_phase"))] if isinstance(record, dict) else []
            for row in (row for part in parts for row in _dicts(part.get("conversations"))):
                name = name_of(row.get("id"))
                if name is not None:
                    found.setdefault(name, len(_options(row)))
    return found


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _options(row: dict[str, Any]) -> list[str]:
    """The texts under a, b, ... up to the first letter that has none."""
    texts = (plain_text(row.get(letter)) for letter in LETTERS)
    return [text for text in takewhile(lambda text: text is not None, texts) if text is not None]


def _question_files(root: Path) -> Iterator[Path]:
    for path in files_below(root, (".json",)):
        *folders, name = path.split("/")
        if ("annotations", "vqa") in pairwise(folders) or name.lower().startswith(TEST_FILE):
            yield root / path


class _BoxFiles:
    """The annotated boxes below the root; a file is read when it is first asked for."""

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.files: dict[str, dict[str, Path]] = {}
        self.read: dict[str, dict[str, tuple[Box, ...]]] = {}
        for path in files_below(intake.root, (BOX_SUFFIX,)):
            *folders, name = path.split("/")
            if "bbox_annotated" in folders:
                role = "vehicle" if "vehicle" in folders else "pedestrian"
                self.files.setdefault(name[: -len(BOX_SUFFIX)], {}).setdefault(role, intake.root / path)

    def of_phase(self, video: str, phase: int) -> tuple[int, dict[str, XYWH]] | None:
        """The annotated frame of a phase, as its image_id, and the boxes on it by role; None where there is none."""
        if video not in self.read:
            files = self.files.get(video, {})
            self.read[video] = {
                role: read_box_file(path, self.intake.note(path), generated=False) for role, path in files.items()
            }
        boxes = self.read[video]
        for role in ROLES:  # the frame of the pedestrian's first box, else of the vehicle's
            first = next((box.image_id for box in boxes.get(role, ()) if box.phase == phase), None)
            if first is not None:
                on_frame = {r: b.xywh for r in reversed(ROLES) for b in boxes.get(r, ()) if b.image_id == first}
                return first, {r: on_frame[r] for r in ROLES if r in on_frame}
        return None


@dataclass(frozen=True, slots=True)
class _About:
    """What the questions of a record are about."""

    video: str  # relative to the root
    scenario: str
    domain: Domain
    split: Split
    view_kind: str


class _Asked(EntryModel):
    """One question; its options are under a, b, ..."""

    question: Text


def _record(entry: ConversationEntry, videos: dict[str, str], boxes: _BoxFiles, frames: int) -> list[Sample]:
    if not frames:
        entry.error("", "shows a video; set data.frames to show some of its frames")
        return []
    about = _about(entry, videos)
    if about is None:
        return []
    samples = []
    phases = entry.row.get("event_phase")
    for key in ("environment", "conversations"):
        if entry.row.get(key) is not None:
            samples += _questions(entry, key, entry.row[key], about, -1, frames_of(about.video, frames), ())
    if phases is not None and not isinstance(phases, list):
        entry.error("event_phase", f"is {shown(phases)}, expected a list of phases")
    for number, phase in enumerate(phases if isinstance(phases, list) else []):
        place = f"event_phase[{number}]"
        if not isinstance(phase, dict):
            entry.error(place, f"is {shown(phase)}, expected a phase")
            continue
        times = [finite(phase.get(key)) for key in ("start_time", "end_time")]
        start_s, end_s = times
        if start_s is None or end_s is None or not 0 <= start_s <= end_s <= MAX_TIME_S:
            entry.error(
                f"{place}.start_time", f"is {shown([phase.get('start_time'), phase.get('end_time')])}, expected seconds"
            )
            continue
        labels = phase.get("labels")
        label = phase_number(labels)
        if label is None:
            entry.error(f"{place}.labels", f"is {shown(labels)}, expected one of 0 to 4 or {', '.join(PHASES)}")
            continue
        marked = boxes.of_phase(stem_of(about.video), label)
        shots = frames_of(about.video, frames if frames == AS_VIDEO else frames - bool(marked), start_s, end_s)
        if marked is not None:
            shots.insert(0, boxed_frame(about.video, *marked))
        roles = () if marked is None else tuple(marked[1])
        samples += _questions(entry, f"{place}.conversations", phase.get("conversations"), about, label, shots, roles)
    if not samples and phases is None and not any(key in entry.row for key in ("environment", "conversations")):
        entry.error("", "has no questions: neither event_phase nor environment nor conversations")
    return samples


def _about(entry: ConversationEntry, videos: dict[str, str]) -> _About | None:
    named = []
    for key in VIDEO_KEYS:
        value = entry.row.get(key)
        named += [name for name in (value if isinstance(value, list) else [value]) if isinstance(name, str)]
    found = next((videos[stem_of(name)] for name in named if stem_of(name) in videos), None)
    if found is None:
        what = f"none of the videos {shown(named)} exists below the data folder" if named else "names no video"
        entry.error("videos", what)
        return None
    parts = Path(entry.intake.relative(entry.path)).parts
    folder = next((part for part in reversed(parts) if part in VIEWS), "")
    stem = stem_of(found)
    external = stem.lower().startswith("video") or any("BDD" in part.upper() for part in parts)
    kind = "vehicle" if external or stem.endswith("vehicle_view") else "overhead"
    scenario = parts[parts.index(folder) - 1] if folder and parts.index(folder) else stem
    return _About(
        video=found,
        scenario=scenario,
        domain="external" if external else "internal",
        split=split_named("/".join(parts)) or "test",
        view_kind=VIEWS[folder][1] or kind if folder else kind,
    )


def _questions(
    entry: ConversationEntry,
    place: str,
    value: Any,
    about: _About,
    phase: int,
    images: Sequence[str],
    marked: tuple[str, ...],
) -> list[Sample]:
    if not isinstance(value, list):
        entry.error(place, f"is {shown(value)}, expected a list of questions")
        return []
    samples = []
    for number, row in enumerate(value):
        here = f"{place}[{number}]"
        read = checked(_Asked, row, entry.note, here, whole="a question with options", level="error")
        if read is None:
            continue
        question = read.question
        options = _options(row)
        correct = row.get("correct", "")
        correct = correct.strip().lower() if isinstance(correct, str) else correct
        if len(options) < 2:
            entry.error(here, f"has {len(options)} options, expected at least a and b")
            continue
        if not isinstance(correct, str) or correct not in ("", *LETTERS[: len(options)]):
            entry.error(f"{here}.correct", f"is {shown(correct)}, expected one of {', '.join(LETTERS[: len(options)])}")
            continue
        if not correct and about.split != "test":
            entry.error(f"{here}.correct", f"is empty, but the question is in the split {about.split}")
            continue
        asked = phase_opening(phase) + question
        fallback = f"{about.scenario}/{stem_of(about.video)}/{PHASES[phase] if phase >= 0 else 'place'}/{number}"
        meta = TrafficMeta(
            scenario=about.scenario,
            domain=about.domain,
            split=about.split,
            view=stem_of(about.video),
            view_kind=about.view_kind,
            phase=phase,
            kind="choice",
            marked=marked,
            question=name_of(row.get("id")) or fallback,
            options=tuple(options),
        )
        where = ConversationEntry(entry.intake, entry.path, f"{entry.place}.{here}".lstrip("."), row)
        turns = choice_turns(asked, options, correct)
        sample = build_sample(where, turns, images, [], frames=1, name=about.scenario, split=about.split, meta=meta)
        if sample is not None:
            samples.append(sample)
    return samples


def recognise(listing: Listing) -> Certainty:
    named = listing.having(r"(?:^|/)(?:annotations/vqa/|WTS_VQA[^/]*\.json$)")
    return Certainty.CERTAIN if named else Certainty.NO


SOURCE = ConversationSource(
    read_wts_vqa,
    submission=write_submission,
    recognise=recognise,
    looks_for="annotations/vqa/ or WTS_VQA_PUBLIC_TEST.json",
)

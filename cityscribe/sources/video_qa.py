"""Question answering about videos: MSVD-QA, MSRVTT-QA, ActivityNet-QA, and the form of Video-ChatGPT.

    {train,val,test}_qa.json        [{"id": 0, "video_id": 1, "question": ..., "answer": ...}]        MSVD-QA, MSRVTT-QA
    youtube_mapping.txt             lines NAME vidN                                                   of MSVD
    {train,val,test}_q.json, _a.json   [{"question_id", "video_name", "question"}], [{"question_id", "answer"}]
    *.json                          [{"video_id" or "video_name", "q" or "Q", "a" or "A"}]            Video-ChatGPT

Videos lie anywhere below the data folder, under the name that a question gives, also as `videoN` or `v_NAME`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cityscribe.entries import EntryModel, Name, checked
from cityscribe.records import Problem, Sample
from cityscribe.sources import ConversationSource
from cityscribe.sources.conversation import FRAMES, entries_of, question_sample
from cityscribe.sources.intake import Intake, open_intake
from cityscribe.sources.listing import Certainty, Listing
from cityscribe.sources.splits import split_named
from cityscribe.sources.video_blocks import frames_of
from cityscribe.sources.videos import files_by_stem, stem_of
from cityscribe.values import name_of, shown

MAPPING = "youtube_mapping.txt"
QUESTION_KEYS = ("question", "q", "Q")
ANSWER_KEYS = ("answer", "a", "A")
VIDEO_KEYS = ("video_id", "video_name", "video")
NAME_KEYS = ("question_id", "id", "qid")


def read_video_qa(root: Path, *, files: Sequence[str] = (), frames: int = FRAMES) -> tuple[list[Sample], list[Problem]]:
    """One sample a question, in their order; those of a video are one group. A video is shown by `frames` frames.

    Raises InputError where the root is no folder.
    """
    intake = open_intake(root)
    videos = files_by_stem(root)
    videos = _mapped(intake, videos) | videos
    samples: list[Sample] = []
    for path in intake.data_files(files, (".json", ".jsonl")):
        if path.stem.endswith("_a") and path.with_name(path.stem[:-2] + "_q.json").is_file():
            continue
        beside = path.with_name(path.stem[:-2] + "_a.json")
        answers = _answers(intake, beside) if path.stem.endswith("_q") and beside.is_file() else {}
        split = split_named(intake.relative(path)) or ""
        for entry in entries_of(intake, path, intake.entries(path), "a question"):
            row = entry.row
            if not frames:
                entry.error("", "shows a video; set data.frames to show some of its frames")
                continue
            named = name_of(_first(row, VIDEO_KEYS))
            video = video_named(videos, named)
            if named is None or video is None:
                entry.error("video_id", f"is {shown(_first(row, VIDEO_KEYS))}, which is no video below the data folder")
                continue
            name = name_of(_first(row, NAME_KEYS)) or entry.place
            answer = _first(row, ANSWER_KEYS)
            sample = question_sample(
                entry,
                _first(row, QUESTION_KEYS),
                answers.get(name) if answer is None else answer,
                frames_of(video, frames),
                name=name,
                scenario=stem_of(video),
                split=split,
            )
            samples += [sample] if sample is not None else []
    return samples, intake.problems


def _first(row: dict[str, Any], keys: Sequence[str]) -> Any:
    return next((row[key] for key in keys if row.get(key) is not None), None)


def video_named(videos: dict[str, str], name: str | None) -> str | None:
    """The file of a video, of those by stem, under the name that a question gives; None where there is none."""
    stem = stem_of(name) if name else ""
    return next((videos[key] for key in (stem, f"video{stem}", f"vid{stem}", f"v_{stem}") if key in videos), None)


def _mapped(intake: Intake, videos: dict[str, str]) -> dict[str, str]:
    """The videos of MSVD under the numbers that its questions use."""
    path = intake.root / MAPPING
    found: dict[str, str] = {}
    for line in (intake.text(path) or "").split("\n") if path.is_file() else []:
        name, _, number = line.strip().rpartition(" ")
        if name in videos:
            found[number] = videos[name]
    return found


class _Answer(EntryModel):
    """An answer that stands in a file of its own."""

    question_id: Name
    answer: Any = None


def _answers(intake: Intake, path: Path) -> dict[str, Any]:
    found = {}
    for place, row in intake.entries(path):
        read = checked(_Answer, row, intake.note(path), place, whole="question_id and answer", level="error")
        if read is not None:
            found[read.question_id] = read.answer
    return found


def recognise(listing: Listing) -> Certainty:
    if listing.having(rf"^(?:[^/]*_qa\.json|[^/]*_q\.json|{re.escape(MAPPING)})$"):
        return Certainty.CERTAIN
    heads = [listing.head(name) for name in listing.data_files(".json", ".jsonl")]
    asks = re.compile('"(?:question|q|Q)" *:')
    named = re.compile('"(?:video_id|video_name)" *:')
    return Certainty.LIKELY if any(asks.search(head) and named.search(head) for head in heads) else Certainty.NO


SOURCE = ConversationSource(
    read_video_qa,
    recognise=recognise,
    looks_for="*_qa.json, *_q.json, or JSON with a question and a video_id or video_name",
)

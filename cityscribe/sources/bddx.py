"""BDD-X: what a driver does in a clip of BDD100K, and why, for each of its spans.

    BDD-X-Annotations_v1.csv    Input.Video, Answer.1start, Answer.1end, Answer.1action, Answer.1justification, 2..15
    {train,val,test}.txt        lines N_VIDEO: the row of the table and the video
    .../VIDEO.mov               the clips, anywhere below the data folder

A span is one conversation of two rounds about frames of it: what the vehicle is doing, and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cityscribe.records import Problem, Sample, image_block, text_block
from cityscribe.sources import ConversationSource
from cityscribe.sources.conversation import FRAMES, ConversationEntry, Turn, build_sample
from cityscribe.sources.intake import Intake, open_intake
from cityscribe.sources.listing import Certainty, Listing
from cityscribe.sources.splits import split_named
from cityscribe.sources.video_blocks import frames_of
from cityscribe.sources.videos import files_by_stem, stem_of
from cityscribe.traffic.captions import MAX_TIME_S
from cityscribe.values import finite, plain_text, shown

SPANS = 15
WHAT, WHY = "What is the vehicle doing?", "Why?"


def read_bddx(root: Path, *, files: Sequence[str] = (), frames: int = FRAMES) -> tuple[list[Sample], list[Problem]]:
    """One sample a span, in the order of the table. A video that is missing leaves its row out with an error.

    Raises InputError where the root is no folder.
    """
    intake = open_intake(root)
    videos = files_by_stem(root)
    splits = _splits(intake)
    samples: list[Sample] = []
    for path in intake.data_files(files, (".csv",)):
        for place, row in intake.table(path, ("Input.Video", "Answer.1start", "Answer.1end", "Answer.1action")):
            entry = ConversationEntry(intake, path, place, dict(row))
            if not frames:
                entry.error("", "shows a video; set data.frames to show some of its frames")
                continue
            stem = stem_of(row["Input.Video"])
            if stem not in videos:
                entry.error("Input.Video", f"is {shown(row['Input.Video'])}, which is no video below the data folder")
                continue
            for number in range(1, SPANS + 1):
                sample = _span(entry, row, number, stem, videos[stem], splits.get(stem, ""), frames)
                samples += [sample] if sample is not None else []
    return samples, intake.problems


def _splits(intake: Intake) -> dict[str, str]:
    """The split of each video that a list names."""
    found: dict[str, str] = {}
    for path in intake.files(intake.root, (".txt",)):
        split = split_named(path.name)
        for line in (intake.text(path) or "").split("\n") if split else []:
            found[stem_of(line.strip().partition("_")[2])] = split or ""
    return found


def _span(
    entry: ConversationEntry, row: dict[str, str], number: int, stem: str, video: str, split: str, frames: int
) -> Sample | None:
    start, end, action, why = (
        row.get(f"Answer.{number}{key}", "") for key in ("start", "end", "action", "justification")
    )
    if not any((start, end, action)):
        return None
    start_s, end_s = finite(start), finite(end)
    if start_s is None or end_s is None or not 0 <= start_s <= end_s <= MAX_TIME_S:
        entry.error(f"Answer.{number}start", f"{shown(start)} to {shown(end)} is no span in seconds")
        return None
    if not action:
        entry.error(f"Answer.{number}action", "is empty")
        return None
    images = frames_of(video, frames, start_s, end_s)
    turns: list[Turn] = [
        ("user", [*(image_block() for _ in images), text_block(WHAT)]),
        ("assistant", [text_block(plain_text(action) or "")]),
    ]
    if why:
        turns += [("user", [text_block(WHY)]), ("assistant", [text_block(plain_text(why) or "")])]
    return build_sample(entry, turns, images, [], frames=1, name=f"{stem}/{number}", split=split)


def recognise(listing: Listing) -> Certainty:
    heads = (listing.head(name) for name in listing.data_files(".csv"))
    return Certainty.CERTAIN if any("Input.Video" in head for head in heads) else Certainty.NO


SOURCE = ConversationSource(read_bddx, recognise=recognise, looks_for="BDD-X-Annotations_v1.csv")

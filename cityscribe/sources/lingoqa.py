"""LingoQA: questions about driving, each about the images of one short segment.

    *.parquet   question_id, segment_id, images (paths such as images/train/SEGMENT/0.jpg), question, answer

The validation set has two reference answers a question: two rows, two samples of one question.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cityscribe.records import Problem, Sample
from cityscribe.sources import ConversationSource
from cityscribe.sources.conversation import FRAMES, ConversationEntry, media, question_sample
from cityscribe.sources.intake import open_intake
from cityscribe.sources.listing import Certainty, Listing
from cityscribe.sources.splits import split_named
from cityscribe.values import name_of

COLUMNS = ("question_id", "segment_id", "images", "question", "answer")


def read_lingoqa(root: Path, *, files: Sequence[str] = (), frames: int = FRAMES) -> tuple[list[Sample], list[Problem]]:
    """One sample a row, in their order, and everything that is wrong. The questions of a segment are one group.

    Raises InputError where the root is no folder.
    """
    intake = open_intake(root)
    samples = []
    for path in intake.data_files(files, (".parquet",)):
        try:
            rows = pq.read_table(path).to_pylist()
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            intake.add("error", path, "", f"not a readable Parquet file: {(str(error) or repr(error)).splitlines()[0]}")
            continue
        split = split_named(intake.relative(path)) or ""
        for number, row in enumerate(rows):
            entry = ConversationEntry(intake, path, f"row {number}", row)
            missing = [column for column in COLUMNS if column not in row]
            if missing:
                entry.error("", f"has no column {', '.join(missing)}")
                break
            images = media(entry, "images")
            if images is not None:
                sample = question_sample(
                    entry,
                    row["question"],
                    row["answer"],
                    images,
                    name=name_of(row["question_id"]) or f"row {number}",
                    scenario=name_of(row["segment_id"]) or f"row {number}",
                    split=split,
                )
                samples += [sample] if sample is not None else []
    return samples, intake.problems


def recognise(listing: Listing) -> Certainty:
    for name in listing.data_files(".parquet"):
        try:
            columns = pq.read_schema(listing.root / name).names
        except (pa.ArrowException, OSError, ValueError):
            continue
        if set(COLUMNS) <= set(columns):
            return Certainty.CERTAIN
    return Certainty.NO


SOURCE = ConversationSource(
    read_lingoqa,
    recognise=recognise,
    looks_for="Parquet files with question_id and segment_id",
    licence="Wayve Dataset Licence Agreement for Non-Commercial Use (February 2024)",
)

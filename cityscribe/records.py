"""The records that every stage reads and writes.

A `Sample` is one conversation about images: everything that trains or is asked is one. A `Problem` is one thing that is
wrong with somebody's data, with the file and the place in it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cityscribe.files import InputError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about a data set. An error cannot be used; a warning is used, with something left out."""

    level: Literal["error", "warning"]
    file: str
    place: str  # where in the file, such as "event_phase[2].start_time"; empty for the file as a whole
    message: str

    def __str__(self) -> str:
        place = f": {self.place}" if self.place else ""
        return f"{self.level}: {self.file}{place}: {self.message}"


@dataclass(frozen=True, slots=True)
class SampleMeta:
    """What a sample is about, so that a prediction finds its way back to the scenario."""

    scenario: str = ""
    domain: str = ""
    split: str = ""
    view: str = ""
    view_kind: str = ""
    phase: int = -1  # index into PHASES; -1 where there is none
    kind: str = "long"  # "long" (a whole caption), "short" (one dimension), "multi" (several rounds), "chat" (any
    # conversation that a source brings), "choice" (a question with options, answered with their letter)
    target: str = ""  # the role that the question is about
    dimension: str = ""  # of a short question
    marked: tuple[str, ...] = ()  # the roles whose boxes are drawn on the images, and "gaze" for its arrow
    note: str = ""  # such as "no boxes: raw frame at the start of the phase"
    question: str = ""  # the name of the question in its data set
    options: tuple[str, ...] = ()  # of a choice, in the order of their letters a, b, ...


@dataclass(frozen=True, slots=True)
class Sample:
    """One conversation about images.

    `messages` are `{"role": "system" | "user" | "assistant", "content": [{"type": "image"} | {"type": "text", "text":
    ...}]}`. The n-th image block shows `images[n]`, a path relative to the folder of the Parquet file. Samples of one
    `group` share their images, in the same order.

    A source that yields samples names images relative to the folder of its data set, and may name a frame of a video
    (`clip.mp4#t=12.5`: at 12.5 s; `clip.mp4#t=25%`: after a quarter of it; `clip.mp4#image_id=96&vehicle=5,8,40,30`:
    that of an annotation, with a box x, y, width, height to draw) or an image inside a table
    (`train.parquet#images/7/0`: the first one of row 7 of a column); `prepare` makes image files of them.
    """

    messages: tuple[dict[str, Any], ...]
    images: tuple[str, ...]
    group: str
    meta: SampleMeta = SampleMeta()


def text_block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def image_block() -> dict[str, Any]:
    return {"type": "image"}


def message(role: str, *blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "content": list(blocks)}


def text_of(entry: dict[str, Any]) -> str:
    """The text of one message, its image blocks left out."""
    return "".join(block["text"] for block in entry["content"] if block["type"] == "text")


@cache
def sample_schema() -> pa.Schema:
    """The columns of `train.parquet` and its kin. `messages` and `images` are what TRL and ms-swift train on."""
    import pyarrow as pa  # which takes longer to import than a hundred captions to score

    block = pa.struct([("type", pa.string()), ("text", pa.string())])
    return pa.schema(
        [
            ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.list_(block))]))),
            ("images", pa.list_(pa.string())),
            ("group", pa.string()),
            (
                "meta",
                pa.struct(
                    [
                        ("scenario", pa.string()),
                        ("domain", pa.string()),
                        ("split", pa.string()),
                        ("view", pa.string()),
                        ("view_kind", pa.string()),
                        ("phase", pa.int32()),
                        ("kind", pa.string()),
                        ("target", pa.string()),
                        ("dimension", pa.string()),
                        ("marked", pa.list_(pa.string())),
                        ("note", pa.string()),
                        ("question", pa.string()),
                        ("options", pa.list_(pa.string())),
                    ]
                ),
            ),
        ]
    )


ROW_GROUP = 4096
"""Samples in a row group of a Parquet file."""


def write_samples(path: Path, samples: Iterable[Sample]) -> int:
    """Write samples as Parquet, whole or not at all; equal samples give equal bytes. Returns how many.

    A row group is held in memory at a time, so that a generator can write any number of samples.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    partial = path.with_name(path.name + ".partial")
    count = 0
    left = iter(samples)
    with pq.ParquetWriter(partial, sample_schema(), compression="zstd", store_schema=True) as writer:
        while rows := [_row(sample) for sample in itertools.islice(left, ROW_GROUP)]:
            writer.write_table(pa.Table.from_pylist(rows, schema=sample_schema()), row_group_size=ROW_GROUP)
            count += len(rows)
    os.replace(partial, path)
    return count


def _row(sample: Sample) -> dict[str, Any]:
    lists = {name: list(value) for name, value in asdict(sample.meta).items() if isinstance(value, tuple)}
    return {**asdict(sample), "meta": {**asdict(sample.meta), **lists}}


def read_samples(path: Path) -> list[Sample]:
    """Read what `write_samples` wrote. Raises InputError naming a file that is missing, torn or of another shape."""
    return [_sample(row) for row in read_sample_table(path).to_pylist()]


def read_sample_table(path: Path) -> pa.Table:
    """What `read_samples` reads, with the columns of `sample_schema`, for those who need some rows of many."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise InputError(f"{path}: no such file; run `cityscribe prepare` first")
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file: {error}") from error
    for column in sample_schema():
        if column.name not in table.schema.names or table.schema.field(column.name).type != column.type:
            raise InputError(f"{path}: column {column.name}: expected {column.type}; run `cityscribe prepare` again")
    return table


def _sample(row: dict[str, Any]) -> Sample:
    messages = tuple(
        message(
            entry["role"],
            *(image_block() if block["type"] == "image" else text_block(block["text"]) for block in entry["content"]),
        )
        for entry in row["messages"]
    )
    lists = {name: tuple(row["meta"][name]) for name in ("marked", "options")}
    meta = SampleMeta(**{**row["meta"], **lists})
    return Sample(messages, tuple(row["images"]), row["group"], meta)

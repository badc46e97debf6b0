"""The records that every stage reads and writes.

A `Sample` is one conversation about images: everything that trains or is asked is one. What it is about stands in its
`SampleMeta`, of which a room derives its own. A `Problem` is one thing that is
wrong with somebody's data, with the file and the place in it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from cityscribe.files import InputError
from cityscribe.registry import Registry

if TYPE_CHECKING:
    import pyarrow as pa


Level = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about a data set. An error cannot be used; a warning is used, with something left out; a note says by
    which rule something was read."""

    level: Level
    file: str
    place: str  # where in the file, such as "event_phase[2].start_time"; empty for the file as a whole
    message: str

    def __str__(self) -> str:
        place = f": {self.place}" if self.place else ""
        return f"{self.level}: {self.file}{place}: {self.message}"


Note = Callable[[Level, str, str], None]
"""Takes level, place in the file and message of a problem."""


@dataclass(frozen=True, slots=True)
class SampleMeta:
    """What a sample says of itself, so that a prediction finds its way back to what it is about.

    A room that knows more about its samples derives a class with more fields and enters it in `METAS`. Fields are text,
    whole numbers or tuples of texts, each with a default; they are the columns of `meta` in a Parquet file, in the
    order of `COLUMNS`.
    """

    COLUMNS: ClassVar[tuple[str, ...]] = ("scenario", "split", "kind", "dimension", "note", "question", "options")

    scenario: str = ""  # what the sample is about, such as an event, a clip or a question
    split: str = ""
    kind: str = "long"  # "long" (a whole caption), "short" (one dimension), "multi" (several rounds), "chat" (any
    # conversation that a source brings), "choice" (a question with options, answered with their letter)
    dimension: str = ""  # of a short question
    note: str = ""  # what is unusual about the images
    question: str = ""  # the name of the question in its data set
    options: tuple[str, ...] = ()  # of a choice, in the order of their letters a, b, ...

    def parts(self) -> tuple[str, ...]:
        """What tells samples of one scenario apart, for names in messages; empty where it has none."""
        return (self.kind, self.dimension)

    def about(self) -> dict[str, str]:
        """What scores are broken down by: name -> value, nothing empty."""
        return {"dimension": self.dimension} if self.dimension else {}


METAS: Registry[type[SampleMeta]] = Registry("meta", "what the samples of a file say of themselves")
METAS.add("plain", SampleMeta, "what every sample says")
METAS.add("traffic", "cityscribe.traffic.meta:TrafficMeta", "phase, view and road user as well")


@dataclass(frozen=True, slots=True)
class Preference:
    """How the last answer of a sample compares with others to the same question."""

    pair: str  # the two samples of a pair have the same name here, which no others have
    chosen: bool  # false: the answer is rejected, to be learned from by comparison only


@dataclass(frozen=True, slots=True)
class Sample:
    """One conversation about images.

    `messages` are `{"role": "system" | "user" | "assistant", "content": [{"type": "image"} | {"type": "text", "text":
    ...}]}`. The n-th image block shows `images[n]`, a path relative to the folder of the Parquet file. Samples of one
    `group` share their images, in the same order.

    A source that yields samples names images relative to the folder of its data set, and may name a frame of a video
    (`clip.mp4#t=12.5`: at 12.5 s; `clip.mp4#t=25%`: after a quarter of it; `clip.mp4#image_id=96&NAME=5,8,40,30`:
    that of an annotation, with a box x, y, width, height to draw) or an image inside a table
    (`train.parquet#images/7/0`: the first one of row 7 of a column); `prepare` makes image files of them.
    """

    messages: tuple[dict[str, Any], ...]
    images: tuple[str, ...]
    group: str
    meta: SampleMeta = SampleMeta()
    preference: Preference | None = None

    @property
    def rejected(self) -> bool:
        """Whether its last answer is one that nobody should give."""
        return self.preference is not None and not self.preference.chosen

    @property
    def name(self) -> str:
        """A name to find a sample by in messages: its scenario, or else its group, and what tells it apart there."""
        parts = (self.meta.scenario or self.group, *self.meta.parts())
        return "/".join(part for part in parts if part)


def text_block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def image_block() -> dict[str, Any]:
    return {"type": "image"}


def message(role: str, *blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "content": list(blocks)}


def text_of(entry: dict[str, Any]) -> str:
    """The text of one message, its image blocks left out."""
    return "".join(block["text"] for block in entry["content"] if block["type"] == "text")


def preference_type() -> pa.DataType:
    """The type of the column `preference`, which a file of samples has where one of them is of a pair."""
    import pyarrow as pa

    return pa.struct([("pair", pa.string()), ("chosen", pa.bool_())])


def sample_schema(meta: type[SampleMeta] = SampleMeta) -> pa.Schema:
    """The columns of `train.parquet` and its kin. `messages` and `images` are what TRL and ms-swift train on."""
    import pyarrow as pa  # which takes longer to import than a hundred captions to score

    block = pa.struct([("type", pa.string()), ("text", pa.string())])
    kinds = {str: pa.string(), int: pa.int32(), tuple: pa.list_(pa.string())}
    defaults = {field.name: field.default for field in fields(meta)}
    return pa.schema(
        [
            ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.list_(block))]))),
            ("images", pa.list_(pa.string())),
            ("group", pa.string()),
            ("meta", pa.struct([(name, kinds[type(defaults[name])]) for name in meta.COLUMNS])),
        ]
    )


ROW_GROUP = 4096
"""Samples in a row group of a Parquet file."""


def write_samples(
    path: Path, samples: Iterable[Sample], meta: type[SampleMeta] | None = None, *, preferences: bool = False
) -> int:
    """Write samples as Parquet, whole or not at all; equal samples give equal bytes. Returns how many.

    All samples have meta data of one class: `meta`, or else that of the first one. Those of pairs can be among them
    with `preferences` only. A row group is held in memory at a time, so that a generator can write any number of
    samples.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    partial = path.with_name(path.name + ".partial")
    count = 0
    left = iter(samples)
    first = list(itertools.islice(left, 1))
    left = itertools.chain(first, left)
    schema = sample_schema(meta or (type(first[0].meta) if first else SampleMeta))
    if preferences:
        schema = schema.append(pa.field("preference", preference_type()))
    with pq.ParquetWriter(partial, schema, compression="zstd", store_schema=True) as writer:
        while rows := [_row(sample) for sample in itertools.islice(left, ROW_GROUP)]:
            if not preferences and any(row["preference"] for row in rows):
                raise ValueError("samples of pairs are written with preferences=True")
            writer.write_table(pa.Table.from_pylist(rows, schema=schema), row_group_size=ROW_GROUP)
            count += len(rows)
    os.replace(partial, path)
    return count


def _row(sample: Sample) -> dict[str, Any]:
    row = asdict(sample)
    row["meta"] = {name: list(value) if isinstance(value, tuple) else value for name, value in row["meta"].items()}
    return row


def read_samples(path: Path, *, rejected: bool = False) -> list[Sample]:
    """Read what `write_samples` wrote, samples with a rejected answer only where they are asked for.

    Raises InputError naming a file that is missing, torn or of another shape.
    """
    table = read_sample_table(path)
    meta = _meta_of(table.schema)
    samples = [_sample(row, meta) for row in table.to_pylist()]
    return samples if rejected else [sample for sample in samples if not sample.rejected]


def read_sample_table(path: Path) -> pa.Table:
    """What `read_samples` reads, with the columns of `sample_schema` and `preference` where the file has it, for those
    who need some rows of many."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise InputError(f"{path}: no such file; run `cityscribe prepare` first")
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file: {error}") from error
    for column in sample_schema(_meta_of(table.schema)):
        if column.name not in table.schema.names or table.schema.field(column.name).type != column.type:
            raise InputError(f"{path}: column {column.name}: expected {column.type}; run `cityscribe prepare` again")
    if "preference" in table.schema.names and table.schema.field("preference").type != preference_type():
        raise InputError(f"{path}: column preference: expected {preference_type()}; run `cityscribe prepare` again")
    return table


def _meta_of(schema: pa.Schema) -> type[SampleMeta]:
    """The class of `METAS` whose columns a file has; the plain one where it has those of none."""
    if "meta" in schema.names:
        for name in METAS:
            if sample_schema(METAS[name]).field("meta").type == schema.field("meta").type:
                return METAS[name]
    return SampleMeta


def _sample(row: dict[str, Any], meta: type[SampleMeta]) -> Sample:
    messages = tuple(
        message(
            entry["role"],
            *(image_block() if block["type"] == "image" else text_block(block["text"]) for block in entry["content"]),
        )
        for entry in row["messages"]
    )
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in row["meta"].items()
    }
    preference = Preference(**row["preference"]) if row.get("preference") else None
    return Sample(messages, tuple(row["images"]), row["group"], meta(**values), preference)

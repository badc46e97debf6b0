"""The records that every stage reads and writes.

A `Sample` is one conversation about images: everything that trains or is asked is one. What it is about stands in its
`SampleMeta`, of which a room derives its own. A `Problem` is one thing that is
wrong with somebody's data, with the file and the place in it.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Required, TypedDict, cast

from cityscribe.files import InputError, whole_file
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
class Video:
    """A stretch of a video that a video block shows, and what of it is seen: either a rate or a number of frames."""

    file: str  # relative to the folder of the Parquet file
    start_s: float = 0.0  # from the first frame on
    end_s: float | None = None  # None: to the end of the file
    fps: float | None = None  # frames a second, the first one at the start
    frames: int | None = None  # frames in all, spread evenly
    max_frames: int | None = None  # a rate that gives more is a count of so many
    max_pixels: int | None = None  # of a frame; None: as many as it has
    max_total_pixels: int | None = None  # of all frames together
    grid: int | None = None  # so many of the frames are one picture, side by side, in the place of a video
    times: bool = True  # whether a model that is shown the frames as images is told the time of each

    def __post_init__(self) -> None:
        if (self.fps is None) is (self.frames is None):
            raise InputError(f"{self.file}: a video block gives either fps or frames")
        if self.start_s < 0 or (self.end_s is not None and self.end_s <= self.start_s):
            raise InputError(f"{self.file}: a video block ends behind its start, which is not before 0 s")
        for name in ("fps", "frames", "max_frames", "max_pixels", "max_total_pixels", "grid"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"{self.file}: {name} of a video block: {value} is not above 0")


VIDEO_FIELDS = {"file": "video", "start_s": "start", "end_s": "end"}
"""What fields of `Video` are called in a block; the others have their own names."""


@dataclass(frozen=True, slots=True)
class Preference:
    """How the last answer of a sample compares with others to the same question."""

    pair: str  # the two samples of a pair have the same name here, which no others have
    chosen: bool | None  # false: the answer is rejected, to be learned from by comparison only; None: neither


class MessageBlock(TypedDict, total=False):
    """A part of a message: its type, and of a text its words, of a video what `video_block` says."""

    type: Required[str]  # text, image or video
    text: str
    video: str  # the file
    start: float  # s
    end: float  # s
    fps: float
    frames: int
    max_frames: int
    max_pixels: int
    max_total_pixels: int
    grid: int
    times: bool
    image: object  # the picture itself, as processors take it
    file: object  # what a format names in the block, before it is looked up
    how: dict[str, float]  # how a format wants a video shown, before it is looked up


class SampleMessage(TypedDict):
    """What one speaker says in a conversation."""

    role: str
    content: list[MessageBlock]


@dataclass(frozen=True, slots=True)
class Sample:
    """One conversation about images.

    `messages` are `{"role": "system" | "user" | "assistant", "content": [{"type": "image"} | {"type": "text", "text":
    ...} | {"type": "video", "video": ..., ...}]}`. The n-th image block shows `images[n]`, a path relative to the
    folder of the Parquet file; a video block says itself what it shows (`video_block`). Samples of one `group` are
    trained together; what they show alike is computed once.

    A source that yields samples names images relative to the folder of its data set, and may name a frame of a video
    (`clip.mp4#t=12.5`: at 12.5 s; `clip.mp4#t=25%`: after a quarter of it; `clip.mp4#image_id=96&NAME=5,8,40,30`:
    that of an annotation, with a box x, y, width, height to draw) or an image inside a table
    (`train.parquet#images/7/0`: the first one of row 7 of a column); `prepare` makes image files of them.
    """

    messages: tuple[SampleMessage, ...]
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


def text_block(text: str) -> MessageBlock:
    return {"type": "text", "text": text}


def image_block() -> MessageBlock:
    return {"type": "image"}


def video_block(video: Video) -> MessageBlock:
    """`{"type": "video", "video": FILE, "start": s, "end": s, "fps": ... | "frames": ..., "max_frames": ...,
    "max_pixels": ..., "max_total_pixels": ..., "times": false}`; what is not said is not in it."""
    values = {VIDEO_FIELDS.get(name, name): value for name, value in asdict(video).items()}
    said = {name: value for name, value in values.items() if value is not None and not (name == "times" and value)}
    return cast(MessageBlock, {"type": "video", **said})


def video_of(block: MessageBlock) -> Video:
    """What a video block shows. Raises InputError for one that does not say it."""
    names = {VIDEO_FIELDS.get(field.name, field.name): field.name for field in fields(Video)}
    unknown = sorted(block.keys() - names.keys() - {"type"})
    if unknown or not isinstance(block.get("video"), str):
        raise InputError(f"a video block has a `video`, and no {', '.join(unknown) or 'other fields'}")
    values: dict[str, Any] = {names[name]: value for name, value in block.items() if name != "type"}
    return Video(**values)


def message(role: str, *blocks: MessageBlock) -> SampleMessage:
    return {"role": role, "content": list(blocks)}


def text_of(entry: SampleMessage) -> str:
    """The text of one message, its image blocks left out."""
    return "".join(block["text"] for block in entry["content"] if block["type"] == "text")


MEDIA_BLOCKS = ("image", "video")

Messages = Sequence[SampleMessage]


def media_blocks(messages: Messages) -> list[MessageBlock]:
    """The image and video blocks of a conversation, in their order."""
    return [block for entry in messages for block in entry["content"] if block["type"] in MEDIA_BLOCKS]


def video_files(sample: Sample) -> list[str]:
    """The files of the video blocks of a sample, relative to where its images are."""
    return [block["video"] for block in media_blocks(sample.messages) if block["type"] == "video"]


def placed(messages: Messages, root: Path) -> list[SampleMessage]:
    """A conversation whose videos, named relative to `root`, are named by their whole paths."""
    return _renamed(messages, lambda file: str(root / file))


def placed_from(messages: Messages, root: Path, folder: Path) -> tuple[SampleMessage, ...]:
    """A conversation whose videos, named relative to `root`, are named relative to a folder."""
    return tuple(_renamed(messages, lambda file: os.path.relpath(root / file, folder).replace(os.sep, "/")))


def _renamed(messages: Messages, name: Callable[[str], str]) -> list[SampleMessage]:
    return [
        {
            **entry,
            "content": [
                {**block, "video": name(block["video"])} if block["type"] == "video" else block
                for block in entry["content"]
            ],
        }
        for entry in messages
    ]


def preference_type() -> pa.DataType:
    """The type of the column `preference`, which a file of samples has where one of them is of a pair."""
    import pyarrow as pa

    return pa.struct([("pair", pa.string()), ("chosen", pa.bool_())])


def sample_schema(meta: type[SampleMeta] = SampleMeta, *, videos: bool = False) -> pa.Schema:
    """The columns of `train.parquet` and its kin. `messages` and `images` are what TRL and ms-swift train on.

    With `videos` blocks have the fields of `video_block` as well.
    """
    import pyarrow as pa  # which takes longer to import than a hundred captions to score

    of_video = [("video", pa.string()), ("start", pa.float64()), ("end", pa.float64()), ("fps", pa.float64())]
    of_video += [("frames", pa.int32()), ("max_frames", pa.int32()), ("max_pixels", pa.int64())]
    of_video += [("max_total_pixels", pa.int64()), ("grid", pa.int32()), ("times", pa.bool_())]
    block = pa.struct([("type", pa.string()), ("text", pa.string()), *(of_video if videos else ())])
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
    path: Path,
    samples: Iterable[Sample],
    meta: type[SampleMeta] | None = None,
    *,
    preferences: bool = False,
    videos: bool = False,
) -> int:
    """Write samples as Parquet, whole or not at all; equal samples give equal bytes. Returns how many.

    All samples have meta data of one class: `meta`, or else that of the first one. Those of pairs can be among them
    with `preferences` only, those with video blocks with `videos` only. A row group is held in memory at a time, so
    that a generator can write any number of samples.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    count = 0
    left = iter(samples)
    first = list(itertools.islice(left, 1))
    left = itertools.chain(first, left)
    schema = sample_schema(meta or (type(first[0].meta) if first else SampleMeta), videos=videos)
    if preferences:
        schema = schema.append(pa.field("preference", preference_type()))
    with (
        whole_file(path) as partial,
        pq.ParquetWriter(partial, schema, compression="zstd", store_schema=True) as writer,
    ):
        while rows := [_row(sample) for sample in itertools.islice(left, ROW_GROUP)]:
            if not preferences and any(row["preference"] for row in rows):
                raise ValueError("samples of pairs are written with preferences=True")
            if not videos and any(block["type"] == "video" for row in rows for block in _blocks(row)):
                raise ValueError("samples with video blocks are written with videos=True")
            writer.write_table(pa.Table.from_pylist(rows, schema=schema), row_group_size=ROW_GROUP)
            count += len(rows)
    return count


def _row(sample: Sample) -> dict[str, Any]:
    row = asdict(sample)
    row["meta"] = {name: list(value) if isinstance(value, tuple) else value for name, value in row["meta"].items()}
    return row


def _blocks(row: dict[str, Any]) -> Iterator[MessageBlock]:
    return (block for entry in row["messages"] for block in entry["content"])


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
    for column in sample_schema(_meta_of(table.schema), videos=_has_videos(table.schema)):
        if column.name not in table.schema.names or table.schema.field(column.name).type != column.type:
            raise InputError(f"{path}: column {column.name}: expected {column.type}; run `cityscribe prepare` again")
    if "preference" in table.schema.names and table.schema.field("preference").type != preference_type():
        raise InputError(f"{path}: column preference: expected {preference_type()}; run `cityscribe prepare` again")
    return table


def _has_videos(schema: pa.Schema) -> bool:
    """Whether the blocks of a file have the fields of videos."""
    return "messages" in schema.names and "max_pixels: int64" in str(schema.field("messages").type)


def _meta_of(schema: pa.Schema) -> type[SampleMeta]:
    """The class of `METAS` whose columns a file has; the plain one where it has those of none."""
    if "meta" in schema.names:
        for name in METAS:
            if sample_schema(METAS[name]).field("meta").type == schema.field("meta").type:
                return METAS[name]
    return SampleMeta


def _block(stored: MessageBlock) -> MessageBlock:
    """A block of a row, whose fields of other kinds of blocks are null."""
    if stored["type"] == "image":
        return image_block()
    if stored["type"] == "video":
        return cast(MessageBlock, {name: value for name, value in stored.items() if value is not None})
    return text_block(stored["text"])


def _sample(row: dict[str, Any], meta: type[SampleMeta]) -> Sample:
    messages = tuple(message(entry["role"], *map(_block, entry["content"])) for entry in row["messages"])
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in row["meta"].items()
    }
    preference = Preference(**row["preference"]) if row.get("preference") else None
    return Sample(messages, tuple(row["images"]), row["group"], meta(**values), preference)

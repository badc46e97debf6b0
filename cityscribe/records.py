"""The records that every stage reads and writes.

A `Scenario` is one traffic event: its views (a video each, with boxes and phases) and where it came from. Every source
yields scenarios. A `Sample` is one conversation about images; `prepare` turns scenarios into samples, training and
prediction read them. A `Problem` is one thing that is wrong with somebody's data, with the file and the place in it.

Frames of reference: a box is `x, y, width, height` in pixels of the video frame, origin at the top left, floats. Times
are seconds in the time of their own view: the views of a scenario are not synchronised. `image_id` counts frames as the
annotation does; `cityscribe.video.frame_index` maps it to a frame of the video.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pyarrow as pa

PHASES = ("prerecognition", "recognition", "judgement", "action", "avoidance")
"""The five phases of a WTS event in the order in which they happen; a phase's number is its index here."""

ROLES = ("pedestrian", "vehicle")
"""The road users of a scenario that captions and boxes are about."""

Role = Literal["pedestrian", "vehicle"]
Domain = Literal["internal", "external"]
Split = Literal["train", "val", "test"]
ViewKind = Literal["overhead", "vehicle"]


class InputError(Exception):
    """Something from outside (a file, a setting, a model) cannot be used. The message names it and what is wrong."""


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
class Box:
    """One annotated box: `xywh` in pixels of the frame that `image_id` names."""

    image_id: int
    xywh: tuple[float, float, float, float]
    phase: int | None = None  # index into PHASES; None where the annotation gives none (tracked boxes)
    generated: bool = False  # from a tracker (`bbox_generated`) rather than by hand

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.xywh[2] * self.xywh[3]


@dataclass(frozen=True, slots=True)
class Gaze:
    """Where the pedestrian of an event looks, on the frame that `image_id` names."""

    image_id: int
    head: tuple[float, float]  # x, y in pixels of the frame
    direction: tuple[float, float, float]  # in the axes of the camera as OpenGL has them: right, up, backward


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of an event in one view's own time. A caption is empty where a test set withholds it."""

    number: int  # index into PHASES
    start_s: float
    end_s: float
    captions: dict[str, str] = field(default_factory=dict)  # role -> caption


@dataclass(frozen=True, slots=True)
class View:
    """One camera's video of a scenario."""

    name: str  # stem of the video file
    kind: ViewKind
    video: Path
    phases: tuple[Phase, ...] = ()  # in the order of PHASES, at most one each
    boxes: dict[str, tuple[Box, ...]] = field(default_factory=dict)  # role -> boxes in order of image_id
    reference: bool | None = None  # listed as a reference view of its scenario; None where no list names the scenario
    gaze: tuple[Gaze, ...] = ()  # in order of image_id

    def boxes_of(self, role: str, phase: int) -> tuple[Box, ...]:
        """The boxes of one road user that are labelled with a phase, in order of image_id."""
        return tuple(box for box in self.boxes.get(role, ()) if box.phase == phase)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One traffic event."""

    name: str  # the key of the submission format
    domain: Domain  # internal: WTS itself; external: BDD_PC_5K
    split: Split
    views: tuple[View, ...]
    source: str  # the format that it was read from, such as "wts"

    def captions(self) -> dict[tuple[int, str], str]:
        """Phase and role -> caption. Views repeat the texts; that of the first view that has one counts."""
        found: dict[tuple[int, str], str] = {}
        for view in self.views:
            for phase in view.phases:
                for role in ROLES:
                    if text := phase.captions.get(role, "").strip():
                        found.setdefault((phase.number, role), text)
        return found


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


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def printable(text: str) -> str:
    """The text with what no UTF-8 file can hold written as escapes: JSON may name half of a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, made `printable`, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(printable(text), encoding="utf-8")
    os.replace(partial, path)


def read_json(path: Path) -> Any:
    """Read JSON. Raises InputError with the file, the line and what is wrong."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start}: not UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise InputError(f"{path}: nested too deeply") from error
    except ValueError as error:  # Python refuses to read integers of thousands of digits
        raise InputError(f"{path}: a number is too long") from error

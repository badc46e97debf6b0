"""Tables of messages and images: a folder that Hugging Face `datasets` saved to disk, or Parquet files.

    ROOT/dataset_dict.json, ROOT/SPLIT/state.json, ROOT/SPLIT/data-00000-of-00001.arrow     save_to_disk
    ROOT/train.parquet, ROOT/data/val-00000-of-00001.parquet                                 Parquet, as on a hub
    runs/NAME/prepared/train.parquet                                                         what `prepare` writes

The columns are those of `messages`; FineVision's `texts` (`[{"user", "assistant"}]`) is read too. An image is a path,
or its bytes inside the table, which stay there until `prepare` takes them out. The files are read by pyarrow.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cityscribe.records import Problem, Sample
from cityscribe.sources import ConversationSource
from cityscribe.sources.conversation import FRAMES, ConversationEntry
from cityscribe.sources.intake import UNREADABLE, Intake, open_intake
from cityscribe.sources.listing import Certainty, Listing
from cityscribe.sources.messages import samples_of_row
from cityscribe.values import shown

IMAGE_COLUMNS = ("images", "image")
ROWS_A_BATCH = 256


def read_datasets(root: Path, *, files: Sequence[str] = (), frames: int = FRAMES) -> tuple[list[Sample], list[Problem]]:
    """The samples of all tables, in their order, and everything that is wrong with them.

    `files` names the tables to read, relative to the root; none takes all. Raises InputError where the root is no
    folder.
    """
    intake = open_intake(root)
    samples = []
    for path in _tables(intake, files):
        for number, (row, images) in enumerate(_rows(intake, path)):
            place = f"row {number}"
            texts = row.get("texts")
            if row.get("messages") is None and isinstance(texts, list):
                row["messages"] = _messages_of_texts(texts)
            references = None
            if images is not None:
                references = [f"{_reference(intake, path)}#{images[0]}/{number}/{index}" for index in range(images[1])]
            samples += samples_of_row(ConversationEntry(intake, path, place, row), frames, references)
    return samples, intake.problems


def _reference(intake: Intake, path: Path) -> str:
    return Path(os.path.relpath(path, intake.root)).as_posix()


def _tables(intake: Intake, files: Sequence[str]) -> list[Path]:
    if files:
        return intake.data_files(files, (".parquet", ".arrow"))
    found: list[Path] = []
    for folder in (intake.root, *intake.folders(intake.root)):
        state = folder / "state.json"
        if state.is_file():
            found += _saved_tables(intake, state)
        else:
            found += intake.files(folder, (".parquet",))
    if not found:
        intake.add("error", intake.root, "", "has no table: neither state.json with its Arrow files nor Parquet files")
    return found


def _saved_tables(intake: Intake, state: Path) -> list[Path]:
    value = intake.json(state)
    if value is UNREADABLE:
        return []
    named = value.get("_data_files") if isinstance(value, dict) else None
    if not isinstance(named, list):
        intake.add("error", state, "_data_files", f"is {shown(named)}, expected the names of Arrow files")
        return []
    found = []
    for number, file in enumerate(named):
        name = file.get("filename") if isinstance(file, dict) else None
        try:
            if not isinstance(name, str):
                raise ValueError(f"is {shown(name)}, expected the name of an Arrow file")
            found.append(intake.root / intake.below(state.parent, name))
        except ValueError as error:
            intake.add("error", state, f"_data_files[{number}].filename", str(error))
    return found


def _rows(intake: Intake, path: Path) -> Iterator[tuple[dict[str, Any], tuple[str, int] | None]]:
    """The rows of a table, each with the column and number of the images that are stored in it, if they are."""
    try:
        for batch in _batches(path):
            batch.validate(full=True)  # what is damaged in memory would end the process, not raise
            inside = [name for name in IMAGE_COLUMNS if name in batch.schema.names and _stored(batch.schema, name)]
            kept = [name for name in batch.schema.names if name not in inside]
            counts = _counts(batch, inside[0]) if inside else []
            for number, row in enumerate(batch.select(kept).to_pylist()):
                images = (inside[0], counts[number]) if inside and counts[number] >= 0 else None
                if inside and images is None:
                    # Its rows name files though its type could hold bytes.
                    row[inside[0]] = batch.column(inside[0])[number].as_py()
                yield row, images
    except (pa.ArrowException, OSError, ValueError, OverflowError, RecursionError) as error:
        intake.add("error", path, "", f"not a readable table: {str(error).splitlines()[0] if str(error) else error!r}")


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    if path.suffix.lower() == ".parquet":
        with pq.ParquetFile(path) as table:
            yield from table.iter_batches(ROWS_A_BATCH)
        return
    with pa.memory_map(str(path)) as source:
        yield from pa.ipc.open_stream(source)


def _stored(schema: pa.Schema, name: str) -> bool:
    kind = schema.field(name).type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    return pa.types.is_struct(kind) and any(kind.field(i).name == "bytes" for i in range(kind.num_fields))


def _counts(batch: pa.RecordBatch, name: str) -> list[int]:
    """How many images each row stores; -1 where one of them has no bytes."""
    column = batch.column(name)
    if pa.types.is_struct(column.type):
        return [1 if valid else -1 for valid in column.field("bytes").is_valid().to_pylist()]
    counts = []
    for number in range(len(column)):
        images = column[number].values
        if images is None:
            counts.append(0)
        else:
            counts.append(len(images) if images.field("bytes").null_count == 0 else -1)
    return counts


def _messages_of_texts(texts: list[Any]) -> list[dict[str, object]]:
    spoken = []
    for turn in texts:
        for role in ("user", "assistant"):
            spoken.append({"role": role, "content": turn.get(role) if isinstance(turn, dict) else None})
    return spoken


def recognise(listing: Listing) -> Certainty:
    if listing.having(r"^(?:dataset_dict\.json|state\.json)$"):
        return Certainty.CERTAIN
    return Certainty.LIKELY if listing.having(r"^(?:data/)?[^/]*\.parquet$") else Certainty.NO


SOURCE = ConversationSource(
    read_datasets, recognise=recognise, looks_for="dataset_dict.json, state.json or Parquet files"
)

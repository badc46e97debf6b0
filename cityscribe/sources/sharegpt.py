"""The data folder of LLaMA-Factory: `dataset_info.json` and the files that it describes, as ShareGPT or Alpaca.

    {"city": {"file_name": "city.json", "formatting": "sharegpt",
              "columns": {"messages": "messages", "images": "images"},
              "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}}}

Columns and tags have the defaults of its README. A mark `<image>` shows the next image of the row. A data set is named
for a split by its own name or that of its file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import Field, create_model

from cityscribe.entries import EntryModel, Text, checked
from cityscribe.files import write_json, write_text
from cityscribe.records import Problem, Sample
from cityscribe.sources import ConversationSource
from cityscribe.sources.conversation import (
    FRAMES,
    ConversationEntry,
    Turn,
    blocks_of_marks,
    build_sample,
    check_writable,
    entries_of,
    media,
    text_with_marks,
    unshown,
)
from cityscribe.sources.intake import UNREADABLE, Intake, open_intake
from cityscribe.sources.listing import Certainty, Listing
from cityscribe.sources.own_meta import meta_to_write, own_meta
from cityscribe.sources.pairs import preference_to_write, with_rejected
from cityscribe.sources.splits import split_named
from cityscribe.sources.video_blocks import videos_to_write
from cityscribe.values import name_of, plain_text, shown

INFO = "dataset_info.json"
COLUMNS = {"prompt": "instruction", "query": "input", "response": "output", "messages": "conversations"}
TAGS = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "system_tag": "system",
}
REPLACED = "has halves of surrogate pairs, which are no characters; replaced by ?"

CHAT_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}
"""The tags of what is written here."""


class _DataSet(EntryModel):
    """A description in `dataset_info.json`; one without a file here is of a data set elsewhere."""

    file_name: str | None = Field(None, description="the name of a JSON file")
    formatting: Literal["alpaca", "sharegpt"] = Field("alpaca", description="alpaca or sharegpt")
    columns: Any = None
    tags: Any = None


class _Spoken(EntryModel):
    """A message, whose keys are named by tags."""

    role: str
    content: Text


def read_sharegpt(root: Path, *, files: Sequence[str] = (), frames: int = FRAMES) -> tuple[list[Sample], list[Problem]]:
    """The samples of the data sets that `dataset_info.json` describes, in its order, and everything that is wrong.

    `files` names the data sets to read (not their files); none takes all. A video is shown by `frames` frames. Raises
    InputError where the root is no folder.
    """
    intake = open_intake(root)
    path = root / INFO
    described = intake.json(path)
    if described is UNREADABLE:
        return [], intake.problems
    if not isinstance(described, dict):
        intake.add("error", path, "", f"holds {shown(described)}, expected descriptions of data sets by name")
        return [], intake.problems
    for name in files:
        if name not in described:
            intake.add("error", path, "", f"describes no data set {shown(name)}; it has {shown(list(described))}")
    samples: list[Sample] = []
    for name, description in described.items():
        if not files or name in files:
            samples += _data_set(intake, path, name, description, frames)
    return samples, intake.problems


def _data_set(intake: Intake, path: Path, name: str, description: Any, frames: int) -> list[Sample]:
    note = intake.note(path)
    described = checked(_DataSet, description, note, name, level="error")
    if described is None:
        return []
    if described.file_name is None:
        note("warning", name, "names no file here (file_name); left out")
        return []
    columns = _words(intake, path, f"{name}.columns", described.columns, COLUMNS)
    tags = _words(intake, path, f"{name}.tags", described.tags, TAGS)
    spoken = _spoken(tags)
    try:
        file = intake.root / intake.below(path.parent, described.file_name)
    except ValueError as error:
        note("error", f"{name}.file_name", str(error))
        return []
    if file.suffix.lower() not in (".json", ".jsonl"):
        note("error", f"{name}.file_name", f"is {shown(file.name)}, expected a JSON file; read tables as `datasets`")
        return []
    split = split_named(name) or split_named(intake.relative(file)) or ""
    samples = []
    for entry in entries_of(intake, file, intake.entries(file), "an object"):
        turns = _alpaca(entry, columns) if described.formatting == "alpaca" else _sharegpt(entry, columns, tags, spoken)
        images = media(entry, columns["images"]) if "images" in columns else []
        videos = media(entry, columns["videos"]) if "videos" in columns else []
        audio_column = columns.get("audios", "audios")
        if entry.row.get(audio_column):
            entry.error(audio_column, "names a medium that is not shown; only images and videos are")
            continue
        shown_columns = [columns[key] for key in ("images", "videos") if key in columns]
        if turns is None or images is None or videos is None or unshown(entry, shown_columns):
            continue
        meta, group = own_meta(entry.row)
        named = name_of(entry.row.get("id")) or f"{name}{entry.place}"
        sample = build_sample(
            entry, turns, images, videos, frames=frames, name=named, split=split, meta=meta, group=group
        )
        if sample is not None:
            samples += with_rejected(
                entry, sample, columns.get("rejected", "rejected"), (tags["role_tag"], tags["content_tag"])
            )
    return samples


def _words(intake: Intake, path: Path, place: str, value: Any, defaults: dict[str, str]) -> dict[str, str]:
    given = value if isinstance(value, dict) else {}
    wrong = [key for key, word in given.items() if word is not None and not isinstance(word, str)]
    if wrong or (value is not None and not isinstance(value, dict)):
        intake.add("error", path, place, f"is {shown(value)}, expected names by what they are for; defaults are used")
    return defaults | {key: word for key, word in given.items() if isinstance(word, str) and key not in wrong}


def _spoken(tags: dict[str, str]) -> type[_Spoken]:
    """A message with these keys."""
    roles = tuple(tags[key] for key in ("user_tag", "assistant_tag", "system_tag"))
    role = Field(alias=tags["role_tag"], description=f"one of {', '.join(roles)}")
    content = Field(alias=tags["content_tag"], description="text")
    return create_model(
        "_TaggedMessage", __base__=_Spoken, role=(cast(Any, Literal[roles]), role), content=(Text, content)
    )


def _sharegpt(
    entry: ConversationEntry, columns: dict[str, str], tags: dict[str, str], message: type[_Spoken]
) -> list[Turn] | None:
    column = columns["messages"]
    value = entry.row.get(column)
    if not isinstance(value, list) or not value:
        entry.error(column, f"is {shown(value)}, expected a list of messages")
        return None
    roles = {tags["user_tag"]: "user", tags["assistant_tag"]: "assistant", tags["system_tag"]: "system"}
    turns: list[Turn] = []
    if "system" in columns and entry.row.get(columns["system"]):
        system = _text(entry, columns["system"], entry.row[columns["system"]])
        if system is None:
            return None
        turns.append(("system", blocks_of_marks(system, newline=False)))
    chosen = entry.row.get(columns.get("chosen", ""))
    for number, spoken in enumerate([*value, *([chosen] if chosen is not None else [])]):
        place = f"{column}[{number}]" if number < len(value) else columns["chosen"]
        said = checked(message, spoken, entry.note, place, level="error")
        if said is None:
            return None
        if said.content != spoken[tags["content_tag"]]:
            entry.note("warning", f"{place}.{tags['content_tag']}", REPLACED)
        if roles[said.role] == "system" and number == 0:
            turns.clear()  # it takes the place of the column
        turns.append((roles[said.role], blocks_of_marks(said.content, newline=False)))
    return turns


def _alpaca(entry: ConversationEntry, columns: dict[str, str]) -> list[Turn] | None:
    said: list[tuple[str, str, Any]] = []  # role, place, text
    row = entry.row
    if "system" in columns and row.get(columns["system"]):
        said.append(("system", columns["system"], row[columns["system"]]))
    history = row.get(columns["history"]) if "history" in columns else None
    if history is not None:
        place = columns["history"]
        if not isinstance(history, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in history):
            entry.error(place, f"is {shown(history)}, expected pairs of a question and its answer")
            return None
        for number, pair in enumerate(history):
            said += [("user", f"{place}[{number}][0]", pair[0]), ("assistant", f"{place}[{number}][1]", pair[1])]
    question = [_text(entry, columns[key], row.get(columns[key]) or "") for key in ("prompt", "query")]
    if None in question:
        return None
    said.append(("user", columns["prompt"], "\n".join(part for part in question if part)))
    answer = columns["chosen"] if "chosen" in columns else columns["response"]
    said.append(("assistant", answer, row.get(answer)))
    turns: list[Turn] = []
    for role, place, value in said:
        text = _text(entry, place, value)
        if text is None:
            return None
        turns.append((role, blocks_of_marks(text, newline=False)))
    return turns


def _text(entry: ConversationEntry, place: str, value: Any) -> str | None:
    text = plain_text(value)
    if text is None:
        entry.error(place, f"is {shown(value)}, expected text")
    elif text != value:
        entry.note("warning", place, REPLACED)
    return text


def write_sharegpt(samples: Sequence[Sample], path: Path) -> None:
    """Write samples as a JSON file and describe it in `dataset_info.json` beside it, each whole or not at all.

    `read_sharegpt` gives the same samples again. Raises InputError that names the samples that LLaMA-Factory would not
    take: whose text holds a mark of its own, or in which user and assistant do not speak in turn, the user first.
    """
    rows = check_writable(samples, _row)
    write_text(path, json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
    info = path.with_name(INFO)
    described = json.loads(info.read_text(encoding="utf-8")) if info.is_file() else {}
    columns = {"messages": "messages", "images": "images"}
    columns |= {"videos": "videos"} if any("videos" in row for row in rows) else {}
    described[path.stem] = {
        "file_name": path.name,
        "formatting": "sharegpt",
        "columns": columns,
        "tags": CHAT_TAGS,
    }
    write_json(info, described)


def _row(sample: Sample) -> dict[str, object]:
    roles = [entry["role"] for entry in sample.messages]
    spoken = roles[1:] if roles[:1] == ["system"] else roles
    if not spoken or len(spoken) % 2 or spoken != ["user", "assistant"] * (len(spoken) // 2):
        raise ValueError("LLaMA-Factory takes only conversations in which user and assistant speak in turn")
    videos = videos_to_write(sample)
    messages = [{"role": e["role"], "content": text_with_marks(e, newline=False)} for e in sample.messages]
    return {
        "id": sample.meta.scenario,
        "messages": messages,
        "images": list(sample.images),
        **({"videos": videos} if videos else {}),
        **meta_to_write(sample),
        **preference_to_write(sample),
    }


def recognise(listing: Listing) -> Certainty:
    return Certainty.CERTAIN if INFO in listing.files and "state.json" not in listing.files else Certainty.NO


SOURCE = ConversationSource(read_sharegpt, recognise=recognise, looks_for="dataset_info.json")

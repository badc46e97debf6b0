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
from typing import Any

from cityscribe.files import write_json, write_text
from cityscribe.records import Problem, Sample
from cityscribe.sources import ConversationSource
from cityscribe.sources.conversation import (
    FRAMES,
    Entry,
    Turn,
    blocks_of_marks,
    build_sample,
    check_writable,
    entries_of,
    media,
    meta_to_write,
    own_meta,
    text_with_marks,
    unshown,
)
from cityscribe.sources.intake import UNREADABLE, Intake, open_intake
from cityscribe.sources.listing import Certainty, Listing
from cityscribe.sources.pairs import preference_to_write, with_rejected
from cityscribe.sources.splits import split_named
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
CHAT_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}
"""The tags of what is written here."""


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
    if not isinstance(description, dict):
        note("error", name, f"is {shown(description)}, expected the description of a data set")
        return []
    if not isinstance(description.get("file_name"), str):
        note("warning", name, "names no file here (file_name); left out")
        return []
    formatting = description.get("formatting", "alpaca")
    if formatting not in ("alpaca", "sharegpt"):
        note("error", f"{name}.formatting", f"is {shown(formatting)}, expected alpaca or sharegpt")
        return []
    columns = _words(intake, path, f"{name}.columns", description.get("columns"), COLUMNS)
    tags = _words(intake, path, f"{name}.tags", description.get("tags"), TAGS)
    try:
        file = intake.root / intake.below(path.parent, description["file_name"])
    except ValueError as error:
        note("error", f"{name}.file_name", str(error))
        return []
    if file.suffix.lower() not in (".json", ".jsonl"):
        note("error", f"{name}.file_name", f"is {shown(file.name)}, expected a JSON file; read tables as `datasets`")
        return []
    split = split_named(name) or split_named(intake.relative(file)) or ""
    samples = []
    for entry in entries_of(intake, file, intake.entries(file), "an object"):
        turns = _alpaca(entry, columns) if formatting == "alpaca" else _sharegpt(entry, columns, tags)
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


def _sharegpt(entry: Entry, columns: dict[str, str], tags: dict[str, str]) -> list[Turn] | None:
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
        if not isinstance(spoken, dict):
            entry.error(place, f"is {shown(spoken)}, expected a message")
            return None
        said_by = spoken.get(tags["role_tag"])
        role = roles.get(said_by) if isinstance(said_by, str) else None
        if role is None:
            expected = ", ".join(roles)
            entry.error(f"{place}.{tags['role_tag']}", f"is {shown(said_by)}, expected one of {expected}")
            return None
        text = _text(entry, f"{place}.{tags['content_tag']}", spoken.get(tags["content_tag"]))
        if text is None:
            return None
        if role == "system" and number == 0:
            turns.clear()  # it takes the place of the column
        turns.append((role, blocks_of_marks(text, newline=False)))
    return turns


def _alpaca(entry: Entry, columns: dict[str, str]) -> list[Turn] | None:
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


def _text(entry: Entry, place: str, value: Any) -> str | None:
    text = plain_text(value)
    if text is None:
        entry.error(place, f"is {shown(value)}, expected text")
    elif text != value:
        entry.note("warning", place, "has halves of surrogate pairs, which are no characters; replaced by ?")
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
    described[path.stem] = {
        "file_name": path.name,
        "formatting": "sharegpt",
        "columns": columns,
        "tags": CHAT_TAGS,
    }
    write_json(info, described)


def _row(sample: Sample) -> dict[str, Any]:
    roles = [entry["role"] for entry in sample.messages]
    spoken = roles[1:] if roles[:1] == ["system"] else roles
    if not spoken or len(spoken) % 2 or spoken != ["user", "assistant"] * (len(spoken) // 2):
        raise ValueError("LLaMA-Factory takes only conversations in which user and assistant speak in turn")
    messages = [{"role": e["role"], "content": text_with_marks(e, newline=False)} for e in sample.messages]
    return {
        "id": sample.meta.scenario,
        "messages": messages,
        "images": list(sample.images),
        **meta_to_write(sample),
        **preference_to_write(sample),
    }


def recognise(listing: Listing) -> Certainty:
    return Certainty.CERTAIN if INFO in listing.files and "state.json" not in listing.files else Certainty.NO


SOURCE = ConversationSource(read_sharegpt, recognise=recognise, looks_for="dataset_info.json")

"""Conversations about images, as every format of them is read and written.

Inside, a message is a list of blocks, `{"type": "image"}` or `{"type": "text", "text": ...}`. Formats that know only
text write the mark `<image>` where an image is shown, and this module translates: `blocks_of_marks`,
`text_with_marks`. In a sample messages have one form: neighbouring texts are one block, and an empty text stands only
in an empty message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cityscribe.files import InputError, printable
from cityscribe.records import MessageBlock, Note, Sample, SampleMessage, image_block, message, text_block
from cityscribe.sources.intake import Intake
from cityscribe.sources.video_blocks import reference_of, referenced, shown_as, shown_frames
from cityscribe.traffic.meta import TrafficMeta
from cityscribe.values import plain_text, shown

IMAGE, VIDEO = "<image>", "<video>"
MARKS = re.compile("(<image>|<video>)")

FRAMES = 4
"""How many frames a video is shown by."""

ROLES = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
}
"""What formats call a speaker, and what that is here."""

UNSHOWN = ("audio", "audios", "speech", "sound", "sounds", "point_cloud", "point_clouds")
"""Columns of media that no model here is shown."""

UNSHOWN_MARKS = re.compile(r"<(?:audio|speech|sound|point_cloud)>|<\|(?:audio|AUDIO)\|>|<\|audio_bos\|>")
"""Where a text would show such a medium."""

PLACEHOLDERS = re.compile(
    r"<image>|<video>|<\|(?:image|video)_pad\|>|<\|vision_(?:start|end|pad)\|>|<\|image\|>|<\|video\|>|<image_soft_token>"
    r"|<IMG_CONTEXT>|\[IMG\]|<image_placeholder>|<start_of_image>"
)
"""What families of models write where an image stands: in a text it is taken for one."""

SURROGATES = "has halves of surrogate pairs, which are no characters"

Turn = tuple[str, list[MessageBlock]]
"""A role and the blocks of one message; a video is a block `{"type": "video"}` until it is shown by its frames."""


@dataclass(frozen=True, slots=True)
class ConversationEntry:
    """One entry of a file: where it stands, and what it says."""

    intake: Intake
    path: Path
    place: str
    row: dict[str, Any]

    def note(self, level: str, place: str, why: str) -> None:
        note: Note = self.intake.note(self.path)
        note("error" if level == "error" else "warning", ".".join(part for part in (self.place, place) if part), why)

    def error(self, place: str, why: str) -> None:
        """Note why the entry is left out."""
        self.note("error", place, why)


def entries_of(
    intake: Intake, path: Path, values: Iterable[tuple[str, Any]], expected: str
) -> Iterator[ConversationEntry]:
    """The objects among the values of a file, each with its place; anything else is noted. `expected` says what an
    object is, such as "a question"."""
    for place, value in values:
        if isinstance(value, dict):
            yield ConversationEntry(intake, path, place, value)
        else:
            intake.add("error", path, place, f"is {shown(value)}, expected {expected}")


def blocks_of_marks(text: str, *, newline: bool) -> list[MessageBlock]:
    """The blocks of a text with marks. With `newline`, one line break after a mark belongs to it (LLaVA JSON)."""
    blocks: list[MessageBlock] = []
    for part in MARKS.split(text):
        if part in (IMAGE, VIDEO):
            blocks.append({"type": part[1:-1]})
            continue
        if newline and blocks:
            part = part.removeprefix("\r\n") if part.startswith("\r") else part.removeprefix("\n")
        if part:
            blocks.append(text_block(part))
    return blocks or [text_block("")]


def text_with_marks(entry: SampleMessage, *, newline: bool) -> str:
    """A message as text with marks. Raises ValueError where its own text holds a mark: it would become an image."""
    parts = []
    for block in entry["content"]:
        if block["type"] != "text":
            parts.append(f"<{block['type']}>" + "\n" * newline)
        elif MARKS.search(block["text"]):
            raise ValueError(f"a text holds the mark {MARKS.findall(block['text'])[0]}, which would become an image")
        else:
            parts.append(block["text"])
    return "".join(parts)


def normal(blocks: Iterable[MessageBlock]) -> list[MessageBlock]:
    """Blocks in the one form: neighbouring texts are one, and an empty text stands only in an empty message."""
    result: list[MessageBlock] = []
    for block in blocks:
        if block["type"] != "text":
            result.append(block)
        elif result and result[-1]["type"] == "text":
            result[-1] = text_block(result[-1]["text"] + block["text"])
        elif block["text"]:
            result.append(text_block(block["text"]))
    return result or [text_block("")]


def media(entry: ConversationEntry, key: str) -> list[str] | None:
    """The files that an entry names under a key (one or a list of them), relative to the data folder.

    None, with the error noted, where one cannot be used.
    """
    value = entry.row.get(key)
    listed = value if isinstance(value, list) else [] if value is None or value == "" else [value]
    found: list[str] = []
    for number, name in enumerate(listed):
        place = f"{key}[{number}]" if isinstance(value, list) else key
        path = named_file(entry, place, name)
        how = _how(entry, place, name) if isinstance(name, dict) else {}
        if path is None or how is None:
            return None
        found.append(reference_of(path, how) if key.startswith("video") else path)
    return found


def named_file(entry: ConversationEntry, place: str, name: Any) -> str | None:
    """The file that an entry names, relative to the data folder; None, the error noted, where it cannot be used."""
    if isinstance(name, dict):
        name = name.get("path") or name.get("url") or name.get("file_name")
    if not isinstance(name, str):
        entry.error(place, f"is {shown(name)}, expected the path of a file")
        return None
    try:
        return entry.intake.below(entry.path.parent, name)
    except ValueError as error:
        entry.error(place, str(error))
        return None


def turns_of(
    entry: ConversationEntry, key: str, *, role_keys: Sequence[str], text_keys: Sequence[str], newline: bool
) -> list[Turn] | None:
    """The turns of a list of messages whose content is text with marks, or blocks; None, noted, where they are none."""
    value = entry.row.get(key)
    if not isinstance(value, list) or not value:
        entry.error(key, f"is {shown(value)}, expected a list of messages")
        return None
    turns: list[Turn] = []
    for number, spoken in enumerate(value):
        place = f"{key}[{number}]"
        if not isinstance(spoken, dict):
            entry.error(place, f"is {shown(spoken)}, expected a message")
            return None
        said_by = next((spoken[name] for name in role_keys if name in spoken), None)
        role = ROLES.get(said_by.casefold()) if isinstance(said_by, str) else None
        if role is None:
            entry.error(f"{place}.{role_keys[0]}", f"is {shown(said_by)}, expected one of {', '.join(ROLES)}")
            return None
        content_key = next((name for name in text_keys if name in spoken), text_keys[0])
        blocks = content_blocks(entry, f"{place}.{content_key}", spoken.get(content_key), newline)
        if blocks is None:
            return None
        turns.append((role, blocks))
    return turns


def content_blocks(entry: ConversationEntry, place: str, content: Any, newline: bool) -> list[MessageBlock] | None:
    """The blocks of what a message says; None, with the error noted, where it is neither text nor blocks."""
    text = plain_text(content)
    if text is not None:
        if text != content:
            entry.note("warning", place, f"{SURROGATES}; replaced by ?")
        return blocks_of_marks(text, newline=newline)
    if not isinstance(content, list):
        entry.error(place, f"is {shown(content)}, expected text or a list of blocks")
        return None
    blocks: list[MessageBlock] = []
    for number, block in enumerate(content):
        kind = block.get("type") if isinstance(block, dict) else None
        inner = plain_text(block.get("text")) if kind == "text" else None
        if inner is not None:
            if inner != block["text"]:
                entry.note("warning", f"{place}[{number}]", f"{SURROGATES}; replaced by ?")
            blocks.append(text_block(inner))
        elif kind in ("image", "image_url", "video", "video_url"):
            # Some formats name the file in the block and not in a column.
            named = block.get(kind) or block.get("path") or block.get("url")
            shown_block: MessageBlock = {"type": kind.removesuffix("_url")}
            if named:
                shown_block["file"] = named
            how = _how(entry, f"{place}[{number}]", block)
            if how is None:
                return None
            if how and shown_block["type"] == "video":
                shown_block["how"] = how
            blocks.append(shown_block)
        else:
            entry.error(f"{place}[{number}]", f"is {shown(block)}, expected a block of text or an image")
            return None
    return blocks


def build_sample(
    entry: ConversationEntry,
    turns: Sequence[Turn],
    images: Sequence[str],
    videos: Sequence[str],
    *,
    frames: int,
    name: str,
    split: str,
    meta: TrafficMeta | None = None,
    group: str = "",
) -> Sample | None:
    """A sample from turns and the files that their blocks show, in order; None, noted, where the numbers differ.

    Where files are given and no block shows one, they stand before the first words of the user, as trainers do it. A
    video is shown by `frames` frames of it.
    """
    if not _all_shown(entry, turns):
        return None
    named_inside = any(block["type"] == "video" and "file" in block for _, blocks in turns for block in blocks)
    if (videos or named_inside) and not frames:
        entry.error("", "shows a video; set data.frames to show some of its frames")
        return None
    shows = any(block["type"] != "text" for _, blocks in turns for block in blocks)
    files = {"image": list(images), "video": list(videos)}
    turns = [(role, list(blocks)) for role, blocks in turns]
    if not shows and (images or videos):
        first = next((blocks for role, blocks in turns if role == "user"), turns[0][1])
        first[:0] = [{"type": kind} for kind, named in files.items() for _ in named]
    elif videos and not images and not any(block["type"] == "video" for _, blocks in turns for block in blocks):
        # LLaVA JSON marks a video as it marks an image.
        turns = [(role, [{"type": "video"} if b["type"] == "image" else b for b in blocks]) for role, blocks in turns]
    for kind, named in files.items():
        marks = sum(block["type"] == kind and "file" not in block for _, blocks in turns for block in blocks)
        if marks != len(named):
            entry.error("", f"marks {marks} {kind}s in its text and names {len(named)}")
            return None
    references: list[str] = []
    messages = []
    for role, blocks in turns:
        written: list[MessageBlock] = []
        for block in blocks:
            if block["type"] == "text":
                written.append(block)
                continue
            file = named_file(entry, block["type"], block["file"]) if "file" in block else files[block["type"]].pop(0)
            shown_by = None if file is None else _shown_by(entry, block, file, frames)
            if shown_by is None:
                return None
            references += shown_by
            written += [image_block() for _ in shown_by]
        messages.append(message(role, *normal(written)))
    given = meta or TrafficMeta(kind="chat")
    given = replace(given, scenario=given.scenario or printable(name), split=given.split or split)
    return Sample(tuple(messages), tuple(references), group or "|".join(references) or given.scenario, given)


def _how(entry: ConversationEntry, place: str, said: Mapping[str, Any]) -> dict[str, float] | None:
    return shown_as(said, lambda key, why: entry.error(f"{place}.{key}", why))


def _shown_by(entry: ConversationEntry, block: MessageBlock, file: str, frames: int) -> list[str] | None:
    """References to what shows an image or a video; None, noted, for a video whose frames cannot be told."""
    if block["type"] == "image":
        return [file]
    named, how = referenced(file)
    try:
        return shown_frames(entry.intake.root, reference_of(named, {**how, **block.get("how", {})}), frames)
    except InputError as error:
        entry.error("video", str(error))
        return None


def _all_shown(entry: ConversationEntry, turns: Sequence[Turn]) -> bool:
    """Whether an entry holds no medium that is not shown; one that does is left out rather than learned as text."""
    for key in UNSHOWN:
        if entry.row.get(key):
            entry.error(key, "names a medium that is not shown; only images and videos are")
            return False
    for number, (role, blocks) in enumerate(turns):
        for block in blocks:
            text = block["text"] if block["type"] == "text" else ""
            found = UNSHOWN_MARKS.search(text)
            if found:
                entry.error("", f"turn {number + 1} ({role}) marks {found[0]}, a medium that is not shown")
                return False
            found = PLACEHOLDERS.search(text)
            if found:
                why = f"its text holds {found[0]}, which models take for an image: training refuses it where yours does"
                entry.note("warning", f"turn {number + 1} ({role})", why)
    return True


def unshown(entry: ConversationEntry, shown_keys: Iterable[str]) -> bool:
    """Whether an entry names images or videos under a key that is not read, which is noted: they would be missing."""
    read = set(shown_keys)
    for key in ("image", "images", "video", "videos"):
        if key not in read and entry.row.get(key):
            entry.error(key, f"names media, but {' and '.join(sorted(read)) or 'no column of them'} is read")
            return True
    return False


def check_writable(samples: Sequence[Sample], write: Any) -> list[Any]:
    """What `write` makes of each sample. Raises InputError that names all that it refuses with a ValueError."""
    written, refused = [], []
    for sample in samples:
        if any("#" in image and re.search(r"#(t=|image_id=|.+/\d+/\d+$)", image) for image in sample.images):
            refused.append(f"{sample.meta.scenario}: shows a frame of a video or an image of a table; prepare it first")
            continue
        try:
            written.append(write(sample))
        except ValueError as error:
            refused.append(f"{sample.meta.scenario}: {error}")
    if refused:
        more = f"\nand {len(refused) - 10} more" if len(refused) > 10 else ""
        raise InputError(f"{len(refused)} samples cannot be written:\n" + "\n".join(refused[:10]) + more)
    return written


def question_sample(
    entry: ConversationEntry,
    question: Any,
    answer: Any,
    images: Sequence[str],
    *,
    name: str,
    scenario: str,
    split: str,
    dimension: str = "",
) -> Sample | None:
    """A sample of one open question about images; None, noted, where question or answer is no text.

    Without an answer (None, as in a test set) the question stands alone.
    """
    for key, value in (("question", question), ("answer", answer)):
        if plain_text(value) is None and not (key == "answer" and value is None):
            entry.error(key, f"is {shown(value)}, expected text")
            return None
    turns: list[Turn] = [("user", [*(image_block() for _ in images), text_block(plain_text(question) or "")])]
    if answer is not None:
        turns.append(("assistant", [text_block(plain_text(answer) or "")]))
    meta = TrafficMeta(scenario=scenario, kind="chat", question=name, dimension=dimension, split=split)
    return build_sample(entry, turns, images, [], frames=1, name=scenario, split=split, meta=meta)

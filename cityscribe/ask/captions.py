"""LLoVi (Zhang et al. 2024): short clips are described one by one, and a language model answers from the descriptions.

    log = describe_clips(engine, Path("day.mp4"), CaptionedClips(seconds=4, frames=2), Path("day.captions.jsonl"))
    found = answer_from(log, "Does anybody fall?", client)     # text, and the interval that it rests on

No part of a model is trained or changed: any model of images describes, any language model answers. The log is written
line by line, so that a stopped one goes on, and other questions about the same footage describe nothing again.
A log that is long is first shortened part by part to what matters for the question, as the paper's prompts do.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cityscribe.engine.request import Engine, Request
from cityscribe.files import InputError
from cityscribe.llm.client import Client
from cityscribe.llm.message import Chat, ReplySampling
from cityscribe.media.stream import BehindEndError, announced_length_s, stream_frames
from cityscribe.progress import Progress, silent
from cityscribe.records import image_block, message, text_block

DESCRIBE = "These pictures follow each other within a few seconds. Describe in one or two sentences what happens."

SHORTEN = (
    "Below are descriptions of successive stretches of a video, each with its seconds. Keep what helps to answer the "
    "question, with its seconds, and leave out the rest. Question: {question}\n\n{log}"
)

ANSWER = (
    "Below are descriptions of successive stretches of a video, each with its seconds.\n\n{log}\n\n"
    "Question: {question}\n"
    'Reply with one JSON object and nothing else: {{"answer": "...", "start": SECOND, "end": SECOND}}, where start and '
    "end bound the stretch that shows it."
)

PART = 6000
"""Characters of descriptions that are read at once."""

CLIPS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class CaptionedClips:
    """How a video is cut and described."""

    seconds: float = 4.0  # of a clip; the paper takes 0.5 to 8
    frames: int = 2  # of a clip
    question: str = DESCRIBE
    max_tokens: int = 96  # of a description
    max_pixels: int | None = 200_000  # of a frame


@dataclass(frozen=True, slots=True)
class ClipCaption:
    """What is seen in a stretch of a video."""

    start_s: float
    end_s: float
    text: str
    problem: str = ""  # why there is no text


@dataclass(frozen=True, slots=True)
class CaptionAnswer:
    """An answer and the stretch of the video that it rests on."""

    text: str
    start_s: float
    end_s: float
    shortened: int  # parts of the log that were shortened first


def describe_clips(
    engine: Engine, video: Path, clips: CaptionedClips, log: Path, progress: Progress = silent
) -> list[ClipCaption]:
    """Describe a video clip by clip into the file `log`, a JSON object a line; what stands there already is kept.

    A clip whose frames cannot be decoded, or that is not answered, has a line with its problem. `progress` takes the
    seconds that are done, and all. Raises InputError for a video that cannot be read, and for a log of another video or
    of other settings.
    """
    key = _key(video, clips)
    known = _read_log(log, key)
    length_s = announced_length_s(video)
    if not known and not log.exists():
        log.write_text(json.dumps({"made_from": key}) + "\n", encoding="utf-8")
    start_s = len(known) * clips.seconds
    found = list(known)
    if known and length_s is not None and start_s >= length_s - 1e-3:
        return found
    try:
        for batch in _batches(video, clips, start_s):
            for said in _described(engine, batch, clips.seconds):
                found.append(said)
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(said), ensure_ascii=False) + "\n")
            progress(round(found[-1].end_s), round(max(length_s or 0.0, found[-1].end_s)))
    except BehindEndError:
        if not known:
            raise
        # An earlier call has read the file to its end, which comes before the length that it announces.
    return found


def answer_from(log: Sequence[ClipCaption], question: str, client: Client) -> CaptionAnswer:
    """The answer of a language model that reads a log. Raises InputError where the log says nothing, and where no reply
    can be read as an answer."""
    said = [f"{each.start_s:.1f}-{each.end_s:.1f} s: {each.text}" for each in log if each.text]
    if not said:
        raise InputError("no clip of the video was described; nothing can be answered")
    parts = _parts(said)
    shortened = 0
    if len(parts) > 1:
        chats = [_chat(SHORTEN.format(question=question, log=part)) for part in parts]
        replies = client.ask(chats, ReplySampling(max_tokens=400), lambda _, text: text.strip() or None, repeats=1)
        parts = ["\n".join(value for value in replies.values if value)]
        shortened = len(chats)
    chat = _chat(ANSWER.format(question=question, log=parts[0]))
    last_s = max(each.end_s for each in log)
    found = client.ask([chat], ReplySampling(max_tokens=300), lambda _, text: read_answer(text, last_s), repeats=2)
    (value,) = found.values
    if value is None:
        said_instead = repr(found.texts[0])[:200]
        raise InputError(f"{client.model.place}: no reply that is an answer with its interval: {said_instead}")
    text, start_s, end_s = value
    return CaptionAnswer(text, start_s, end_s, shortened)


def read_answer(text: str, last_s: float) -> tuple[str, float, float] | None:
    """Answer, start and end in seconds of a reply, within the video; None where it has none."""
    found = re.search(r"\{.*\}", text, re.DOTALL)
    try:
        value = json.loads(found[0] if found else "")
        start_s, end_s = float(value["start"]), float(value["end"])
        answer = value["answer"]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(answer, str) or not answer.strip() or not 0 <= start_s <= end_s or start_s > last_s:
        return None
    return answer.strip(), start_s, min(end_s, last_s)


def _described(
    engine: Engine, batch: Sequence[tuple[float, Request | None, str]], seconds: float
) -> Iterator[ClipCaption]:
    """What is said of some clips, which are asked about together."""
    answers = iter(engine.answer([request for _, request, _ in batch if request is not None]))
    for start_s, request, problem in batch:
        text = ""
        if request is not None:
            (answer,) = next(answers)
            text, problem = answer.text.strip(), problem or answer.reason
        yield ClipCaption(start_s, start_s + seconds, text, problem)


def _batches(video: Path, clips: CaptionedClips, start_s: float) -> Iterator[list[tuple[float, Request | None, str]]]:
    """The clips of a video, some at a time: start in seconds, what is asked of each, and what is missing of it."""
    batch: list[tuple[float, Request | None, str]] = []
    fps = clips.frames / clips.seconds
    blocks = stream_frames(video, fps=fps, start_s=start_s, block=clips.frames, max_pixels=clips.max_pixels)
    for number, block in enumerate(blocks):
        request = None
        if block.frames:
            asked = message("user", *(image_block() for _ in block.frames), text_block(clips.question))
            request = Request((asked,), block.frames, max_tokens=clips.max_tokens)
        elif not block.problem:
            continue
        batch.append((start_s + number * clips.seconds, request, block.problem))
        if len(batch) == CLIPS_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _parts(lines: Sequence[str]) -> list[str]:
    """Lines put together to texts of at most PART characters, a longer line alone."""
    parts = [""]
    for line in lines:
        if parts[-1] and len(parts[-1]) + len(line) >= PART:
            parts.append("")
        parts[-1] += f"{line}\n"
    return parts


def _chat(text: str) -> Chat:
    return [{"role": "user", "content": text}]


def _key(video: Path, clips: CaptionedClips) -> str:
    try:
        stat = video.stat()
    except OSError as error:
        raise InputError(f"{video}: {error.strerror or error}") from error
    told = [stat.st_size, stat.st_mtime_ns, asdict(clips)]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _read_log(log: Path, key: str) -> list[ClipCaption]:
    """What a log holds; a last line that was cut off is dropped from the file."""
    if not log.is_file():
        return []
    first, *lines = log.read_text(encoding="utf-8").split("\n")
    try:
        if json.loads(first)["made_from"] != key:
            raise InputError(f"{log}: describes another video, or was made with other settings; name another file")
        found = [ClipCaption(**json.loads(line)) for line in lines[:-1]]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{log}: is no log of descriptions; name another file") from error
    if lines and lines[-1]:
        log.write_text("\n".join([first, *lines[:-1], ""]), encoding="utf-8")
    return found

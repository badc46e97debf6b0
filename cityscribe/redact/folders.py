"""Covering what can be recognised in files and folders of pictures and videos: `cityscribe data redact`.

    OUT/...              the same files under the same names, videos as MP4
    OUT/redacted.jsonl   what was covered in each; a stopped call goes on behind it

A video has as many frames as before, shown at the same times; a region counts in the frames before and behind the one
that it was found in as well, since a detector misses single frames. Sound, subtitles and what files say of themselves
(place, camera, owner) are left out. What cannot be looked through is left out and named, never passed on as it is.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cityscribe.files import InputError, naming, whole_file, write_text
from cityscribe.media.images import ImageError, open_image
from cityscribe.media.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from cityscribe.media.video import VideoError, VideoInfo, probe, read_frames, write_video
from cityscribe.media.video_index import frame_index_of
from cityscribe.progress import Progress, silent
from cityscribe.redact import REDACTORS, FindRegions, RedactOptions, Region
from cityscribe.redact.cover import RedactionError, counted, cover, find, finders_of, redaction
from cityscribe.redact.note import note_of

JOURNAL = "redacted.jsonl"

AROUND = 2
"""Frames before and behind one in which its regions are covered too."""

READ_BYTES = 256_000_000
"""Of decoded frames in memory."""

COPIED = (".json", ".jsonl", ".csv", ".tsv", ".txt", ".xml", ".yaml", ".yml", ".xlsx", ".parquet")
"""Annotations: they go along as they are."""

WRITTEN = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
"""Pictures that keep their format; a picture of another format cannot be written under its name."""


@dataclass(frozen=True, slots=True)
class RedactedFile:
    """What became of a file, a line of the journal."""

    file: str  # relative to what was given
    written: str  # relative to the output; empty where nothing was
    regions: Mapping[str, int]  # covered, by kind; of a video in all of its frames
    frames: int = 0  # of a video
    copied: bool = False  # as it is
    why: str = ""  # nothing was written, or not all of it


def redact_folder(source: Path, out: Path, options: RedactOptions, progress: Progress = silent) -> list[RedactedFile]:
    """Cover what the options name in a file, or in all files below a folder, and write them below `out`.

    Raises InputError where a model cannot be had, where `out` holds something else, and for files that cannot be
    written.
    """
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    if out.resolve() == source.resolve() or source.resolve() in out.resolve().parents:
        raise InputError(f"{out}: lies in {source}; name a folder beside it")
    finders = finders_of(options)
    root = source if source.is_dir() else source.parent
    files = sorted(file for file in source.rglob("*") if file.is_file()) if source.is_dir() else [source]
    journal = out / JOURNAL
    header, *lines = _journal_lines(journal, json.dumps({"key": _key(options)}))
    entries = [RedactedFile(**json.loads(line)) for line in lines]
    done = {one.file: one for one in entries if not one.written or (out / one.written).is_file()}
    progress(0, len(files))
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_text(journal, "".join(f"{line}\n" for line in (header, *lines)))  # without what a kill tore off
        with journal.open("a", encoding="utf-8") as log:
            taken = {line.written for line in done.values() if line.written}
            for number, file in enumerate(files, start=1):
                name = file.relative_to(root).as_posix()
                if name not in done:
                    done[name] = _redact(file, name, out, options, finders, taken)
                    taken.add(done[name].written)
                    log.write(json.dumps(asdict(done[name]), sort_keys=True, ensure_ascii=False) + "\n")
                    log.flush()
                progress(number, len(files))
    except OSError as error:
        raise InputError(f"{error.filename or out}: cannot be written: {error.strerror or error}") from error
    return [done[file.relative_to(root).as_posix()] for file in files]


def _key(options: RedactOptions) -> str:
    """A hash of what decides what is covered: with other options, or another model, the output begins anew."""
    models = [REDACTORS[kind].model(options) for kind in options.kinds]
    sizes = [[model, *(_size(Path(model)))] for model in models]
    return hashlib.sha256(json.dumps([asdict(options), sizes]).encode()).hexdigest()


def _size(place: Path) -> list[int]:
    files = sorted(place.rglob("*")) if place.is_dir() else [place]
    return [file.stat().st_size for file in files if file.is_file()]


def _journal_lines(journal: Path, header: str) -> list[str]:
    """The whole lines of the journal of earlier calls with the same options, `header` the first of them also where no
    call came so far. Raises InputError where its folder holds something else."""
    out = journal.parent
    if not journal.is_file():
        if out.is_dir() and any(out.iterdir()):
            raise InputError(f"{out}: already there, and not from this command; name another folder")
        return [header]
    lines = journal.read_text(encoding="utf-8").split("\n")[:-1] or [header]
    if lines[0] != header:
        raise InputError(f"{out}: is of other options or another model; remove it or name another folder")
    return lines


def _redact(
    file: Path, name: str, out: Path, options: RedactOptions, finders: Mapping[str, FindRegions], taken: set[str]
) -> RedactedFile:
    suffix = file.suffix.lower()
    target = name if suffix not in VIDEO_SUFFIXES else Path(name).with_suffix(".mp4").as_posix()
    if target in taken or (target != name and (file.parent / Path(target).name).exists()):
        return RedactedFile(name, "", {}, why=f"another file is called {target}")
    (out / target).parent.mkdir(parents=True, exist_ok=True)
    try:
        if suffix in COPIED:
            with whole_file(out / target) as partial:
                shutil.copyfile(file, partial)
            return RedactedFile(name, target, {}, copied=True)
        if suffix in VIDEO_SUFFIXES:
            return _video(file, name, out / target, target, finders)
        if suffix in IMAGE_SUFFIXES and suffix in WRITTEN:
            return RedactedFile(name, target, dict(_picture(file, out / target, options)))
    except (ImageError, VideoError, RedactionError) as error:
        return RedactedFile(name, "", {}, why=str(error))
    return RedactedFile(name, "", {}, why="is neither a video nor a picture that can be written again")


def _picture(file: Path, target: Path, options: RedactOptions) -> Counter[str]:
    """Write a picture with what was found in it covered, upright and without what the file said of itself."""
    with naming(file):
        picture = open_image(file.read_bytes(), name=str(file))
    frame, counts = redaction(options)(np.asarray(picture.convert("RGB")), {})
    kind = WRITTEN[file.suffix.lower()]
    own = {"quality": 95, "subsampling": 0, "comment": note_of(counts).encode()} if kind == "JPEG" else {}
    with whole_file(target) as partial:
        Image.fromarray(frame).save(partial, format=kind, **own)
    return counts


def _video(file: Path, name: str, target: Path, written: str, finders: Mapping[str, FindRegions]) -> RedactedFile:
    info = probe(file)
    regions: list[list[Region]] = []
    counts: Counter[str] = Counter(dict.fromkeys(finders, 0))
    for frame in _frames(file, info):
        found = find(finders, frame, {})
        counts.update(counted(found))
        regions.append([region for of in found.values() for region in of])
    times_s = frame_index_of(file).times_s
    frames = (
        _even(cover(frame, [region for near in regions[max(n - AROUND, 0) : n + AROUND + 1] for region in near]))
        for n, frame in enumerate(_frames(file, info))
    )
    count = write_video(target, frames, info.fps, times_s=times_s)
    return RedactedFile(name, written, dict(counts), frames=count, why="; ".join(info.what_is_lost()))


def _frames(file: Path, info: VideoInfo) -> Iterator[np.ndarray]:
    """All frames in order, some at a time in memory."""
    at_once = max(READ_BYTES // (3 * info.width * info.height), 1)
    for start in range(0, info.frames, at_once):
        chunk: Sequence[int] = range(start, min(start + at_once, info.frames))
        frames = read_frames(file, chunk)
        yield from (frames.pop(number) for number in chunk)


def _even(frame: np.ndarray) -> np.ndarray:
    """A frame with even sides, as videos have them: its last row or column twice where one is odd."""
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge") if height % 2 or width % 2 else frame

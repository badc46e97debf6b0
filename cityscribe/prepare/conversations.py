"""The stage `prepare` for sources that bring whole conversations: their images become files, the samples stay in order.

    OUT/train.parquet, val.parquet, test.parquet   samples (the last one only where there are test samples)
    OUT/images/...                                 what they show: the path of the source, or of the frame in its video
    OUT/skipped.jsonl, prepare.json                what was left out, and why; counts

An image file is copied byte for byte; one that is larger than `prepare.image_size` is scaled down and stored as JPEG.
Frames of a video are decoded in one pass over it, and the boxes that a reference names are drawn on its frame. Equal
input gives equal bytes, whatever the number of threads.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from cityscribe.files import InputError, write_bytes, write_json
from cityscribe.media.images import ImageError, image_size, open_image, remark_on_shape
from cityscribe.media.kinds import HEAD_BYTES, image_format
from cityscribe.media.video import VideoError, frame_at, frame_index, probe, read_good_frames
from cityscribe.prepare.clips import CheckedClips
from cityscribe.prepare.drawing import draw_boxes
from cityscribe.prepare.geometry import XYWH
from cityscribe.prepare.pictures import fit, remove_partial
from cityscribe.prepare.randomise import randomised
from cityscribe.prepare.redacting import comment, covered, covered_picture
from cityscribe.prepare.settings import PrepareSettings
from cityscribe.prepare.skipped import Skip, why_left_out, write_skipped
from cityscribe.prepare.table_rows import each_row
from cityscribe.progress import Progress, silent
from cityscribe.records import Problem, Sample, media_blocks, placed_from, write_samples
from cityscribe.redact.cover import RedactionError
from cityscribe.redact.note import write_redacted
from cityscribe.traffic.meta import TrafficMeta, traffic_meta
from cityscribe.traffic.scenario import ROLES

NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
FRAME = re.compile(
    rf"(?P<file>.+)#(?:t=(?P<number>{NUMBER})(?P<percent>%?)|image_id=(?P<image_id>\d{{1,9}}))"
    rf"(?P<boxes>(?:&(?:{'|'.join(ROLES)})={NUMBER}(?:,{NUMBER}){{3}})*)"
)
CELL = re.compile(r"(?P<file>.+)#(?P<column>[^#/]+)/(?P<row>\d{1,12})/(?P<index>\d{1,6})")
KEPT_FORMATS = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "GIF": ".gif"}


@dataclass(frozen=True, slots=True)
class ConversationsReport:
    """The counts of `prepare.json`."""

    samples: dict[str, int]  # by split
    groups: dict[str, int]  # by split: samples that share their images are one group
    images: int
    skipped: int


def prepare_conversations(
    samples: Sequence[Sample],
    root: Path,
    settings: PrepareSettings,
    out: Path,
    *,
    resume: bool = False,
    progress: Progress | None = None,
    problems: list[Problem] | None = None,
) -> ConversationsReport:
    """Write the samples of a source, whose images lie under `root`, into the folder `out`.

    A sample with an image or a video that cannot be read, and one for training in which the assistant says nothing, is
    left out and named in `skipped.jsonl`. `problems` takes a warning for each image of a shape that some models refuse
    and each video that is shorter or slower than is asked for. With
    `resume` the frames that are already there are kept: a killed call with the same samples and settings left them,
    each whole. `progress` is called with the files that are done and all. Raises InputError for files that cannot be
    written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        remove_partial(out / "images")
        noted = _Noted(CheckedClips(root))
        report = _prepare(samples, root, settings, out, resume, progress or silent, noted)
    except OSError as error:
        raise InputError(f"{error.filename or out}: cannot be written: {error.strerror or error}") from error
    if problems is not None:
        problems += [*_odd_shapes(samples, noted), *noted.clips.notes()]
    return report


@dataclass(slots=True)
class _Noted:
    """What is known and noted of files while their images are made."""

    clips: CheckedClips
    trained: frozenset[str] = frozenset()  # references that only samples for training show
    lost: dict[str, list[str]] = field(default_factory=dict)  # of a video: what cannot be read of it
    shapes: dict[str, tuple[int, int]] = field(default_factory=dict)  # of an image, by its reference: width and height


def _odd_shapes(samples: Sequence[Sample], noted: _Noted) -> Iterator[Problem]:
    """A warning for each image whose shape some models refuse, with the first sample that shows it and their number."""
    shown: dict[str, list[str]] = {}
    odd = {image: remark for image, size in noted.shapes.items() if (remark := remark_on_shape(*size))}
    for sample in samples:
        for image in dict.fromkeys(image for image in sample.images if image in odd):
            shown.setdefault(image, []).append(f"sample {sample.meta.scenario or sample.group}")
    for image, names in shown.items():
        count = f"{len(names)} sample{'' if len(names) == 1 else 's'}"
        yield Problem("warning", image, names[0], f"{odd[image]}; shown by {count}")


def _prepare(
    samples: Sequence[Sample],
    root: Path,
    settings: PrepareSettings,
    out: Path,
    resume: bool,
    progress: Progress,
    noted: _Noted,
) -> ConversationsReport:
    skips: list[Skip] = []
    usable = []
    for sample in samples:
        if why := why_left_out(sample):
            skips.append(_skip(sample, "question", why))
        else:
            usable.append(sample)
    references = list(dict.fromkeys(image for sample in usable for image in sample.images))
    noted.trained = frozenset(references) - {i for one in usable if one.meta.split != "train" for i in one.images}
    pictures = _pictures(references, root, settings, out, resume, progress, noted)
    written: dict[str, list[Sample]] = {"train": [], "val": [], "test": []}
    for sample in usable:
        if why := noted.clips.why_not(sample, covers=bool(settings.redact)):
            skips.append(_skip(sample, "video", why))
            continue
        videos = dict.fromkeys(found["file"] for image in sample.images if (found := FRAME.fullmatch(image)))
        skips += [_skip(sample, "video", why) for video in videos for why in noted.lost.pop(video, ())]
        failed = next((pictures[image] for image in sample.images if isinstance(pictures[image], _Failed)), None)
        if isinstance(failed, _Failed):
            skips.append(_skip(sample, "image", failed.why))
            continue
        images = tuple(str(pictures[image]) for image in sample.images)
        boxed = any(found["boxes"] for image in sample.images if (found := FRAME.fullmatch(image)))
        meta = traffic_meta(sample)
        meta = meta if settings.draw_boxes or not boxed else replace(meta, marked=())
        messages = placed_from(sample.messages, root, out)
        written[sample.meta.split].append(replace(sample, images=images, messages=messages, meta=meta))
    if not written["test"]:
        del written["test"]
    for split, entries in written.items():
        pairs = any(sample.preference is not None for sample in entries)
        clips = any(block["type"] == "video" for sample in entries for block in media_blocks(sample.messages))
        write_samples(out / f"{split}.parquet", entries, TrafficMeta, preferences=pairs, videos=clips)
    write_skipped(out / "skipped.jsonl", skips)
    write_redacted(out, {image for of in written.values() for one in of for image in one.images}, settings.redact)
    report = ConversationsReport(
        samples={split: len(entries) for split, entries in written.items()},
        groups={split: len({sample.group for sample in entries}) for split, entries in written.items()},
        images=len({str(picture) for picture in pictures.values() if not isinstance(picture, _Failed)}),
        skipped=len(set(skips)),
    )
    write_json(out / "prepare.json", asdict(report))
    return report


def _skip(sample: Sample, what: Any, why: str) -> Skip:
    return Skip(sample.meta.split, sample.meta.scenario, traffic_meta(sample).view, what, why)


@dataclass(frozen=True, slots=True)
class _Failed:
    """An image that cannot be had."""

    why: str


def _pictures(
    references: Sequence[str],
    root: Path,
    settings: PrepareSettings,
    out: Path,
    resume: bool,
    progress: Progress,
    noted: _Noted,
) -> dict[str, str | _Failed]:
    """Reference -> the image file written, relative to `out`. The references to one video or table go together."""
    by_file: dict[str, list[str]] = {}
    for reference in references:
        found = FRAME.fullmatch(reference) or CELL.fullmatch(reference)
        by_file.setdefault(found["file"] if found else reference, []).append(reference)
    names = _converted_names(by_file)
    pictures: dict[str, str | _Failed] = {}
    progress(0, len(by_file))
    with ThreadPoolExecutor(settings.workers or os.cpu_count()) as pool:
        work = pool.map(
            lambda item: _of_file(root, item[0], item[1], names[item[0]], settings, out, resume, noted), by_file.items()
        )
        for done, found_pictures in enumerate(work, start=1):
            pictures |= found_pictures
            progress(done, len(by_file))
    return pictures


def _converted_names(files: Iterable[str]) -> dict[str, str]:
    """For each file the name that its image has in the prepared data if it is made a JPEG: its own with .jpg behind it,
    or with a digest between where another file has that name."""
    taken = {f"images/{file}" for file in files}
    names: dict[str, str] = {}
    for file in files:
        own = f"images/{file}"
        name = own if file.lower().endswith((".jpg", ".jpeg")) else f"{own}.jpg"
        salt = 0
        while name != own and name in taken:
            name = f"{own}.{hashlib.sha256(f'{salt}{file}'.encode()).hexdigest()[:8]}.jpg"
            salt += 1
        taken.add(name)
        names[file] = name
    return names


def _of_file(
    root: Path,
    file: str,
    references: Sequence[str],
    converted: str,
    settings: PrepareSettings,
    out: Path,
    resume: bool,
    noted: _Noted,
) -> dict[str, str | _Failed]:
    if references == [file]:
        return {file: _copy(root / file, file, converted, settings, out, noted)}
    frames = {reference: found for reference in references if (found := FRAME.fullmatch(reference))}
    if frames:
        with contextlib.suppress(VideoError):  # which is said of each of its frames
            noted.lost[file] = [f"{root / file}: {why}" for why in probe(root / file).what_is_lost()]
        return _frames(root / file, frames, settings, out, resume, noted)
    return _cells(root / file, references, settings, out, noted)


def _copy(
    path: Path, reference: str, converted: str, settings: PrepareSettings, out: Path, noted: _Noted
) -> str | _Failed:
    try:
        content = path.read_bytes()
    except OSError as error:
        return _Failed(f"{path}: {error.strerror or error}")
    return _store(content, str(path), reference, (f"images/{reference}", converted), settings, out, noted)


def _store(
    content: bytes,
    origin: str,
    reference: str,
    names: tuple[str, str],
    settings: PrepareSettings,
    out: Path,
    noted: _Noted,
) -> str | _Failed:
    """Store an image file as it is under the first of the names, or, where it is larger than the settings allow or of a
    format that others may not read, as a JPEG under the second."""
    try:
        picture = open_image(content, name=origin)  # a file that is cut short shows only now
        size = image_size(content, name=origin)
    except ImageError as error:
        return _Failed(str(error))
    noted.shapes[reference] = size
    note = ""
    if settings.redact:  # the file as it came may hold more than its pixels: where, when and by whom it was taken
        try:
            picture, note = covered_picture(picture, settings)
        except RedactionError as error:
            return _Failed(f"{origin}: {error}")
    changed = None
    if reference in noted.trained and settings.randomise.strength:
        pixels = np.asarray(picture)
        changed = randomised(pixels, reference, settings.randomise)
        picture, changed = (picture, None) if changed is pixels else (Image.fromarray(changed), changed)
    if settings.redact or changed is not None:
        return _write(out, names[1], _jpeg(picture, settings, note))
    if fit(size, settings.image_size) == size and image_format(content[:HEAD_BYTES]) in KEPT_FORMATS:
        return _write(out, names[0], content)
    return _write(out, names[1], _jpeg(picture, settings))


def _jpeg(picture: Image.Image, settings: PrepareSettings, note: str = "") -> bytes:
    size = fit(picture.size, settings.image_size)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=settings.jpeg_quality, subsampling=0, **comment(note))
    return buffer.getvalue()


def _write(out: Path, name: str, content: bytes) -> str:
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content, shared=True)
    return name


def _frames(
    video: Path,
    references: dict[str, re.Match[str]],
    settings: PrepareSettings,
    out: Path,
    resume: bool,
    noted: _Noted,
) -> dict[str, str | _Failed]:
    try:
        numbers = {reference: _frame_number(video, found) for reference, found in references.items()}
    except VideoError as error:
        return {reference: _Failed(str(error)) for reference in references}
    names = {reference: _frame_name(references[reference], numbers[reference], settings) for reference in numbers}
    missing = [reference for reference in numbers if not (resume and (out / names[reference]).is_file())]
    frames, unread = read_good_frames(video, sorted({numbers[reference] for reference in missing}))
    written: dict[str, str | _Failed] = dict(names)
    for reference in missing:
        if numbers[reference] in unread:
            written[reference] = _Failed(unread[numbers[reference]])
            continue
        boxes = _boxes(references[reference]["boxes"])
        try:
            frame, note = covered(frames[numbers[reference]], boxes, settings)
        except RedactionError as error:
            written[reference] = _Failed(f"{video}: {error}")
            continue
        if reference in noted.trained:
            frame = randomised(frame, f"{references[reference]['file']}/{numbers[reference]}", settings.randomise)
        if settings.draw_boxes:
            frame = draw_boxes(frame, boxes, box_scale=settings.box_scale, line_width=settings.line_width)
        _write(out, names[reference], _jpeg(Image.fromarray(frame), settings, note))
    return written


def _frame_number(video: Path, found: re.Match[str]) -> int:
    """The frame that a reference means. Raises VideoError for a video that cannot be read."""
    if found["image_id"]:
        return frame_index(int(found["image_id"]), probe(video).fps)
    share_s = probe(video).duration_s / 100 if found["percent"] else 1
    return frame_at(video, max(float(found["number"]) * share_s, 0.0))


def _frame_name(found: re.Match[str], number: int, settings: PrepareSettings) -> str:
    """The file of a frame; one with boxes drawn has its own, because phases may share a frame."""
    drawn = found["boxes"] if settings.draw_boxes else ""
    mark = f"-{hashlib.sha256(drawn.encode()).hexdigest()[:8]}" if drawn else ""
    return f"images/{found['file']}/{number:06d}{mark}.jpg"


def _boxes(text: str) -> dict[str, XYWH]:
    boxes: dict[str, XYWH] = {}
    for part in text.split("&")[1:]:
        role, _, numbers = part.partition("=")
        x, y, width, height = map(float, numbers.split(","))
        boxes[role] = (x, y, width, height)
    return boxes


def _cells(
    table: Path, references: Sequence[str], settings: PrepareSettings, out: Path, noted: _Noted
) -> dict[str, str | _Failed]:
    places: dict[tuple[str, int], list[tuple[int, str]]] = {}
    for reference in references:
        found = CELL.fullmatch(reference)
        if found is None:
            raise AssertionError(reference)
        places.setdefault((found["column"], int(found["row"])), []).append((int(found["index"]), reference))
    written: dict[str, str | _Failed] = {}
    try:
        for (column, row), images in each_row(table, places):
            for index, reference in images:
                cell = column[row].as_py()
                content = (cell if isinstance(cell, list) else [cell])[index]["bytes"]
                suffix = KEPT_FORMATS.get(image_format(content[:HEAD_BYTES]), ".png")
                found = CELL.fullmatch(reference)
                named = PurePosixPath("images", *reference.rpartition("#")[0].split("/"))
                name = f"{named}/{found['row'] if found else row}-{index}{suffix}"
                converted = name if suffix == ".jpg" else f"{name}.jpg"
                origin = f"{table}: row {row}"
                written[reference] = _store(content, origin, reference, (name, converted), settings, out, noted)
    except (pa.ArrowException, OSError, ValueError, KeyError, IndexError, TypeError) as error:
        written |= {reference: _Failed(f"{table}: {error}") for reference in references if reference not in written}
    return {reference: written.get(reference, _Failed(f"{table}: has no such row")) for reference in references}

"""Clips and a table about them: CSV (or TSV) or Excel, a row for each text or question about a stretch of a clip.

    clip,start,end,text,question,answer,split
    gate-01.mp4,0:02,0:05,The car backs into the parked van.,,,train
    gate-01.mp4,,,,Which car moves?,The white one.,val

`clip` is the name of a video anywhere below the folder, or its path; start and end are seconds, `m:ss` or `h:mm:ss`,
and where both are empty the row is about the whole clip. A row has a text, which is what `DESCRIBE` is answered with,
or a question with its answer, or all three. Columns are found by their usual names (`NAMES`), in any order and case.

Boxes of any annotation tool (`sources.boxes`) are drawn on the frames that are shown: those of `data.tracks`, or else
those that lie in the folder as `boxes`, `annotations`, `tracks` or `labels` (a folder, or a file such as
`annotations.xml`).
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cityscribe.files import InputError
from cityscribe.media.kinds import VIDEO_SUFFIXES
from cityscribe.media.video import VideoError, VideoInfo, frame_at, ids_a_frame, probe
from cityscribe.records import Problem, Sample
from cityscribe.sources import ConversationSource
from cityscribe.sources.conversation import FRAMES, ConversationEntry, question_sample
from cityscribe.sources.intake import Intake, open_intake
from cityscribe.sources.listing import MOST_HEADS, Certainty, Listing
from cityscribe.sources.splits import WORDS, split_named
from cityscribe.sources.table_rows import NAMES, SUFFIXES, columns_of, header_of, read_rows, seconds_of
from cityscribe.sources.tracks import DATA, chosen_track, read_tracks
from cityscribe.sources.video_blocks import AS_VIDEO, boxed_frame, frames_of
from cityscribe.sources.videos import files_below, stem_of
from cityscribe.traffic.scenario import ROLES, Box
from cityscribe.values import shown

DESCRIBE = "Describe what happens in these frames of a video."
"""What is asked where a row has a text and no question for it."""

BOX_PLACES = ("boxes", "annotations", "tracks", "labels")
"""Folders, or stems of files, in which boxes lie beside a table."""


@dataclass(frozen=True, slots=True)
class TableClip:
    """A video, and the boxes of its road users by role, in order of frames."""

    file: str  # relative to the folder of the data set
    path: Path
    info: VideoInfo
    boxes: Mapping[str, Sequence[Box]]


def read_table(
    root: Path, *, files: Sequence[str] = (), frames: int = FRAMES, tracks: Path | None = None
) -> tuple[list[Sample], list[Problem]]:
    """One sample a text and one a question, in the order of the rows, and everything that is wrong with them.

    `files` names the tables, relative to the root; none takes all that have a column for clips. A clip is shown by
    `frames` frames of the row's stretch of it, with the boxes of `tracks` or of the folder. Rows about the same frames
    are one group. Raises InputError where the root is no folder, or `tracks` holds no boxes.
    """
    intake = open_intake(root)
    videos = _Videos(intake, tracks)
    samples: list[Sample] = []
    for path in _tables(intake, files):
        columns: dict[str, int] | None = None
        for number, cells in read_rows(intake, path):
            if columns is None:
                columns = columns_of(intake, path, number, cells)
                if columns is None:
                    break
                continue
            named = {name: cells[at] if at < len(cells) else "" for name, at in columns.items()}
            row = ConversationEntry(intake, path, f"row {number}", {key: value.strip() for key, value in named.items()})
            samples += _samples(row, videos, frames)
    videos.tell_unused()
    return samples, intake.problems


def _tables(intake: Intake, files: Sequence[str]) -> list[Path]:
    if files:
        return intake.data_files(files, SUFFIXES)
    found = [intake.root / name for name in files_below(intake.root, SUFFIXES) if _is_table(intake.root / name)]
    if not found:
        intake.add("error", intake.root, "", f"has no table ({', '.join(SUFFIXES)}) with a column for clips")
    return found


def _is_table(path: Path) -> bool:
    try:
        names = header_of(path)
    except InputError:
        return True  # an Excel file without the package for it: reading it says so
    return "clip" in names and bool({"text", "question"} & set(names))


def _samples(row: ConversationEntry, videos: _Videos, frames: int) -> Iterator[Sample]:
    """The samples of a row; what is wrong with it is noted, and the row left out."""
    cells = row.row
    clip = videos.named(row, cells["clip"])
    split = _split(row)
    if clip is None or split is None:
        return
    if not frames:
        row.error("", "shows a video; set data.frames to show some of its frames")
        return
    span = _span(row, clip.info)
    if span is None:
        return
    question, answer, text = cells.get("question", ""), cells.get("answer", ""), cells.get("text", "")
    if answer and not question:
        row.error("answer", "answers no question; put a description into the column text")
        return
    if split != "test" and not text and not answer:
        missing = "answer" if question else "text"
        row.error(missing, f"has no {missing}, which only a row of the split test can do without")
        return
    images = _frames(clip, span, frames)
    asked = [(DESCRIBE, text)] if text or not question else []
    asked += [(question, answer)] if question and (answer or split == "test") else []
    for number, (asks, says) in enumerate(asked):
        name = f"{row.path.stem}-{row.place.removeprefix('row ')}{'-question' if number else ''}"
        sample = question_sample(row, asks, says or None, images, name=name, scenario=stem_of(clip.file), split=split)
        if sample is not None:
            yield sample


def _split(row: ConversationEntry) -> str | None:
    """The split of a row; empty where neither it nor its table names one, None, noted, for a word that is none."""
    said = row.row.get("split", "")
    if not said:
        return split_named(row.intake.relative(row.path)) or ""
    if said.lower() not in WORDS:
        row.error("split", f"is {shown(said)}, expected one of {', '.join(WORDS)}")
        return None
    return WORDS[said.lower()]


def _span(row: ConversationEntry, info: VideoInfo) -> tuple[float, float] | None:
    """The stretch of the clip in seconds, the whole clip where none is given; None, noted, where it is none."""
    times: dict[str, float | None] = {}
    for key in ("start", "end"):
        said = row.row.get(key, "")
        times[key] = seconds_of(said) if said else None
        if said and times[key] is None:
            row.error(key, f"is {shown(said)}, expected seconds, m:ss or h:mm:ss")
            return None
    start_s = times["start"] or 0.0
    end_s = info.duration_s if times["end"] is None else times["end"]
    if start_s >= info.duration_s:
        row.error("start", f"starts at {start_s:g} s, but the clip ends at {info.duration_s:g} s")
        return None
    if end_s > info.duration_s + 1 / info.fps:
        row.note("warning", "end", f"ends at {end_s:g} s, but the clip at {info.duration_s:g} s, which is used")
    end_s = min(end_s, info.duration_s)
    if end_s < start_s:
        row.error("end", f"ends at {end_s:g} s, before its start at {start_s:g} s")
        return None
    return start_s, end_s


def _frames(clip: TableClip, span: tuple[float, float], frames: int) -> list[str]:
    """References to frames of a stretch, evenly spread, each with the boxes that its road users have on it."""
    start_s, end_s = span
    plain = frames_of(clip.file, frames, start_s, end_s)
    if not clip.boxes or frames == AS_VIDEO:  # nothing is drawn on a video
        return plain
    shown_frames = []
    for number, reference in enumerate(plain):
        time_s = start_s + (2 * number + 1) / (2 * frames) * (end_s - start_s)
        frame = min(frame_at(clip.path, time_s), clip.info.frames - 1)
        drawn = {role: xywh for role, boxes in clip.boxes.items() if (xywh := _on(boxes, frame, clip.info)) is not None}
        image_id = frame * ids_a_frame(clip.info.fps)
        shown_frames.append(boxed_frame(clip.file, image_id, drawn) if drawn else reference)
    return shown_frames


def _on(boxes: Sequence[Box], frame: int, info: VideoInfo) -> tuple[float, float, float, float] | None:
    """The box of a road user on a frame, where it has one there that lies in the picture."""
    place = bisect_left(boxes, frame, key=lambda box: box.image_id)
    if place == len(boxes) or boxes[place].image_id != frame:
        return None
    x, y, width, height = boxes[place].xywh
    inside = x < info.width and y < info.height and x + width > 0 and y + height > 0
    return boxes[place].xywh if inside else None


class _Videos:
    """The videos of a data set by what a row calls them, each opened once, with the boxes that were given for them."""

    def __init__(self, intake: Intake, tracks: Path | None) -> None:
        self._intake = intake
        self._files: dict[str, list[str]] = {}
        for file in files_below(intake.root, VIDEO_SUFFIXES):
            self._files.setdefault(stem_of(file).casefold(), []).append(file)
        self._opened: dict[str, TableClip | str] = {}
        self._tracks = self._read_tracks(tracks)
        self._used: set[str] = set()

    def named(self, row: ConversationEntry, name: str) -> TableClip | None:
        """The clip that a row names; None, noted, where there is none, several, or one that cannot be read."""
        if not name:
            row.error("clip", "is empty, expected the name of a video")
            return None
        path = name.replace("\\", "/").removeprefix("./")
        found = self._files.get(stem_of(path).casefold(), [])
        suffixed = [file for file in found if file.casefold().endswith(path.casefold())]
        chosen = suffixed or found
        if not chosen:
            near = f"; there is {next(iter(self._files.values()))[0]}" if self._files else "; there is no video"
            row.error("clip", f"is {shown(name)}, which is no video below the data folder{near}")
            return None
        if len(chosen) > 1 and path not in chosen:
            row.error("clip", f"is {shown(name)}, which {' and '.join(chosen[:3])} are called; give the path")
            return None
        file = path if path in chosen else chosen[0]
        if file not in self._opened:
            self._opened[file] = self._open(file)
        clip = self._opened[file]
        if isinstance(clip, str):
            row.error("clip", clip)
            return None
        return clip

    def tell_unused(self) -> None:
        """Note the clips that no row is about, and the boxes that no clip has."""
        stems = {stem_of(file) for file in self._opened}
        idle = [file for files in self._files.values() for file in files if file not in self._opened]
        if idle and self._opened:
            what = f"{len(idle)} clips are in no row of a table, such as {idle[0]}"
            self._intake.add("note", self._intake.root, "", what)
        elsewhere = sorted(self._tracks.keys() - stems)
        if elsewhere:
            what = f"boxes of {len(elsewhere)} videos that no row is about, such as {shown(elsewhere[0])}; not used"
            self._intake.add("warning", self._intake.root, "", what)

    def _open(self, file: str) -> TableClip | str:
        path = self._intake.root / file
        try:
            info = probe(path)
        except VideoError as error:
            return f"cannot be read: {str(error).removeprefix(f'{path}: ')}"
        return TableClip(file, path, info, self._tracks.get(stem_of(file), {}))

    def _read_tracks(self, given: Path | None) -> dict[str, dict[str, Sequence[Box]]]:
        """The boxes of each video by role: of several tracks of a role the largest counts, as in `sources.tracks`."""
        places = [given] if given is not None else _box_places(self._intake.root)
        paths = {stem_of(file): self._intake.root / file for files in self._files.values() for file in files}
        found: dict[str, dict[str, Sequence[Box]]] = {}
        for place in places:
            try:
                tracks, problems = read_tracks(place, paths)
            except InputError as error:
                if given is not None:
                    raise
                self._intake.add("warning", place, "", str(error).removeprefix(f"{place}: "))
                continue
            base = place if place.is_dir() else place.parent
            for problem in problems:
                self._intake.add(problem.level, base / problem.file, problem.place, problem.message)
            for video, of_video in tracks.items():
                chosen = {role: track.boxes for role in ROLES if (track := chosen_track(of_video, role)) is not None}
                if chosen:
                    found.setdefault(video, {}).update(chosen)
                labels = sorted({track.label for track in of_video if not track.role})
                if labels:
                    what = f"{video}: boxes called {', '.join(map(shown, labels[:3]))} mean no {' or '.join(ROLES)}"
                    self._intake.add("warning", place, "", f"{what}; not used")
        return found


def _box_places(root: Path) -> list[Path]:
    places = []
    for name in sorted(os.listdir(root)):
        stem, suffix = os.path.splitext(name)
        path = root / name
        if stem.lower() in BOX_PLACES and (path.is_dir() or suffix.lower() in DATA):
            places.append(path)
    return [place for place in places if place.is_dir() or not _is_table(place)]


def recognise(listing: Listing) -> Certainty:
    if not any(_is_table(listing.root / name) for name in listing.ending(*SUFFIXES)[:MOST_HEADS]):
        return Certainty.NO
    return Certainty.LIKELY if listing.ending(*VIDEO_SUFFIXES) else Certainty.REST


SOURCE = ConversationSource(
    read_table,
    takes_boxes=True,
    recognise=recognise,
    looks_for="a table with a column " + " or ".join(NAMES["clip"][:3]) + ", and text or question",
)

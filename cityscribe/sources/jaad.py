"""JAAD: pedestrians in front of a moving car, with boxes and what they do in every frame, as CVAT XML.

    annotations/video_0001.xml        tracks of pedestrians with the attributes look, cross, action
    .../video_0001.mp4                the clips, anywhere below the data folder
    split_ids/*/{train,val,test}.txt  names of videos

A track with behaviour gives questions of kind "choice" about one frame: whether the pedestrian looks, walks, crosses.
Where the pedestrian is, the question says in thousandths of the frame.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from cityscribe.records import Problem, Sample
from cityscribe.sources import ConversationSource
from cityscribe.sources.boxes.cvat import parsed_xml, tracks_of
from cityscribe.sources.boxes.track import Track
from cityscribe.sources.choices import LETTERS, choice_turns
from cityscribe.sources.conversation import FRAMES, ConversationEntry, build_sample
from cityscribe.sources.intake import Intake, open_intake
from cityscribe.sources.listing import Certainty, Listing
from cityscribe.sources.splits import split_named
from cityscribe.sources.videos import files_by_stem
from cityscribe.traffic.meta import TrafficMeta
from cityscribe.traffic.scenario import Box
from cityscribe.values import finite

FPS = 30
"""Of all clips of JAAD."""

QUESTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "look": ("Is the pedestrian looking at the vehicle?", {"looking": "yes", "not-looking": "no"}),
    "action": ("Is the pedestrian walking or standing?", {"walking": "walking", "standing": "standing"}),
    "cross": ("Is the pedestrian crossing the road?", {"crossing": "yes", "not-crossing": "no"}),
}
"""Attribute -> question, and what each value answers."""


def read_jaad(root: Path, *, files: Sequence[str] = (), frames: int = FRAMES) -> tuple[list[Sample], list[Problem]]:
    """The questions, by video and track, and everything that is wrong. Those of a track are about one frame: a group.

    Raises InputError where the root is no folder.
    """
    intake = open_intake(root)
    videos = files_by_stem(root)
    splits = _splits(intake)
    samples: list[Sample] = []
    for path in intake.data_files(files, (".xml",)):
        if path.stem not in videos:
            intake.add("error", path, "", f"has no video {path.stem} below the data folder")
            continue
        tree = parsed_xml(intake, path)
        size = None if tree is None else _size(intake, path, tree)
        if tree is None or size is None:
            continue
        for tracks in tracks_of(intake, path, tree).values():
            for track in tracks:
                split = splits.get(path.stem, split_named(intake.relative(path)) or "")
                samples += _questions(
                    ConversationEntry(intake, path, f"track {track.name}", {}), track, size, videos, split
                )
    return samples, intake.problems


def _splits(intake: Intake) -> dict[str, str]:
    lists = [
        path for folder in intake.folders(intake.root) if folder.name == "split_ids" for path in folder.rglob("*.txt")
    ]
    found: dict[str, str] = {}
    for path in sorted(lists):
        split = split_named(path.name)
        for line in (intake.text(path) or "").split("\n") if split else []:
            found.setdefault(line.strip(), split or "")
    return found


def _size(intake: Intake, path: Path, root: Element) -> tuple[float, float] | None:
    width, height = (finite(root.findtext(f"./meta/task/original_size/{key}")) for key in ("width", "height"))
    if width is None or height is None or width <= 0 or height <= 0:
        intake.add("error", path, "meta.task.original_size", "is no size in pixels")
        return None
    return width, height


def _questions(
    entry: ConversationEntry, track: Track, size: tuple[float, float], videos: dict[str, str], split: str
) -> Iterator[Sample]:
    by_frame: dict[int, dict[str, str]] = {}
    for frame, name, value in track.attributes:
        if name in QUESTIONS and value in QUESTIONS[name][1]:
            by_frame.setdefault(frame, {})[name] = value
    known = [box for box in track.boxes if len(by_frame.get(box.image_id, ())) == len(QUESTIONS)]
    if not known:
        return
    # The frame in which the pedestrian is largest shows most of what the questions ask about.
    box = max(known, key=lambda box: (box.area, -box.image_id))
    stem = entry.path.stem
    image = f"{videos[stem]}#t={box.image_id / FPS:.3f}"
    for name, value in by_frame[box.image_id].items():
        question, answers = QUESTIONS[name]
        options = list(Counter(answers.values()))
        turns = choice_turns(
            f"A pedestrian is at {_place(box, size)}. {question}", options, LETTERS[options.index(answers[value])]
        )
        meta = TrafficMeta(
            scenario=stem,
            kind="choice",
            target="pedestrian",
            dimension=name,
            question=f"{stem}/{track.name}/{name}",
            options=tuple(options),
            split=split,
        )
        sample = build_sample(entry, turns, [image], [], frames=1, name=stem, split=split, meta=meta)
        if sample is not None:
            yield sample


def _place(box: Box, size: tuple[float, float]) -> str:
    x, y, width, height = box.xywh
    corners = (x / size[0], y / size[1], (x + width) / size[0], (y + height) / size[1])
    return f"[{', '.join(str(round(1000 * min(max(share, 0), 1))) for share in corners)}]"


def recognise(listing: Listing) -> Certainty:
    return Certainty.CERTAIN if listing.having(r"(?:^|/)(?:split_ids/|video_\d{4}\.xml$)") else Certainty.NO


SOURCE = ConversationSource(
    read_jaad, recognise=recognise, looks_for="annotations/video_NNNN.xml and split_ids/", licence="MIT"
)

"""UCF-Crime: videos of surveillance cameras with one class each, as questions with four options.

    Anomaly_Train.txt, ...                    lines CLASS/VIDEO.mp4
    Temporal_Anomaly_Annotation*.txt          lines VIDEO.mp4  CLASS  first  last  first  last (frames, -1 for none)
    .../CLASS/VIDEO.mp4                       the videos, anywhere below the data folder

Which options stand beside the right class is drawn by the name of the video, so that the same data give the same
questions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from cityscribe.files import printable
from cityscribe.records import Problem, Sample, image_block
from cityscribe.sources import ConversationSource
from cityscribe.sources.choices import LETTERS, choice_turns, drawn_options
from cityscribe.sources.conversation import FRAMES, ConversationEntry, build_sample
from cityscribe.sources.intake import open_intake
from cityscribe.sources.listing import Certainty, Listing
from cityscribe.sources.splits import split_named
from cityscribe.sources.video_blocks import frames_of
from cityscribe.sources.videos import files_by_stem, stem_of
from cityscribe.traffic.meta import TrafficMeta
from cityscribe.values import shown

CLASSES = {
    "Abuse": "abuse",
    "Arrest": "an arrest",
    "Arson": "arson",
    "Assault": "an assault",
    "Burglary": "a burglary",
    "Explosion": "an explosion",
    "Fighting": "fighting",
    "RoadAccidents": "a road accident",
    "Robbery": "a robbery",
    "Shooting": "a shooting",
    "Shoplifting": "shoplifting",
    "Stealing": "stealing",
    "Vandalism": "vandalism",
    "Normal": "nothing unusual",
}
NORMAL = CLASSES["Normal"]
OPTIONS = 4
QUESTION = "What happens in this video of a surveillance camera?"


def read_ucf_crime(
    root: Path, *, files: Sequence[str] = (), frames: int = FRAMES
) -> tuple[list[Sample], list[Problem]]:
    """One question of kind "choice" a listed video, in their order; a temporal annotation counts as the test list.

    Raises InputError where the root is no folder.
    """
    intake = open_intake(root)
    videos = files_by_stem(root)
    samples = []
    seen: set[str] = set()
    for path in intake.data_files(files, (".txt",)):
        split = split_named(path.name) or ("test" if "temporal" in path.name.lower() else "")
        for number, line in enumerate((intake.text(path) or "").split("\n"), start=1):
            words = line.split()
            if not words:
                continue
            entry = ConversationEntry(intake, path, f"line {number}", {})
            stem = stem_of(words[0])
            label = next(
                (c for c in CLASSES if any(_names(c, part) for part in (*words[1:2], *words[0].split("/")))), ""
            )
            if not frames:
                entry.error("", "shows a video; set data.frames to show some of its frames")
            elif not label:
                entry.error("", f"{shown(printable(line.strip()))} names no class of {', '.join(CLASSES)}")
            elif stem not in videos:
                entry.error("", f"{shown(words[0])} is no video below the data folder")
            elif stem not in seen:
                seen.add(stem)
                options = drawn_options(CLASSES[label], list(CLASSES.values()), OPTIONS, stem)
                images = frames_of(videos[stem], frames)
                correct = LETTERS[options.index(CLASSES[label])]
                turns = choice_turns(QUESTION, options, correct, [image_block() for _ in images])
                meta = TrafficMeta(scenario=stem, kind="choice", question=stem, options=tuple(options), split=split)
                sample = build_sample(entry, turns, images, [], frames=1, name=stem, split=split, meta=meta)
                samples += [sample] if sample is not None else []
    return samples, intake.problems


def _names(label: str, part: str) -> bool:
    return re.match(rf"{label}(?![a-z])", part) is not None


def recognise(listing: Listing) -> Certainty:
    named = listing.having(r"(?:^|/)(?:Temporal_)?Anomaly_[^/]*\.txt$")
    return Certainty.CERTAIN if named else Certainty.NO


SOURCE = ConversationSource(
    read_ucf_crime, against=NORMAL, recognise=recognise, looks_for="Anomaly_Train.txt and its kin"
)

"""Animal Kingdom, video grounding: sentences about spans of wildlife videos, as questions.

    annotation/{train,test}.txt   lines CLIP START END##The jellyfish is swimming.   (seconds)
    AR_metadata.csv               video_id, list_animal_parent_class: sheet AR of AR_metadata.xlsx, where it is there
    .../CLIP.mp4                  the videos, anywhere below the data folder

Each video gives an open question, which all its sentences answer, and questions of kind "choice": which species it
shows and of which class that is (where it is one), and what an animal does in a span. The options beside the right one
are other species, classes and actions of the data set, drawn by hash: the same data give the same questions. After the
reproduction of LLaMA-VID that asks for species, classes and actions with options.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cityscribe.letters import LETTERS
from cityscribe.records import Problem, Sample, image_block
from cityscribe.sources import ConversationSource
from cityscribe.sources.choices import choice_turns, drawn_options
from cityscribe.sources.conversation import FRAMES, ConversationEntry, build_sample, question_sample
from cityscribe.sources.intake import Intake, open_intake
from cityscribe.sources.listing import Certainty, Listing
from cityscribe.sources.splits import split_named
from cityscribe.sources.video_blocks import frames_of
from cityscribe.sources.videos import files_by_stem
from cityscribe.traffic.captions import MAX_TIME_S
from cityscribe.traffic.meta import TrafficMeta
from cityscribe.values import finite, plain_text, shown

METADATA = "AR_metadata.csv"
OPTIONS = 4
ALL = "Which animals are there in this video, and what does each of them do? One sentence for each action."
SPECIES = "Which animal does this video show?"
CLASS = "To which class of animals does the animal in this video belong?"
ACTION = "What is the {species} doing?"

LINE = re.compile(r"(\S+)\s+(\S+)\s+(\S+?)\s*##\s*(.*\S)")
SENTENCE = re.compile(r"(?:the|an?) (?P<species>[^,.]+?) (?:is|are) (?P<action>\w+ing\b[^,.]*)\.?", re.IGNORECASE)
"""A sentence that names a species and what it does; the others are used as they stand."""
LONGEST = 1000
"""Characters of a sentence that is looked at for a species: in more it could take hours to find none."""


@dataclass(frozen=True, slots=True)
class DescribedSpan:
    """One sentence about a span of a video."""

    entry: ConversationEntry
    start_s: float
    end_s: float
    sentence: str
    species: str  # empty where the sentence does not tell it apart
    action: str


def read_animal_kingdom(
    root: Path, *, files: Sequence[str] = (), frames: int = FRAMES
) -> tuple[list[Sample], list[Problem]]:
    """The questions by list and video, and everything that is wrong. Those that show the same frames are one group.

    Raises InputError where the root is no folder.
    """
    intake = open_intake(root)
    videos = files_by_stem(root)
    classes = _classes(intake)
    spans: dict[tuple[Path, str], list[DescribedSpan]] = {}
    for path in _lists(intake, files):
        for number, line in enumerate((intake.text(path) or "").split("\n"), start=1):
            if line.strip():
                entry = ConversationEntry(intake, path, f"line {number}", {})
                clip, span = _span(entry, line.strip(), videos, frames)
                if span is not None:
                    spans.setdefault((path, clip), []).append(span)
    everyone = [span for of_video in spans.values() for span in of_video]
    known = {
        "species": sorted({span.species for span in everyone if span.species}),
        "action": sorted({span.action for span in everyone if span.action}),
        "class": sorted(set(classes.values())),
    }
    samples: list[Sample] = []
    for (path, clip), of_video in spans.items():
        split = split_named(intake.relative(path)) or ""
        samples += _of_video(clip, videos[clip], of_video, classes.get(clip, ""), known, split, frames)
    return samples, intake.problems


def _lists(intake: Intake, files: Sequence[str]) -> list[Path]:
    if files:
        return intake.data_files(files, (".txt",))
    folders = [intake.root / part for part in ("", "annotation", "video_grounding/annotation")]
    found = [path for folder in folders for path in intake.files(folder, (".txt",)) if split_named(path.name)]
    if not found:
        intake.add("error", intake.root, "", "has neither train.txt nor test.txt, here or in annotation/")
    return found


def _span(entry: ConversationEntry, line: str, videos: dict[str, str], frames: int) -> tuple[str, DescribedSpan | None]:
    parts = LINE.fullmatch(line)
    start_s, end_s = (finite(parts[2]), finite(parts[3])) if parts else (None, None)
    if parts is None or start_s is None or end_s is None or not 0 <= start_s <= end_s <= MAX_TIME_S:
        entry.error("", f"is {shown(plain_text(line))}, expected CLIP START END##SENTENCE in seconds")
    elif not frames:
        entry.error("", "shows a video; set data.frames to show some of its frames")
    elif parts[1] not in videos:
        entry.error("", f"{shown(parts[1])} is no video below the data folder")
    else:
        sentence = plain_text(parts[4]) or ""
        said = SENTENCE.fullmatch(" ".join(sentence.split())) if len(sentence) <= LONGEST else None
        species, action = (said["species"].lower(), said["action"].lower()) if said else ("", "")
        return parts[1], DescribedSpan(entry, start_s, end_s, sentence, species, action)
    return "", None


def _classes(intake: Intake) -> dict[str, str]:
    """Video -> the class of its animals, of those videos in which all are of one."""
    path = intake.root / METADATA
    found: dict[str, str] = {}
    rows = intake.table(path, ("video_id", "list_animal_parent_class")) if path.is_file() else ()
    for _, row in rows:
        names = re.findall(r"""['"]([^'"]+)['"]""", row["list_animal_parent_class"])
        if len(set(names)) == 1:
            found[row["video_id"]] = (plain_text(names[0]) or "").lower()
    return found


def _of_video(
    clip: str,
    video: str,
    spans: list[DescribedSpan],
    animal_class: str,
    known: dict[str, list[str]],
    split: str,
    frames: int,
) -> Iterator[Sample]:
    spans = sorted(spans, key=lambda span: (span.start_s, span.end_s))
    first, whole = spans[0].entry, frames_of(video, frames)
    sentences = " ".join(dict.fromkeys(span.sentence for span in spans))
    asked = question_sample(first, ALL, sentences, whole, name=clip, scenario=clip, split=split)
    if asked is not None:
        yield asked
    species = {span.species for span in spans}
    questions = [(first, whole, "class", CLASS, animal_class)]
    if len(species) == 1:
        questions.append((first, whole, "species", SPECIES, next(iter(species))))
    for span in spans:
        shown_by = frames_of(video, frames, span.start_s, span.end_s)
        questions.append((span.entry, shown_by, "action", ACTION.format(species=span.species), span.action))
    # What the same animal does at the same time is no wrong answer.
    truths = {span.action for span in spans}
    for number, (entry, images, dimension, question, right) in enumerate(questions):
        wrong = [option for option in known[dimension] if dimension != "action" or option not in truths]
        options = drawn_options(right, wrong, OPTIONS, f"{clip}/{number}") if right else []
        if len(options) < 2:
            continue
        turns = choice_turns(question, options, LETTERS[options.index(right)], [image_block() for _ in images])
        meta = TrafficMeta(
            scenario=clip,
            kind="choice",
            dimension=dimension,
            question=f"{clip}/{dimension}/{number}",
            options=tuple(options),
            split=split,
        )
        sample = build_sample(entry, turns, images, [], frames=1, name=clip, split=split, meta=meta)
        if sample is not None:
            yield sample


def recognise(listing: Listing) -> Certainty:
    lists = listing.having(r"(?:^|/)(?:train|test)\.txt$")
    sentences = any("##" in listing.head(name) for name in lists)
    return Certainty.CERTAIN if sentences or listing.having(rf"(?:^|/){METADATA}$") else Certainty.NO


SOURCE = ConversationSource(
    read_animal_kingdom, recognise=recognise, looks_for="annotation/{train,test}.txt with CLIP START END##SENTENCE"
)

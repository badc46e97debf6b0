"""A published benchmark as data: the questions that `cityscribe score benchmark` asks, with their right answers.

    data: {source: benchmark, path: data/tar, files: [train]}

The folder has the name of the benchmark (`cityscribe benchmark list`), capitals and `_` for `-` aside. `files` names
the splits to read; by default all that the benchmark has. What is not named for training or validation is a test set,
so that nobody trains on it unawares. A question with options is asked as everywhere here: its options below it, its
answer a letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cityscribe.evaluate.benchmarks import BENCHMARKS
from cityscribe.evaluate.benchmarks.question import Benchmark, BenchmarkQuestion
from cityscribe.files import InputError
from cityscribe.media.kinds import is_image
from cityscribe.records import Problem, Sample, image_block, text_block
from cityscribe.sources import ConversationSource
from cityscribe.sources.choices import choice_turns
from cityscribe.sources.conversation import FRAMES, ConversationEntry, Turn, build_sample
from cityscribe.sources.intake import Intake, open_intake
from cityscribe.sources.listing import Certainty, Listing
from cityscribe.sources.splits import split_named
from cityscribe.sources.video_blocks import frames_of
from cityscribe.sources.video_qa import video_named
from cityscribe.sources.videos import files_by_stem
from cityscribe.traffic.meta import TrafficMeta


def read_benchmark(
    root: Path, *, files: Sequence[str] = (), frames: int = FRAMES
) -> tuple[list[Sample], list[Problem]]:
    """One sample a question, in their order; those about the same images are one group.

    A split that cannot be read is one problem. Raises InputError where the root is no folder, or one that has not the
    name of a benchmark.
    """
    intake = open_intake(root)
    name = _name_of(root)
    if name not in BENCHMARKS:
        raise InputError(f"{root}: has not the name of a benchmark; there are {', '.join(BENCHMARKS)}")
    benchmark = BENCHMARKS[name]
    videos = files_by_stem(root)
    samples: list[Sample] = []
    splits = tuple(files) or benchmark.splits or (benchmark.split,)
    for split in splits:
        try:
            questions = benchmark.read(root, split)
        except InputError as error:
            # Of the splits that nobody asked for, those that are not there are no problem.
            if files or (split == splits[-1] and not samples):
                intake.add("error", root, split, str(error).replace(f"{root}/", ""))
            continue
        samples += [
            sample
            for question in questions
            if (sample := _sample(intake, benchmark, question, split, videos, frames)) is not None
        ]
    return samples, intake.problems


def _name_of(root: Path) -> str:
    return root.resolve().name.lower().replace("_", "-")


def _sample(
    intake: Intake,
    benchmark: Benchmark,
    question: BenchmarkQuestion,
    split: str,
    videos: dict[str, str],
    frames: int,
) -> Sample | None:
    entry = ConversationEntry(intake, intake.root, question.id, {})
    shown = _shown(entry, question, videos, frames)
    if shown is None:
        return None
    blocks = [image_block() for _ in shown]
    truth = next((text for text in question.truth if text), "")
    by_letter = bool(question.options) and benchmark.prompt == "choice"
    turns: list[Turn] = [("user", [*blocks, text_block(question.text)])]
    turns += [("assistant", [text_block(truth)])] if truth else []
    if by_letter:
        turns = choice_turns(question.text, question.options, truth.lower(), blocks)
    meta = TrafficMeta(
        scenario=question.video or question.shared_id or question.id,
        kind="choice" if by_letter else "chat",
        question=question.id,
        options=question.options if by_letter else (),
        split=split_named(split) or "test",
    )
    return build_sample(entry, turns, shown, [], frames=1, name=question.id, split=meta.split, meta=meta)


def _shown(
    entry: ConversationEntry, question: BenchmarkQuestion, videos: dict[str, str], frames: int
) -> list[str] | None:
    """References to what shows a question; None, noted, where it is not there."""
    root = entry.intake.root
    if question.encoded_image:
        entry.error("image", "is held by the file of the questions, which is not read here")
        return None
    if not question.video:
        missing = [image for image in question.images if not (root / image).is_file()]
        if missing:
            entry.error("image", f"the file {missing[0]} does not exist")
        return None if missing else list(question.images)
    if not frames:
        entry.error("", "shows a video; set data.frames to show some of its frames")
        return None
    if (root / question.video).is_dir():
        pictures = sorted(path for path in (root / question.video).iterdir() if is_image(path))
        chosen = {(2 * n + 1) * len(pictures) // (2 * frames) for n in range(frames)} if pictures else set()
        return [pictures[number].relative_to(root).as_posix() for number in sorted(chosen)] or None
    video = question.video if (root / question.video).is_file() else video_named(videos, question.video)
    if video is None:
        entry.error("video", f"is {question.video}, which is no video below the data folder")
        return None
    return frames_of(video, frames)


def recognise(listing: Listing) -> Certainty:
    return Certainty.LIKELY if _name_of(listing.root) in BENCHMARKS else Certainty.NO


SOURCE = ConversationSource(
    read_benchmark, recognise=recognise, looks_for="a folder with the name of a benchmark and its files"
)

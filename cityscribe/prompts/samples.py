"""Samples whose questions are put together for what their frames show.

    made = prompted(samples, library, reader, reading)      # the samples, and what was said of each

The prompt stands in the sample, where training, asking and a person read it; `prompts.jsonl` says of each what its
frame shows and which parts of the library it is made of.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from cityscribe.files import InputError
from cityscribe.letters import listed
from cityscribe.prompts.library import PromptLibrary, PutTogether
from cityscribe.prompts.reader import FrameImages, SeenFeatures
from cityscribe.prompts.settings import PromptSettings
from cityscribe.records import MessageBlock, Sample, SampleMessage, text_of


@dataclass(frozen=True, slots=True)
class PromptRow:
    """A line of `prompts.jsonl`."""

    scenario: str
    task: str
    images: FrameImages
    shown: dict[str, str]
    parts: tuple[str, ...]  # of the library; none of a sample that is asked as it is
    prompt: str


@dataclass(frozen=True, slots=True)
class Prompted:
    """Samples with their prompts."""

    samples: list[Sample]
    rows: list[PromptRow]
    as_it_is: dict[str, int]  # task that the library does not have -> samples


def task_of(sample: Sample) -> str:
    """What a library calls the task of a sample: its dimension, or else the name of its question."""
    return sample.meta.dimension or sample.meta.question


def frames_of(samples: Sequence[Sample]) -> list[FrameImages]:
    """The frames of samples, each once, in order."""
    return list(dict.fromkeys(sample.images for sample in samples if sample.images))


def check_tasks(library: PromptLibrary, samples: Sequence[Sample], origin: str) -> None:
    """Raises InputError where the library has a task that no sample is of."""
    known = Counter(task_of(sample) for sample in samples)
    unknown = [task for task in library.tasks if task not in known]
    if unknown:
        there = ", ".join(sorted(filter(None, known))) or "none with a name"
        raise InputError(f"{origin}: tasks.{unknown[0]}: no sample is of this task; there are: {there}")


def prompted(
    samples: Sequence[Sample],
    library: PromptLibrary,
    shown: dict[FrameImages, SeenFeatures],
    settings: PromptSettings,
    seed: int,
) -> Prompted:
    """Samples with prompts for what their frames show. A sample of a task that the library does not have keeps its
    question and is counted; of those that train, the share `settings.plain` keeps it too."""
    rng = random.Random(seed)  # a control, no secret
    others = _exchanged(list(shown), rng) if settings.control == "other-frame" else {}
    words = sorted({word for text in library.texts().values() for word in text.split() if "{" not in word})
    made, rows, as_it_is = [], [], Counter[str]()
    for sample in samples:
        task, question = task_of(sample), question_of(sample)
        frame = others.get(sample.images, sample.images)
        seen = shown.get(frame, {})
        if task not in library.tasks or question is None:
            as_it_is[task] += 1
            made.append(sample)
            rows.append(PromptRow(sample.meta.scenario, task, sample.images, dict(seen), (), question or ""))
            continue
        if sample.meta.split == "train" and rng.random() < settings.plain:
            made.append(sample)
            rows.append(PromptRow(sample.meta.scenario, task, sample.images, dict(seen), (), question))
            continue
        found = library.put_together(task, question, seen)
        if settings.control == "random-words":
            found = _random_words(question, found, words, rng)
        made.append(with_question(sample, found.text))
        rows.append(PromptRow(sample.meta.scenario, task, sample.images, dict(seen), found.parts, found.text))
    return Prompted(made, rows, dict(as_it_is))


def _exchanged(frames: list[FrameImages], rng: random.Random) -> dict[FrameImages, FrameImages]:
    """Each frame with another one, in a circle of random order."""
    order = frames[:]
    rng.shuffle(order)
    return dict(zip(order, [*order[1:], *order[:1]], strict=True))


def _random_words(question: str, found: PutTogether, words: Sequence[str], rng: random.Random) -> PutTogether:
    """The question as it is and random words, as many words in all as the prompt has, or the question alone."""
    count = len(found.text.split()) - len(question.split())
    drawn = [rng.choice(words) for _ in range(max(count, 0))]
    return PutTogether(text=" ".join([question, *drawn]), parts=("random words",))


def question_of(sample: Sample) -> str | None:
    """The words of the last question, without its options; None where they cannot be told apart."""
    asked = [entry for entry in sample.messages if entry["role"] == "user"]
    if not asked:
        return None
    text = text_of(asked[-1])
    if not sample.meta.options:
        return text
    place = text.find(listed(sample.meta.options))
    return text[:place].rstrip() if place > 0 else None


def with_question(sample: Sample, question: str) -> Sample:
    """A sample that asks this in the place of its last question. Options, images and all else stay."""
    old = question_of(sample)
    place = max(n for n, entry in enumerate(sample.messages) if entry["role"] == "user")
    entry = sample.messages[place]
    rest = text_of(entry)[len(old or "") :]
    blocks: list[MessageBlock] = [block for block in entry["content"] if block["type"] != "text"]
    blocks.append({"type": "text", "text": question + rest})
    asks: SampleMessage = {"role": entry["role"], "content": blocks}
    messages = (*sample.messages[:place], asks, *sample.messages[place + 1 :])
    return replace(sample, messages=messages)


def row_values(row: PromptRow) -> dict[str, object]:
    return asdict(row)

"""Samples as questions that are probed, and what asks their variants."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cityscribe.evaluate.probes.probe import Asking, ChangedQuestion, ImageChange, ProbedQuestion
from cityscribe.files import write_bytes
from cityscribe.letters import LETTERS
from cityscribe.media.images import as_png, open_image
from cityscribe.predict.over_time.rows import right_option
from cityscribe.records import Sample, SampleMessage, image_block, message, text_block, text_of, video_files
from cityscribe.sources.choices import reordered


@dataclass(frozen=True, slots=True)
class PreparedQuestion:
    """A sample with its variants by probe, each with the sample that asks it."""

    sample: Sample
    question: ProbedQuestion
    changed: dict[str, list[tuple[ChangedQuestion, Sample]]]
    own: bool = False  # whether a probe brought it


def usable_samples(samples: Sequence[Sample]) -> tuple[list[Sample], Counter[str]]:
    """The samples that can be probed, and the reasons why others cannot, each with their number."""
    usable, left_out = [], Counter[str]()
    for sample in samples:
        if not sample.meta.options:
            left_out["without options"] += 1
        elif right_option(sample) is None:
            left_out["without a right answer"] += 1
        elif video_files(sample) or not sample.images:
            left_out["about a video file, or without images"] += 1
        else:
            usable.append(sample)
    return usable, left_out


def prepared_questions(samples: Sequence[Sample], drawn: Sequence[Sample], root: Path) -> list[PreparedQuestion]:
    """The drawn samples as questions; each knows what all samples say of its clip."""
    words: dict[str, list[str]] = {}
    for sample in samples:
        words.setdefault(group_of(sample), []).append(known_of(sample))
    names = Counter[str]()
    asked = []
    for sample in drawn:
        name = sample.meta.question or sample.meta.scenario or sample.group
        names[name] += 1
        right = right_option(sample)
        assert right is not None
        question = ProbedQuestion(
            key=name if names[name] == 1 else f"{name}#{names[name]}",
            group=group_of(sample),
            options=sample.meta.options,
            right=right,
            text=text_of(last_asked(sample)),
            images=tuple((root / image).resolve() for image in sample.images),
            words=" ".join(filter(None, words[group_of(sample)])),
            about=sample.meta.about(),
        )
        asked.append(PreparedQuestion(replace(sample, images=tuple(map(str, question.images))), question, {}))
    return asked


def group_of(sample: Sample) -> str:
    return sample.meta.scenario or sample.group


def known_of(sample: Sample) -> str:
    """What a sample says of what it shows: its answer, of a choice the words of the right option."""
    right = right_option(sample)
    if right is not None:
        stem = text_of(last_asked(sample)).partition(f"\n{LETTERS[0]}. ")[0].strip()
        return f"{stem} {sample.meta.options[right]}."
    return text_of(sample.messages[-1]) if sample.messages[-1]["role"] == "assistant" else ""


def last_asked(sample: Sample) -> SampleMessage:
    return [entry for entry in sample.messages if entry["role"] == "user"][-1]


def own_question(asking: Asking, kind: str, number: int, out: Path, seed: int) -> PreparedQuestion:
    """A question that a probe brought."""
    sample = asking.sample
    right = right_option(sample)
    question = ProbedQuestion(
        key=f"{kind} {number + 1}",
        group=group_of(sample),
        options=sample.meta.options,
        right=-1 if right is None else right,
        text=text_of(last_asked(sample)),
        images=tuple(map(Path, sample.images)),
        about={**sample.meta.about(), **asking.about},
    )
    asked = PreparedQuestion(sample, question, {}, own=True)
    asked.changed[kind] = prepared_variants(asked, asking.variants, out, seed)
    return asked


def prepared_variants(
    asked: PreparedQuestion, variants: Sequence[ChangedQuestion], out: Path, seed: int
) -> list[tuple[ChangedQuestion, Sample]]:
    """The variants of a question with the samples that ask them; none where one of them cannot be asked. Writes the
    changed images that are not there yet."""
    made, digests = [], dict[str, str]()
    for variant in variants:
        asks = _reworded(asked, variant)
        if asks is None:  # its words do not list the options as they are read
            return []
        if variant.change is not None:
            places = range(len(asks.images)) if variant.places is None else variant.places
            images = list(asks.images)
            for place in places:
                name = images[place]
                digests[name] = digests.get(name) or _digest(Path(name), seed)
                images[place] = _written(Path(name), digests[name], out / "images", variant.change)
            asks = replace(asks, images=tuple(images))
        made.append((variant, asks))
    return made


def _reworded(asked: PreparedQuestion, variant: ChangedQuestion) -> Sample | None:
    """The sample that asks a variant, before its images are changed; None where it cannot be asked."""
    sample, question = asked.sample, asked.question
    if variant.images is not None:
        images = tuple(map(str, variant.images))
        sample = replace(sample, images=images, messages=_with_images(sample, len(images)))
    if variant.text is None:
        if variant.options == question.options:
            return sample
        return reordered(sample, variant.options)
    last = sample.messages.index(last_asked(sample))
    blocks = [block for block in sample.messages[last]["content"] if block["type"] != "text"]
    asks = [*sample.messages[:last], message("user", *blocks, text_block(variant.text))]
    right = question.options[question.right] if variant.right is None and question.options else variant.right
    if right:
        asks.append(message("assistant", text_block(LETTERS[variant.options.index(right)])))
    kind = "choice" if variant.options else "chat"
    return replace(sample, messages=tuple(asks), meta=replace(sample.meta, options=variant.options, kind=kind))


def _with_images(sample: Sample, count: int) -> tuple[SampleMessage, ...]:
    """The messages with so many image blocks: what is too much goes; what is missing comes before the last question."""
    messages, left = [], count
    for entry in sample.messages:
        blocks = []
        for block in entry["content"]:
            if block["type"] == "image":
                left -= 1
                if left < 0:
                    continue
            blocks.append(block)
        messages.append(message(entry["role"], *blocks))
    if left > 0:
        last = sample.messages.index(last_asked(sample))
        messages[last] = message("user", *[image_block()] * left, *messages[last]["content"])
    return tuple(messages)


def _digest(image: Path, seed: int) -> str:
    """By which a changed image is named, and what is random in it is drawn."""
    return hashlib.sha256(image.read_bytes() + b"\n%d" % seed).hexdigest()


def _written(image: Path, digest: str, folder: Path, change: ImageChange) -> str:
    """The changed image as a file, as PNG, which loses nothing more. Questions about one image share it."""
    path = folder / f"{digest[:24]}-{change.name}.png"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(path, as_png(change.apply(open_image(image), int(digest[24:36], 16))))
    return str(path.resolve())

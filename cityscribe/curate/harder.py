"""Questions like those that a student answers worst, answered by its teacher: one round of the loop of CoMD.

    found = assess(samples, student, teacher, reward)           # how far each answer is from the teacher's
    hard, easy = parted(found, HarderSettings(below=0.5))
    new = like(client, hard, 2)                                  # a language model writes questions of the same kind
    made = [*hard, *taught(new, teacher), *easy]                 # and the teacher answers them

The student is tuned on what was made and assessed again. The teacher is a model that sees the pictures, or a language
model that does not and knows what is known of each (`TextTeacher`): then an answer that rests on nothing is left out.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cityscribe.curate.instructions import DescribedImage, ungrounded
from cityscribe.files import InputError
from cityscribe.llm import Client, ReplySampling
from cityscribe.llm.message import Message
from cityscribe.records import Sample, image_block, message, text_block, text_of
from cityscribe.rewards.reward import Reward, answered, asked_of

AnswersOf = Callable[[Sequence[Sample]], list[str]]
"""An answer to the last question of each sample; empty where there is none."""

WRITE = (
    "Below is a question about a picture, with its right answer. Somebody got it wrong. Write {count} other questions "
    "about the same picture that need the same skill: looking at the same kind of thing, with the same kind of answer. "
    "Do not answer them. Begin each with `Q:` on a line of its own."
)
SAY = (
    "Answer the question about a picture that you cannot see. All that is known of it stands below; say nothing that "
    "does not follow from that, and do not mention it. Where it does not tell the answer, say only: unknown."
)
UNKNOWN = re.compile(r"\W*unknown\W*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Assessed:
    """A sample with what both say: its last answer is the teacher's."""

    sample: Sample
    said: str  # by the student
    worth: float  # of what the student says, where the teacher's answer is right


@dataclass(slots=True)
class MadeSamples:
    """Samples, and how often what was left out, by its reason."""

    samples: list[Sample] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def assess(
    samples: Sequence[Sample], student: AnswersOf, teacher: AnswersOf, reward: Reward
) -> tuple[list[Assessed], Counter[str]]:
    """What the student's answer to each sample is worth, measured by the teacher's; what the teacher does not answer is
    left out and counted."""
    left_out: Counter[str] = Counter()
    taught_by = teacher(samples)
    kept = [(sample, right) for sample, right in zip(samples, taught_by, strict=True) if right.strip()]
    left_out["the teacher has no answer"] += len(samples) - len(kept)
    found = []
    for (sample, right), said in zip(kept, student([sample for sample, _ in kept]), strict=True):
        given = answered(sample, right)
        found.append(Assessed(given, said, reward.score(given, [said])[0]))
    return found, +left_out


def parted(found: Sequence[Assessed], below: float, most: int) -> tuple[list[Assessed], list[Assessed]]:
    """Those that are worth less than `below`, the worst first and at most `most`, and those that are worth more."""
    hard = sorted((each for each in found if each.worth < below), key=lambda each: each.worth)
    return hard[:most], [each for each in found if each.worth >= below]


def like(client: Client, hard: Sequence[Assessed], count: int, sampling: ReplySampling | None = None) -> MadeSamples:
    """New questions about the pictures of the hard ones, without an answer. One that is asked about the picture already
    is left out, and so are replies without any."""
    made = MadeSamples()
    asked: dict[tuple[str, ...], set[str]] = {}
    for each in hard:
        asked.setdefault(each.sample.images, set()).add(_folded(question_of(each.sample)))
    chats: list[list[Message]] = [
        [
            {"role": "system", "content": WRITE.format(count=count)},
            {"role": "user", "content": f"Q: {question_of(each.sample)}\nA: {text_of(each.sample.messages[-1])}"},
        ]
        for each in hard
    ]
    replies = client.ask(
        chats, sampling or ReplySampling(), lambda _, text: questions_in(text) or None, skip_unanswered=True
    )
    for each, questions in zip(hard, replies.values, strict=True):
        made.left_out["no question that can be read"] += questions is None
        for question in (questions or [])[:count]:
            if _folded(question) in asked[each.sample.images]:
                made.left_out["a question that is asked already"] += 1
                continue
            asked[each.sample.images].add(_folded(question))
            blocks = [*(image_block() for _ in each.sample.images), text_block(question)]
            meta = replace(each.sample.meta, kind="chat", options=(), note="like a hard one")
            made.samples.append(replace(each.sample, messages=(message("user", *blocks),), meta=meta, preference=None))
    made.left_out = +made.left_out
    return made


def taught(samples: Sequence[Sample], teacher: AnswersOf) -> MadeSamples:
    """Samples with the teacher's answers; those that it does not answer are counted."""
    made = MadeSamples()
    for sample, said in zip(samples, teacher(samples), strict=True):
        if said.strip():
            made.samples.append(answered(sample, said.strip()))
        else:
            made.left_out["the teacher has no answer"] += 1
    return made


def beside(easy: Sequence[Assessed], share: float, hard: int, seed: int) -> list[Sample]:
    """Easy ones, so that what is known is not lost: `share` of all, where `hard` others stand beside them."""
    if share >= 1:
        raise InputError(f"easy: {share:g}; a share of easy questions is below 1")
    count = min(round(hard * share / (1 - share)), len(easy))
    return [each.sample for each in random.Random(seed).sample(list(easy), count)]  # a choice, no secret


@dataclass(slots=True)
class TextTeacher:
    """A language model that answers from what is known of a picture. `known` is by the images of samples."""

    client: Client
    known: Mapping[tuple[str, ...], DescribedImage]
    sampling: ReplySampling = field(default_factory=ReplySampling)
    left_out: Counter[str] = field(default_factory=Counter)

    def __call__(self, samples: Sequence[Sample]) -> list[str]:
        known = [self.known.get(sample.images) for sample in samples]
        asked = [n for n, each in enumerate(known) if each is not None]
        self.left_out["nothing is known of the picture"] += len(samples) - len(asked)
        chats: list[list[Message]] = []
        for n in asked:
            scene = known[n]
            text = f"{scene.text() if scene else ''}\n\nQ: {question_of(samples[n])}"
            chats.append([{"role": "system", "content": SAY}, {"role": "user", "content": text}])
        replies = self.client.ask(chats, self.sampling, lambda _, text: _said(text), skip_unanswered=True)
        found = [""] * len(samples)
        for n, said in zip(asked, replies.values, strict=True):
            scene = known[n]
            if said is None or UNKNOWN.fullmatch(said):
                self.left_out["it does not know" if said else "no reply that can be read"] += 1
                continue
            why = ungrounded(said, scene, _things(self.known.values())) if scene else ""
            self.left_out[why] += bool(why)
            found[n] = "" if why else said
        self.left_out = +self.left_out
        return found


def known_of(samples: Iterable[Sample]) -> dict[tuple[str, ...], DescribedImage]:
    """What the answers of samples say of each picture, as a teacher that sees none reads it."""
    said: dict[tuple[str, ...], list[str]] = {}
    for sample in samples:
        if sample.images and sample.messages[-1]["role"] == "assistant":
            line = f"{question_of(sample)} {text_of(sample.messages[-1])}"
            if line not in said.setdefault(sample.images, []):
                said[sample.images].append(line)
    return {images: DescribedImage(images[0], tuple(lines)) for images, lines in said.items()}


def question_of(sample: Sample) -> str:
    """The words of the last question."""
    return text_of(asked_of(sample)[-1]).strip()


def questions_in(text: str) -> list[str]:
    """The questions of a reply: what stands behind `Q:` at the beginning of a line."""
    found = [" ".join(line.split()) for line in re.findall(r"^\s*Q\s*:\s*(.+)$", text, flags=re.MULTILINE)]
    return [line for line in found if line]


def _said(text: str) -> str | None:
    return " ".join(text.split()).removeprefix("A:").strip() or None


def _things(scenes: Iterable[DescribedImage]) -> set[str]:
    return {name.lower() for scene in scenes for name, _ in scene.boxes}


def _folded(question: str) -> str:
    return " ".join(re.findall(r"\w+", question.casefold()))

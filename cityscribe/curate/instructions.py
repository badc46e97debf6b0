"""Instruction data from captions and boxes, by a language model that never sees the picture (LLaVA, Liu et al. 2023).

    made = instruct(Client(ServerModel(...)), scenes)
    made.samples, made.skipped      # Counter({"a number that nothing gives": 3, ...})

Of a scene (its captions, its boxes) the model writes a conversation, a detailed description, or a question that has to
be thought about with its answer. An answer is kept where it is grounded: what it counts and names is in the captions or
boxes, and it does not talk of them. Further: questions whose answer is a box, texts that say which form an answer is
to have, and mixtures of sets by their shares.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

from cityscribe.files import InputError
from cityscribe.llm import Client, ReplySampling
from cityscribe.llm.message import Message
from cityscribe.records import Sample, SampleMessage, image_block, message, text_block, text_of
from cityscribe.traffic.meta import TrafficMeta

InstructionKind = Literal["conversation", "description", "reasoning"]
KINDS: tuple[InstructionKind, ...] = ("conversation", "description", "reasoning")

ROLE = (
    "You are looking at a picture. What you know of it stands below: sentences that people wrote about it, and where "
    "things are in it, as left, top, right and bottom edge in shares of its width and height. Write as somebody who "
    "sees the picture: never mention the sentences or the numbers of the edges, and say nothing that does not follow "
    "from them."
)
TASKS: Mapping[InstructionKind, str] = {
    "conversation": "Write a talk about the picture: up to five questions that somebody who sees it might ask (what "
    "there is, how many, where, in what colour, what is going on), each with its answer. Ask only what is surely "
    "answered by what you know. Begin each question with `Q:` and each answer with `A:`, on lines of their own.",
    "description": "Describe the picture in full, in one or two paragraphs: what is in it, where, and how things stand "
    "to each other. Begin with `A:`.",
    "reasoning": "Write one question about the picture that cannot be answered by naming what is in it, but by "
    "thinking about it (why, what might happen, what should somebody heed), and an answer that gives its reasons. "
    "Begin the question with `Q:` and the answer with `A:`.",
}
DESCRIBE = ("Describe this picture in detail.", "What is to be seen here? Leave nothing out.", "Give a full account.")
"""What a description is the answer to; which one, the scene says."""

FORMATS: Mapping[str, str] = {
    "phrase": "Answer with one word or a short phrase.",
    "letter": "Answer with the letter of the right option alone.",
    "box": "Answer with the box of what the sentence describes.",
    "sentence": "Answer in one sentence.",
}
"""Behind a question: which form its answer is to have (LLaVA-1.5, Table 7, in words of our own)."""

GIVEN_AWAY = re.compile(
    r"\b(captions?|bounding|coordinates?|(the|these|given|provided) (sentences?|descriptions?|boxes|information))\b",
    re.IGNORECASE,
)
LETTER = re.compile(r"\(?[A-Za-z]\)?\.?")
PHRASE_WORDS = 3
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
NUMBER = re.compile(r"\d+(?:\.\d+)?|\b(?:" + "|".join(WORDS[2:]) + r")\b", re.IGNORECASE)

BoxShares = tuple[float, float, float, float]
"""x1, y1, x2, y2 as shares of width and height."""


@dataclass(frozen=True, slots=True)
class DescribedImage:
    """What is known of a picture. The file is as in `Sample.images`."""

    image: str
    captions: tuple[str, ...]
    boxes: tuple[tuple[str, BoxShares], ...] = ()
    split: str = ""

    def text(self) -> str:
        """As the model reads it."""
        lines = [*self.captions, *(f"{name}: {box_text(edges)}" for name, edges in self.boxes)]
        return "\n".join(lines)


@dataclass(slots=True)
class Instructions:
    """The samples that were made, and how often what was left out, by its reason."""

    samples: list[Sample] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def instruct(
    client: Client,
    scenes: Sequence[DescribedImage],
    kinds: Sequence[InstructionKind] = KINDS,
    *,
    sampling: ReplySampling | None = None,
    repeats: int = 1,
) -> Instructions:
    """A sample of each kind for each scene, as far as what the model writes is grounded. Replies are kept by the
    client's cache, so that a stopped one goes on. Raises InputError as the client does, and for a kind of none."""
    for kind in kinds:
        if kind not in TASKS:
            raise InputError(f"{kind}: no kind of instruction data; expected {', '.join(TASKS)}")
    asked = [(scene, kind) for scene in scenes for kind in kinds]
    chats: list[list[Message]] = [
        [{"role": "system", "content": ROLE}, {"role": "user", "content": f"{scene.text()}\n\n{TASKS[kind]}"}]
        for scene, kind in asked
    ]
    replies = client.ask(
        chats,
        sampling or ReplySampling(),
        lambda place, text: parsed(asked[place][1], text) or None,
        repeats=repeats,
        skip_unanswered=True,
    )
    made = Instructions()
    things = {name.lower() for scene in scenes for name, _ in scene.boxes}
    for (scene, kind), turns in zip(asked, replies.values, strict=True):
        if turns is None:
            made.skipped["no reply that can be read"] += 1
            continue
        kept = []
        for question, answer in turns:
            reason = ungrounded(answer, scene, things)
            made.skipped[reason] += bool(reason)
            kept += [] if reason else [(question or _asked_for(scene), answer)]
        if kept:
            made.samples.append(_sample(scene, kind, kept))
    made.skipped = +made.skipped
    return made


def parsed(kind: InstructionKind, text: str) -> list[tuple[str, str]]:
    """Questions and answers of a reply, in their order; a description has no question. Empty where it has another
    form."""
    pieces = re.split(r"^\s*([QA])\s*:", text, flags=re.MULTILINE)[1:]
    marks, texts = pieces[::2], [" ".join(piece.split()) for piece in pieces[1::2]]
    if kind == "description":
        return [("", texts[0])] if marks == ["A"] and texts[0] else []
    if not marks or marks != ["Q", "A"] * (len(marks) // 2) or not all(texts):
        return []
    turns = list(zip(texts[::2], texts[1::2], strict=True))
    return turns[:1] if kind == "reasoning" else turns


def ungrounded(answer: str, scene: DescribedImage, things: Iterable[str] = ()) -> str:
    """Why an answer does not rest on what is known of a scene; empty where nothing is found. `things` are the names
    that boxes have in any scene."""
    if GIVEN_AWAY.search(answer):
        return "talks of what it was given"
    known = " ".join(scene.captions).lower()
    counts = Counter(name.lower() for name, _ in scene.boxes)
    numbers = {_number(found) for found in NUMBER.findall(known)} | {float(count) for count in counts.values()}
    if any(_number(found) not in numbers for found in NUMBER.findall(answer)):
        return "a number that nothing gives"
    said = answer.lower()
    for thing in things:
        named = re.compile(rf"\b{re.escape(thing)}(?:s|es)?\b")
        if named.search(said) and not counts[thing] and not named.search(known):
            return "names what is not there"
    return ""


def box_questions(scene: DescribedImage, forms: Mapping[str, str] = FORMATS) -> list[Sample]:
    """Questions for the box of each thing whose name only one box of a scene has, in LLaVA's form of boxes."""
    counts = Counter(name for name, _ in scene.boxes)
    return [
        _sample(scene, "box", [(formatted(name, "box", forms), box_text(edges))])
        for name, edges in scene.boxes
        if counts[name] == 1
    ]


def box_text(edges: BoxShares) -> str:
    """LLaVA writes a box as its edges in shares of the picture, to two places."""
    return "[" + ", ".join(f"{edge:.2f}" for edge in edges) + "]"


def formatted(question: str, form: str, forms: Mapping[str, str] = FORMATS) -> str:
    """A question and, on a line of its own, the form that its answer is to have. Raises InputError for a form of
    none."""
    if form not in forms:
        raise InputError(f"{form}: no form of answers; expected {', '.join(forms)}")
    return f"{question}\n{forms[form]}"


def form_of(answer: str) -> str:
    """Which form an answer has that its question has to ask for: a `phrase` where it has few words and does not end as
    a sentence does, a `letter` where it is one; empty for the others."""
    words = answer.split()
    if len(words) == 1 and LETTER.fullmatch(answer.strip()):
        return "letter"
    return "phrase" if 0 < len(words) <= PHRASE_WORDS and answer.strip()[-1] not in ".!?]" else ""


def with_forms(sample: Sample, forms: Mapping[str, str] = FORMATS) -> Sample:
    """A sample whose questions say which form their answers are to have, where that is not the one of a talk."""
    messages = list(sample.messages)
    for place, (asked, said) in enumerate(pairwise(messages)):
        form = form_of(text_of(said)) if (asked["role"], said["role"]) == ("user", "assistant") else ""
        if form and not any(words in text_of(asked) for words in forms.values()):
            media = [block for block in asked["content"] if block["type"] != "text"]
            messages[place] = message("user", *media, text_block(formatted(text_of(asked), form, forms)))
    return replace(sample, messages=tuple(messages))


def mixed(sets: Mapping[str, Sequence[Sample]], shares: Mapping[str, float], count: int, seed: int = 0) -> list[Sample]:
    """`count` samples of several sets by their shares, in an order drawn by the seed; no sample twice.

    Raises InputError for shares of sets that there are not, that do not add up to something, and for a set that is too
    small for its share.
    """
    unknown = sorted(shares.keys() - sets.keys())
    total = sum(shares.values())
    if unknown or total <= 0 or min(shares.values()) < 0:
        raise InputError(f"shares: {unknown[0] if unknown else dict(shares)}; expected shares of {', '.join(sets)}")
    drawn = random.Random(seed)
    taken: list[Sample] = []
    for name, size in zip(shares, _whole([share / total * count for share in shares.values()]), strict=True):
        if size > len(sets[name]):
            raise InputError(f"{name}: has {len(sets[name])} samples; its share of {count} is {size}")
        taken += drawn.sample(list(sets[name]), size)
    drawn.shuffle(taken)
    return taken


def _whole(shares: Sequence[float]) -> list[int]:
    """Whole numbers with the same sum, the largest rests rounded up."""
    sizes = [int(share) for share in shares]
    rests = sorted(range(len(shares)), key=lambda n: (sizes[n] - shares[n], n))
    for place in rests[: round(sum(shares)) - sum(sizes)]:
        sizes[place] += 1
    return sizes


def _sample(scene: DescribedImage, kind: str, turns: Sequence[tuple[str, str]]) -> Sample:
    meta = TrafficMeta(scenario=scene.image, split=scene.split, kind="chat", question=kind)
    return Sample(tuple(_messages(turns)), (scene.image,), scene.image, meta)


def _messages(turns: Sequence[tuple[str, str]]) -> Iterator[SampleMessage]:
    for number, (question, answer) in enumerate(turns):
        yield message("user", *([] if number else [image_block()]), text_block(question))
        yield message("assistant", text_block(answer))


def _asked_for(scene: DescribedImage) -> str:
    return random.Random(scene.image).choice(DESCRIBE)


def _number(text: str) -> float:
    word = text.lower()
    return float(WORDS.index(word)) if word in WORDS else float(word)

"""What a model could do besides, asked before and after its tuning: whether it forgot something by it.

    questions = gate_questions(samples, refusals)
    compare_gates(questions, ask_gates(before, questions, root), ask_gates(after, questions, root))

Three sets (`gates.yaml`): fixed questions of text; fixed questions about pictures of the prepared data, whose truth the
attribute reader reads in the reference; and, of a file of the user, what a model should decline to answer. Tuning that
costs none of them has passed its gates; how much of them may be lost is for people to say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from pydantic import BaseModel

from cityscribe.engine.request import Engine, Request
from cityscribe.files import InputError
from cityscribe.plain_yaml import parse_yaml, read_yaml
from cityscribe.records import Sample, image_block, message, text_block
from cityscribe.rewards.reward import reference_answer
from cityscribe.traffic.metrics.attributes import UNCLEAR, agrees, read_attributes

PICTURES = 16
"""Pictures of the prepared data that are asked about, spread over all."""

MAX_TOKENS = 40
"""Of an answer."""


@dataclass(frozen=True, slots=True)
class GateQuestion:
    """A question, and what is right to answer."""

    kind: str  # "text", "city" or "refusals"
    question: str
    right: tuple[str, ...]  # words, one of which has to stand in the answer; of refusals none
    attribute: str = ""  # of the city
    images: tuple[str, ...] = ()  # relative to the prepared data


@dataclass(frozen=True, slots=True)
class GateScore:
    """One set, before and after the tuning. The row of a table."""

    questions: str
    asked: int
    right_before: int
    right_after: int
    lost: int  # right before, wrong after
    won: int


class _TextQuestion(BaseModel):
    question: str
    right: tuple[str, ...]


class _Gates(BaseModel):
    """What `gates.yaml` holds."""

    text: tuple[_TextQuestion, ...]
    city: dict[str, str]  # attribute -> question
    refusals: tuple[str, ...]  # patterns


def gate_questions(samples: Sequence[Sample], refusals: Path | None) -> list[GateQuestion]:
    """All questions for samples of prepared data. Raises InputError for a file of refusals that is none."""
    known = _known()
    found = [GateQuestion("text", each.question, each.right) for each in known.text]
    about: dict[tuple[str, ...], dict[str, str]] = {}
    for sample in samples:
        stated = {name: value for name, value in read_attributes(reference_answer(sample)).items() if value != UNCLEAR}
        if sample.images and stated:
            about.setdefault(sample.images, {}).update(stated)
    shown = list(about)
    for images in shown[:: max(len(shown) // PICTURES, 1)][:PICTURES]:
        found += [
            GateQuestion("city", question, (about[images][name],), name, images)
            for name, question in known.city.items()
            if name in about[images]
        ]
    return found + [GateQuestion("refusals", text, ()) for text in _refusals(refusals)]


def ask_gates(engine: Engine, questions: Sequence[GateQuestion], root: Path) -> list[str]:
    """What a model answers, greedily; an empty text where it gave none."""
    requests = [
        Request(
            (message("user", *[image_block()] * len(each.images), text_block(each.question)),),
            tuple(root / image for image in each.images),
            max_tokens=MAX_TOKENS,
        )
        for each in questions
    ]
    return [answer.text for (answer,) in engine.answer(requests)]


def is_right(question: GateQuestion, answer: str) -> bool:
    """Whether an answer is what it should be."""
    if question.kind == "refusals":
        return any(re.search(pattern, answer.replace("’", "'"), re.IGNORECASE) for pattern in _known().refusals)
    if question.attribute:
        said = read_attributes(answer).get(question.attribute)
        if said is not None and agrees(question.attribute, question.right[0], said):
            return True
    words = re.findall(r"\w+", answer.lower())
    return any(right.lower() in words for right in question.right)


def compare_gates(
    questions: Sequence[GateQuestion], before: Sequence[str], after: Sequence[str]
) -> dict[str, list[dict[str, object]]]:
    """What `gates.json` holds: a row a set, and the questions whose answer was right before and is wrong now."""
    marked = [
        (each, is_right(each, first), is_right(each, second), first, second)
        for each, first, second in zip(questions, before, after, strict=True)
    ]
    rows = []
    for kind in dict.fromkeys(each.kind for each in questions):
        own = [(first, second) for each, first, second, *_ in marked if each.kind == kind]
        rows.append(
            GateScore(
                questions=kind,
                asked=len(own),
                right_before=sum(first for first, _ in own),
                right_after=sum(second for _, second in own),
                lost=sum(first and not second for first, second in own),
                won=sum(second and not first for first, second in own),
            )
        )
    lost: list[dict[str, object]] = [
        {"question": each.question, "images": ", ".join(each.images), "before": said, "after": says}
        for each, first, second, said, says in marked
        if first and not second
    ]
    return {"sets": [asdict(row) for row in rows], "lost": lost}


def _refusals(file: Path | None) -> list[str]:
    if file is None:
        return []
    texts: object = read_yaml(file) if file.suffix in (".yaml", ".yml") else _lines_of(file)
    if isinstance(texts, dict):
        texts = texts.get("questions")
    if not isinstance(texts, list) or not texts or not all(isinstance(one, str) and one.strip() for one in texts):
        raise InputError(f"{file}: expected questions to be declined, a line each or a YAML list `questions`")
    return texts


def _lines_of(file: Path) -> list[str]:
    """The lines of a text file that are not empty. Raises InputError."""
    try:
        return [line.strip() for line in file.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not a readable text: {error}") from error


@cache
def _known() -> _Gates:
    file = Path(__file__).with_name("gates.yaml")
    return _Gates.model_validate(parse_yaml(file.read_text("utf-8"), str(file))[0])

"""Answers to questions, read from the JSON lines of `predict` and set beside what they should have been.

    {"id": "q1", "scenario": "clip7", "question": "...", "answer": "b", "reference": "a", "options": [...], ...}

A line brings its own reference. Where the samples of the data set are given, they say what was asked and what is right,
whatever the lines say, and a question without a line counts as not answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from cityscribe.evaluate.text_files import text_of_file
from cityscribe.files import InputError
from cityscribe.letters import LETTERS
from cityscribe.records import Sample, text_of


class PredictionLine(BaseModel):
    """One line of `predictions.jsonl`, as far as it is scored."""

    model_config = ConfigDict(frozen=True)

    id: str
    answer: str
    scenario: str = ""
    question: str = ""
    reference: str = ""
    images: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()  # the log-likelihoods of the options, where they were asked for


LINES = TypeAdapter(PredictionLine)


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """One question with what is right and what was said. `answer` is None where there is none."""

    key: str  # unique in its file
    name: str  # in its data set
    group: str  # questions of one group are about the same clip or image
    text: str
    reference: str
    answer: str | None
    options: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    about: dict[str, str] = field(default_factory=dict)  # such as {"phase": "action"}; nothing empty

    @property
    def stem(self) -> str:
        """The words of the question without its options."""
        return self.text.partition(f"\n{LETTERS[0]}. ")[0].strip()


def read_lines(path: Path) -> list[PredictionLine]:
    """The lines of a file of predictions. Raises InputError naming the file and the line that is malformed."""
    lines = []
    for number, text in enumerate(text_of_file(path).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            lines.append(LINES.validate_json(text))
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(map(str, fault["loc"])) or "the line"
            raise InputError(
                f"{path}: line {number}: {place}: {fault['msg']}; expected what `predict` writes"
            ) from error
    if not lines:
        raise InputError(f"{path}: holds no answers")
    return lines


def read_questions(path: Path, samples: Sequence[Sample] | None = None) -> tuple[list[AskedQuestion], int]:
    """The questions with their answers, and how many lines answer no question of `samples`.

    Lines and samples are paired by scenario and name; of several with the same, in their order. Raises InputError as
    `read_lines`, and where no line answers any of the samples.
    """
    lines = read_lines(path)
    if samples is None:
        seen = _keys((line.scenario, line.id) for line in lines)
        return [_from_line(line, key) for line, key in zip(lines, seen, strict=True)], 0
    by_key = dict(zip(_keys((line.scenario, line.id) for line in lines), lines, strict=True))
    keys = _keys((sample.meta.scenario, _name(sample)) for sample in samples)
    unknown = len(by_key.keys() - set(keys))
    if unknown == len(by_key):
        first = next(iter(by_key))
        raise InputError(f"{path}: answers none of the questions of the references; its first is {first}")
    return [from_sample(sample, key, by_key.get(key)) for sample, key in zip(samples, keys, strict=True)], unknown


def from_sample(sample: Sample, key: str, line: PredictionLine | None) -> AskedQuestion:
    """A sample as a question, with the line that answers its last turn."""
    messages, meta = sample.messages, sample.meta
    answered = bool(messages) and messages[-1]["role"] == "assistant"
    asked = messages[:-1] if answered else messages
    return AskedQuestion(
        key=key,
        name=_name(sample),
        group=meta.scenario or sample.group,
        text=text_of(asked[-1]) if asked else "",
        reference=text_of(messages[-1]) if answered else "",
        answer=None if line is None else line.answer,
        options=meta.options,
        images=sample.images,
        about=meta.about(),
    )


def _from_line(line: PredictionLine, key: str) -> AskedQuestion:
    return AskedQuestion(
        key=key,
        name=line.id,
        group=line.scenario or "|".join(line.images) or key,
        text=line.question,
        reference=line.reference,
        answer=line.answer,
        options=line.options,
        images=line.images,
    )


def _name(sample: Sample) -> str:
    return sample.meta.question or sample.meta.scenario


def _keys(names: Iterable[tuple[str, str]]) -> list[str]:
    """`SCENARIO/NAME`, or the name alone where it begins so; what is there already gets a number."""
    seen: Counter[str] = Counter()
    keys = []
    for scenario, name in names:
        key = name if name.startswith(scenario) else f"{scenario}/{name}"
        seen[key] += 1
        keys.append(key if seen[key] == 1 else f"{key}#{seen[key]}")
    return keys

"""A prompt library: what can be looked for in a frame, and how a task is put to the model when it is there.

    looks:
      traffic light:
        ask: What colour is the traffic light?
        values: {red: [red], green: [green], "no": [none, "no"]}
    tasks:
      traffic light:
        ask: Which state does the traffic light show?
        add:
          - when: {traffic light: "no"}
            say: There seems to be none.

A look is a cheap first question. Its answer becomes the value of the feature of its name: the first value one of whose
words is in the answer, or else `otherwise`. A look may stand under a condition on other looks and name their values in
braces: then it is asked after them. A task is `ask`, and behind it each text of `add` whose condition holds.
`{question}` is the sample's own question, `{NAME}` the value of a feature. A condition names values of features; `yes`
means any value but no, and what is not known fulfils no condition.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cityscribe.files import InputError
from cityscribe.plain_yaml import read_yaml
from cityscribe.prompts import LIBRARIES
from cityscribe.prompts.reader import SeenFeatures

NO, YES = "no", "yes"
QUESTION = "question"
SLOT = re.compile(r"\{([^{}]*)\}")


def _word(value: Any) -> Any:
    """YAML reads `no` and `30` as something else than the words that are meant."""
    if isinstance(value, bool):
        return YES if value else NO
    return str(value) if isinstance(value, int) else value


Word = Annotated[str, BeforeValidator(_word)]
WordList = Annotated[
    tuple[Word, ...], BeforeValidator(lambda value: value if isinstance(value, list | tuple) else [value])
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FrameLook(_Part):
    """A question about a frame whose answer is the value of a feature."""

    ask: str = Field(min_length=1)
    values: dict[Word, WordList] = {}  # value -> words of an answer that mean it
    otherwise: Word = ""  # the value of any other answer; "" leaves the feature unknown
    when: dict[str, WordList] = {}


class Addition(_Part):
    """A text that is said where a condition holds."""

    when: dict[str, WordList] = {}
    say: str = Field(min_length=1)


class TaskPrompt(_Part):
    """How a task is put to the model."""

    ask: str = Field("{question}", min_length=1)
    add: tuple[Addition, ...] = ()
    wordings: tuple[str, ...] = ()  # sentences that the built-in search may use


class PutTogether(BaseModel):
    """A prompt and the parts of the library that it is made of, by their places."""

    model_config = ConfigDict(frozen=True)

    text: str
    parts: tuple[str, ...]


class PromptLibrary(_Part):
    looks: dict[str, FrameLook] = {}
    tasks: dict[str, TaskPrompt] = Field(min_length=1)

    def put_together(self, task: str, question: str, shown: SeenFeatures) -> PutTogether:
        """The prompt of a task for a frame that shows this. A text with a value that is not known is left out, unless
        it is the question itself: then the sample's own question takes its place."""
        prompt = self.tasks[task]
        values = {**shown, QUESTION: question}
        first = filled(prompt.ask, values)
        said = [(task, first if first is not None else question)]
        for number, addition in enumerate(prompt.add):
            if holds(addition.when, shown) and (text := filled(addition.say, values)) is not None:
                said.append((place_of(task, number), text))
        return PutTogether(text=" ".join(text for _, text in said), parts=tuple(place for place, _ in said))

    def texts(self) -> dict[str, str]:
        """Every text of the tasks by its place, for those who look for better ones."""
        found = {}
        for task, prompt in self.tasks.items():
            found[task] = prompt.ask
            found |= {place_of(task, number): addition.say for number, addition in enumerate(prompt.add)}
        return found

    def with_texts(self, texts: Mapping[str, str]) -> PromptLibrary:
        """The library with other texts at some places."""
        tasks = {}
        for task, prompt in self.tasks.items():
            add = tuple(
                addition.model_copy(update={"say": texts.get(place_of(task, number), addition.say)})
                for number, addition in enumerate(prompt.add)
            )
            tasks[task] = prompt.model_copy(update={"ask": texts.get(task, prompt.ask), "add": add})
        return self.model_copy(update={"tasks": tasks})


def place_of(task: str, number: int) -> str:
    return f"{task}.add[{number}]"


def holds(when: Mapping[str, Sequence[str]], shown: SeenFeatures) -> bool:
    """Whether a condition is fulfilled: all of its features have one of the values."""
    for feature, values in when.items():
        value = shown.get(feature, "")
        if value == "" or not (value in values or (YES in values and value != NO)):
            return False
    return True


def filled(text: str, values: Mapping[str, str]) -> str | None:
    """A text with its slots filled; None where a value is not known."""
    if any(not values.get(name) for name in SLOT.findall(text)):
        return None
    return SLOT.sub(lambda found: values[found[1]], text)


def value_of(look: FrameLook, answer: str) -> str:
    """The value that an answer to a look means."""
    said = answer.lower()
    for value, words in look.values.items():
        if any(re.search(rf"\b{re.escape(word.lower())}\b", said) for word in words):
            return value
    return look.otherwise


@dataclass(frozen=True, slots=True)
class _Found:
    place: str
    text: str
    when: Mapping[str, Sequence[str]]


def load_library(name: str | Path) -> PromptLibrary:
    """A file, or the shipped library of that name. Raises InputError with the file and the place."""
    path = LIBRARIES[str(name)] if str(name) in LIBRARIES and not Path(name).exists() else Path(name)
    if not path.is_file():
        raise InputError(f"{path}: no such file, and none is shipped by that name ({', '.join(LIBRARIES)})")
    values = read_yaml(path)
    try:
        library = PromptLibrary.model_validate(values if values is not None else {})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "file"
        raise InputError(f"{path}: {place}: {first['msg'][:1].lower()}{first['msg'][1:]}") from error
    _check(library, path)
    return library


def _check(library: PromptLibrary, path: Path) -> None:
    """Raises InputError for a slot of nothing, and for looks that wait for each other."""
    for found in _all_texts(library):
        known = {*library.looks, *found.when, QUESTION}
        for slot in SLOT.findall(found.text):
            if slot not in known:
                raise InputError(
                    f"{path}: {found.place}: {{{slot}}} is neither {QUESTION} nor a look nor in its condition"
                )
    order: set[str] = set()
    left = dict(library.looks)
    while left:
        due = [name for name, look in left.items() if waits_for(look) & library.looks.keys() <= order]
        if not due:
            raise InputError(f"{path}: looks.{next(iter(left))}: waits for itself, through {', '.join(sorted(left))}")
        order |= set(due)
        for name in due:
            del left[name]


def waits_for(look: FrameLook) -> set[str]:
    """The features that have to be known before it can be asked."""
    return {*look.when, *SLOT.findall(look.ask)}


def _all_texts(library: PromptLibrary) -> Iterator[_Found]:
    for name, look in library.looks.items():
        yield _Found(f"looks.{name}.ask", look.ask, look.when)
    for task, prompt in library.tasks.items():
        yield _Found(f"tasks.{task}.ask", prompt.ask, {})
        for number, addition in enumerate(prompt.add):
            yield _Found(f"tasks.{task}.add[{number}].say", addition.say, addition.when)

"""Objects: a vocabulary with synonyms, the truth about images, and the objects that a text names.

    VOCABULARY.yaml    objects: {car: [sedan, taxi], ...};  kinds: {vehicle: [car, ...]};  no_object: [bus stop, ...]
    OBJECTS.json       {"frame.jpg": ["car", "person"], ...}: all objects of the vocabulary that an image shows

The words of a text are compared in lower case, the longest phrase first, a plural as its singular.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from cityscribe.files import InputError, read_json
from cityscribe.plain_yaml import parse_yaml

WORD = re.compile(r"[^\W_]+")
WORD_OR_STOP = re.compile(r"[^\W_]+|[.,;:!?]")
ABSENT = ("no", "without")
ARTICLES = ("a", "an", "any", "visible")


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    objects: dict[str, list[str]]
    kinds: dict[str, list[str]] = {}
    no_object: list[str] = []


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The objects that count, by name, and the phrases for them."""

    names: tuple[str, ...]
    phrases: Mapping[tuple[str, ...], tuple[str, ...]]  # words in the singular -> the objects that they name
    kinds: Mapping[str, frozenset[str]]
    longest: int  # words in a phrase, at most

    def agrees(self, one: str, other: str) -> bool:
        """Whether two objects are the same, or one is a kind of the other."""
        return one == other or other in self.kinds.get(one, ()) or one in self.kinds.get(other, ())

    def known(self, name: str) -> tuple[str, ...]:
        """The objects that a name or synonym stands for; none where it is in no object's list."""
        return self.phrases.get(_singular(name), ())


def read_vocabulary(path: Path) -> Vocabulary:
    """A vocabulary from a YAML file. Raises InputError."""
    where = str(path)
    try:
        file = _File.model_validate(parse_yaml(path.read_text("utf-8"), where)[0])
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{where}: not a readable vocabulary: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    phrases: dict[tuple[str, ...], tuple[str, ...]] = {}
    for name, synonyms in file.objects.items():
        for phrase in (name, *synonyms):
            words = _singular(phrase)
            if name not in phrases.get(words, ()):
                phrases[words] = (*phrases.get(words, ()), name)
    for name in [*file.kinds, *(kind for listed in file.kinds.values() for kind in listed)]:
        if name not in file.objects:
            raise InputError(f"{where}: kinds: {name} is not among the objects")
    phrases |= {_singular(phrase): () for phrase in file.no_object}
    kinds = {name: frozenset(listed) for name, listed in file.kinds.items()}
    return Vocabulary(tuple(file.objects), phrases, kinds, max(map(len, phrases), default=0))


def mentions(text: str, vocabulary: Vocabulary) -> list[str]:
    """The objects that a text names, in its order, each as often as it is named.

    What `no` or `without` stands before is not there (`no sidewalks on both sides`).
    """
    # A stop is a word of its own: no phrase, and no `no`, reaches beyond it.
    words = [_singular_word(word) for word in WORD_OR_STOP.findall(text.lower())]
    found: list[str] = []
    place = 0
    while place < len(words):
        for length in range(min(vocabulary.longest, len(words) - place), 0, -1):
            named = vocabulary.phrases.get(tuple(words[place : place + length]))
            if named is not None:
                found += () if _absent(words, place) else named
                place += length
                break
        else:
            place += 1
    return found


def _absent(words: list[str], place: int) -> bool:
    before = place - 1
    while before > 0 and words[before] in ARTICLES:
        before -= 1
    return before >= 0 and words[before] in ABSENT


def read_objects(path: Path, vocabulary: Vocabulary) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Image -> its objects by their names in the vocabulary, each once, in the order of the file; and warnings.

    Objects that the vocabulary does not know are left out. Raises InputError for a file of another shape.
    """
    try:
        truth = TypeAdapter(dict[str, list[str]]).validate_python(read_json(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(f"{path}: {'.'.join(map(str, first['loc']))}: expected {{image: [objects]}}") from error
    unknown: set[str] = set()
    objects = {}
    for image, listed in truth.items():
        named = [name for word in listed for name in vocabulary.known(word)]
        unknown |= {word for word in listed if not vocabulary.known(word)}
        objects[image] = tuple(dict.fromkeys(named))
    shown = ", ".join(sorted(unknown)[:5])
    return objects, [f"{path}: {len(unknown)} objects are not in the vocabulary: {shown}"] if unknown else []


def in_truth(name: str, truth: Iterable[str], vocabulary: Vocabulary) -> bool:
    """Whether an object is among the true ones, as itself, its kind or its general."""
    return any(vocabulary.agrees(name, true) for true in truth)


def _singular(phrase: str) -> tuple[str, ...]:
    return tuple(_singular_word(word) for word in WORD.findall(phrase.lower()))


def _singular_word(word: str) -> str:
    """Equal for the singular and the regular plural of a word, which is all that a look-up needs (`bus` -> `bu`)."""
    if len(word) > 3 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith(("ches", "shes", "xes", "sses")):
        word = word[:-2]
    return word[:-1] if len(word) > 2 and word.endswith("s") else word

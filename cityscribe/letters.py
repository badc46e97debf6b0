"""The letters of a question with options: which option an answer names, and the orders in which options can stand.

    read_choice("The answer is (B).", ["walking", "standing"])   -> Choice("b", "letter")
    read_choice("He is standing.", ["walking", "standing"])      -> Choice("b", "text")
    read_choice("I cannot tell.", ["walking", "standing"])       -> Choice("", "")

Predictions, submissions and scores all read an answer by this one rule. What names no option, or more than one, stays
unread: nothing is ever drawn at random.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

LETTERS = "abcdefghijklmnopqrstuvwxyz"

ASK = "Answer with the letter of the right option."
"""What stands below the options of a question."""


def listed(options: Sequence[str]) -> str:
    """The options as they stand below their question, a line each."""
    return "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))


ARTICLE = re.compile(r"^(?:an?|the) ")
WORDS_APART = re.compile(r"[\W_]+")
ALSO_WORDS = "ai"
"""Letters that are English words as well: they count only where they cannot be one."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The letter of the option that an answer names, empty for none, and how it names it."""

    letter: str
    how: Literal["letter", "text", ""]


@dataclass(frozen=True, slots=True)
class _Forms:
    """The ways of saying one of the first letters."""

    alone: re.Pattern[str]
    several: re.Pattern[str]
    stated: re.Pattern[str]
    opening: re.Pattern[str]
    marked: re.Pattern[str]
    capital: re.Pattern[str]


@lru_cache
def _forms(count: int) -> _Forms:
    one = rf"(?<![\w.'’])([{LETTERS[:count]}])(?![\w'’])"
    capitals = "".join(letter for letter in LETTERS[:count] if letter not in ALSO_WORDS).upper() or "(?!)"
    anyhow = re.IGNORECASE
    return _Forms(
        alone=re.compile(rf"[\W_]*([{LETTERS[:count]}])[\W_]*", anyhow),
        several=re.compile(rf"{one}\W{{0,2}}(?:/|,|\bor\b|\band\b)\W{{0,2}}{one}", anyhow),
        stated=re.compile(
            rf"\b(?:answer|option|choice|letter)\b(?:\s+(?:is|would be|must be|should be))?[\s:=\-]*[\"'“(\[{{*]*{one}",
            anyhow,
        ),
        opening=re.compile(rf"^[\W_]*{one}\**\s*(?:[.):,]|$)", anyhow | re.MULTILINE),
        marked=re.compile(rf"\({one}\)|{one}[.):](?=\s|$)", anyhow),
        capital=re.compile(rf"(?<![\w.'’])([{capitals}])(?![\w'’])"),
    )


def read_choice(answer: str, options: Sequence[str]) -> Choice:
    """The option that an answer names: by its letter, or else by its words.

    A letter is one that stands alone; or that is stated (`the answer is B`); or that opens a line (`b. walking`); or
    that is in brackets or followed by a mark; or the only capital that is no word (`I say C`). The first of these ways
    that an answer uses decides; where it gives two letters, the answer names none by letter. Then the words: an answer
    names the option whose words it contains, articles and case aside, where it contains those of one option only; what
    stands inside a longer option that is said (`walking` in `walking fast`) does not count.
    """
    if not options:
        return Choice("", "")
    forms = _forms(min(len(options), len(LETTERS)))
    alone = forms.alone.fullmatch(answer)
    if alone:
        return Choice(alone[1].lower(), "letter")
    if not forms.several.search(answer):
        for found in (
            [match[1] for match in forms.stated.finditer(answer) if not _is_word(match, answer)],
            [match[1] for match in forms.opening.finditer(answer)],
            [match[1] or match[2] for match in forms.marked.finditer(answer)],
            forms.capital.findall(answer),
        ):
            named = {letter.lower() for letter in found}
            if len(named) == 1:
                return Choice(named.pop(), "letter")
            if named:
                break
    place = _said_in_words(answer, options)
    return Choice("", "") if place is None else Choice(LETTERS[place], "text")


def _is_word(match: re.Match[str], answer: str) -> bool:
    """Whether a stated letter is an article or a pronoun: `the answer is a car`."""
    return match[1] in ALSO_WORDS and re.match(r"\s+\w", answer[match.end() :]) is not None


def _said_in_words(answer: str, options: Sequence[str]) -> int | None:
    words = [_plain(option) for option in options]
    said = f" {_plain(answer)} "
    found = []
    for place in sorted(range(len(words)), key=lambda place: -len(words[place])):
        if words[place] and f" {words[place]} " in said:
            found.append(place)
            said = said.replace(f" {words[place]} ", " | ")
    if len(found) != 1 or words.count(words[found[0]]) > 1:
        return None
    return found[0]


def _plain(text: str) -> str:
    return ARTICLE.sub("", WORDS_APART.sub(" ", text.casefold()).strip())


def rotated(options: Sequence[str], by: int) -> tuple[str, ...]:
    """The options turned by so many places: the one that stood there stands first (circular evaluation of MMBench)."""
    return (*options[by:], *options[:by])

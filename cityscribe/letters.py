"""The letters of a question with options: which option an answer names, and the orders in which options can stand.

    read_choice("The answer is (B).", ["walking", "standing"])   -> Choice("b", "letter")
    read_choice("He is standing.", ["walking", "standing"])      -> Choice("b", "text")
    read_choice("I cannot tell.", ["walking", "standing"])       -> Choice("", "")

Predictions, submissions and scores all read an answer by this one rule: a statement outranks mentions. What names no
option, or more than one, stays unread: nothing is ever drawn at random.
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

THOUGHTS = re.compile(r"^.*</think(?:ing)?>", re.DOTALL)
CORRECTION = re.compile(r"\b(?:wait|actually|correction|on second thoughts?|scratch that)\b|\bno,", re.IGNORECASE)
"""What follows the last of these is what is meant."""

NOT = re.compile(r"(?:\bnot|n['’]t|\bnever|\bcannot|\bneither|\bnor|\bthan)\s+(?:\w+\s+)?[\"'“(*]*$", re.IGNORECASE)
"""Before a letter: it is not what is chosen."""

REASON = re.compile(r"\s+(?:because|since|as|and|but|due|given|with|for|is|in)\b", re.IGNORECASE)
"""After a letter that is a word as well: it is the letter."""


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
    final: re.Pattern[str]
    stated: re.Pattern[str]
    denied: re.Pattern[str]
    named: re.Pattern[str]
    opening: re.Pattern[str]
    marked: re.Pattern[str]
    capital: re.Pattern[str]


@lru_cache
def _forms(count: int) -> _Forms:
    # Not \\w: in Chinese a letter stands between characters without a space.
    one = rf"(?<![A-Za-z0-9_.'’])([{LETTERS[:count]}])(?![A-Za-z0-9_'’])"
    capitals = "".join(letter for letter in LETTERS[:count] if letter not in ALSO_WORDS).upper() or "(?!)"
    anyhow = re.IGNORECASE
    subject = r"(?:\b(?<!wrong )(?<!incorrect )(?:answers?|option|choice|solution|response)(?:\s+here)?\b|答案)"
    link = r"(?:\bis\b|\bwas\b|\b(?:would|must|should|will|has to|seems to|appears to) be\b|是|为|[:：=>→-])"
    filler = r"\b(?:(?:most )?likely|probably|clearly|definitely|thus|indeed|(?:the )?(?:option|choice|letter))\b"
    # Numbers bound the search in an answer of marks alone.
    marks = r"[\s\"'“”‘*_:(\[{<$\\]{0,8}"
    opened = rf"{marks}(?:{filler}{marks}){{0,3}}(?:(?:boxed|text|mathrm|mathbf)\{{{marks}){{0,3}}"
    correct = r"(?:correct|right|best|true|answer|my (?:final )?(?:answer|choice)|most (?:likely|accurate|plausible))"
    is_so = rf"(?:is|seems|looks|must be|would be|appears)\s+(?:to be\s+)?(?:the\s+)?(?:(?:only|clearly)\s+)?{correct}"
    chosen = r"\b(?:choose|chose|pick|select|go(?:ing)? with|opt for|vote for|settle on|conclude(?: that it is)?|say)\b"
    wrong = r"(?:not|n['’]t|wrong|incorrect|false|unlikely|out\b|excluded|ruled out|impossible|contradict)"
    return _Forms(
        alone=re.compile(rf"[\W_]*(?:{filler}[\W_]*)?([{LETTERS[:count]}])[\W_]*", anyhow),
        several=re.compile(
            rf"{one}\W{{0,3}}(?:/|,|&|\+|\bor\b|\band\b|\bnor\b)\W{{0,3}}(?:option\s+)?{one}"
            r"(?!\W{0,2}\s+(?:is|are|was|would|can|does)\b)",
            anyhow,
        ),
        final=re.compile(
            rf"(?:\bfinal(?:\s+answer)?{marks}(?:{link})?|<answer>|\\boxed\{{){opened}{one}",
            anyhow,
        ),
        stated=re.compile(
            rf"{subject}[\s\"'”*_)]{{0,8}}{link}{opened}{one}"
            rf"|\b(?:answer|(?:correct|right|best)\s+(?:answer|option|choice)){opened}{one}"
            rf"|{one}[)\]\"'”*.:]{{0,8}}\s+{is_so}"
            rf"|{chosen}{opened}{one}",
            anyhow,
        ),
        denied=re.compile(
            rf"{one}[)\]\"'”*.:]{{0,8}}(?:\s+[\w-]+){{0,4}}?\s+"
            rf"(?:is|are|was|would be|can be|seems|looks|does)?\s*{wrong}"
            rf"|\b(?:wrong|incorrect)\s+(?:answer|option|choice)[\s:]*(?:is\b)?{opened}{one}"
            rf"|\b(?:rules? out|exclud(?:e|es|ing)|eliminat(?:e|es|ing)|reject|wrong:|incorrect:){opened}{one}",
            anyhow,
        ),
        named=re.compile(rf"\b(?:option|choice|letter){marks}{one}", anyhow),
        opening=re.compile(rf"^[\W_]{{0,12}}{one}\**\s{{0,8}}(?:[.):,]|$)", anyhow | re.MULTILINE),
        marked=re.compile(rf"\({one}\)|{one}[.):](?=\s|$)", anyhow),
        capital=re.compile(rf"(?<![\w.'’])([{capitals}])(?![\w'’])"),
    )


def read_choice(answer: str, options: Sequence[str]) -> Choice:
    """The option that an answer names: by its letter, or else by its words.

    A letter is one that stands alone. Or one that is stated: as the answer (`the answer is B`, `B is correct`, `I
    choose B`), the final answer before all, and what follows a correction (`wait`) before what it corrects. Where
    several are stated, or two in one breath (`A or B`), the answer names none by letter. Where nothing is stated, what
    is mentioned counts: an option by its letter (`option B`), a letter that opens a line (`b. walking`), that is in
    brackets or followed by a mark, or the only capital that is no word (`so C`), but for those that are denied (`A is
    wrong`). The first of these ways that an answer uses decides, if it gives one letter. A list of options, each behind
    a letter, names none of them.

    Then the words: an answer names the option whose words it contains, articles and case aside, where it contains those
    of one option only; what stands inside a longer option that is said (`walking` in `walking fast`) does not count.
    """
    if not options:
        return Choice("", "")
    forms = _forms(min(len(options), len(LETTERS)))
    said = THOUGHTS.sub("", answer)
    alone = forms.alone.fullmatch(said)
    if alone:
        return Choice(alone[1].lower(), "letter")
    stated = _stated(forms, said)
    if len(stated) == 1:
        return Choice(stated.pop(), "letter")
    if stated:
        return Choice("", "")
    said = _without_list(said, options)
    mentioned = _mentioned(forms, said)
    if mentioned:
        return Choice(mentioned, "letter")
    place = _said_in_words(said, options)
    return Choice("", "") if place is None else Choice(LETTERS[place], "text")


def _stated(forms: _Forms, said: str) -> set[str]:
    """The letters that are stated to be the answer; both of two in one breath."""
    after = max((match.end() for match in CORRECTION.finditer(said)), default=0)
    for text, form in ((said, forms.final), (said[after:], forms.stated), (said, forms.stated)):
        found = set()
        for match in form.finditer(text):
            place = next(n for n in range(1, form.groups + 1) if match[n])
            before = (text[: match.start()], text[: match.start(place)])
            if _is_word(match, place, text) or any(map(NOT.search, before)):
                continue
            found.add(match[place].lower())
            both = forms.several.match(text, match.start(place))
            found |= {both[1].lower(), both[2].lower()} if both else set()
        if found:
            return found
    return set()


def _mentioned(forms: _Forms, said: str) -> str:
    """The letter that is mentioned, of one form; empty where there is none or more than one."""
    if forms.several.search(said):
        return ""
    denied = {letter.lower() for match in forms.denied.finditer(said) for letter in match.groups() if letter}
    for form in (forms.named, forms.opening, forms.marked, forms.capital):
        found = {
            letter.lower()
            for match in form.finditer(said)
            for place, letter in enumerate(match.groups(), start=1)
            if letter
            and not NOT.search(said[: match.start()])
            and not (form is forms.named and _is_word(match, place, said))
        }
        if len(found) > 1 or found & denied:
            found -= denied
        if len(found) == 1:
            return found.pop()
        if found:
            break
    return ""


def _is_word(match: re.Match[str], place: int, text: str) -> bool:
    """Whether a letter is an article or a pronoun: `the answer is a car`."""
    after = text[match.end(place) :]
    return match[place].lower() in ALSO_WORDS and re.match(r"\s+\w", after) is not None and not REASON.match(after)


def _without_list(said: str, options: Sequence[str]) -> str:
    """The answer without its options where it lists several, each behind a letter; what is denied is in no list."""
    letters = LETTERS[: len(options)]
    words = [r"[\W_]+".join(map(re.escape, WORDS_APART.split(option))) for option in options if option.strip()]
    listed_option = re.compile(
        rf"(?<![A-Za-z0-9])[(\[*]{{0,4}}([{letters}])[)\].:*]{{1,4}}\s*"
        rf"(?:{'|'.join(words) or '(?!)'})(?![A-Za-z0-9])[.,;]?"
        r"(?!\W{0,2}\s*(?:is|are|was|would be)?\s*(?:not|wrong|incorrect|excluded)\b)",
        re.IGNORECASE,
    )
    if len({match[1].lower() for match in listed_option.finditer(said)}) < 2:
        return said
    return listed_option.sub(" ", said)


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

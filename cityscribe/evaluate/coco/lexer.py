"""The Treebank lexer of the profile `coco`, driven by the tables of the original.

pycocoevalcap tokenises with the PTBTokenizer of CoreNLP 3.4.1, a scanner that JFlex generated: a finite automaton that
takes the longest match and then acts by the rule that matched. Its tables stand in the jar that pycocoevalcap brings
and are read from there, as METEOR's data are; what each rule does was found by comparing inputs and outputs. So every
character is treated as the original treats it.

    lexer().scan("It isn't.")       # [("It", 6), ("is", 40), ("n't", 36), (".", 3)]: text, number of its rule
"""

from __future__ import annotations

import functools
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cityscribe.evaluate.coco.lexicon import package_folder
from cityscribe.files import InputError

JAR = Path("tokenizer") / "stanford-corenlp-3.4.1.jar"
CLASS = "edu/stanford/nlp/process/PTBLexer.class"

START = 2
"""The state in which a text begins: traditional Treebank."""

LONGEST_CODE = 300
"""Text constants of the class that are longer are its packed tables."""

SPACES, UNKNOWN, LINE, CONTROL = 7, 1, 5, 23
"""Rules that give no token."""

# Rules that look ahead take less than they match: so many characters from the beginning, or without so many at the
# end, or as far as two automata say, one forwards over the token and one backwards over what follows it.
TAKES = {35: 1, 53: 3}
LEAVES = {25: 1, 32: 1, 34: 1, 36: 1, 42: 2, 43: 1, 46: 1, 48: 2, 50: 3, 51: 1}
BETWEEN = {30: (3, 4), 40: (5, 6), 41: (16, 17), 44: (9, 10), 49: (11, 12)}
BEFORE_LINE_END = 24
QUOTE_BEFORE_WORD = 26
DOTTED_BEFORE_SENTENCE = 47


@dataclass(frozen=True)
class Lexer:
    """The tables: for a state and a class of characters the next state (-1: none), for a state its rule."""

    classes: list[int]  # of each UTF-16 unit
    rows: list[int]  # of each state, where its row begins in `following`
    following: list[int]
    accepts: list[bool]
    rules: list[int]

    def scan(self, text: str) -> list[tuple[str, int]]:
        """The parts of a text that are tokens, each with the number of the rule that found it, in order."""
        units = text.encode("utf-16-le", "surrogatepass")
        codes = [self.classes[unit] for (unit,) in struct.iter_unpack("<H", units)]
        return [
            (units[2 * start : 2 * end].decode("utf-16-le", "replace"), rule) for start, end, rule in self._parts(codes)
        ]

    def _parts(self, codes: list[int]) -> Iterator[tuple[int, int, int]]:
        rows, following, accepts = self.rows, self.following, self.accepts
        start = 0
        while start < len(codes):
            state, end, rule = START, 0, -1
            for place in range(start, len(codes)):
                state = following[rows[state] + codes[place]]
                if state < 0:
                    break
                if accepts[state]:
                    end, rule = place + 1, self.rules[state]
            if rule < 0:  # no rule begins so
                start += 1
                continue
            end = self._end(codes, start, end, rule)
            if rule not in (SPACES, UNKNOWN, LINE, CONTROL):
                yield start, end, rule
            start = end

    def _end(self, codes: list[int], start: int, end: int, rule: int) -> int:
        if rule in TAKES:
            return start + TAKES[rule]
        if rule in LEAVES:
            return end - LEAVES[rule]
        if rule == BEFORE_LINE_END:
            return end - 1
        if rule == QUOTE_BEFORE_WORD:
            return start + (len("&quot;") if codes[start] == self.classes[ord("&")] else 1)
        if rule == DOTTED_BEFORE_SENTENCE:
            return self._dotted(codes, start)
        return self._between(codes, start, end, *BETWEEN[rule]) if rule in BETWEEN else end

    def _dotted(self, codes: list[int], start: int) -> int:
        """The end of letters with a dot each that end a sentence; one letter alone leaves its dot to the sentence."""
        dot, end = self.classes[ord(".")], start
        while codes[end + 1] == dot:
            end += 2
        return end if end > start + 2 else start + 1

    def _between(self, codes: list[int], start: int, end: int, forwards: int, backwards: int) -> int:
        """The last place up to which the forward automaton accepts and from which on the backward one does."""
        ends, state = set(), forwards
        for place in range(start, end):
            if self.accepts[state]:
                ends.add(place)
            state = self.following[self.rows[state] + codes[place]]
            if state < 0:
                break
        else:
            if self.accepts[state]:
                ends.add(end)
        state, place = backwards, end
        while place not in ends or not self.accepts[state]:
            place -= 1
            state = self.following[self.rows[state] + codes[place]] if place >= start else -1
            if state < 0:
                raise InputError(f"{package_folder() / JAR}: its tables are not those of CoreNLP 3.4.1")
        return place


@functools.cache
def lexer() -> Lexer:
    """The lexer of the installed pycocoevalcap. Raises InputError where it is missing or another one."""
    path = package_folder() / JAR
    try:
        with zipfile.ZipFile(path) as jar:
            tables = _tables(jar.read(CLASS))
        actions, rows, *transitions, attributes, classes = tables
        starts = _codes(rows).reshape(-1, 2)
        found = Lexer(
            classes=_unpacked(classes).tolist(),
            rows=((starts[:, 0] << 16) | starts[:, 1]).tolist(),
            following=(np.concatenate([_unpacked(part) for part in transitions]) - 1).tolist(),
            accepts=(_unpacked(attributes) & 1 == 1).tolist(),
            rules=_unpacked(actions).tolist(),
        )
    except (OSError, KeyError, ValueError, IndexError, struct.error, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read; pip install --force-reinstall pycocoevalcap: {error}") from error
    if (len(found.classes), len(found.rows), max(found.rules)) != (1 << 16, 4058, 54):
        raise InputError(f"{path}: is not the tokenizer of CoreNLP 3.4.1, whose tokens the profile coco compares")
    return found


def _tables(content: bytes) -> list[str]:
    """The long text constants of a Java class in the order of their use (Java Virtual Machine Specification, 4.4)."""
    sizes = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 18: 4}
    texts: dict[int, bytes] = {}
    used: list[int] = []
    count = struct.unpack_from(">H", content, 8)[0]
    number, place = 1, 10
    while number < count:
        kind = content[place]
        (short,) = struct.unpack_from(">H", content, place + 1)
        if kind == 1:
            texts[number] = content[place + 3 : place + 3 + short]
            place += 3 + short
        elif kind == 8:
            used.append(short)
            place += 3
        else:
            place += 1 + sizes[kind]
        number += 2 if kind in (5, 6) else 1
    # Modified UTF-8: a zero is two bytes, and a character beyond 16 bits two surrogates of three bytes.
    return [
        texts[text].replace(b"\xc0\x80", b"\0").decode("utf-8", "surrogatepass")
        for text in used
        if len(texts[text]) > LONGEST_CODE
    ]


def _codes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-16-le", "surrogatepass"), dtype="<u2").astype(np.int64)


def _unpacked(text: str) -> np.ndarray:
    """Pairs of a count and a value, written out."""
    pairs = _codes(text).reshape(-1, 2)
    return np.repeat(pairs[:, 1], pairs[:, 0])

"""Synonyms of a word from WordNet 3.0, as METEOR consults them, without the WordNet files.

`synonyms-3.0.txt.gz` beside this file holds what is needed of WordNet, compressed to about a megabyte: for each lemma
the single-word members of its synsets, by part of speech. `python -m cityscribe.evaluate.wordnet DICT_FOLDER OUT`
builds it from the files of WordNet 3.0 (see `build`). It is read on the first look-up, in some hundredths of a second.

WordNet is a trademark of Princeton University, whose licence opens the table and lies beside it as `LICENSE.txt`.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache, lru_cache
from pathlib import Path

SOURCE = "WordNet 3.0"
TABLE = "synonyms-3.0.txt.gz"

IRREGULAR = "!"  # before the members that only an irregular form (geese, went) leads to

# Per part of speech, in the order of a table line's fields: how an inflected ending is turned into the ending of a base
# form. These are the rules of detachment of WordNet's morphy(7WN); adverbs have none.
DETACHMENT: tuple[tuple[tuple[str, str], ...], ...] = (
    (
        ("s", ""),
        ("ses", "s"),
        ("ves", "f"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
    ),
    (("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    (),
)


@lru_cache(maxsize=1 << 16)
def synonyms(word: str) -> frozenset[str]:
    """The names without underscore of all lemmas in all synsets of a word, in WordNet's own spelling and case.

    Equal to the names that `nltk.corpus.wordnet.synsets(word)` of nltk 3.9 and later leads to: for every part of
    speech the word itself, and either the base forms that WordNet lists for it as an irregular form, or else what one
    rule of detachment makes of it. (nltk up to 3.8.1 applied the rules again to forms that WordNet does not know,
    which finds `behind` for `assess`.) The word is among its synonyms only where WordNet has it in this spelling.
    """
    word = word.lower()
    found: list[str] = []
    for field, (members, rules) in enumerate(zip(_fields(word), DETACHMENT, strict=True)):
        own, irregular, others = members.partition(IRREGULAR)
        found += own.split()
        if irregular:
            found += others.split()
            continue
        for ending, base_ending in rules:
            if word.endswith(ending):
                base = word[: len(word) - len(ending)] + base_ending
                found += _fields(base)[field].partition(IRREGULAR)[0].split()
    return frozenset(found)


def table_sha256() -> str:
    """The SHA-256 of the uncompressed table, in hexadecimal: which data a score stands on."""
    return hashlib.sha256(_read_table()).hexdigest()


def _fields(lemma: str) -> list[str]:
    """The members of a lemma's synsets as noun, verb, adjective and adverb."""
    if not lemma.isascii():
        return ["", "", "", ""]
    # The lines are in the order of their lemmas. Halving finds one in microseconds; a dict of all takes longer to build
    # than a hundred captions to score.
    table, low = _read_table(), _first_line()
    high = len(table)
    key = f"{lemma}\t".encode("ascii")
    while low < high:
        start = table.rfind(b"\n", low, (low + high) // 2) + 1 or low
        end = table.index(b"\n", start)
        line = table[start:end]
        if line.startswith(key):
            return line[len(key) :].decode("ascii").split("\t")
        if line.partition(b"\t")[0] < key[:-1]:
            low = end + 1
        else:
            high = start
    return ["", "", "", ""]


@cache
def _read_table() -> bytes:
    return gzip.decompress(Path(__file__).with_name(TABLE).read_bytes())


@cache
def _first_line() -> int:
    """Where the lines of lemmas begin: after those of the licence, which hold no tab."""
    table = _read_table()
    return table.rfind(b"\n", 0, table.index(b"\t")) + 1

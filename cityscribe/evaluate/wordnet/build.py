"""Builds the synonym table from the files of WordNet 3.0.

Reads `index.*`, `data.*` and `*.exc` of noun, verb, adj and adv (formats: wndb(5WN)) from one folder, such as
/usr/share/wordnet of the Debian package wordnet-base. Equal files give an equal table, and the same zlib equal bytes.

A line of the table is a lemma and, after a tab each, the members of its synsets as noun, verb, adjective and adverb:
names without underscore, sorted, separated by spaces. Where the lemma is an irregular form, `!` follows, and the
members of the synsets of its base forms. Lemmas that lead to no name are left out. The licence of WordNet opens the
table.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

from cityscribe.evaluate.wordnet import IRREGULAR
from cityscribe.files import InputError

PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")

Members = dict[str, set[str]]  # lemma -> names without underscore in its synsets


def build(dict_folder: Path, out: Path) -> int:
    """Write the compressed table to `out`, and the licence to `LICENSE.txt` beside it. Returns the number of lemmas.

    Raises InputError that names the file and the line where a file is missing or not as WordNet 3.0 has it.
    """
    lines: dict[str, list[str]] = {}
    for field, part in enumerate(PARTS_OF_SPEECH):
        own = _members(dict_folder, part)
        irregular = _irregular(dict_folder, part, own)
        for lemma in sorted(own.keys() | irregular.keys()):
            text = " ".join(sorted(own.get(lemma, ())))
            if lemma in irregular:
                text += IRREGULAR + " ".join(sorted(irregular[lemma]))
            if text:
                lines.setdefault(lemma, [""] * len(PARTS_OF_SPEECH))[field] = text
    licence = _licence(dict_folder / "data.noun")
    table = licence + "".join("\t".join([lemma, *fields]) + "\n" for lemma, fields in sorted(lines.items()))
    _write(out, gzip.compress(table.encode("ascii"), compresslevel=9, mtime=0))
    _write(out.with_name("LICENSE.txt"), licence.encode("ascii"))
    return len(lines)


def _members(folder: Path, part: str) -> Members:
    """What each lemma of one part of speech leads to, by its synsets."""
    synsets: dict[str, set[str]] = {}
    path = folder / f"data.{part}"
    for number, line in _lines(path):
        try:
            columns = line.split()
            offset, count = columns[0], int(columns[3], 16)
            # An adjective may carry a syntactic marker, as in `afraid(p)`.
            names = [name.partition("(")[0] for name in columns[4 : 4 + 2 * count : 2]]
        except (IndexError, ValueError) as error:
            raise InputError(f"{path}: line {number}: not a synset of WordNet 3.0") from error
        synsets[offset] = {name for name in names if "_" not in name}
    members: Members = {}
    path = folder / f"index.{part}"
    for number, line in _lines(path):
        try:
            columns = line.split()
            offsets = columns[-int(columns[2]) :]
            members[columns[0]] = set().union(*(synsets[offset] for offset in offsets))
        except (IndexError, ValueError, KeyError) as error:
            raise InputError(f"{path}: line {number}: not a lemma of WordNet 3.0, or of other files") from error
    return members


def _irregular(folder: Path, part: str, own: Members) -> Members:
    """What each irregular form of one part of speech leads to, by its base forms."""
    # Of a form that is listed twice, the last line counts, as it does for nltk.
    return {
        form: set().union(*(own.get(base, set()) for base in bases))
        for form, *bases in (line.split() for _, line in _lines(folder / f"{part}.exc"))
    }


def _licence(path: Path) -> str:
    """The lines that open a file of WordNet: its licence, numbered."""
    return "".join(line.rstrip() + "\n" for line in _text(path).splitlines() if line.startswith("  "))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file that are not of its licence, counted from 1."""
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if line.strip() and not line.startswith("  "):
            yield number, line


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; expected a file of WordNet 3.0") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start}: not ASCII text, so not a file of WordNet 3.0") from error


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)

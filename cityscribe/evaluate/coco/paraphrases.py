"""The paraphrase table of METEOR 1.5, compiled so that it is ready at once.

METEOR's distribution carries five million pairs of English phrases as 272 MB of text, which an installed
`pycocoevalcap` (extra `[coco]`) brings. Nothing of it is in this package. On first use it is compiled to a few arrays
in the cache folder; from then on the arrays are mapped into memory, and only what the captions need is read.

Phrases are the nodes of a tree over words. The nodes of single words come first, in the order of `words`; of every
other node, `children` holds its parent and its last word as one number, in ascending order, so that a node is its place
there. `starts` says where a node's paraphrases begin in `pairs`; they keep the order of the table, which decides ties
in the alignment.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cityscribe.files import InputError, naming

WORD_BITS = 16
LONGEST_PHRASE = 7  # words
FORMAT = "1"  # of the compiled table; part of its name
ARRAYS = ("children", "starts", "pairs")


class ParaphraseTable(NamedTuple):
    """A compiled table; a phrase is the number of a node."""

    words: dict[str, int]
    children: npt.NDArray[np.int64]  # parent << WORD_BITS | last word, ascending; of node len(words) and those after it
    starts: npt.NDArray[np.int32]  # one more than there are nodes
    pairs: npt.NDArray[np.int32]


def cache_folder() -> Path:
    """Where compiled tables lie: the folder that CITYSCRIBE_CACHE names, or else the user's cache folder."""
    given = os.environ.get("CITYSCRIBE_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "cityscribe"


@lru_cache(maxsize=1)
def open_table(source: Path) -> ParaphraseTable:
    """The compiled form of a table such as `paraphrase-en.gz`; compiles it first where that was not done yet.

    Raises InputError where the table is missing or is no table, or the cache folder cannot be written.
    """
    folder = cache_folder() / f"paraphrases-{FORMAT}-{_identity(source)}"
    if not folder.is_dir():
        _write(folder, source)
    children, starts, pairs = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS)
    words = (folder / "words.txt").read_text(encoding="utf-8").split("\n")
    return ParaphraseTable({word: number for number, word in enumerate(words)}, children, starts, pairs)


def find_phrases(table: ParaphraseTable, words: list[str]) -> list[npt.NDArray[np.int64]]:
    """For lengths of 1 to 7 words, the node of the phrase that starts at each word, -1 where there is none.

    A word that no phrase may cross is any that the table does not have, such as an empty one.
    """
    numbers = np.fromiter((table.words.get(word, -1) for word in words), np.int64, len(words))
    found = [numbers]
    nodes = numbers
    for length in range(2, LONGEST_PHRASE + 1):
        last = numbers[length - 1 :]
        nodes = nodes[: len(last)]
        known = np.flatnonzero((nodes >= 0) & (last >= 0))
        keys, where = np.unique(nodes[known] << WORD_BITS | last[known], return_inverse=True)
        places = np.searchsorted(table.children, keys).clip(max=len(table.children) - 1)
        hits = np.where(table.children[places] == keys, places + len(table.words), -1)
        nodes = np.full(len(last), -1, np.int64)
        nodes[known] = hits[where]
        found.append(nodes)
    return found


def _identity(source: Path) -> str:
    """What tells one table from another without reading it whole: its size, its two ends, its place."""
    try:
        with source.open("rb") as file:
            head = file.read(1 << 16)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - (1 << 16)))
            return hashlib.sha256(b"%d %s %s" % (size, head, file.read())).hexdigest()[:16]
    except OSError as error:
        raise InputError(f"{source}: {error.strerror}; install the extra: pip install 'cityscribe[coco]'") from error


def _write(folder: Path, source: Path) -> None:
    """Compile a table into a folder that appears whole; another process may be doing the same."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f"{folder.name}.partial-", dir=folder.parent))
    except OSError as error:
        raise InputError(f"{folder.parent}: {error.strerror}; set CITYSCRIBE_CACHE to a folder to write to") from error
    try:
        words, children, starts, pairs = _compile(source)
        with naming(folder):
            (partial / "words.txt").write_text("\n".join(words), encoding="utf-8")
            np.save(partial / "children.npy", children)
            np.save(partial / "starts.npy", starts)
            np.save(partial / "pairs.npy", pairs)
            if not folder.is_dir():
                os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _compile(
    source: Path,
) -> tuple[list[str], npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Words, children, starts and pairs. Of the three lines of a pair the first, its probability, is not used."""
    # pyarrow reads and numbers fifteen million lines ten times as fast as Python.
    import pyarrow as pa
    import pyarrow.compute as pc

    phrases = pa.chunked_array(list(_phrase_lines(source))).dictionary_encode().unify_dictionaries()
    distinct = phrases.chunk(0).dictionary
    numbers = np.concatenate([chunk.indices.to_numpy() for chunk in phrases.chunks])
    split = pc.split_pattern(distinct, " ")
    lengths = pc.list_value_length(split).to_numpy()
    encoded = split.flatten().dictionary_encode()
    words = encoded.dictionary.to_pylist()
    if len(numbers) % 2 or lengths.max() > LONGEST_PHRASE or len(words) >> WORD_BITS:
        raise InputError(f"{source}: not a paraphrase table of METEOR 1.5")
    word_at = encoded.indices.to_numpy().astype(np.int64)
    first = np.cumsum(lengths) - lengths
    nodes = word_at[first]
    children = []
    base = len(words)
    for length in range(2, int(lengths.max()) + 1):
        longer = np.flatnonzero(lengths >= length)
        keys, where = np.unique(nodes[longer] << WORD_BITS | word_at[first[longer] + length - 1], return_inverse=True)
        nodes[longer] = base + where
        children.append(keys)
        base += len(keys)
    keys, others = nodes[numbers[::2]], nodes[numbers[1::2]]
    starts = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=base))]).astype(np.int32)
    return words, np.concatenate(children), starts, others[np.argsort(keys, kind="stable")].astype(np.int32)


def _phrase_lines(source: Path) -> Iterator[Any]:
    """The second and third line of every triple, in blocks."""
    import pyarrow as pa
    import pyarrow.csv as csv

    read = 0
    try:
        with (
            pa.input_stream(str(source), compression="gzip") as stream,
            csv.open_csv(
                stream,
                csv.ReadOptions(column_names=["line"], block_size=1 << 24, use_threads=False),
                csv.ParseOptions(delimiter="\x01", quote_char=False, ignore_empty_lines=False),
                csv.ConvertOptions(column_types={"line": pa.string()}, strings_can_be_null=False),
            ) as batches,
        ):
            for batch in batches:
                rows = np.arange(read, read + len(batch))
                yield batch.column(0).take(pa.array(np.flatnonzero(rows % 3)))
                read += len(batch)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{source}: not a paraphrase table of METEOR 1.5: {error}") from error
    if not read or read % 3:
        raise InputError(f"{source}: {read} lines; expected three to a pair of phrases")

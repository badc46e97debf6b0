from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from cityscribe.evaluate.coco.paraphrases import ParaphraseTable, cache_folder, find_phrases, open_table
from cityscribe.files import InputError

PAIRS = [("car", "motor vehicle"), ("car", "auto"), ("car", "a car"), ("motor vehicle", "car"), ("the red car", "it")]


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CITYSCRIBE_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "paraphrase-en.gz"
    file.write_bytes(gzip.compress("".join(f"0.5\n{a}\n{b}\n" for a, b in PAIRS).encode()))
    return file


def node(table: ParaphraseTable, phrase: str) -> int:
    words = phrase.split()
    return int(find_phrases(table, words)[len(words) - 1][0])


def test_each_phrase_has_its_paraphrases_in_the_order_of_the_table(source: Path) -> None:
    table = open_table(source)
    for phrase in dict(PAIRS):
        found = table.pairs[table.starts[node(table, phrase)] : table.starts[node(table, phrase) + 1]]
        assert found.tolist() == [node(table, b) for a, b in PAIRS if a == phrase]


def test_phrases_are_found_within_a_caption_and_never_across_an_unknown_word(source: Path) -> None:
    table = open_table(source)
    found = find_phrases(table, ["the", "red", "car", ",", "motor", "vehicle"])
    assert found[2].tolist() == [node(table, "the red car"), -1, -1, -1]
    assert found[1][4] == node(table, "motor vehicle")
    assert found[1][2] == found[1][3] == -1


def test_it_is_compiled_once(source: Path) -> None:
    open_table(source)
    written = {file: file.stat().st_mtime_ns for file in cache_folder().rglob("*") if file.is_file()}
    open_table.cache_clear()
    open_table(source)
    assert {file: file.stat().st_mtime_ns for file in cache_folder().rglob("*") if file.is_file()} == written


@pytest.mark.parametrize(
    "content",
    [b"", b"plain text", gzip.compress(b"0.5\none line\n"), gzip.compress(b"")],
    ids=["empty", "text", "torn", "hollow"],
)
def test_what_is_no_table_is_refused_and_leaves_nothing(source: Path, content: bytes) -> None:
    source.write_bytes(content)
    with pytest.raises(InputError, match=source.name):
        open_table(source)
    assert not list(cache_folder().iterdir())


def test_a_missing_table_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cityscribe\[coco\]"):
        open_table(tmp_path / "none.gz")

"""A journal keeps what was finished, wherever a kill tore it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cityscribe.predict.journal import Journal

ENTRIES = st.lists(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=4), max_size=5)


def write(path: Path, key: str, entries: list[object]) -> None:
    journal = Journal(path, key)
    for entry in entries:
        journal.append(entry)
    journal.close()


@given(ENTRIES, st.integers(0, 400), st.binary(max_size=8))
def test_a_torn_journal_is_a_shorter_one(entries: list[object], size: int, garbage: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        write(path, "work", entries)
        whole = path.read_bytes() if entries else b""
        torn = garbage.replace(b"\n", b"")  # what a kill leaves of a line has no end
        path.write_bytes(whole[:size] + torn if size < len(whole) else whole)
        kept = Journal(path, "work").finished
        assert kept == entries[: len(kept)]
        assert size < len(whole) or kept == entries
        write(path, "work", entries[len(kept) :])
        assert path.read_bytes() == whole or not entries
        assert Journal(path, "work").finished == entries


@given(ENTRIES)
def test_a_journal_of_other_work_is_started_anew(entries: list[object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        write(path, "work", entries)
        assert Journal(path, "other work").finished == []
        write(path, "other work", [1])
        assert Journal(path, "other work").finished == [1]
        assert Journal(path, "work").finished == []


def test_reading_a_journal_does_not_touch_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path, "work").close()
    assert not path.exists()
    write(path, "work", [1, 2])
    before = path.read_bytes()
    Journal(path, "other").close()
    assert path.read_bytes() == before
    Journal(path, "work").discard()
    assert not path.exists()
    Journal(path, "work").discard()

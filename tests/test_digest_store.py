"""Digests that are remembered are never those of another content."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from cityscribe import digest_store
from cityscribe.digest_store import DigestStore
from cityscribe.files import InputError


def plain(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes()).hexdigest()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read, with a clock on which nothing was changed just now."""
    seen: list[str] = []
    digest = hashlib.file_digest
    monkeypatch.setattr(digest_store, "TICK_NS", -(10**12))

    def noting(file: Any, kind: str) -> Any:
        seen.append(Path(file.name).name)
        return digest(file, kind)

    monkeypatch.setattr(digest_store.hashlib, "file_digest", noting)
    return seen


def asked(folder: Path, *names: str) -> list[str]:
    known = DigestStore(folder / "state" / "digests.json")
    found = [known.of(folder / name) for name in names]
    known.save()
    assert found == [plain(folder / name) for name in names]
    return found


def test_a_file_is_read_once_until_it_changes(tmp_path: Path, reads: list[str]) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
    asked(tmp_path, "a", "b")
    asked(tmp_path, "a", "b")
    assert reads == ["a", "b"]
    (tmp_path / "a").write_bytes(b"c")
    asked(tmp_path, "a", "b")
    assert reads == ["a", "b", "a"]


def test_a_change_that_keeps_size_and_time_is_seen(tmp_path: Path, reads: list[str]) -> None:
    """As `cp -p` and `touch -r` make them: the file system's own time of change is another, or the inode."""
    file = tmp_path / "a"
    file.write_bytes(b"one")
    before = os.stat(file)
    asked(tmp_path, "a")
    file.write_bytes(b"two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    asked(tmp_path, "a")
    (tmp_path / "other").write_bytes(b"six")
    os.utime(tmp_path / "other", ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(tmp_path / "other", file)
    asked(tmp_path, "a")
    assert reads == ["a", "a", "a"]


def test_a_file_that_was_just_changed_is_not_remembered(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    asked(tmp_path, "a")
    assert not (tmp_path / "state" / "digests.json").exists()


@pytest.mark.parametrize("text", ["", "[1]", '{"a": 3}', '{"a": [["x"], 3]}', "null"])
def test_a_damaged_store_costs_a_reading_and_no_more(text: str, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "digests.json").write_text(text)
    (tmp_path / "a").write_bytes(b"one")
    asked(tmp_path, "a")


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone: No such file"):
        DigestStore(tmp_path / "digests.json").of(tmp_path / "gone")

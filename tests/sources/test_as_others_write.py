"""Conversations as other people's programs write them: media, paths, encodings and marks are read or named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cityscribe.records import Problem, Sample, text_of
from cityscribe.sources import SOURCES
from cityscribe.sources.reading import check_data
from cityscribe.sources.videos import files_by_stem, stem_of
from tests.sources import small_sets
from tests.sources.conversations import dump, picture

TEXT = {"messages": [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "That."}]}


def rows_of(root: Path, *rows: dict[str, Any], encoding: str = "utf-8") -> tuple[list[Sample], list[Problem]]:
    root.mkdir(exist_ok=True)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (root / "train.jsonl").write_bytes(lines.encode(encoding))
    return SOURCES["messages"].read(root)


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ({**TEXT, "audios": ["a.wav"]}, "line 1.audios"),
        ({**TEXT, "audio": {"bytes": "x"}}, "line 1.audio"),
        ({"messages": [{"role": "user", "content": "<audio>What?"}]}, "line 1"),
        ({"messages": [{"role": "user", "content": [{"type": "audio", "audio": "a.wav"}]}]}, "line 1.messages[0]"),
        ({**TEXT, "images": ["a.png"], "image": "b.png"}, "line 1.image"),
    ],
)
def test_a_medium_that_is_not_shown_is_an_error_of_its_entry(tmp_path: Path, row: dict[str, Any], place: str) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    samples, problems = rows_of(tmp_path, row, TEXT)
    assert len(samples) == 1, "the entry beside it is read"
    assert [(p.level, p.place.startswith(place)) for p in problems] == [("error", True)]


def test_images_that_a_description_does_not_name_are_an_error(tmp_path: Path) -> None:
    small_sets.sharegpt(tmp_path)
    info = json.loads((tmp_path / "dataset_info.json").read_text())
    whole = len(SOURCES["sharegpt"].read(tmp_path)[0])
    for description in info.values():
        description.get("columns", {}).pop("images", None)
    (tmp_path / "dataset_info.json").write_text(json.dumps(info))
    samples, problems = SOURCES["sharegpt"].read(tmp_path)
    assert len(samples) < whole
    assert any("names media, but" in problem.message for problem in problems)


@pytest.mark.parametrize(
    ("named", "stored"),
    [
        ("file:///ROOT/in side/é.png", "in side/é.png"),
        ("file:///ROOT/in%20side/%C3%A9.png", "in side/é.png"),
        ("file://in side/é.png", "in side/é.png"),
        ("in side\\é.png", "in side/é.png"),
        ("in side/e\u0301.png", "in side/é.png"),
        ("in side/é.png", "in side/e\u0301.png"),
        (".\\in side\\e\u0301.png", "in side/é.png"),
    ],
)
def test_a_file_is_found_however_its_path_is_spelled(tmp_path: Path, named: str, stored: str) -> None:
    picture(tmp_path / stored)
    row = {**TEXT, "images": [named.replace("/ROOT", str(tmp_path))]}
    samples, problems = rows_of(tmp_path, row)
    assert [problem.message for problem in problems] == []
    assert samples[0].images == (stored,)


@pytest.mark.parametrize(
    "named", ["file:///etc/passwd", "file://../x.png", "..\\x.png", "https://a.b/x.png", "C:\\x.png"]
)
def test_no_spelling_leads_out_of_the_folder(tmp_path: Path, named: str) -> None:
    picture(tmp_path / "x.png")
    samples, problems = rows_of(tmp_path / "data", {**TEXT, "images": [named]})
    assert samples == []
    assert [problem.level for problem in problems] == ["error"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_encodings_of_other_programs_are_read(tmp_path: Path, encoding: str) -> None:
    samples, problems = rows_of(tmp_path, TEXT, {**TEXT, "id": "zwölf"}, encoding=encoding)
    assert problems == []
    assert samples[1].meta.scenario == "zwölf"


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    samples, problems = rows_of(tmp_path, {**TEXT, "id": "zwölf"}, encoding="latin-1")
    assert samples == []
    assert [(p.file, "not UTF-8" in p.message) for p in problems] == [("train.jsonl", True)]


def test_a_windows_line_break_after_a_mark_belongs_to_it(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    turns = [{"from": "human", "value": "<image>\r\nWhat?"}, {"from": "gpt", "value": "That."}]
    dump(tmp_path / "train.json", [{"id": "1", "image": "a.png", "conversations": turns}])
    samples, _ = SOURCES["llava"].read(tmp_path)
    assert text_of(samples[0].messages[0]) == "What?"


def test_a_literal_mark_in_a_text_is_found_by_check(tmp_path: Path) -> None:
    said = [{"type": "text", "text": "Write <image> here."}]
    samples, _ = rows_of(tmp_path, {"messages": [{"role": "user", "content": said}, TEXT["messages"][1]]})
    assert text_of(samples[0].messages[0]) == "Write <image> here."
    (problem,) = check_data("messages", tmp_path)
    assert (problem.level, problem.place) == ("warning", "line 1.turn 1 (user)")
    assert "holds <image>, which models take for an image" in problem.message


def test_a_video_is_found_whether_its_accents_are_composed_or_not(tmp_path: Path) -> None:
    assert stem_of("e\u0301.mp4") == "é"
    (tmp_path / "e\u0301.mp4").touch()
    assert files_by_stem(tmp_path) == {"é": "e\u0301.mp4"}

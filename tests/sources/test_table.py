"""Clips with a table about them, as people keep it."""

from __future__ import annotations

import csv
import datetime
from pathlib import Path

import openpyxl
import pytest

from cityscribe.files import InputError
from cityscribe.media.video import write_video
from cityscribe.records import Problem, Sample, text_of
from cityscribe.sources.boxes.cvat import cvat_of
from cityscribe.sources.reading import check_data
from cityscribe.sources.table import DESCRIBE, read_table
from cityscribe.sources.table_rows import seconds_of
from cityscribe.traffic.scenario import Box
from tests.media.numbered_video import numbered_frame
from tests.sources.tree import write

ROWS = """clip,start,end,text,question,answer,split
a.mp4,0.5,1.5,The van backs out.,,,train
gate/b,0:01,0:02,,Which car moves?,"The white one, slowly.",val
a.mp4,,,,What is the road like?,Dry.,
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("table")
    for name in ("a.mp4", "gate/b.mp4"):
        (root / name).parent.mkdir(exist_ok=True)
        write_video(root / name, map(numbered_frame, range(30)), 10)
    return root


@pytest.fixture
def own(clips: Path, tmp_path: Path) -> Path:
    """A folder with the clips, to put a table into."""
    for name in ("a.mp4", "gate/b.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(clips / name)
    return tmp_path


def said(samples: list[Sample]) -> list[tuple[str, ...]]:
    return [(*map(text_of, each.messages), each.meta.split, each.images[0]) for each in samples]


def wrong(problems: list[Problem]) -> list[str]:
    return [str(problem) for problem in problems if problem.level != "note"]


EXPECTED = [
    (DESCRIBE, "The van backs out.", "train", "a.mp4#t=0.750"),
    ("Which car moves?", "The white one, slowly.", "val", "gate/b.mp4#t=1.250"),
    ("What is the road like?", "Dry.", "", "a.mp4#t=0.750"),
]


def test_rows_are_texts_and_questions_about_stretches_of_clips(own: Path) -> None:
    write(own / "claims.csv", ROWS)
    samples, problems = read_table(own, frames=2)
    assert said(samples) == EXPECTED
    assert problems == []
    assert samples[2].images == ("a.mp4#t=0.750", "a.mp4#t=2.250")  # the whole clip


@pytest.mark.parametrize("form", ["semicolons", "windows", "excel", "utf16"])
def test_it_is_read_as_programs_save_it(form: str, own: Path) -> None:
    cells = list(csv.reader(ROWS.splitlines()))
    head = ["Clip-Name", "Start Time", "TO", "Description", "Question", "Answer", "Subset"]
    if form == "excel":
        book = openpyxl.Workbook()
        book.active.append(head)
        for name, start, end, *others in cells[1:]:
            times = [seconds_of(start) if start else None, datetime.time(second=2) if end == "0:02" else end or None]
            book.active.append([name, *times, *others])
        book.save(own / "claims.xlsx")
    else:
        lines = [";".join(row).replace("0.5", "0,5").replace("1.5", "1,5") for row in [head, *cells[1:]]]
        coding = {"windows": "cp1252", "utf16": "utf-16"}.get(form, "utf-8-sig")
        lines.append("a;;;;Où est-elle ?;à côté;train")
        (own / "claims.csv").write_bytes("\r\n".join(lines).encode(coding))
    samples, problems = read_table(own, frames=2)
    assert said(samples)[:3] == EXPECTED
    assert form == "excel" or text_of(samples[3].messages[1]) == "à côté"
    assert ["Windows-1252" in str(problem) for problem in problems if problem.level == "warning"] == (
        [True] if form == "windows" else []
    )


def test_what_is_wrong_is_told_by_row(own: Path) -> None:
    head = "video,begin,until,report,question,answer,set\n"
    rows = [
        "c.mp4,,,Text,,,",
        "a.mp4,later,,Text,,,",
        "a.mp4,2,1,Text,,,",
        "a.mp4,99,,Text,,,",
        "a.mp4,,,,,,train",
        "a.mp4,,,,Why?,,",
        "a.mp4,,,,,Because.,",
        "a.mp4,,,Text,,,holdout",
        ",,,Text,,,",
        "a.mp4,,9,Good,,,",
    ]
    write(own / "claims.csv", head + "\n".join(rows))
    samples, problems = read_table(own)
    assert [text_of(each.messages[1]) for each in samples] == ["Good"]
    assert [line.removeprefix("error: claims.csv: ") for line in wrong(problems)] == [
        "row 2.clip: is 'c.mp4', which is no video below the data folder; there is a.mp4",
        "row 3.start: is 'later', expected seconds, m:ss or h:mm:ss",
        "row 4.end: ends at 1 s, before its start at 2 s",
        "row 5.start: starts at 99 s, but the clip ends at 3 s",
        "row 6.text: has no text, which only a row of the split test can do without",
        "row 7.answer: has no answer, which only a row of the split test can do without",
        "row 8.answer: answers no question; put a description into the column text",
        "row 9.split: is 'holdout', expected one of train, training, val, valid, validation, dev, test, testing",
        "row 10.clip: is empty, expected the name of a video",
        "warning: claims.csv: row 11.end: ends at 9 s, but the clip at 3 s, which is used",
    ]


def test_a_table_without_its_columns_says_which(own: Path) -> None:
    write(own / "claims.csv", "number,start\n1,2\n")
    (error,) = wrong(read_table(own, files=("claims.csv",))[1])
    assert "has no column clip, also called video, file" in error
    assert "text, also called caption" in error
    assert "it has number, start" in error


def test_boxes_of_an_annotation_tool_are_on_their_frames(own: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The keyframes of CVAT are 0 and 20; on frame 7 the box is between them, and of the video b nobody has one."""
    write(own / "claims.csv", ROWS)
    keys = [Box(0, (0, 0, 10, 20)), Box(20, (20, 10, 10, 20))]
    drawn = cvat_of("a.mp4", {"person": keys}).replace('frame="1" outside="1"', 'frame="0" outside="0"')
    elsewhere = write(tmp_path_factory.mktemp("boxes") / "export.xml", drawn)
    for tracks in (elsewhere, None):
        if tracks is None:
            write(own / "annotations.xml", drawn)
        samples, problems = read_table(own, frames=2, tracks=tracks)
        assert samples[0].images == (
            "a.mp4#image_id=7&pedestrian=7,3.5,10,20",
            "a.mp4#image_id=12&pedestrian=12,6,10,20",
        )
        assert samples[1].images[0] == "gate/b.mp4#t=1.250"
        assert wrong(problems) == []


def test_boxes_that_join_nothing_are_said(own: Path) -> None:
    write(own / "claims.csv", ROWS)
    write(own / "boxes" / "c.xml", cvat_of("c.mp4", {"dog": [Box(0, (0, 0, 9, 9))], "car": [Box(0, (0, 0, 9, 9))]}))
    told = wrong(read_table(own)[1])
    assert any("c: boxes called 'dog' mean no pedestrian or vehicle" in line for line in told)
    assert any("boxes of 1 videos that no row is about, such as 'c'" in line for line in told)
    with pytest.raises(InputError, match=r"takes none; leave data\.tracks out"):
        check_data("llava", own, tracks=own / "boxes")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12", 12),
        ("12,5", 12.5),
        ("1.5 s", 1.5),
        ("1:02.5", 62.5),
        ("1:00:01", 3601),
        ("-1", None),
        ("nan", None),
        ("", None),
    ],
)
def test_times_as_people_write_them(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds

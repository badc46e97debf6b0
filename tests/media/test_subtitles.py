"""Subtitles are read as players show them, and what is wrong with a file is said with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityscribe.files import InputError
from cityscribe.media.subtitles import Cue, read_subtitles, words_by_frame

SRT = """1
00:00:01,000 --> 00:00:02,500 X1:40 X2:600
{\\an8}<i>Look out</i>
for the bus!

2
00:00:03,000 --> 00:00:04,000
Never mind.
3
01:00:00.5 --> 01:00:02,000
An hour later
"""
VTT = """WEBVTT - of a clip

STYLE
::cue { color: red }

NOTE nobody sees
this

intro
00:01.000 --> 00:02.500 line:0
<v.loud Anna>Look <c.red>out</c></v> &amp; run

00:03.000 --> 00:04.000
Never <00:00:03.500>mind.
"""


def written(folder: Path, text: str | bytes, name: str = "a.srt") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_both_formats_are_read_as_players_show_them(tmp_path: Path) -> None:
    read = read_subtitles(written(tmp_path, SRT))
    words = ["Look out for the bus!", "Never mind.", "An hour later"]
    assert read.cues == tuple(map(Cue, (1.0, 3.0, 3600.5), (2.5, 4.0, 3602.0), words))
    assert not read.problems
    read = read_subtitles(written(tmp_path, VTT, "a.vtt"))
    assert read.cues == (Cue(1.0, 2.5, "Anna: Look out & run"), Cue(3.0, 4.0, "Never mind."))
    assert not read.problems


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-8"])
def test_line_ends_and_unicode_make_no_difference(encoding: str, tmp_path: Path) -> None:
    text = SRT.replace("bus", "Straßenbahn").replace("\n", "\r\n")
    assert "Straßenbahn" in read_subtitles(written(tmp_path, text.encode(encoding))).cues[0].text


def test_what_is_wrong_is_said_with_its_line_and_the_rest_is_read(tmp_path: Path) -> None:
    text = "00:00:09,000 --> 00:00:10,000\nlate\n\n2\n00:00:01,000 --> 00:00:02,000\nearly\n\nlost words\n\n"
    text += "00:00:05,000 --> 00:00:04,000\nbackwards\n\n4\n0:1 --> noon\nno time\n"
    read = read_subtitles(written(tmp_path, text))
    assert [cue.text for cue in read.cues] == ["early", "late"]
    found = [(problem.level, problem.place, problem.message.split(":")[0]) for problem in read.problems]
    assert [(level, place) for level, place, _ in found] == [
        ("warning", "line 5"),
        ("error", "line 8"),
        ("error", "line 10"),
        ("error", "line 14"),
    ]
    assert "begins at 1 s, before the one above it at 9 s" in read.problems[0].message


def test_another_encoding_is_said_or_given(tmp_path: Path) -> None:
    german = written(tmp_path, SRT.replace("bus", "Straßenbahn").encode("cp1252"))
    read = read_subtitles(german)
    assert "Straßenbahn" in read.cues[0].text
    assert [problem.level for problem in read.problems] == ["warning"]
    assert "byte 79" in read.problems[0].message
    chinese = written(tmp_path, SRT.replace("bus", "公交车").encode("gb18030"))
    assert "公交车" in read_subtitles(chinese, encoding="gb18030").cues[0].text
    with pytest.raises(InputError, match=r"a\.srt: byte 75: not UTF-8"):
        read_subtitles(chinese, encoding="utf-8")
    with pytest.raises(InputError, match="is no encoding"):
        read_subtitles(chinese, encoding="klingon")


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "no subtitle"), ("WEBVTT\n", "no subtitle"), ("hello\n", "no cue"), (b"a\0\xff\xfe1", "byte")],
)
def test_a_file_without_cues_is_an_error(content: str | bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"a\.srt: .*{said}"):
        read_subtitles(written(tmp_path, content))
    with pytest.raises(InputError, match=r"gone\.srt: No such file"):
        read_subtitles(tmp_path / "gone.srt")


def test_each_cue_goes_once_with_the_last_frame_before_its_end() -> None:
    cues = [Cue(0, 0.5, "before"), Cue(1, 1.5, "a"), Cue(1.2, 2.0, "b"), Cue(2.5, 9, "c"), Cue(60, 61, "behind")]
    assert words_by_frame(cues, [1.0, 2.0, 3.0]) == ["a", "b", "c"]
    assert words_by_frame(cues, [0.0]) == ["before a b c behind"]
    assert words_by_frame(cues, []) == []


@settings(max_examples=60, deadline=None)
@given(content=st.one_of(st.binary(max_size=80), st.text(alphabet="0123:,.-> \nWEBVTT<v>&", max_size=80)))
def test_any_content_gives_cues_or_an_error(content: bytes | str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = written(tmp_path_factory.getbasetemp(), content, "any.srt")
    try:
        read = read_subtitles(path)
    except InputError:
        return
    assert all(0 <= cue.start_s <= cue.end_s and cue.text for cue in read.cues)
    assert list(read.cues) == sorted(read.cues, key=lambda cue: (cue.start_s, cue.end_s))

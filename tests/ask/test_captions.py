"""Clips described one by one, and a language model that answers from the descriptions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cityscribe.ask import captions
from cityscribe.ask.captions import CaptionedClips, answer_from, describe_clips, read_answer
from cityscribe.engine.request import Answer
from cityscribe.files import InputError
from cityscribe.llm.client import Client
from cityscribe.llm.message import Reply
from cityscribe.media.video import write_video
from tests.media.numbered_video import number_of, numbered_frame

CLIPS = CaptionedClips(seconds=2, frames=2)


class Numbers:
    """Says which numbers the pictures show; the only engine here that can see."""

    def __init__(self) -> None:
        self.asked = 0

    def answer(self, requests, listener=None):
        import numpy as np

        self.asked += len(requests)
        return [[Answer(" and ".join(str(number_of(np.asarray(each))) for each in r.media), 1, 1)] for r in requests]


class Reader:
    """Finds the line with the number that a question names."""

    identity, place, batch_size, calls_at_once = {"kind": "reader"}, "the reader", 4, 1

    def answer(self, chats, sampling):
        return [Reply(self.reply(chat[-1]["content"])) for chat in chats]

    def reply(self, text: str) -> str:
        wanted = text.split("number ")[1].split("?")[0]
        lines = [line for line in text.split("\n") if f": {wanted} and" in line]
        if "JSON" not in text:
            return "\n".join(lines) or "nothing"
        start, end = lines[0].split(" s:")[0].split("-")
        return f'Here: {{"answer": "there", "start": {start}, "end": {end}}}'


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("captions") / "v.mp4"
    write_video(path, map(numbered_frame, range(200)), 10)
    return path


def test_an_answer_names_its_interval_and_a_log_is_used_again(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, log = Numbers(), tmp_path / "log.jsonl"
    found = describe_clips(engine, video, CLIPS, log)
    assert [each.text for each in found] == [f"{n} and {n + 10}" for n in range(0, 200, 20)]
    for part, shortened in ((captions.PART, 0), (60, 4)):
        monkeypatch.setattr(captions, "PART", part)
        answer = answer_from(found, "Where is number 120?", Client(Reader()))
        assert (answer.text, answer.start_s, answer.end_s) == ("there", 12.0, 14.0)
        assert bool(answer.shortened) is bool(shortened)
    assert describe_clips(engine, video, CLIPS, log) == found
    assert engine.asked == 10


def test_a_stopped_log_goes_on(video: Path, tmp_path: Path) -> None:
    whole = describe_clips(Numbers(), video, CLIPS, tmp_path / "whole.jsonl")
    lines = (tmp_path / "whole.jsonl").read_text().split("\n")
    (tmp_path / "cut.jsonl").write_text("\n".join(lines[:5]) + "\n" + lines[5][:20])
    engine = Numbers()
    assert describe_clips(engine, video, CLIPS, tmp_path / "cut.jsonl") == whole
    assert engine.asked == 6
    assert (tmp_path / "cut.jsonl").read_text() == (tmp_path / "whole.jsonl").read_text()


def test_a_video_that_is_cut_short_is_described_to_its_end_and_not_again(tmp_path: Path) -> None:
    whole, cut, log = tmp_path / "whole.mkv", tmp_path / "cut.mkv", tmp_path / "log.jsonl"
    write_video(whole, map(numbered_frame, range(200)), 10)
    cut.write_bytes(whole.read_bytes()[: int(0.6 * whole.stat().st_size)])
    engine = Numbers()
    found = describe_clips(engine, cut, CLIPS, log)
    assert 2 < len(found) < 10
    asked = engine.asked
    assert describe_clips(engine, cut, CLIPS, log) == found
    assert engine.asked == asked


def test_a_stopped_log_of_a_video_that_tells_no_length_goes_on(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captions, "announced_length_s", lambda _: None)
    log = tmp_path / "log.jsonl"
    whole = describe_clips(Numbers(), video, CLIPS, log)
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:4]))
    assert describe_clips(Numbers(), video, CLIPS, log) == whole


def test_a_log_of_something_else_is_refused(video: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    describe_clips(Numbers(), video, CLIPS, log)
    with pytest.raises(InputError, match="another video, or was made with other settings"):
        describe_clips(Numbers(), video, CaptionedClips(seconds=4, frames=2), log)
    log.write_text("hello\n")
    with pytest.raises(InputError, match="no log of descriptions"):
        describe_clips(Numbers(), video, CLIPS, log)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ('{"answer": "a", "start": 1, "end": 99}', ("a", 1.0, 20.0)),
        ('{"answer": "a", "start": 9, "end": 1}', None),
        ('{"answer": "", "start": 1, "end": 2}', None),
        ('{"answer": "a", "start": "now", "end": 2}', None),
        (json.dumps({"answer": 3, "start": 1, "end": 2}), None),
        ("I do not know.", None),
        ("{[", None),
    ],
)
def test_a_reply_is_an_answer_or_none(reply: str, expected: tuple | None) -> None:
    assert read_answer(reply, 20.0) == expected

"""Clips in, a table out: what stands in it, that it is not invented, and that stopping changes nothing."""

from __future__ import annotations

import csv
import io
import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cityscribe.describe.asking import ALONE, confidence_of, facts_of, question, without_absent
from cityscribe.describe.clips import find_clips
from cityscribe.describe.rows import fact_columns
from cityscribe.describe.table import Options, Table, describe
from cityscribe.engine.request import Answer, Engine, Listener, Request, Score
from cityscribe.files import InputError
from cityscribe.media.video import write_video
from cityscribe.project import Settings, settings_without_project
from cityscribe.records import text_of
from cityscribe.traffic.prompts import load_prompts
from tests.media.numbered_video import numbered_frame

REAL_SAMPLE = Path(__file__).parent.parent / "data" / "real_sample"

PEDESTRIAN = "The pedestrian is a male in his 30s, about 170 cm tall. He wears a black jacket."
VEHICLE = "The vehicle goes straight at 20 km/h. The pedestrian is a female in her 20s. It is a clear day."


class Told:
    """An engine of the real kind whose answers are given: who is there, and what is said of each."""

    def __init__(self, present: dict[str, float]) -> None:
        self.present, self.asked, self.calls, self.dies_at = present, [], 0, 0

    def answer(self, requests: Sequence[Request], listener: Listener | None = None) -> list[list[Answer]]:
        self.calls += 1
        if self.calls == self.dies_at:
            raise KeyboardInterrupt
        self.asked += [text_of(request.messages[-1]) for request in requests]
        return [[self._said(text_of(request.messages[-1]))] for request in requests]

    def score(
        self, requests: Sequence[Request], continuations: Sequence[Sequence[str]], *, ended: bool = False
    ) -> list[list[Score]]:
        shares = [
            self.present["pedestrian" if "pedestrian" in text_of(r.messages[-1]) else "vehicle"] for r in requests
        ]
        return [
            [Score((math.log((p if t.lower() == "yes" else 1 - p) / 2),)) for t in c]
            for p, c in zip(shares, continuations, strict=True)
        ]

    def forget(self) -> None:
        pass

    def _said(self, asked: str) -> Answer:
        text = PEDESTRIAN if "account of the pedestrian" in asked else VEHICLE
        return Answer(text, 9, 2, logprobs=(math.log(0.5), math.log(0.125)))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips") / "gate"
    (root / "deep").mkdir(parents=True)
    for name, frames in (("=1+1.mp4", 20), ("b.mp4", 40), ("deep/c.mkv", 12)):
        write_video(root / name, map(numbered_frame, range(frames)), 10)
    (root / "broken.mp4").write_bytes(b"no video at all" * 30)
    return root


@pytest.fixture(scope="module")
def settings() -> Settings:
    return settings_without_project(["predict.max_new_tokens=8", "predict.precision=fp32", "prepare.image_size=64"])


def made(
    clips: Path, out: Path, settings: Settings, engine: Engine, **options: Any
) -> tuple[Table, list[dict[str, str]]]:
    found = describe([clips], str(clips), [out], settings, Options(**options), lambda: engine)
    text = out.read_bytes().decode("utf-8-sig")
    return found, list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_row_for_each_span_and_for_a_clip_that_cannot_be_read(
    clips: Path, tmp_path: Path, settings: Settings
) -> None:
    found, rows = made(clips, tmp_path / "t.csv", settings, Told({"pedestrian": 0.9, "vehicle": 0.8}), span_s=2.0)
    assert [(r["clip"], r["span"], r["start_s"], r["end_s"]) for r in rows] == [
        ("'=1+1.mp4", "1", "0.00", "2.00"),  # no formula
        ("b.mp4", "1", "0.00", "2.00"),
        ("b.mp4", "2", "2.00", "4.00"),
        ("broken.mp4", "", "", ""),
        ("deep/c.mkv", "1", "0.00", "1.20"),
    ]
    assert [name for name, _ in found.unread] == ["broken.mp4"]
    assert rows[3]["problem"] == found.unread[0][1] != ""
    assert (found.clips, found.spans, found.found) == (4, 4, {"pedestrian": 4, "vehicle": 4})
    first = rows[0]
    assert (first["pedestrian"], first["pedestrian_by"], first["pedestrian_probability"]) == ("found", "model", "0.9")
    assert (first["pedestrian_description"], first["pedestrian_confidence"]) == (PEDESTRIAN, "0.25")
    assert (first["pedestrian_sex"], first["pedestrian_age"], first["pedestrian_upper_colour"]) == (
        "male",
        "30s",
        "black",
    )
    assert (first["vehicle_speed"], first["scene_weather"]) == ("20 km/h", "clear")
    assert list(first)[-1] == fact_columns()[-1][0]
    assert not (tmp_path / "t.csv.work").exists()


def test_who_is_not_found_is_not_described(clips: Path, tmp_path: Path, settings: Settings) -> None:
    """Nor asked about; and what the model says of the vehicle loses its sentence about somebody who is not there."""
    engine = Told({"pedestrian": 0.2, "vehicle": 0.8})
    _, rows = made(clips, tmp_path / "t.csv", settings, engine)
    assert set(engine.asked) == {ALONE["vehicle"].format(name="the vehicle")}
    for row in (row for row in rows if row["span"]):
        assert (row["pedestrian"], row["pedestrian_probability"]) == ("none found", "0.2")
        assert row["vehicle_description"] == "The vehicle goes straight at 20 km/h. It is a clear day."
        assert "1 sentences about a pedestrian left out, because none was found" in row["problem"]
        assert not any(row[column] for column, about, _ in fact_columns() if about == "pedestrian")
        assert row["pedestrian_description"] == row["pedestrian_confidence"] == ""


def test_killed_and_resumed_gives_the_same_bytes(clips: Path, tmp_path: Path, settings: Settings) -> None:
    present = {"pedestrian": 0.9, "vehicle": 0.2}
    outputs = [tmp_path / "whole" / f"t{suffix}" for suffix in (".csv", ".json", ".html")]
    again = [tmp_path / "again" / path.name for path in outputs]
    for folder in ("whole", "again"):
        (tmp_path / folder).mkdir()
    engine = Told(present)
    describe([clips], str(clips), outputs, settings, Options(), lambda: engine)
    for dies_at in (1, 2):
        killed = Told(present)
        killed.dies_at = dies_at
        with pytest.raises(KeyboardInterrupt):
            describe([clips], str(clips), again, settings, Options(), lambda engine=killed: engine)
        assert not any(path.exists() for path in again)
    last = Told(present)
    describe([clips], str(clips), again, settings, Options(), lambda: last)
    assert last.calls == engine.calls - 1  # one clip was whole when the second call was killed
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in outputs]


def test_boxes_and_phases_of_a_data_set_decide(tmp_path: Path, settings: Settings) -> None:
    """The highway of the real sample has no pedestrian."""
    engine = Told({})  # is never asked who is there
    found, rows = made(REAL_SAMPLE, tmp_path / "t.csv", settings, engine)
    assert found.clips == 3
    highway = [row for row in rows if "HW01" in row["clip"]]
    assert [row["phase"] for row in highway][:2] == ["prerecognition", "recognition"]
    assert {(row["camera"], row["pedestrian"], row["vehicle"], row["vehicle_by"]) for row in highway} == {
        ("vehicle", "none found", "found", "annotation")
    }
    parking = [row for row in rows if "PK01_T1" in row["clip"]]
    assert {(row["pedestrian"], row["pedestrian_by"]) for row in parking} == {("found", "annotation")}
    assert all("Phase of the event: " in text for text in engine.asked)


def test_confidence_is_the_geometric_mean_and_needs_all_tokens() -> None:
    answer = Answer("a", 1, 3, logprobs=(math.log(0.9), math.log(0.4), math.log(0.6)))
    assert confidence_of(answer) == pytest.approx((0.9 * 0.4 * 0.6) ** (1 / 3), abs=1e-4)
    assert confidence_of(replace(answer, logprobs=())) is None
    assert confidence_of(replace(answer, logprobs=(0.0, math.nan))) is None


def test_facts_are_of_whom_they_are_about() -> None:
    facts = facts_of({"pedestrian": PEDESTRIAN, "vehicle": VEHICLE})
    assert facts["pedestrian"]["age"] == "30s"  # what the other description says of the pedestrian does not count
    assert "age" not in facts["vehicle"]
    assert facts_of({"vehicle": VEHICLE}).get("pedestrian") is None
    assert without_absent("He waits. The car stops.", ["vehicle"]) == ("He waits.", 1)


def test_questions_claim_no_phase_and_nobody_who_is_not_there() -> None:
    prompts = load_prompts(None)
    alone = question(prompts, "vehicle", None, (), "vehicle", [])
    assert alone.startswith("Give an account of the ego-vehicle")
    both = question(prompts, "overhead", 2, ("vehicle",), "vehicle", ["pedestrian"])
    assert both.startswith("Phase of the event: judgement. Look at the vehicle in the blue box")


def test_what_cannot_be_described_is_said(clips: Path, tmp_path: Path, settings: Settings) -> None:
    engine = Told({})
    with pytest.raises(InputError, match=r"t.txt: expected a name that ends in .csv, .json, .html"):
        describe([clips], "m", [tmp_path / "t.txt"], settings, Options(), lambda: engine)
    with pytest.raises(InputError, match="no such file or folder"):
        find_clips([tmp_path / "none.mp4"], "overhead", None)
    with pytest.raises(InputError, match="is no video"):
        find_clips([Path(__file__)], "overhead", None)
    shutil.copy(clips / "broken.mp4", tmp_path / "broken.mp4")
    with pytest.raises(InputError, match=r"none of 1 clips can be opened; broken.mp4: "):
        describe([tmp_path / "broken.mp4"], "m", [tmp_path / "t.csv"], settings, Options(), lambda: engine)

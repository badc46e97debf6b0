"""One reader of caption files, asked in two ways: for `prepare`, and for the official scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cityscribe.traffic.captions import phase_number, read_caption_file, read_segments
from cityscribe.traffic.scenario import PHASES, ROLES

CONFORMANCE = Path(__file__).parents[1] / "conformance" / "wts-score" / "references"


def phase(label: Any, start: Any = "1.0", end: Any = "2.0", **more: Any) -> dict[str, Any]:
    return {
        "labels": label,
        "start_time": start,
        "end_time": end,
        "caption_pedestrian": "P.",
        "caption_vehicle": "V.",
        **more,
    }


def read(path: Path, value: Any) -> tuple[dict[int, dict[str, str]], dict[int, dict[str, str]], list[str]]:
    """Captions by phase for `prepare` and for the scores, and the places of what was noted for either."""
    path.write_text(json.dumps(value), encoding="utf-8")
    places: list[str] = []
    for_prepare = read_caption_file(path, lambda level, place, message: places.append(place), withheld=False)
    for_scores = read_segments(path, lambda level, place, message: None)
    first = {} if for_prepare is None else {phase.number: phase.captions for phase in for_prepare.phases}
    return first, {number: segment.captions for number, segment in for_scores.items()}, places


@pytest.mark.parametrize("path", sorted(CONFORMANCE.rglob("*_caption.json")), ids=lambda path: path.stem)
def test_both_ways_give_the_same_captions(path: Path) -> None:
    noted: list[str] = []
    found = read_caption_file(path, lambda level, place, message: noted.append(message), withheld=False)
    segments = read_segments(path, lambda level, place, message: noted.append(message))
    assert found is not None
    assert noted == []
    assert {phase.number: phase.captions for phase in found.phases} == {n: s.captions for n, s in segments.items()}


def test_scores_need_no_times_and_take_the_first_label(tmp_path: Path) -> None:
    entries = [phase(["0"]), phase(["1", "2"]), phase(["3"], start="soon")]
    first, scored, places = read(tmp_path / "a.json", {"event_phase": entries})
    assert list(first) == [0]
    assert list(scored) == [0, 1, 3]
    assert places == ["event_phase[1].labels", "event_phase[2].start_time"]


def test_of_a_phase_that_stands_twice_the_first_counts(tmp_path: Path) -> None:
    entries = [phase("2"), phase(2, caption_vehicle="Other.")]
    first, scored, places = read(tmp_path / "a.json", [{"event_phase": entries}])
    assert first == scored == {2: {"pedestrian": "P.", "vehicle": "V."}}
    assert places == ["event_phase[1].labels"]


@pytest.mark.parametrize("value", [7, [], [{}, {}], {}, {"event_phase": []}, {"event_phase": [7, {"labels": "9"}]}])
def test_what_is_no_caption_file_gives_nothing_and_says_so(tmp_path: Path, value: Any) -> None:
    first, scored, places = read(tmp_path / "a.json", value)
    assert first == scored == {}
    assert places


def test_a_caption_that_is_no_text_is_empty(tmp_path: Path) -> None:
    first, scored, places = read(tmp_path / "a.json", {"event_phase": [phase("4", caption_vehicle=None)]})
    assert first == scored == {4: {"pedestrian": "P.", "vehicle": ""}}
    assert places == ["event_phase[0].caption_vehicle"]


def test_labels_are_digits_or_words() -> None:
    for number, word in enumerate(PHASES):
        for label in (number, str(number), f" {number} ", float(number), word, word.upper(), f"{word[:4]}-{word[4:]}"):
            assert phase_number(label) == phase_number([label]) == number
    for label in (None, "", [], "5", -1, 1.5, True, "crossing", {"action": 1}):
        assert phase_number(label) is None
    assert set(ROLES) == {"pedestrian", "vehicle"}

"""CHAIR's ratios on cases that can be counted by hand, and the files that captions and truth come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cityscribe.evaluate.hallucination.chair import chair
from cityscribe.evaluate.hallucination.objects import read_vocabulary
from cityscribe.files import InputError
from cityscribe.traffic.metrics.named_objects import TRAFFIC_OBJECTS, read_captions, truth_of_references
from tests.evaluate.benchmarks.small_benchmarks import dump, dump_lines

TRAFFIC = read_vocabulary(TRAFFIC_OBJECTS)


def test_sentences_mentions_and_recall() -> None:
    captions = {
        "1": "A car and a dog. The dog barks.",  # dog twice
        "2": "A vehicle at the traffic light.",
        "3": "It rains.",
    }
    truth = {"1": ["car", "person"], "2": ["bus", "traffic light"], "3": [], "4": ["car"]}
    found = chair(captions, truth, TRAFFIC)
    assert found.total["chair_s"] == pytest.approx(100 / 3)
    assert found.total["chair_i"] == pytest.approx(100 * 2 / 5)
    assert found.total["recall"] == pytest.approx(100 * 3 / 4)  # the person was not named; the bus was, as a vehicle
    assert found.total["hallucinated by object"] == {"dog": 2}
    assert found.rows[0]["hallucinated"] == ["dog", "dog"]


def test_nothing_named_is_no_ratio() -> None:
    total = chair({"1": "It rains."}, {"1": []}, TRAFFIC).total
    assert (total["chair_s"], total["chair_i"], total["recall"]) == (0, None, None)


def test_a_caption_without_truth_is_refused() -> None:
    with pytest.raises(InputError, match="1 of 1 captions are about images without truth: 1"):
        chair({"1": "A car."}, {}, TRAFFIC)


@pytest.mark.parametrize(
    "rows",
    [
        [{"image": "a.jpg", "caption": "A car."}],
        [{"image_id": "a.jpg", "text": "A car."}],
        [{"id": "7", "images": ["a.jpg"], "question": "?", "answer": "A car."}],
    ],
)
def test_captions_in_lines(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    assert read_captions(dump_lines(tmp_path / "c.jsonl", rows)) == {"a.jpg": "A car."}
    assert read_captions(dump(tmp_path / "c.json", rows)) == {"a.jpg": "A car."}
    with pytest.raises(InputError, match="line 2: a second caption"):
        read_captions(dump_lines(tmp_path / "c.jsonl", rows * 2))


def test_a_submission_is_read_by_phases_and_judged_by_the_references_of_its_data_set(tmp_path: Path) -> None:
    said = {"labels": ["4"], "caption_pedestrian": "A man.", "caption_vehicle": "A car near a bus."}
    truth = {**said, "caption_vehicle": "A car at a crosswalk.", "start_time": "0", "end_time": "1"}
    caption = tmp_path / "data" / "annotations" / "caption" / "val" / "s" / "overhead_view" / "s_caption.json"
    dump(caption, {"id": 1, "overhead_videos": ["s.mp4"], "event_phase": [truth]})
    captions = read_captions(dump(tmp_path / "predictions.json", {"s": [said]}))
    assert captions == {"s/4": "A man. A car near a bus."}
    found = chair(captions, truth_of_references(tmp_path / "data", TRAFFIC), TRAFFIC)
    assert found.rows[0]["hallucinated"] == ["bus"]
    assert found.rows[0]["truth"] == ["person", "car", "crosswalk"]


def test_references_by_image(tmp_path: Path) -> None:
    path = dump(tmp_path / "r.json", {"a.jpg": ["A car.", "A red taxi and a dog"], "b.jpg": "Rain."})
    assert truth_of_references(path, TRAFFIC) == {"a.jpg": ("car", "car", "dog"), "b.jpg": ()}


@pytest.mark.parametrize("content", ["[]", "3", '[{"image": "a"}]', '[{"image": "a", "caption": 1}]'])
def test_what_is_no_caption_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(InputError, match=r"c\.json"):
        read_captions(tmp_path / "c.json")

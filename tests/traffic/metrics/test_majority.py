from __future__ import annotations

from math import sqrt
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cityscribe.files import write_json
from cityscribe.records import Sample, message, text_block
from cityscribe.traffic.meta import TrafficMeta
from cityscribe.traffic.metrics.caption_files import read_predictions
from cityscribe.traffic.metrics.majority import most_typical, typical_captions, write_majority


def sample(caption: str, phase: int = 0, role: str = "pedestrian", scenario: str = "s", **meta: str) -> Sample:
    said = (message("user", text_block("Describe.")), message("assistant", text_block(caption)))
    return Sample(said, (), "", TrafficMeta(scenario=scenario, phase=phase, target=role, **{"kind": "long", **meta}))


@example(["b c", "c d", "a a a c d d", "c a a b b b"])  # a tie but for rounding
@given(st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=6).map(" ".join), min_size=1, max_size=8))
def test_the_most_typical_caption_is_the_one_nearest_to_all(captions: list[str]) -> None:
    def cosine(first: str, other: str) -> float:
        a, b = ([text.split().count(word) for word in "abcd"] for text in (first, other))
        return sum(x * y for x, y in zip(a, b, strict=True)) / sqrt(sum(x * x for x in a) * sum(y * y for y in b))

    nearness = {caption: sum(cosine(caption, other) for other in captions) for caption in captions}
    assert nearness[most_typical(captions)] == pytest.approx(max(nearness.values()))
    assert most_typical(captions[::-1]) == most_typical(captions)


def test_captions_are_taken_by_phase_and_road_user_and_once_a_scenario() -> None:
    views = [sample("a rare one", scenario="x", view=str(view)) for view in range(9)]
    others = [sample("a walk", scenario=name) for name in "abc"]
    typical = typical_captions([*views, *others, sample("a stop", phase=3), sample("x", kind="short"), sample("", -1)])
    assert typical[0, "pedestrian"] == "a walk"
    assert typical[3, "pedestrian"] == "a stop"
    assert typical[4, "pedestrian"] == "a walk"  # of any phase
    assert not any(role == "vehicle" for _, role in typical)


def test_every_reference_phase_gets_a_prediction(tmp_path: Path) -> None:
    folder = tmp_path / "annotations" / "caption" / "val"
    folder.mkdir(parents=True)
    entries = [{"labels": [str(phase)], "caption_pedestrian": "p", "caption_vehicle": "v"} for phase in (4, 1)]
    write_json(folder / "20230001_caption.json", {"event_phase": entries})
    write_majority([sample("a walk"), sample("a drive", role="vehicle")], tmp_path, tmp_path / "out.json", split="val")
    predictions = read_predictions(tmp_path / "out.json")["20230001"]
    said = {"pedestrian": "a walk", "vehicle": "a drive"}
    assert {phase: segment.captions for phase, segment in predictions.items()} == {1: said, 4: said}

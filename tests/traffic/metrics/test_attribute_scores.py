from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityscribe.files import write_json
from cityscribe.traffic.metrics.attribute_scores import attribute_scores, evaluate_attributes, judge, mean_shares
from cityscribe.traffic.metrics.consistency import SegmentFacts
from cityscribe.traffic.scenario import PHASES, ROLES

values = st.dictionaries(st.sampled_from(["sex", "weather", "motion"]), st.sampled_from(["a", "b", "?"]))


@pytest.mark.parametrize(
    ("stated", "said", "verdict"),
    [
        ({"age": "30s"}, {"age": "30s"}, "right"),
        ({"age": "30s"}, {"age": "adult"}, "right"),
        ({"age": "30s"}, {"age": "70s"}, "contradicted"),
        ({"age": "30s"}, {"age": "?"}, "contradicted"),
        ({"age": "30s"}, {}, "omitted"),
        ({}, {"age": "30s"}, "extra"),
        ({"age": "?"}, {"age": "30s"}, "unclear"),
    ],
    ids=["equal", "vague", "other", "two ways", "silent", "alone", "unclear reference"],
)
def test_verdicts(stated: dict[str, str], said: dict[str, str], verdict: str) -> None:
    assert judge("age", SegmentFacts(stated, said)) == verdict


@given(st.lists(st.builds(SegmentFacts, values, values)))
def test_every_stated_value_gets_one_verdict(facts: list[SegmentFacts]) -> None:
    scores = attribute_scores(facts)
    for score in scores:
        name = score.attribute
        assert score.stated == sum(segment.stated.get(name, "?") != "?" for segment in facts)
        assert score.right + score.contradicted + score.omitted == score.stated
        assert score.unclear == sum(segment.stated.get(name) == "?" for segment in facts)
        assert score.extra == sum(name in segment.said and name not in segment.stated for segment in facts)
        assert score.stated / 2 <= score.constant <= score.stated  # of two values
        assert sum(count for *_, count in score.confusions) <= score.contradicted
    assert mean_shares(scores).keys() == ({"right", "contradicted", "omitted", "constant"} if scores else set())


def test_nobody_beats_the_references_and_a_constant_answer_is_worth_the_constant() -> None:
    facts = [SegmentFacts({"weather": value}, {"weather": "clear"}) for value in ("clear", "clear", "rainy")]
    (score,) = attribute_scores(facts)
    assert (score.right, score.constant, score.confusions) == (2, 2, (("rainy", "clear", 1),))
    assert score.accuracy == pytest.approx(2 / 3)


def test_files_are_compared_segment_by_segment(tmp_path: Path) -> None:
    said = {
        "pedestrian": "A man in a red jacket walks.",
        "vehicle": "The vehicle goes straight at 20 km/h. It rains hard.",
    }
    entries = [{"labels": [str(phase)], **{f"caption_{role}": said[role] for role in ROLES}} for phase in range(5)]
    folder = tmp_path / "annotations" / "caption" / "val"
    folder.mkdir(parents=True)
    write_json(folder / "20230001_caption.json", {"event_phase": entries})
    wrong = [{**entry, "caption_vehicle": "The vehicle goes straight at 5 km/h. Etc."} for entry in entries[1:]]
    write_json(tmp_path / "predictions.json", {"20230001": wrong})
    found = evaluate_attributes(tmp_path, tmp_path / "predictions.json").to_json()
    rows = {row["attribute"]: row for row in found["attributes"]}
    assert [rows["vehicle_speed"][kind] for kind in ("stated", "right", "contradicted", "omitted")] == [5, 0, 4, 1]
    assert [rows["vehicle_action"][kind] for kind in ("stated", "right", "omitted")] == [5, 4, 1]
    assert [rows["upper_colour"][kind] for kind in ("stated", "right", "omitted")] == [5, 4, 1]
    assert len(found["segments"]) == len(PHASES) * len(ROLES)
    assert found["segments"]["20230001/0/vehicle"]["said"] == {}
    assert found["reading"] == {
        "references": {"sentences": 15, "unread": 0},
        "predictions": {"sentences": 12, "unread": 4},
    }
    before = write_twice(tmp_path, found)
    assert write_twice(tmp_path, evaluate_attributes(tmp_path, tmp_path / "predictions.json").to_json()) == before


def write_twice(folder: Path, found: dict[str, object]) -> bytes:
    write_json(folder / "attributes.json", found)
    return (folder / "attributes.json").read_bytes()

from __future__ import annotations

from cityscribe.traffic.metrics.consistency import SegmentFacts, consistency


def scenario(name: str, role: str, attribute: str, stated: list[str], said: list[str]) -> dict[str, SegmentFacts]:
    """The segments of a scenario, phase by phase; an empty value states nothing."""

    def facts(value: str) -> dict[str, str]:
        return {attribute: value} if value else {}

    pairs = enumerate(zip(stated, said, strict=True))
    return {f"{name}/{phase}/{role}": SegmentFacts(facts(truth), facts(own)) for phase, (truth, own) in pairs}


def test_what_cannot_change_is_compared_over_phases_and_road_users() -> None:
    segments = {
        **scenario("same", "pedestrian", "height", ["170 cm"] * 3, ["160 cm"] * 3),
        **scenario("changed", "pedestrian", "height", ["170 cm"] * 3, ["170 cm", "", "160 cm"]),
        **scenario("both", "pedestrian", "height", ["170 cm", "", ""], ["170 cm", "", ""]),
        **scenario("both", "vehicle", "height", ["", "170 cm", ""], ["", "180 cm", ""]),
        **scenario("once", "vehicle", "height", ["170 cm", "", ""], ["170 cm", "", ""]),
        **scenario("unclear", "vehicle", "height", ["170 cm", "170 cm"], ["?", "170 cm"]),
    }
    assert consistency(segments)["fixed"] == {
        "height": {"predictions": 4, "predictions_kept": 1, "references": 4, "references_kept": 4}
    }
    assert consistency(segments)["changing"] == {}


def test_vague_and_precise_words_agree_but_two_precise_ones_do_not() -> None:
    kept = scenario("a", "pedestrian", "age", ["30s"] * 3, ["adult", "30s", "30s"])
    broken = scenario("b", "pedestrian", "age", ["30s"] * 3, ["adult", "30s", "40s"])
    assert consistency(kept | broken)["fixed"]["age"]["predictions_kept"] == 1


def test_what_changes_changes_with_the_reference() -> None:
    truth = ["far", "far", "near", "near", "close"]
    said = ["near", "near", "far", "close", "close"]
    steps = consistency(scenario("a", "vehicle", "distance", truth, said))["changing"]
    assert steps == {"distance": {"steps": 4, "together": 2, "missed": 1, "invented": 1, "changes": 2}}
    silent = consistency(scenario("a", "vehicle", "distance", truth, ["near", "", "far", "?", "close"]))
    assert silent["changing"] == {}

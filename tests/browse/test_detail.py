"""What the page is told of a scenario."""

from __future__ import annotations

import json

from cityscribe.browse.detail import scenario_detail, without_path
from cityscribe.browse.library import Library, entry_id
from cityscribe.prepare.views import why_phase_is_left_out
from cityscribe.traffic.dimensions import DIMENSIONS
from cityscribe.traffic.scenario import PHASES, ROLES
from tests.browse.made import ASKED, BARE, BOXED, FRAMES


def test_boxes_stand_on_frames_of_the_video_two_ids_a_frame_at_60_fps(of_data: Library) -> None:
    for name, split in ((BOXED, "train"), (ASKED, "val")):
        (view,) = scenario_detail(of_data, entry_id(split, name))["views"]
        assert [box["frame"] for box in view["boxes"]["pedestrian"]] == [2, 6, 10, 14, 18]
        assert len(view["video"]["times_s"]) == view["video"]["frames"] == FRAMES


def test_the_verdict_of_a_phase_is_that_of_prepare(of_run: Library) -> None:
    detail = scenario_detail(of_run, entry_id("train", BOXED))
    (view,) = detail["views"]
    scenario = of_run.scenarios[entry_id("train", BOXED)]
    for phase in view["phases"]:
        assert phase["why"] == why_phase_is_left_out(scenario.views[0], phase["number"], of_run.settings.prepare)
        assert phase["prepared"] is not bool(phase["why"])
    assert [phase["frame"] for phase in view["phases"]] == [2, 6, 10, 14, 18]
    assert {skip["phase"] for skip in detail["skipped"]} == {p["number"] for p in view["phases"] if p["why"]} != set()


def test_captions_are_sorted_into_dimensions_and_nothing_is_lost(of_data: Library) -> None:
    detail = scenario_detail(of_data, entry_id("train", BOXED))
    assert {(each["phase"], each["role"]) for each in detail["captions"]} == {(n, r) for n in range(5) for r in ROLES}
    phase = of_data.scenarios[detail["id"]].views[0].phases[0]
    for each in detail["captions"][:2]:
        assert " ".join(sentence["text"] for sentence in each["sentences"]) == phase.captions[each["role"]]
        assert {sentence["dimension"] for sentence in each["sentences"]} <= set(DIMENSIONS)


def test_predictions_stand_beside_references_with_differences_marked(of_run: Library) -> None:
    found = scenario_detail(of_run, entry_id("val", ASKED))["predictions"]
    assert len(found) == len(PHASES) * len(ROLES)
    for each in found:
        (model,) = each["models"]
        differing = "".join(span["text"] for span in model["spans"] if span["differs"])
        assert differing == ("" if each["phase"] == 0 else "quickly" if each["role"] == "pedestrian" else "wet")
        assert (model["points"] == 100.0) == (each["phase"] == 0)


def test_samples_of_a_run_are_those_of_their_phase(of_run: Library) -> None:
    (view,) = scenario_detail(of_run, entry_id("val", ASKED))["views"]
    for phase in view["phases"]:
        assert [sample["target"] for sample in phase["samples"]] == ["vehicle", "pedestrian"]
        assert [image["name"] for image in phase["images"]] == ["local", "global"]


def test_without_boxes_the_raw_frame_is_announced(of_data: Library) -> None:
    (view,) = scenario_detail(of_data, entry_id("train", BARE))["views"]
    assert all(phase["why"] == "no boxes" for phase in view["phases"])
    assert "raw frame" in view["phases"][0]["note"]


def test_no_path_of_this_machine_is_told(of_run: Library) -> None:
    for entry in of_run.entries:
        said = json.dumps(scenario_detail(of_run, entry.id))
        assert str(of_run.settings.data.path) not in said
    assert without_path("/a/b c/d.mp4: not one frame can be read") == "not one frame can be read"
    assert without_path("pedestrian of 12 px2 is not above 1000") == "pedestrian of 12 px2 is not above 1000"

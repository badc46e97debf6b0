"""WTS is read as it lies on disk: every layout, every way of writing a value, and nothing lost silently."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityscribe.files import InputError
from cityscribe.records import Problem
from cityscribe.sources import SOURCES
from cityscribe.sources.wts import REFERENCE_LIST, read_wts
from cityscribe.traffic.scenario import PHASES, Scenario
from tests.sources.tree import (
    add_boxes,
    add_external,
    add_overhead,
    add_vehicle,
    box,
    box_path,
    caption_path,
    phase,
    video_path,
    withheld,
    write,
)

REAL_SAMPLE = Path(__file__).parents[1] / "data" / "real_sample"


def only(root: Path) -> Scenario:
    """The one scenario of a data set that has no problems."""
    scenarios, problems = read_wts(root)
    assert problems == []
    assert len(scenarios) == 1
    return scenarios[0]


def lines(problems: list[Problem]) -> list[str]:
    return [str(problem) for problem in problems]


def one_problem(root: Path) -> Problem:
    problems = read_wts(root)[1]
    assert len(problems) == 1, lines(problems)
    return problems[0]


# The real sample


def test_real_sample_is_read_completely() -> None:
    scenarios, problems = SOURCES["wts"].read(REAL_SAMPLE)
    assert problems == []
    assert [(s.name, s.split, s.domain, s.source) for s in scenarios] == [
        ("20260914_01_PK01_T1", "train", "internal", "wts"),
        ("20260914_02_HW01_T1", "train", "internal", "wts"),
        ("20260914_01_PK01_T2", "val", "internal", "wts"),
    ]
    parking, highway, mirrored = (scenario.views[0] for scenario in scenarios)
    assert [(p.number, p.start_s, p.end_s) for p in parking.phases] == [
        (0, 0.333, 0.667),
        (1, 0.667, 1.333),
        (2, 1.333, 2.0),
        (3, 2.0, 2.667),
        (4, 2.667, 3.417),
    ]
    assert [(p.number, p.start_s, p.end_s) for p in highway.phases] == [(0, 0.0, 0.76), (1, 0.76, 1.48)]
    assert [p.captions["pedestrian"] for p in highway.phases] == ["", ""]
    assert highway.phases[1].captions["vehicle"].startswith("The vehicle is a white passenger car")
    assert parking.phases[4].captions["vehicle"].startswith("The vehicle turns left at about 10 km/h")
    assert (parking.kind, highway.kind, mirrored.kind) == ("overhead", "vehicle", "overhead")
    assert [(b.image_id, b.xywh, b.phase) for b in parking.boxes["pedestrian"]][:2] == [
        (4, (320.0, 0.0, 20.0, 24.0), 0),
        (8, (322.0, 0.0, 22.0, 30.0), 1),
    ]
    assert [len(view.boxes["vehicle"]) for view in (parking, highway, mirrored)] == [5, 2, 5]
    assert "pedestrian" not in highway.boxes
    assert mirrored.boxes_of("vehicle", 2)[0].xywh == (308.0, 77.0, 79.0, 128.0)
    assert all(view.video.is_file() for view in (parking, highway, mirrored))


# Views and phases


def test_each_view_keeps_its_own_times_and_overhead_cameras_share_theirs(tmp_path: Path) -> None:
    stems = add_overhead(tmp_path, "20230707_8_SN46_T1")
    vehicle = add_vehicle(tmp_path, "20230707_8_SN46_T1")
    scenario = only(tmp_path)
    assert [(view.name, view.kind) for view in scenario.views] == [
        (stems[0], "overhead"),
        (stems[1], "overhead"),
        (vehicle, "vehicle"),
    ]
    first, second, third = scenario.views
    assert first.phases == second.phases
    assert [p.start_s for p in first.phases] == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert [p.start_s for p in third.phases] == [1.5, 3.5, 5.5, 7.5, 9.5]
    assert [p.number for p in third.phases] == [0, 1, 2, 3, 4]


def test_overlapping_phases_are_kept_as_they_are(tmp_path: Path) -> None:
    add_overhead(tmp_path, "s", phases=[phase("1", "2.00", "5.12"), phase("0", "0.000", "2.12")])
    assert [(p.start_s, p.end_s) for p in only(tmp_path).views[0].phases] == [(0.0, 2.12), (2.0, 5.12)]


@pytest.mark.parametrize(
    "label", ["3", 3, 3.0, "action", "Action", " ACTION ", ["3"], ["action", "3"]], ids=lambda label: repr(label)
)
def test_labels_in_all_their_spellings(tmp_path: Path, label: Any) -> None:
    labels = label if isinstance(label, list) else [label]
    add_overhead(tmp_path, "s", phases=[phase("3", labels=labels)])
    assert [p.number for p in only(tmp_path).views[0].phases] == [3]


def test_every_word_is_a_phase(tmp_path: Path) -> None:
    add_overhead(tmp_path, "s", phases=[phase(word, labels=word) for word in reversed(PHASES)])
    assert [p.number for p in only(tmp_path).views[0].phases] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("label", [[], ["5"], ["-1"], ["3", "4"], [None], [3.5], [True], "crossing", {"3": 1}, [["3"]]])
def test_labels_that_are_no_phase(tmp_path: Path, label: Any) -> None:
    add_overhead(tmp_path, "s", phases=[phase("0"), phase("3", labels=label)])
    problem = one_problem(tmp_path)
    assert (problem.level, problem.place) == ("error", "event_phase[1].labels")
    assert [p.number for p in read_wts(tmp_path)[0][0].views[0].phases] == [0]


@pytest.mark.parametrize(("start", "end"), [("1.5", "2.5"), (1.5, 2.5), (" 1.5", "2.50 "), ("1.500", 2.5)])
def test_times_as_strings_or_numbers(tmp_path: Path, start: Any, end: Any) -> None:
    add_overhead(tmp_path, "s", phases=[phase("0", start, end)])
    assert [(p.start_s, p.end_s) for p in only(tmp_path).views[0].phases] == [(1.5, 2.5)]


@pytest.mark.parametrize("zero", [0, 0.0, "0", "0.000"])
def test_zero_is_a_start_time(tmp_path: Path, zero: Any) -> None:
    add_overhead(tmp_path, "s", phases=[phase("0", zero, "1.0")])
    assert only(tmp_path).views[0].phases[0].start_s == 0.0


@pytest.mark.parametrize("bad", [None, "", "soon", "nan", math.nan, math.inf, "1e400", 10**400, [], {}, True, "1:20"])
@pytest.mark.parametrize("key", ["start_time", "end_time"])
def test_times_that_are_none(tmp_path: Path, key: str, bad: Any) -> None:
    add_overhead(tmp_path, "s", phases=[phase("0"), phase("1", **{key: bad})])
    problem = one_problem(tmp_path)
    assert (problem.level, problem.place) == ("error", f"event_phase[1].{key}")
    assert [p.number for p in read_wts(tmp_path)[0][0].views[0].phases] == [0]


def test_a_phase_that_ends_before_it_starts(tmp_path: Path) -> None:
    add_overhead(tmp_path, "s", phases=[phase("0"), phase("1", "5.0", "4.9")])
    problem = one_problem(tmp_path)
    assert (problem.level, problem.place) == ("error", "event_phase[1].end_time")
    assert "4.9" in problem.message


def test_a_phase_that_starts_before_the_video(tmp_path: Path) -> None:
    add_overhead(tmp_path, "s", phases=[phase("0", "-0.4", "1.0")])
    problem = one_problem(tmp_path)
    assert (problem.level, problem.place) == ("warning", "event_phase[0].start_time")
    assert read_wts(tmp_path)[0][0].views[0].phases[0].start_s == 0.0


def test_a_phase_written_twice(tmp_path: Path) -> None:
    add_overhead(tmp_path, "s", phases=[phase("1", caption_vehicle="first"), phase("recognition", 8, 9)])
    problem = one_problem(tmp_path)
    assert (problem.level, problem.place) == ("error", "event_phase[1].labels")
    assert [p.captions["vehicle"] for p in read_wts(tmp_path)[0][0].views[0].phases] == ["first"]


def test_captions_are_kept_to_the_letter(tmp_path: Path) -> None:
    text = "  The “pedestrian” — höhe 170cm .\n"
    add_overhead(tmp_path, "s", phases=[phase("0", caption_pedestrian=text, caption_vehicle="")])
    assert only(tmp_path).views[0].phases[0].captions == {"pedestrian": text, "vehicle": ""}


@pytest.mark.parametrize("bad", [None, 3, ["text"], {"text": 1}])
def test_captions_that_are_no_text(tmp_path: Path, bad: Any) -> None:
    add_overhead(tmp_path, "s", phases=[phase("0", caption_pedestrian=bad)])
    problem = one_problem(tmp_path)
    assert (problem.level, problem.place) == ("warning", "event_phase[0].caption_pedestrian")
    assert read_wts(tmp_path)[0][0].views[0].phases[0].captions["pedestrian"] == ""


def test_half_a_surrogate_pair_in_a_caption(tmp_path: Path) -> None:
    add_overhead(tmp_path, "s", phases=[phase("0", caption_pedestrian="a \ud83d b")])
    assert one_problem(tmp_path).place == "event_phase[0].caption_pedestrian"
    assert read_wts(tmp_path)[0][0].views[0].phases[0].captions["pedestrian"] == "a ? b"


def test_a_scenario_with_only_a_vehicle_view(tmp_path: Path) -> None:
    add_vehicle(tmp_path, "s")
    assert [view.kind for view in only(tmp_path).views] == ["vehicle"]


@pytest.mark.parametrize("key", ["vehicle_views", "vehicle_view"])
@pytest.mark.parametrize("listed", [True, False])
def test_the_vehicle_view_in_its_spellings(tmp_path: Path, key: str, listed: bool) -> None:
    stem = add_vehicle(tmp_path, "s")
    name = [f"{stem}.mp4"] if listed else f"{stem}.mp4"
    write(caption_path(tmp_path, "train", "s", "vehicle"), {key: name, "event_phase": [phase("0")]})
    assert [view.name for view in only(tmp_path).views] == [stem]


def test_a_record_in_a_list(tmp_path: Path) -> None:
    add_overhead(tmp_path, "s")
    path = caption_path(tmp_path, "train", "s", "overhead")
    record = json.loads(path.read_text())
    write(path, [record])
    assert len(only(tmp_path).views[0].phases) == 5
    write(path, [record, record])
    problems = read_wts(tmp_path)[1]
    assert problems[0].message == "holds 2 records, expected one"


def test_a_view_without_a_caption_file_has_no_phases(tmp_path: Path) -> None:
    add_overhead(tmp_path, "s", cameras=1)
    stem = add_vehicle(tmp_path, "s")
    add_boxes(tmp_path, "s", "vehicle", stem, "pedestrian", [box(3)])
    caption_path(tmp_path, "train", "s", "vehicle").unlink()
    problem = one_problem(tmp_path)
    assert problem.level == "warning"
    assert problem.file.endswith(f"{stem}.mp4")
    overhead, vehicle = read_wts(tmp_path)[0][0].views
    assert len(overhead.phases) == 5
    assert vehicle.phases == ()
    assert len(vehicle.boxes["pedestrian"]) == 1


def test_names_with_dots_are_not_cut(tmp_path: Path) -> None:
    name = "20231013_105827_normal_192.168.0.14_1_event_2"
    write(
        caption_path(tmp_path, "train/normal_trimmed", name, "overhead"),
        {"overhead_videos": [name], "event_phase": [phase("0")]},
    )
    write(video_path(tmp_path, "train/normal_trimmed", name, "overhead", name))
    add_boxes(tmp_path, name, "overhead", name, "vehicle", [box(3)], "train/normal_trimmed")
    scenario = only(tmp_path)
    assert (scenario.name, scenario.views[0].name) == (name, name)
    assert len(scenario.views[0].boxes["vehicle"]) == 1


# Layouts


@pytest.mark.parametrize("wrapper", ["", "SubTask1-Caption"])
@pytest.mark.parametrize("depth", range(3))
def test_public_test_set_from_every_folder_that_holds_it(tmp_path: Path, wrapper: str, depth: int) -> None:
    outer = tmp_path / "download"
    part = outer / wrapper / "WTS_DATASET_PUBLIC_TEST"
    boxes = outer / wrapper / "WTS_DATASET_PUBLIC_TEST_BBOX"
    phases = [withheld(label) for label in "40123"]
    names = {"20230728_13_CN21_T1": "", "20231013_105827_normal_192.168.0.14_1_event_2": "normal_trimmed/"}
    for name, group in names.items():
        stems = add_overhead(part, name, f"test/public_challenge/{group}", phases=phases, videos=False)
        for stem in stems:
            write(video_path(part, f"test/public/{group}", name, "overhead", stem))
            add_boxes(boxes, name, "overhead", stem, "pedestrian", [box(9, phase_number="2")], f"test/public/{group}")
    add_external(part / "external" / "BDD_PC_5K", "video12", "test/public_challenge", phases=phases)
    moved = part / "external" / "BDD_PC_5K" / "annotations" / "bbox_annotated"
    shutil.move(moved, boxes / "external" / "BDD_PC_5K" / "annotations" / "bbox_annotated")

    root = [part, part.parent, outer][depth]
    scenarios, problems = read_wts(root)
    assert problems == []
    assert [(s.name, s.domain, s.split) for s in scenarios] == [
        ("20230728_13_CN21_T1", "internal", "test"),
        ("20231013_105827_normal_192.168.0.14_1_event_2", "internal", "test"),
        ("video12", "external", "test"),
    ]
    for scenario in scenarios:
        for view in scenario.views:
            assert [p.number for p in view.phases] == [0, 1, 2, 3, 4]
            assert {caption for p in view.phases for caption in p.captions.values()} == {""}
            assert len(view.boxes_of("pedestrian", 2)) == 1


def test_external_part_of_the_test_set_alone_finds_its_boxes(tmp_path: Path) -> None:
    external = tmp_path / "WTS_DATASET_PUBLIC_TEST" / "external" / "BDD_PC_5K"
    add_external(external, "video12", "test/public_challenge")
    boxes = tmp_path / "WTS_DATASET_PUBLIC_TEST_BBOX" / "external" / "BDD_PC_5K" / "annotations" / "bbox_annotated"
    shutil.move(external / "annotations" / "bbox_annotated", boxes)
    assert len(only(external).views[0].boxes["pedestrian"]) == 5


@pytest.mark.parametrize("spelling", ["BDD_PC_5K", "BDD_PC_5k", "bdd_pc_5k", "BDD_TC_5K"])
@pytest.mark.parametrize("above", ["external", "", "data"])
def test_bdd_in_its_spellings(tmp_path: Path, spelling: str, above: str) -> None:
    add_external(tmp_path / above / spelling, "video1004")
    for root in (tmp_path, tmp_path / above / spelling):
        scenario = only(root)
        assert (scenario.name, scenario.domain) == ("video1004", "external")
        assert [(view.name, view.kind) for view in scenario.views] == [("video1004", "vehicle")]
        assert [p.number for p in scenario.views[0].phases] == [0, 1, 2, 3, 4]
        assert [b.phase for b in scenario.views[0].boxes["pedestrian"]] == [0, 1, 2, 3, 4]


def test_bdd_beside_wts(tmp_path: Path) -> None:
    add_external(tmp_path / "BDD_PC_5k", "video1004", "val")
    add_overhead(tmp_path / "WTS", "20230707_8_SN46_T1", "train")
    scenarios, problems = read_wts(tmp_path)
    assert problems == []
    assert [(s.split, s.domain) for s in scenarios] == [("train", "internal"), ("val", "external")]


def test_clips_in_no_folder_of_a_scenario_are_external_under_any_name(tmp_path: Path) -> None:
    add_external(tmp_path / "renamed", "video1004")
    assert only(tmp_path / "renamed").domain == "external"


def test_box_files_of_bdd_in_folders_of_roles(tmp_path: Path) -> None:
    part = tmp_path / "BDD_PC_5K"
    add_external(part, "video1")
    for role in ("pedestrian", "vehicle"):
        write(part / "annotations" / "bbox_generated" / role / "train" / "video1_bbox.json", {"annotations": [box(2)]})
    boxes = only(tmp_path).views[0].boxes
    assert {role: [b.generated for b in found] for role, found in boxes.items()} == {
        "pedestrian": [False, True, False, False, False, False],
        "vehicle": [True],
    }


def test_the_order_is_that_of_splits_domains_and_names(tmp_path: Path) -> None:
    add_external(tmp_path / "external" / "BDD_PC_5K", "a_clip")
    for name, where in [("b", "val"), ("z", "train"), ("y", "train/normal_trimmed"), ("a", "val")]:
        add_overhead(tmp_path, name, where)
    assert [s.name for s in read_wts(tmp_path)[0]] == ["y", "z", "a_clip", "a", "b"]
    assert [s.name for s in read_wts(tmp_path, splits=("val",))[0]] == ["a", "b"]
    assert [s.name for s in read_wts(tmp_path, splits=("val", "train"))[0]] == ["y", "z", "a_clip", "a", "b"]
    assert read_wts(tmp_path, splits=("test",)) == ([], [])


def test_order_does_not_depend_on_the_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("c", "a", "b"):
        stems = add_overhead(tmp_path, name)
        add_boxes(tmp_path, name, "overhead", stems[0], "vehicle", [box(9, phase_number=9), box(2), box(5)])
    expected = read_wts(tmp_path)
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: listdir(folder)[::-1])
    assert read_wts(tmp_path) == expected
    assert [b.image_id for b in expected[0][0].views[0].boxes["vehicle"]] == [2, 5, 9]


# The list of reference views


def test_reference_views(tmp_path: Path) -> None:
    stems = add_overhead(tmp_path, "listed", cameras=3)
    add_vehicle(tmp_path, "listed")
    add_overhead(tmp_path, "unlisted")
    rows = ["\ufeffScene,view1,view2,view3,view4", f"listed,{stems[2]}.mp4, {stems[0]}.mp4 ,,", "elsewhere,x.mp4", ""]
    write(tmp_path / REFERENCE_LIST, "\r\n".join(rows))
    scenarios, problems = read_wts(tmp_path)
    assert problems == []
    assert [view.reference for view in scenarios[0].views] == [True, False, True, None]
    assert [view.reference for view in scenarios[1].views] == [None, None]


@pytest.mark.parametrize("depth", range(2))
def test_reference_list_beside_the_test_part(tmp_path: Path, depth: int) -> None:
    part = tmp_path / "test_part" / "WTS_DATASET_PUBLIC_TEST"
    stems = add_overhead(part, "s", "test")
    write(tmp_path / "test_part" / REFERENCE_LIST, f"Scene,view1\ns,{stems[0]}.mp4\n")
    assert [view.reference for view in only([part, tmp_path][depth]).views] == [True, False]


def test_a_reference_view_that_is_none(tmp_path: Path) -> None:
    stems = add_overhead(tmp_path, "s", cameras=1)
    write(tmp_path / REFERENCE_LIST, f"Scene,view1\ns,{stems[0]}.mp4,other.mp4\n")
    problem = one_problem(tmp_path)
    assert (problem.level, problem.file, problem.place) == ("warning", REFERENCE_LIST, "row 2")
    write(tmp_path / REFERENCE_LIST, "Scène,view1\ns,cam\n".encode("latin-1"))
    assert one_problem(tmp_path).level == "error"


# Boxes


def test_annotated_and_generated_boxes_come_together(tmp_path: Path) -> None:
    (stem,) = add_overhead(tmp_path, "s", cameras=1)
    add_boxes(tmp_path, "s", "overhead", stem, "pedestrian", [box(7, phase_number="1"), box(3, phase_number=0)])
    tracked = [{"image_id": n, "bbox": [1.5, 2, 3, 4], "auto-generated": True} for n in (3, 5)]
    add_boxes(tmp_path, "s", "overhead", stem, "pedestrian", tracked, tree="bbox_generated")
    boxes = only(tmp_path).views[0].boxes["pedestrian"]
    assert [(b.image_id, b.phase, b.generated) for b in boxes] == [
        (3, 0, False),
        (3, None, True),
        (5, None, True),
        (7, 1, False),
    ]


def test_two_phases_on_one_frame_and_two_frames_of_one_phase(tmp_path: Path) -> None:
    (stem,) = add_overhead(tmp_path, "s", cameras=1)
    entries = [box(9, phase_number="1"), box(9, phase_number="0"), box(12, phase_number="1")]
    add_boxes(tmp_path, "s", "overhead", stem, "pedestrian", entries)
    view = only(tmp_path).views[0]
    assert [b.image_id for b in view.boxes_of("pedestrian", 0)] == [9]
    assert [b.image_id for b in view.boxes_of("pedestrian", 1)] == [9, 12]


@pytest.mark.parametrize("number", ["2", 2, "judgement", 2.0])
def test_phase_numbers_of_boxes(tmp_path: Path, number: Any) -> None:
    (stem,) = add_overhead(tmp_path, "s", cameras=1)
    add_boxes(tmp_path, "s", "overhead", stem, "vehicle", [box("4", ("1", "2.5", 3, 4.0), number)])
    (found,) = only(tmp_path).views[0].boxes["vehicle"]
    assert (found.image_id, found.xywh, found.phase) == (4, (1.0, 2.5, 3.0, 4.0), 2)


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        (box(1, (5, 5, 0, 9)), "bbox"),
        (box(1, (5, 5, 9, -1)), "bbox"),
        (box(1, (5, math.nan, 9, 9)), "bbox"),
        (box(1, (5, 5, math.inf, 9)), "bbox"),
        (box(1, (5, 5, 9)), "bbox"),
        (box(1, (5, 5, 9, 9, 9)), "bbox"),
        (box(1, (5, 5, 9, 1e300)), "bbox"),
        (box(1, (5, 5, 9, 10**400)), "bbox"),
        (box(1, "5 5 9 9"), "bbox"),
        (box(1, None), "bbox"),
        (box(1, (5, [[]], {}, "x")), "bbox"),
        (box(-1), "image_id"),
        (box(1.5), "image_id"),
        (box(None), "image_id"),
        (box(True), "image_id"),
        (box(math.nan), "image_id"),
        (box(10**30), "image_id"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_boxes_that_are_none_are_left_out(tmp_path: Path, entry: Any, place: str) -> None:
    (stem,) = add_overhead(tmp_path, "s", cameras=1)
    path = add_boxes(tmp_path, "s", "overhead", stem, "pedestrian", [box(1), entry])
    problem = one_problem(tmp_path)
    assert problem.file == path.relative_to(tmp_path).as_posix()
    assert (problem.level, problem.place) == ("warning", f"annotations[1].{place}")
    assert len(read_wts(tmp_path)[0][0].views[0].boxes["pedestrian"]) == 1


@pytest.mark.parametrize("number", [None, "", "9", "soon", [], 7])
def test_annotated_boxes_of_no_phase(tmp_path: Path, number: Any) -> None:
    (stem,) = add_overhead(tmp_path, "s", cameras=1)
    add_boxes(tmp_path, "s", "overhead", stem, "pedestrian", [box(1, phase_number=number)])
    assert one_problem(tmp_path).place == "annotations[0].phase_number"
    assert read_wts(tmp_path)[0][0].views[0].boxes["pedestrian"][0].phase is None


def test_box_file_that_is_a_list(tmp_path: Path) -> None:
    (stem,) = add_overhead(tmp_path, "s", cameras=1)
    write(add_boxes(tmp_path, "s", "overhead", stem, "pedestrian", []), [box(1)])
    assert len(only(tmp_path).views[0].boxes["pedestrian"]) == 1


def test_boxes_of_a_video_that_does_not_exist(tmp_path: Path) -> None:
    add_overhead(tmp_path, "s", cameras=1)
    path = add_boxes(tmp_path, "s", "overhead", "other", "pedestrian", [box(1)])
    problem = one_problem(tmp_path)
    assert (problem.level, problem.file) == ("warning", path.relative_to(tmp_path).as_posix())


# What is left out


def test_a_caption_for_a_video_that_does_not_exist(tmp_path: Path) -> None:
    stems = add_overhead(tmp_path, "s", cameras=2)
    video_path(tmp_path, "train", "s", "overhead", stems[1]).unlink()
    problem = one_problem(tmp_path)
    assert (problem.level, problem.place) == ("error", "overhead_videos[1]")
    assert [view.name for view in read_wts(tmp_path)[0][0].views] == stems[:1]


def test_a_scenario_without_any_video(tmp_path: Path) -> None:
    add_overhead(tmp_path, "s", videos=False)
    scenarios, problems = read_wts(tmp_path)
    assert scenarios == []
    assert [problem.level for problem in problems] == ["error"] * 3
    assert "scenario s is left out: it has no video" in problems[2].message


def test_videos_and_boxes_without_a_caption_file(tmp_path: Path) -> None:
    video = write(video_path(tmp_path, "train", "s", "overhead", "cam"))
    path = add_boxes(tmp_path, "s", "overhead", "cam", "pedestrian", [box(1)])
    scenarios, problems = read_wts(tmp_path)
    assert scenarios == []
    assert [(p.level, p.file) for p in problems] == [
        ("warning", video.relative_to(tmp_path).as_posix()),
        ("warning", path.relative_to(tmp_path).as_posix()),
    ]


@pytest.mark.parametrize("second", ["val", "train/normal_trimmed", "test/public_challenge"])
def test_duplicate_names_are_errors_that_name_both_places(tmp_path: Path, second: str) -> None:
    add_overhead(tmp_path, "s", "train", cameras=1)
    add_overhead(tmp_path, "s", second, cameras=1)
    problem = one_problem(tmp_path)
    assert problem.level == "error"
    assert problem.file == f"annotations/caption/{second}/s/overhead_view/s_caption.json"
    assert "annotations/caption/train/s/overhead_view/s_caption.json" in problem.message
    assert [s.split for s in read_wts(tmp_path)[0]] == ["train"]


def test_the_same_scenario_in_two_parts(tmp_path: Path) -> None:
    for part in (tmp_path, tmp_path / "WTS"):
        add_overhead(part, "s", cameras=1)
    scenarios, problems = read_wts(tmp_path)
    assert [problem.level for problem in problems] == ["error", "error"]
    assert all("WTS/" in problem.file and "is used" in problem.message for problem in problems)
    assert len(scenarios[0].views) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"a":' * 5000,
        b"\xff\xfe{\x00}\x00",
        b"\x80abc",
        b"null",
        b"3",
        b'"text"',
        b"[]",
        b"[[]]",
        b"{}",
        b'{"event_phase": []}',
        b'{"event_phase": {"0": {}}}',
        b'{"event_phase": [3, null, []]}',
        b'{"id": ' + b"9" * 5000 + b"}",
        b'{"event_phase": [NaN]}',
    ],
    ids=lambda content: repr(content[:24]),
)
def test_caption_files_that_are_none(tmp_path: Path, content: bytes) -> None:
    add_overhead(tmp_path, "good")
    add_overhead(tmp_path, "s")
    path = write(caption_path(tmp_path, "train", "s", "overhead"), content)
    scenarios, problems = read_wts(tmp_path)
    assert [s.name for s in scenarios] == ["good"]
    assert {problem.file for problem in problems} == {path.relative_to(tmp_path).as_posix()}
    assert all(str(tmp_path) not in problem.message for problem in problems)
    assert problems[-1].message.startswith("scenario s is left out")


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"{}", b'{"annotations": 3}', b'"x"', b"\xff"])
def test_box_files_that_are_none(tmp_path: Path, content: bytes) -> None:
    (stem,) = add_overhead(tmp_path, "s", cameras=1)
    path = write(box_path(tmp_path, "train", "s", "overhead", stem, "vehicle"), content)
    problem = one_problem(tmp_path)
    assert (problem.level, problem.file) == ("error", path.relative_to(tmp_path).as_posix())
    assert len(read_wts(tmp_path)[0][0].views[0].phases) == 5


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    add_overhead(tmp_path, "s")
    path = caption_path(tmp_path, "train", "s", "overhead")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(only(tmp_path).views[0].phases) == 5


def test_what_is_no_file_where_one_is_expected(tmp_path: Path) -> None:
    (stem,) = add_overhead(tmp_path, "s", cameras=1)
    add_vehicle(tmp_path, "s")
    for path in (
        caption_path(tmp_path, "train", "s", "vehicle"),
        video_path(tmp_path, "train", "s", "overhead", stem),
        box_path(tmp_path, "train", "s", "vehicle", "s_vehicle_view", "vehicle"),
    ):
        path.unlink(missing_ok=True)
        path.mkdir(parents=True)
    pipe = box_path(tmp_path, "train", "s", "vehicle", "s_vehicle_view", "pedestrian")
    pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe)
    scenarios, problems = read_wts(tmp_path)
    assert scenarios == []
    assert sum(problem.message == "is not a file" for problem in problems) == 4


def test_files_that_belong_nowhere_are_named(tmp_path: Path) -> None:
    add_overhead(tmp_path, "s", cameras=1)
    captions = tmp_path / "annotations" / "caption" / "train"
    strays = [
        write(captions / "notes.json", {}),
        write(captions / "s" / "s_caption.json", {}),
        write(captions / "s" / "overhead_veiw" / "s_caption.json", {}).parent,
        write(captions / "s" / "overhead_view" / "old.json", {}),
        write(captions / "s" / "overhead_view" / "more" / "s_caption.json", {}).parent,
    ]
    write(captions / ".DS_Store")
    write(captions / "s" / "overhead_view" / "readme.txt")
    problems = read_wts(tmp_path)[1]
    assert sorted(problem.file for problem in problems) == sorted(p.relative_to(tmp_path).as_posix() for p in strays)
    assert {problem.level for problem in problems} == {"warning"}


def test_boxes_of_nobody(tmp_path: Path) -> None:
    (stem,) = add_overhead(tmp_path, "s", cameras=1)
    folder = tmp_path / "annotations" / "bbox_annotated" / "train" / "s" / "overhead_view"
    path = write(folder / f"{stem}_bbox.json", {"annotations": [box(1)]})
    problem = one_problem(tmp_path)
    assert (problem.level, problem.file) == ("error", path.relative_to(tmp_path).as_posix())


def test_a_second_caption_file(tmp_path: Path) -> None:
    add_overhead(tmp_path, "s", cameras=1)
    folder = caption_path(tmp_path, "train", "s", "overhead").parent
    write(folder / "a_caption.json", {"event_phase": []})
    problem = one_problem(tmp_path)
    assert (problem.level, problem.file.endswith("a_caption.json")) == ("error", True)
    assert len(read_wts(tmp_path)[0][0].views[0].phases) == 5


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    add_overhead(tmp_path, "s", cameras=1)
    folder = os.fsencode(tmp_path / "annotations" / "caption" / "train") + b"/caf\xe9"
    os.mkdir(folder)
    problem = one_problem(tmp_path)
    assert problem.level == "error"
    assert str(problem).encode("utf-8")


def test_a_root_that_holds_nothing(tmp_path: Path) -> None:
    assert one_problem(tmp_path).level == "error"
    for root in (tmp_path / "none", write(tmp_path / "file")):
        with pytest.raises(InputError, match=str(root)):
            read_wts(root)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_may_not_be_entered(tmp_path: Path) -> None:
    add_overhead(tmp_path, "good", cameras=1)
    add_overhead(tmp_path, "s", cameras=1)
    folder = caption_path(tmp_path, "train", "s", "overhead").parent
    for mode in (0o000, 0o400):
        folder.chmod(mode)
        scenarios, problems = read_wts(tmp_path)
        folder.chmod(0o700)
        assert [scenario.name for scenario in scenarios] == ["good"]
        assert problems


def test_a_link_in_a_circle_ends(tmp_path: Path) -> None:
    add_overhead(tmp_path, "s", cameras=1)
    (tmp_path / "data").symlink_to(tmp_path)
    (tmp_path / "external").mkdir()
    (tmp_path / "external" / "WTS").symlink_to(tmp_path / "external")
    only(tmp_path)


# Anything at all

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([10**400, "NaN", "1e999", "-0", [], {}, "\ud800", "9" * 50]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value inside a JSON value, itself first."""
    inner = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [path, *(place for key, entry in inner for place in places(entry, (*path, key)))]


def changed(value: Any, path: tuple[Any, ...], change: Any) -> Any:
    """A JSON value with the value at a place replaced by what `change(parent, key)` does to a copy of its parent."""
    if not path:
        return change({"": value}, "")[""]
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1:
        return change(copy, path[0])
    copy[path[0]] = changed(copy[path[0]], path[1:], change)
    return copy


def mutate(data: st.DataObject, path: Path) -> None:
    """Do something to a JSON file that may happen to one."""
    kind = data.draw(
        st.sampled_from(["delete", "truncate", "bytes", "encode", "nest", "retype", "rename", "wrap", "folder"])
    )
    content = path.read_bytes()
    if kind == "delete":
        path.unlink()
    elif kind == "truncate":
        path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    elif kind == "bytes":
        start = data.draw(st.integers(0, len(content) - 1))
        noise = data.draw(st.binary(min_size=1, max_size=8))
        path.write_bytes(content[:start] + noise + content[start + len(noise) :])
    elif kind == "encode":
        path.write_bytes(content.decode().encode(data.draw(st.sampled_from(["utf-16", "utf-32", "cp037"]))))
    elif kind == "nest":
        depth = data.draw(st.sampled_from([10, 500, 900, 950, 990, 2000, 100_000]))
        path.write_bytes(b"[" * depth + content + b"]" * depth)
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    else:
        value = json.loads(content)
        place = data.draw(st.sampled_from(places(value)))
        new = data.draw(st.text(max_size=6) if kind == "rename" else JSON_VALUES)

        def change(parent: Any, key: Any) -> Any:
            if kind == "rename" and isinstance(parent, dict):
                parent[new] = parent.pop(key)
                return {"": {}} if key == "" else parent
            parent[key] = [parent[key]] if kind == "wrap" else new
            return parent

        path.write_text(json.dumps(changed(value, place, change)), encoding="utf-8")


def is_empty_list(path: Path) -> bool:
    """Whether a box file that can be read says that there are no boxes."""
    with contextlib.suppress(ValueError, OSError, RecursionError):
        value = json.loads(path.read_bytes())
        return [] in (value, value.get("annotations") if isinstance(value, dict) else None)
    return False


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set of every kind of part."""
    root = tmp_path_factory.mktemp("sound")
    for name, where in [
        ("20230707_8_SN46_T1", "train"),
        ("20231013_normal_192.168.0.14_1_event_2", "val/normal_trimmed"),
    ]:
        stems = [*add_overhead(root, name, where), add_vehicle(root, name, where)]
        for stem in stems:
            kind = "vehicle" if stem.endswith("vehicle_view") else "overhead"
            for role in ("pedestrian", "vehicle"):
                boxes = [box(10 * number, phase_number=str(number)) for number in range(5)]
                add_boxes(root, name, kind, stem, role, boxes, where)
    add_external(root / "external" / "BDD_PC_5K", "video1004")
    return root


def size(scenarios: list[Scenario]) -> dict[str, int]:
    views = [view for scenario in scenarios for view in scenario.views]
    boxes = [entry for view in views for entries in view.boxes.values() for entry in entries]
    phases = sum(len(view.phases) for view in views)
    labelled = sum(entry.phase is not None for entry in boxes)
    return {
        "scenarios": len(scenarios),
        "views": len(views),
        "phases": phases,
        "boxes": len(boxes),
        "labelled": labelled,
    }


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_a_mutated_data_set_is_read_or_complained_about(
    sound: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole, none = read_wts(sound)
    assert none == []
    root = tmp_path_factory.mktemp("mutated") / "root"
    shutil.copytree(sound, root)
    files = sorted(path for path in root.rglob("*.json"))
    fewer_boxes = False
    for path in data.draw(st.lists(st.sampled_from(files), min_size=1, max_size=3, unique=True)):
        mutate(data, path)
        # Many real videos have no boxes, so that no file or an empty list is no problem.
        fewer_boxes |= path.name.endswith("_bbox.json") and (not path.exists() or is_empty_list(path))

    scenarios, problems = read_wts(root)
    for problem in problems:
        assert str(problem).encode("utf-8")
        assert (root / problem.file).parent.is_dir()
        assert problem.message
    before, after = size(whole), size(scenarios)
    if not fewer_boxes and any(after[what] < before[what] for what in before):
        assert problems
    for scenario in scenarios:
        json.dumps(dataclasses.asdict(scenario), default=str, ensure_ascii=False).encode("utf-8")
        assert any(view.phases for view in scenario.views)
        for view in scenario.views:
            assert view.video.is_file()
            numbers = [p.number for p in view.phases]
            assert numbers == sorted(set(numbers))
            assert all(0 <= p.start_s <= p.end_s < math.inf for p in view.phases)
            for entries in view.boxes.values():
                assert [b.image_id for b in entries] == sorted(b.image_id for b in entries)
                assert all(math.isfinite(sum(b.xywh)) and b.area > 0 and b.image_id >= 0 for b in entries)

from __future__ import annotations

from dataclasses import replace

import pytest

from cityscribe.media.video import VideoError
from cityscribe.prepare.views import (
    average_area,
    phases_to_evaluate,
    ranked_views,
    why_phase_is_left_out,
    why_view_is_left_out,
    with_boxes,
)
from tests.prepare.made import box, make_video, phases, scenario, settings, view

ALL = dict.fromkeys(range(5), 100.0)


@pytest.mark.parametrize(
    ("pedestrian", "vehicle", "kept"),
    [
        (1001, 2001, True),
        (1001, 0, True),
        (0, 2001, True),
        (1000, 2001, False),  # not above the threshold
        (1001, 2000, False),
        (1000, 0, False),
        (0, 2000, False),
        (0, 0, False),
        (500, 5000, False),  # one large road user does not make up for a small one
        (5000, 1, False),
    ],
)
def test_equation_2(pedestrian, vehicle, kept):
    areas = {"pedestrian": {3: pedestrian} if pedestrian else {}, "vehicle": {3: vehicle} if vehicle else {}}
    limits = settings(pedestrian_threshold=1000, vehicle_threshold=2000).prepare
    why = why_phase_is_left_out(view("a", **areas), 3, limits)
    assert (why == "") == kept


def test_the_reason_names_who_is_too_small():
    limits = settings(pedestrian_threshold=1000, vehicle_threshold=1000).prepare
    both = view("a", pedestrian={0: 480}, vehicle={0: 20})
    why = why_phase_is_left_out(both, 0, limits)
    assert why == "pedestrian of 480 px2 is not above 1000 and vehicle of 20 px2 is not above 1000"
    assert why_phase_is_left_out(both, 1, limits) == "no boxes"


def test_areas_are_averages_over_the_boxes_of_the_phase():
    many = replace(view("a"), boxes={"pedestrian": (box(2, 0, 900), box(3, 0, 1500), box(9, 1, 10))})
    assert average_area(many, "pedestrian", 0) == 1200
    assert average_area(many, "vehicle", 0) == 0
    assert why_phase_is_left_out(many, 0, settings(pedestrian_threshold=1000).prepare) == ""


@pytest.mark.parametrize(
    ("kind", "reference", "left_out"),
    [("overhead", False, True), ("overhead", True, False), ("overhead", None, False), ("vehicle", False, False)],
)
def test_overhead_views_outside_the_reference_list_are_dropped(kind, reference, left_out):
    assert bool(why_view_is_left_out(view("a", kind=kind, reference=reference))) == left_out


def test_a_view_without_phases_is_dropped():
    assert why_view_is_left_out(view("a", of_phases=()))


def best(*views):
    return ranked_views(scenario("s", *views, split="val"))[0].name


def test_evaluation_view_has_boxes_in_all_phases_and_the_largest_pedestrian():
    assert best(view("a", pedestrian=ALL), view("b", pedestrian=dict.fromkeys(range(5), 120.0))) == "b"
    # Four phases with a huge pedestrian are not five.
    assert best(view("a", pedestrian=ALL), view("b", pedestrian=dict.fromkeys(range(4), 9000.0))) == "a"
    # A box of either road user makes a phase count.
    half = view("b", pedestrian={0: 9000.0, 1: 9000.0}, vehicle={2: 50.0, 3: 50.0, 4: 50.0})
    assert best(view("a", pedestrian=ALL), half) == "b"


def test_fall_backs_in_their_order():
    three, two = {0: 100.0, 1: 100.0, 2: 100.0}, {0: 900.0, 1: 900.0}
    assert best(view("a", pedestrian=two), view("b", pedestrian=three)) == "b"  # most phases with boxes
    assert best(view("a", pedestrian=two), view("b", pedestrian={0: 900.0, 1: 901.0})) == "b"  # then the area
    assert best(view("a", pedestrian=two), view("z", kind="vehicle", pedestrian=two)) == "z"  # then the vehicle view
    assert best(view("b"), view("a")) == "a"  # then the name
    assert best(view("a"), view("z", kind="vehicle")) == "z"  # the same where nobody has boxes


def test_views_outside_the_reference_list_are_the_last_resort():
    outside = view("a", pedestrian=dict.fromkeys(range(5), 9000.0), reference=False)
    assert best(outside, view("b", reference=True)) == "b"
    assert best(outside) == "a"


def test_the_order_of_the_views_does_not_matter():
    views = [view("a", pedestrian=ALL), view("b", pedestrian=ALL), view("c", kind="vehicle"), view("d")]
    assert ranked_views(scenario("s", *views)) == ranked_views(scenario("s", *reversed(views)))


def test_every_phase_of_a_scenario_is_evaluated_once():
    main = view("a", pedestrian=ALL, of_phases=phases([0, 1, 2]))
    other = view("b", of_phases=phases([1, 3]))
    found = phases_to_evaluate(ranked_views(scenario("s", main, other, view("c", of_phases=()))))
    assert {number: [chosen.name for chosen, _ in views] for number, views in found.items()} == {
        0: ["a"],
        1: ["a", "b"],
        2: ["a"],
        3: ["b"],
    }


def test_boxes_of_the_wanted_source():
    mixed = replace(
        view("a"),
        boxes={
            "pedestrian": (box(2, 0, 100), box(3, 0, 200, generated=True), box(7, 1, 300, generated=True)),
            "vehicle": (box(2, 0, 400, generated=True), box(9, 1, 0.0)),
        },
    )

    def areas(source):
        chosen = with_boxes(mixed, source)
        return {role: [(b.phase, b.area) for b in boxes] for role, boxes in chosen.boxes.items()}

    assert areas("annotated") == {"pedestrian": [(0, 100)]}
    assert areas("generated") == {"pedestrian": [(0, 200), (1, 300)], "vehicle": [(0, 400)]}
    assert areas("both") == {"pedestrian": [(0, 100), (1, 300)], "vehicle": [(0, 400)]}


def test_boxes_without_a_phase_are_placed_by_their_frame(tmp_path):
    # Phase n of `phases` shows frames 2 + 4 n to 5 + 4 n.
    video = make_video(tmp_path / "v.mp4")
    tracked = replace(
        view("a", video), boxes={"pedestrian": tuple(box(i, None, generated=True) for i in (0, 2, 5, 6, 21, 22))}
    )
    placed = with_boxes(tracked, "generated").boxes["pedestrian"]
    assert [(b.image_id, b.phase) for b in placed] == [(2, 0), (5, 0), (6, 1), (21, 4)]


def test_a_box_in_two_overlapping_phases_belongs_to_both(tmp_path):
    early, late = phases([0, 1])
    overlapping = (early, replace(late, start_s=early.end_s - 0.15))
    tracked = replace(
        view("a", make_video(tmp_path / "v.mp4"), of_phases=overlapping),
        boxes={"vehicle": (box(5, None, generated=True),)},
    )
    assert [b.phase for b in with_boxes(tracked, "both").boxes["vehicle"]] == [0, 1]


def test_only_unplaced_boxes_need_the_video(tmp_path):
    missing = view("a", tmp_path / "missing.mp4", pedestrian=ALL)
    assert with_boxes(missing, "both").boxes == missing.boxes
    with pytest.raises(VideoError, match=r"missing\.mp4"):
        with_boxes(replace(missing, boxes={"pedestrian": (box(2, None),)}), "annotated")

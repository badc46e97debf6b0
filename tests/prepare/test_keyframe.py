from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cityscribe.media.video import VideoInfo
from cityscribe.prepare.keyframe import MAX_SHIFT_S, key_frame
from cityscribe.traffic.scenario import Box
from tests.prepare.made import box, make_video, phases, view

INFO = VideoInfo(width=112, height=48, fps=10.0, frames=24, duration_s=2.4)


def with_(pedestrian=(), vehicle=(), video=Path("none.mp4")):
    return replace(view("a", video), boxes={"pedestrian": tuple(pedestrian), "vehicle": tuple(vehicle)})


def key(boxed, phase=1, info=INFO):
    return key_frame(boxed, phases()[phase], info)


def test_the_first_boxed_frame_of_the_pedestrian_counts():
    found = key(with_([box(2, 0), box(7, 1), box(8, 1)], [box(6, 1), box(7, 1, 400)]))
    assert found.frame == 7
    assert found.boxes == {"pedestrian": box(7, 1).xywh, "vehicle": box(7, 1, 400).xywh}


def test_the_vehicles_box_of_another_phase_counts_where_they_share_the_frame():
    found = key(with_([box(6, 1)], [box(6, 0, 400)]))
    assert found.boxes["vehicle"] == box(6, 0, 400).xywh


def test_the_vehicles_own_box_counts_nearby_in_time():
    near, far = box(6 + int(MAX_SHIFT_S * INFO.fps), 1, 400), box(13, 1, 500)
    assert key(with_([box(6, 1)], [near])).boxes["vehicle"] == near.xywh
    assert key(with_([box(6, 1)], [near, box(7, 1, 600)])).boxes["vehicle"] == box(7, 1, 600).xywh
    left_out = key(with_([box(6, 1)], [far]))
    assert set(left_out.boxes) == {"pedestrian"}
    assert left_out.left_out == (("vehicle", "boxed 0.70 s from the pedestrian's frame, more than 0.5 s"),)


def test_a_vehicle_alone_gives_its_own_frame():
    found = key(with_(vehicle=[box(9, 1)]))
    assert (found.frame, set(found.boxes), found.note) == (9, {"vehicle"}, "")


def test_two_phases_may_share_a_frame():
    shared = with_([box(6, 0, 100), box(6, 1, 200)])
    assert (key(shared, 0).frame, key(shared, 1).frame) == (6, 6)
    assert key(shared, 1).boxes["pedestrian"] == box(6, 1, 200).xywh


def test_sixty_frames_per_second_count_double():
    fast = replace(INFO, fps=60.0, frames=100)
    assert key(with_([box(41, 1)]), info=fast).frame == 20


def test_no_boxes_give_the_raw_frame_at_the_start_of_the_phase(tmp_path):
    found = key(with_(video=make_video(tmp_path / "v.mp4")))
    assert (found.frame, found.boxes) == (6, {})
    assert found.note == "no boxes: raw frame at the start of the phase"


@pytest.mark.parametrize("unusable", [Box(99, (1, 1, 5, 5), 1), Box(6, (200, 1, 5, 5), 1), Box(-1, (1, 1, 5, 5), 1)])
def test_boxes_outside_the_video_count_as_absent(tmp_path, unusable):
    found = key(with_([unusable], video=make_video(tmp_path / "v.mp4")))
    assert (found.frame, found.boxes) == (6, {})
    assert "outside the video" in found.note


def test_the_frame_just_behind_the_last_is_the_last():
    assert key(with_([box(24, 1)])).frame == 23


def test_a_phase_after_the_end_of_the_video_gives_the_last_frame(tmp_path):
    video = make_video(tmp_path / "v.mp4", frames=4)
    found = key(with_(video=video), 4, replace(INFO, frames=4, duration_s=0.4))
    assert found.frame == 3
    assert "after the end" in found.note


def test_what_a_cut_short_video_lost_is_not_replaced(tmp_path):
    cut = replace(INFO, frames=10, duration_s=1.0, complete=False)
    video = make_video(tmp_path / "v.mp4", frames=10)
    assert key(with_([box(18, 4)], video=video), 4, cut).frame == 18
    assert key(with_(video=video), 4, cut).frame == 10

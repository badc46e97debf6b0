from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cityscribe.files import InputError
from cityscribe.prepare.keyframe import KeyFrame
from cityscribe.prepare.pictures import VideoJob, fit, picture_video, render
from cityscribe.traffic.scenario import Gaze
from tests.media.numbered_video import number_of
from tests.prepare.made import box, first_frame, make_video, phases, settings, view

ALL = dict.fromkeys(range(5), 100.0)


def job(boxed, *, raw_frames=True):
    return VideoJob("val", "s", boxed, boxed.phases, "images/val/s/v", raw_frames)


def shown(folder, path):
    return np.asarray(Image.open(folder / path).convert("RGB"))


def ramp(width=200, height=100):
    """A frame in which red is the column and green the row, and blue is 128."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, np.full_like(rows, 128)], axis=-1).astype(np.uint8)


def test_the_local_view_is_cut_out_of_the_marked_frame():
    # (50, 40, 10, 10) scaled by 1.2 is 49 to 61 by 39 to 51; (80, 50, 20, 10) is 78 to 102 by 49 to 61.
    # Around both: 49 to 102 by 39 to 61; scaled by 1.5: 35.75 to 115.25 by 33.5 to 66.5.
    key = KeyFrame(0, {"pedestrian": (50, 40, 10, 10), "vehicle": (80, 50, 20, 10)})
    local, whole = render(ramp(), key, settings(line_width=1).prepare)
    assert local.shape == (66 - 34, 115 - 36, 3)
    assert (local == whole[34:66, 36:115]).all()
    assert (whole[39, 49:61] == (0, 255, 0)).all()
    assert (whole[49, 78:102] == (0, 0, 255)).all()
    assert whole.shape == (100, 200, 3)


def test_the_settings_name_the_images_and_their_order():
    key = KeyFrame(0, {"pedestrian": (50, 40, 10, 10)})
    for images in (["global"], ["local"], ["global", "local"], ["local", "global"]):
        sizes = [image.shape[1] for image in render(ramp(), key, settings(images=images).prepare)]
        assert sizes == [200 if kind == "global" else 18 for kind in images]


def test_without_drawing_the_crop_stays_the_same():
    key = KeyFrame(0, {"pedestrian": (50, 40, 40, 40)})
    local, whole = render(ramp(), key, settings(draw_boxes=False).prepare)
    assert (whole == ramp()).all()
    assert local.shape == render(ramp(), key, settings().prepare)[0].shape


def test_each_phase_shows_its_own_frame(tmp_path):
    boxed = view("v", make_video(tmp_path / "v.mp4"), pedestrian={0: 100.0, 2: 100.0}, vehicle={2: 100.0, 4: 100.0})
    pictures, skips = picture_video(job(boxed), settings().prepare, tmp_path)
    assert not skips
    assert [picture.phase for picture in pictures] == [0, 1, 2, 3, 4]
    for picture in pictures:
        local, whole = picture.images
        assert local == f"images/val/s/v/{picture.phase}_{whole.split('_')[1]}_local.jpg"
        assert number_of(shown(tmp_path, whole)) == first_frame(picture.phase)
    assert [picture.marked for picture in pictures] == [
        ("pedestrian",),
        (),
        ("pedestrian", "vehicle"),
        (),
        ("vehicle",),
    ]
    assert [bool(picture.note) for picture in pictures] == [False, True, False, True, False]


def seen_best(folder, pictures):
    """Which frame the phases share as the pedestrian's appearance, drawn whole."""
    (path,) = {picture.images[0] for picture in pictures}
    assert path == "images/val/s/v/appearance.jpg"
    return number_of(shown(folder, path))


def test_all_phases_share_the_frame_that_shows_the_pedestrian_best(tmp_path):
    whole = settings(images=["appearance", "global"], crop_scale=50.0).prepare
    areas = {0: 100.0, 2: 300.0, 3: 950.0}  # the last one is cut by the edge of the frame
    own = view("v", make_video(tmp_path / "v.mp4"), pedestrian=areas, vehicle={1: 100.0})
    pictures, skips = picture_video(job(own), whole, tmp_path / "one")
    assert not skips
    assert seen_best(tmp_path / "one", pictures) == first_frame(2)
    assert [picture.marked for picture in pictures] == [("pedestrian",), ("pedestrian", "vehicle")] + [
        ("pedestrian",)
    ] * 3
    for picture in pictures:
        assert number_of(shown(tmp_path / "one", picture.images[1])) == first_frame(picture.phase)

    other = view("w", make_video(tmp_path / "w.mp4"), pedestrian={1: 400.0}, kind="vehicle")
    gone = view("x", tmp_path / "gone.mp4", pedestrian={4: 900.0})
    both = replace(job(own), others=(gone, other))
    pictures, skips = picture_video(both, whole, tmp_path / "two")
    assert not skips
    assert seen_best(tmp_path / "two", pictures) == first_frame(1)
    before = {path: path.read_bytes() for path in (tmp_path / "two").rglob("*.jpg")}
    assert len(before) == 6
    for path in list(before)[:3]:
        path.unlink()
    assert picture_video(both, whole, tmp_path / "two", resume=True) == (pictures, [])
    assert {path: path.read_bytes() for path in (tmp_path / "two").rglob("*.jpg")} == before


def test_where_nobody_is_seen_the_appearance_is_the_view_of_the_phase(tmp_path):
    boxed = view("v", make_video(tmp_path / "v.mp4"), vehicle={0: 100.0})
    pictures, skips = picture_video(job(boxed), settings(images=["appearance", "local"]).prepare, tmp_path)
    assert not skips
    assert [picture.marked for picture in pictures] == [("vehicle",), (), (), (), ()]
    for picture in pictures:
        appearance, local = picture.images
        assert appearance.endswith("_appearance.jpg")
        assert (shown(tmp_path, appearance) == shown(tmp_path, local)).all()


def test_without_drawing_nobody_is_marked(tmp_path):
    boxed = view("v", make_video(tmp_path / "v.mp4"), pedestrian=ALL)
    pictures, _ = picture_video(job(boxed), settings(draw_boxes=False).prepare, tmp_path)
    assert {picture.marked for picture in pictures} == {()}


def test_training_leaves_out_phases_without_boxes(tmp_path):
    boxed = view("v", make_video(tmp_path / "v.mp4"), pedestrian={1: 100.0})
    pictures, skips = picture_video(job(boxed, raw_frames=False), settings().prepare, tmp_path)
    assert [picture.phase for picture in pictures] == [1]
    assert [(skip.what, skip.phase) for skip in skips] == [("phase", 0), ("phase", 2), ("phase", 3), ("phase", 4)]


def test_a_vehicle_that_is_not_drawn_is_reported(tmp_path):
    boxed = replace(
        view("v", make_video(tmp_path / "v.mp4"), of_phases=phases([0])),
        boxes={"pedestrian": (box(2, 0),), "vehicle": (box(15, 0),)},
    )
    pictures, skips = picture_video(job(boxed), settings().prepare, tmp_path)
    assert pictures[0].marked == ("pedestrian",)
    assert [(skip.what, skip.role, skip.phase) for skip in skips] == [("box", "vehicle", 0)]


def test_a_cut_short_video_keeps_the_phases_before_the_cut(tmp_path):
    video = make_video(tmp_path / "v.mp4", frames=400)
    late = replace(phases()[4], start_s=39.0, end_s=39.9)
    boxed = view("v", video, pedestrian={0: 100.0}, of_phases=(*phases([0]), late))
    # The index stands in front, so a file that ends early still opens.
    video.write_bytes(video.read_bytes()[: video.stat().st_size * 2 // 3])
    pictures, skips = picture_video(job(boxed), settings().prepare, tmp_path)
    assert [picture.phase for picture in pictures] == [0]
    assert number_of(shown(tmp_path, pictures[0].images[1])) == 2
    assert [(skip.what, skip.phase) for skip in skips] == [("video", -1), ("video", 4)]
    for skip in skips:
        assert "v.mp4" in skip.why
        assert "last good frame" in skip.why


@pytest.mark.parametrize("seen", [{}, {0: 100.0}])
def test_where_the_best_frame_is_broken_the_next_one_counts(tmp_path, seen):
    video = make_video(tmp_path / "w.mp4", frames=400)
    late = replace(phases()[4], start_s=39.0, end_s=39.9)
    cut = replace(view("w", video, of_phases=(late,)), boxes={"pedestrian": (box(390, 4, 400.0),)})
    video.write_bytes(video.read_bytes()[: video.stat().st_size * 2 // 3])
    own = view("v", make_video(tmp_path / "v.mp4"), pedestrian=seen)
    wanted = settings(images=["appearance"], crop_scale=50.0).prepare
    pictures, skips = picture_video(replace(job(own), others=(cut,)), wanted, tmp_path)
    assert not skips
    if seen:
        assert seen_best(tmp_path, pictures) == first_frame(0)
    else:
        assert [number_of(shown(tmp_path, *picture.images)) for picture in pictures] == [
            first_frame(n) for n in range(5)
        ]
        assert {picture.marked for picture in pictures} == {()}


@pytest.mark.parametrize("content", [b"", b"no video at all", None])
def test_an_unreadable_video_is_reported_and_nothing_else(tmp_path, content):
    video = tmp_path / "v.mp4"
    if content is not None:
        video.write_bytes(content)
    pictures, skips = picture_video(job(view("v", video, pedestrian=ALL)), settings().prepare, tmp_path)
    assert pictures == []
    assert [skip.what for skip in skips] == ["video"]
    assert str(video) in skips[0].why


def test_image_size_scales_the_longer_side_down_and_never_up(tmp_path):
    assert fit((1920, 1080), 336) == (336, 189)
    assert fit((300, 900), 100) == (33, 100)
    assert fit((100, 50), 336) == (100, 50)
    assert fit((100, 50), 0) == (100, 50)
    assert fit((5000, 1), 100) == (100, 1)
    boxed = view("v", make_video(tmp_path / "v.mp4"), of_phases=phases([0]))
    pictures, _ = picture_video(job(boxed), settings(image_size=56).prepare, tmp_path)
    assert shown(tmp_path, pictures[0].images[1]).shape == (24, 56, 3)


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "images").write_text("a file where the folder should be")
    boxed = view("v", make_video(tmp_path / "v.mp4"), pedestrian=ALL)
    with pytest.raises(InputError, match=r"images.*cannot be written"):
        picture_video(job(boxed), settings().prepare, tmp_path)


def test_the_gaze_of_the_key_frame_is_drawn_where_it_is_asked_for(tmp_path):
    gazes = tuple(Gaze(frame, (20.0, 30.0), (1.0, 0.0, 0.0)) for frame in (first_frame(1), first_frame(3) + 1))
    looking = replace(view("v", make_video(tmp_path / "v.mp4"), pedestrian=ALL), gaze=gazes)
    pictures, _ = picture_video(job(looking), settings(draw_gaze=True, draw_boxes=False).prepare, tmp_path)
    assert [picture.marked for picture in pictures] == [(), ("gaze",), (), (), ()]
    red = [int((np.abs(shown(tmp_path, p.images[1]).astype(int) - (255, 0, 0)).max(-1) < 60).sum()) for p in pictures]
    assert [bool(count) for count in red] == [False, True, False, False, False]
    plain, _ = picture_video(job(looking), settings().prepare, tmp_path)
    assert {picture.marked for picture in plain} == {("pedestrian",)}

"""Boxes as annotation tools export them: what lies beside the boxes decides which class, frame and video they mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cityscribe.cli import app
from cityscribe.media.video import write_video
from cityscribe.sources.boxes import BOXES, BoxFormat
from cityscribe.sources.boxes.track import Track, frame_of_image, turned
from cityscribe.sources.tracks import join_tracks, read_tracks
from cityscribe.traffic.scenario import Box, Phase, Scenario, View
from tests.sources.conversations import dump, picture
from tests.sources.tree import add_overhead, write

SIZE = (320, 180)
XYWH = tuple[float, float, float, float]


@pytest.fixture
def clip(tmp_path: Path) -> dict[str, Path]:
    """A clip of 30 frames a second, by its stem."""
    path = tmp_path / "videos" / "clip.mp4"
    path.parent.mkdir()
    write_video(path, (np.zeros((180, 320, 3), np.uint8) for _ in range(60)), 30)
    return {"clip": path}


def boxes_of(root: Path, videos: dict[str, Path]) -> dict[tuple[str, str], list[tuple[int, XYWH]]]:
    """Label and name of each track of the clip -> its frames and boxes; all of it without a problem."""
    tracks, problems = read_tracks(root, videos)
    assert [str(problem) for problem in problems if problem.level != "note"] == []
    assert list(tracks) == ["clip"]
    return {
        (track.label, track.name): [(b.image_id, tuple(round(n, 3) for n in b.xywh)) for b in track.boxes]  # type: ignore[misc]
        for track in tracks["clip"]
    }


def rules(root: Path, videos: dict[str, Path]) -> str:
    return " ".join(problem.message for problem in read_tracks(root, videos).problems if problem.level == "note")


def test_mot_of_cvat_has_classes_of_its_own_counted_from_1(tmp_path: Path, clip: dict[str, Path]) -> None:
    root = tmp_path / "boxes"
    write(root / "clip" / "gt" / "gt.txt", "1,1,21,90,120,70,1,1,1.0\n1,2,201,95,14,42,1,2,1.0\n2,3,5,5,9,9,1,3,1.0\n")
    write(root / "clip" / "gt" / "labels.txt", "car\npedestrian\nbillboard\n")
    found = boxes_of(root, clip)
    assert found["car", "1"] == [(0, (21, 90, 120, 70))]
    assert found["pedestrian", "2"] == [(0, (201, 95, 14, 42))]
    assert "classes from labels.txt, counted from 1, frames counted from 1" in rules(root, clip)
    (root / "clip" / "gt" / "labels.txt").unlink()
    assert set(boxes_of(root, clip)) == {("pedestrian", "1"), ("car", "3")}, "the classes of the challenge"


def test_mot_of_the_challenge_names_its_sequence(tmp_path: Path, clip: dict[str, Path]) -> None:
    write(tmp_path / "boxes" / "01" / "gt" / "gt.txt", "1,1,21,90,120,70,1,1,1.0\n")
    write(tmp_path / "boxes" / "01" / "seqinfo.ini", "[Sequence]\nname=clip\nframeRate=30\n")
    assert boxes_of(tmp_path / "boxes", clip) == {("pedestrian", "1"): [(0, (21, 90, 120, 70))]}


@pytest.mark.parametrize("images", [True, False])
def test_yolo_of_cvat_counts_frames_from_0(tmp_path: Path, clip: dict[str, Path], images: bool) -> None:
    root = tmp_path / "boxes" / "clip"
    write(root / "obj.names", "car\npedestrian\n")
    write(root / "obj.data", "classes = 2\nnames = data/obj.names\n")
    write(root / "train.txt", "data/obj_train_data/frame_000010.jpg\n")
    write(root / "obj_train_data" / "frame_000010.txt", "0 0.5 0.5 0.25 0.5\n1 0.25 0.5 0.1 0.2\n")
    if images:  # without them the clip says how large a frame is
        picture(root / "obj_train_data" / "frame_000010.jpg", size=SIZE)
    assert boxes_of(tmp_path / "boxes", clip) == {
        ("car", "car"): [(10, (120, 45, 80, 90))],
        ("pedestrian", "pedestrian"): [(10, (64, 72, 32, 36))],
    }
    assert "classes from obj.names, frames counted from 0" in rules(tmp_path / "boxes", clip)


@pytest.mark.parametrize(("numbers", "frames"), [((1, 3), [0, 2]), ((0, 3), [0, 3])])
def test_yolo_with_a_frame_0_counts_from_it(
    tmp_path: Path, clip: dict[str, Path], numbers: tuple[int, ...], frames: list[int]
) -> None:
    write(tmp_path / "boxes" / "data.yaml", "names: {0: car}\n")
    for number in numbers:
        write(tmp_path / "boxes" / "labels" / f"clip_{number}.txt", "0 0.5 0.5 0.25 0.5\n")
    assert [frame for frame, _ in boxes_of(tmp_path / "boxes", clip)["car", "car"]] == frames


def test_yolo_gives_the_box_around_a_polygon(tmp_path: Path, clip: dict[str, Path]) -> None:
    write(tmp_path / "boxes" / "classes.txt", "car\n")
    write(tmp_path / "boxes" / "clip_1.txt", "0 0.25 0.5 0.5 0.25 0.75 0.5 0.5 0.75\n")
    assert boxes_of(tmp_path / "boxes", clip) == {("car", "car"): [(0, (80, 45, 160, 90))]}


@pytest.mark.parametrize("key", ["track_id", "attributes"])
def test_coco_keeps_two_people_apart(tmp_path: Path, clip: dict[str, Path], key: str) -> None:
    def annotation(number: int, image: int, track: int, x: float) -> dict[str, Any]:
        track_of = {"track_id": track} if key == "track_id" else {"attributes": {"occluded": False, "track_id": track}}
        return {"id": number, "image_id": image, "category_id": 1, "bbox": [x, 10, 20, 40], **track_of}

    images = [{"id": 1 + n, "file_name": f"clip/frame_00000{n}.PNG", "width": 320, "height": 180} for n in range(2)]
    rows = [annotation(2 * n + m, 1 + n, m, 50 + 100 * m + n) for n in range(2) for m in range(2)]
    categories = [{"id": 1, "name": "pedestrian"}]
    content = {"images": images, "annotations": rows, "categories": categories}
    dump(tmp_path / "boxes" / "annotations" / "instances_default.json", content)
    assert boxes_of(tmp_path / "boxes", clip) == {
        ("pedestrian", str(m)): [(n, (50 + 100 * m + n, 10, 20, 40)) for n in range(2)] for m in range(2)
    }


def test_coco_of_images_numbered_as_the_mot_challenge_does(tmp_path: Path, clip: dict[str, Path]) -> None:
    images = [{"id": 9, "file_name": "clip/img1/000005.jpg"}]
    rows = [{"id": 1, "image_id": 9, "category_id": 1, "bbox": [1, 2, 3, 4], "instance_id": 7}]
    dump(
        tmp_path / "boxes" / "a.json", {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "car"}]}
    )
    assert boxes_of(tmp_path / "boxes", clip) == {("car", "7"): [(4, (1, 2, 3, 4))]}


def region(keys: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    shape = {"x": 10.0, "y": 50.0, "width": 10.0, "height": 30.0, "rotation": 0, "enabled": True}
    sequence = [{**shape, **key} for key in keys]
    value = {"labels": ["Pedestrian"], "sequence": sequence, "framesCount": 48, "duration": 2.0}
    return {"id": "aZ1", "type": "videorectangle", "value": value, **more}


SIZES = {"original_width": 320, "original_height": 180}


@pytest.mark.parametrize(
    ("keys", "more"),
    [
        ([{"frame": 12, "time": 0.5}, {"frame": 24, "time": 1.0, "x": 20.0}], SIZES),
        ([{"frame": 12}, {"frame": 24, "x": 20.0}], SIZES),
        ([{"frame": 12, "time": 0.5}, {"frame": 24, "time": 1.0, "x": 20.0}], {}),
    ],
)
def test_label_studio_numbers_frames_by_a_rate_of_its_own(
    tmp_path: Path, clip: dict[str, Path], keys: list[dict[str, Any]], more: dict[str, Any]
) -> None:
    task = {"data": {"video": "/data/upload/8/1fd99634-clip.mp4"}, "annotations": [{"result": [region(keys, **more)]}]}
    dump(tmp_path / "boxes" / "export.json", [task])
    (found,) = boxes_of(tmp_path / "boxes", clip).values()
    assert found[0] == (15, (32, 90, 32, 54))
    assert found[-1] == (30, (64, 90, 32, 54))
    assert len(found) == 16


def test_label_studio_without_the_video_counts_as_the_tool_does(tmp_path: Path) -> None:
    task = {"data": {"video": "clip.mp4"}, "annotations": [{"result": [region([{"frame": 12, "time": 0.5}], **SIZES)]}]}
    dump(tmp_path / "export.json", [task])
    assert list(boxes_of(tmp_path, {}).values()) == [[(11, (32, 90, 32, 54))]]
    assert "no video is here to say its rate" in rules(tmp_path, {})


def test_a_cancelled_annotation_is_left_out(tmp_path: Path, clip: dict[str, Path]) -> None:
    done = {"result": [region([{"frame": 12, "time": 0.5}], **SIZES)]}
    dump(
        tmp_path / "boxes" / "a.json",
        [{"data": {"v": "clip.mp4"}, "annotations": [{**done, "was_cancelled": True}, done]}],
    )
    tracks, problems = read_tracks(tmp_path / "boxes", clip)
    assert len(tracks["clip"]) == 1
    assert [p.place for p in problems if p.level == "warning"] == ["[0].annotations[0]"]


def test_cvat_names_the_task_of_a_track_and_says_what_is_no_box(tmp_path: Path, clip: dict[str, Path]) -> None:
    tasks = "".join(f"<task><id>{n}</id><source>{name}.mp4</source></task>" for n, name in ((1, "other"), (2, "clip")))
    shape = 'xtl="10" ytl="20" xbr="30" ybr="40" outside="0" occluded="0"'
    track = f'<track id="0" label="car" task_id="2"><box frame="4" keyframe="1" {shape}/></track>'
    polygon = '<track id="1" label="car" task_id="2"><polygon frame="4" points="1,2;3,4;5,6"/></track>'
    meta = f"<meta><project><tasks>{tasks}</tasks></project></meta>"
    write(tmp_path / "boxes" / "annotations.xml", f"<annotations>{meta}{track}{polygon}</annotations>")
    tracks, problems = read_tracks(tmp_path / "boxes", clip)
    assert {video: [track.label for track in found] for video, found in tracks.items()} == {"clip": ["car"]}
    assert "has 1 <polygon>, which is no box; left out" in [problem.message for problem in problems]


def test_a_turned_box_becomes_the_upright_one_around_it() -> None:
    box = Box(0, (100, 50, 40, 20))
    assert [round(n, 6) for n in turned(box, 90).xywh] == [110, 40, 20, 40]
    assert [round(n, 6) for n in turned(box, 90, about_corner=True).xywh] == [80, 50, 20, 40]
    assert turned(box, 0) == turned(box, None) == turned(box, 180) == box


def test_the_folders_of_tools_name_no_video() -> None:
    assert frame_of_image("data/obj_train_data/frame_000010.jpg") == ("", 10)
    assert frame_of_image("clip/img1/000012.jpg") == ("clip", 12)


def scenario(videos: dict[str, Path]) -> Scenario:
    views = tuple(View(name, "overhead", video, (Phase(0, 0.0, 1.0),)) for name, video in videos.items())
    return Scenario("s", "internal", "train", views, "wts")


def test_all_that_joins_no_view_is_counted(clip: dict[str, Path]) -> None:
    def track(name: str, label: str, *frames: int, x: float = 0.0) -> Track:
        return Track(name, label, tuple(Box(frame, (x, 0, 9, 9)) for frame in frames))

    of_clip = [track("1", "car", 1, 59, 60, 99), track("2", "truck", 1), track("3", "dog", 1, 2)]
    tracks = {"elsewhere": [track("1", "car", 1, 2, 3)], "clip": [*of_clip, track("4", "ped", 1, x=400)]}
    joined = join_tracks([scenario(clip)], tracks, "boxes")
    assert joined.used == 5
    said = [str(problem) for problem in joined.problems]
    assert said == [
        "warning: boxes: 3 boxes are of 1 videos that are no view: 'elsewhere'; not used; "
        "the views are called such as 'clip'",
        "warning: boxes: clip: 1 of 1 boxes lie outside the frame of 320x180; not used",
        "warning: boxes: clip: 2 of 4 boxes are in frames after its last, 59; not used",
        "warning: boxes: 2 boxes have the label 'dog', which means no pedestrian or vehicle; not used",
        "note: boxes: 1 more tracks of road users are not used: of each view the largest of each role counts",
        "note: boxes: 5 boxes are used, in 1 of 1 views",
    ]


def test_several_boxes_of_one_track_in_a_frame_are_said(tmp_path: Path, clip: dict[str, Path]) -> None:
    write(tmp_path / "boxes" / "classes.txt", "person\n")
    write(tmp_path / "boxes" / "clip_1.txt", "0 0.2 0.5 0.1 0.2\n0 0.8 0.5 0.1 0.2\n")
    _, problems = read_tracks(tmp_path / "boxes", clip)
    assert [p.message for p in problems if p.level == "warning"] == [
        "1 frames of clip have several boxes of 'person'; no track tells them apart"
    ]


@pytest.mark.parametrize("name", BOXES.names())
def test_each_format_claims_by_name_and_first_words(name: str, tmp_path: Path) -> None:
    member = BOXES[name]
    assert not member.claims(tmp_path / "a.jpg", "")
    assert all(isinstance(file, str) for file in member.beside)


def test_a_format_of_somebody_else_is_one_entry(tmp_path: Path, clip: dict[str, Path]) -> None:
    def read(intake: Any, files: list[Path], videos: Any) -> dict[str, list[Track]]:
        numbers = [line.split(";") for path in files for line in path.read_text().split()]
        return {"clip": [Track("1", "car", tuple(Box(int(n[0]), tuple(map(float, n[1:]))) for n in numbers))]}  # type: ignore[arg-type]

    claims: Callable[[Path, str], bool] = lambda path, head: path.suffix == ".csv"  # noqa: E731
    BOXES.add("semicolons", BoxFormat(claims, read), "of a test")  # type: ignore[arg-type]
    try:
        write(tmp_path / "boxes" / "a.csv", "4;1;2;3;4\n")
        assert boxes_of(tmp_path / "boxes", clip) == {("car", "1"): [(4, (1, 2, 3, 4))]}
    finally:
        BOXES.remove("semicolons")


def test_check_says_the_rule_and_what_is_not_used(tmp_path: Path) -> None:
    add_overhead(tmp_path / "data", "s", cameras=1)
    write(tmp_path / "boxes" / "other" / "gt" / "gt.txt", "1,1,21,90,120,70,1,1,1.0\n")
    found = CliRunner().invoke(app, ["check", str(tmp_path / "data"), "--tracks", str(tmp_path / "boxes")])
    said = " ".join(found.output.split())
    assert found.exit_code == 2
    assert "read as MOT: classes those of MOT16 to MOT20, frames counted from 1" in said
    assert "1 boxes are of 1 videos that are no view: 'other'; not used" in said
    assert "none of its boxes is used" in said

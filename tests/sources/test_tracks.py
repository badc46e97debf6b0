"""Boxes of annotation tools and trackers: the right frame, the right pixels, and the right view."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityscribe.files import InputError
from cityscribe.media.video import write_video
from cityscribe.sources.boxes.track import Track, interpolated
from cityscribe.sources.tracks import read_tracks, with_tracks
from cityscribe.traffic.scenario import Box, Phase, Scenario, View
from tests.media.numbered_video import numbered_frame
from tests.sources.small_sets import BOXES
from tests.sources.tree import write

XYWH = tuple[float, float, float, float]


def boxes(track: Track) -> list[tuple[int, XYWH]]:
    return [(box.image_id, tuple(round(number, 6) for number in box.xywh)) for box in track.boxes]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [
        ("coco", "car", [(0, (1, 2, 30, 20)), (1, (3, 2, 30, 20))]),
        ("mot", "pedestrian", [(0, (10, 20, 30, 40)), (1, (12, 20, 30, 40))]),
        ("label-studio", "Car", [(n, (20 + 10 * n, 10, 40, 30)) for n in range(4)] + [(8, (100, 10, 40, 30))]),
        ("cvat", "pedestrian", [(n, (10 + 10 * n, 20, 20, 40)) for n in range(5)]),
        ("fiftyone", "car", [(0, (20, 20, 60, 40)), (1, (40, 20, 60, 40))]),
        ("fiftyone-images", "car", [(3, (20, 20, 60, 40))]),
        ("yolo", "car", [(0, (40, 15, 20, 20))]),
    ],
)
def test_each_format(tmp_path: Path, name: str, label: str, expected: list[tuple[int, XYWH]]) -> None:
    BOXES[name](tmp_path)
    tracks, problems = read_tracks(tmp_path)
    assert [problem for problem in problems if problem.level != "note"] == []
    assert any("read as" in problem.message for problem in problems), "the rule is said"
    assert list(tracks) == ["clip"]
    assert boxes(next(track for track in tracks["clip"] if track.label == label)) == expected
    assert all(box.generated and box.phase is None for track in tracks["clip"] for box in track.boxes)


def test_an_object_that_leaves_is_not_drawn_until_it_returns() -> None:
    keys = [(Box(frame, (frame, 0, 5, 5)), visible) for frame, visible in ((0, True), (2, False), (6, True), (8, True))]
    assert [box.image_id for box in interpolated(keys)] == [0, 1, 6, 7, 8]


def test_xml_with_entities_is_refused(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;">]><annotations>&c;</annotations>'
    write(tmp_path / "a.xml", f'<?xml version="1.0"?>{bomb}')
    tracks, problems = read_tracks(tmp_path)
    assert tracks == {}
    assert [(p.level, p.file) for p in problems] == [("error", "a.xml")]
    assert "entities" in problems[0].message


def test_an_empty_folder_has_no_boxes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="CVAT XML, FiftyOne JSON"):
        read_tracks(tmp_path)


@pytest.mark.parametrize(("fps", "ids"), [(10, [0, 1]), (60, [0, 2])])
def test_tracks_join_the_view_of_their_video(tmp_path: Path, fps: int, ids: list[int]) -> None:
    video = tmp_path / "clip.mp4"
    write_video(video, map(numbered_frame, range(12)), fps)
    by_hand = Box(3, (1, 1, 9, 9), phase=0)
    old = Box(5, (2, 2, 9, 9), generated=True)
    view = View("clip", "overhead", video, (Phase(0, 0.0, 1.0),), {"vehicle": (by_hand, old), "pedestrian": (old,)})
    scenario = Scenario("s", "internal", "train", (view,), "wts")
    small, large = (Track(str(n), "car", (Box(0, (0, 0, n, n)), Box(1, (1, 0, n, n)))) for n in (5, 9))
    (joined,) = with_tracks([scenario], {"clip": [small, large, Track("p", "dog", (Box(0, (0, 0, 9, 9)),))]})
    found = joined.views[0].boxes
    assert sorted((b.image_id, b.xywh[2], b.generated) for b in found["vehicle"] if b.generated) == [
        (image_id, 9, True) for image_id in ids
    ]
    assert by_hand in found["vehicle"]
    assert "pedestrian" not in found
    assert with_tracks([scenario], {"other": [small]}) == [scenario]

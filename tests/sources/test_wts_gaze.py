"""Gazes and heads of WTS join the view of their video; what does not fit is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cityscribe.sources.wts import read_wts
from cityscribe.traffic.scenario import Gaze
from tests.sources.tree import VIEWS, caption_path, phase, video_path, write

SCENARIO = "20230922_1_SN2_T1"
STEM = f"{SCENARIO}_192.168.0.11_1"


def lay_out(root: Path, gaze: Any, head: Any, dash: str = "-") -> None:
    record = {"overhead_videos": [f"{STEM}.mp4"], "event_phase": [phase(label) for label in "01"]}
    write(caption_path(root, "train", SCENARIO, "overhead"), record)
    write(video_path(root, "train", SCENARIO, "overhead", STEM))
    for kind, folder, value in (("gaze", "3D_gaze", gaze), ("head", "head", head)):
        if value is not None:
            name = f"{SCENARIO}_192.168.0.11{dash}1_{kind}.json"
            write(root / "annotations" / folder / "train" / SCENARIO / name, value)


def annotated(key: str, values: dict[Any, Any]) -> dict[str, Any]:
    return {"annotations": [{"image_id": image_id, key: value} for image_id, value in values.items()]}


@pytest.mark.parametrize("dash", ["-", "_"])
def test_frames_with_head_and_gaze_are_read(tmp_path: Path, dash: str) -> None:
    directions = {900: [0.6, 0.2, -0.7], 901: [1, 0, 0], 7: [0, 0, 0]}
    heads = {901: [12.5, 40], 900: [12, 41], 5: [1, 1]}
    lay_out(tmp_path, annotated("gaze", directions), annotated("head", heads), dash)
    ((scenario,), problems) = read_wts(tmp_path)
    assert scenario.views[0].gaze == (
        Gaze(900, (12.0, 41.0), (0.6, 0.2, -0.7)),
        Gaze(901, (12.5, 40.0), (1.0, 0.0, 0.0)),
    )
    assert [(p.level, p.place) for p in problems] == [("warning", "annotations[2].gaze")]
    assert set(VIEWS) == {"overhead", "vehicle"}


@pytest.mark.parametrize(
    ("gaze", "place"),
    [
        (None, ""),
        ([], "annotations"),
        ({"annotations": 3}, "annotations"),
        (annotated("gaze", {0: [1, 2]}), "annotations[0]"),
        (annotated("gaze", {-1: [1, 2, 3]}), "annotations[0]"),
        (annotated("gaze", {0: [1, 2, "NaN"]}), "annotations[0]"),
        (annotated("gaze", {0: None}), "annotations[0]"),
        ({"annotations": [None]}, "annotations[0]"),
    ],
)
def test_what_is_wrong_is_named_and_costs_only_the_arrow(tmp_path: Path, gaze: Any, place: str) -> None:
    lay_out(tmp_path, gaze, annotated("head", {0: [1, 1]}))
    ((scenario,), problems) = read_wts(tmp_path)
    assert scenario.views[0].gaze == ()
    (problem,) = problems
    assert problem.place == place
    assert problem.file.startswith("annotations/")

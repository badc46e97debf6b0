"""From clips to labels, to what a person says of them, to training data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cityscribe.files import InputError
from cityscribe.label.clips import JOURNAL, LabelledClips, label_clips, labels_of, write_tracks
from cityscribe.label.looking import ClipLine
from cityscribe.label.motion import read_motion
from cityscribe.label.settings import LabelSettings, read_label_settings
from cityscribe.prompts.library import load_library
from cityscribe.records import text_of
from cityscribe.sources.clips import read_clips
from cityscribe.sources.intake import open_intake
from cityscribe.sources.labels import (
    ANSWERS,
    LABELS,
    LabelAnswer,
    PseudoLabel,
    read_label_folder,
    read_labels,
    write_answer,
)
from cityscribe.sources.tracks import read_tracks
from tests.detect.tiny_detectors import write_tiny
from tests.label.conftest import SHOWN

pytestmark = pytest.mark.usefixtures("patches")

SETTINGS = """
readers:
  - {reader: {kind: patch, wrong: {2: red, 17: green, 18: green}}, weight: 2}
  - {reader: {kind: patch, wrong: {3: yellow, 17: green, 18: green}}}
orders: {light: {green: [yellow], yellow: [red], red: [green]}}
window_s: 0.6
keep_every: 4
sure: 0.7
"""


def labelled(clips: Path, out: Path, text: str = SETTINGS, imu: Path | None = None) -> LabelledClips:
    out.mkdir(exist_ok=True)
    (out / "label.yaml").write_text(text)
    settings, library = read_label_settings(out / "label.yaml")
    return label_clips(read_clips(clips)[0], settings, library, clips, out, imu=imu)


def test_labels_are_what_the_clip_shows_and_impossible_orders_are_not(clips: Path, tmp_path: Path) -> None:
    """Both readers take frames 17 and 18 for green; red, green, red cannot be, so that a person is asked."""
    found = labelled(clips, tmp_path).labels
    assert [(each.value, each.frames, each.sure) for each in found] == [
        ("green", (0, 9), True),
        ("yellow", (10, 13), True),
        ("red", (14, 16), True),
        ("green", (17, 18), False),
        ("red", (19, 23), True),
    ]
    wrong = next(each for each in found if each.value == "green" and each.frames[0] > 10)
    assert "impossible order" in wrong.why
    for each in found:
        if each.sure:
            assert {SHOWN[frame] for frame in range(each.frames[0], each.frames[1] + 1)} == {each.value}
    assert found[0].by == ("patch", "patch")


def test_a_person_decides_and_the_source_reads_it(clips: Path, tmp_path: Path) -> None:
    labels = {each.id: each for each in labelled(clips, tmp_path).labels}
    before, problems = read_label_folder(tmp_path)
    assert "uncertain and not looked at, left out" in problems[-1].message
    wrong = next(each for each in labels.values() if "impossible" in each.why)
    write_answer(tmp_path, LabelAnswer(id=wrong.id, value="green", answer="no"))
    assert len(read_label_folder(tmp_path)[0]) == len(before)
    write_answer(tmp_path, LabelAnswer(id=wrong.id, value="green", answer="corrected", right="red"))
    after, problems = read_label_folder(tmp_path)
    assert "1 confirmed or corrected" in problems[-1].message
    new = [each for each in after if each not in before]
    assert [int(Path(each.images[0]).stem) for each in new] == list(wrong.shown)
    for each in after:
        assert (tmp_path / each.images[0]).is_file()
        assert text_of(each.messages[0]) == "What colour is the traffic light?"
        assert text_of(each.messages[1]) == SHOWN[int(Path(each.images[0]).stem)]
    assert {each.meta.note for each in new} == {"label of a person"}
    write_answer(tmp_path, LabelAnswer(id=wrong.id, value="green", answer="open"))
    assert read_label_folder(tmp_path)[0] == before
    assert read_label_folder(tmp_path, files=())[0] == before


def test_what_stands_cannot_change(clips: Path, tmp_path: Path) -> None:
    """The camera stands in the first two seconds: of a feature of the place nothing changes there."""
    rows = "".join(f"{n / 5},{0 if n < 11 else 8},0\n" for n in range(30))
    (tmp_path / "imu").mkdir()
    (tmp_path / "imu" / "street.csv").write_text("time_s,speed_mps,yaw_rate_dps\n" + rows)
    motion = read_motion(tmp_path / "imu" / "street.csv")
    line: ClipLine = {"clip": "a", "frames": list(range(20)), "times_s": [n / 5 for n in range(20)], "boxes": []}
    line["seen"] = [[{"cones": "yes" if n % 10 < 7 else "no"} for n in range(20)]]
    values = {"readers": [{"reader": {"kind": "patch"}}], "window_s": 0.1, "sure": 0.5, "shortest_s": 0}
    moving = labels_of(line, LabelSettings.model_validate(values), load_library("driving"), motion)
    assert [each.frames for each in moving] == [(0, 6), (7, 9), (10, 16), (17, 19)]
    fixed = LabelSettings.model_validate(values | {"fixed": ["cones"]})
    stands = labels_of(line, fixed, load_library("driving"), motion)
    assert [(each.value, each.frames) for each in stands] == [("yes", (0, 16)), ("no", (17, 19))]
    assert labels_of(line, fixed, load_library("driving"), None) == moving
    assert labelled(clips, tmp_path / "out", imu=tmp_path / "imu").without_motion == 0


def test_what_was_seen_is_not_looked_at_again(clips: Path, tmp_path: Path) -> None:
    labelled(clips, tmp_path)
    labels, seen = (tmp_path / LABELS).read_bytes(), (tmp_path / JOURNAL).read_bytes()
    header, line = seen.splitlines(keepends=True)
    (tmp_path / JOURNAL).write_bytes(header + line[:40])  # a kill tore the line off
    labelled(clips, tmp_path)
    assert (tmp_path / LABELS).read_bytes() == labels
    assert (tmp_path / JOURNAL).read_bytes() == seen
    marked = json.loads(line) | {"seen": [[{"light": "red"}] * len(SHOWN)] * 2}
    (tmp_path / JOURNAL).write_bytes(header + json.dumps(marked).encode() + b"\n")
    labelled(clips, tmp_path, SETTINGS.replace("window_s: 0.6", "window_s: 1"))  # takes no model
    assert [each.value for each in read_labels(open_intake(tmp_path))[0]] == ["red"]


def _confidence(label: PseudoLabel) -> float:
    return -label.confidence


def line_of_boxes() -> ClipLine:
    """A car that drives to the right and that both detectors see; a bus that one of them sees for a moment."""
    car = [[[["vehicle", 0.9 - 0.2 * who, 10 + 4 * n + who, 20, 30, 20]] for n in range(10)] for who in range(2)]
    car[1][3].append(["bus", 0.95, 100, 100, 40, 40])
    car[1][4].append(["bus", 0.95, 100, 100, 40, 40])
    return {"clip": "a", "frames": list(range(10)), "times_s": [n / 5 for n in range(10)], "boxes": car, "seen": []}  # type: ignore[typeddict-item]


def test_boxes_are_fused_and_tracked_and_those_that_are_sure_are_written(tmp_path: Path) -> None:
    settings = LabelSettings.model_validate({"detectors": [{"model": "one"}, {"model": "other"}]})
    car, bus = sorted(labels_of(line_of_boxes(), settings, load_library("driving"), None), key=_confidence)
    assert (car.value, car.sure, car.by, len(car.boxes)) == ("vehicle", True, ("one", "other"), 10)
    x = 10 + 0.7 / (0.9 + 0.7)
    assert car.boxes[0] == pytest.approx((0, round(x, 2), 20, 30, 20))
    assert car.confidence == pytest.approx((0.9 + 0.7) / 2, abs=1e-4)
    assert (bus.value, bus.sure, bus.by) == ("bus", False, ("other",))
    told = LabelAnswer(id=bus.id, value="bus", answer="corrected", right="vehicle")
    for answers, count in (({}, 1), ({bus.id: told}, 2)):
        write_tracks(tmp_path, "a", [car, bus], answers)
        tracks = read_tracks(tmp_path / "boxes").tracks["a"]
        assert [track.role for track in tracks] == ["vehicle"] * count
    write_tracks(tmp_path, "a", [bus], {})
    assert not (tmp_path / "boxes" / "a.xml").exists()


def test_real_detectors_are_asked_in_every_frame(clips: Path, tmp_path: Path) -> None:
    models = [write_tiny(family, tmp_path / family) for family in ("yolos", "rt_detr")]
    text = "every_s: 1\nleast_score: 0\ndetectors: [" + ", ".join(f"{{model: {model}}}" for model in models) + "]"
    labelled(clips, tmp_path / "out", text)
    line = json.loads((tmp_path / "out" / JOURNAL).read_text().splitlines()[1])
    assert [len(frames) for frames in line["boxes"]] == [5, 5]
    assert {box[0] for frames in line["boxes"] for frame in frames for box in frame} <= {
        "pedestrian",
        "vehicle",
        "tree",
    }
    assert any(frame for frame in line["boxes"][0])


def test_settings_that_cannot_be_are_refused_with_their_place(clips: Path, tmp_path: Path) -> None:
    asks = "readers: [{reader: {kind: patch}}]\n"
    for text, said in (
        ("", "names nobody who labels"),
        ("readers: [{reader: {kind: patches}}]", "readers.0.reader.kind"),
        ("detectors: [{model: a, weight: 0}]", "detectors.0.weight"),
        (asks + "orders: {lights: {}}", "orders: lights is no look"),
        (asks + "fixed: [cone]", "fixed: cone is no look"),
        (asks + "orders: {light: {red: [blue]}}", "orders.light: blue is no value"),
        (asks + "library: nowhere", "nowhere"),
    ):
        (tmp_path / "label.yaml").write_text(text)
        with pytest.raises(InputError) as error:
            read_label_settings(tmp_path / "label.yaml")
        assert said in str(error.value)
    with pytest.raises(InputError, match="no such folder"):
        labelled(clips, tmp_path / "out", imu=tmp_path / "nowhere")
    assert not (tmp_path / "out" / LABELS).exists()


def test_a_clip_that_cannot_be_read_is_left_out_with_its_reason(clips: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    content = (clips / "street.mp4").read_bytes()
    (folder / "good.mp4").write_bytes(content)
    scenarios = read_clips(folder)[0]
    (folder / "good.mp4").write_bytes(b"no video")
    (tmp_path / "label.yaml").write_text(SETTINGS)
    found = label_clips(scenarios, *read_label_settings(tmp_path / "label.yaml"), folder, tmp_path / "out")
    assert found.labels == []
    assert "good.mp4" in found.unread[0]


@pytest.mark.parametrize("line", ["{", "[]", '{"id": 3}', '{"id": "a", "value": "x", "answer": "maybe"}', "\x00"])
def test_lines_that_are_malformed_are_told_and_left_out(clips: Path, tmp_path: Path, line: str) -> None:
    labelled(clips, tmp_path)
    good = read_label_folder(tmp_path)[0]
    for name in (LABELS, ANSWERS):
        with (tmp_path / name).open("a") as file:
            file.write(line + "\n")
    samples, problems = read_label_folder(tmp_path)
    assert samples == good
    assert sum(each.level == "error" for each in problems) == 2


def test_a_name_of_a_clip_leads_nowhere_else(clips: Path, tmp_path: Path) -> None:
    labelled(clips, tmp_path / "out")
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "000000.jpg").write_bytes(b"a secret")
    text = (tmp_path / "out" / LABELS).read_text().replace('"clip": "street"', '"clip": "../../frames"')
    (tmp_path / "out" / LABELS).write_text(text)
    samples, problems = read_label_folder(tmp_path / "out")
    assert samples == []
    assert any("outside the data folder" in each.message for each in problems)

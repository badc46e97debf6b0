"""`prepare.redact`: each picture that is stored was covered first, and says so; without it nothing changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cityscribe.files import InputError, read_json
from cityscribe.pipeline.needs import check_needs
from cityscribe.prepare.conversations import prepare_conversations
from cityscribe.prepare.keyframe import KeyFrame
from cityscribe.prepare.pictures import render
from cityscribe.prepare.settings import PrepareSettings
from cityscribe.project import resolve
from cityscribe.records import Sample, SampleMeta, image_block, message, read_samples, text_block
from cityscribe.redact.faces import find_faces
from tests.redact.test_cover import FACE

FACES = PrepareSettings(redact=("faces",), workers=1)


def _asked(name: str) -> Sample:
    told = (message("user", image_block(), text_block("Who is it?")), message("assistant", text_block("She.")))
    return Sample(told, (name,), name, SampleMeta(scenario=name, split="train", kind="chat"))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    root.mkdir()
    shutil.copy(FACE, root / "face.jpg")
    Image.open(FACE).save(root / "face.png")
    Image.new("RGB", (64, 64), (80, 80, 80)).save(root / "nobody.png")
    return root


def test_pictures_of_conversations_are_covered_counted_and_say_so(pictures: Path, tmp_path: Path) -> None:
    samples = [_asked(name) for name in ("face.jpg", "face.png", "nobody.png")]
    plain, covered = tmp_path / "plain", tmp_path / "covered"
    prepare_conversations(samples, pictures, PrepareSettings(workers=1), plain)
    assert (plain / "images" / "face.jpg").read_bytes() == FACE.read_bytes()
    assert not (plain / "redacted.json").exists()
    prepare_conversations(samples, pictures, FACES, covered)
    images = [sample.images[0] for sample in read_samples(covered / "train.parquet")]
    assert len(images) == 3
    assert all(find_faces(np.asarray(Image.open(covered / image)), 0.2) == [] for image in images)
    assert read_json(covered / "redacted.json") == {"images": 3, "covered": 2, "regions": {"faces": 2}}


def test_a_stopped_preparation_counts_what_it_finds(pictures: Path, tmp_path: Path) -> None:
    samples = [_asked("face.jpg")]
    prepare_conversations(samples, pictures, FACES, tmp_path / "out")
    counts = (tmp_path / "out" / "redacted.json").read_bytes()
    (tmp_path / "out" / "redacted.json").unlink()
    prepare_conversations(samples, pictures, FACES, tmp_path / "out", resume=True)
    assert (tmp_path / "out" / "redacted.json").read_bytes() == counts


def test_a_frame_is_covered_before_it_is_drawn_on() -> None:
    """The line of a box lies on what is covered, in every image of a phase."""
    frame = np.full((160, 240, 3), 90, np.uint8)
    frame[20:148, 60:188] = np.asarray(Image.open(FACE).convert("RGB"))
    key = KeyFrame(0, {"pedestrian": (70.0, 30.0, 100.0, 110.0)}, "")
    for image in render(frame, key, FACES.model_copy(update={"images": ("global", "local", "pedestrian")})):
        assert find_faces(image, 0.2) == []
    shown = render(frame, key, FACES.model_copy(update={"images": ("global",)}))[0]
    assert (shown == (0, 255, 0)).all(axis=2).any()
    assert find_faces(render(frame, key, PrepareSettings(images=("global",)))[0], 0.2)


def test_what_is_missing_is_said_before_anything_is_made(pictures: Path) -> None:
    settings = resolve({"data": {"path": str(pictures), "source": "llava"}, "prepare": {"redact": ["plates"]}})
    with pytest.raises(InputError, match=r"prepare\.redact: plates: needs a detector .* prepare\.redact_detector"):
        check_needs(settings, ["prepare"])
    with pytest.raises(InputError, match="expected one of faces, plates, heads"):
        resolve({"data": {"path": "x"}, "prepare": {"redact": ["fases"]}})


def test_settings_without_redaction_are_hashed_as_before() -> None:
    """A run that was made before there was redaction is up to date."""
    from cityscribe.pipeline.stages.prepare import REDACTION

    values = json.loads(PrepareSettings().model_dump_json())
    assert {name.partition(".")[2] for name in REDACTION} == {name for name in values if name.startswith("redact")}

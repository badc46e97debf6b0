"""Folders of pictures and videos: as many frames at the same times, faces covered in all of them, and nothing passed on
that could not be looked through."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cityscribe.cli import app
from cityscribe.files import InputError
from cityscribe.media.video import probe, read_frames, write_video
from cityscribe.media.video_index import frame_index_of
from cityscribe.redact import RedactOptions
from cityscribe.redact.faces import find_faces
from cityscribe.redact.folders import AROUND, JOURNAL, redact_folder
from tests.redact.test_cover import FACE

FACES = RedactOptions(("faces",))
TIMES_S = (0.0, 0.04, 0.08, 0.3, 0.34, 0.38, 0.42, 0.5)
"""With a gap, as a camera that drops frames leaves it."""


def frames() -> list[np.ndarray]:
    """A face that walks to the right; in the frame in the middle it cannot be seen."""
    face = np.asarray(Image.open(FACE).convert("RGB"))
    made = []
    for number in range(len(TIMES_S)):
        frame = np.full((160, 320, 3), 60 + 20 * number, np.uint8)
        if number != 4:
            frame[16:144, 20 + 8 * number : 148 + 8 * number] = face
        made.append(frame)
    return made


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("redact") / "clips"
    (root / "inner").mkdir(parents=True)
    write_video(root / "inner" / "walk.mp4", frames(), 25, times_s=TIMES_S)
    picture = Image.open(FACE)
    exif = Image.Exif()
    exif[0x013B] = "a photographer"
    picture.save(root / "portrait.jpg", exif=exif)
    Image.new("RGB", (64, 48), (9, 9, 9)).save(root / "empty.png")
    (root / "captions.json").write_text('{"a": 1}')
    (root / "notes.docx").write_bytes(b"PK")
    (root / "torn.jpg").write_bytes(FACE.read_bytes()[:900])
    (root / "torn.mp4").write_bytes((root / "inner" / "walk.mp4").read_bytes()[:300])
    return root


@pytest.fixture(scope="module")
def redacted(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The output of the command, and what it said."""
    out = tmp_path_factory.mktemp("redact") / "out"
    done = CliRunner().invoke(app, ["data", "redact", str(clips), str(out)])
    assert done.exit_code == 3, done.output
    return out, " ".join(done.output.split())


def test_a_video_keeps_its_frames_and_times(clips: Path, redacted: tuple[Path, str]) -> None:
    before, after = clips / "inner" / "walk.mp4", redacted[0] / "inner" / "walk.mp4"
    assert probe(after).frames == len(TIMES_S)
    assert frame_index_of(after).times_s == pytest.approx(frame_index_of(before).times_s, abs=1e-4)
    shown = [read_frames(path, range(len(TIMES_S))) for path in (before, after)]
    for number in range(len(TIMES_S)):
        assert bool(find_faces(shown[0][number], 0.2)) == (number != 4)
        assert find_faces(shown[1][number], 0.2) == [], number
        background = [one[number][:10].astype(int) for one in shown]
        assert abs(background[0] - background[1]).mean() < 3, "and each frame is the one that it was"
    assert AROUND == 2


def test_a_region_counts_in_the_frames_around_it_too(redacted: tuple[Path, str]) -> None:
    """The detector saw no face in frame 4; where it was in the frames around, that frame is covered."""
    lines = [json.loads(line) for line in (redacted[0] / JOURNAL).read_text().splitlines()[1:]]
    walk = next(line for line in lines if line["file"] == "inner/walk.mp4")
    assert walk["regions"] == {"faces": len(TIMES_S) - 1}
    assert walk["frames"] == len(TIMES_S)


def test_a_picture_loses_what_its_file_said(redacted: tuple[Path, str]) -> None:
    with Image.open(redacted[0] / "portrait.jpg") as picture:
        assert dict(picture.getexif()) == {}
        assert picture.info["comment"] == b"redacted: faces 1"
    assert find_faces(np.asarray(Image.open(redacted[0] / "portrait.jpg").convert("RGB")), 0.2) == []


def test_what_cannot_be_looked_through_is_left_out_and_said(redacted: tuple[Path, str]) -> None:
    out, said = redacted
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert names == {"inner/walk.mp4", "portrait.jpg", "empty.png", "captions.json", JOURNAL}
    for name in ("torn.jpg", "torn.mp4", "notes.docx"):
        assert f"{name}: left out" in said
    assert "3 pictures and videos (8 frames): 8 faces covered" in said
    assert "1 annotations copied as they are; 3 files left out" in said


def test_a_stopped_call_goes_on_to_the_same_bytes(clips: Path, redacted: tuple[Path, str], tmp_path: Path) -> None:
    out, expected = tmp_path / "out", redacted[0]
    shutil.copytree(expected, out)
    lines = (out / JOURNAL).read_text().splitlines(keepends=True)
    (out / JOURNAL).write_text("".join(lines[:3]) + lines[3][:10])  # killed while it wrote the third line
    redact_folder(clips, out, FACES)
    for path in sorted(expected.rglob("*")):
        assert path.is_dir() or (out / path.relative_to(expected)).read_bytes() == path.read_bytes()
    with pytest.raises(InputError, match="is of other options or another model"):
        redact_folder(clips, out, RedactOptions(("faces",), threshold=0.9))


@pytest.mark.parametrize("whole_header", [True, False])
def test_a_call_that_was_stopped_in_its_first_file_goes_on(
    whole_header: bool, clips: Path, redacted: tuple[Path, str], tmp_path: Path
) -> None:
    out, expected = tmp_path / "out", (redacted[0] / JOURNAL).read_text()
    out.mkdir()
    header = expected.splitlines(keepends=True)[0]
    (out / JOURNAL).write_text(header if whole_header else header[:9])
    for _ in range(2):  # stopped, and asked for again when it is done
        redact_folder(clips, out, FACES)
        assert (out / JOURNAL).read_text() == expected


def test_it_writes_over_nothing(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lies in"):
        redact_folder(clips, clips / "out", FACES)
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(InputError, match="already there"):
        redact_folder(clips, tmp_path, FACES)
    with pytest.raises(InputError, match="did you mean faces"):
        redact_folder(clips, tmp_path / "other", RedactOptions(("fases",)))
    assert not (tmp_path / "other").exists()

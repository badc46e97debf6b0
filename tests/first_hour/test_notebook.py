"""Five tasks of a notebook, with the calls that `import cityscribe` gives."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cityscribe
from cityscribe.files import InputError, read_json
from cityscribe.media.video import write_video
from cityscribe.project import Settings, dump_settings
from cityscribe.world.dataset import WorldSettings, write_dataset
from tests.pipeline.running import settings_of

CONFORMANCE = Path(__file__).parents[1] / "conformance" / "wts-score"


@pytest.fixture(scope="module")
def project(tiny: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The project file of a small city, as text."""
    root = tmp_path_factory.mktemp("notebook")
    write_dataset(root / "city", WorldSettings(train=1, val=1, external=0.0, seed=3, fps=5), workers=1)
    settings = settings_of(root / "city", tiny("llava"), root / "runs", train={"max_steps": 2})
    (root / "project.yaml").write_text(dump_settings(settings))
    return str(root / "project.yaml")


def test_importing_is_light() -> None:
    code = "import cityscribe, sys; print([m for m in ('torch', 'transformers', 'numpy', 'yaml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert set(cityscribe.__all__) == {"__version__", "ask", "load", "prepare", "score", "train"}
    with pytest.raises(AttributeError):
        cityscribe.predict_all  # noqa: B018


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["train", "--help"]])
def test_a_command_that_computes_nothing_is_light(arguments: list[str]) -> None:
    code = (
        "import sys; from cityscribe.cli.shell import run_command\n"
        f"import cityscribe.cli, cityscribe.project; assert run_command({arguments}) == 0\n"
        "print([m for m in ('torch', 'transformers', 'numpy', 'PIL', 'cv2', 'av', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_load_a_project_and_change_it(project: str) -> None:
    changed = cityscribe.load(
        project, {"train.lr": 1e-3, "prepare.images": ["global"], "evaluate.references": Path("r")}
    )
    assert (changed.train.lr, changed.prepare.images) == (1e-3, ("global",))
    assert changed.evaluate.references == Path("r")
    with pytest.raises(InputError, match=r"did you mean `train`"):
        cityscribe.load(project, {"trian.lr": 1})


def test_prepare_train_ask_and_score(project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: Settings = cityscribe.load(project)
    samples = cityscribe.prepare(project)  # task 1: what is a sample?
    assert samples["train"][0].messages[0]["role"] == "user"
    assert {sample.meta.split for sample in samples["val"]} == {"val"}

    report = cityscribe.train(settings)  # task 2: what did it learn?
    assert report["steps"] == 2
    assert report["first_loss"] > 0

    picture = np.full((64, 64, 3), 90, np.uint8)  # task 3: what does it say?
    Image.fromarray(picture).save(tmp_path / "frame.png")
    write_video(tmp_path / "clip.mp4", [picture] * 8, 4)
    monkeypatch.setenv("HOME", str(tmp_path))
    said = cityscribe.ask(settings, "What is this?", "~/frame.png", max_tokens=5)
    assert said == cityscribe.ask(str(settings.run_dir), "What is this?", Image.fromarray(picture), max_tokens=5)
    assert isinstance(cityscribe.ask(settings.run_dir / "model", "And this?", tmp_path / "clip.mp4", max_tokens=5), str)
    with pytest.raises(InputError, match="no such file"):
        cityscribe.ask(settings, "What?", "nowhere.png")

    scores = cityscribe.score(str(settings.run_dir))  # task 4: how good is it?
    assert scores == read_json(settings.run_dir / "scores.json")
    assert {"score", "internal"} <= scores.keys()


def test_score_captions_of_somebody_else() -> None:  # task 5
    scores = cityscribe.score(str(CONFORMANCE / "predictions.json"), CONFORMANCE / "references")
    assert scores["score"] == pytest.approx(read_json(CONFORMANCE / "expected.json")["total"]["score"], abs=1e-9)

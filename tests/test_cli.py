"""The command as a user starts it: in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CONFORMANCE = Path(__file__).parent / "conformance" / "wts-score"


def cityscribe(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cityscribe", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def test_init_writes_a_file_that_loads_and_never_overwrites(tmp_path: Path) -> None:
    assert cityscribe("init", "p.yaml", "--data", "city", folder=tmp_path).returncode == 0
    again = cityscribe("init", "p.yaml", folder=tmp_path)
    assert again.returncode == 2
    assert "already there" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "none.yaml"), "cityscribe init"),
        (("run", "bad.yaml"), "did you mean `train`"),
        (("run", "p.yaml"), "no such folder"),
        (("evaluate", "p.yaml", "--set", "data.path=empty"), "run it first"),
        (("prepare", "p.yaml", "--set", "data.path=empty"), "no scenario"),
        (("run", "p.yaml", "--set", "data.path=empty", "--set", "model.base=nowhere/"), "nowhere"),
        (("check", "nowhere"), "no such folder"),
        (("evaluate",), "--references"),
        (("evaluate", "--references", "empty", "--predictions", "none.json"), "no references"),
        (("evaluate", "--references", str(CONFORMANCE / "references"), "--predictions", "none.json"), "none.json"),
        (("evaluate", "--references", str(CONFORMANCE / "references"), "--predictions", "bad.yaml"), "bad.yaml"),
        (("world", "empty"), "already there"),
    ],
)
def test_a_mistake_is_one_clear_error_without_traceback(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.yaml").write_text("data: {path: x}\ntrian: {}\n")
    (tmp_path / "p.yaml").write_text("data: {path: missing}\n")
    result = cityscribe(*arguments, folder=tmp_path)
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 3


def test_evaluate_writes_the_official_numbers(tmp_path: Path) -> None:
    result = cityscribe(
        *("evaluate", "--profile", "wts", "--references", CONFORMANCE / "references"),
        *("--predictions", CONFORMANCE / "predictions.json", "--output", "scores.json", "--segments", "segments.json"),
        folder=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    expected = json.loads((CONFORMANCE / "expected.json").read_text())
    total = json.loads((tmp_path / "scores.json").read_text())
    assert total["score"] == pytest.approx(expected["total"]["score"], abs=1e-9)
    assert total.keys() == expected["total"].keys()
    assert json.loads((tmp_path / "segments.json").read_text()).keys() >= expected["segments"].keys()


def test_check_counts_and_fails_on_errors(tmp_path: Path) -> None:
    sample = Path(__file__).parent / "data" / "real_sample"
    good = cityscribe("check", sample, folder=tmp_path)
    assert good.returncode == 0, good.stdout
    assert "0 errors" in good.stdout
    broken = tmp_path / "broken"
    for path in sample.rglob("*"):
        if path.is_file():
            copy = broken / path.relative_to(sample)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes()[:200] if path.suffix == ".mp4" else path.read_bytes())
    bad = cityscribe("check", broken, folder=tmp_path)
    assert bad.returncode == 2
    assert ".mp4" in bad.stdout
    assert "Traceback" not in bad.stderr

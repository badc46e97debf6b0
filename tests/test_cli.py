"""The command as a user starts it: in a process of its own."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.preloaded import preloaded_python

CONFORMANCE = Path(__file__).parent / "conformance" / "wts-score"


def cityscribe(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [preloaded_python(), "-m", "cityscribe", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def test_init_writes_a_file_that_loads_and_never_overwrites(tmp_path: Path) -> None:
    assert cityscribe("init", "p.yaml", "--data", "city", folder=tmp_path).returncode == 0
    again = cityscribe("init", "p.yaml", folder=tmp_path)
    assert again.returncode == 2
    assert "already there" in again.stderr


def test_a_mistake_is_one_clear_error_without_traceback(tmp_path: Path) -> None:
    """All others are tried without a process of their own (`tests/first_hour/test_mistakes.py`)."""
    result = cityscribe("run", "none.yaml", folder=tmp_path)
    assert result.returncode == 2, result.stderr
    assert result.stderr.startswith("error: none.yaml: ")
    assert "cityscribe init" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_captions_are_scored_with_the_official_numbers(tmp_path: Path) -> None:
    result = cityscribe(
        *("score", "captions", CONFORMANCE / "predictions.json", "--references", CONFORMANCE / "references"),
        *("--output", "scores.json", "--segments", "segments.json"),
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


def test_every_command_has_an_example_that_parses() -> None:
    from typer.main import get_command

    from cityscribe.cli import app

    def commands(found: object, name: str) -> list[tuple[str, object]]:
        inner = getattr(found, "commands", {})
        return [pair for part, one in inner.items() for pair in commands(one, f"{name} {part}")] or [(name, found)]

    for name, command in commands(get_command(app), "cityscribe"):
        example = re.search(r"Example: (cityscribe [^\n]*?)(?:\. [A-Z]|\n|$)", command.help or "")
        assert example, f"{name}: its help has no example"
        assert example[1].startswith(name), name
        command.make_context(name, shlex.split(example[1].removeprefix(name)), resilient_parsing=False)


def began(folder: Path) -> bool:
    """Whether a video is written; folders of jobs come and go while they are looked through."""
    try:
        return any(folder.rglob("*.mp4"))
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_is_stopped_says_how_it_goes_on(tmp_path: Path, number: signal.Signals, status: int) -> None:
    command = [preloaded_python(), "-m", "cityscribe", "world", "make", "city", "--train", "40", "--workers", "1"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not began(tmp_path):
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == status
    assert said.strip() == "stopped; the same command goes on where it was"


A_COMMAND = """
import threading, time
from cityscribe.cli import shell

class Finaliser:
    def __del__(self):  # an exception in it is dropped
        began(); time.sleep(0.5)

def began():
    print("began", flush=True)

@shell.app.command()
def slow(kind: str):
    if kind == "cleaning up":
        try:
            began(); time.sleep(30)
        finally:
            began(); time.sleep(30)
    if kind == "in a finaliser":
        Finaliser()
        time.sleep(30)
    if kind == "at its end":  # Python waits for the thread, as for those of a library
        threading.Thread(target=lambda: (time.sleep(0.5), began(), time.sleep(30))).start()

shell.main()
"""


@pytest.mark.parametrize(("kind", "signals"), [("cleaning up", 2), ("in a finaliser", 1), ("at its end", 1)])
def test_whenever_a_command_is_stopped_it_ends_without_a_traceback(kind: str, signals: int) -> None:
    command = [sys.executable, "-c", A_COMMAND, "slow", kind]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(signals):
        assert process.stdout.readline() == "began\n"
        process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 143
    assert said.strip() == ("" if kind == "at its end" else "stopped; the same command goes on where it was")


def test_a_folder_that_is_taken_away_meanwhile_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cityscribe.cli import shell
    from cityscribe.files import write_json

    monkeypatch.setattr(shell, "app", lambda *_, **__: write_json(tmp_path / "gone" / "scores.json", {}))
    said: list[str] = []
    monkeypatch.setattr(shell.complaints, "print", lambda text: said.append(text))
    assert shell.run_command([]) == 2
    assert str(tmp_path / "gone" / "scores.json") in said[0].replace(".partial", "")


def test_the_version_is_told(tmp_path: Path) -> None:
    from cityscribe import __version__

    assert cityscribe("--version", folder=tmp_path).stdout.strip() == f"cityscribe {__version__}"

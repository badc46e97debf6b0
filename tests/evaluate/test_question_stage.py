"""Runs of questions from files to scores and page, and the commands that score answers of any origin."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cityscribe import pipeline
from cityscribe.files import InputError
from cityscribe.project import resolve
from cityscribe.records import read_samples
from tests.evaluate.answered import choice, open_line, write_lines
from tests.llm.chat_server import chat_server
from tests.preloaded import preloaded_python
from tests.sources.small_sets import clip


@contextmanager
def _watch(name: str) -> Iterator[Callable[..., None]]:
    yield lambda *_: None


def test_a_run_of_ucf_crime_ends_with_classes_and_circular_accuracy(
    tmp_path: Path, tiny: Callable[[str], Path]
) -> None:
    """The tables and figures of such a run come out of one command, a baseline beside the model."""
    data = tmp_path / "data"
    names = ("Abuse", "Arson", "Normal")
    for split, number in (("Train", 0), ("Test", 1)):
        for name in names:
            clip(data / "Videos" / name / f"{name}{number}_x264.mp4", empty=False, frames=4)
        lines = "".join(f"{name}/{name}{number}_x264.mp4\n" for name in names)
        (data / f"Anomaly_{split}.txt").write_text(lines)
    settings = resolve(
        {
            "runs": str(tmp_path / "runs"),
            "name": "ucf",
            "data": {"source": "ucf-crime", "path": str(data), "frames": 1, "val_share": 0},
            "prepare": {"image_size": 40, "rotate_options": True},
            "model": {"base": str(tiny("llava")), "block_expansion": {"blocks": 1}},
            "train": {"max_steps": 1, "batch_groups": 1, "precision": "fp32"},
            "predict": {"split": "test", "precision": "fp32", "baselines": ["untuned"], "choices": "likelihood"},
        }
    )
    pipeline.run(settings, _watch, lambda _: None)
    folder = settings.results_dir
    for home in (folder, folder / "baselines" / "untuned"):
        part = json.loads((home / "scores.json").read_text())["choices"]
        assert (part["questions"], part["unparsed"], part["circular"]["asked"]) == (3, 0, 12)
        assert [row["class"] for row in part["classes"]] == ["abuse", "arson", "nothing unusual"]
        assert part["against"]["class"] == "nothing unusual"
        assert part["majority"]["from"] == "train"
        assert "predictions_sha256" in json.loads((home / "scores.provenance.json").read_text())
    assert len(read_samples(settings.run_dir / "prepared" / "train.parquet")) == 3, "one order is trained on"
    page = (folder / "report" / "index.html").read_text()
    assert page.count('class="chart matrix"') == 4
    assert "All rotations right" in page
    said: list[str] = []
    pipeline.run(settings, _watch, said.append)
    assert all(line.endswith("up to date") for line in said)
    assert {line.split(":")[0] for line in said} >= {"evaluate test", "evaluate untuned test", "report test"}


def test_scenarios_are_not_scored_by_profiles_of_questions(tmp_path: Path) -> None:
    settings = resolve({"runs": str(tmp_path), "data": {"path": str(tmp_path)}, "evaluate": {"profile": "choices"}})
    with pytest.raises(InputError, match=r"evaluate.profile choices: is of questions"):
        pipeline.Plan.of(settings)


def cityscribe(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [preloaded_python(), "-m", "cityscribe", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def test_answers_of_any_origin_are_scored_and_judged_and_judges_compared(tmp_path: Path) -> None:
    lines = [choice("1", ("left", "right"), "left", "(a)"), open_line("2", "a car", "car"), open_line("3", "yes", "no")]
    write_lines(tmp_path / "p.jsonl", lines)
    done = cityscribe("score", "answers", "p.jsonl", "--output", "out/scores.json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "options" in done.stdout
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["score"] == pytest.approx(200 / 3)
    assert json.loads((tmp_path / "out" / "scores.provenance.json").read_text())["profile"] == "auto"
    for model, reply in (("one", '{"pred": "yes", "score": 5}'), ("two", "{'pred': 'no', 'score': 2}")):
        with chat_server(lambda _, reply=reply: reply) as server:
            done = cityscribe("score", "judge", "p.jsonl", "--model", model, "--base-url", server.url, folder=tmp_path)
        assert done.returncode == 0, done.stderr
    one = json.loads((tmp_path / "judge" / "p.answer.one.json").read_text())
    assert (one["items"], one["accuracy"], one["score"]) == (3, 1.0, 5.0)
    assert one["provenance"]["judge"]["answered_as"] == "judge-2026"
    assert len(one["provenance"]["prompt_sha256"]) == 64
    verdicts = [tmp_path / "judge" / f"p.answer.{model}.jsonl" for model in ("one", "two")]
    done = cityscribe("score", "agreement", *verdicts, "--output", "agreement.json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "agreement.json").read_text())["agreement"] == 0


def test_the_sub_task_of_wts_is_scored_with_its_combined_score(tmp_path: Path) -> None:
    for name, letters in (("gt", "ab"), ("said", "aa")):
        rows = [{"id": str(n), "correct": letter} for n, letter in enumerate(letters)]
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
    (tmp_path / "captions.json").write_text('{"score": 33.0}')
    done = cityscribe(
        *("score", "wts-vqa", "said.json", "--references", "gt.json"),
        *("--captions", "captions.json"),
        folder=tmp_path,
    )
    assert "S1: 33.0000, S2: 41.5000" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("score", "answers", "none.jsonl"), "none.jsonl: No such file"),
        (("score", "answers", "p.jsonl", "--profile", "bleu"), "profile bleu: there is none of this name"),
        (("score", "judge", "p.jsonl", "--model", "m", "--rubric", "taste"), "--rubric taste: expected one of answer"),
        (("score", "judge", "p.jsonl", "--model", "m", "--prompts", "none.yaml"), "none.yaml"),
    ],
)
def test_a_mistake_is_one_clear_error(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    write_lines(tmp_path / "p.jsonl", [open_line("1", "yes", "no")])
    done = cityscribe(*arguments, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr

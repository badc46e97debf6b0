"""A checkpoint answers benchmarks, and the command scores what it said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cityscribe.benchmark import answer_benchmark, samples_of
from cityscribe.cli import app
from cityscribe.evaluate.benchmarks import BENCHMARKS
from cityscribe.evaluate.benchmarks.asking import read_prompts
from cityscribe.evaluate.benchmarks.lines import majority_answers
from cityscribe.evaluate.benchmarks.question import BenchmarkQuestion
from cityscribe.evaluate.benchmarks.score import score_benchmark
from cityscribe.evaluate.benchmarks.suites import suite_row
from cityscribe.files import InputError
from cityscribe.media.video import write_video
from cityscribe.models.load import save_model
from cityscribe.project import settings_without_project
from tests.evaluate.benchmarks.small_benchmarks import SMALL, dump, dump_lines
from tests.media.numbered_video import numbered_frame
from tests.models.vlm.llama_vid import llama_vid

Checkpoint = Callable[[str], Path]
SETTINGS = settings_without_project(["predict.max_new_tokens=4", "predict.precision=fp32", "predict.batch_size=2"])


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("name", ["pope", "mmbench", "activitynet-qa"])
def test_images_base64_and_videos_are_answered_and_scored(name: str, tiny: Checkpoint, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    SMALL[name](data)
    if name == "activitynet-qa":
        (data / "v_xyz.mp4").unlink()
        write_video(data / "v_xyz.mp4", map(numbered_frame, range(20)), 10)
    benchmark = BENCHMARKS[name]
    questions = benchmark.read(data, benchmark.split)
    answers = answer_benchmark(
        benchmark, questions, data, tiny("llava"), SETTINGS, out, prompts=read_prompts(), frames=2
    )
    rows = lines(answers)
    assert [row["id"] for row in rows] == [question.id for question in questions]
    assert {len(row["images"]) for row in rows} == ({2} if name == "activitynet-qa" else {1})
    assert len(score_benchmark(name, questions, answers).rows) == len(questions)
    again = answer_benchmark(
        benchmark, questions, data, tiny("llava"), SETTINGS, tmp_path / "b", prompts=read_prompts(), frames=2
    )
    assert again.read_bytes() == answers.read_bytes()


def test_a_suite_is_one_table_with_the_line_that_needs_no_look(tmp_path: Path) -> None:
    """A LLaMA-VID answers two of the seven benchmarks; the others are left out and said."""
    save_model(*llama_vid(), tmp_path / "model")
    for name in ("pope", "msvd-qa"):
        SMALL[name](tmp_path / "data" / name)
    for clip in (tmp_path / "data").rglob("*.avi"):
        clip.unlink()
        write_video(clip.with_suffix(".mp4"), map(numbered_frame, range(8)), 10)
    arguments = ["score", "suite", "llama-vid", "--data", str(tmp_path / "data"), "--model", str(tmp_path / "model")]
    settings = ["--set", "predict.max_new_tokens=2", "--work", str(tmp_path / "work"), "--frames", "2"]
    result = CliRunner().invoke(app, [*arguments, *settings, "--output", str(tmp_path / "table.json")])
    assert result.exit_code == 0, result.output
    rows = {row["benchmark"]: row for row in json.loads((tmp_path / "table.json").read_text())}
    assert list(rows) == ["pope", "msvd-qa"]
    assert "gqa: left out" in result.output
    questions = BENCHMARKS["pope"].read(tmp_path / "data" / "pope", "")
    said = majority_answers(BENCHMARKS["pope"], questions)
    usual = dump_lines(tmp_path / "usual.jsonl", [{"id": name, "answer": text} for name, text in said.items()])
    assert rows["pope"]["majority"] == score_benchmark("pope", questions, usual).total["f1"]


def test_all_that_lie_in_a_folder_are_one_table(tiny: Checkpoint, tmp_path: Path) -> None:
    """Two benchmarks of one model: beside each score the blind, majority and chance lines; a judge's is left out."""
    for name in ("nuscenes-qa", "VRU_Accident", "mm-vet"):
        SMALL[name.lower().replace("_", "-")](tmp_path / "data" / name)
    for video in (tmp_path / "data").rglob("*.mp4"):
        write_video(video, map(numbered_frame, range(8)), 10)
    out = tmp_path / "table.json"
    arguments = ["benchmark", "run", str(tiny("llava")), str(tmp_path / "data"), "--output", str(out), "--frames", "1"]
    settings = ["--set", "predict.max_new_tokens=1", "--set", "predict.precision=fp32", "--work", str(tmp_path / "w")]
    result = CliRunner().invoke(app, [*arguments, *settings])
    assert result.exit_code == 0, result.output
    assert "mm-vet: left out, a chat model scores it" in result.output
    rows = {row["benchmark"]: row for row in json.loads(out.read_text())}
    assert list(rows) == ["nuscenes-qa", "vru-accident"]
    assert rows["vru-accident"]["majority"] == 100, "in each category all have the same right answer"
    assert all(isinstance(row[line], float) for row in rows.values() for line in ("value", "blind", "chance"))
    assert out.with_suffix(".md").read_text().count("| nuscenes-qa | 5 | accuracy |") == 1
    assert {path.name for path in (tmp_path / "w").iterdir()} >= {"nuscenes-qa", "nuscenes-qa-blind"}
    told = CliRunner().invoke(app, ["benchmark", "list", "--data", str(tmp_path / "data")])
    assert told.exit_code == 0, told.output
    assert isinstance(CliRunner().invoke(app, [*arguments, "--only", "pope"]).exception, InputError)


def test_the_majority_and_the_exact_match_of_a_suite() -> None:
    who = {"begins with": "who"}
    truths = ("a man", "a man", "dog")
    questions = [BenchmarkQuestion(str(n), "Who?", (truth,), facts=who) for n, truth in enumerate(truths)]
    row = suite_row("msvd-qa", questions, {"0": "A man.", "1": "a cat", "2": "dog"})
    assert row.majority == pytest.approx(200 / 3)
    assert row.exact == pytest.approx(200 / 3), "in other letters and without marks"
    assert row.value is not None
    assert row.value <= row.exact


def test_the_blind_line_is_asked_without_images(tiny: Checkpoint, tmp_path: Path) -> None:
    SMALL["pope"](tmp_path / "data")
    (tmp_path / "data" / "val2014" / "COCO_val2014_000000310196.jpg").unlink()
    questions = BENCHMARKS["pope"].read(tmp_path / "data", "")
    options = {"prompts": read_prompts(), "images": False}
    out = answer_benchmark(
        BENCHMARKS["pope"], questions, tmp_path / "data", tiny("llava"), SETTINGS, tmp_path / "o", **options
    )
    assert {tuple(row["images"]) for row in lines(out)} == {()}


@pytest.mark.parametrize("name", ["pope", "msvd-qa"])
def test_images_and_videos_that_are_not_there_are_named(name: str, tmp_path: Path) -> None:
    SMALL[name](tmp_path)
    for path in (*tmp_path.rglob("*.jpg"), *tmp_path.rglob("*.avi")):
        path.unlink()
    questions = BENCHMARKS[name].read(tmp_path, BENCHMARKS[name].split)
    with pytest.raises(InputError, match="1 images or videos are not there, the first is"):
        samples_of(questions, tmp_path, "{question}", tmp_path / "out", frames=2)


def test_questions_about_an_image_share_it(tmp_path: Path) -> None:
    SMALL["pope"](tmp_path)
    questions = BENCHMARKS["pope"].read(tmp_path, "")
    samples, root = samples_of(questions, tmp_path, "{question} In a word.", tmp_path / "out", frames=2)
    assert (len({sample.group for sample in samples}), root) == (1, tmp_path)
    assert samples[0].messages[0]["content"][-1]["text"] == "Is there a car? In a word."


def test_the_command_scores_answers_and_writes_what_made_them(tmp_path: Path) -> None:
    answers = dump(tmp_path / "a.json", SMALL["mme"](tmp_path / "data"))
    out = tmp_path / "scores" / "mme.json"
    arguments = ["score", "benchmark", "mme", "--data", str(tmp_path / "data"), "--answers", str(answers)]
    result = CliRunner().invoke(app, [*arguments, "--output", str(out)])
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    assert (found["score"], found["lines"]["measure"]) == (400, "score")
    assert (found["lines"]["majority"], 0 < found["lines"]["chance"] < 400) == (100, True)
    assert len(lines(out.with_name("mme.rows.jsonl"))) == 4
    assert json.loads(out.with_name("mme.provenance.json").read_text())["rule"] == "MME eval_tool/calculation.py"
    first = {path.name: path.read_bytes() for path in out.parent.iterdir()}
    CliRunner().invoke(app, [*arguments, "--output", str(out)])
    assert {path.name: path.read_bytes() for path in out.parent.iterdir()} == first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["nosuch", "--data", ".", "--answers", "a"],
            "benchmark nosuch: there is none of this name",
        ),
        (["mme", "--data", "."], "give --answers or --model"),
        (["mme", "--data", ".", "--answers", "a", "--blind"], "--blind says how --model is asked"),
        (["mme", "--data", "nowhere", "--answers", "a"], "nowhere: no such folder; expected mme"),
        (["mme", "--data", ".", "--answers", "a"], "has none of the folders"),
        (["mm-vet", "--data", ".", "--answers", "a", "--verdicts", "v", "--judge", "m"], "--verdicts or --judge"),
        (["nuscenes-qa", "--data", ".", "--answers", "a", "--judge", "m"], "takes no --judge; its rule needs nothing"),
        (["tar", "--data", ".", "--answers", "a", "--judge", "m"], "takes no --judge; its rule needs --encoder"),
    ],
)
def test_a_command_that_cannot_be_done_says_why(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["score", "benchmark", *arguments])
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)


def test_pope_on_ones_own_images_end_to_end(tmp_path: Path) -> None:
    truth = {f"{n}.jpg": ["car", "tree", "pedestrian"] if n % 2 else ["bus", "bench", "dog"] for n in range(6)}
    objects = dump(tmp_path / "city.json", truth)
    folder = tmp_path / "pope"
    result = CliRunner().invoke(app, ["score", "pope-questions", str(objects), str(folder), "--images", "4"])
    assert result.exit_code == 0, result.output
    questions = BENCHMARKS["pope"].read(folder, "")
    assert len(questions) == 3 * 4 * 3 * 2
    said = dump_lines(tmp_path / "a.jsonl", [{"id": q.id, "answer": q.truth[0]} for q in questions])
    assert score_benchmark("pope", questions, said).total["f1"] == 100


def test_chair_from_the_command_line(tmp_path: Path) -> None:
    objects = dump(tmp_path / "objects.json", {"a.jpg": ["car"], "b.jpg": ["bus", "tree"]})
    captions = dump(tmp_path / "captions.json", {"a.jpg": "A car and a dog.", "b.jpg": "A bus."})
    out = tmp_path / "chair.json"
    result = CliRunner().invoke(app, ["score", "chair", str(captions), "--objects", str(objects), "--output", str(out)])
    assert result.exit_code == 0, result.output
    total = json.loads(out.read_text())
    assert (total["chair_s"], round(total["chair_i"], 2), round(total["recall"], 2)) == (50, 33.33, 66.67)
    assert isinstance(CliRunner().invoke(app, ["score", "chair", str(captions)]).exception, InputError)

"""A metric and a benchmark of one's own: a member that is added in one line is listed, checked, and runs end to end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cityscribe.cli import app
from cityscribe.evaluate.benchmarks import BENCHMARKS
from cityscribe.evaluate.benchmarks.question import Benchmark, BenchmarkQuestion, RuleScores, percent
from cityscribe.evaluate.question_scores import evaluate_questions
from cityscribe.evaluate.registries import PROFILES, Profile, TextScores
from cityscribe.evaluate.settings import EvaluateSettings
from cityscribe.files import InputError
from cityscribe.registry import registry
from tests.evaluate.answered import open_line, write_lines


def shared_words(pairs: Sequence[tuple[str, str]], backend: str) -> TextScores:
    """The share of the reference's words that the answer has."""
    each = [{"words": len({*a.split()} & {*r.split()}) / len({*r.split()})} for r, a in pairs]
    return TextScores({"words": sum(values["words"] for values in each) / len(each)}, each)


@pytest.fixture
def words() -> Iterator[None]:
    PROFILES.add("words", Profile(texts=shared_words, points=lambda values: 100 * values["words"]), "shared words")
    yield
    PROFILES.remove("words")


@pytest.mark.usefixtures("words")
def test_a_metric_is_listed_checked_and_scores_a_file(tmp_path: Path) -> None:
    assert "words" in registry("profile").names()
    assert EvaluateSettings(profile="words").profile == "words"
    lines = [open_line("1", "a red car", "the red car"), open_line("2", "it is day", "it is night")]
    answers = write_lines(tmp_path / "p.jsonl", lines)
    found = evaluate_questions(answers, profile="words")
    assert found.total["captions"] == {
        "questions": 2,
        "missing": 0,
        "words": pytest.approx(2 / 3),
        "score": pytest.approx(200 / 3),
    }
    assert {key: each["words"] for key, each in found.segments.items()} == {
        "1": pytest.approx(2 / 3),
        "2": pytest.approx(2 / 3),
    }


def test_what_is_no_profile_is_refused() -> None:
    PROFILES.add("broken", shared_words, "no Profile")
    try:
        with pytest.raises(InputError, match="profile broken: expected a Profile, found function"):
            PROFILES["broken"]
    finally:
        PROFILES.remove("broken")
    with pytest.raises(ValueError, match="expected one of auto, wts, coco, choices, answers"):
        EvaluateSettings(profile="words")


def read_colours(data: Path, split: str) -> list[BenchmarkQuestion]:
    rows = json.loads((data / f"{split}.json").read_text())
    return [BenchmarkQuestion(row["id"], "What colour?", (row["colour"],), images=("i.png",)) for row in rows]


def score_colours(questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> RuleScores:
    right = [float(answers[question.id] == question.truth[0]) for question in questions]
    rows = [{"id": question.id, "score": value} for question, value in zip(questions, right, strict=True)]
    return RuleScores({"accuracy": percent(right)}, rows)


COLOURS = Benchmark(read_colours, score_colours, prompt="open", split="test", rule="equal words")


def test_a_benchmark_is_listed_and_runs_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "test.json").write_text('[{"id": "1", "colour": "red"}, {"id": "2", "colour": "blue"}]')
    (tmp_path / "a.jsonl").write_text('{"id": "1", "answer": "red"}\n{"id": "2", "answer": "green"}\n')
    BENCHMARKS.add("colours", COLOURS, "colours of things")
    try:
        assert "colours" in registry("benchmark").names()
        command = ["benchmark", "colours", "--data", str(tmp_path), "--answers", str(tmp_path / "a.jsonl")]
        command += ["--output", str(tmp_path / "s.json")]
        ran = CliRunner().invoke(app, command)
        if ran.exit_code == 2:  # where commands stand in groups
            ran = CliRunner().invoke(app, ["score", *command])
        assert ran.exit_code == 0, ran.output
        assert json.loads((tmp_path / "s.json").read_text()) == {
            "benchmark": "colours",
            "questions": 2,
            "accuracy": 50.0,
            "lines": {"measure": "accuracy", "majority": 50.0, "chance": pytest.approx(50.0, abs=20)},
        }
    finally:
        BENCHMARKS.remove("colours")
    with pytest.raises(InputError, match="benchmark colours: there is none of this name"):
        BENCHMARKS["colours"]


def test_what_is_no_benchmark_is_refused() -> None:
    BENCHMARKS.add("broken", score_colours, "no Benchmark")
    try:
        with pytest.raises(InputError, match="benchmark broken: expected a Benchmark, found function"):
            BENCHMARKS["broken"]
    finally:
        BENCHMARKS.remove("broken")

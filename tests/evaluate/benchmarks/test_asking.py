"""How questions are put: their words, options with letters, and prompts of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityscribe.evaluate.benchmarks import BENCHMARKS
from cityscribe.evaluate.benchmarks.asking import asked, read_prompts
from cityscribe.evaluate.benchmarks.question import BenchmarkQuestion
from cityscribe.files import InputError


def test_every_benchmark_has_its_prompt() -> None:
    assert {BENCHMARKS[name].prompt for name in BENCHMARKS} <= read_prompts().keys()


def test_options_stand_under_their_letters_and_marks_in_a_question_are_text() -> None:
    question = BenchmarkQuestion("1", "What does {options} mean?", options=("a car", "{question}"))
    text = asked(question, "{question}\n{options}\nA letter.")
    assert text == "What does {options} mean?\nA. a car\nB. {question}\nA letter."


def test_a_file_replaces_prompts_by_name(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("short: '{question} In a word.'\n")
    prompts = read_prompts(tmp_path / "p.yaml")
    assert prompts["short"] == "{question} In a word."
    assert prompts["open"] == read_prompts()["open"]


@pytest.mark.parametrize(
    ("content", "message"),
    [("shrt: x", "shrt: no such prompt"), ("choice: '{question}'", "choice: does not hold {options}"), ("- 1", "YAML")],
)
def test_a_file_that_cannot_be_used_says_why(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(content)
    with pytest.raises(InputError, match=message):
        read_prompts(tmp_path / "p.yaml")

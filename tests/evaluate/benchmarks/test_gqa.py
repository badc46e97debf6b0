"""GQA's measures, each on a case that can be counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cityscribe.evaluate.benchmarks.gqa import GQA, converted
from cityscribe.evaluate.benchmarks.score import score_benchmark
from tests.evaluate.benchmarks.small_benchmarks import dump, gqa_question


def total(root: Path, questions: dict[str, Any], answers: dict[str, str], choices: Any = None) -> dict[str, Any]:
    dump(root / "val_all_questions.json", questions)
    if choices is not None:
        dump(root / "val_choices.json", choices)
    read = GQA.read(root, "val")
    return score_benchmark("gqa", read, dump(root / "a.json", answers), split="val").total


def test_conversion_takes_periods_off_the_end_only() -> None:
    assert [converted(text) for text in ("Yes.", "a.b..", "Red ", "No. ")] == ["yes", "a.b", "red ", "no. "]


def test_an_answer_is_right_letter_for_letter(tmp_path: Path) -> None:
    questions = {str(n): gqa_question("car") for n in range(4)}
    found = total(tmp_path, questions, {"0": "car", "1": "Car", "2": "car.", "3": "a car"})
    assert (found["accuracy"], found["accuracy_llava"]) == (25, 75)


def test_only_balanced_questions_count_and_the_others_need_no_answer(tmp_path: Path) -> None:
    questions = {"1": gqa_question("car"), "2": gqa_question("bus", isBalanced=False)}
    found = total(tmp_path, questions, {"1": "car"})
    assert (found["questions"], found["accuracy"]) == (1, 100)
    assert total(tmp_path, questions, {"1": "car", "2": "x"})["accuracy"] == 100


def test_query_is_open_and_all_else_binary(tmp_path: Path) -> None:
    kinds = {"1": "query", "2": "choose", "3": "logical"}
    found = total(tmp_path, {n: gqa_question("x", kind) for n, kind in kinds.items()}, {"1": "x", "2": "x", "3": "y"})
    assert (found["open"], found["binary"]) == (100, 50)


def test_consistency_asks_what_a_right_answer_entails(tmp_path: Path) -> None:
    questions = {
        "1": gqa_question("car", entailed=["1", "2", "3"]),  # right; of two entailed ones, one is right
        "2": gqa_question("yes", "verify", isBalanced=False),
        "3": gqa_question("no", "verify", isBalanced=False),
        "4": gqa_question("bus", entailed=["2"]),  # wrong: does not count
    }
    answers = {"1": "car", "2": "yes", "3": "yes", "4": "car"}
    assert total(tmp_path, questions, answers)["consistency"] == 50
    assert "consistency" not in total(tmp_path, questions, {"1": "car", "4": "car"})


def test_validity_and_plausibility(tmp_path: Path) -> None:
    questions = {"1": gqa_question("car"), "2": gqa_question("color")}
    questions["2"]["types"]["detailed"] = "twoCommon"
    choices = {n: {"valid": ["car", "bus"], "plausible": ["car"]} for n in questions}
    found = total(tmp_path, questions, {"1": "bus", "2": "shape"}, choices)
    assert (found["validity"], found["plausibility"]) == (100, 50)


def test_distribution_is_a_chi_square_weighted_by_groups(tmp_path: Path) -> None:
    questions = {str(n): gqa_question("car" if n < 3 else "bus") for n in range(4)}
    questions["4"] = gqa_question("red", groups={"global": "colour", "local": ""})
    questions["5"] = gqa_question("dog", groups={"global": None, "local": ""})
    answers = {"0": "car", "1": "bus", "2": "bus", "3": "bus", "4": "blue", "5": "x"}
    vehicles = (1 - 3) ** 2 / 3 + (3 - 1) ** 2 / 1
    colours = (0 - 1) ** 2 / 1
    expected = (vehicles * 4 + colours * 1) / 5 / 100
    assert total(tmp_path, questions, answers)["distribution"] == pytest.approx(expected)


def test_steps_leave_out_what_is_no_reasoning(tmp_path: Path) -> None:
    steps = [("select", "car (1)"), ("relate", "left"), ("query", "name"), ("exist", "?"), ("choose name", "a|b")]
    semantic = [{"operation": operation, "argument": argument} for operation, argument in steps]
    found = total(tmp_path, {"1": gqa_question("car", semantic=semantic, question="is it")}, {"1": "car"})
    assert found["accuracy_llava by steps"] == {"2": 100}
    assert found["accuracy_llava by words"] == {"2": 100}

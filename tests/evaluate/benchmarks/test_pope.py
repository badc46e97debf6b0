"""POPE on its files: categories by themselves, and ids as the official files and LLaVA's give them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityscribe.evaluate.benchmarks.pope import POPE
from cityscribe.evaluate.benchmarks.score import score_benchmark
from cityscribe.files import InputError
from tests.evaluate.benchmarks.small_benchmarks import dump_lines, pope


def test_each_category_has_its_own_measures(tmp_path: Path) -> None:
    answers = pope(tmp_path) | {"adversarial/2": "yes"}
    total = POPE.score(POPE.read(tmp_path, ""), answers).total
    assert list(total["categories"]) == ["random", "popular", "adversarial"]
    adversarial = total["categories"]["adversarial"]
    assert (adversarial["accuracy"], adversarial["precision"], adversarial["recall"]) == (50, 50, 100)
    assert total["f1"] == pytest.approx((100 + 100 + 200 / 3) / 3)
    assert total["yes_ratio"] == pytest.approx((50 + 50 + 100) / 3)


def test_a_measure_without_a_value_is_none(tmp_path: Path) -> None:
    answers = dict.fromkeys(pope(tmp_path), "no")
    total = POPE.score(POPE.read(tmp_path, ""), answers).total
    assert (total["f1"], total["accuracy"]) == (None, 50)


def test_the_ids_of_llava(tmp_path: Path) -> None:
    pope(tmp_path / "data")
    order = [("popular", 10), ("popular", 11), ("random", 12), ("random", 13), ("adversarial", 14), ("adversarial", 15)]
    rows = [{"question_id": n, "image": "x", "text": "?", "category": category} for category, n in order]
    dump_lines(tmp_path / "data" / "llava_pope_test.jsonl", rows)
    said = [{"question_id": n, "text": "No" if n % 2 else "Yes"} for _, n in order]
    questions = POPE.read(tmp_path / "data", "")
    assert score_benchmark("pope", questions, dump_lines(tmp_path / "a.jsonl", said)).total["f1"] == 100
    dump_lines(tmp_path / "data" / "llava_pope_test.jsonl", rows[1:])
    with pytest.raises(InputError, match=r"2 questions, but llava_pope_test\.jsonl has 1"):
        POPE.read(tmp_path / "data", "")

"""Agreement with annotators: the values of the leave-one-out mean, and when texts are treated."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from cityscribe.evaluate.benchmarks.vqa import VQAV2, agreement, evalai_agreement, official_agreement
from cityscribe.files import InputError
from tests.evaluate.benchmarks.small_benchmarks import dump, textvqa, vqav2


@pytest.mark.parametrize(("matches", "worth"), [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (10, 1)])
def test_what_agreement_with_ten_is_worth(matches: int, worth: float) -> None:
    assert agreement(matches, 10) == pytest.approx(worth, abs=1e-12)


@pytest.mark.parametrize("annotators", [1, 4, 10])
def test_agreement_is_the_mean_over_leaving_one_out(annotators: int) -> None:
    for matches in range(annotators + 1):
        said = [True] * matches + [False] * (annotators - matches)
        others = combinations(said, annotators - 1)
        mean = sum(min(1, sum(subset) / 3) for subset in others) / annotators
        assert agreement(matches, annotators) == pytest.approx(mean, abs=1e-12)


def test_where_all_agree_the_comparison_is_letter_for_letter() -> None:
    assert official_agreement("Yes", ["yes"] * 10) == 0
    assert official_agreement(" yes\n", ["yes\t"] * 10) == 1
    assert official_agreement("Yes", ["yes"] * 9 + ["no"]) == 1
    assert official_agreement("2", ["two"] * 10) == 0
    assert official_agreement("2", ["two"] * 9 + ["3"]) == 1


def test_evalai_treats_both_sides_always() -> None:
    assert evalai_agreement("Yes.", ["yes"] * 10) == 1
    assert evalai_agreement("a joes", ["joe's"] * 10) == 0
    assert evalai_agreement("joe 's", ["Joe's"] * 10) == 1


def test_both_accuracies_of_vqav2_and_their_parts(tmp_path: Path) -> None:
    vqav2(tmp_path)
    total = VQAV2.score(VQAV2.read(tmp_path, "val"), {"420": "Two.", "421": "Yes"}).total
    assert (total["accuracy"], total["accuracy_llava"]) == (50, 100)
    assert total["accuracy by answer_type"] == {"number": 100, "yes/no": 0}


def test_textvqa_wants_ten_annotators(tmp_path: Path) -> None:
    from cityscribe.evaluate.benchmarks.vqa import read_textvqa

    textvqa(tmp_path)
    row = {"question_id": 1, "image_id": "a", "question": "?", "answers": ["x"] * 9}
    dump(tmp_path / "TextVQA_0.5.1_val.json", {"data": [row]})
    with pytest.raises(InputError, match=r"question 1: 9 answers, expected ten"):
        read_textvqa(tmp_path, "val")

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cityscribe.evaluate.rouge import rouge_l
from tests.evaluate.strategies import captions


@settings(deadline=None, max_examples=300)
@given(captions, captions)
def test_equal_to_rouge_score(reference: str, prediction: str) -> None:
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rougeL"], use_stemmer=True)
    # The official evaluator gives the prediction as the target; F1 is the same either way.
    assert rouge_l(reference, prediction) == scorer.score(prediction, reference)["rougeL"].fmeasure


letters = st.lists(st.sampled_from("abc"), min_size=1, max_size=80)


@given(letters, letters)
@example(list("ab" * 100), list("ba" * 100))
def test_it_is_f1_of_the_longest_common_subsequence(first: list[str], second: list[str]) -> None:
    row = [0] * (len(second) + 1)
    for letter in first:
        above = row
        row = [0]
        for index, other in enumerate(second):
            row.append(above[index] + 1 if letter == other else max(above[index + 1], row[index]))
    assert rouge_l(" ".join(first), " ".join(second)) == pytest.approx(2 * row[-1] / (len(first) + len(second)))


def test_only_words_longer_than_three_characters_are_stemmed() -> None:
    assert rouge_l("stops", "stopping") == 1.0
    assert rouge_l("cars", "car") == 1.0
    assert rouge_l("its", "it") == 0.0


def test_letters_outside_ascii_separate_words() -> None:
    assert rouge_l("caf", "café") == 1.0
    assert rouge_l("日本", "日本") == 0.0

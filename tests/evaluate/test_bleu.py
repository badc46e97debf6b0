from __future__ import annotations

from hypothesis import assume, given, settings
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from cityscribe.evaluate.bleu import bleu
from cityscribe.evaluate.ngrams import ngram_overlaps
from tests.evaluate.strategies import tokens


def score(reference: list[str], prediction: list[str]) -> float:
    return bleu(*ngram_overlaps([(reference, prediction)]))


@settings(deadline=None)
@given(tokens, tokens)
def test_equal_to_nltk_with_smoothing_method_3(reference: list[str], prediction: list[str]) -> None:
    assume(reference)
    smoothing = SmoothingFunction().method3
    assert score(reference, prediction) == sentence_bleu([reference], prediction, smoothing_function=smoothing)


@given(tokens)
def test_identical_captions_of_four_tokens_and_more_score_one(caption: list[str]) -> None:
    assume(len(caption) >= 4)
    assert score(caption, caption) == 1.0


def test_nothing_in_common_or_nothing_at_all_scores_zero() -> None:
    assert score(["a", "car", "stops"], ["the", "walker"]) == 0.0
    assert score(["a", "car", "stops"], []) == 0.0


def test_a_shorter_prediction_pays_for_its_brevity() -> None:
    reference = ["the", "car", "stops", "in", "front", "of", "the", "walker"]
    assert score(reference, reference[:5]) < score(reference, reference[:6]) < 1.0

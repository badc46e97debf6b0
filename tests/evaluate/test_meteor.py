from __future__ import annotations

from types import SimpleNamespace

from hypothesis import given, settings
from nltk.translate.meteor_score import meteor_score

from cityscribe.evaluate.meteor import meteor
from cityscribe.evaluate.wordnet import synonyms
from tests.evaluate.strategies import tokens


def synsets(word: str) -> list[SimpleNamespace]:
    """The synonyms of a word in the shape in which nltk's WordNet gives them."""
    lemmas = [SimpleNamespace(name=lambda name=name: name) for name in sorted(synonyms(word))]
    return [SimpleNamespace(lemmas=lambda: lemmas)]


@settings(deadline=None, max_examples=300)
@given(tokens, tokens)
def test_equal_to_nltk_with_the_same_synonyms(reference: list[str], prediction: list[str]) -> None:
    expected = meteor_score([reference], prediction, wordnet=SimpleNamespace(synsets=synsets))
    assert meteor(reference, prediction) == expected


def test_it_matches_words_then_stems_then_synonyms_of_stems() -> None:
    one_match = meteor(["stop"], ["stop"])
    assert one_match == 0.5
    assert meteor(["STOP"], ["stop"]) == one_match
    assert meteor(["stops"], ["stopping"]) == one_match
    assert "automobile" in synonyms("car")
    assert meteor(["auto"], ["car"]) == one_match
    # The stem of automobile is automobil, which is no word of WordNet and no synonym of car.
    assert meteor(["automobile"], ["car"]) == 0.0
    assert meteor(["banana"], ["car"]) == 0.0


def test_the_last_free_word_is_taken_first() -> None:
    # The one `the` of the prediction takes the second of the reference, so that everything is in one chunk.
    assert meteor(["the", "x", "the", "car"], ["the", "car"]) > meteor(["the", "car", "the", "x"], ["the", "car"])


def test_an_empty_prediction_scores_zero() -> None:
    assert meteor(["a", "car"], []) == 0.0

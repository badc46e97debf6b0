from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityscribe.evaluate.coco.ngrams import bleu, cider, count_ngrams
from cityscribe.evaluate.coco.rouge import rouge_l
from tests.evaluate.coco.pairs import needs_data
from tests.evaluate.strategies import tokens

plain = tokens.map(lambda words: [word for word in words if word.isascii()])
corpora = st.lists(st.tuples(plain, st.lists(plain, min_size=1, max_size=3)), min_size=1, max_size=5)


@needs_data
@given(corpora)
def test_bleu_cider_and_rouge_are_those_of_pycocoevalcap(corpus: list[tuple[list[str], list[list[str]]]]) -> None:
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    results = {number: [" ".join(prediction)] for number, (prediction, _) in enumerate(corpus)}
    truths = {number: [" ".join(text) for text in texts] for number, (_, texts) in enumerate(corpus)}
    predictions = [count_ngrams(prediction) for prediction, _ in corpus]
    references = [[count_ngrams(text) for text in texts] for _, texts in corpus]
    values, segments = bleu(predictions, references)
    expected, expected_segments = Bleu(4).compute_score(truths, results, verbose=0)
    assert values == pytest.approx(expected, abs=1e-9)
    for number in range(4):
        assert [row[number] for row in segments] == pytest.approx(expected_segments[number], abs=1e-9)
    rouges = [rouge_l(prediction, texts) for prediction, texts in corpus]
    assert rouges == pytest.approx(Rouge().compute_score(truths, results)[1].tolist(), abs=1e-9)
    if any(text for _, texts in corpus for text in texts):  # the original fails where there is nothing
        value, ciders = cider(predictions, references)
        expected_value, expected_ciders = Cider().compute_score(truths, results)
        assert ciders == pytest.approx(expected_ciders.tolist(), abs=1e-9)
        assert value == pytest.approx(expected_value, abs=1e-9)


def test_a_corpus_of_one_caption_has_no_cider() -> None:
    ngrams = count_ngrams(["the", "car", "stops", "here"])
    assert cider([ngrams], [[ngrams]]) == (0.0, [0.0])

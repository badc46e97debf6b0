"""The four metrics of captions, each against its reference, by the rules of the AI City Challenge Track 2."""

from __future__ import annotations

from collections.abc import Sequence

from cityscribe.evaluate.bleu import bleu
from cityscribe.evaluate.cider import cider
from cityscribe.evaluate.meteor import meteor
from cityscribe.evaluate.ngrams import ngram_overlaps
from cityscribe.evaluate.rouge import rouge_l
from cityscribe.evaluate.words import treebank_tokens


def score_caption(reference: str, prediction: str) -> dict[str, float]:
    """BLEU-4, METEOR and ROUGE-L in [0, 1] and CIDEr-D in [0, 10] of one caption; an empty prediction scores 0.

    Raises ValueError where the reference holds no word.
    """
    return score_captions([(reference, prediction)])[0]


def score_captions(pairs: Sequence[tuple[str, str]]) -> list[dict[str, float]]:
    """`score_caption` of each pair of a reference and a prediction."""
    tokens = [(treebank_tokens(reference), treebank_tokens(prediction)) for reference, prediction in pairs]
    if not all(reference for reference, _ in tokens):
        raise ValueError("a reference without a word cannot be scored")
    return [
        {
            "bleu": bleu(overlaps),
            "meteor": meteor(reference_tokens, prediction_tokens),
            "rouge-l": rouge_l(reference, prediction),
            "cider": cider(overlaps),
        }
        for (reference, prediction), (reference_tokens, prediction_tokens), overlaps in zip(
            pairs, tokens, ngram_overlaps(tokens), strict=True
        )
    ]

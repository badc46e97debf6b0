"""The scores of the profile `wts` as nltk and rouge_score compute them: the peer of `benchmarks.scores`.

Written from the rules of the profile, without anything of `cityscribe.evaluate`, as one would write it with the two
libraries. `python -m benchmarks.scores_peer ROOT PREDICTIONS OUT` needs the WordNet corpus of nltk.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from pathlib import Path

from nltk.tokenize import TreebankWordTokenizer
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from nltk.translate.meteor_score import meteor_score
from rouge_score.rouge_scorer import RougeScorer

TOKENIZER = TreebankWordTokenizer()
ROUGE = RougeScorer(["rougeL"], use_stemmer=True)
SMOOTHING = SmoothingFunction().method3


def score(reference: str, prediction: str) -> dict[str, float]:
    reference_tokens, prediction_tokens = TOKENIZER.tokenize(reference), TOKENIZER.tokenize(prediction)
    return {
        "bleu": float(sentence_bleu([reference_tokens], prediction_tokens, smoothing_function=SMOOTHING)),
        "meteor": meteor_score([reference_tokens], prediction_tokens),
        "rouge-l": float(ROUGE.score(reference, prediction)["rougeL"].fmeasure),
        "cider": cider(reference_tokens, prediction_tokens),
    }


def cider(reference: list[str], prediction: list[str]) -> float:
    """CIDEr-D of one pair with all weights 1."""
    similarity = 0.0
    for n in range(1, 5):
        r, p = (Counter(zip(*(tokens[i:] for i in range(n)), strict=False)) for tokens in (reference, prediction))
        norm = math.sqrt(sum(count**2 for count in r.values())) * math.sqrt(sum(count**2 for count in p.values()))
        if norm:
            similarity += sum(min(count, r[ngram]) * r[ngram] for ngram, count in p.items()) / norm
    difference = max(0, len(prediction) - 1) - max(0, len(reference) - 1)
    return 10 * similarity / 4 * math.exp(-(difference**2) / 72)


def main(root: Path, predictions: Path, out: Path) -> None:
    predicted = json.loads(predictions.read_text(encoding="utf-8"))
    segments = {}
    for file in sorted(root.rglob("*_caption.json")):
        scenario = file.name.removesuffix("_caption.json")
        found = {segment["labels"][0]: segment for segment in predicted[scenario]}
        for reference in json.loads(file.read_text(encoding="utf-8"))["event_phase"]:
            phase = reference["labels"][0]
            for role in ("pedestrian", "vehicle"):
                pair = (captions[f"caption_{role}"] for captions in (reference, found[phase]))
                segments[f"{scenario}/{phase}/{role}"] = score(*pair)
    out.write_text(json.dumps(segments), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

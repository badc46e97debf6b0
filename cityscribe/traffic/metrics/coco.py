"""The profile `coco`: caption scores as pycocoevalcap computes them, and the CityLLaVA score from them.

The captions of one road user in one domain are a corpus (`evaluate/coco/corpus.py`), as in the profile `wts`:
pedestrian and vehicle are averaged per metric, the score is (100 BLEU-4 + 100 METEOR + 100 ROUGE-L + 10 CIDEr-D) / 4,
and the score of all is the mean of the domains. A segment without prediction is scored as an empty one. These numbers
and those of the profile `wts` are not comparable.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from math import fsum
from pathlib import Path

from cityscribe.evaluate.coco.corpus import METRICS, corpus_provenance, score_corpus
from cityscribe.evaluate.provenance import provenance
from cityscribe.evaluate.registries import POINTS, MetricBackend
from cityscribe.files import InputError
from cityscribe.traffic.metrics.caption_files import (
    PairedCaptions,
    read_predictions,
    read_references,
    warn_about_unknown,
)
from cityscribe.traffic.metrics.caption_scores import CaptionScores, DomainScores, score_domains


def evaluate_coco(
    references: Path,
    predictions: Path,
    *,
    split: str | None = None,
    official_quirks: bool = False,
    backend: MetricBackend = "python",
    without: Collection[str] = (),
) -> CaptionScores:
    """Score a file of predictions in the submission format against the captions of a WTS data set.

    Files are read as the profile `wts` reads them. `backend="java"` computes all with the original instead. Raises
    InputError where the predictions are missing or malformed, the references hold nothing to score, or the data of
    METEOR (extra `[coco]`) or Java is missing.
    """
    if official_quirks:
        raise InputError("evaluate.official_quirks: these are of the profile wts; the profile coco has none")
    made_with = corpus_provenance(backend)  # before anything else, because it finds out what is missing
    warnings: list[str] = []
    expected = read_references(references, split, False, warnings, without)
    predicted = read_predictions(predictions)
    warn_about_unknown(warnings, predictions, expected, predicted)
    domains, segments = score_domains(
        references,
        predictions,
        expected,
        predicted,
        partial(_score_domain, backend),
        warnings,
        "are scored as empty ones",
    )
    made_by = provenance("coco", split, expected, predictions, ("numpy", "pycocoevalcap")) | made_with
    return CaptionScores(domains, segments, tuple(warnings), made_by)


def _score_domain(
    backend: MetricBackend, paired: PairedCaptions, segments: dict[str, dict[str, float]]
) -> DomainScores | None:
    """A domain's means and score; adds to the segments. None where no reference holds a word."""
    means: dict[str, dict[str, float]] = {}
    for role, captions in paired.captions.items():
        if captions:
            texts = [prediction or "" for _, prediction in captions.values()]
            scores = score_corpus(texts, [[reference] for reference, _ in captions.values()], backend)
            means[role] = scores.corpus
            said = [prediction is not None for _, prediction in captions.values()]
            found = zip(captions, scores.captions, said, strict=True)
            segments |= {key: each for key, each, predicted in found if predicted}
    if not means:
        return None
    mean = {metric: fsum(values[metric] for values in means.values()) / len(means) for metric in METRICS}
    score = fsum(points * mean[metric] for metric, points in POINTS.items()) / len(POINTS)
    return DomainScores(means, mean, paired.phases, score)

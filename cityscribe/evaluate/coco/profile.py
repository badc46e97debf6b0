"""The profile `coco`: caption scores as pycocoevalcap computes them, and the CityLLaVA score from them.

BLEU-1 to BLEU-4, METEOR 1.5, ROUGE-L and CIDEr-D of Treebank tokens, each for a corpus as a whole. The captions of one
road user in one domain are a corpus, as in the profile `wts`: pedestrian and vehicle are averaged per metric, the score
is (100 BLEU-4 + 100 METEOR + 100 ROUGE-L + 10 CIDEr-D) / 4, and the total is the mean of the domains. A segment without
prediction is scored as an empty one. These numbers and those of the profile `wts` are not comparable.

The value of a single segment is what pycocoevalcap gives for one image. BLEU and METEOR of a corpus are no means of
them, and BLEU of a single caption is near 0 where no 4-gram matches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from math import fsum
from pathlib import Path
from typing import NamedTuple

from cityscribe.evaluate.coco.lexicon import package_folder, read_lexicon
from cityscribe.evaluate.coco.meteor import meteor
from cityscribe.evaluate.coco.ngrams import bleu, cider, count_ngrams
from cityscribe.evaluate.coco.original import java_version, original_meteor, original_tokens
from cityscribe.evaluate.coco.paraphrases import open_table
from cityscribe.evaluate.coco.rouge import rouge_l
from cityscribe.evaluate.coco.tokens import caption_tokens
from cityscribe.evaluate.provenance import provenance
from cityscribe.evaluate.registries import POINTS
from cityscribe.evaluate.wts import Backend, DomainScores, Scores
from cityscribe.evaluate.wts_files import (
    Paired,
    pair_segments,
    read_predictions,
    read_references,
    warn_about_pairs,
    warn_about_unknown,
)
from cityscribe.files import InputError

BLEUS = ("bleu-1", "bleu-2", "bleu-3", "bleu")
METRICS = (*BLEUS, "meteor", "rouge-l", "cider")


class CorpusScores(NamedTuple):
    """METRICS of a corpus, and of each of its captions."""

    corpus: dict[str, float]
    captions: list[dict[str, float]]


def evaluate_coco(
    references: Path,
    predictions: Path,
    *,
    split: str | None = None,
    official_quirks: bool = False,
    backend: Backend = "python",
) -> Scores:
    """Score a file of predictions in the submission format against the captions of a WTS data set.

    Files are read as the profile `wts` reads them. `backend="java"` computes all with the original instead. Raises
    InputError where the predictions are missing or malformed, the references hold nothing to score, or the data of
    METEOR (extra `[coco]`) or Java is missing.
    """
    if official_quirks:
        raise InputError("evaluate.official_quirks: these are of the profile wts; the profile coco has none")
    made_with = _provenance(backend)  # before anything else, because it finds out what is missing
    warnings: list[str] = []
    expected = read_references(references, split, False, warnings)
    predicted = read_predictions(predictions)
    warn_about_unknown(warnings, predictions, expected, predicted)
    domains: dict[str, DomainScores] = {}
    segments: dict[str, dict[str, float]] = {}
    for domain, scenarios in expected.items():
        paired = pair_segments(scenarios, predicted)
        warn_about_pairs(warnings, references, predictions, paired, "are scored as empty ones")
        found = _score_domain(paired, backend, segments)
        if found is not None:
            domains[domain] = found
    if not domains:
        raise InputError(f"{references}: none of its reference captions holds a word; nothing can be scored")
    score = fsum(found.score for found in domains.values()) / len(domains)
    made_by = provenance("coco", split, expected, predictions, ("numpy", "pycocoevalcap")) | made_with
    return Scores(domains, score, segments, tuple(warnings), made_by)


def score_corpus(
    predictions: Sequence[str], references: Sequence[Sequence[str]], backend: Backend = "python"
) -> CorpusScores:
    """All metrics of captions, each against one reference or more."""
    tokens = original_tokens if backend == "java" else _tokens
    every = tokens([*predictions, *(text for texts in references for text in texts)])
    predicted, rest = every[: len(predictions)], iter(every[len(predictions) :])
    expected = [[next(rest) for _ in texts] for texts in references]
    values = _original_values(predicted, expected) if backend == "java" else _values(predicted, expected)
    captions = [dict(zip(METRICS, row, strict=True)) for row in zip(*(each for _, each in values), strict=True)]
    return CorpusScores(dict(zip(METRICS, (value for value, _ in values), strict=True)), captions)


def _values(predicted: list[list[str]], expected: list[list[list[str]]]) -> list[tuple[float, list[float]]]:
    """For each of METRICS its value for the corpus and for each caption."""
    ngrams = [count_ngrams(tokens) for tokens in predicted]
    reference_ngrams = [[count_ngrams(tokens) for tokens in texts] for texts in expected]
    bleus, caption_bleus = bleu(ngrams, reference_ngrams)
    overlaps = [rouge_l(tokens, texts) for tokens, texts in zip(predicted, expected, strict=True)]
    folder = package_folder() / "meteor"
    meteors = meteor(
        [" ".join(tokens) for tokens in predicted],
        [[" ".join(tokens) for tokens in texts] for texts in expected],
        read_lexicon(folder / "meteor-1.5.jar"),
        open_table(folder / "data" / "paraphrase-en.gz"),
    )
    return [
        *((value, [row[n] for row in caption_bleus]) for n, value in enumerate(bleus)),
        meteors,
        (fsum(overlaps) / len(overlaps), overlaps),
        cider(ngrams, reference_ngrams),
    ]


def _original_values(predicted: list[list[str]], expected: list[list[list[str]]]) -> list[tuple[float, list[float]]]:
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    results = {number: [" ".join(tokens)] for number, tokens in enumerate(predicted)}
    truths = {number: [" ".join(tokens) for tokens in texts] for number, texts in enumerate(expected)}
    bleus, caption_bleus = Bleu(4).compute_score(truths, results, verbose=0)
    (rouge, rouges), (ciders, caption_ciders) = (each.compute_score(truths, results) for each in (Rouge(), Cider()))
    return [
        *zip(map(float, bleus), caption_bleus, strict=True),
        original_meteor([text for (text,) in results.values()], list(truths.values())),
        (float(rouge), rouges.tolist()),
        (float(ciders), caption_ciders.tolist()),
    ]


def _tokens(captions: Sequence[str]) -> list[list[str]]:
    return list(map(caption_tokens, captions))


def _score_domain(paired: Paired, backend: Backend, segments: dict[str, dict[str, float]]) -> DomainScores | None:
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


def _provenance(backend: Backend) -> dict[str, str]:
    folder = package_folder()
    own = f"cityscribe {version('cityscribe')}"
    return {
        "backend": backend,
        "tokenizer": "CoreNLP 3.4.1 (pycocoevalcap)" if backend == "java" else own,
        "stemmer": "METEOR 1.5" if backend == "java" else f"{own}, Porter2 before Snowball 3",
        "wordnet": "WordNet 3.0 (METEOR 1.5)",
        "meteor_jar_sha256": _sha256(folder / "meteor" / "meteor-1.5.jar"),
        "paraphrases_sha256": _sha256(folder / "meteor" / "data" / "paraphrase-en.gz"),
    } | ({"java": java_version()} if backend == "java" else {})


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}; pip install --force-reinstall pycocoevalcap") from error

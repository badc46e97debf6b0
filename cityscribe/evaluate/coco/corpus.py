"""Texts scored as pycocoevalcap scores them: BLEU-1 to BLEU-4, METEOR 1.5, ROUGE-L and CIDEr-D of Treebank tokens.

Each metric is of a corpus as a whole. The value of a single text is what pycocoevalcap gives for one image. BLEU and
METEOR of a corpus are no means of them, and BLEU of a single text is near 0 where no 4-gram matches.
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
from cityscribe.evaluate.registries import MetricBackend
from cityscribe.files import InputError

BLEUS = ("bleu-1", "bleu-2", "bleu-3", "bleu")
METRICS = (*BLEUS, "meteor", "rouge-l", "cider")


class CorpusScores(NamedTuple):
    """METRICS of a corpus, and of each of its captions."""

    corpus: dict[str, float]
    captions: list[dict[str, float]]


def score_corpus(
    predictions: Sequence[str], references: Sequence[Sequence[str]], backend: MetricBackend = "python"
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


def corpus_provenance(backend: MetricBackend) -> dict[str, str]:
    """What the numbers stand on. Raises InputError where the data of METEOR (extra `[coco]`) or Java is missing."""
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

"""Verdicts that no chat model gives: of a text classifier (Lingo-Judge), and of an encoder (BERTScore F1).

    verdicts, by = classified(benchmark, questions, answers, Path("Lingo-Judge"))
    verdicts, by = encoded(benchmark, questions, answers, "roberta-large", layer=17)

Both read local folders (or hub ids) with safetensors. Who judged, with the hash of the weights, belongs to every
number.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from cityscribe.evaluate.benchmarks.question import Benchmark, BenchmarkQuestion
from cityscribe.evaluate.bertscore import BertScore, bert_scores, load_encoder
from cityscribe.evaluate.verdict import Verdict
from cityscribe.files import InputError
from cityscribe.progress import Progress, silent

LONGEST = 128
"""Tokens that Lingo-Judge reads."""

BATCH_SIZE = 32


def classified(
    benchmark: Benchmark,
    questions: Sequence[BenchmarkQuestion],
    answers: Mapping[str, str],
    folder: str | Path,
    *,
    progress: Progress = silent,
) -> tuple[dict[str, Verdict], dict[str, str]]:
    """What a classifier with one output says of each answered question: the highest logit over its references, right
    where that is above 0 (`judge.py` of wayveai/LingoQA). References and answers are read in small letters.

    Raises InputError for what is no classifier with one output.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True).eval()
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder}: is no classifier that can be loaded: {str(error).splitlines()[0]}") from error
    if model.config.num_labels != 1:
        raise InputError(f"{folder}: has {model.config.num_labels} outputs, expected one, as Lingo-Judge has")
    asked = [question for question in questions if question.id in answers]
    texts = [
        f"{tokenizer.cls_token}\nQuestion: {question.text}\nAnswer: {_small(reference)}\n"
        f"Student: {_small(answers[question.id])}"
        for question in asked
        for reference in question.truth
    ]
    order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
    logits = [0.0] * len(texts)
    for start in range(0, len(order), BATCH_SIZE):
        batch = order[start : start + BATCH_SIZE]
        inputs = tokenizer(
            [texts[n] for n in batch], return_tensors="pt", padding=True, truncation=True, max_length=LONGEST
        )
        with torch.inference_mode():
            found = model(**inputs).logits.squeeze(-1)
        for n, value in zip(batch, found.tolist(), strict=True):
            logits[n] = value
        progress(min(start + BATCH_SIZE, len(order)), len(order))
    rest = iter(logits)
    highest = {question.id: max(next(rest) for _ in question.truth) for question in asked}
    digest = hashlib.sha256()
    for name, weights in sorted(model.state_dict().items()):
        digest.update(name.encode() + weights.numpy().tobytes())
    by = {"classifier": Path(folder).name, "sha256": digest.hexdigest(), "transformers": transformers.__version__}
    return {name: Verdict(logit > 0, logit) for name, logit in highest.items()}, by


def _small(text: str) -> str:
    return text.lower().strip()


def encoded(
    benchmark: Benchmark,
    questions: Sequence[BenchmarkQuestion],
    answers: Mapping[str, str],
    folder: str | Path,
    *,
    layer: int | None = None,
    baseline: Path | None = None,
) -> tuple[dict[str, Verdict], dict[str, str]]:
    """BERTScore F1 of the answers that the rule of a benchmark wants it of; rescaled where a baseline is given.

    Raises InputError for what is no encoder, a layer that it has not, and a baseline without that layer.
    """
    encoder = load_encoder(folder, layer)
    items = {
        name: item
        for found in benchmark.to_judge.items([q for q in questions if q.id in answers], answers).values()
        for name, item in found.items()
    }
    scale = None if baseline is None else read_baseline(baseline, encoder.layer)
    scores = bert_scores([(item.reference, item.answer) for item in items.values()], encoder, baseline=scale)
    rescaled = "false" if baseline is None else f"by {baseline.name}"
    by = {**encoder.identity, "rescaled": rescaled}
    return {name: Verdict(None, score.f1) for name, score in zip(items, scores, strict=True)}, by


def read_baseline(path: Path, layer: int) -> BertScore:
    """The baseline of a layer in a file of bert_score (`rescale_baseline/en/roberta-large.tsv`: LAYER,P,R,F)."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    if not rows or [name.strip() for name in rows[0]] != ["LAYER", "P", "R", "F"]:
        raise InputError(f"{path}: line 1: expected LAYER,P,R,F")
    try:
        found = {int(row[0]): BertScore(*map(float, row[1:4])) for row in rows[1:]}
    except (ValueError, IndexError, TypeError) as error:
        raise InputError(f"{path}: a line holds no layer and three numbers: {error}") from error
    if layer not in found:
        raise InputError(f"{path}: has no layer {layer}; it has {min(found)} to {max(found)}")
    return found[layer]

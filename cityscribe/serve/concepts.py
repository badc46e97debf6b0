"""A guard before the model: requests that are near to what should not be helped with are refused before it is asked.

After ToxicDetector (Liu et al. 2024): concepts in words, the similarities of a request's embedding with theirs as
features, and a small classifier on these. There a language model writes the concepts, embeddings are the served model's
own, and the classifier is an MLP with many examples. Here concepts are a file, embeddings come from a text encoder of
the user (`serve.guard.encoder`), and the few examples are told apart by a logistic regression.

It judges words and nothing that a picture shows, and it errs (`python -m benchmarks.guard` says how often).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from cityscribe.evaluate.bertscore import ScoringEncoder, load_encoder
from cityscribe.evaluate.probes.safety import requests
from cityscribe.files import InputError
from cityscribe.plain_yaml import parse_yaml, read_yaml
from cityscribe.serve.settings import GuardSettings

RIDGE = 0.02
"""Of the regression, per example: few examples and many concepts."""

STEPS = 30
"""Of Newton's method, which has converged long before."""

EXAMPLES = TypeAdapter(dict[str, list[str]])


@dataclass(frozen=True, slots=True, eq=False)
class ConceptGuard:
    """How probable it is that a request should be refused."""

    encoder: ScoringEncoder
    concepts: np.ndarray  # [concepts, width], each of length 1
    mean: np.ndarray  # of the features of the examples, [concepts]
    spread: np.ndarray
    weights: np.ndarray  # [concepts + 1], the last one alone
    threshold: float

    def risk(self, text: str) -> float:
        """From 0 to 1."""
        features = (embedded(self.encoder, [text]) @ self.concepts.T - self.mean) / self.spread
        return float(_probability(features, self.weights)[0])

    def refuses(self, text: str) -> bool:
        return bool(text.strip()) and self.risk(text) >= self.threshold


def load_guard(settings: GuardSettings) -> ConceptGuard | None:
    """The guard of the settings; None where they name no encoder. Raises InputError for an encoder or a file of
    examples that cannot be used."""
    if not settings.encoder:
        return None
    examples = requests() if settings.examples is None else read_examples(settings.examples)
    return fit_guard(load_encoder(settings.encoder), examples, settings.threshold)


def read_examples(path: Path) -> dict[str, list[str]]:
    """{"harmful": [requests], "harmless": [requests]} of a YAML file."""
    try:
        found = EXAMPLES.validate_python(read_yaml(path))
    except ValidationError as error:
        raise InputError(f"{path}: expected `harmful` and `harmless`, each a list of requests") from error
    if set(found) != {"harmful", "harmless"} or not all(found.values()):
        raise InputError(f"{path}: expected `harmful` and `harmless`, each a list of requests")
    return found


def fit_guard(encoder: ScoringEncoder, examples: Mapping[str, Sequence[str]], threshold: float) -> ConceptGuard:
    """A guard that tells these examples apart."""
    text = (resources.files("cityscribe.serve") / "concepts.yaml").read_text("utf-8")
    concepts = embedded(encoder, TypeAdapter(list[str]).validate_python(parse_yaml(text, "concepts.yaml")[0]))
    texts = [*examples["harmful"], *examples["harmless"]]
    harmful = np.arange(len(texts)) < len(examples["harmful"])
    features = embedded(encoder, texts) @ concepts.T
    mean, spread = features.mean(0), features.std(0) + 1e-6
    weights = _regression((features - mean) / spread, harmful.astype(float))
    return ConceptGuard(encoder, concepts, mean, spread, weights, threshold)


def embedded(encoder: ScoringEncoder, texts: Sequence[str]) -> np.ndarray:
    """The mean of the token states of each text, [texts, width], of length 1."""
    states = encoder.states([encoder.token_ids(text) for text in texts])
    means = np.stack([each.mean(0).numpy() for each in states]).astype(np.float64)
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True))


def _probability(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(features @ weights[:-1] + weights[-1], -50, 50))))


def _regression(features: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Logistic regression with a ridge, by Newton's method; the last weight stands alone and has no ridge."""
    inputs = np.c_[features, np.ones(len(features))]
    ridge = np.diag([RIDGE * len(features)] * features.shape[1] + [1e-9])
    weights = np.zeros(inputs.shape[1])
    for _ in range(STEPS):
        found = _probability(features, weights)
        slope = inputs.T @ (found - truth) + ridge @ weights
        curve = (inputs * (found * (1 - found))[:, None]).T @ inputs + ridge
        weights = weights - np.linalg.solve(curve, slope)
    return weights

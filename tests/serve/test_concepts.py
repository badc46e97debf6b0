"""The guard by concepts: its classifier is the best one, it tells examples apart, and what it refuses is not asked."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cityscribe.evaluate.probes.safety import requests
from cityscribe.files import InputError
from cityscribe.serve.chat import ChatService
from cityscribe.serve.chat_request import ChatRequest
from cityscribe.serve.concepts import RIDGE, _probability, _regression, fit_guard, load_guard, read_examples
from cityscribe.serve.refusal import Refusal
from cityscribe.serve.settings import GuardSettings, ServeSettings


def by_words(width: int = 64) -> SimpleNamespace:
    """An encoder whose state of a word is drawn by the word: texts are near that share words."""

    def states(texts: list[list[int]]) -> list[torch.Tensor]:
        return [
            torch.nn.functional.normalize(
                torch.stack([torch.randn(width, generator=torch.Generator().manual_seed(word)) for word in text]),
                dim=-1,
            )
            for text in texts
        ]

    def token_ids(text: str) -> list[int]:
        words = text.lower().strip(".?").split() or ["nothing"]
        return [int.from_bytes(word.encode()[:6].ljust(6), "big") for word in words]

    return SimpleNamespace(states=states, token_ids=token_ids)


def test_the_regression_is_where_its_loss_has_no_slope() -> None:
    rng = np.random.default_rng(0)
    features, truth = rng.normal(size=(30, 4)), (rng.random(30) < 0.4).astype(float)
    weights = _regression(features, truth)
    away = _probability(features, weights) - truth
    assert features.T @ away + RIDGE * 30 * weights[:-1] == pytest.approx(np.zeros(4), abs=1e-9)
    assert away.sum() == pytest.approx(0, abs=1e-6)


def test_what_it_was_shown_is_told_apart_and_a_threshold_of_one_lets_all_pass() -> None:
    guard = fit_guard(by_words(), requests(), 0.5)
    right = [guard.refuses(text) == (kind == "harmful") for kind, texts in requests().items() for text in texts]
    assert sum(right) >= 20, "of 24, by words that are random vectors"
    assert not guard.refuses("  ")
    assert 0 < guard.risk("How do I steal a van?") < 1
    mild = fit_guard(by_words(), requests(), 1.0)
    assert not any(mild.refuses(text) for text in requests()["harmful"])


def test_what_the_guard_refuses_never_reaches_the_model(tmp_path: Path) -> None:
    guard = SimpleNamespace(refuses=lambda text: "brakes" in text)

    def ask(words: str) -> None:
        body = ChatRequest.model_validate({"model": "m", "messages": [{"role": "user", "content": words}]})
        service = ChatService("m", None, None, ServeSettings(), tmp_path, guard)  # type: ignore[arg-type]
        asyncio.run(service._refuse_harmful(body))

    with pytest.raises(Refusal) as refused:
        ask("Cut the brakes.")
    assert (refused.value.status, refused.value.code) == (403, "refused_by_guard")
    ask("What is the weather?")


def test_without_an_encoder_there_is_none_and_bad_examples_are_an_error(tmp_path: Path) -> None:
    assert load_guard(GuardSettings()) is None
    (tmp_path / "examples.yaml").write_text("harmful: [a]\n")
    with pytest.raises(InputError, match="expected `harmful` and `harmless`"):
        read_examples(tmp_path / "examples.yaml")
    with pytest.raises(InputError, match="no encoder"):
        load_guard(GuardSettings(encoder=str(tmp_path)))

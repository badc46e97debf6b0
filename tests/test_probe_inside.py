"""Probes that look into a checkpoint: what they change is what they say, and planted models are told from those that
know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cityscribe.engine.local import LocalEngine, load
from cityscribe.engine.members import Setup
from cityscribe.evaluate.probes.knockout import (
    EVERYWHERE,
    KNOCKOUT,
    _cut,
    letter_logits,
    read_prompt,
    windows,
)
from cityscribe.evaluate.probes.probe import Inside, OwnQuestions, ProbedAnswers, ProbedQuestion, with_options
from cityscribe.probe.asking import own_question
from cityscribe.world.probes.encoder import ENCODER, _auroc

OPTIONS = ("clear", "rainy", "foggy")


def asked_about(picture: Path, number: int = 0) -> ProbedAnswers:
    question = ProbedQuestion(
        f"q{number}", f"g{number}", OPTIONS, number % 3, with_options("What is the weather?", OPTIONS), (picture,)
    )
    return ProbedAnswers(question, OPTIONS[0], "", (), ())


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for n in range(4):
        pixels = np.random.default_rng(n).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{n}.png")
        paths.append(folder / f"{n}.png")
    return paths


@pytest.mark.parametrize("family", ["llava", "qwen3-vl"])
def test_an_image_that_is_cut_off_tells_nothing(family: str, pictures: list[Path], tiny: Callable[[str], Path]) -> None:
    engine = load(tiny(family), Setup(precision="fp32"))
    logits = {}
    for name in ("open", "closed", "nothing"):
        logits[name] = []
        for picture in pictures[:2]:
            prompt = read_prompt(engine, asked_about(picture))
            assert prompt is not None
            layers = range(0 if name == "nothing" else 4)
            cut = None if name == "open" else _cut(EVERYWHERE, prompt, layers)
            logits[name].append(letter_logits(engine, prompt, 3, cut))
    assert not torch.allclose(*logits["open"], atol=1e-3), "the picture matters"
    torch.testing.assert_close(*logits["closed"], rtol=0, atol=1e-6)
    torch.testing.assert_close(logits["nothing"][0], logits["open"][0], rtol=0, atol=0)


def test_windows_cover_all_layers_once() -> None:
    for count in (1, 4, 5, 32):
        assert [n for window in windows(count) for n in window] == list(range(count))


def test_a_model_that_does_not_look_fails_and_one_that_does_passes(
    pictures: list[Path], tiny: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [asked_about(picture, n) for n, picture in enumerate(pictures)]
    looks = load(tiny("llava"), Setup(precision="fp32"))

    def measured(engine: LocalEngine) -> str:
        monkeypatch.setattr("cityscribe.engine.local.load", lambda *given: engine)
        return KNOCKOUT.look(asked, "x", Setup(), 0).finding

    # The right option of each question is the one that its picture makes likelier: what a model that looks knows.
    knowing = []
    for each in asked:
        prompt = read_prompt(looks, each)
        assert prompt is not None
        cuts = (None, _cut(EVERYWHERE, prompt, range(4)))
        open_, closed = (letter_logits(looks, prompt, 3, cut).softmax(0) for cut in cuts)
        right = int((open_ - closed).argmax())
        question = each.question
        knowing.append(
            ProbedAnswers(
                ProbedQuestion(question.key, question.group, OPTIONS, right, question.text, question.images),
                "",
                "",
                (),
                (),
            )
        )
    asked = knowing
    assert measured(looks) == "passed"
    with torch.no_grad():
        for parameter in looks.model.model.multi_modal_projector.parameters():
            parameter.zero_()  # no picture ever reaches the decoder
    assert measured(looks) == "failed"


def test_what_features_know_and_answers_do_not_say_is_a_fault(tmp_path: Path) -> None:
    made = list(ENCODER.questions(tmp_path, 20, 0))
    asked = [own_question(each, "encoder", n, tmp_path, 0).question for n, each in enumerate(made)]
    light = [question for question in asked if question.about["dimension"] in ("light", "weather")]
    found = {}
    for name in ("oracle", "silent"):
        answers = [
            ProbedAnswers(q, q.options[q.right] if name == "oracle" else "", "", ("",), made[0].variants) for q in light
        ]
        found[name] = ENCODER.look(answers, "cityscribe-tiny", Setup(precision="fp32"), 0)
    assert found["silent"].finding == "failed", found["silent"].why
    assert found["oracle"].finding == "passed", found["oracle"].why
    lines = {line.name: line.value for line in found["oracle"].lines}
    assert lines["read from the features: weather"] > 0.6, "a linear probe reads the weather"


def test_a_probe_of_features_brings_its_own_questions() -> None:
    assert isinstance(ENCODER, OwnQuestions)
    assert isinstance(ENCODER, Inside)
    assert not isinstance(KNOCKOUT, OwnQuestions)


def test_auroc_counts_pairs() -> None:
    assert _auroc([(0.1, False), (0.4, True), (0.3, False), (0.2, True)]) == 3 / 4
    assert _auroc([(1.0, False), (1.0, True)]) == 0.5
    assert _auroc([(1.0, True)]) is None

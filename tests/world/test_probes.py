"""Probes that ask about the city: a planted fault is found, an oracle passes, and nothing else is changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cityscribe.evaluate.probes import PROBES
from cityscribe.evaluate.probes.probe import OwnQuestions, ProbedAnswers, ProbeResult
from cityscribe.probe.asking import PreparedQuestion, own_question
from cityscribe.world.probes.counterfactual import CONTROL
from cityscribe.world.probes.objects import Objects
from cityscribe.world.probes.premises import NOT_SO

Said = Callable[[PreparedQuestion, str, str, tuple[str, ...]], str]
"""What a planted model says: to a question, as it is ("plain") or changed, with the right option and all of them."""


def other(right: str, options: tuple[str, ...]) -> str:
    return next(option for option in options if option not in (right, NOT_SO))


PLANTED: dict[str, tuple[int, Said]] = {
    "objects": (9, lambda asked, label, right, options: "Yes"),
    "false-premise": (9, lambda asked, label, right, options: other(right, options) if right == NOT_SO else right),
    "languages": (9, lambda asked, label, right, options: right if label == "plain" else other(right, options)),
    "counterfactual": (7, lambda asked, label, right, options: other(right, options) if label == "skin" else right),
    "reports": (8, lambda asked, label, right, options: right if len(options) > 2 else "Yes"),
    "rules": (8, lambda asked, label, right, options: right if len(options) > 2 else "Yes"),
    "judging": (8, lambda asked, label, right, options: options[0]),
    "city-fairness": (
        12,
        lambda asked, label, right, options: other(right, options) if asked.question.about["sex"] == "male" else right,
    ),
}
"""Probe -> how many questions it is asked for, and a model that is planted to fail it."""


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[PreparedQuestion]]:
    """The questions that a probe brings, made once."""
    folder, found = tmp_path_factory.mktemp("views"), dict[str, list[PreparedQuestion]]()

    def made(kind: str) -> list[PreparedQuestion]:
        if kind not in found:
            member = PROBES[kind]
            assert isinstance(member, OwnQuestions)
            asked = member.questions(folder / kind, PLANTED[kind][0], 0)
            found[kind] = [own_question(each, kind, n, folder, 0) for n, each in enumerate(asked)]
        return found[kind]

    return made


def compared(kind: str, asked: list[PreparedQuestion], said: Said) -> ProbeResult:
    answers = []
    for each in asked:
        question, made = each.question, [variant for variant, _ in each.changed[kind]]
        assert all(sample.images for _, sample in each.changed[kind]), "each variant shows a picture"
        truth = question.options[question.right]
        plain = said(each, "plain", truth, question.options)
        changed = [said(each, v.label, truth if v.right is None else v.right, v.options) for v in made]
        answers.append(ProbedAnswers(question, plain, "", tuple(changed), tuple(made)))
    return PROBES[kind].compare(answers, 0)


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_fault_is_found_and_an_oracle_passes(
    kind: str, questions: Callable[[str], list[PreparedQuestion]]
) -> None:
    asked = questions(kind)
    planted = compared(kind, asked, PLANTED[kind][1])
    assert planted.finding == "failed", planted.why
    assert planted.examples
    oracle = compared(kind, asked, lambda asked, label, right, options: right or options[0])
    assert oracle.finding == "passed", oracle.why
    assert oracle.faults == (0.0,) * len(asked)


def picture(path: str) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(path), dtype=float)


def test_only_what_a_probe_changes_is_changed(questions: Callable[[str], list[PreparedQuestion]]) -> None:
    topics = {}
    for each in questions("objects"):
        ((_, sample),) = each.changed["objects"]
        away = np.abs(picture(each.sample.images[0]) - picture(sample.images[0])).max(axis=2) > 24
        assert 0.0005 < away.mean() < 0.3, "something changed, and not everything"
        topics[each.question.about["dimension"]] = topics.get(each.question.about["dimension"], 0) + 1
    assert set(topics) == {"insert", "remove", "pair"}
    for each in questions("counterfactual"):
        plain = picture(each.sample.images[0])
        pictures = {variant.label: picture(sample.images[0]) for variant, sample in each.changed["counterfactual"]}
        noise = np.abs(plain - pictures.pop(CONTROL)).mean()
        assert noise > 0
        assert np.abs(plain - pictures["clothes"]).max() > 40


def test_questions_of_a_probe_are_asked_with_those_of_the_data(tmp_path: Path) -> None:
    """A model that answers from a table of the truth passes; the same seed gives the same views."""
    from cityscribe.probe import probe
    from cityscribe.project import settings_without_project
    from tests.test_probe import planted_engine, silent_watch

    truth = {}
    for asking in Objects().questions(tmp_path / "out" / "images" / "objects", 3, 0):
        stem = asking.variants[0].text
        truth[stem, asking.sample.images] = asking.sample.messages[-1]["content"][0]["text"]
        images = tuple(map(str, asking.variants[0].images or ()))
        truth[stem, images] = "a" if asking.variants[0].right == "Yes" else "b"
    with planted_engine("knows", lambda text, shown: truth.get((text, tuple(map(str, shown))), "I cannot tell.")):
        settings = settings_without_project(["predict.engine=knows", f"runs={tmp_path}"])
        options = {"kinds": ["objects"], "questions": 3, "watch": silent_watch}
        found = probe([], tmp_path, "x", settings, tmp_path / "out", before="y", **options)
    assert found.results["objects"].finding == "passed"
    assert found.since["objects"].value == 0
    assert found.worse() == []
    assert json.loads((tmp_path / "out" / "probes.json").read_text())["probes"]["objects"]["since"]["value"] == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert "more than before" in page

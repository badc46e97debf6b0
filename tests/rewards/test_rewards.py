"""Rewards give what their words say, and what is no number is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cityscribe.engine.request import Answer
from cityscribe.files import InputError
from cityscribe.predict.choosers import CHOOSERS, given
from cityscribe.predict.settings import PredictSettings
from cityscribe.records import Sample, SampleMeta, image_block, message, text_block
from cityscribe.registry import registry
from cityscribe.rewards import REWARDS
from cityscribe.rewards.reward import Reward, asked_of, reference_answer, reward_parts, weighted
from cityscribe.traffic.rule_book import read_rules

REFERENCE = (
    "The pedestrian is a male in his 30s and 170 cm tall. He wears a black jacket and gray pants. The weather is "
    "rainy. The road surface is wet."
)


def sample_of(reference: str = REFERENCE, before: str = "", options: tuple[str, ...] = ()) -> Sample:
    turns = [message("user", text_block("And before?")), message("assistant", text_block(before))] if before else []
    said = (
        *turns,
        message("user", image_block(), text_block("Describe.")),
        message("assistant", text_block(reference)),
    )
    return Sample(said, ("a.png",), "a", SampleMeta(scenario="a", options=options))


def scores(kind: str, *answers: str, sample: Sample | None = None, **settings: Any) -> list[float]:
    return [round(value, 4) for value in REWARDS[kind](**settings).score(sample or sample_of(), answers)]


def test_attributes_are_right_minus_contradicted() -> None:
    wrong = REFERENCE.replace("black jacket", "red jacket")
    half = "The pedestrian is a male in his 30s."
    stated = 9  # sex, age, height, upper and its colour, lower and its colour, weather, surface
    assert scores("attributes", REFERENCE, wrong, half, "") == [1.0, round(7 / stated, 4), round(2 / stated, 4), 0.0]
    assert scores("attributes", wrong, contradicted=0) == [round(8 / stated, 4)]
    assert scores("attributes", wrong, held_out=["upper_colour"]) == [1.0]
    assert scores("attributes", wrong, about=["scene"]) == [1.0]
    assert scores("attributes", "Anything.", sample=sample_of("Nothing that is read.")) == [0.0]


def test_the_others_give_what_they_say() -> None:
    assert scores("length", "a b c d", "a b c d e f", "", "a b c d e f g h", least=2, most=4) == [1.0, 0.5, 0.0, 0.0]
    assert scores("format", "A sentence.", "no stop") == [1.0, 0.0]
    assert scores("choice", "b", "It is dry.", "c", sample=sample_of("b", options=("wet", "dry"))) == [1.0, 1.0, 0.0]
    assert scores("overlap", REFERENCE, "nothing alike") == [1.0, 0.0]
    best, worse = scores("caption-score", REFERENCE, "The pedestrian is a male.")
    assert best > 0.9 > worse > 0
    umbrella = sample_of("He holds an umbrella.")
    assert scores("objects", "An umbrella, a crosswalk.", "No bus.", "", sample=umbrella) == [0.5, 1.0, 1.0]
    assert scores("rules", "It is rainy. The surface is dry.", "It is rainy. The surface is wet.") == [0.0, 1.0]
    earlier = sample_of(before="The weather is rainy.")
    assert scores("rules", "The road surface is dry.", sample=earlier) == [0.0]
    assert scores("turns", "It is clear.", "It is rainy.", "The road is dry.", sample=earlier) == [0.0, 1.0, 1.0]


def test_parts_add_up_by_weight_and_no_number_is_refused() -> None:
    rewards = [REWARDS["length"](most=4, weight=0.5), REWARDS["overlap"](weight=2.0)]
    parts = reward_parts(rewards, sample_of("a b"), ["a b", "x"])
    assert parts == [{"length": 1.0, "overlap": 1.0}, {"length": 1.0, "overlap": 0.0}]
    assert weighted(rewards, parts) == [2.5, 0.5]

    class Short(Reward):
        kind: str = "short"

        def score(self, sample: Sample, answers: Any) -> list[float]:
            return []

    with pytest.raises(InputError, match="reward short: gives 0 numbers for 1 answers"):
        reward_parts([Short()], sample_of(), ["a"])
    assert asked_of(sample_of()) == sample_of().messages[:1]
    assert reference_answer(sample_of()) == REFERENCE
    assert all(issubclass(registry("reward")[name], Reward) for name in REWARDS)


def test_a_rule_book_that_cannot_be_followed_is_refused_with_its_place(tmp_path: Path) -> None:
    assert len(read_rules()) >= 5
    for text, wrong in (
        ("- {when: {weather: [rainy]}, never: {colour: [red]}, because: x}", "0: colour is no attribute that is read"),
        ("- {when: {weather: ['(']}, never: {surface: [dry]}, because: x}", "weather: `\\(` is no pattern"),
        ("- {when: {weather: [rainy]}}", "0.never: Field required"),
    ):
        file = tmp_path / f"{len(wrong)}.yaml"
        file.write_text(text)
        with pytest.raises(InputError, match=wrong):
            read_rules(file)


def answer(text: str, logprob: float = 0.0, problem: Any = "") -> Answer:
    return Answer(text, 1, 1, problem, logprobs=(logprob,))


def test_choosers_give_the_answer_that_they_are_named_for() -> None:
    said = [answer("red car", -2.0), answer("blue car on the left", -1.0), answer("blue car on a left", -3.0)]
    assert given(CHOOSERS["first"](), sample_of(), said).text == "red car"
    assert given(CHOOSERS["likeliest"](), sample_of(), said).text == "blue car on the left"
    assert given(CHOOSERS["minimum-bayes-risk"](), sample_of(), said).text == "blue car on the left"
    often = [said[0], said[0], said[1]]
    assert given(CHOOSERS["minimum-bayes-risk"](), sample_of(), often).text == "red car"
    best = CHOOSERS["best-of"](rewards=[{"kind": "length", "least": 5}])
    assert given(best, sample_of(), said).text == "blue car on the left"
    cut = [answer("x " * 90, problem="cut"), said[0]]
    assert given(best, sample_of(), cut).text == "red car"  # what is whole comes first
    oracle = CHOOSERS["best-of"](rewards=[{"kind": "overlap"}], knows_reference=True)
    assert given(oracle, sample_of("red car"), said[::-1]).text == "red car"


def test_choices_that_make_no_sense_are_refused() -> None:
    for settings, wrong in (
        ({"samples": 4}, "all the same at temperature 0"),
        ({"choose": {"kind": "likeliest"}}, "set samples above 1"),
        (
            {"samples": 2, "temperature": 1, "choose": {"kind": "best-of", "rewards": [{"kind": "overlap"}]}},
            "a prediction does not know",
        ),
        (
            {"samples": 2, "temperature": 1, "choose": {"kind": "minimum-bayes-risk", "reward": {"kind": "length"}}},
            "compares with nothing",
        ),
        ({"engine": "remote", "decoding": {"kind": "m3id"}}, "decoding must be plain"),
    ):
        with pytest.raises(ValueError, match=wrong):
            PredictSettings(**settings)

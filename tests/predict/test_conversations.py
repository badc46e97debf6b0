"""Answers to conversations and choices: which option was meant, and going on after a stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cityscribe.letters import rotated
from cityscribe.predict.conversations import predict_conversations
from cityscribe.project import Settings, resolve
from cityscribe.records import Sample, image_block, message, text_block
from cityscribe.sources.choices import choice_turns
from cityscribe.traffic.meta import TrafficMeta
from tests.engine.test_local import ask, engine_of


def _samples(root: Path) -> list[Sample]:
    Image.new("RGB", (32, 32), (200, 0, 0)).save(root / "a.png")
    Image.new("RGB", (40, 32), (0, 0, 200)).save(root / "b.png")
    asked = [message("user", image_block(), text_block("What?")), message("assistant", text_block("A bus."))]
    more = [*asked, message("user", text_block("Which?")), message("assistant", text_block("The red one."))]
    choice = TrafficMeta(kind="choice", question="q3", options=("yes", "no"))
    return [
        Sample(tuple(asked), ("a.png",), "g", TrafficMeta(kind="chat", scenario="s1")),
        Sample(tuple(more), ("a.png",), "g", TrafficMeta(kind="chat", scenario="s2")),
        Sample(tuple(asked[:1]), ("b.png",), "h", choice),
    ]


def _settings(tmp_path: Path, **changed: Any) -> Settings:
    predict = {"max_new_tokens": 3, "precision": "fp32", "batch_size": 1, **changed}
    return resolve({"data": {"path": str(tmp_path)}, "predict": predict})


def test_a_stopped_prediction_goes_on_and_ends_with_the_same_bytes(tmp_path: Path, tiny: Callable[[str], Path]) -> None:
    samples, settings = _samples(tmp_path), _settings(tmp_path)
    whole, stopped = tmp_path / "whole.jsonl", tmp_path / "stopped.jsonl"
    assert predict_conversations(samples, tmp_path, tiny("llava"), settings, whole) == 3

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_conversations(samples, tmp_path, tiny("llava"), settings, stopped, progress=stop)
    assert not stopped.exists()
    seen: list[int] = []
    predict_conversations(
        samples, tmp_path, tiny("llava"), settings, stopped, progress=lambda done, total: seen.append(done)
    )
    assert seen == [2, 3]
    assert stopped.read_bytes() == whole.read_bytes()
    rows = [json.loads(line) for line in whole.read_text().splitlines()]
    assert [(row["id"], row["question"], row["reference"]) for row in rows] == [
        ("s1", "What?", "A bus."),
        ("s2", "Which?", "The red one."),
        ("q3", "What?", ""),
    ]
    assert rows[2]["options"] == ["yes", "no"]


def test_a_batch_holds_all_that_is_asked_about_an_image(tmp_path: Path, tiny: Callable[[str], Path]) -> None:
    first, second, choice = _samples(tmp_path)
    seen: list[int] = []
    predict_conversations(
        [first, choice, second],
        tmp_path,
        tiny("llava"),
        _settings(tmp_path),
        tmp_path / "out.jsonl",
        progress=lambda done, total: seen.append(done),
    )
    assert seen == [0, 2, 3], "the two about one image go together though another stands between them"
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["s1", "q3", "s2"]


@pytest.mark.parametrize("choices", ["letters", "likelihood", "words"])
def test_a_choice_is_one_of_its_letters(choices: str, tmp_path: Path, tiny: Callable[[str], Path]) -> None:
    samples = _samples(tmp_path)
    settings = _settings(tmp_path, choices=choices)
    predict_conversations(samples, tmp_path, tiny("llava"), settings, tmp_path / "out.jsonl")
    predict_conversations(samples, tmp_path, tiny("llava"), _settings(tmp_path), tmp_path / "free.jsonl")
    rows, free = (
        [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for name in ("out.jsonl", "free.jsonl")
    )
    assert rows[:2] == free[:2], "what is no choice is answered as before"
    assert free[2]["chosen"] == "", "a random model names no option by itself, or the test proves nothing"
    request = ask(media=(tmp_path / "b.png",))
    engine = engine_of(tiny("llava"))
    asked = [replace(request, messages=samples[2].messages)]
    said = ("yes", "no") if choices == "words" else "ab"
    (scores,) = engine.score(asked, [said], ended=choices != "letters")
    best = "ab"[scores[1].sum > scores[0].sum]
    assert (rows[2]["answer"], rows[2]["chosen"]) == (best, best)
    if choices != "letters":
        assert rows[2]["scores"] == pytest.approx([score.sum for score in scores], abs=1e-3)


def test_the_likelihood_in_all_orders_is_the_mean_of_an_options_letters(
    tmp_path: Path, tiny: Callable[[str], Path]
) -> None:
    """Three options: each is asked for as a, b and c; a question that does not list its options stays as it is."""
    *_, choice = _samples(tmp_path)
    options = ("yes", "no", "maybe")
    turns = choice_turns("Is it?", options, "b", [image_block()])
    messages = tuple(message(role, *blocks) for role, blocks in turns)
    listed = replace(choice, messages=messages, meta=replace(choice.meta, options=options))
    settings = _settings(tmp_path, choices="likelihood", option_orders="all")
    predict_conversations([listed, choice], tmp_path, tiny("llava"), settings, tmp_path / "out.jsonl")
    row, plain = (json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines())
    engine = engine_of(tiny("llava"))
    means = dict.fromkeys(options, 0.0)
    for by in range(3):
        order = rotated(options, by)
        _, blocks = choice_turns("Is it?", order, "b", [image_block()])[0]
        request = ask(*blocks, media=(tmp_path / "b.png",))
        (scores,) = engine.score([request], ["abc"], ended=True)
        for option, score in zip(order, scores, strict=True):
            means[option] += score.sum / 3
    assert row["scores"] == pytest.approx(list(means.values()), abs=1e-3)
    assert row["chosen"] == "abc"[row["scores"].index(max(row["scores"]))]
    predict_conversations(
        [choice], tmp_path, tiny("llava"), _settings(tmp_path, choices="likelihood"), tmp_path / "one.jsonl"
    )
    assert plain["scores"] == json.loads((tmp_path / "one.jsonl").read_text())["scores"]

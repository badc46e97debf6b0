"""Answers to conversations and choices: which option was meant, and going on after a stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from cityscribe.predict.conversations import chosen_letter, predict_conversations
from cityscribe.records import Sample, SampleMeta, image_block, message, text_block
from cityscribe.settings import Settings, resolve


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("b", "b"),
        ("B.", "b"),
        (" (c) ", "c"),
        ("b. walking", "b"),
        ("The answer is B.", "b"),
        ("Answer: c", "c"),
        ("A car is seen, so (b).", "b"),
        ("He is walking", "b"),
        ("walking or standing", ""),
        ("d", ""),
        ("e) none", ""),
        ("", ""),
        ("abc", ""),
    ],
)
def test_the_option_that_is_meant(text: str, letter: str) -> None:
    assert chosen_letter(text, ["standing", "walking", "running"]) == letter


def test_without_options_nothing_is_chosen() -> None:
    assert chosen_letter("a", []) == ""


def _samples(root: Path) -> list[Sample]:
    Image.new("RGB", (32, 32), (200, 0, 0)).save(root / "a.png")
    asked = [message("user", image_block(), text_block("What?")), message("assistant", text_block("A bus."))]
    more = [*asked, message("user", text_block("Which?")), message("assistant", text_block("The red one."))]
    choice = SampleMeta(kind="choice", question="q3", options=("yes", "no"))
    return [
        Sample(tuple(asked), ("a.png",), "g", SampleMeta(kind="chat", scenario="s1")),
        Sample(tuple(more), ("a.png",), "g", SampleMeta(kind="chat", scenario="s2")),
        Sample(tuple(asked[:1]), ("a.png",), "g", choice),
    ]


def _settings(tmp_path: Path) -> Settings:
    predict = {"max_new_tokens": 3, "precision": "fp32", "batch_size": 1}
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

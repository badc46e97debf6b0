"""Questions with options: how they are asked, in one order or in all rotations, and how answers are handed in.

The options stand below the question with the letters a, b, c ...; the answer is a letter.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from cityscribe.files import InputError, write_text
from cityscribe.letters import ASK, LETTERS, listed, read_choice, rotated
from cityscribe.records import MessageBlock, Sample, message, text_block, text_of
from cityscribe.sources.conversation import Turn


def choice_turns(
    question: str, options: Sequence[str], correct: str, visuals: Sequence[MessageBlock] = ()
) -> list[Turn]:
    """The turns of a question with options; without an answer where `correct` is empty, as in a test set."""
    turns: list[Turn] = [("user", [*visuals, text_block(f"{question}\n{listed(options)}\n{ASK}")])]
    if correct:
        turns.append(("assistant", [text_block(correct)]))
    return turns


def in_all_rotations(samples: Iterable[Sample]) -> list[Sample]:
    """Every question with options followed by itself with its options rotated, as circular evaluation asks it; one for
    training stays as it is.

    The rotations keep the group, so that they share images and the words of the question with the first order. A
    question whose words do not list the options as `choice_turns` does stays alone, and so does all else.
    """
    result = []
    for sample in samples:
        result.append(sample)
        options = sample.meta.options
        if sample.meta.kind == "choice" and sample.meta.split != "train":
            orders = (rotated(options, by) for by in range(1, len(options)))
            result += [turned for order in orders if (turned := reordered(sample, order)) is not None]
    return result


def reordered(sample: Sample, order: tuple[str, ...]) -> Sample | None:
    options = sample.meta.options
    asked = [n for n, entry in enumerate(sample.messages) if entry["role"] == "user"]
    if not asked or listed(options) not in text_of(sample.messages[asked[-1]]):
        return None
    messages = list(sample.messages)
    blocks = [
        block if block["type"] == "image" else text_block(block["text"].replace(listed(options), listed(order)))
        for block in messages[asked[-1]]["content"]
    ]
    messages[asked[-1]] = message("user", *blocks)
    if messages[-1]["role"] == "assistant":
        right = read_choice(text_of(messages[-1]), options).letter
        if not right:
            return None
        messages[-1] = message("assistant", text_block(LETTERS[order.index(options[LETTERS.index(right)])]))
    return replace(sample, messages=tuple(messages), meta=replace(sample.meta, options=order))


def drawn_options(right: str, wrong: Sequence[str], count: int, key: str) -> list[str]:
    """At most `count` options, the right one among them, drawn and ordered by the hash of a key."""

    def rank(option: str) -> bytes:
        return hashlib.sha256(f"{key}\0{option}".encode()).digest()

    others = sorted((option for option in dict.fromkeys(wrong) if option != right), key=rank)[: count - 1]
    return sorted([right, *others], key=lambda option: rank(f"place\0{option}"))


def write_submission(predictions: Path, out: Path) -> int:
    """The form in which the 2025 question-answering sub-task takes answers: `[{"id": ..., "correct": "a"}, ...]`.

    Reads the JSON lines of `predict`. An answer that names no option is handed in as "", which counts as wrong; of a
    question that was asked in several orders of its options, the first is. Returns how many answers there are. Raises
    InputError for lines that are no choices.
    """
    rows: dict[str, dict[str, str]] = {}
    for number, line in enumerate(predictions.read_text(encoding="utf-8").split("\n")[:-1], start=1):
        row = json.loads(line)
        if "chosen" not in row:
            raise InputError(f"{predictions}: line {number}: is no question with options")
        rows.setdefault(row["id"], {"id": row["id"], "correct": row["chosen"]})
    write_text(out, json.dumps(list(rows.values()), indent=1) + "\n")
    return len(rows)

"""Questions with options: how they are asked, and how answers to them are handed in and scored.

The options stand below the question with the letters a, b, c ...; the answer is a letter.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cityscribe.records import InputError, text_block, write_text
from cityscribe.sources.conversation import Turn

LETTERS = "abcdefghijklmnopqrstuvwxyz"
ASK = "Answer with the letter of the right option."


def choice_turns(
    question: str, options: Sequence[str], correct: str, visuals: Sequence[dict[str, Any]] = ()
) -> list[Turn]:
    """The turns of a question with options; without an answer where `correct` is empty, as in a test set."""
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
    turns: list[Turn] = [("user", [*visuals, text_block(f"{question}\n{listed}\n{ASK}")])]
    if correct:
        turns.append(("assistant", [text_block(correct)]))
    return turns


def drawn_options(right: str, wrong: Sequence[str], count: int, key: str) -> list[str]:
    """At most `count` options, the right one among them, drawn and ordered by the hash of a key."""

    def rank(option: str) -> bytes:
        return hashlib.sha256(f"{key}\0{option}".encode()).digest()

    others = sorted((option for option in dict.fromkeys(wrong) if option != right), key=rank)[: count - 1]
    return sorted([right, *others], key=lambda option: rank(f"place\0{option}"))


def write_submission(predictions: Path, out: Path) -> int:
    """The form in which the 2025 question-answering sub-task takes answers: `[{"id": ..., "correct": "a"}, ...]`.

    Reads the JSON lines of `predict`. An answer that names no option is handed in as "", which counts as wrong. Returns
    how many answers there are. Raises InputError for lines that are no choices.
    """
    rows = []
    for number, line in enumerate(predictions.read_text(encoding="utf-8").split("\n")[:-1], start=1):
        row = json.loads(line)
        if "chosen" not in row:
            raise InputError(f"{predictions}: line {number}: is no question with options")
        rows.append({"id": row["id"], "correct": row["chosen"]})
    write_text(out, json.dumps(rows, indent=1) + "\n")
    return len(rows)


def accuracy(references: Mapping[str, str], answers: Mapping[str, str]) -> dict[str, float]:
    """The share of right answers by question, as `traffic_qa_evaluation_script.py` of the WTS data set counts it.

    Letters are compared without case; a question without an answer counts as wrong, one that is not among the
    references not at all. An answer of "" counts as wrong rather than missing.
    """
    right = sum(answers.get(name, "\0").lower() == letter.lower() for name, letter in references.items())
    missing = sum(name not in answers for name in references)
    total = len(references)
    return {
        "accuracy": right / total if total else 0.0,
        "correct": right,
        "wrong": total - right - missing,
        "missing": missing,
    }

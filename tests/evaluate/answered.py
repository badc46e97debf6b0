"""Files of answered questions, as `predict` writes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cityscribe.letters import LETTERS
from cityscribe.records import Sample, message, text_block
from cityscribe.traffic.meta import TrafficMeta


def choice(name: str, options: Sequence[str], right: str, answer: str, scenario: str = "") -> dict[str, Any]:
    """A line about a question whose right option is `right`."""
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
    return {
        "id": name,
        "scenario": scenario or name,
        "kind": "choice",
        "images": [],
        "question": f"What?\n{listed}\nSay a letter.",
        "answer": answer,
        "reference": LETTERS[list(options).index(right)],
        "options": list(options),
    }


def open_line(name: str, reference: str, answer: str, question: str = "Which?") -> dict[str, Any]:
    return {
        "id": name,
        "scenario": name,
        "kind": "chat",
        "question": question,
        "answer": answer,
        "reference": reference,
    }


def sample_of(line: dict[str, Any], split: str = "val", **meta: Any) -> Sample:
    """The sample that a line answers."""
    messages = [message("user", text_block(line["question"])), message("assistant", text_block(line["reference"]))]
    about = TrafficMeta(
        scenario=line["scenario"],
        kind=line["kind"],
        question=line["id"],
        options=tuple(line.get("options", ())),
        split=split,
        **meta,
    )
    return Sample(tuple(messages), (), line["scenario"], about)


def write_lines(path: Path, lines: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path

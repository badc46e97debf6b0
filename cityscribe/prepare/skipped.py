"""What was left out of the prepared data, and why: the lines of `skipped.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from cityscribe.files import write_text
from cityscribe.records import Sample, text_of

What = Literal["view", "video", "phase", "box", "question", "image"]


@dataclass(frozen=True, slots=True)
class Skip:
    """One thing that was left out. The fields that do not apply are empty, and -1 for the phase."""

    split: str
    scenario: str
    view: str
    what: What
    why: str
    phase: int = -1  # index into PHASES
    role: str = ""


def write_skipped(path: Path, skips: Iterable[Skip]) -> int:
    """Write one JSON object a line, sorted, each once, whole or not at all. Returns how many."""
    lines = [
        json.dumps({key: value for key, value in asdict(skip).items() if value not in ("", -1)}, ensure_ascii=False)
        for skip in sorted(set(skips), key=_place)
    ]
    write_text(path, "".join(line + "\n" for line in lines))
    return len(lines)


def _place(skip: Skip) -> tuple[str, str, str, int, str, str, str]:
    return skip.split, skip.scenario, skip.view, skip.phase, skip.role, skip.what, skip.why


def why_left_out(sample: Sample) -> str:
    """Why nothing can be learned or asked with a sample; empty where something can."""
    if sample.rejected and sample.meta.split != "train":
        return "its answer is rejected, which is for training only"
    answers = [text_of(entry).strip() for entry in sample.messages if entry["role"] == "assistant"]
    if sample.meta.split == "train":
        if not answers:
            return "the assistant says nothing in it"
        if not all(answers):
            return f"answer {answers.index('') + 1} is empty"
    asked = sample.messages[:-1] if sample.messages[-1]["role"] == "assistant" else sample.messages
    return "" if any(entry["role"] == "user" for entry in asked) else "the user asks nothing in it"

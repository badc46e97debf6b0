"""Answers as JSON values, as journals and lines of results keep them, and questions that got none."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cityscribe.engine.request import UNANSWERED, Answer
from cityscribe.files import InputError

log = logging.getLogger(__name__)

NAMED = 10
"""Questions without an answer that are named one by one."""

LEFT_OUT = ("token_ids", "logprobs", "at")
"""What is long, or for a log: not kept."""

KEPT = tuple(name for name in Answer.__dataclass_fields__ if name not in LEFT_OUT)


def entry_of(answer: Answer) -> dict[str, object]:
    """An answer as a JSON value."""
    return {name: value for name, value in asdict(answer).items() if name in KEPT}


def answer_of(entry: Mapping[str, Any]) -> Answer:
    """The answer that `entry_of` made a JSON value of."""
    return Answer(**entry)


def tell_unanswered(named: Sequence[tuple[str, Answer]], model: Path | str) -> None:
    """Say which of some questions, by name, got no answer and why. Raises InputError where none of them got one."""
    missing = [(name, answer) for name, answer in named if answer.problem in UNANSWERED]
    if missing and len(missing) == len(named):
        name, answer = missing[0]
        raise InputError(f"{model}: answers none of {len(named)} questions; the first, {name}: {answer.reason}")
    for name, answer in missing[:NAMED]:
        log.warning("not answered: %s: %s", name, answer.reason)
    if len(missing) > NAMED:
        log.warning("not answered: %d more; the results name them", len(missing) - NAMED)

"""A judge that counts the errors of a description by kind and severity, instead of giving it a mark.

    counts = read_errors('{"errors": [{"kind": "colour", "severity": "major", "said": "a red car"}]}')
    counts.number(severity="major")    -> 1

After CheXprompt (LLaVA-Rad, Zambrano Chaves et al. 2024, arXiv 2403.08002), which lets a language model count the
errors of radiology reports, in kinds of streets. A judge is only worth what it agrees with: `traffic.metrics.
error_agreement` holds its counts against what the attribute reader finds.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from cityscribe.evaluate.judge import LONGEST_READ, SAMPLING, Judge, Rubric
from cityscribe.evaluate.verdict import JudgeItem, Verdict
from cityscribe.llm.client import Client
from cityscribe.progress import Progress, silent

KINDS = ("invented", "missing", "object", "attribute", "position", "motion", "number")
SEVERITIES = ("minor", "major")
HIGHEST = 5


class _Found(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    kind: str
    severity: str


class _Reply(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    errors: list[_Found]


@dataclass(frozen=True, slots=True)
class ErrorCounts:
    """The errors that a judge found in one description, by kind and severity."""

    counts: dict[tuple[str, str], int]

    def number(self, kind: str = "", severity: str = "") -> int:
        """How many there are, of one kind and severity where they are given."""
        return sum(n for (k, s), n in self.counts.items() if kind in ("", k) and severity in ("", s))


def read_errors(reply: str) -> ErrorCounts | None:
    """What a reply counts; None where it is not JSON of the form that is asked for, or has another kind in it."""
    said = reply[:LONGEST_READ]
    start, end = said.find("{"), said.rfind("}")
    try:
        found = _Reply.model_validate(json.loads(said[start : end + 1])) if -1 < start < end else None
    except (ValueError, ValidationError, RecursionError):
        return None
    if found is None or any(one.kind not in KINDS or one.severity not in SEVERITIES for one in found.errors):
        return None
    return ErrorCounts(dict(Counter((one.kind, one.severity) for one in found.errors)))


def count_errors(
    items: Sequence[JudgeItem], client: Client, rubric: Rubric, *, progress: Progress = silent
) -> list[ErrorCounts | None]:
    """The errors of each answer against its reference; None where the reply cannot be read. Equal items are asked once.

    Raises InputError where the model cannot be asked or its cache cannot be written; what it said until then is kept.
    """
    chats = [rubric.messages(item) for item in items]
    return list(client.ask(chats, SAMPLING, lambda place, reply: read_errors(reply), progress=progress).values)


def read_verdict(reply: str, rubric: Rubric) -> Verdict:
    """The counts as a mark: 5 less one for each minor and two for each major error, not below 0; right where there is
    no major one."""
    counts = read_errors(reply)
    if counts is None:
        return Verdict(None, None, reply)
    minor, major = counts.number(severity="minor"), counts.number(severity="major")
    return Verdict(major == 0 if rubric.verdict else None, max(0, HIGHEST - minor - 2 * major), reply)


JUDGE = Judge(("cityscribe.evaluate", "error_prompts.yaml"), read_verdict)

"""Questions that are answered in a word become questions with options, so that probes can ask them.

AutoTrust (arXiv 2412.15206) asks closed questions only; DriveLM, LingoQA and NuScenes-QA list no options for most of
theirs. A question that is answered with yes or no gets these two. One that is answered in at most `MOST_WORDS` words
gets three wrong options from the answers of the data set to questions that begin with the same words, drawn by its key.
What is answered in sentences stays as it is, and is not probed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cityscribe.evaluate.probes.probe import with_options
from cityscribe.letters import LETTERS
from cityscribe.records import Sample, message, text_block, text_of
from cityscribe.sources.choices import drawn_options

MOST_WORDS = 3
OPTIONS = 4
ALIKE = 2
"""Words that questions begin with whose answers can stand in for each other."""

YES_NO = ("Yes", "No")


def as_choices(samples: Sequence[Sample]) -> list[Sample]:
    """The samples in their order, those with a short answer as choices."""
    answers: dict[str, dict[str, None]] = {}
    for sample in samples:
        answer = short_answer(sample)
        if answer:
            answers.setdefault(_beginning(sample), {})[answer] = None
    return [_choice(sample, list(answers.get(_beginning(sample), ()))) for sample in samples]


def short_answer(sample: Sample) -> str:
    """What a sample without options is answered with: Yes, No or a few words; empty for all else."""
    if sample.meta.options or len(sample.messages) < 2 or sample.messages[-1]["role"] != "assistant":
        return ""
    words = text_of(sample.messages[-1]).strip().rstrip(".").split()
    first = words[0].rstrip(",.").capitalize() if words else ""
    if first in YES_NO:
        return first
    return " ".join(words) if len(words) <= MOST_WORDS else ""


def _beginning(sample: Sample) -> str:
    asked = [entry for entry in sample.messages if entry["role"] == "user"]
    return " ".join(text_of(asked[-1]).lower().split()[:ALIKE]) if asked else ""


def _choice(sample: Sample, others: Sequence[str]) -> Sample:
    answer = short_answer(sample)
    if not answer:
        return sample
    wrong = [other for other in others if other.lower() != answer.lower() and other not in YES_NO]
    key = sample.meta.question or sample.meta.scenario or sample.group
    options = YES_NO if answer in YES_NO else tuple(drawn_options(answer, wrong, OPTIONS, key))
    if len(options) < 2:
        return sample
    *before, asked, _ = sample.messages
    blocks = [block for block in asked["content"] if block["type"] != "text"]
    asks = message("user", *blocks, text_block(with_options(text_of(asked), options)))
    right = message("assistant", text_block(LETTERS[options.index(answer)]))
    meta = replace(sample.meta, kind="choice", options=options)
    return replace(sample, messages=(*before, asks, right), meta=meta)

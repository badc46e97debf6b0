"""What the page of probes shows of the questions: some that show the fault, with some of their variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cityscribe.evaluate.probes import PROBES
from cityscribe.evaluate.probes.probe import ProbedAnswers, ProbeLine, ProbeResult
from cityscribe.probe.asking import PreparedQuestion, last_asked
from cityscribe.records import text_of
from cityscribe.report.probe_page import ShownProbe, ShownQuestion, ShownVariant

EXAMPLES = 4
"""Of each probe, on the page."""

VARIANTS = 3
"""Of each example."""


def shown_probes(
    asked: Sequence[PreparedQuestion],
    results: Mapping[str, ProbeResult],
    since: Mapping[str, ProbeLine],
    answers: Mapping[str, Sequence[ProbedAnswers]],
) -> list[ShownProbe]:
    """The probes with examples. `answers` are those to the questions of each."""
    probes = []
    for kind, result in results.items():
        by_key = {each.question.key: each for each in answers[kind]}
        prepared = {each.question.key: each for each in asked if kind in each.changed or not each.own}
        keys = _spread([key for key in result.examples if key in by_key], EXAMPLES)
        examples = tuple(_example(by_key[key], prepared[key], kind) for key in keys)
        entry = PROBES.entry(kind)
        probes.append(ShownProbe(kind, entry.summary, entry.paper, result, since.get(kind), examples))
    return probes


def _spread(names: Sequence[str], count: int) -> list[str]:
    """So many of the names, evenly spaced."""
    return [names[n * len(names) // count] for n in range(count)] if len(names) > count else list(names)


def _example(answers: ProbedAnswers, asked: PreparedQuestion, kind: str) -> ShownQuestion:
    """A question as the page shows it; of its variants those that are answered wrong first."""
    right, made = answers.right(), asked.changed.get(kind, [])
    first = sorted(range(len(made)), key=lambda n: (right[n], n))[:VARIANTS]
    question = answers.question
    variants = []
    for n in sorted(first):
        variant, sample = made[n]
        truth = answers.truth_of(n)
        images = tuple(map(Path, sample.images))
        variants.append(
            ShownVariant(
                label=variant.label,
                text="" if text_of(last_asked(sample)) == question.text else text_of(last_asked(sample)),
                images=() if images == question.images else images,
                answer=answers.changed[n],
                verdict=("right" if right[n] else "wrong") if truth else "",
                right=truth,
            )
        )
    return ShownQuestion(
        question.key, question.text, question.images, answers.truth, answers.plain, answers.blind, tuple(variants)
    )

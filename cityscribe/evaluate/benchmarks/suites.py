"""Several benchmarks as one table, each number beside the lines that it has to be read against (`lines`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cityscribe.evaluate.benchmarks import BENCHMARKS
from cityscribe.evaluate.benchmarks.lines import exact_share, headline, lines_of
from cityscribe.evaluate.benchmarks.question import BenchmarkQuestion

SUITES: Mapping[str, tuple[str, ...]] = {
    # Table 1 of the reproduction of LLaMA-VID, in its order.
    "llama-vid": ("gqa", "mmbench", "pope", "science-qa", "vizwiz", "vqav2", "msvd-qa"),
}


@dataclass(frozen=True, slots=True)
class SuiteRow:
    """One benchmark of a suite, each number in the unit of its rule, mostly percent."""

    benchmark: str
    measure: str  # which number of the benchmark it is
    value: float | None  # None where the rule finds nothing to measure
    majority: float | None
    exact: float  # in percent
    questions: int
    chance: float | None = None
    blind: float | None = None  # the same model without images; None where it was not asked


def suite_row(
    name: str,
    questions: Sequence[BenchmarkQuestion],
    answers: Mapping[str, str],
    blind: Mapping[str, str] | None = None,
) -> SuiteRow:
    """The row of a benchmark by its questions and the answers of a model to them, by id."""
    benchmark = BENCHMARKS[name]
    lines = lines_of(benchmark, questions)
    return SuiteRow(
        name,
        benchmark.headline,
        headline(benchmark, questions, answers),
        lines.majority,
        exact_share(questions, answers),
        len(questions),
        lines.chance,
        None if blind is None else headline(benchmark, questions, blind),
    )

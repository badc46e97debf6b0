"""Answers to benchmarks put before a judge: what each benchmark asks for, and what the replies are worth.

MSVD-QA and ActivityNet-QA ask for right or wrong and 0 to 5, Video-ChatGPT for 0 to 5 in five dimensions, MM-Vet for
0.0 to 1.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cityscribe.evaluate.benchmarks.question import Benchmark, BenchmarkQuestion
from cityscribe.evaluate.judge import Judge, Rubric, judge_items, load_rubrics
from cityscribe.evaluate.judges import JUDGES
from cityscribe.evaluate.verdict import Verdict
from cityscribe.files import InputError
from cityscribe.llm.client import Client
from cityscribe.progress import Progress, silent


def judge_of(benchmark: Benchmark) -> Judge:
    """The judge of a benchmark. Raises InputError for one that has a rule of its own."""
    if benchmark.judged == "never":
        raise InputError("this benchmark has a rule of its own and needs no judge")
    found: Judge = JUDGES[benchmark.judge]
    return found


def judge_answers(
    benchmark: Benchmark,
    questions: Sequence[BenchmarkQuestion],
    answers: Mapping[str, str],
    client: Client,
    rubrics: Mapping[str, Rubric],
    *,
    progress: Progress = silent,
) -> tuple[dict[str, Verdict], dict[str, str], dict[str, str]]:
    """The verdicts that the rule of a benchmark needs, by id, only of questions that have an answer; who judged; and
    the hash of each rubric that was used.

    Raises InputError where the model cannot be asked, and for rubrics that lack one that is needed.
    """
    judge = judge_of(benchmark)
    asked = [question for question in questions if question.id in answers]
    verdicts: dict[str, Verdict] = {}
    judged_by: dict[str, str] = {}
    hashes: dict[str, str] = {}
    for name, items in benchmark.to_judge.items(asked, answers).items():
        if name not in rubrics:
            raise InputError(f"the prompts of the judge have no entry {name}, which this benchmark needs")
        found, judged_by = judge_items(list(items.values()), client, judge, rubrics[name], progress=progress)
        hashes[name] = rubrics[name].sha256
        verdicts |= zip(items, found, strict=True)
    return verdicts, judged_by, hashes


def rubrics_of(benchmark: Benchmark, path: Path | None = None) -> dict[str, Rubric]:
    """The rubrics of a benchmark's judge, or those of a YAML file. Raises InputError."""
    return load_rubrics(path, judge_of(benchmark))

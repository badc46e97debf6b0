"""GQA: compositional questions about scenes.

    SPLIT_balanced_questions.json, SPLIT_all_questions.json   {id: {"imageId", "question", "answer", "isBalanced",
                                                              "types", "groups", "entailed", "semantic"}}
    SPLIT_choices.json (where there is one)                   {id: {"valid": [...], "plausible": [...]}}
    images/IMAGE.jpg

By the official `eval.py`: only balanced questions count, and an answer is right where it is the right one letter for
letter. `accuracy` is that. `accuracy_llava` is the same after LLaVA's conversion, which takes periods off the end and
lower-cases; the other measures stand on the converted answers, as they do in LLaVA's numbers.

Open questions are those of the structural type `query`, all others are binary. Validity and plausibility need the file
of choices, consistency the answers to all entailed questions of a question, which the balanced file does not hold.
Distribution is the chi-square distance of the answers to the right ones, averaged over groups by their size, divided
by 100; lower is better. Grounding needs attention maps and is not scored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import fsum
from pathlib import Path

from pydantic import BaseModel, Field

from cityscribe.evaluate.benchmarks.layout import find_one, folder_of, read_as
from cityscribe.evaluate.benchmarks.question import (
    Benchmark,
    BenchmarkQuestion,
    Measures,
    Row,
    RuleScores,
    percent,
    percent_by,
)
from cityscribe.files import InputError

COMMON = ("color", "material", "shape")
"""The valid and plausible answers to a question about what two things have in common."""

NO_STEPS = ("exist", "query: name", "choose name")
"""Operations that are no step of reasoning."""


class _Types(BaseModel):
    structural: str
    semantic: str
    detailed: str = ""


class _Operation(BaseModel):
    operation: str
    argument: str


class _Groups(BaseModel):
    whole: str | None = Field(None, alias="global")


class _Question(BaseModel):
    image: str = Field(alias="imageId")
    question: str
    answer: str
    balanced: bool = Field(alias="isBalanced")
    types: _Types
    groups: _Groups = _Groups()
    entailed: list[str] = []
    semantic: list[_Operation] = []


class _Choices(BaseModel):
    valid: list[str]
    plausible: list[str]


def read_gqa(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The questions of a split, the balanced file before the whole one. A whole one also has what is not balanced."""
    path = find_one(data, f"{split}_balanced_questions.json", f"{split}_all_questions.json")
    choices: dict[str, _Choices] = {}
    beside = path.with_name(f"{split}_choices.json")
    if beside.is_file():
        choices = read_as(beside, dict[str, _Choices])
    folder = folder_of(data, "images")
    questions = []
    for name, entry in read_as(path, dict[str, _Question]).items():
        facts: dict[str, object] = {
            "structural": entry.types.structural,
            "semantic": entry.types.semantic,
            "words": len(entry.question.split()),
            "group": entry.groups.whole,
            "entailed": [other for other in entry.entailed if other != name],
        }
        if entry.semantic:
            facts["steps"] = sum(_is_step(operation) for operation in entry.semantic)
        if choices:
            if name not in choices:
                raise InputError(f"{beside}: has nothing on question {name}")
            common = "Common" in entry.types.detailed
            facts["valid"] = COMMON if common else choices[name].valid
            facts["plausible"] = COMMON if common else choices[name].plausible
        image = (f"{folder}{entry.image}.jpg",)
        truth = (entry.answer,)
        optional = not entry.balanced
        questions.append(BenchmarkQuestion(name, entry.question, truth, images=image, optional=optional, facts=facts))
    return questions


def _is_step(operation: _Operation) -> bool:
    step = f"{operation.operation}: {operation.argument}"
    return not any(passed_over in step for passed_over in NO_STEPS)


def converted(answer: str) -> str:
    """An answer as LLaVA's `convert_gqa_for_eval.py` hands it in."""
    return answer.rstrip(".").lower()


def score_gqa(questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> RuleScores:
    """Every measure of `eval.py` that does not need attention maps, in percent (distribution: a distance)."""
    counted = [question for question in questions if not question.optional]
    said = {name: converted(answer) for name, answer in answers.items()}
    right = {question.id: said[question.id] == question.truth[0] for question in questions if question.id in said}
    values = [float(right[question.id]) for question in counted]
    open_questions = [float(right[q.id]) for q in counted if q.facts["structural"] == "query"]
    binary = [float(right[q.id]) for q in counted if q.facts["structural"] != "query"]
    total: Measures = {
        "accuracy": percent([float(answers[question.id] == question.truth[0]) for question in counted]),
        "accuracy_llava": percent(values),
        "binary": percent(binary),
        "open": percent(open_questions),
        "distribution": _distribution(counted, said),
    }
    entailing = [q for q in counted if right[q.id] and q.facts["entailed"]]
    if entailing and all(other in right for q in entailing for other in q.facts["entailed"]):
        shares = [percent([float(right[other]) for other in q.facts["entailed"]]) / 100 for q in entailing]
        total["consistency"] = percent(shares)
    for measure, fact in (("validity", "valid"), ("plausibility", "plausible")):
        if counted and all(fact in question.facts for question in counted):
            total[measure] = percent([float(said[q.id] in q.facts[fact]) for q in counted])
    for fact in ("structural", "semantic", "words", "steps"):
        if counted and all(fact in question.facts for question in counted):
            total[f"accuracy_llava by {fact}"] = percent_by(counted, values, fact)
    rows: list[Row] = [
        {"id": q.id, "answer": answers[q.id], "parsed": said[q.id], "truth": q.truth[0], "score": value}
        for q, value in zip(counted, values, strict=True)
    ]
    return RuleScores(total, rows)


def _distribution(questions: Sequence[BenchmarkQuestion], said: Mapping[str, str]) -> float:
    expected: dict[str, Counter[str]] = {}
    observed: dict[str, Counter[str]] = {}
    for question in questions:
        group = question.facts["group"]
        if group is not None:
            expected.setdefault(group, Counter())[question.truth[0]] += 1
            observed.setdefault(group, Counter())[said[question.id]] += 1
    sizes = {group: gold.total() for group, gold in expected.items()}
    distances = {
        group: fsum((observed[group][answer] - count) ** 2 / count for answer, count in gold.items())
        for group, gold in expected.items()
    }
    whole = sum(sizes.values())
    return fsum(distances[group] * sizes[group] for group in sizes) / whole / 100 if whole else 0.0


GQA = Benchmark(read_gqa, score_gqa, prompt="short", split="testdev", rule="GQA eval.py")

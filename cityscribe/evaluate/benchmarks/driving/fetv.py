"""FETV: traffic events and violations seen by a fisheye camera, thirteen fields a clip (AI City Challenge 2026).

    *.json   [{"clip_name": "002_014.mp4", "question_date", "answer_date", ..., "question_description",
             "answer_description"}]
    the clips anywhere below, by `clip_name`

By `evaluate.py` of MoyoG/FETV: each field has the macro F1 of its labels, capitals aside, over those that references or
answers have; the time is right within seven seconds; `categorical_mean` is the mean of these. The description has the
mean cosine of n-gram counts (there called CIDEr) and BERTScore F1 with deberta-xlarge-mnli, layer 40, not rescaled, of
the descriptions that are not empty; `final_score` is the mean of both halves. BERTScore needs an encoder (`--encoder`):
without one `final_score` is left out. Answers are also taken as the submission, a list of rows with `clip_name` and
`answer_...`. The id of a question is CLIP/FIELD.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

from cityscribe.evaluate.benchmarks.answers import read_answers
from cityscribe.evaluate.benchmarks.layout import check, find
from cityscribe.evaluate.benchmarks.question import (
    Benchmark,
    BenchmarkQuestion,
    JudgedAnswers,
    Measures,
    Row,
    RuleScores,
    WrittenAnswer,
)
from cityscribe.evaluate.label_scores import score_labels
from cityscribe.evaluate.verdict import Verdict
from cityscribe.files import InputError, read_json

TIME, DESCRIPTION = "time", "description"
TOLERANCE_S = 7
ANSWER, QUESTION = "answer_", "question_"
LONGEST_NGRAM = 4


def read_fetv(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The fields of all clips, clip by clip. FETV has no splits."""
    questions = []
    seen: set[str] = set()
    for path in find(data, "FETV*.json", "*.json"):
        for number, row in enumerate(check(path, "", read_json(path), list[dict[str, str]])):
            clip = row.get("clip_name", "")
            if not clip or clip in seen:
                raise InputError(f"{path}: {number}.clip_name: is {clip!r}, expected a name that no other row has")
            seen.add(clip)
            for key, truth in row.items():
                field = key.removeprefix(ANSWER)
                if key.startswith(ANSWER):
                    asked = row.get(QUESTION + field, f"What is the {field.replace('_', ' ')}?")
                    facts = {"field": field, "clip": clip}
                    questions.append(BenchmarkQuestion(f"{clip}/{field}", asked, (truth,), video=clip, facts=facts))
    return questions


def read_fetv_answers(path: Path) -> list[WrittenAnswer]:
    """Answers as a submission, or in any of the usual forms. Raises InputError for a clip that is there twice."""
    value = read_json(path) if path.suffix == ".json" else None
    if not (isinstance(value, list) and value and isinstance(value[0], dict) and "clip_name" in value[0]):
        return read_answers(path)
    answers: list[WrittenAnswer] = []
    seen: set[Any] = set()
    for number, row in enumerate(check(path, "", value, list[dict[str, str]])):
        clip = row.get("clip_name", "")
        if not clip or clip in seen:
            raise InputError(f"{path}: {number}.clip_name: is {clip!r}, expected a name that no other row has")
        seen.add(clip)
        fields = [key for key in row if key.startswith(ANSWER)]
        answers += [WrittenAnswer(f"[{number}]", f"{clip}/{key.removeprefix(ANSWER)}", row[key]) for key in fields]
    return answers


def seconds_of(time: str) -> float | None:
    """Of HH:MM:SS; None for what is no time of a day."""
    try:
        hours, minutes, seconds = time.strip().split(":")
        h, m, s = int(hours), int(minutes), float(seconds)
    except ValueError:
        return None
    return h * 3600 + m * 60 + s if 0 <= h <= 23 and 0 <= m <= 59 and 0 <= s < 60 else None


def ngram_cosine(said: str, meant: str) -> float:
    """The mean over 1 to 4 of the cosine of the counts of n-grams, words in small letters without marks."""
    words = [re.findall(r"\w+", text.lower()) for text in (said, meant)]
    if not all(words):
        return 0.0
    total = 0.0
    for n in range(1, LONGEST_NGRAM + 1):
        one, other = (Counter(tuple(text[k : k + n]) for k in range(len(text) - n + 1)) for text in words)
        norm = sqrt(sum(c * c for c in one.values())) * sqrt(sum(c * c for c in other.values()))
        if norm:
            total += sum(count * other[ngram] for ngram, count in one.items()) / norm
    return min(total / LONGEST_NGRAM, 1.0)


def score_fetv(
    questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str], verdicts: Mapping[str, Verdict] | None = None
) -> RuleScores:
    """Measures from 0 to 1 by their official names; None of what has no field."""
    rows: list[Row] = []
    fields: dict[str, list[tuple[str, str]]] = {}
    described: list[tuple[float, float | None]] = []
    invalid = 0
    for question in questions:
        field, answer, truth = question.facts["field"], answers[question.id], question.truth[0]
        row: Row = {"id": question.id, "answer": answer, "score": float(_label(answer) == _label(truth))}
        if field == TIME:
            said, meant = seconds_of(answer), seconds_of(truth)
            invalid += said is None or meant is None
            row["score"] = float(said is not None and meant is not None and abs(said - meant) <= TOLERANCE_S)
        elif field == DESCRIPTION:
            row["score"] = ngram_cosine(answer, truth)
            row["grade"] = None if verdicts is None else verdicts[question.id].score
            if answer.strip() and truth.strip():
                described.append((row["score"], row["grade"]))
        fields.setdefault(field, []).append((answer, truth))
        rows.append(row)
    scores: dict[str, float] = {}
    for field, pairs in fields.items():
        if field != TIME and field != DESCRIPTION:
            labels = score_labels([{_label(truth)} for _, truth in pairs], [{_label(said)} for said, _ in pairs])
            scores[f"{ANSWER}{field}"] = labels.macro_f1 or 0.0
    if TIME in fields:
        times = [row["score"] for row in rows if row["id"].endswith(f"/{TIME}")]
        scores[f"{ANSWER}{TIME}"] = sum(times) / len(times)
    mean = sum(scores.values()) / len(scores) if scores else None
    total: Measures = {"categorical_mean": mean, "field_scores": dict(scores), "times that are none": invalid}
    if DESCRIPTION in fields:
        total["description ngram cosine"] = _mean([cosine for cosine, _ in described])
        if verdicts is not None:
            bert = _mean([grade or 0.0 for _, grade in described])
            description = (_mean([cosine for cosine, _ in described]) + bert) / 2
            total |= {"answer_description": description, "final_score": ((mean or 0.0) + description) / 2}
    return RuleScores(total, rows)


def _label(text: str) -> str:
    return text.strip().lower()


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _is_description(question: BenchmarkQuestion) -> bool:
    return bool(question.facts["field"] == DESCRIPTION)


FETV = Benchmark(
    read_fetv,
    score_fetv,
    prompt="open",
    split="",
    rule="MoyoG/FETV evaluate.py",
    judged="also",
    judged_by="encoder",
    to_judge=JudgedAnswers(needed=_is_description),
    read_answers=read_fetv_answers,
    headline="categorical_mean",
    alike="field",
    licence="not stated",
    home="github.com/MoyoG/FETV",
)

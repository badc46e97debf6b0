"""TUMTraf VideoQA (TraffiX): options, yes or no, captions, and where and when, asked of roadside cameras.

    TUMTraf_ViedeoQAs_valtest.json   [{"id", "video", "type", "conversations": [{"from": "human", "value": ...},
                                     {"from": "gpt", "value": ...}]}]
    QA_type.json                     {"language_metrics": [types], "spatial_temporal_metrics": [types],
                                     "acc_match_metrics": [types], "class_merge": {CLASS: [types]}}
    raw_videos/

By `eval_tumtraf.py` of TraffiX-VideoQA/TraffiX-Qwen. A type is of letters (`accuracy`) or of yes and no (`match`) by
what more of its references look like; classes are means of their types, and `mean` is that of the five main classes.
Captions have BLEU, ROUGE-L and CIDEr of words between spaces; places and times have errors cut at 1.

Two habits of the script: an answer without a letter counts as a letter drawn at random, here as wrong (`unparsed` says
how many); and its overall `accuracy` and `match` take in the answers of a type again with each further one, so that
early questions weigh more. The latter is kept, and `accuracy of questions` beside it weighs each once.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field

from cityscribe.evaluate.benchmarks.layout import IdText, find_one, folder_of, read_as
from cityscribe.evaluate.benchmarks.question import Benchmark, BenchmarkQuestion, Measures, Row, RuleScores, percent
from cityscribe.evaluate.coco.ngrams import bleu, cider, count_ngrams
from cityscribe.evaluate.coco.rouge import rouge_l
from cityscribe.files import InputError

CHOICES = "ABCD"
MAIN = ("Motion", "Class", "Positioning", "Existence", "Counting")

Moment = tuple[float, float, float]
"""Time, x and y, each as a share."""


class _Turn(BaseModel):
    value: str


class _Question(BaseModel):
    id: IdText
    video: str = ""
    type: str
    conversations: list[_Turn] = Field(min_length=2)


class _Types(BaseModel):
    language_metrics: list[str] = []
    spatial_temporal_metrics: list[str] = []
    acc_match_metrics: list[str] = []
    class_merge: dict[str, list[str]] = {}


def read_tumtraffic(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The questions of a split, in their order. Raises InputError for a type that QA_type.json does not have."""
    types = read_as(find_one(data, "QA_type.json"), _Types)
    path = find_one(data, f"*{split}*.json")
    folder = folder_of(data, "raw_videos", "videos")
    questions = []
    for number, entry in enumerate(read_as(path, list[_Question])):
        rule = next(
            (rule for rule in ("language", "spatial_temporal", "acc_match") if entry.type in _of(types, rule)), ""
        )
        if not rule:
            raise InputError(f"{path}: {number}.type: is {entry.type}, which QA_type.json does not have")
        asked, answer = (turn.value for turn in entry.conversations[:2])
        classes = [name for name, kinds in types.class_merge.items() if entry.type in kinds]
        questions.append(
            BenchmarkQuestion(
                id=entry.id,
                text=re.sub(r"<(?:image|video)>\n?", "", asked),
                truth=(answer,),
                video=f"{folder}{entry.video}" if entry.video else "",
                facts={"type": entry.type, "rule": rule, "classes": classes},
            )
        )
    return questions


def _of(types: _Types, rule: str) -> list[str]:
    found: list[str] = getattr(types, f"{rule}_metrics")
    return found


def choice_of(text: str) -> str:
    """The letter of an answer: the last of those that a point follows, or the one that it is; empty without one."""
    said = text.strip()
    for mark in ",.!?;:'":
        said = said.strip(mark)
    found = [letter for letter in CHOICES if f"{letter}." in said or said.strip().upper() == letter]
    return max(found, key=lambda letter: (said.rfind(f" {letter} "), -found.index(letter))) if found else ""


def word_of(text: str) -> str:
    """The first yes or no of an answer; empty without one."""
    found = re.search(r"\b(yes|no)\b", text.lower())
    return found[1] if found else ""


def asks_for_a_word(truths: Sequence[str]) -> bool:
    """Whether more of the references of a type say yes or no than begin with a letter of an option."""
    words = sum(bool(word_of(truth)) for truth in truths)
    return words > sum(bool(re.match(r"[abcd]\b", truth.lower())) for truth in truths)


def moments_of(text: str) -> tuple[Moment, Moment] | None:
    """The two moments of `((c1, t, x, y), (c1, t, x, y))`; None where they cannot be read."""
    try:
        first, second = ast.literal_eval(re.sub(r"(c\d+)", r'"\1"', text))[:2]
        return _moment(first[1:4]), _moment(second[1:4])
    except (ValueError, SyntaxError, TypeError, IndexError, KeyError, RecursionError, MemoryError):
        found = re.findall(r"[\[\(]?(?:c\d+,)?\s*([\d.]+),\s*([\d.]+),\s*([\d.]+),\s*([\d.]+)[\]\)]?", text)
    try:
        return (_moment(found[0][1:]), _moment(found[1][1:])) if len(found) == 2 else None
    except ValueError:
        return None


def _moment(values: Sequence[str]) -> Moment:
    time, x, y = map(float, values)
    return time, x, y


def errors_of(truth: str, said: str) -> tuple[float, float, float]:
    """Errors in time (mean of both ends), in space, and of both together (Euclidean), each at most 1; 1 where one
    cannot be read."""
    expected, found = moments_of(truth), moments_of(said)
    if expected is None or found is None:
        return 1.0, 1.0, 1.0
    gaps = np.abs(np.array(found) - np.array(expected))  # [ends, time and place]
    means = (gaps[:, 0], np.hypot(gaps[:, 1], gaps[:, 2]), np.sqrt((gaps**2).sum(axis=1)))
    time, space, both = (min(1.0, float(values.mean())) for values in means)
    return time, space, both


def score_tumtraffic(questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> RuleScores:
    """Measures from 0 to 1 by their official names, and shares of questions in percent; a measure without questions
    is 0, as there."""
    rows: list[Row] = []
    types: dict[str, list[tuple[BenchmarkQuestion, str]]] = {}
    for question in questions:
        types.setdefault(question.facts["type"], []).append((question, answers[question.id]))
    scores, pooled = _closed(types, rows)
    texts = [(q.truth[0], answers[q.id]) for q in questions if q.facts["rule"] == "language"]
    spans = [(q.truth[0], answers[q.id]) for q in questions if q.facts["rule"] == "spatial_temporal"]
    errors = np.array([errors_of(*pair) for pair in spans]).reshape(-1, 3)
    for question, values in zip([q for q in questions if q.facts["rule"] == "spatial_temporal"], errors, strict=True):
        rows.append({"id": question.id, "answer": answers[question.id], "score": 1 - float(values[2])})
    for question in questions:
        if question.facts["rule"] == "language":
            rows.append({"id": question.id, "answer": answers[question.id], "score": 0.0})
    classes: dict[str, list[float]] = {}
    for name, score in scores.items():
        for big in types[name][0][0].facts["classes"]:
            classes.setdefault(big, []).append(score)
    main = {big: sum(classes[big]) / len(classes[big]) for big in MAIN if big in classes}
    each = [row["score"] for row in rows if "parsed" in row]
    names = ("temporal_error", "spatial_error", "spatial_temporal_error")
    total: Measures = {
        "mean": sum(main.values()) / len(main) if main else None,
        "accuracy": pooled[False],
        "match": pooled[True],
        "accuracy of questions": percent(each),
        "by main class": main,
        "by type": dict(sorted(scores.items())),
        "language": caption_measures(texts) if texts else None,
        "spatial_temporal": dict(zip(names, map(float, errors.mean(axis=0)), strict=True)) if spans else None,
        "unparsed": sum(not row["parsed"] for row in rows if "parsed" in row),
    }
    order = {question.id: number for number, question in enumerate(questions)}
    return RuleScores(total, sorted(rows, key=lambda row: order[row["id"]]))


def _closed(
    types: Mapping[str, Sequence[tuple[BenchmarkQuestion, str]]], rows: list[Row]
) -> tuple[dict[str, float], dict[bool, float]]:
    """The share of each type of letters or of yes and no; and the overall shares of letters (False), words (True)."""
    scores: dict[str, float] = {}
    hits = {True: 0, False: 0}
    asked = {True: 0, False: 0}
    for name, entries in types.items():
        if entries[0][0].facts["rule"] != "acc_match":
            continue
        truths = [question.truth[0] for question, _ in entries]
        worded = asks_for_a_word(truths)
        read = {
            by_word: [_right(truth, said, by_word) for truth, (_, said) in zip(truths, entries, strict=True)]
            for by_word in (True, False)
        }
        scores[name] = sum(read[worded]) / len(entries)
        # With each question the whole type so far is taken in again, by the rule of what there is so far.
        said_word = np.cumsum([bool(word_of(truth)) for truth in truths])
        begins = np.cumsum([bool(re.match(r"[abcd]\b", truth.lower())) for truth in truths])
        for by_word in (True, False):
            times = ((said_word > begins) == by_word)[::-1].cumsum()[::-1]
            hits[by_word] += int((np.array(read[by_word]) * times).sum())
            asked[by_word] += int(times.sum())
        parse = word_of if worded else choice_of
        for (question, said), right in zip(entries, read[worded], strict=True):
            rows.append({"id": question.id, "answer": said, "parsed": parse(said), "score": float(right)})
    return scores, {kind: hits[kind] / asked[kind] if asked[kind] else 0.0 for kind in hits}


def _right(truth: str, said: str, by_word: bool) -> bool:
    parse = word_of if by_word else choice_of
    return bool(parse(said)) and parse(said) == parse(truth)


def caption_measures(pairs: Sequence[tuple[str, str]]) -> dict[str, float]:
    """Of references and answers, whose words stand between spaces."""
    ngrams = [count_ngrams(said.split()) for _, said in pairs]
    references = [[count_ngrams(truth.split())] for truth, _ in pairs]
    found = {f"BLEU-{n}": value for n, value in enumerate(bleu(ngrams, references)[0], start=1)}
    overlaps = [rouge_l(said.split(" "), [truth.split(" ")]) for truth, said in pairs]
    return {**found, "ROUGE_L": sum(overlaps) / len(overlaps), "CIDEr": cider(ngrams, references)[0]}


TUMTRAFFIC = Benchmark(
    read_tumtraffic,
    score_tumtraffic,
    prompt="open",
    split="valtest",
    rule="TraffiX-VideoQA/TraffiX-Qwen eval_tumtraf.py",
    headline="mean",
    alike="type",
    splits=("train",),
    licence="not stated (code: Apache-2.0)",
    home="github.com/TraffiX-VideoQA/TraffiX-Qwen",
)

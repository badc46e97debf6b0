"""MMBench: circular evaluation, a question with N options is asked N times with its options moved on by one.

    *SPLIT*.tsv   index, question, hint, A, B, C, D, answer, category, l2-category, image (base64)

A row with an index of a million or more is a rotation of the row with the index modulo a million; a file without any
is rotated here. An image of fewer than 64 characters is the index of the row that holds it. A question counts only
where every rotation is answered right; `accuracy_once` counts the first ones alone. By category and l2-category.

The reading of answers is that of VLMEvalKit (`matching_util.py`): an option's letter stands alone among the words, only
one does, and it is one of the last four; or `answer is X`; or the words of exactly one option are in an answer that is
not longer than twice all options. Where that fails VLMEvalKit asks a language model and in the end draws an option;
under its policy `exact_matching`, which is followed here, the answer is wrong. `unparsed` counts those, and `rejected`
those that say that they cannot answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cityscribe.evaluate.benchmarks.answers import ROTATION
from cityscribe.evaluate.benchmarks.layout import find_one, read_table
from cityscribe.evaluate.benchmarks.question import (
    LETTERS,
    Benchmark,
    BenchmarkQuestion,
    Measures,
    Row,
    RuleScores,
    percent,
    percent_by,
)
from cityscribe.files import InputError
from cityscribe.letters import rotated

COLUMNS = ("index", "question", "A", "B", "answer", "image")
MARKS = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
LAST_WORDS = 4
ANSWER_IS = re.compile(r"(?:correct\s+)?answer\s+is\s+\**([ABCD])\**", re.IGNORECASE)
REJECTED = "Z"
REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
IMAGE_INDEX = 64
"""An entry for the image that is shorter than this is an index."""


def read_mmbench(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The questions of a file with all their rotations."""
    path = find_one(data, f"*{split}*.tsv") if split else find_one(data, "*.tsv")
    rows = read_table(path, COLUMNS)
    by_index = {row["index"]: row for row in rows}
    if any(not index.isdecimal() for index in by_index):
        raise InputError(f"{path}: an index is no whole number")
    has_turns = any(int(index) >= ROTATION for index in by_index)
    questions = []
    for row in rows:
        image = row["image"]
        if len(image) < IMAGE_INDEX and image in by_index:
            image = by_index[image]["image"]
        options = _options(row)
        right = row["answer"].strip()
        if right and right not in LETTERS[: len(options)]:
            raise InputError(f"{path}: index {row['index']}: answer {right!r} is no letter of an option")
        hint = row.get("hint", "")
        for turn in range(1 if has_turns else len(options)):
            place = (LETTERS.index(right) - turn) % len(options) if right else 0
            index = int(row["index"]) + turn * ROTATION
            questions.append(
                BenchmarkQuestion(
                    id=str(index),
                    text=row["question"] if _empty(hint) else f"{hint}\n{row['question']}",
                    truth=(LETTERS[place],) if right else (),
                    options=rotated(options, turn),
                    encoded_image=image,
                    facts={
                        "base": index % ROTATION,
                        "category": row.get("category", ""),
                        "l2-category": row.get("l2-category", ""),
                    },
                )
            )
    return questions


def _options(row: Mapping[str, str]) -> tuple[str, ...]:
    """Those before the first empty one."""
    options: list[str] = []
    for letter in "ABCD":
        if _empty(row.get(letter, "")):
            break
        options.append(row[letter])
    return tuple(options)


def _empty(cell: str) -> bool:
    return cell.strip().lower() in ("", "nan", "none")


def parsed(answer: str, options: Sequence[str]) -> str:
    """The letter that an answer gives, `Z` where it declines to answer, empty where it cannot be read."""
    if any(refusal in answer for refusal in REFUSALS):
        return REJECTED
    letters = LETTERS[: len(options)]
    words = answer.translate(MARKS).split()
    standing = [letter for letter in letters if letter in words]
    if len(standing) == 1 and words.index(standing[0]) >= len(words) - LAST_WORDS:
        return standing[0]
    if not standing and REJECTED in words:
        return REJECTED
    found = ANSWER_IS.search(answer)
    if found and found.group(1).upper() in letters:
        return found.group(1).upper()
    lowered = answer.lower()
    if len(lowered) > 2 * sum(map(len, options)):
        return ""
    named = [letter for letter, option in zip(letters, options, strict=True) if option.lower() in lowered]
    return named[0] if len(named) == 1 else ""


def score_mmbench(questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> RuleScores:
    """`accuracy` by circular evaluation and `accuracy_once`, in percent."""
    rows: list[Row] = []
    turns: dict[int, list[float]] = {}
    first: dict[int, BenchmarkQuestion] = {}
    for question in questions:
        letter = parsed(answers[question.id], question.options)
        right = float(letter == question.truth[0]) if question.truth else 0.0
        rows.append({"id": question.id, "answer": answers[question.id], "parsed": letter, "score": right})
        base = question.facts["base"]
        turns.setdefault(base, []).append(right)
        if int(question.id) == base:
            first[base] = question
    bases = [first[base] for base in turns if base in first]
    circular = [min(turns[question.facts["base"]]) for question in bases]
    once = [turns[question.facts["base"]][0] for question in bases]
    total: Measures = {
        "accuracy": percent(circular),
        "accuracy_once": percent(once),
        "questions": len(bases),
        "unparsed": sum(not row["parsed"] for row in rows),
        "rejected": sum(row["parsed"] == REJECTED for row in rows),
        **{f"accuracy by {fact}": percent_by(bases, circular, fact) for fact in ("category", "l2-category")},
    }
    return RuleScores(total, rows)


MMBENCH = Benchmark(
    read_mmbench, score_mmbench, prompt="choice", split="dev", rule="VLMEvalKit circular evaluation, exact_matching"
)

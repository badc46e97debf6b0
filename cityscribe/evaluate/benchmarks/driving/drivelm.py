"""DriveLM-nuScenes: the graph questions of the challenge, by four metrics.

    *.json   {SCENE: {"key_frames": {FRAME: {"image_paths": {"CAM_FRONT": "../nuscenes/samples/..."},
             "QA": {"perception" | "prediction" | "planning" | "behavior": [{"Q", "A", "tag": [0, 1, 2 or 3]}]}}}}}

As `challenge/convert_data.py` of OpenDriveLab/DriveLM writes it (`test_eval.json`): questions without tags are no part
of it. By `challenge/evaluation.py`: the first question of a frame is always scored, another one only where each object
that it names was found, within 16 pixels, by the answer to the first. Tag 0 is right where the answer is the reference
letter by letter (`accuracy`), tag 2 has BLEU-1 to 4, ROUGE-L and CIDEr (`language`), tag 3 the F1 of places named and a
grade, tag 1 a grade of 0 to 100 (`chatgpt`). `final` is 0.4 of the grade and 0.2 each of language, match and accuracy.

Grades come from a judge (`--judge`), there GPT-3.5: without one `final`, `chatgpt` and `match` are left out, and
`match_f1` is the half of `match` that needs none. Published numbers compare only with the same judge and prompt. The id
of a question is SCENE_FRAME_NUMBER, as the challenge and `data.source: drivelm` name it. Texts are told apart into
words as `coco` does, which is the original's tokenizer for all but one caption in some thousands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from cityscribe.evaluate.benchmarks.layout import find, read_as
from cityscribe.evaluate.benchmarks.question import (
    Benchmark,
    BenchmarkQuestion,
    JudgedAnswers,
    Measures,
    Row,
    RuleScores,
)
from cityscribe.evaluate.coco.ngrams import bleu, cider, count_ngrams
from cityscribe.evaluate.coco.rouge import rouge_l
from cityscribe.evaluate.coco.tokens import caption_tokens
from cityscribe.evaluate.judge import Judge, Rubric
from cityscribe.evaluate.verdict import Verdict
from cityscribe.files import InputError

TOPICS = ("perception", "prediction", "planning", "behavior")
EXACT, GRADED, WORDED, MATCHED = 0, 1, 2, 3
NEAR = 16
"""Pixels, of both coordinates together, below which a place is the one meant."""

Place = tuple[float, float]


class _Asked(BaseModel):
    Q: str
    A: str = ""
    tag: list[int] = []


class _Frame(BaseModel):
    image_paths: dict[str, str]
    QA: dict[str, list[_Asked]]


class _Scene(BaseModel):
    key_frames: dict[str, _Frame]


def read_drivelm(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The questions with tags, in their order; those of a frame follow each other."""
    questions = []
    for path in find(data, f"*{split}*.json", "*.json"):
        for scene, record in read_as(path, dict[str, _Scene]).items():
            for frame, entry in record.key_frames.items():
                images = tuple(_image(data, name) for name in entry.image_paths.values())
                asked = [row for topic in TOPICS for row in entry.QA.get(topic, [])]
                for number, row in enumerate(asked):
                    name = f"{scene}_{frame}_{number}"
                    if not row.tag:
                        continue
                    if len(_numbers(row.Q)) % 2 or ((number == 0 or MATCHED in row.tag) and len(_numbers(row.A)) % 2):
                        raise InputError(f"{path}: {name}: names an odd number of coordinates")
                    facts = {"frame": f"{scene}_{frame}", "first": number == 0, "tag": row.tag, "kind": str(row.tag)}
                    questions.append(BenchmarkQuestion(name, row.Q, (row.A,), images=images, facts=facts))
    if not questions:
        raise InputError(f"{data}: has no question with a tag, as convert_data.py of the challenge writes them")
    return questions


def _image(data: Path, name: str) -> str:
    inner = re.sub(r"^(\.\./)+", "", name)
    candidates = (inner, inner.removeprefix("nuscenes/"), f"nuscenes/{inner}")
    return next((candidate for candidate in candidates if (data / candidate).is_file()), inner)


def _numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+\.\d+", text)]


def places(text: str) -> list[Place]:
    """The coordinates that a text names, in pairs; a number left over is dropped."""
    numbers = _numbers(text)
    return list(zip(numbers[::2], numbers[1::2], strict=False))


def matched(answer: str, reference: str) -> tuple[list[Place], float]:
    """The places of a reference that an answer names, and F1 in [0, 1]. Each is found once, by the first that is
    near."""
    said, left = places(answer), places(reference)
    meant = len(left)
    found: list[Place] = []
    for x, y in said:
        distances = [abs(x - other[0]) + abs(y - other[1]) for other in left]
        if distances and min(distances) < NEAR:
            found.append(left.pop(distances.index(min(distances))))
    precision, recall = len(found) / (len(said) + 1e-8), len(found) / (meant + 1e-8)
    return found, 2 * precision * recall / (precision + recall + 1e-8)


def scored_questions(questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> list[BenchmarkQuestion]:
    """Those that count: the first of each frame, and those about objects that the answer to it found."""
    graph: dict[str, list[Place]] = {}
    counted = []
    for question in questions:
        frame = question.facts["frame"]
        if frame not in graph:
            graph[frame] = matched(answers[question.id], question.truth[0])[0]
            counted.append(question)
        elif all(place in graph[frame] for place in places(question.text)):
            counted.append(question)
    return counted


def language(pairs: Sequence[tuple[str, str]]) -> dict[str, float]:
    """BLEU-1 to 4, ROUGE-L and CIDEr of answers against one reference each, as the corpus has them."""
    said, meant = ([caption_tokens(text) for text in texts] for texts in zip(*pairs, strict=True))
    ngrams, references = map(count_ngrams, said), [[count_ngrams(tokens)] for tokens in meant]
    counts = list(ngrams)
    found = {f"Bleu_{n}": value for n, value in enumerate(bleu(counts, references)[0], start=1)}
    overlaps = [rouge_l(tokens, [truth]) for tokens, truth in zip(said, meant, strict=True)]
    return {**found, "ROUGE_L": sum(overlaps) / len(overlaps), "CIDEr": cider(counts, references)[0]}


def score_drivelm(
    questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str], verdicts: Mapping[str, Verdict] | None = None
) -> RuleScores:
    """`accuracy`, `match_f1`, `match` and `chatgpt` in percent, `language` and `final` from 0 to 1; None of what no
    counted question asks for."""
    counted = scored_questions(questions, answers)
    rows: list[Row] = []
    values: dict[int, list[float]] = {EXACT: [], GRADED: [], MATCHED: []}
    grades, pairs = [], []
    for question in counted:
        answer, truth, tag = answers[question.id], question.truth[0], question.facts["tag"]
        row: Row = {"id": question.id, "answer": answer, "score": 0.0}
        if verdicts is not None and (GRADED in tag or MATCHED in tag):
            row["grade"] = verdicts[question.id].score
        if WORDED in tag:
            pairs.append((answer, truth))
        if MATCHED in tag:
            row["score"] = 100 * matched(answer, truth)[1]
            values[MATCHED].append(row["score"])
            grades.append(row.get("grade") or 0.0)
        if GRADED in tag:
            row["score"] = row.get("grade") or 0.0
            values[GRADED].append(row["score"])
        if EXACT in tag:
            row["score"] = float(answer == truth)
            values[EXACT].append(100 * row["score"])
        rows.append(row)
    accuracy, f1 = _mean(values[EXACT]), _mean(values[MATCHED])
    words = language(pairs) if pairs else None
    total: Measures = {"accuracy": accuracy, "match_f1": f1, "language": words, "counted": len(counted)}
    if verdicts is not None:
        grade, other = _mean(values[GRADED]), _mean(grades)
        match = None if f1 is None or other is None else (f1 + other) / 2
        total |= {"chatgpt": grade, "match": match, "final": _final(grade, words, match, accuracy)}
    return RuleScores(total, rows)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _final(
    grade: float | None, words: Mapping[str, float] | None, match: float | None, accuracy: float | None
) -> float | None:
    if grade is None or words is None or match is None or accuracy is None:
        return None
    *bleus, rouge, consensus = words.values()
    worded = sum(value / 4 / 3 for value in bleus) + rouge / 3 + consensus / 10 / 3
    return 0.4 * grade / 100 + 0.2 * worded + 0.2 * match / 100 + 0.2 * accuracy / 100


def _is_judged(question: BenchmarkQuestion) -> bool:
    return bool({GRADED, MATCHED} & set(question.facts["tag"]))


def grade_of_hundred(reply: str, rubric: Rubric) -> Verdict:
    """The first number from 0 to 100 of a reply."""
    found = re.search(r"(?<![\d.])\d{1,3}(?:\.\d+)?(?![\d.]*\d)", reply)
    grade = float(found[0]) if found else None
    return Verdict(None, grade if grade is not None and grade <= 100 else None, reply)


JUDGE = Judge(("cityscribe.evaluate.benchmarks.driving", "judge.yaml"), grade_of_hundred)

DRIVELM = Benchmark(
    read_drivelm,
    score_drivelm,
    prompt="open",
    split="eval",
    rule="OpenDriveLab/DriveLM challenge/evaluation.py",
    judged="also",
    judge="drivelm",
    to_judge=JudgedAnswers("drivelm", _is_judged),
    alike="kind",
    licence="CC-BY-NC-SA-4.0; images: nuScenes, non-commercial",
    home="github.com/OpenDriveLab/DriveLM, nuscenes.org",
)

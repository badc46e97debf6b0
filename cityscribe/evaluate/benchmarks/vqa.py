"""VQAv2, VizWiz and TextVQA: agreement with ten people.

    v2_OpenEnded_mscoco_SPLIT2014_questions.json  {"questions": [{"question_id", "image_id", "question"}]}       VQAv2
    v2_mscoco_SPLIT2014_annotations.json          {"annotations": [{"question_id", "question_type", "answer_type",
                                                  "answers": [{"answer"}, ...]}]};  images SPLIT2014/COCO_...jpg
    SPLIT.json, Annotations/SPLIT.json            [{"image", "question", "answers": [{"answer"}], "answer_type"}] VizWiz
    TextVQA_0.5.1_SPLIT.json                      {"data": [{"question_id", "image_id", "question", "answers"}]} TextVQA

An answer is worth the mean, over the annotators, of min(1, agreeing others / 3): 0, .3, .6, .9 and 1 for 0, 1, 2, 3 and
more of ten who agree. How texts are made comparable differs:

- VQAv2, VizWiz (`vqaEval.py`): punctuation, numbers and articles are only treated where the annotators differ. Where
  all say the same, the comparison is letter for letter: `Yes` is wrong where ten say `yes`. `accuracy` is that;
  `accuracy_llava` is the same after EvalAI's processor, which LLaVA applies before it hands answers in.
- TextVQA (`eval_textvqa.py` of LLaVA, M4C): EvalAI's processor on both sides, always; exactly ten annotators.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from pydantic import BaseModel

from cityscribe.evaluate.benchmarks.layout import IdText, find_one, folder_of, read_as
from cityscribe.evaluate.benchmarks.question import (
    Benchmark,
    BenchmarkQuestion,
    Measures,
    Row,
    RuleScores,
    percent,
    percent_by,
)
from cityscribe.evaluate.benchmarks.vqa_text import evalai, official, spaced
from cityscribe.files import InputError

ANNOTATORS = 10


class _Said(BaseModel):
    answer: str


class _Asked(BaseModel):
    question_id: IdText
    image_id: int
    question: str


class _Annotated(BaseModel):
    question_id: IdText
    question_type: str
    answer_type: str
    answers: list[_Said]


class _Questions(BaseModel):
    questions: list[_Asked]


class _Annotations(BaseModel):
    annotations: list[_Annotated]


class _VizWiz(BaseModel):
    image: str
    question: str
    answers: list[_Said]
    answer_type: str


class _TextVqa(BaseModel):
    question_id: IdText
    image_id: str
    question: str
    answers: list[str]


class _TextVqaFile(BaseModel):
    data: list[_TextVqa]


def read_vqav2(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The questions of VQAv2 in the order of their file, with the answers of their annotators."""
    asked = read_as(find_one(data, f"v2_OpenEnded_mscoco_{split}2014_questions.json"), _Questions)
    path = find_one(data, f"v2_mscoco_{split}2014_annotations.json")
    annotated = {entry.question_id: entry for entry in read_as(path, _Annotations).annotations}
    unknown = [entry.question_id for entry in asked.questions if entry.question_id not in annotated]
    if unknown:
        raise InputError(f"{path}: has nothing on {len(unknown)} questions, the first is {unknown[0]}")
    folder = folder_of(data, f"{split}2014", "images", "")
    return [
        BenchmarkQuestion(
            id=entry.question_id,
            text=entry.question,
            truth=tuple(said.answer for said in annotated[entry.question_id].answers),
            images=(f"{folder}COCO_{split}2014_{entry.image_id:012d}.jpg",),
            facts={
                "question_type": annotated[entry.question_id].question_type,
                "answer_type": annotated[entry.question_id].answer_type,
            },
        )
        for entry in asked.questions
    ]


def read_vizwiz(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The questions of VizWiz; the file of an image is the id of its question."""
    folder = folder_of(data, split, "images", "")
    return [
        BenchmarkQuestion(
            id=entry.image,
            text=entry.question,
            truth=tuple(said.answer for said in entry.answers),
            images=(f"{folder}{entry.image}",),
            facts={"answer_type": entry.answer_type},
        )
        for entry in read_as(find_one(data, f"{split}.json"), list[_VizWiz])
    ]


def read_textvqa(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The questions of TextVQA. Answers may also name the image and repeat the question, as LLaVA writes them."""
    path = find_one(data, f"TextVQA_0.5.1_{split}.json", f"TextVQA*{split}.json")
    folder = folder_of(data, "train_images", "train_val_images/train_images", "images")
    questions = []
    for entry in read_as(path, _TextVqaFile).data:
        if len(entry.answers) != ANNOTATORS:
            raise InputError(f"{path}: question {entry.question_id}: {len(entry.answers)} answers, expected ten")
        image = (f"{folder}{entry.image_id}.jpg",)
        truth = tuple(entry.answers)
        questions.append(
            BenchmarkQuestion(entry.question_id, entry.question, truth, images=image, shared_id=entry.image_id)
        )
    return questions


def agreement(matches: int, annotators: int) -> float:
    """What an answer is worth that `matches` of the annotators gave: the mean over leaving each of them out."""
    if not matches:
        return 0.0
    with_one_fewer = min(1.0, (matches - 1) / 3)
    return (matches * with_one_fewer + (annotators - matches) * min(1.0, matches / 3)) / annotators


def official_agreement(answer: str, said: Sequence[str]) -> float:
    """By `vqaEval.py`: texts are only treated where the annotators differ."""
    answer, truth = spaced(answer), [spaced(text) for text in said]
    if len(set(truth)) > 1:
        answer, truth = official(answer), [official(text) for text in truth]
    return agreement(truth.count(answer), len(truth))


def evalai_agreement(answer: str, said: Sequence[str]) -> float:
    """By M4C's evaluator: both sides go through its processor, always."""
    truth = [evalai(text) for text in said]
    return agreement(truth.count(evalai(answer)), len(truth))


def score_official(
    questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str], *, by: Sequence[str]
) -> RuleScores:
    """`accuracy`, `accuracy_llava` and, by each fact of `by`, `accuracy`; rounded to two decimals as officially."""
    values, processed = [], []
    for question in questions:
        values.append(official_agreement(answers[question.id], question.truth))
        processed.append(official_agreement(evalai(answers[question.id]), question.truth))
    total: Measures = {
        "accuracy": round(percent(values), 2),
        "accuracy_llava": round(percent(processed), 2),
    }
    for fact in by:
        shares = percent_by(questions, values, fact)
        total[f"accuracy by {fact}"] = {name: round(share, 2) for name, share in shares.items()}
    rows: list[Row] = [
        {"id": question.id, "answer": answers[question.id], "score": value, "score_llava": after}
        for question, value, after in zip(questions, values, processed, strict=True)
    ]
    return RuleScores(total, rows)


def score_textvqa(questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> RuleScores:
    """`accuracy` in percent."""
    values = [evalai_agreement(answers[question.id], question.truth) for question in questions]
    rows: list[Row] = [
        {"id": question.id, "answer": answers[question.id], "parsed": evalai(answers[question.id]), "score": value}
        for question, value in zip(questions, values, strict=True)
    ]
    return RuleScores({"accuracy": percent(values)}, rows)


VQAV2 = Benchmark(
    read_vqav2,
    partial(score_official, by=("answer_type", "question_type")),
    prompt="short",
    split="val",
    rule="GT-Vision-Lab/VQA vqaEval.py",
)
VIZWIZ = Benchmark(
    read_vizwiz,
    partial(score_official, by=("answer_type",)),
    prompt="unanswerable",
    split="val",
    rule="GT-Vision-Lab/VQA vqaEval.py",
)
TEXTVQA = Benchmark(read_textvqa, score_textvqa, prompt="short", split="val", rule="LLaVA eval_textvqa.py (M4C)")

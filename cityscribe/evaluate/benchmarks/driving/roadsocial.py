"""RoadSocial: twelve kinds of questions about road events in videos of social media.

    *.json   {"Tweet_ID", "TweetVideoURLs": [...], "QAs": [{"Q", "A", "QA-task", "QA-subtask", "Q-type"}]}, one a video
    the videos below, called v_TWEETID_NAME.mp4, as `download_videos.py` and `infer_on_roadsocial.py` call them

By `llmeval_roadsocial_tasks.py` and `temporal_gnd.py` of roadsocial/roadsocial: each answer has a grade of 1 to 100 of
a judge (`--judge`, there GPT-3.5), a task the mean of its grades, `ALL` the mean of the tasks, `RT` that without
`Incompatible`; a grade of 0 or one that cannot be read counts nowhere. `Grounding` is no grade but the mean average
precision, in percent, of the time span that the first such answer about a video names, at an IoU of 0.3 to 0.7; with
grades only answers that have one count, as there. All spans have the same confidence, and the script takes them in an
order that depends on the file system and the machine; here it is that of the names of the files, backwards.

The id of a question is FILE/NUMBER.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from pydantic import BaseModel, Field

from cityscribe.evaluate.benchmarks.driving.drivelm import grade_of_hundred
from cityscribe.evaluate.benchmarks.layout import IdText, find, read_as
from cityscribe.evaluate.benchmarks.question import (
    Benchmark,
    BenchmarkQuestion,
    JudgedAnswers,
    Measures,
    Row,
    RuleScores,
)
from cityscribe.evaluate.judge import Judge
from cityscribe.evaluate.spans import TimeSpan
from cityscribe.evaluate.verdict import Verdict

TASKS = (
    *("Viewpoint", "Description", "Where", "Key Entities", "Grounding", "Why", "Introspection", "Consequence"),
    *("Advisory", "Counterfactual", "Adversarial", "Incompatible"),
)
NO_KIND = ("Where", "Viewpoint", "Grounding", "Adversarial", "Incompatible")
"""Tasks whose questions count as neither generic nor specific."""

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)


class _Question(BaseModel):
    Q: str
    A: str
    task: str = Field(alias="QA-task")
    kind: str = Field("", alias="Q-type")


class _Video(BaseModel):
    Tweet_ID: IdText
    TweetVideoURLs: list[str] = Field(min_length=1)
    QAs: list[_Question]


def read_roadsocial(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The questions of all files of a split, by the names of the files."""
    questions = []
    for path in find(data, f"{split}/*.json", *(["*.json"] if split == "test" else [])):
        video = read_as(path, _Video)
        for number, entry in enumerate(video.QAs):
            questions.append(
                BenchmarkQuestion(
                    id=f"{path.stem}/{number}",
                    text=entry.Q,
                    truth=(entry.A,),
                    video=_file_of(video),
                    facts={"task": entry.task, "kind": entry.kind, "file": path.stem},
                )
            )
    return questions


def _file_of(video: _Video) -> str:
    names = [PurePosixPath(address.split(".mp4")[0]).name + ".mp4" for address in video.TweetVideoURLs]
    return f"v_{video.Tweet_ID}_{'_'.join(names)}" + (".avi" if len(names) > 1 else "")


def span_of(text: str) -> TimeSpan:
    """The first two times of a text in whole seconds: those with a colon, or else numbers too; (0, 0) where there are
    no two, or the second is not later."""
    times = re.findall(r"\d+:\d+(?::\d+)?", text)
    if len(times) < 2:
        numbers = re.findall(r"\b\d+(?:\.\d+)?\b", text)
        times += [number for number in numbers if not any(number in time for time in times)]
    start, end = [*map(_seconds, times[:2]), 0, 0][:2]
    return (start, end) if start < end else (0, 0)


def _seconds(time: str) -> int:
    seconds = 0
    *rest, last = time.split(":")
    for part in rest:
        seconds = 60 * (seconds + int(part))
    return seconds + round(float(last))


def average_precision(truths: Sequence[TimeSpan], said: Sequence[TimeSpan]) -> float:
    """The mean over THRESHOLDS of the average precision, in percent, of one span a video with one confidence.

    A reference that is no span is none to be found, and what is said of its video is wrong.
    """
    ious = np.array([_iou(truth, span) for truth, span in zip(truths, said, strict=True)])[::-1]
    to_find = sum(end - start >= 1e-3 for start, end in truths)
    if not to_find:
        return 0.0
    found = []
    for threshold in THRESHOLDS:
        right = np.cumsum(ious >= threshold)
        precision = np.concatenate([[0], right / np.arange(1, len(ious) + 1), [0]])
        recall = np.concatenate([[0], right / to_find, [1]])
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        steps = np.where(recall[1:] != recall[:-1])[0] + 1
        found.append(((recall[steps] - recall[steps - 1]) * precision[steps]).sum())
    return 100 * float(np.mean(found))


def _iou(truth: TimeSpan, said: TimeSpan) -> float:
    both = max(min(truth[1], said[1]) - max(truth[0], said[0]), 0)
    either = (truth[1] - truth[0]) + (said[1] - said[0]) - both
    return both / either if truth[1] - truth[0] >= 1e-3 and either else 0.0


def score_roadsocial(
    questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str], verdicts: Mapping[str, Verdict] | None = None
) -> RuleScores:
    """`Grounding` in percent and, with grades, means from 1 to 100; None of what has no answer that counts."""
    rows: list[Row] = []
    tasks: dict[str, list[float]] = {}
    kinds: dict[str, list[float]] = {"Generic": [], "Specific": []}
    spans: dict[str, tuple[TimeSpan, TimeSpan]] = {}
    ungraded = 0
    for question in questions:
        answer, task = answers[question.id], question.facts["task"]
        grade = None if verdicts is None else verdicts[question.id].score
        counts = verdicts is None or bool(grade)
        ungraded += not counts
        rows.append({"id": question.id, "answer": answer, "grade": grade, "score": grade or 0.0})
        if task == "Grounding":
            if counts and question.facts["file"] not in spans:
                spans[question.facts["file"]] = span_of(question.truth[0]), span_of(answer)
        elif grade:
            tasks.setdefault(task, []).append(float(int(grade)))
            if task not in NO_KIND:
                kinds["Generic" if question.facts["kind"] == "Generic" else "Specific"].append(float(int(grade)))
    grounding = average_precision(*zip(*spans.values(), strict=True)) if spans else None
    total: Measures = {"Grounding": grounding, "videos with a span": len(spans)}
    if verdicts is not None:
        means = {task: _mean(tasks[task]) for task in TASKS if task in tasks}
        without = {task: mean for task, mean in means.items() if task != "Incompatible"}
        total |= {**means, "ALL": _mean(list(means.values())), "RT": _mean(list(without.values()))}
        total |= {kind: _mean(values) for kind, values in kinds.items()} | {"ungraded": ungraded}
    return RuleScores(total, rows)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


JUDGE = Judge(("cityscribe.evaluate.benchmarks.driving", "judge.yaml"), grade_of_hundred)

ROADSOCIAL = Benchmark(
    read_roadsocial,
    score_roadsocial,
    prompt="open",
    split="test",
    rule="roadsocial/roadsocial llmeval_roadsocial_tasks.py",
    judged="also",
    judge="roadsocial",
    to_judge=JudgedAnswers("roadsocial"),
    headline="Grounding",
    alike="task",
    splits=("train",),
    licence="not stated",
    home="huggingface.co/datasets/chiragp26/RoadSocial",
)

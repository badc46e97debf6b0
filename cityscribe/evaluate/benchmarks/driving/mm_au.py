"""MM-AU, accident reason answering: five causes of an accident, of which one is right (DADA-2000 and CAP).

    {train,val,test}.json   [{"video_id", "num_option", "qid", "question", "a0", ..., "a4", "answer": "1", "video_name":
                            "43-001222"}]        `ArA label.zip` of jeffreychou777/LOTVS-MM-AU
    CAP-DATA/RANGE/43/001222/images/000001.jpg, ...  or  DADA-DATA/43/001222/images/...: the frames, as it is unpacked

By `Reason_Answering/ra_readme.md` there: the share of questions whose option is the annotated one, which its baselines
choose by number. A number counts as it is; of an answer in words the letter, as `cityscribe.letters` reads it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from cityscribe.evaluate.benchmarks.layout import IdText, find_one, read_as
from cityscribe.evaluate.benchmarks.question import Benchmark, BenchmarkQuestion, Row, RuleScores, percent, percent_by
from cityscribe.files import InputError
from cityscribe.letters import LETTERS, read_choice


class _Question(BaseModel):
    model_config = ConfigDict(extra="allow")  # a0, a1, ...

    video_id: IdText
    qid: IdText
    question: str
    num_option: int
    answer: IdText
    video_name: str


def read_mm_au(data: Path, split: str) -> list[BenchmarkQuestion]:
    """The questions of a split, in their order."""
    path = find_one(data, f"{split}.json")
    folders = {
        f"{frames.parent.parent.name}-{frames.parent.name}": frames.relative_to(data).as_posix()
        for pattern in ("CAP-DATA/*/*/*/images", "DADA-DATA/*/*/images")
        for frames in sorted(data.glob(pattern))
    }
    questions = []
    for number, entry in enumerate(read_as(path, list[_Question])):
        texts = [(entry.model_extra or {}).get(f"a{n}") for n in range(entry.num_option)]
        right = int(entry.answer) if re.fullmatch(r"\d+", entry.answer) else -1
        if not 0 <= right < len(texts) or not all(isinstance(text, str) for text in texts):
            raise InputError(f"{path}: {number}: expected the options a0 to a{entry.num_option - 1}, one of them right")
        questions.append(
            BenchmarkQuestion(
                id=f"{entry.video_id}/{entry.qid}",
                text=entry.question,
                truth=(LETTERS[right].upper(),),
                options=tuple(map(str, texts)),
                video=folders.get(entry.video_name, entry.video_name),
                facts={"accident type": entry.video_name.partition("-")[0]},
            )
        )
    return questions


def score_mm_au(questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> RuleScores:
    """`accuracy` in percent, in total and by the type of accident."""
    rows: list[Row] = []
    for question in questions:
        answer = answers[question.id]
        if re.fullmatch(r"\s*\d+\s*", answer):
            letter = LETTERS[int(answer)].upper() if int(answer) < len(question.options) else ""
        else:
            letter = read_choice(answer, question.options).letter.upper()
        rows.append(
            {"id": question.id, "answer": answer, "parsed": letter, "score": float(letter == question.truth[0])}
        )
    values = [row["score"] for row in rows]
    return RuleScores(
        {
            "accuracy": percent(values),
            "accuracy by accident type": percent_by(questions, values, "accident type"),
            "unparsed": sum(not row["parsed"] for row in rows),
        },
        rows,
    )


MM_AU = Benchmark(
    read_mm_au,
    score_mm_au,
    prompt="choice",
    split="test",
    rule="jeffreychou777/LOTVS-MM-AU Reason_Answering/ra_readme.md",
    splits=("train", "val", "test"),
    licence="academic use only",
    home="github.com/jeffreychou777/LOTVS-MM-AU",
)

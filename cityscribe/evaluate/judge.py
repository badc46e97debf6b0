"""A language model as judge of open answers, by the protocol of Video-ChatGPT (arXiv 2306.05424).

    verdicts, by = judge_items(items, client, VIDEO_CHATGPT, load_rubrics()["answer"])
    summarise(verdicts, groups, seed=0)

The judge sees question, reference and answer, says whether the answer is right and scores it from 0 to 5; five more
rubrics score correctness, detail, context, temporal order and consistency. Replies are read as the official scripts do
(`quantitative_evaluation/`): `yes` anywhere in `pred` is yes, a score is cut to a whole number, 4.8 is 4. Unlike there,
what cannot be read is not asked for ever but counted, and two accuracies stand beside each other: over the replies that
are read, which is the official one, and over all.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import resources
from math import fsum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from cityscribe.evaluate import resampling
from cityscribe.evaluate.verdict import JudgeItem, Verdict
from cityscribe.files import InputError
from cityscribe.llm.client import Client
from cityscribe.llm.message import Chat, ReplySampling
from cityscribe.plain_yaml import parse_yaml, read_yaml
from cityscribe.progress import Progress, silent

HIGHEST = 5
PLACES = re.compile(r"\{(question|reference|answer|second_question|second_answer)\}")
LONGEST_READ = 4000
"""Characters of a reply that are read; a judge that says more has not kept to the protocol."""

SAMPLING = ReplySampling(temperature=0.0, max_tokens=128, seed=0)


class Rubric(BaseModel):
    """What a judge is asked, and whether it has to say yes or no as well as a score."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: bool
    system: str
    user: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(json.dumps([self.verdict, self.system, self.user]).encode()).hexdigest()

    def messages(self, item: JudgeItem) -> Chat:
        """The conversation about an item. Filled in at once, so that an answer cannot ask for another one's text."""
        values = asdict(item)
        user = PLACES.sub(lambda place: values[place[1]], self.user)
        return [{"role": "system", "content": self.system}, {"role": "user", "content": user}]


@dataclass(frozen=True, slots=True)
class Judge:
    """A member of the seam `judge`."""

    prompts: tuple[str, str]  # package and file of its rubrics
    read: Callable[[str, Rubric], Verdict]  # of a reply to a rubric; one that cannot be read has no score


def load_rubrics(path: Path | None = None, judge: Judge | None = None) -> dict[str, Rubric]:
    """The rubrics by name: those of a judge, by default Video-ChatGPT's, or of a YAML file. Raises InputError for one
    that is malformed."""
    if path is None:
        package, file = (judge or VIDEO_CHATGPT).prompts
        content, _ = parse_yaml((resources.files(package) / file).read_text("utf-8"), file)
    else:
        content = read_yaml(path)
    try:
        rubrics = TypeAdapter(dict[str, Rubric]).validate_python(content)
    except ValidationError as error:
        fault = error.errors()[0]
        raise InputError(f"{path}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from error
    for name, rubric in rubrics.items():
        missing = {"reference", "answer"} - set(PLACES.findall(rubric.user))
        if missing:
            raise InputError(f"{path}: {name}.user: does not show {{{sorted(missing)[0]}}} to the judge")
    return rubrics


def judge_items(
    items: Sequence[JudgeItem],
    client: Client,
    judge: Judge,
    rubric: Rubric,
    *,
    progress: Progress = silent,
) -> tuple[list[Verdict], dict[str, str]]:
    """The verdict on each item, in order, and who judged. Equal items are asked once.

    Raises InputError where the model cannot be asked or its cache cannot be written; what it said until then is kept.
    """

    def read(place: int, reply: str) -> Verdict | None:
        verdict = judge.read(reply, rubric)
        return None if verdict.score is None else verdict

    found = client.ask([rubric.messages(item) for item in items], SAMPLING, read, progress=progress)
    verdicts = [
        Verdict(None, None, text or "") if verdict is None else verdict
        for verdict, text in zip(found.values, found.texts, strict=True)
    ]
    judged_by = {
        **client.model.identity,
        "temperature": f"{SAMPLING.temperature:g}",
        "seed": str(SAMPLING.seed),
        "max_tokens": str(SAMPLING.max_tokens),
    }
    return verdicts, judged_by | ({"answered_as": ", ".join(found.answered_as)} if found.answered_as else {})


def read_verdict(reply: str, rubric: Rubric) -> Verdict:
    """What a reply says. It holds a dictionary of Python or JSON, or at least its entries. Where the rubric asks
    for a verdict both `pred` and `score` are wanted, else a score: a number from 0 to 5, cut to a whole one."""
    entries = _entries(reply[:LONGEST_READ])
    try:
        score = int(float(entries["score"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return Verdict(None, None, reply)
    said = str(entries.get("pred", "")).lower()
    correct = True if "yes" in said else False if "no" in said else None
    if not 0 <= score <= HIGHEST or (rubric.verdict and correct is None):
        return Verdict(None, None, reply)
    return Verdict(correct if rubric.verdict else None, score, reply)


def _entries(reply: str) -> dict[str, Any]:
    start, end = reply.find("{"), reply.rfind("}")
    for read in (json.loads, ast.literal_eval) if -1 < start < end else ():
        try:
            value = read(reply[start : end + 1])
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
        if isinstance(value, dict):
            return {str(name).strip().lower(): entry for name, entry in value.items()}
    found = re.findall(r"\b(pred|score)\b\W{0,6}(yes|no|-?\d+(?:\.\d+)?)\b", reply, re.IGNORECASE)
    entries: dict[str, Any] = {}
    for name, value in found:
        entries.setdefault(name.lower(), value)
    return entries


VIDEO_CHATGPT = Judge(("cityscribe.evaluate", "judge_prompts.yaml"), read_verdict)


@dataclass(frozen=True, slots=True)
class JudgeScores:
    """The official numbers over the replies that are read, and the same over all, unread ones as wrong and as 0.

    `yes`, `no` and the accuracies are None of a rubric that wants scores alone.
    """

    items: int
    unparsed: int
    score: float | None
    score_over_all: float
    score_interval: list[float] | None
    yes: int | None = None
    no: int | None = None
    accuracy: float | None = None
    accuracy_over_all: float | None = None
    accuracy_interval: list[float] | None = None

    def to_json(self) -> dict[str, object]:
        """What the file of the numbers holds; a rubric of scores alone has no entries of verdicts."""
        values = asdict(self)
        if self.yes is None:
            for name in ("yes", "no", "accuracy", "accuracy_over_all", "accuracy_interval"):
                del values[name]
        return values


def summarise(verdicts: Sequence[Verdict], groups: Sequence[str], seed: int) -> JudgeScores:
    """The numbers of verdicts. `groups` says which item is about which clip, for the intervals."""
    read = [verdict for verdict in verdicts if verdict.score is not None]
    scores = [float(verdict.score or 0) for verdict in verdicts]
    yes = sum(verdict.correct is True for verdict in verdicts)
    found = JudgeScores(
        items=len(verdicts),
        unparsed=len(verdicts) - len(read),
        score=fsum(scores) / len(read) if read else None,
        score_over_all=fsum(scores) / len(verdicts),
        score_interval=resampling.mean_interval(groups, scores, seed),
    )
    if all(verdict.correct is None for verdict in verdicts):
        return found
    return replace(
        found,
        yes=yes,
        no=len(read) - yes,
        accuracy=yes / len(read),
        accuracy_over_all=yes / len(verdicts),
        accuracy_interval=resampling.mean_interval(groups, [float(v.correct is True) for v in verdicts], seed),
    )

"""A language model as judge of open answers, by the protocol of Video-ChatGPT (arXiv 2306.05424).

    verdicts = judge_items(items, judge, load_rubrics()["answer"], cache=Path("cache.jsonl"))
    summarise(verdicts, groups, seed=0)

The judge sees question, reference and answer, says whether the answer is right and scores it from 0 to 5; five more
rubrics score correctness, detail, context, temporal order and consistency. Replies are read as the official scripts do
(`quantitative_evaluation/`): `yes` anywhere in `pred` is yes, a score is cut to a whole number, 4.8 is 4. Unlike there,
what cannot be read is not asked for ever but counted, and two accuracies stand beside each other: over the replies that
are read, which is the official one, and over all.

What a judge said is kept in a cache, a JSON line a reply, known by the judge, the words of the prompt and the item: a
stopped run goes on where it was, and a second one asks nothing.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from math import fsum
from pathlib import Path
from typing import Any, Protocol

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from cityscribe.evaluate import resampling
from cityscribe.evaluate.question_files import read_lines
from cityscribe.evaluate.text_files import text_of_file
from cityscribe.files import InputError, read_json
from cityscribe.letters import LETTERS, read_choice

HIGHEST = 5
PLACES = re.compile(r"\{(question|reference|answer|second_question|second_answer)\}")
LONGEST_READ = 4000
"""Characters of a reply that are read; a judge that says more has not kept to the protocol."""


@dataclass(frozen=True, slots=True)
class JudgeItem:
    """One answer to be judged; `second_question` and `second_answer` are of the rubric consistency."""

    question: str
    reference: str
    answer: str
    second_question: str = ""
    second_answer: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge said. Both are None where the reply cannot be read; `correct` also of a rubric without verdict."""

    correct: bool | None
    score: int | None
    reply: str


class Rubric(BaseModel):
    """What a judge is asked, and whether it has to say yes or no as well as a score."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: bool
    system: str
    user: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(json.dumps([self.verdict, self.system, self.user]).encode()).hexdigest()

    def messages(self, item: JudgeItem) -> list[dict[str, str]]:
        """The conversation about an item. Filled in at once, so that an answer cannot ask for another one's text."""
        values = asdict(item)
        user = PLACES.sub(lambda place: values[place[1]], self.user)
        return [{"role": "system", "content": self.system}, {"role": "user", "content": user}]


class Judge(Protocol):
    """A model that judges. `identity` is all that decides its replies; `seen` what is known after it replied."""

    identity: dict[str, str]
    seen: dict[str, str]

    def replies(self, conversations: Sequence[list[dict[str, str]]]) -> Iterator[str]:
        """Its replies, in order, each as soon as it is there. Raises InputError where it cannot be asked."""
        ...


def load_rubrics(path: Path | None = None) -> dict[str, Rubric]:
    """The rubrics by name: those of the package, or of a YAML file. Raises InputError for one that is malformed."""
    if path is None:
        text = (resources.files("cityscribe.evaluate") / "judge_prompts.yaml").read_text("utf-8")
    else:
        text = text_of_file(path)
    try:
        rubrics = TypeAdapter(dict[str, Rubric]).validate_python(yaml.safe_load(text))
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        fault = error.errors()[0]
        raise InputError(f"{path}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from error
    for name, rubric in rubrics.items():
        missing = {"reference", "answer"} - set(PLACES.findall(rubric.user))
        if missing:
            raise InputError(f"{path}: {name}.user: does not show {{{sorted(missing)[0]}}} to the judge")
    return rubrics


def read_items(path: Path) -> list[tuple[str, str, JudgeItem]]:
    """The items of a file, each with its name and its group: of JSON lines as `predict` writes them, or of a list in
    the form of Video-ChatGPT (`video_name`, `Q`, `A`, `pred`; `Q1`, `Q2`, `A`, `pred1`, `pred2`).

    Of a question with options reference and answer are the words of the options. Raises InputError for a file of
    another shape and for one without references.
    """
    if path.suffix == ".json":
        return _official_items(path)
    items = []
    for line in read_lines(path):
        if not line.reference.strip():
            continue
        group = line.scenario or "|".join(line.images) or line.id
        words = (_in_words(text, line.options) for text in (line.reference, line.answer))
        items.append((line.id, group, JudgeItem(line.question, *words)))
    if not items:
        raise InputError(f"{path}: none of its answers has a reference; nothing can be judged")
    return items


def _in_words(text: str, options: Sequence[str]) -> str:
    letter = read_choice(text, options).letter
    return options[LETTERS.index(letter)] if letter else text


def _official_items(path: Path) -> list[tuple[str, str, JudgeItem]]:
    rows = read_json(path)
    if not isinstance(rows, list) or not rows:
        raise InputError(f"{path}: expected a list of answers with video_name, Q, A and pred")
    items = []
    for number, row in enumerate(rows):
        twice = isinstance(row, dict) and "Q1" in row
        keys = ("Q1", "A", "pred1", "Q2", "pred2") if twice else ("Q", "A", "pred")
        values = [row.get(key) if isinstance(row, dict) else None for key in keys]
        missing = next((key for key, value in zip(keys, values, strict=True) if not isinstance(value, str)), None)
        if missing is not None:
            raise InputError(f"{path}: [{number}].{missing}: missing, or no text")
        video = str(row.get("video_name", number))
        items.append((f"{video}/{number}", video, JudgeItem(*map(str, values))))
    return items


def judge_items(
    items: Sequence[JudgeItem],
    judge: Judge,
    rubric: Rubric,
    *,
    cache: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Verdict]:
    """The verdict on each item, in order. Equal items are asked once; what `cache` knows is not asked.

    Raises InputError where the judge cannot be asked or the cache cannot be written; what was said until then is kept.
    """
    keys = [_key(judge, rubric, item) for item in items]
    known = _read_cache(cache) if cache is not None else {}
    asked = {key: item for key, item in zip(keys, items, strict=True) if key not in known}
    progress(len(items) - len(asked), len(items))
    replies = judge.replies([rubric.messages(item) for item in asked.values()]) if asked else iter(())
    for key in known.keys() & set(keys):
        judge.seen |= known[key].seen
    for number, (key, reply) in enumerate(zip(asked, _kept(cache, judge, asked, replies), strict=True), start=1):
        known[key] = _Cached(key=key, reply=reply)
        progress(len(items) - len(asked) + number, len(items))
    return [read_verdict(known[key].reply, rubric.verdict) for key in keys]


def _key(judge: Judge, rubric: Rubric, item: JudgeItem) -> str:
    told = json.dumps([judge.identity, rubric.sha256, asdict(item)], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


class _Cached(BaseModel):
    """A line of the cache. A server says what it calls itself only when it is asked, so that is kept as well."""

    model_config = ConfigDict(frozen=True)

    key: str
    reply: str
    seen: dict[str, str] = {}


def _read_cache(path: Path) -> dict[str, _Cached]:
    """The lines by key. A line that a killed process left torn is no line."""
    known: dict[str, _Cached] = {}
    for line in path.read_bytes().split(b"\n") if path.is_file() else ():
        try:
            entry = _Cached.model_validate_json(line)
        except ValidationError:
            continue
        known[entry.key] = entry
    return known


def _kept(path: Path | None, judge: Judge, keys: Iterable[str], replies: Iterator[str]) -> Iterator[str]:
    """The replies, each written to the cache before it is passed on."""
    if path is None:
        yield from replies
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torn = path.is_file() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
        with path.open("a", encoding="utf-8") as file:
            file.write("\n" if torn else "")
            for key, reply in zip(keys, replies, strict=True):
                file.write(_Cached(key=key, reply=reply, seen=judge.seen).model_dump_json() + "\n")
                file.flush()
                yield reply
    except OSError as error:
        raise InputError(f"{error.filename or path}: {error.strerror or error}") from error


def read_verdict(reply: str, verdict: bool) -> Verdict:
    """What a reply says. It holds a dictionary of Python or JSON, or at least its entries; with `verdict` both `pred`
    and `score` are wanted, else a score. A score is a number from 0 to 5, cut to a whole one."""
    entries = _entries(reply[:LONGEST_READ])
    try:
        score = int(float(entries["score"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return Verdict(None, None, reply)
    said = str(entries.get("pred", "")).lower()
    correct = True if "yes" in said else False if "no" in said else None
    if not 0 <= score <= HIGHEST or (verdict and correct is None):
        return Verdict(None, None, reply)
    return Verdict(correct if verdict else None, score, reply)


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


class _Judged(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    correct: bool | None
    score: int | None
    reply: str


def read_verdicts(path: Path) -> list[tuple[str, Verdict]]:
    """The verdicts of a file that `judge` has written, each with the name of its item. Raises InputError naming a
    line of another shape."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    found = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                entry = _Judged.model_validate_json(line)
            except ValidationError as error:
                raise InputError(f"{path}: line {number}: is no verdict; expected what `judge` writes") from error
            found.append((entry.id, Verdict(entry.correct, entry.score, entry.reply)))
    if not found:
        raise InputError(f"{path}: holds no verdicts")
    return found


def summarise(verdicts: Sequence[Verdict], groups: Sequence[str], seed: int) -> dict[str, Any]:
    """The official numbers over the replies that are read, and the same over all, unread ones as wrong and as 0.

    `groups` says which item is about which clip, for the intervals. Without verdicts (the five rubrics) there are
    scores only.
    """
    read = [verdict for verdict in verdicts if verdict.score is not None]
    summary: dict[str, Any] = {
        "items": len(verdicts),
        "unparsed": len(verdicts) - len(read),
        "score": fsum(v.score or 0 for v in read) / len(read) if read else None,
        "score_over_all": fsum(v.score or 0 for v in verdicts) / len(verdicts),
        "score_interval": resampling.mean_interval(groups, [float(v.score or 0) for v in verdicts], seed),
    }
    if any(verdict.correct is not None for verdict in verdicts):
        yes = sum(verdict.correct is True for verdict in verdicts)
        summary |= {
            "yes": yes,
            "no": len(read) - yes,
            "accuracy": yes / len(read),
            "accuracy_over_all": yes / len(verdicts),
            "accuracy_interval": resampling.mean_interval(groups, [float(v.correct is True) for v in verdicts], seed),
        }
    return summary

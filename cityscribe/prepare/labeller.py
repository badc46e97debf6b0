"""Sorting the sentences of captions into dimensions (section 3.2.4): by rules, or by asking a language model.

The rules need nothing and are the default. A model is asked through any OpenAI-compatible server. What it does not
answer, or answers in a way that cannot be understood, is sorted by the rules and counted, so that one odd reply costs
one caption's labels and not the run.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cityscribe.files import InputError
from cityscribe.settings import LabellerSettings
from cityscribe.traffic.dimensions import DIMENSIONS, dimension_of
from cityscribe.traffic.sentences import split_sentences

if TYPE_CHECKING:
    from openai import OpenAI

Labelled = tuple[tuple[str, str], ...]
"""The sentences of one caption in order, each with its dimension."""

LETTERS = dict(zip("abcde", DIMENSIONS, strict=True))

MEANINGS = {
    "pedestrian": (
        "age, height or clothing of the pedestrian",
        "where the pedestrian is relative to the vehicle, or which way the body faces",
        "where the pedestrian looks, what the pedestrian notices, how the pedestrian moves",
        "weather, light, road or traffic",
        "risk, accident, a conclusion, or anything else",
    ),
    "vehicle": (
        "age, height or clothing of the pedestrian",
        "where the vehicle is relative to the pedestrian, or whether its driver can see the pedestrian",
        "what the vehicle does and how fast it is",
        "weather, light, road or traffic",
        "risk, accident, a conclusion, or anything else",
    ),
}

ANSWER_LINE = re.compile(r"^\W*(\d+)\W*\b([a-e])\W*(?:$|\()", re.IGNORECASE)
"""Such as "2: c", "2. C.", "**2** - (c)" or "2. c (movement)"; a sentence that begins with the article "A" is none."""

RETRIES = 2
REQUESTS_AT_ONCE = 8
SILENT_IN_A_ROW = 5
"""So many captions without any reply mean that the server or its settings are wrong, rather than one reply lost."""

HOPELESS = (401, 403, 404)
"""HTTP states that every request will get: a wrong key, no permission, a wrong address or model."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The labelled sentences of captions, and how many captions the server left to the rules."""

    by_caption: dict[tuple[str, str], Labelled]  # (role, caption)
    unparsed: int = 0  # the reply could not be understood
    unanswered: int = 0  # no reply within the time and the retries


def label_captions(
    captions: Iterable[tuple[str, str]], settings: LabellerSettings, step: Callable[[], None] = lambda: None
) -> Labels:
    """Label each caption, given as (role, caption), once. `step` is called after each.

    Raises InputError where a server is set but cannot be used: no model named, access denied, no such address or model,
    or no reply to `SILENT_IN_A_ROW` captions one after the other.
    """
    distinct = list(dict.fromkeys(captions))
    if settings.kind == "openai":
        return _ask_about(distinct, settings, step)
    labelled = {}
    for role, caption in distinct:
        labelled[role, caption] = label_by_rules(role, split_sentences(caption))
        step()
    return Labels(labelled)


def label_by_rules(role: str, sentences: Sequence[str]) -> Labelled:
    """Label sentences by the rules of `dimensions`. The answer to a sentence does not depend on its neighbours."""
    return tuple((sentence, dimension_of(sentence, role)) for sentence in sentences)


def parse_reply(reply: str, count: int) -> list[str] | None:
    """The dimensions of sentences 1 to `count` from a model's reply; None unless it labels each of them, in one way."""
    found: dict[int, str] = {}
    for line in reply.rsplit("</think>", 1)[-1].splitlines():
        if match := ANSWER_LINE.match(line.strip()):
            number, dimension = int(match[1]), LETTERS[match[2].lower()]
            if found.setdefault(number, dimension) != dimension:
                return None
    if set(found) != set(range(1, count + 1)):
        return None
    return [found[number] for number in range(1, count + 1)]


def _ask_about(captions: list[tuple[str, str]], settings: LabellerSettings, step: Callable[[], None]) -> Labels:
    from openai import OpenAI

    if not settings.model:
        raise InputError("prepare.labeller.model: name the model of the server at prepare.labeller.base_url")
    client = OpenAI(
        base_url=settings.base_url,
        api_key=os.environ.get("OPENAI_API_KEY", "none"),  # local servers take any, the client insists on one
        timeout=settings.timeout_s,
        max_retries=RETRIES,
    )
    labelled: dict[tuple[str, str], Labelled] = {}
    unparsed = unanswered = silent = 0
    pool = ThreadPoolExecutor(REQUESTS_AT_ONCE)
    try:
        split = [(role, split_sentences(caption)) for role, caption in captions]
        replies = [pool.submit(_ask, client, settings, role, sentences) for role, sentences in split]
        for caption, (role, sentences), pending in zip(captions, split, replies, strict=True):
            reply, fault = pending.result()
            silent = silent + 1 if fault else 0
            if silent == min(SILENT_IN_A_ROW, len(captions)):
                raise InputError(f"prepare.labeller.base_url: no reply from {settings.base_url}: {fault}")
            dimensions = None if reply is None else parse_reply(reply, len(sentences))
            if dimensions is None:
                unparsed, unanswered = unparsed + (not fault), unanswered + bool(fault)
                labelled[caption] = label_by_rules(role, sentences)
            else:
                labelled[caption] = tuple(zip(sentences, dimensions, strict=True))
            step()
    finally:
        pool.shutdown(cancel_futures=True)
    return Labels(labelled, unparsed, unanswered)


def _ask(client: OpenAI, settings: LabellerSettings, role: str, sentences: Sequence[str]) -> tuple[str | None, str]:
    """The text of the model's reply, None where there is none in it; and what went wrong where no reply came at all."""
    from openai import APIConnectionError, APIStatusError

    try:
        response = client.chat.completions.with_raw_response.create(
            model=settings.model, temperature=0, messages=[{"role": "user", "content": _request(role, sentences)}]
        )
    except APIStatusError as error:
        if error.status_code in HOPELESS:
            where = f"prepare.labeller: {settings.base_url}, model {settings.model!r}"
            raise InputError(f"{where}: {error.message}") from error
        return None, error.message
    except APIConnectionError as error:
        return None, str(error.__cause__ or error)
    return _content(response.http_response.text), ""


def _request(role: str, sentences: Sequence[str]) -> str:
    options = "\n".join(f"{letter} = {meaning}" for letter, meaning in zip(LETTERS, MEANINGS[role], strict=True))
    numbered = "\n".join(f"{number}: {sentence}" for number, sentence in enumerate(sentences, start=1))
    return (
        f"These sentences describe a {role} in traffic. What is each one mainly about?\n\n{options}\n\n"
        "Answer with one line for each sentence and nothing else: its number and one letter, as in 2: c\n\n"
        f"{numbered}"
    )


def _content(body: str) -> str | None:
    """The text in the body of a reply, None where a server sent something else."""
    try:
        reply: Any = json.loads(body)
        content = reply["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError):
        return None
    return content if isinstance(content, str) else None

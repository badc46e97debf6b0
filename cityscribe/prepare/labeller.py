"""Sorting the sentences of captions into dimensions (section 3.2.4): by rules, or by asking a language model.

The rules need nothing and are the default. What a model does not answer, or answers in a way that cannot be understood,
is sorted by the rules and counted, so that one odd reply costs one caption's labels and not the run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cityscribe.llm.client import Client
from cityscribe.llm.message import Chat, ReplySampling
from cityscribe.llm.settings import language_model_client
from cityscribe.prepare.registries import LABELLERS
from cityscribe.settings import Section
from cityscribe.traffic.dimensions import DIMENSIONS, dimension_of
from cityscribe.traffic.sentences import split_sentences

Labelled = tuple[tuple[str, str], ...]
"""The sentences of one caption in order, each with its dimension."""

CaptionSentences = Mapping[tuple[str, str], Sequence[str]]
"""The sentences of captions, each given as (role, caption)."""

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

SAMPLING = ReplySampling(max_tokens=1024)
"""A line of a few tokens for each sentence, and room for a model that thinks first."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The labelled sentences of captions, and how many captions the model left to the rules."""

    by_caption: dict[tuple[str, str], Labelled]  # (role, caption)
    unparsed: int = 0  # the reply could not be understood
    unanswered: int = 0  # no reply within the time and the tries


def label_captions(
    captions: Iterable[tuple[str, str]],
    settings: Section,
    step: Callable[[], None] = lambda: None,
    *,
    cache: Path | None = None,
    client: Client | None = None,
) -> Labels:
    """Label each caption, given as (role, caption), once. `step` is called after each. `cache` is the folder where a
    model's replies are kept; `client` takes the place of the one that the settings name.

    Raises InputError where a model is set but cannot be asked: none named, access denied, no such address or model, no
    reply to several captions one after the other.
    """
    kind: str = settings.kind  # type: ignore[attr-defined]  # every member of `LABELLERS` has one
    split = {caption: split_sentences(caption[1]) for caption in dict.fromkeys(captions)}
    labels: Labels = LABELLERS[kind](split, settings, step, cache, client)
    return labels


def by_rules(split: CaptionSentences, settings: Section, step: Callable[[], None], *_: object) -> Labels:
    """The labeller `rules`."""
    labelled = {}
    for (role, caption), sentences in split.items():
        labelled[role, caption] = label_by_rules(role, sentences)
        step()
    return Labels(labelled)


def by_model(
    split: CaptionSentences, settings: Section, step: Callable[[], None], cache: Path | None, client: Client | None
) -> Labels:
    """The labellers `server`, `local` and `script`."""
    distinct = list(split)
    asked = client or language_model_client(settings, "prepare.labeller", cache=cache)
    taken = 0

    def progress(done: int, total: int) -> None:
        nonlocal taken
        for _ in range(done - taken):
            step()
        taken = done

    found = asked.ask(
        [_request(role, sentences) for (role, _), sentences in split.items()],
        SAMPLING,
        lambda place, reply: parse_reply(reply, len(split[distinct[place]])),
        skip_unanswered=True,
        progress=progress,
    )
    return Labels(
        {
            caption: label_by_rules(caption[0], split[caption])
            if dimensions is None
            else tuple(zip(split[caption], dimensions, strict=True))
            for caption, dimensions in zip(distinct, found.values, strict=True)
        },
        found.unparsed,
        found.unanswered,
    )


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


def _request(role: str, sentences: Sequence[str]) -> Chat:
    options = "\n".join(f"{letter} = {meaning}" for letter, meaning in zip(LETTERS, MEANINGS[role], strict=True))
    numbered = "\n".join(f"{number}: {sentence}" for number, sentence in enumerate(sentences, start=1))
    text = (
        f"These sentences describe a {role} in traffic. What is each one mainly about?\n\n{options}\n\n"
        "Answer with one line for each sentence and nothing else: its number and one letter, as in 2: c\n\n"
        f"{numbered}"
    )
    return [{"role": "user", "content": text}]

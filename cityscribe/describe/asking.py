"""What a model is asked about the road users of a span, and what is taken of its answer.

Where both are there, the questions are those that `prepare` builds (`traffic.prompts`). Their wording takes both for
granted, so that one who is alone is asked about by the words below. A model may still speak of somebody who is not
there: such sentences are left out, and counted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from cityscribe.describe.clips import Span
from cityscribe.engine.request import Answer
from cityscribe.traffic.metrics.attributes import UNCLEAR, attributes, read_attributes
from cityscribe.traffic.prompts import Prompts, long_question
from cityscribe.traffic.scenario import PHASES, ROLES, ViewKind
from cityscribe.traffic.sentences import split_sentences

ALONE = {
    "pedestrian": "Give an account of {name}: age, height, clothing, line of sight, movement, then the weather and the "
    "road environment. There is no vehicle.",
    "vehicle": "Give an account of {name}: its kind and colour, driving status, then the weather and the road "
    "environment. There is no pedestrian.",
}
NAMES = {
    ("pedestrian", True): "the pedestrian in the green box",
    ("pedestrian", False): "the pedestrian",
    ("vehicle", True): "the vehicle in the blue box",
    ("vehicle", False): "the vehicle",
}
EGO = "the ego-vehicle, on which the camera is"

SPEAKS_OF = {
    "pedestrian": re.compile(
        r"\b(?:pedestrians?|cyclists?|persons?|people|man|woman|boy|girl|child|male|female|he|she|his|her|him)\b", re.I
    ),
    "vehicle": re.compile(r"\b(?:vehicles?|cars?|trucks?|vans?|bus|buses|drivers?)\b", re.I),
}
"""Words of a sentence that is about a road user."""


def question(
    prompts: Prompts, kind: ViewKind, phase: int | None, marked: Sequence[str], role: str, others: Sequence[str]
) -> str:
    """The question about a road user of a span; `others` are the roles that are there too. Without a phase (an index
    into PHASES) none is claimed."""
    if phase is None:
        prompts = prompts.model_copy(update={"prefix": ""})
    if others:
        return long_question(prompts, kind, phase or 0, marked, role)
    name = EGO if role == "vehicle" and kind == "vehicle" else NAMES[role, role in marked]
    prefix = prompts.prefix.format(phase=prompts.phases.model_dump()[PHASES[phase or 0]])
    return prefix + ALONE[role].format(name=name)


def phase_of(span: Span, duration_s: float, tuned: bool) -> int | None:
    """The phase that a question names: that of the data set; for a model that was tuned on questions with phases the
    one at that place of the clip, as of the source `clips`; else none."""
    if span.phase:
        return span.number
    if not tuned:
        return None
    middle = (span.start_s + span.end_s) / 2
    return min(int(len(PHASES) * middle / duration_s), len(PHASES) - 1)


def without_absent(text: str, absent: Sequence[str]) -> tuple[str, int]:
    """A description without its sentences about road users that are not there, and how many those were."""
    sentences = split_sentences(text)
    kept = [each for each in sentences if not any(_is_about(each, role) for role in absent)]
    return (text.strip(), 0) if len(kept) == len(sentences) else (" ".join(kept), len(sentences) - len(kept))


def _is_about(sentence: str, role: str) -> bool:
    """Whether a sentence names a road user, or states a fact about one, such as which way "the body" faces."""
    known = attributes()
    return bool(SPEAKS_OF[role].search(sentence)) or any(
        known[name].about == role for name in read_attributes(sentence)
    )


def confidence_of(answer: Answer) -> float | None:
    """The geometric mean of the probabilities of an answer's tokens, from 0 to 1; None where they are not known."""
    known = [value for value in answer.logprobs if math.isfinite(value)]
    if not known or len(known) < len(answer.logprobs):
        return None
    return round(math.exp(math.fsum(known) / len(known)), 4)


def facts_of(descriptions: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What descriptions by role state, by whom it is about ("pedestrian", "vehicle", "scene") and attribute.

    Of a road user its own description counts; of the scene both, and "unclear" is what they state in two ways.
    """
    known = attributes()
    facts: dict[str, dict[str, str]] = {"scene": {}}
    for role in ROLES:
        if role not in descriptions:
            continue
        facts[role] = {}
        for name, value in read_attributes(descriptions[role]).items():
            about = known[name].about
            if about == role:
                facts[role][name] = _clear(value)
            elif about == "scene":
                first = facts["scene"].setdefault(name, _clear(value))
                facts["scene"][name] = first if first == _clear(value) else "unclear"
    return facts


def _clear(value: str) -> str:
    return "unclear" if value == UNCLEAR else value

"""GLOV (Mirza et al. 2024): a language model proposes texts, having seen the best and the worst with their scores.

Each step shows it, for one task in turn, the texts that did best and worst on the labelled samples, and asks for new
ones. A local model is also steered, where `steer` is above 0: at one layer the difference of the mean hidden states of
the best and the worst texts is added to what it computes (section 3.3 of the paper).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from cityscribe.files import InputError
from cityscribe.llm import Client, ReplySampling
from cityscribe.llm.message import Message
from cityscribe.prompts.fitness import Fitness, usable
from cityscribe.settings import Positive, Section

if TYPE_CHECKING:
    import torch

ITEM = re.compile(r"^\s*(?:\d+[.)]|[-*])\s*(?P<text>.+?)\s*$", re.MULTILINE)

ASKED = """A vision model answers a question about a picture taken from a car. The task is: {task}.
Instructions that worked best, with the share of right answers:
{best}
Instructions that worked worst:
{worst}
Write {count} new instructions for this task that could work better than all of these. Say what the picture has to be
looked at for. Keep every word in braces as it is. One instruction a line, numbered, nothing else."""


class GlovSettings(Section):
    shown: Positive = Field(3, description="best and worst texts that the language model sees")
    proposed: Positive = Field(5, description="texts that it is asked for at once")
    temperature: float = Field(1.0, ge=0)
    max_tokens: Positive = 300
    steer: float = Field(0.0, ge=0, description="factor of the difference of good and bad texts; 0 does not steer")
    layer: int | None = Field(None, description="of the decoder, from 0; null takes half of its depth")


def glov(fitness: Fitness, *, seed: int = 0, client: Client | None = None, options: object = None) -> None:
    """Try until the tries are used up. Raises InputError without a language model, for one that is to be steered and
    is not on this machine, and where no step in a round over all places brings a text that can be used."""
    if client is None:
        raise InputError("glov: needs a language model that proposes texts; name one")
    settings = options if isinstance(options, GlovSettings) else GlovSettings()
    places = list(fitness.library.texts())
    step = idle = 0
    while fitness.left > 0:
        place = places[step % len(places)]
        best, worst = _ranked(fitness, place, settings.shown)
        found = _proposals(client, fitness, place, best, worst, settings, seed + step)
        step += 1
        idle = 0 if found else idle + 1
        if idle >= len(places):
            raise InputError(f"{client.model.place}: proposed no text that can be used for any place of the library")
        begun = fitness.best
        for text in found[: fitness.left]:
            fitness.attempt({place: text}, f"{place}: proposed", begun)


def _ranked(fitness: Fitness, place: str, count: int) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """The best and the worst texts of a place by the score of its task, each with the score."""
    task = place.partition(".add[")[0]
    scores: dict[str, float] = {}
    for tried in fitness.tries:
        text = tried.texts[place]
        scores[text] = max(scores.get(text, 0.0), fitness.score_of_task(tried, task))
    order = sorted(scores.items(), key=lambda each: -each[1])
    return order[:count], order[max(count, len(order) - count) :]


def _proposals(
    client: Client,
    fitness: Fitness,
    place: str,
    best: Sequence[tuple[str, float]],
    worst: Sequence[tuple[str, float]],
    settings: GlovSettings,
    seed: int,
) -> list[str]:
    old = fitness.best.texts[place]
    known = {tried.texts[place] for tried in fitness.tries}
    text = ASKED.format(
        task=place.partition(".add[")[0],
        best=_listed(best),
        worst=_listed(worst) or "none yet",
        count=settings.proposed,
    )
    chat: list[Message] = [{"role": "user", "content": text}]
    sampling = ReplySampling(settings.temperature, settings.max_tokens, seed)

    def parse(_: int, reply: str) -> list[str] | None:
        found = [each["text"].strip("\"' ") for each in ITEM.finditer(reply)]
        return list(dict.fromkeys(each for each in found if each not in known and usable(each, old)))

    steering: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    asked = client
    if settings.steer and worst:
        steering = steered(client.model, [text for text, _ in best], [text for text, _ in worst], settings)
        asked = Client(client.model)  # a cache knows the model, and not that it is steered
    with steering:
        replies = asked.ask([chat], sampling, parse, skip_unanswered=True)
    return replies.values[0] or []


def _listed(scored: Sequence[tuple[str, float]]) -> str:
    return "\n".join(f"- {text} ({100 * score:.0f} %)" for text, score in scored)


@contextlib.contextmanager
def steered(model: Any, good: Sequence[str], bad: Sequence[str], settings: GlovSettings) -> Iterator[torch.Tensor]:
    """Within it a local model is steered from bad texts towards good ones. Yields the vector that is added, [width].
    Raises InputError for a model whose layers are not at hand."""
    layers = getattr(getattr(getattr(model, "model", None), "model", None), "layers", None)
    if layers is None:
        raise InputError("glov: only a local model of Llama's kind can be steered; set steer to 0")
    number = len(layers) // 2 if settings.layer is None else settings.layer
    if not -len(layers) <= number < len(layers):
        raise InputError(f"glov: layer {number}: the model has {len(layers)}")
    means = [mean_state(model, texts, number) for texts in (good, bad)]
    vector = settings.steer * (means[0] - means[1])

    def add(_: Any, __: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (output[0] + vector.to(output[0]), *output[1:])
        return output + vector.to(output)

    handle = layers[number].register_forward_hook(add)
    try:
        yield vector
    finally:
        handle.remove()


def mean_state(model: Any, texts: Sequence[str], layer: int) -> torch.Tensor:
    """The mean over texts of the mean hidden state behind a layer, [width]."""
    import torch

    states = []
    with torch.inference_mode():
        for text in texts:
            ids = model.tokenizer(text, return_tensors="pt").to(model.model.device)
            found = model.model(**ids, output_hidden_states=True, use_cache=False).hidden_states
            states.append(found[layer % (len(found) - 1) + 1][0].float().mean(dim=0))
    return torch.stack(states).mean(dim=0)

"""A search for better texts that needs no language model: hill climbing over sentences, one place after the other.

A step changes one text of the best try: it becomes one of the wordings of its task, a wording is put before or behind
it, one of its sentences is dropped, or two of them change places. What is better stays. The same seed makes the same
tries.
"""

from __future__ import annotations

import random
import re

from cityscribe.prompts.fitness import Fitness, usable

SENTENCE = re.compile(r"[^.?!]*[.?!]+|[^.?!]+$")


def sentences(text: str) -> list[str]:
    return [found.strip() for found in SENTENCE.findall(text) if found.strip()]


def search(fitness: Fitness, *, seed: int = 0, client: object = None, options: object = None) -> None:
    """Try until the tries are used up, or nothing new is left to try."""
    rng = random.Random(seed)  # a search, no secret
    tried = {_key(each.texts) for each in fitness.tries}
    while fitness.left > 0:
        best = fitness.best
        made = [
            (place, text, why)
            for place, old in best.texts.items()
            for text, why in _neighbours(fitness, place, old)
            if usable(text, old) and _key({**best.texts, place: text}) not in tried
        ]
        if not made:
            return
        place, text, why = rng.choice(made)
        tried.add(_key({**best.texts, place: text}))
        fitness.attempt({place: text}, f"{place}: {why}", best)


def _key(texts: object) -> str:
    return repr(sorted(dict(texts).items()))  # type: ignore[call-overload]


def _neighbours(fitness: Fitness, place: str, old: str) -> list[tuple[str, str]]:
    """Texts that differ in one way, with the way."""
    task = place.partition(".add[")[0]
    parts = sentences(old)
    found = []
    for wording in fitness.library.tasks[task].wordings:
        if place == task:
            found.append((wording, "another wording"))
        if wording not in parts:
            found += [(f"{old} {wording}", "a wording behind it"), (f"{wording} {old}", "a wording before it")]
    for n in range(len(parts)):
        if len(parts) > 1:
            found.append((" ".join(parts[:n] + parts[n + 1 :]), "a sentence dropped"))
        if n:
            order = [*parts[: n - 1], parts[n], parts[n - 1], *parts[n + 1 :]]
            found.append((" ".join(order), "sentences exchanged"))
    return found

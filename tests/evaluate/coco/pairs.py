"""Caption pairs for comparing with the original: the synthetic city's captions, shortened and changed."""

from __future__ import annotations

import importlib.util
import random
import shutil
from functools import cache

import pytest

from cityscribe.world.captions import pedestrian_caption, vehicle_caption
from cityscribe.world.event import sample_event
from cityscribe.world.facts import facts_at

needs_data = pytest.mark.skipif(
    importlib.util.find_spec("pycocoevalcap") is None, reason="needs the extra [coco]: pycocoevalcap"
)
needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="needs Java")

# What the modules of METEOR, the tokenizer and the normaliser each have to do with, beside the captions' own words.
CHANGES = tuple(
    """
    automobile cars driving drove stopped quickly slower pavement sidewalks man woman's persons is are was not
    isn't can't don't it's they'll driver's U.S. 1.5 3,000 km/h T-shirt left-hand (near) "wet" 's ... -- - & 50%
    $5 a.m. etc. in order to as well as a lot of at the moment in front of close to near the vicinity of because
    of due to e.g. No. 5 20's O'Neill
    """.split()  # noqa: SIM905
)
BREAKS = ("\r", "\v", "\f", "\u2028", "\u2029", "\x85", "\n", "\r\n", "\t", "\xa0", "\u200b")


@cache
def sentences() -> tuple[str, ...]:
    found: set[str] = set()
    for seed in range(60):
        event = sample_event(seed)
        facts = facts_at(event, event.boundaries_s[seed % len(event.boundaries_s)])
        for hand in (0, 7):
            for caption in (pedestrian_caption(facts, hand), vehicle_caption(facts, hand)):
                found.update(f"{sentence.rstrip('.')}." for sentence in caption.split(". "))
    return tuple(sorted(found))


def caption_pairs(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Predictions with their references: one to four sentences each, of which the prediction keeps most words."""
    rng = random.Random(seed)
    pairs = []
    for _ in range(count):
        reference = rng.sample(sentences(), rng.choice((1, 1, 1, 2, 2, 4)))
        words = " ".join(rng.sample(reference, len(reference))).split(" ")
        for _ in range(rng.randrange(1 + len(words) // 3)):
            place = rng.randrange(len(words) or 1)
            new = rng.choice(CHANGES)
            words[place : place + 1] = rng.choice([[], [new], [new, *words[place : place + 1]]])
        pairs.append((" ".join(words), " ".join(reference)))
    return pairs

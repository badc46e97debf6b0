"""Drafts: what the corpus says follows, and nothing that it does not know."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cityscribe.engine.drafts import CONTEXTS, LIKELY, LONGEST, START, Drafts

TEXTS = st.lists(st.lists(st.integers(0, 3), max_size=14), max_size=8)


def continuation(texts: list[list[int]], generated: list[int]) -> tuple[int, float] | None:
    """By counting: what follows the longest known context most often, and its share."""
    padded = [[START] * max(CONTEXTS) + text for text in texts]
    context = [START] * max(CONTEXTS) + generated
    for length in CONTEXTS:
        followed = Counter(
            text[n]
            for text in padded
            for n in range(max(CONTEXTS), len(text))
            if text[n - length : n] == context[-length:]
        )
        if followed:
            token = min(followed, key=lambda token: (-followed[token], token))
            return token, followed[token] / followed.total()
    return None


@given(texts=TEXTS, generated=st.lists(st.integers(0, 3), max_size=12), longest=st.integers(-1, LONGEST + 3))
def test_a_draft_is_what_counting_finds(texts: list[list[int]], generated: list[int], longest: int) -> None:
    expected: list[int] = []
    chance = 1.0
    while len(expected) < min(longest, LONGEST):
        found = continuation(texts, [*generated, *expected])
        if found is None or chance * found[1] < LIKELY:
            break
        expected.append(found[0])
        chance *= found[1]
    assert Drafts(texts).propose(generated, longest) == expected


@given(texts=TEXTS, seed=st.integers(0, 9), generated=st.lists(st.integers(0, 3), max_size=9))
def test_the_order_of_the_corpus_does_not_matter(texts: list[list[int]], seed: int, generated: list[int]) -> None:
    shuffled = random.Random(seed).sample(texts, len(texts))
    assert Drafts(shuffled).propose(generated) == Drafts(texts).propose(generated)


def test_a_known_text_is_proposed_from_its_beginning() -> None:
    text = list(range(40))
    drafts = Drafts([text])
    assert drafts.propose([]) == text[:LONGEST]
    assert drafts.propose(text[:30]) == text[30:40]
    assert drafts.propose(text) == []

"""Captions for property tests: words of traffic captions among what tokenisers and stemmers stumble over."""

from __future__ import annotations

from hypothesis import strategies as st

PLAIN = """
the a pedestrian vehicle walker car crosses crossing crossed cross street road roads near close in front of his her
looking looks looked left right behind assess stands standing stood 10 km/h 170 cm 30s T-shirt The He
"""
ODD = """
can't cannot gonna wanna gimme lemme d'ye more'n 'tis 'twas They'll it's IT'S driver's dogs' o'clock 's n't 'll ' ''
'a' "a" " `` ` ... .. . .) a.) U.S. -- - , ,, a,b 3,5 : a:b 1:2 ; ? ?! (left) [a] {b} <c> $5 50% a&b #1 @ café naïve ß
İ ſ Σ ΟΔΟΣ 日本語 😀 yyyy sky skies dying x
"""
BREAKS = ["\t", "\n", "\xa0", "\u2028", "\x1c", "\u200b", " ", "  "]

known_words = st.sampled_from(PLAIN.split()) | st.sampled_from(ODD.split())
words = known_words | st.text(max_size=4)
captions = (
    st.lists(words, max_size=30).map(" ".join) | st.lists(words | st.sampled_from(BREAKS), max_size=20).map("".join)
)  # fmt: skip
tokens = st.lists(known_words, max_size=30)

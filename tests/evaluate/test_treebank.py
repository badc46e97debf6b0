from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cityscribe.evaluate.treebank import tokenize
from tests.evaluate.nltk_tokens import TOKENIZER

PIECES = (
    *("cannot", "gonna", "wanna ", " 'tis", " 'Twas", "d'ye", "more'n", "isn't", "they'LL", "--", "...", "''", "``"),
    *("Gimme", "lemme", "gotta", "car's ", "3,5", "a:b", '"', "'", ".", ",", "?", "(", "]", "{", ">", "&", " ", "\n"),
    "word",
)


@settings(deadline=None, max_examples=500)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=2), max_size=9).map("".join))
def test_tokens_of_whatever_the_rules_speak_of_are_those_of_nltk(text: str) -> None:
    assert tokenize(text) == TOKENIZER.tokenize(text)

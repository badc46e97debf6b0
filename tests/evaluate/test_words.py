from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from nltk.stem.porter import PorterStemmer

from cityscribe.evaluate.words import stem, treebank_tokens
from tests.evaluate.nltk_tokens import TOKENIZER
from tests.evaluate.strategies import captions, words

STEMMER = PorterStemmer()


@settings(deadline=None, max_examples=300)
@given(captions | st.text("' \"`.,:;()[]-?!aSstTlLnNd0 \t", max_size=25))
@example(" '' after a space")
@example('"The car," he said, "isn\'t near (about 3,5 m)."')
@example("He cannot stop. He's gonna cross...  ")
@example("a' ' b' 'c")
@example("one line.\nand another.")
@example("\ttabs\tbetween\twords, and driver's\tcar")
@example("the.\x1f")
@example(".")
@example("")
def test_tokens_are_those_of_nltk(caption: str) -> None:
    assert treebank_tokens(caption) == TOKENIZER.tokenize(caption)


def test_only_the_final_period_is_a_token_of_its_own() -> None:
    assert treebank_tokens("It stops. It waits.") == ["It", "stops.", "It", "waits", "."]


@settings(deadline=None)
@given(words | st.text(max_size=12))
def test_stems_are_those_of_nltk(word: str) -> None:
    assert stem(word) == STEMMER.stem(word)

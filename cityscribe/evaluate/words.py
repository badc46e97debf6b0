"""How a caption becomes the words that the metrics compare: Treebank tokens and Porter stems.

Tokens and stems are those of nltk. A data set says little in many words, so each distinct word is tokenised and
stemmed once and remembered.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain

from cityscribe.evaluate.porter import porter_stem
from cityscribe.evaluate.treebank import tokenize

REMEMBERED_WORDS = 1 << 16


def treebank_tokens(caption: str) -> list[str]:
    """The tokens of `nltk.tokenize.TreebankWordTokenizer`, case and punctuation kept.

    Between spaces, the rules of the Treebank look at one word only; the first and the last word of a caption have
    rules of their own (an opening quote, the final period). So a word is tokenised between two others that no rule
    touches. A caption with other white space, or with any at an end, is tokenised as a whole: some rules ask for a
    space in particular.
    """
    words = caption.split()
    # The space is the only white space that is printable.
    if len(words) < 2 or not caption.isprintable() or caption != caption.strip():
        return tokenize(caption)
    return list(chain(_first(words[0]), chain.from_iterable(map(_inner, words[1:-1])), _last(words[-1])))


@lru_cache(maxsize=REMEMBERED_WORDS)
def stem(word: str) -> str:
    """The stem that nltk's Porter stemmer, with its extensions, makes of a word. Lower case."""
    return porter_stem(word)


@lru_cache(maxsize=REMEMBERED_WORDS)
def _first(word: str) -> tuple[str, ...]:
    return tuple(tokenize(f"{word} x")[:-1])


@lru_cache(maxsize=REMEMBERED_WORDS)
def _inner(word: str) -> tuple[str, ...]:
    return tuple(tokenize(f"x {word} x")[1:-1])


@lru_cache(maxsize=REMEMBERED_WORDS)
def _last(word: str) -> tuple[str, ...]:
    return tuple(tokenize(f"x {word}")[1:])

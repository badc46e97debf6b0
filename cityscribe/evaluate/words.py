"""How a caption becomes the words that the metrics compare: Treebank tokens and Porter stems.

Tokens and stems are those of nltk. A data set says little in many words, so each distinct word is tokenised and
stemmed once and remembered. nltk is imported on first use: it takes longer to import than a hundred captions to
score.
"""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import chain
from typing import Any

REMEMBERED_WORDS = 1 << 16


def treebank_tokens(caption: str) -> list[str]:
    """The tokens of `nltk.tokenize.TreebankWordTokenizer`, case and punctuation kept.

    Between spaces, the rules of the Treebank look at one word only; the first and the last word of a caption have
    rules of their own (an opening quote, the final period). So a word is tokenised between two others that no rule
    touches. A caption with other white space, or with any at an end, goes to nltk as a whole: some rules ask for a
    space in particular.
    """
    words = caption.split()
    # The space is the only white space that is printable.
    if len(words) < 2 or not caption.isprintable() or caption != caption.strip():
        return _treebank(caption)
    return list(chain(_first(words[0]), chain.from_iterable(map(_inner, words[1:-1])), _last(words[-1])))


@lru_cache(maxsize=REMEMBERED_WORDS)
def stem(word: str) -> str:
    """The stem that nltk's Porter stemmer, with its extensions, makes of a word. Lower case."""
    stemmed: str = _stemmer().stem(word)
    return stemmed


@lru_cache(maxsize=REMEMBERED_WORDS)
def _first(word: str) -> tuple[str, ...]:
    return tuple(_treebank(f"{word} x")[:-1])


@lru_cache(maxsize=REMEMBERED_WORDS)
def _inner(word: str) -> tuple[str, ...]:
    return tuple(_treebank(f"x {word} x")[1:-1])


@lru_cache(maxsize=REMEMBERED_WORDS)
def _last(word: str) -> tuple[str, ...]:
    return tuple(_treebank(f"x {word}")[1:])


def _treebank(text: str) -> list[str]:
    tokens: list[str] = _tokenizer().tokenize(text)
    return tokens


@cache
def _tokenizer() -> Any:
    from nltk.tokenize.treebank import TreebankWordTokenizer

    return TreebankWordTokenizer()


@cache
def _stemmer() -> Any:
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()

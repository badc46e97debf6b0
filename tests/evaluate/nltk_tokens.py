"""The Treebank tokenizer of nltk as the official evaluator has it."""

from __future__ import annotations

import re

from nltk.tokenize.treebank import TreebankWordTokenizer


def by_re(rules: list) -> list:
    return [(re.compile(pattern.pattern), put) for pattern, put in rules]


class Tokenizer(TreebankWordTokenizer):
    """nltk's rules, matched by `re` as in the version that the official evaluator names.

    nltk 3.10 matches with the library `regex`, to which U+001C to U+001F are no white space.
    """

    STARTING_QUOTES = by_re(TreebankWordTokenizer.STARTING_QUOTES)
    PUNCTUATION = by_re(TreebankWordTokenizer.PUNCTUATION)
    ENDING_QUOTES = by_re(TreebankWordTokenizer.ENDING_QUOTES)


TOKENIZER = Tokenizer()

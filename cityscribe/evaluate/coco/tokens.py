"""Treebank tokens of a caption as the profile `coco` compares them: lower-cased, without punctuation.

Imitates the tokenizer that pycocoevalcap calls (the PTBTokenizer of CoreNLP 3.4.1, -lowerCase) and what it drops
afterwards. Written from observed inputs and outputs only. It agrees on captions but for rare abbreviations, addresses
and arithmetic; `evaluate.backend=java` has the original.

Two things are otherwise on purpose. A line break of any kind within a caption is a space, where the original takes a
new caption to begin and shifts all that follow. And a caption is read by itself, where the original lets the first
word of the next one decide whether a final `B.` keeps its dot.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import chain

# Words that keep their dot: anywhere; only when capitalised; only before a number.
ABBREVIATIONS = frozenset(
    """
    adj adm adv al ala alex apr ariz assn asst aug ave bhd bldg blvd brig bros calif capt cf cie cmdr co col
    colo comdr conn corp cos cpl ct dak dec dept dr drs ens esq est etc ext feb fla fri ft ga gen gov hon inc
    ind insp invt jan jos jr jul jun kan ky lt ltd maj mar md messrs mich minn mlle mme mo mon mont mr mrs ms
    msgr mt neb nev nov oct okla penn pfc ph plc pres prof pte pvt rd rep reps rev rt sen sens sep sept seq sfc
    sgt spc sq sr st supt tel tenn thu thurs tue tues univ va vs vt wed wis wm wyo
    """.split()  # noqa: SIM905
)
CAPITALISED_ABBREVIATIONS = frozenset(
    """
    ark az del ill la mass miss ore pa tex wash
    """.split()  # noqa: SIM905
)
NUMBER_ABBREVIATIONS = frozenset(
    """
    art ca fig no nos op pp prop
    """.split()  # noqa: SIM905
)
# After an initial, these begin a sentence.
OPENERS = frozenset(
    """
    A About After An As At But Earlier He Her Here However If In It Last Many More Now Once One Other Our She
    Since So Some Such That The Their Then There These They This We What When While Yet You
    """.split()  # noqa: SIM905
)
DROPPED = frozenset(("''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"))

SIGNS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-", "€": "$", "£": "#"}
COMPOUNDS = {
    **{"cannot": "can not", "gonna": "gon na", "wanna": "wan na", "gotta": "got ta", "gimme": "gim me"},
    **{"lemme": "lem me", "'tis": "'t is", "'twas": "'t was", "more'n": "more 'n"},
    **{":)": ":-rrb-", ":(": ":-lrb-", ";)": ";-rrb-", ";(": ";-lrb-"},
    **{":-)": ":--rrb-", ":-(": ":--lrb-", ";-)": ";--rrb-", ";-(": ";--lrb-"},
}
FRACTIONS = {"½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3", "⅔": "2/3"}
SPELLINGS = str.maketrans(
    {"’": "'", "‘": "'", "“": '"', "”": '"', "–": " -- ", "—": " -- ", "…": " ... ", "\xad": "", "\u200b": " "}
    | {"\ufeff": " "}
    | {fraction: f" {plain} " for fraction, plain in FRACTIONS.items()}
)

CLITIC = r"'(?:[smd]|re|ve|ll)(?![^\W_])"
INNER = r"(?:[^\W_](?!'t(?![^\W_]))|[^\W_](?<!n))"
TOKEN = re.compile(
    rf"""
    </?[a-z][\w-]*/?>                                            # a tag
    | (?:https?://|www\.)[^\s<>"()]+ | [\w.+-]+@[\w-]+(?:\.[\w-]+)+   # an address
    | [^\W\d_][\w-]*\.(?:com|org|net|edu|gov)(?![^\W_])
    | (?:[^\W_]+-)*(?:[^\W\d_]\.)+[^\W\d_](?![^\W_])\.?(?:-[^\W_]+)*   # U.S., U.S.-led
    | ph\.d\.? | [^\W\d_]+\.[^\W\d_]+ | (?:no|p)\.(?=[0-9])
    | &amp; | at&t | [#@][^\W\d_]\w* | [:;]-?[()]
    | '(?:[0-9]0s?|em|til|cause|n'?)(?![^\W_])                   # '90s
    | ol'(?![^\W_])
    | n't(?![^\W_]) | {CLITIC}
    | [+-]?\d*(?:[.,:]\d+)+ | [+-]\d+(?![^\W_])                  # 3.5
    | [^\W_]+?(?=n't(?![^\W_]))                                  # do before n't
    | (?:o|d|c)'[^\W\d_]{{2,}}? (?=(?:{CLITIC})|[^\w']|$) | ma'am
    | (?:y|l)'(?=[^\W_])
    | (?:(?![²³])[^\W_])+(?:[-/_][^\W_]+)*\$?                              # t-shirt, km/h
    | '' | `` | -{{2,}} | \*{{2,}} | \.\.\.+ | [?!]+
    | [^\s]
    """,
    re.VERBOSE | re.IGNORECASE,
)


def caption_tokens(caption: str) -> list[str]:
    """The tokens of a caption, lower-cased, those of punctuation left out. Brackets stay, as `-lrb-` and the like."""
    words = _plain(caption).split()
    tokens = [
        _with_dots(word, after) if "." in word else _inner(word)
        for word, after in zip(words, [*words[1:], ""], strict=False)
    ]
    return list(chain.from_iterable(tokens))


def one_line(caption: str) -> str:
    """A caption with a space in the place of every character that ends a line somewhere, and of half characters."""
    return "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") else c for c in caption)


def _plain(caption: str) -> str:
    if caption.isascii() and caption.isprintable():
        return caption
    return "".join(map(_printable, caption.translate(SPELLINGS)))


@lru_cache(maxsize=1 << 12)
def _printable(character: str) -> str:
    """A character, or a space in the place of one that the original breaks or drops."""
    unusable = (
        unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs", "So")
        and character not in "°№"
    )
    return " " if unusable else character


def _with_dots(word: str, after: str) -> tuple[str, ...]:
    """The tokens of a word with a dot in it, by the word that follows."""
    stem = word.rstrip(".,;:!?\"')")
    ending = word[len(stem) :]
    if not ending.startswith(".") or not stem:
        return _inner(word)
    last = re.split(r"[^\w./-]", stem)[-1]
    following = after[:1]
    keeps = (
        last.lower() in ABBREVIATIONS
        or (last.lower() in CAPITALISED_ABBREVIATIONS and last[:1].isupper())
        or (last.lower() in NUMBER_ABBREVIATIONS and following.isdigit())
        or (len(last) == 1 and last.isalpha() and after not in OPENERS)
        or re.fullmatch(r"(?:[^\W_]+-)*(?:[^\W\d_]{1,2}\.)+[^\W\d_]", last) is not None
    )
    tokens = _inner(stem)
    if keeps and tokens:
        return (*tokens[:-1], f"{tokens[-1]}.", *_inner(ending[1:]))
    return (*tokens, *_inner(ending))


@lru_cache(maxsize=1 << 16)
def _inner(word: str) -> tuple[str, ...]:
    """The tokens of a word without regard to what stands around it."""
    word = word.lower()
    if word.isalpha() and word not in COMPOUNDS:
        return (word,)
    tokens = []
    for found in TOKEN.findall(word) if word not in COMPOUNDS else COMPOUNDS[word].split():
        token = COMPOUNDS.get(found, SIGNS.get(found, "&" if found == "&amp;" else found))
        tokens += [part for part in token.split() if part not in DROPPED and not set(part) <= set("-.'`\"")]
    return tuple(tokens)

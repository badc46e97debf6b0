"""The English stemmer Porter2, as METEOR 1.5 carries it.

The rules are those of M. F. Porter's description (snowballstem.org, "The English (Porter2) stemming algorithm") in
their form of before 2025: Snowball 3 changed some, and METEOR's stems with them. Another stemmer than Porter's of 1980,
which `cityscribe.evaluate.words` has for the profile `wts`.
"""

from __future__ import annotations

from functools import lru_cache

VOWELS = frozenset("aeiouy")
DOUBLES = ("bb", "dd", "ff", "gg", "mm", "nn", "pp", "rr", "tt")
BEFORE_LI = frozenset("cdeghkmnrt")
LONG_PREFIXES = ("gener", "commun", "arsen")  # R1 begins after these

WHOLE_WORDS = {
    "skis": "ski",
    "skies": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "idly": "idl",
    "gently": "gentl",
    "ugly": "ugli",
    "early": "earli",
    "only": "onli",
    "singly": "singl",
} | {word: word for word in ("sky", "news", "howe", "atlas", "cosmos", "bias", "andes")}
AFTER_PLURAL = frozenset(("inning", "outing", "canning", "herring", "earring", "proceed", "exceed", "succeed"))

# Of a step's endings the longest that fits decides, also where its condition then fails.
STEP_2 = {
    "ization": "ize",
    "ational": "ate",
    "fulness": "ful",
    "ousness": "ous",
    "iveness": "ive",
    "tional": "tion",
    "biliti": "ble",
    "lessli": "less",
    "entli": "ent",
    "ation": "ate",
    "alism": "al",
    "aliti": "al",
    "ousli": "ous",
    "iviti": "ive",
    "fulli": "ful",
    "enci": "ence",
    "anci": "ance",
    "abli": "able",
    "izer": "ize",
    "ator": "ate",
    "alli": "al",
    "bli": "ble",
    "ogi": "og",
    "li": "",
}
STEP_3 = {
    "ational": "ate",
    "tional": "tion",
    "alize": "al",
    "icate": "ic",
    "iciti": "ic",
    "ative": "",
    "ical": "ic",
    "ness": "",
    "ful": "",
}
STEP_4 = (
    *("ement", "ance", "ence", "able", "ible", "ment", "ant", "ent", "ism", "ate", "iti", "ous", "ive", "ize", "ion"),
    *("al", "er", "ic"),
)


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """The stem of a lower-case word. A word of two letters or fewer is its own."""
    if word in WHOLE_WORDS:
        return WHOLE_WORDS[word]
    if len(word) <= 2:
        return word
    word = _mark_consonant_y(word.removeprefix("'"))
    r1, r2 = _regions(word)
    word = _without(word, ("'s'", "'s", "'"))
    word = _step_1a(word)
    if word in AFTER_PLURAL:
        return word
    word = _step_1b(word, r1)
    if len(word) > 2 and word[-1] in "yY" and word[-2] not in VOWELS:
        word = word[:-1] + "i"
    word = _step_2(word, r1)
    word = _step_3(word, r1, r2)
    word = _step_4(word, r2)
    word = _step_5(word, r1, r2)
    return word.replace("Y", "y")


def _mark_consonant_y(word: str) -> str:
    """Write y as Y where it is a consonant: at the start, and after a vowel."""
    letters = list(word)
    for place, letter in enumerate(letters):
        if letter == "y" and (place == 0 or letters[place - 1] in VOWELS):
            letters[place] = "Y"
    return "".join(letters)


def _regions(word: str) -> tuple[int, int]:
    """Where R1 and R2 begin: each after the first consonant that follows a vowel, R2 within R1."""
    prefix = next((prefix for prefix in LONG_PREFIXES if word.startswith(prefix)), None)
    r1 = len(prefix) if prefix else _after_syllable(word, 0)
    return r1, _after_syllable(word, r1)


def _after_syllable(word: str, start: int) -> int:
    for place in range(start + 1, len(word)):
        if word[place] not in VOWELS and word[place - 1] in VOWELS:
            return place + 1
    return len(word)


def _without(word: str, endings: tuple[str, ...]) -> str:
    ending = next((ending for ending in endings if word.endswith(ending)), "")
    return word.removesuffix(ending)


def _has_vowel(part: str) -> bool:
    return not VOWELS.isdisjoint(part)


def _ends_short(word: str) -> bool:
    """Whether a word ends in a short syllable."""
    if len(word) == 2:
        return word[0] in VOWELS and word[1] not in VOWELS
    return (
        len(word) > 2
        and word[-1] not in VOWELS
        and word[-1] not in "wxY"
        and word[-2] in VOWELS
        and word[-3] not in VOWELS
    )


def _step_1a(word: str) -> str:
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith(("ied", "ies")):
        return word[:-2] if len(word) > 4 else word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")) and _has_vowel(word[:-2]):
        return word[:-1]
    return word


def _step_1b(word: str, r1: int) -> str:
    ending = next((e for e in ("eedly", "ingly", "edly", "eed", "ing", "ed") if word.endswith(e)), None)
    if ending is None:
        return word
    rest = word.removesuffix(ending)
    if ending.startswith("eed"):
        return rest + "ee" if len(rest) >= r1 else word
    if not _has_vowel(rest):
        return word
    if rest.endswith(("at", "bl", "iz")):
        return rest + "e"
    if rest.endswith(DOUBLES):
        return rest[:-1]
    return rest + "e" if len(rest) == r1 and _ends_short(rest) else rest


def _step_2(word: str, r1: int) -> str:
    ending = next((ending for ending in STEP_2 if word.endswith(ending)), None)
    if ending is None or len(word) - len(ending) < r1:
        return word
    rest = word.removesuffix(ending)
    if (ending == "ogi" and not rest.endswith("l")) or (ending == "li" and rest[-1:] not in BEFORE_LI):
        return word
    return rest + STEP_2[ending]


def _step_3(word: str, r1: int, r2: int) -> str:
    ending = next((ending for ending in STEP_3 if word.endswith(ending)), None)
    if ending is None or len(word) - len(ending) < (r2 if ending == "ative" else r1):
        return word
    return word.removesuffix(ending) + STEP_3[ending]


def _step_4(word: str, r2: int) -> str:
    ending = next((ending for ending in STEP_4 if word.endswith(ending)), None)
    if ending is None or len(word) - len(ending) < r2:
        return word
    rest = word.removesuffix(ending)
    return word if ending == "ion" and rest[-1:] not in ("s", "t") else rest


def _step_5(word: str, r1: int, r2: int) -> str:
    rest = word[:-1]
    if word.endswith("e") and (len(rest) >= r2 or (len(rest) >= r1 and not _ends_short(rest))):
        return rest
    if word.endswith("ll") and len(rest) >= r2:
        return rest
    return word

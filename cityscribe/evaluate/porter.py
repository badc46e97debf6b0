"""Porter's stemmer of 1980 with the extensions of nltk: the stems of METEOR and ROUGE-L in the profile `wts`.

The steps are those of M. F. Porter, "An algorithm for suffix stripping" (Program 14, 1980), in the form that nltk's
`PorterStemmer` has by default: some words are listed, -ied and -ies keep the e of a word of four letters, y becomes i
after a consonant only, and step 2 knows -bli, -fulli and -logi. Another stemmer than Porter2 in `coco/porter2.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

LISTED = {
    "skies": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "innings": "inning",
    "outings": "outing",
    "cannings": "canning",
} | {word: word for word in ("sky", "news", "inning", "outing", "canning", "howe", "proceed", "exceed", "succeed")}

Endings = Sequence[tuple[str, str]]
"""Ending and what replaces it. The first that fits decides, also where its condition then fails."""

STEP_2: Endings = (
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
    ("logi", "log"),
)
STEP_3: Endings = (
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
)
STEP_4 = (
    *("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent"),
    *("ion", "ou", "ism", "ate", "iti", "ous", "ive", "ize"),
)


def porter_stem(word: str) -> str:
    """The stem of a word, lower case. A word of one or two letters is its own."""
    stem = word.lower()
    if stem in LISTED:
        return LISTED[stem]
    if len(word) <= 2:
        return stem
    stem = _y_to_i(_past_and_progressive(_plural(stem)))
    stem = _derived(stem)
    for ending, replacement in STEP_3:
        if stem.endswith(ending):
            rest = stem.removesuffix(ending)
            stem = rest + replacement if _measure(rest) > 0 else stem
            break
    return _final_e_and_ll(_without_step_4_ending(stem))


def _kinds(word: str) -> str:
    """A letter for each of a word: c for a consonant, v for a vowel; y is a vowel after a consonant."""
    kinds = ""
    for letter in word:
        vowel = letter in "aeiou" or (letter == "y" and kinds.endswith("c"))
        kinds += "v" if vowel else "c"
    return kinds


def _measure(word: str) -> int:
    """Porter's m: how often a vowel is followed by a consonant."""
    return _kinds(word).count("vc")


def _ends_short(word: str) -> bool:
    """Porter's *o: consonant, vowel, consonant at the end, the last no w, x or y; or a vowel and a consonant alone."""
    kinds = _kinds(word)
    return kinds == "vc" or (kinds.endswith("cvc") and word[-1] not in "wxy")


def _plural(word: str) -> str:
    """Step 1a."""
    if word.endswith("ies"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("sses"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _past_and_progressive(word: str) -> str:
    """Step 1b."""
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for ending in ("ed", "ing"):
        rest = word.removesuffix(ending)
        if rest != word and "v" in _kinds(rest):
            break
    else:
        return word
    if rest.endswith(("at", "bl", "iz")):
        return rest + "e"
    if len(rest) > 1 and rest[-1] == rest[-2] and _kinds(rest).endswith("c"):
        return rest if rest[-1] in "lsz" else rest[:-1]
    return rest + "e" if _measure(rest) == 1 and _ends_short(rest) else rest


def _y_to_i(word: str) -> str:
    """Step 1c."""
    after_consonant = word.endswith("y") and len(word) > 2 and _kinds(word[:-1]).endswith("c")
    return f"{word[:-1]}i" if after_consonant else word


def _derived(word: str) -> str:
    """Step 2. What -alli leaves is looked at again."""
    for ending, replacement in STEP_2:
        if word.endswith(ending):
            rest = word.removesuffix(ending)
            # The l of -logi belongs to what is measured.
            if _measure(f"{rest}l" if ending == "logi" else rest) == 0:
                return word
            return _derived(rest + replacement) if ending == "alli" else rest + replacement
    return word


def _without_step_4_ending(word: str) -> str:
    """Step 4."""
    for ending in STEP_4:
        if word.endswith(ending):
            rest = word.removesuffix(ending)
            fits = ending != "ion" or rest.endswith(("s", "t"))
            return rest if fits and _measure(rest) > 1 else word
    return word


def _final_e_and_ll(word: str) -> str:
    """Step 5."""
    if word.endswith("e"):
        rest = word[:-1]
        measure = _measure(rest)
        if measure > 1 or (measure == 1 and not _ends_short(rest)):
            word = rest
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word

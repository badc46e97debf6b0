"""What METEOR 1.5 knows about English words, read from its own distribution.

The synonym lists (WordNet 3.0), the irregular forms, the function words and the abbreviations lie in the jar that an
installed `pycocoevalcap` (extra `[coco]`) brings; the paraphrase table lies beside it.
"""

from __future__ import annotations

import zipfile
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from cityscribe.evaluate.coco.normalise import Prefixes
from cityscribe.files import InputError

# WordNet's rules of detachment, morphy(7WN), in the order in which METEOR tries them: nouns, verbs, adjectives.
DETACHMENT = (
    *(
        ("s", ""),
        ("ses", "s"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
    ),
    *(("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    *(("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
)


class Lexicon(NamedTuple):
    synsets: dict[str, str]  # lemma -> numbers of its synsets, separated by spaces
    bases: dict[str, list[str]]  # irregular form -> its base forms
    function_words: frozenset[str]
    prefixes: Prefixes


def package_folder() -> Path:
    """The folder of an installed pycocoevalcap. Raises InputError where there is none."""
    spec = find_spec("pycocoevalcap")
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "profile coco: METEOR needs the data that pycocoevalcap brings; pip install 'cityscribe[coco]'"
        )
    return Path(spec.submodule_search_locations[0])


@lru_cache(maxsize=1)
def read_lexicon(jar: Path) -> Lexicon:
    """Read `meteor-1.5.jar`. Raises InputError where it is missing or holds something else."""
    try:
        with zipfile.ZipFile(jar) as archive:
            names = ("synonym/english.synsets", "synonym/english.exceptions", "function/english.words")
            texts = [archive.read(name).decode("utf-8") for name in (*names, "nonbreaking/english.prefixes")]
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{jar}: not the jar of METEOR 1.5: {error}") from error
    synsets, irregular, function_words, prefixes = (text.split("\n") for text in texts)
    bases: dict[str, list[str]] = {}
    for base, forms in zip(irregular[::2], irregular[1::2], strict=False):
        for form in forms.split():
            bases.setdefault(form, []).append(base)
    abbreviations = [parts for line in prefixes if (parts := line.split()) and not line.startswith("#")]
    return Lexicon(
        dict(zip(synsets[::2], synsets[1::2], strict=False)),
        bases,
        frozenset(filter(None, map(str.strip, function_words))),
        Prefixes(
            frozenset(parts[0] for parts in abbreviations if len(parts) == 1),
            frozenset(parts[0] for parts in abbreviations if len(parts) > 1),
        ),
    )


def synsets_of(lexicon: Lexicon, word: str) -> frozenset[str]:
    """The synsets of a word and of its base forms: those of an irregular form, or else the first by a rule."""
    found = lexicon.synsets.get(word, "").split()
    if word in lexicon.bases:
        for base in lexicon.bases[word]:
            found += lexicon.synsets.get(base, "").split()
    elif len(word) > 2 and not word.endswith("ss"):  # as WordNet itself does
        for ending, base_ending in DETACHMENT:
            if word.endswith(ending) and (base := word[: len(word) - len(ending)] + base_ending) in lexicon.synsets:
                found += lexicon.synsets[base].split()
                break
    return frozenset(found)

from __future__ import annotations

import gzip
import random
import shutil
import subprocess
import sys
from importlib.resources import files
from itertools import product
from pathlib import Path

import nltk
import pytest
from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.data import FileSystemPathPointer
from nltk.stem.porter import PorterStemmer

from cityscribe.evaluate import wordnet
from cityscribe.evaluate.wordnet import synonyms
from cityscribe.evaluate.wordnet.build import PARTS_OF_SPEECH, build
from cityscribe.files import InputError

DICT = Path("/usr/share/wordnet")  # where the Debian package wordnet-base puts the files of WordNet 3.0
needs_dict = pytest.mark.skipif(
    not (DICT / "data.noun").is_file(), reason="no files of WordNet 3.0 here (Debian: apt-get install wordnet-base)"
)
NAMES = [f"{kind}.{part}" for kind, part in product(("index", "data"), PARTS_OF_SPEECH)]
NAMES += [f"{part}.exc" for part in PARTS_OF_SPEECH]
LICENCE = "  1 This software and database is free,\n  2\n  3 if you say so.\n"
SMALL = {
    "data.noun": LICENCE
    + "00000100 05 n 03 goose 0 grey_goose 0 Anser 1 000 | a bird; 'honk'\n00000200 05 n 01 car 0 000 | a machine\n"
    + "00000400 05 n 01 traffic_light 0 000 | of this only names with underscore\n",
    "index.noun": LICENCE
    + "goose n 1 1 @ 1 0 00000100\ngrey_goose n 1 0 1 0 00000100\nanser n 1 0 1 0 00000100\ncar n 1 0 1 0 00000200\n"
    + "traffic_light n 1 0 1 0 00000400\n",
    "noun.exc": "geese goose\ncars cart\n",
    "data.adj": "00000300 00 s 02 near(a) 0 close(p) 0 000 | here\n",
    "index.adj": "near a 1 0 1 0 00000300\nclose a 1 0 1 0 00000300\n",
}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Files as WordNet has them, of four synsets."""
    folder = tmp_path / "dict"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_text(SMALL.get(name, LICENCE))
    return folder


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("vehicle", {"vehicle", "fomite"}),
        ("vehicles", {"vehicle", "fomite"}),
        ("Vehicle", {"vehicle", "fomite"}),
        ("vehicl", set()),
        ("", set()),
        ("日本", set()),
        ("paris", {"Paris"}),
        ("ice_cream", {"icecream"}),
    ],
)
def test_what_a_word_leads_to(word: str, expected: set[str]) -> None:
    assert synonyms(word) == expected


def test_inflected_words_lead_to_the_synonyms_of_their_base_forms() -> None:
    assert "walker" in synonyms("pedestrians")
    assert "goose" in synonyms("geese")
    assert "travel" in synonyms("went")
    assert {"leftover", "depart"} <= synonyms("left")


def test_the_rules_of_detachment_are_applied_once() -> None:
    assert "evaluate" in synonyms("assess")
    assert "behind" not in synonyms("assess")


def test_the_licence_comes_with_the_table() -> None:
    folder = files(wordnet)
    licence = folder.joinpath("LICENSE.txt").read_text()
    assert "WordNet 3.0 Copyright 2006 by Princeton University." in licence
    assert gzip.decompress(folder.joinpath(wordnet.TABLE).read_bytes()).decode().startswith(licence)


def test_the_table_of_a_small_wordnet(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "table.gz"
    assert build(small, out) == 8
    assert gzip.decompress(out.read_bytes()).decode() == LICENCE + (
        "anser\tAnser goose\t\t\t\n"
        "car\tcar\t\t\t\n"
        "cars\t!\t\t\t\n"
        "close\t\t\tclose near\t\n"
        "geese\t!Anser goose\t\t\t\n"
        "goose\tAnser goose\t\t\t\n"
        "grey_goose\tAnser goose\t\t\t\n"
        "near\t\t\tclose near\t\n"
    )
    assert (tmp_path / "LICENSE.txt").read_text() == LICENCE


def test_equal_files_give_equal_bytes(small: Path, tmp_path: Path) -> None:
    outs = [tmp_path / "a" / "table.gz", tmp_path / "b" / "table.gz"]
    for out in outs:
        out.parent.mkdir()
        build(small, out)
    assert outs[0].read_bytes() == outs[1].read_bytes()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("data.noun", None, r"data\.noun: No such file"),
        ("verb.exc", None, r"verb\.exc: No such file"),
        ("data.noun", "00000100 05 n\n", r"data\.noun: line 1: not a synset"),
        ("index.adj", LICENCE + "near a 1 0 1 0 00000999\n", r"index\.adj: line 4: not a lemma"),
        ("index.noun", "goose n many\n", r"index\.noun: line 1: not a lemma"),
        ("data.adv", "café\n", r"data\.adv: byte 3: not ASCII"),
    ],
)
def test_files_of_another_kind_are_named(
    small: Path, tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    if text is None:
        (small / name).unlink()
    else:
        (small / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        build(small, tmp_path / "table.gz")
    assert not (tmp_path / "table.gz").exists()


def test_the_command_builds_a_table_or_says_what_is_wrong(small: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cityscribe.evaluate.wordnet"]
    done = subprocess.run([*command, small, tmp_path / "table.gz"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    failed = subprocess.run([*command, tmp_path, tmp_path / "other.gz"], capture_output=True, text=True)
    assert failed.returncode == 2
    assert failed.stderr.startswith(f"{tmp_path}/data.noun: No such file")
    assert failed.stderr.count("\n") == 1


@needs_dict
def test_the_table_of_the_package_is_that_of_wordnet(tmp_path: Path) -> None:
    build(DICT, tmp_path / wordnet.TABLE)
    for name in (wordnet.TABLE, "LICENSE.txt"):
        built, shipped = (tmp_path / name).read_bytes(), files(wordnet).joinpath(name).read_bytes()
        if name == wordnet.TABLE:
            built, shipped = gzip.decompress(built), gzip.decompress(shipped)
        assert built == shipped


@needs_dict
def test_synonyms_are_those_of_nltk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = tmp_path / "corpora" / "wordnet"
    corpus.mkdir(parents=True)
    for name in NAMES:
        shutil.copyfile(DICT / name, corpus / name)
    # nltk opens these too, but synonyms do not depend on what they say.
    (corpus / "lexnames").write_text("".join(f"{number:02d}\tname\t0\n" for number in range(45)))
    (corpus / "index.sense").touch()
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])  # nltk reads nothing from elsewhere
    with pytest.warns(UserWarning, match="multilingual"):
        reader = WordNetCorpusReader(FileSystemPathPointer(str(corpus)), None)
    rng = random.Random(0)
    words = rng.sample(sorted(reader.all_lemma_names()), 2000)
    words += [form.split()[0] for part in PARTS_OF_SPEECH for form in (DICT / f"{part}.exc").open()]
    endings = ("s", "es", "ed", "ing", "er", "est", "ies", "men", "ss")
    words += [word + rng.choice(endings) for word in rng.sample(words, 2000)]
    words += [PorterStemmer().stem(word) for word in words]
    for word in words:
        names = (name for synset in reader.synsets(word) for name in synset.lemma_names())
        assert synonyms(word) == {name for name in names if "_" not in name}, word

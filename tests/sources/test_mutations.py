"""Damaged data give problems with file and place, never a traceback or a hang.

Each data set is copied and one of its files is damaged at a seeded place. CITYSCRIBE_MUTATIONS=500 makes more copies
(60 is the normal number).
"""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cityscribe.files import InputError
from cityscribe.records import Problem, Sample, write_samples
from cityscribe.sources import SOURCES
from cityscribe.sources.boxes.track import frame_of_image
from cityscribe.sources.tracks import read_tracks
from cityscribe.traffic.sentences import split_sentences
from tests.sources.small_sets import BOXES, SMALL_SETS

MUTATIONS = int(os.environ.get("CITYSCRIBE_MUTATIONS", "60"))
LONG_LINE = 100_000_000 if MUTATIONS >= 500 else 200_000
LIMIT_S = 10

ODD: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 10**30, -(10**400), float("nan"), float("inf"), 1e308, "", " ", "<image>", "../x"),
    *(
        "\ud800",
        "\x00",
        "a" * 5000,
        "/etc/passwd",
        "http://a/b",
        [],
        {},
        [[]],
        [None],
        {"a": 1},
        [{}],
        ["x"] * 50,
        "1e999",
    ),
]
DATA = (".json", ".jsonl", ".yaml", ".xml", ".csv", ".txt", ".parquet", ".arrow")


def nodes(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all values inside a JSON value."""
    found = [place]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        found += nodes(part, (*place, key))
    return found


def damaged_json(value: Any, draw: random.Random) -> Any:
    value = copy.deepcopy(value)
    place = draw.choice(nodes(value)[1:] or [()])
    if not place:
        return draw.choice(ODD)
    inside = value
    for key in place[:-1]:
        inside = inside[key]
    what = draw.randrange(5)
    if what == 0:
        del inside[place[-1]]
    elif what == 1 and isinstance(inside, dict):
        inside[draw.choice(["", "renamed", "\ud800", "Image"])] = inside.pop(place[-1])
    elif what == 2 and isinstance(inside, list):
        inside.insert(place[-1], draw.choice(ODD))
    elif what == 3:
        deep: Any = 1
        for _ in range(draw.choice([50, 800])):
            deep = [deep] if draw.random() < 0.5 else {"type": deep}
        inside[place[-1]] = deep
    else:
        inside[place[-1]] = copy.deepcopy(draw.choice(ODD))
    return value


def damaged_bytes(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content) + 1)
    end = min(at + draw.randrange(1, 40), len(content))
    text = content.decode("utf-8", "replace")
    return [
        lambda: content[:at],
        lambda: content[:at] + bytes(draw.randrange(256) for _ in range(8)) + content[end:],
        lambda: content[:at] + content[end:],
        lambda: content[:end] + content[at:],
        lambda: text.encode("utf-16"),
        lambda: text.encode("utf-8").replace(b"e", b"\xe9"),
        lambda: content[:at] + draw.choice([b"[", b'{"a":']) * 100_000 + content[at:],
        lambda: content[:at] + draw.choice([b"x", b"9", b" "]) * LONG_LINE + content[at:],
        lambda: b"",
        lambda: (
            content[:at]
            + draw.choice([b"NaN", b"-1", b"1e400", b"0", b"9" * 5000, b'"', b"\x00", b",,,,"])
            + content[end:]
        ),
        lambda: b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "' + b"c" * 999 + b'">]><annotations>&b;</annotations>',
    ][draw.randrange(11)]()


def damage(root: Path, draw: random.Random) -> str:
    """Damage one file below a folder; what was done, in words."""
    path = draw.choice(sorted(path for path in root.rglob("*") if path.suffix in DATA))
    if draw.random() < 0.02:
        path.unlink()
        return f"{path.name} gone"
    content = path.read_bytes()
    if path.suffix in (".json", ".jsonl") and draw.random() < 0.6:
        if path.suffix == ".json":
            written = json.dumps(damaged_json(json.loads(content), draw))
        else:
            lines = content.decode().splitlines()
            at = draw.randrange(len(lines))
            lines[at] = json.dumps(damaged_json(json.loads(lines[at]), draw))
            written = "\n".join(lines) + "\n"
        path.write_text(written, encoding="utf-8")
        return f"{path.name} as {written[:3000]}"
    path.write_bytes(damaged_bytes(content, draw))
    return f"{path.name} as {path.read_bytes()[:3000]!r}"


def survives(root: Path, read: Callable[[], tuple[list[Sample], list[Problem]]], what: str) -> tuple[int, int]:
    """Read and look at what came out. Returns how many samples and problems there were."""
    began = time.process_time()  # a busy machine is no hang
    try:
        samples, problems = read()
    except InputError as error:
        return 0, len(str(error))
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}, from {what}") from error
    assert time.process_time() - began < LIMIT_S, what
    for problem in problems:
        assert problem.file, what
        assert len(str(problem).encode()) < 20_000, what
    # What was read can be stored, and shows nothing from outside.
    write_samples(root / "written.out", samples)
    for sample in samples:
        for image in sample.images:
            assert (root / image.partition("#")[0]).resolve().is_relative_to(root.resolve()), what
    return len(samples), len(problems)


@pytest.mark.parametrize("name", list(SMALL_SETS))
def test_damaged_conversations(name: str, tmp_path: Path) -> None:
    source, write = SMALL_SETS[name]
    write(tmp_path / "whole", True)
    found = 0
    for seed in range(MUTATIONS):
        root = tmp_path / "copy"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(tmp_path / "whole", root)
        what = damage(root, random.Random(f"{name}/{seed}"))
        found += survives(root, lambda: SOURCES[source].read(tmp_path / "copy"), what)[1] > 0
    # Most damage is noticed; some is harmless, such as other words in a text.
    assert found > MUTATIONS / 4


@pytest.mark.parametrize("name", list(BOXES))
def test_damaged_boxes(name: str, tmp_path: Path) -> None:
    BOXES[name](tmp_path / "whole")
    for seed in range(MUTATIONS):
        root = tmp_path / "copy"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(tmp_path / "whole", root)
        what = damage(root, random.Random(f"{name}/{seed}"))
        survives(root, lambda: ([], read_tracks(tmp_path / "copy")[1]), what)


def test_no_pattern_is_tried_at_every_place_of_a_long_text(tmp_path: Path) -> None:
    write = SMALL_SETS["animal-kingdom"][1]
    write(tmp_path, True)
    path = tmp_path / "annotation" / "train.txt"
    path.write_text(path.read_text().replace("whooper", "whooper" + 300_000 * " "))
    began = time.process_time()
    assert survives(tmp_path, lambda: SOURCES["animal-kingdom"].read(tmp_path), "a long sentence")[0] > 0
    name = "clip" + 100_000 * "-"
    assert frame_of_image(f"{name}frame_7.png") == ("clip", 7)
    assert frame_of_image(f"{name}x7.png") == (f"{name}x", 7)
    assert split_sentences("So" + 100_000 * "!" + "x. Then.") == ["So" + 100_000 * "!" + "x.", "Then."]
    assert time.process_time() - began < LIMIT_S

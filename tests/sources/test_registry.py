"""The seam `source`: what every member keeps to, and that a member of somebody else's is taken as any other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cityscribe.files import InputError
from cityscribe.records import Problem, Sample, message, text_block
from cityscribe.registry import registry
from cityscribe.sources import SOURCES, ConversationSource, ScenarioSource
from cityscribe.sources.reading import check_data, conversation_source, scenario_source
from cityscribe.traffic.meta import TrafficMeta


@pytest.mark.parametrize("name", SOURCES.names())
def test_every_source_names_a_missing_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none: no such folder"):
        SOURCES[name].read(tmp_path / "none")


def test_the_sources_say_what_they_yield() -> None:
    scenarios = [name for name in SOURCES if SOURCES[name].yields == "scenarios"]
    assert scenarios == ["wts", "clips"]
    assert isinstance(scenario_source("wts"), ScenarioSource)
    with pytest.raises(InputError, match="source wts: brings scenarios"):
        conversation_source("wts")
    with pytest.raises(InputError, match="source llava: brings conversations"):
        scenario_source("llava")


def read_notes(root: Path, *, files: tuple[str, ...] = (), frames: int = 4) -> tuple[list[Sample], list[Problem]]:
    texts = {path.stem: path.read_text() for path in sorted(root.glob("*.note"))}
    samples = [
        Sample((message("user", text_block(text)),), (), name, TrafficMeta(name, kind="chat"))
        for name, text in texts.items()
        if text
    ]
    return samples, [Problem("error", f"{name}.note", "", "is empty") for name, text in texts.items() if not text]


def test_a_source_of_somebody_else_is_one_entry(tmp_path: Path) -> None:
    (tmp_path / "a.note").write_text("What colour?")
    (tmp_path / "b.note").write_text("")
    SOURCES.add("notes", ConversationSource(read_notes), "notes of a test")
    try:
        assert "notes" in registry("source").names()
        assert [str(problem) for problem in check_data("notes", tmp_path)] == ["error: b.note: is empty"]
        assert [sample.group for sample in conversation_source("notes").read(tmp_path)[0]] == ["a"]
    finally:
        SOURCES.remove("notes")


def test_what_is_no_source_is_refused_when_it_is_asked_for() -> None:
    SOURCES.add("broken", read_notes, "of a test")
    try:
        with pytest.raises(InputError, match="source broken: is no ScenarioSource or ConversationSource"):
            SOURCES["broken"]
    finally:
        SOURCES.remove("broken")


def test_listing_the_sources_loads_nothing_heavy() -> None:
    import subprocess

    code = "import sys, cityscribe.sources as s; s.SOURCES.names(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "pyarrow", "av", "PIL"} & set(loaded)

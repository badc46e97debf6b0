"""Remove what a run holds of one scenario, and leave it out of all later runs.

    forget(settings, "SCENARIO", progress)

First the scenario is excluded (`prepare.exclusions`), then what was made of it goes: pages, journals, checkpoints of an
unfinished training and caches as a whole, entries of JSON files, images, and last of all the rows of the samples, by
which a call that was killed knows what is left to do. What a model has learned stays in its weights: checkpoints are
named, and `cityscribe run` trains again. The data set itself is not touched.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markupsafe import escape

from cityscribe.files import InputError, read_json, remove_folder, write_json, write_text
from cityscribe.pipeline.folders import locked, remove_what_was_being_removed
from cityscribe.pipeline.lineage import learned_from
from cityscribe.prepare.exclusions import exclude, excluded
from cityscribe.prepare.stage import safe_name
from cityscribe.progress import Progress, silent
from cityscribe.project import Settings
from cityscribe.records import Sample, read_samples, text_of, write_samples
from cityscribe.train.settings import BEST

SPLITS = ("train", "val", "test")

WHOLE = ("report", "reference", "teacher", "pairs", "tokens", "checkpoints", BEST, "labels")
"""Folders that are made again, and hold what cannot be told apart by scenario."""

NAMED_BY = ("scenario", "id", "group", "key", "name", "question", "sample", "segment")
"""Members by which an entry says what it is about."""

PAGES = (".html", ".json", ".jsonl", ".csv", ".md", ".txt")
"""Files beside the runs in which other commands may have written texts of a scenario."""

SHORTEST = 12
"""Characters of a text by which it is looked for: shorter ones are everybody's."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was removed, and what is left."""

    removed: dict[str, int]  # counts by kind
    shared_images: int  # that other scenarios show too, and that stay
    checkpoints: tuple[str, ...]  # that have learned from it, and how
    elsewhere: tuple[str, ...]  # what holds it outside of this run
    unread: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a scenario is known by in the files of a run."""

    name: str
    ids: frozenset[str]  # of its questions and groups, which nothing else has
    texts: tuple[bytes, ...]  # that only its samples hold, as they stand in files

    def is_meant(self, value: object) -> bool:
        """Whether a key or a value names the scenario or a part of it."""
        if not isinstance(value, str):
            return False
        return value == self.name or value in self.ids or value.startswith((f"{self.name}/", f"{self.name}#"))

    def is_named_in(self, line: str) -> bool:
        """Whether the name stands in a line as a whole: `clip1` in `clip1_front.mp4`, and not in `clip10.mp4`."""
        return re.search(rf"(?<![^\W_]){re.escape(self.name)}(?![^\W_])", line) is not None

    def is_in(self, content: bytes) -> bool:
        return any(text in content for text in self.texts)


def forget(settings: Settings, scenario: str, progress: Progress = silent) -> Forgotten:
    """Remove a scenario from the run of these settings; the same call goes on where one was killed.

    Raises InputError where neither the run nor its data set knows the scenario, and where another process works in the
    run folder.
    """
    folder, runs, source = settings.run_dir, settings.runs, settings.data.source
    if not folder.is_dir():
        raise InputError(f"{folder}: no such run")
    with locked(folder):
        remove_what_was_being_removed(folder)
        samples = {split: _samples(folder, split) for split in SPLITS}
        if scenario not in excluded(runs, source):
            _refuse_unknown(settings, scenario, samples)
        lineage = learned_from(runs, source, scenario)
        found = {os.path.relpath(one.folder, runs): one.how for one in lineage.checkpoints}
        named = exclude(runs, source, scenario, found)
        subject = _subject(scenario, [sample for of in samples.values() for sample in of])
        removed, shared = _remove(settings, subject, samples, progress)
    return Forgotten(
        removed=dict(removed),
        shared_images=shared,
        checkpoints=tuple(f"{runs / name} ({how})" for name, how in sorted(named.items())),
        elsewhere=(
            *(f"the run {run}" for run in lineage.holding if run.resolve() != folder.resolve()),
            *(str(page) for page in _pages_beside(runs) if subject.is_in(page.read_bytes())),
        ),
        unread=lineage.unread,
    )


def _samples(folder: Path, split: str) -> list[Sample]:
    file = folder / "prepared" / f"{split}.parquet"
    return read_samples(file, rejected=True) if file.is_file() else []


def _refuse_unknown(settings: Settings, scenario: str, samples: dict[str, list[Sample]]) -> None:
    """Raises InputError where a scenario is neither in the run nor in its data set: a misspelt name forgets nothing."""
    known = {sample.meta.scenario for of in samples.values() for sample in of}
    if scenario not in known:
        known |= _in_data(settings)
    if scenario not in known:
        near = difflib.get_close_matches(scenario, sorted(known), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"{scenario}: neither {settings.run_dir} nor its data set has a scenario of this name{hint}")


def _in_data(settings: Settings) -> set[str]:
    from cityscribe.sources import SOURCES
    from cityscribe.sources.reading import read_conversations, read_scenarios

    try:
        if SOURCES[settings.data.source].yields == "scenarios":
            return {scenario.name for scenario in read_scenarios(settings.data)[0]}
        return {sample.meta.scenario for sample in read_conversations(settings.data)[0]}
    except InputError:  # the data set is not there any more
        return set()


def _subject(name: str, samples: list[Sample]) -> _Subject:
    own = [sample for sample in samples if sample.meta.scenario == name]
    others = [sample for sample in samples if sample.meta.scenario != name]
    shared = "\n".join(sorted({text for sample in others for text in _texts(sample)}))
    ids = {value for sample in own for value in (sample.meta.question, sample.group)}
    ids -= {value for sample in others for value in (sample.meta.question, sample.group)}
    texts = sorted({text for sample in own for text in _texts(sample) if text not in shared and len(text) >= SHORTEST})
    written = {form for text in texts for form in (text, json.dumps(text)[1:-1], str(escape(text)))}
    return _Subject(name, frozenset(ids - {""}), tuple(form.encode() for form in sorted(written)))


def _texts(sample: Sample) -> Iterator[str]:
    return (text_of(message).strip() for message in sample.messages)


def _remove(
    settings: Settings, subject: _Subject, samples: dict[str, list[Sample]], progress: Progress
) -> tuple[Counter[str], int]:
    folder, removed = settings.run_dir, Counter[str]()
    steps = 5
    for place in _whole_places(folder):
        removed["folders and journals that are made again"] += 1
        remove_folder(place) if place.is_dir() else place.unlink()
    progress(1, steps)
    for file in _files(folder):
        if file.suffix == ".json":
            removed["entries of files"] += _rewrite(file, subject)
        elif file.suffix == ".jsonl":
            removed["entries of files"] += _rewrite_lines(file, subject)
    progress(2, steps)
    for file in _files(folder):
        if subject.is_in(file.read_bytes()):
            file.unlink()
            removed["other files that held its texts"] += 1
    progress(3, steps)
    shared = _remove_images(folder, subject, samples, removed)
    progress(4, steps)
    for split, of_split in samples.items():
        kept = [sample for sample in of_split if sample.meta.scenario != subject.name]
        if len(kept) < len(of_split):
            pairs = any(sample.preference is not None for sample in kept)
            file = folder / "prepared" / f"{split}.parquet"
            write_samples(file, kept, type(of_split[0].meta), preferences=pairs)
            removed["samples"] += len(of_split) - len(kept)
    progress(steps, steps)
    return removed, shared


def _whole_places(folder: Path) -> list[Path]:
    """What goes as a whole: leftovers of stopped work, journals, caches, pages, and stamps that name files."""
    found: set[Path] = set()
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        if here == folder / "prepared":
            folders[:] = [name for name in folders if name != "images"]
        found |= {here / name for name in folders if name in WHOLE}
        found |= {here / name for name in (*folders, *files) if ".partial" in name or name.endswith(".begun.json")}
        if here != folder / "prepared":  # rows of other stages, which are packed so that no text is found in them
            found |= {here / name for name in files if name.endswith(".parquet")}
        folders[:] = [name for name in folders if here / name not in found and name != "model"]
    found |= {folder / "state" / name for name in ("prepare.json", "digests.json", "sha256.json")}
    return sorted(place for place in found if place.exists())


def _files(folder: Path) -> Iterator[Path]:
    """The files of a run that texts may stand in: all but weights, images and samples."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in ("model", "images"))
        yield from (Path(parent, name) for name in sorted(files) if not name.endswith((".parquet", ".safetensors")))


def _rewrite(file: Path, subject: _Subject) -> int:
    """Remove the entries of a JSON file that are about a scenario; how many."""
    if file.name == "project.yaml" or file.parent.name == "state":
        return 0
    value, count = _without(read_json(file), subject)
    if count:
        write_json(file, value)
    return count


def _rewrite_lines(file: Path, subject: _Subject) -> int:
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not _line_is_about(line, subject)]
    if len(kept) < len(lines):
        write_text(file, "".join(kept))
    return len(lines) - len(kept)


def _line_is_about(line: str, subject: _Subject) -> bool:
    try:
        value = json.loads(line)
    except ValueError:
        return subject.is_named_in(line)
    _, count = _without([value], subject)
    return count > 0 or subject.is_named_in(line)  # a path in the message of a problem


def _without(value: object, subject: _Subject) -> tuple[object, int]:
    """A JSON value without what is about a scenario (members of its name, and entries that name it), and how many."""
    if isinstance(value, dict):
        kept = {key: inner for key, inner in value.items() if not subject.is_meant(key) and not _names(inner, subject)}
        members = {key: _without(inner, subject) for key, inner in kept.items()}
        count = len(value) - len(kept) + sum(count for _, count in members.values())
        return {key: inner for key, (inner, _) in members.items()}, count
    if isinstance(value, list):
        left = [inner for inner in value if not subject.is_meant(inner) and not _names(inner, subject)]
        items = [_without(inner, subject) for inner in left]
        return [inner for inner, _ in items], len(value) - len(left) + sum(count for _, count in items)
    return value, 0


def _names(entry: object, subject: _Subject) -> bool:
    """Whether an entry is one of the scenario, which a member of it names."""
    return isinstance(entry, dict) and any(subject.is_meant(entry.get(name)) for name in NAMED_BY)


def _remove_images(folder: Path, subject: _Subject, samples: dict[str, list[Sample]], removed: Counter[str]) -> int:
    """Remove the images that only a scenario shows; how many others show too."""
    prepared = folder / "prepared"
    own, others = set[str](), set[str]()
    for sample in (sample for of_split in samples.values() for sample in of_split):
        (own if sample.meta.scenario == subject.name else others).update(sample.images)
    files = {prepared / image for image in own - others}
    for split in SPLITS:  # also what a sample that was left out showed
        home = prepared / "images" / split / safe_name(subject.name)
        files |= {file for file in home.rglob("*") if str(file.relative_to(prepared)) not in others}
    for file in sorted(file for file in files if file.is_file()):
        file.unlink()
        removed["images"] += 1
    for parent in sorted({parent for file in files for parent in file.parents}, reverse=True):  # inner ones first
        if parent.is_dir() and parent.is_relative_to(prepared / "images") and not any(parent.iterdir()):
            parent.rmdir()
    return len(own & others)


def _pages_beside(runs: Path) -> Iterator[Path]:
    """Files of other commands beside the runs, such as pages that compare runs."""
    for folder in sorted(place for place in runs.iterdir() if place.is_dir()):
        if not (folder / "project.yaml").is_file():
            yield from sorted(file for file in folder.iterdir() if file.is_file() and file.suffix in PAGES)

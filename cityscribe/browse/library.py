"""What is browsed, read once: the scenarios of a data set with what a run made of them, or the conversations of a run.

    library = open_library(Path("runs/demo"), settings, Path("runs/demo"))     # or a data set without a run

An entry is a row of the page's list. It is known by an id made of its split and name; nothing that a browser sends is
ever part of a path.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from cityscribe.browse.corrections import Corrections, open_corrections
from cityscribe.files import InputError
from cityscribe.predict.settings import results_in
from cityscribe.prepare.stage import safe_name
from cityscribe.prepare.views import why_phase_is_left_out, why_view_is_left_out
from cityscribe.records import read_sample_table, text_of
from cityscribe.report.run_files import Run, SkippedEntry, read_lines, read_run
from cityscribe.report.samples import phase_points
from cityscribe.report.settings import Reporting
from cityscribe.sources import SOURCES
from cityscribe.sources.reading import read_scenarios
from cityscribe.sources.recognise import found_in
from cityscribe.traffic.scenario import PHASES, Scenario

SPLITS = ("train", "val", "test")

CORRECTABLE = ("wts",)
"""The formats whose files can be written with corrections."""


@dataclass(eq=False, slots=True)
class LibraryEntry:
    """A row of the list: a scenario, or the conversations about one group of images."""

    id: str
    name: str
    split: str
    domain: str
    views: int  # of conversations: images
    boxed: bool  # any view has a box
    left_out: int  # things of it that are left out in preparing
    points: float | None  # mean over its phases, of the run's own model; None where it is not scored
    text: str  # its captions, questions and answers: what a search looks into
    folded: str = field(init=False)  # the same for comparing without regard to capital letters

    def __post_init__(self) -> None:
        self.folded = self.text.casefold()


class AnswerLine(BaseModel):
    """A line of `predictions.jsonl`, as far as it is shown."""

    model_config = ConfigDict(frozen=True)

    question: str = ""
    images: tuple[str, ...] = ()
    answer: str = ""
    reference: str = ""
    chosen: str = ""
    problem: str = ""


class SkippedLine(BaseModel):
    """A line of `skipped.jsonl` of conversations."""

    scenario: str = ""


@dataclass(slots=True)
class Library:
    """Everything that the page can show. Of a data set without a run, `run` is None and there are no samples."""

    title: str
    kind: str  # "scenarios" or "conversations"
    settings: Reporting
    entries: tuple[LibraryEntry, ...]
    scenarios: dict[str, Scenario] = field(default_factory=dict)  # by id
    run: Run | None = None
    prepared: Path | None = None  # the folder that image paths of samples are relative to
    tables: dict[str, pa.Table] = field(default_factory=dict)  # samples by split
    rows: dict[str, list[int]] = field(default_factory=dict)  # id -> its rows in the table of its split
    skipped: dict[str, list[SkippedEntry]] = field(default_factory=dict)  # by id
    answers: dict[tuple[str, str], list[AnswerLine]] = field(default_factory=dict)  # of conversations: by
    # question and images
    problems: int = 0  # found in reading the data set
    found: str = ""  # what was read of a data set, in counts
    corrections: Corrections | None = None  # None where the layout of the data set is not one that can be written
    follow_links: bool = False  # also show what a link inside the data set names outside of it

    def leads_out(self, path: Path) -> bool:
        """Whether a file of the data set is a link to somewhere else: a data set from others must not be able to show
        the files of this machine."""
        return not self.follow_links and not path.resolve().is_relative_to(self.settings.data.path.resolve())

    def replace_scenario(self, id: str, scenario: Scenario) -> None:
        """Show another state of a scenario, such as a corrected one."""
        self.scenarios[id] = scenario
        self.entries = tuple(
            replace(entry, boxed=_is_boxed(scenario), text=_text(scenario, self.run)) if entry.id == id else entry
            for entry in self.entries
        )

    def samples_of(self, id: str) -> list[dict[str, Any]]:
        """The samples of an entry as rows of their table (`records.sample_schema`)."""
        rows = self.rows.get(id)
        found: list[dict[str, Any]] = self.tables[id.partition("-")[0]].take(rows).to_pylist() if rows else []
        return found


def entry_id(split: str, name: str) -> str:
    """The id of an entry, fit for an address: split and name; a name that is not fit is made so and kept distinct."""
    return f"{split}-{safe_name(name)}"


def open_library(target: Path, settings: Reporting, run_dir: Path | None = None) -> Library:
    """Read a data set, `target`, or the run in `run_dir`, by the settings of its project.

    Raises InputError for conversations that are not prepared, and for a file of a run that is malformed.
    """
    if SOURCES[settings.data.source].yields == "conversations":
        if run_dir is None:
            raise InputError(
                f"{target}: conversations are browsed once they are prepared: give the project file or runs/NAME"
            )
        return _conversations(settings, run_dir)
    return _scenarios(settings, run_dir, target)


def _scenarios(settings: Reporting, run_dir: Path | None, target: Path) -> Library:
    read, problems = read_scenarios(settings.data)
    scenarios = {entry_id(scenario.split, scenario.name): scenario for scenario in read}
    corrections = None
    if settings.data.source in CORRECTABLE:
        corrections, scenarios = open_corrections(settings, scenarios)
    library = Library(
        title=f"run {run_dir.resolve().name}" if run_dir else target.resolve().name,
        kind="scenarios",
        settings=settings,
        entries=(),
        scenarios=scenarios,
        corrections=corrections,
        problems=sum(problem.level != "note" for problem in problems),
        found=found_in(settings.data.source, read),
    )
    points: Mapping[tuple[str, int], float] = {}
    if run_dir is not None:
        library.run = read_run(run_dir, settings)
        points = phase_points(library.run)
        for skip in library.run.skipped or ():
            library.skipped.setdefault(entry_id(skip.split, skip.scenario), []).append(skip)
        _add_samples(library, run_dir / "prepared", "scenario")
    scored: dict[str, list[float]] = {}
    for (name, _), value in points.items():
        scored.setdefault(name, []).append(value)
    library.entries = tuple(
        LibraryEntry(
            id=id,
            name=scenario.name,
            split=scenario.split,
            domain=scenario.domain,
            views=len(scenario.views),
            boxed=_is_boxed(scenario),
            left_out=len(library.skipped.get(id, ())) if run_dir else would_be_left_out(scenario, settings),
            points=fmean(scored[scenario.name]) if scenario.name in scored else None,
            text=_text(scenario, library.run),
        )
        for id, scenario in library.scenarios.items()
    )
    return library


def _is_boxed(scenario: Scenario) -> bool:
    return any(boxes for view in scenario.views for boxes in view.boxes.values())


def would_be_left_out(scenario: Scenario, settings: Reporting) -> int:
    """How many views and phases of a scenario training would leave out, as far as its annotated boxes tell.

    Boxes without a phase are not looked at: to place them, each video would have to be opened.
    """
    if scenario.split != "train":
        return 0
    kept = [view for view in scenario.views if not why_view_is_left_out(view)]
    phases = [bool(why_phase_is_left_out(v, phase.number, settings.prepare)) for v in kept for phase in v.phases]
    return len(scenario.views) - len(kept) + sum(phases)


def _text(scenario: Scenario, run: Run | None) -> str:
    """The distinct captions of a scenario, and what the run's models said of it, a line each."""
    captions = [caption for view in scenario.views for phase in view.phases for caption in phase.captions.values()]
    for model in run.models if run else ():
        for phase in range(len(PHASES)):
            captions += (model.captions or {}).get((scenario.name, phase), {}).values()
    return "\n".join(dict.fromkeys([scenario.name, *filter(None, captions)]))


def _add_samples(library: Library, prepared: Path, key: str) -> None:
    """Read the samples, and note whose they are: `key` is "scenario" or "group"."""
    library.prepared = prepared
    for split in SPLITS:
        path = prepared / f"{split}.parquet"
        if not path.is_file():
            continue
        table = library.tables[split] = read_sample_table(path)
        column = (
            table["group"]
            if key == "group"
            else pa.chunked_array([chunk.field(key) for chunk in table["meta"].chunks], type=pa.string())
        )
        for row, name in enumerate(column.to_pylist()):
            library.rows.setdefault(entry_id(split, name), []).append(row)


def _conversations(settings: Reporting, run_dir: Path) -> Library:
    prepared = run_dir / "prepared"
    library = Library(f"run {run_dir.resolve().name}", "conversations", settings, ())
    _add_samples(library, prepared, "group")
    if not library.tables:
        raise InputError(f"{prepared}: no prepared samples; run `cityscribe prepare` first")
    for line in read_lines(results_in(run_dir, settings.predict.split) / "predictions.jsonl", AnswerLine) or ():
        library.answers.setdefault(_asked(line.question, line.images), []).append(line)
    skips = Counter(skip.scenario for skip in read_lines(prepared / "skipped.jsonl", SkippedLine) or ())
    first: dict[str, dict[str, Any]] = {}
    texts: dict[str, list[str]] = {}
    for split, table in library.tables.items():
        for batch in table.to_batches():
            for sample in batch.to_pylist():
                id = entry_id(split, sample["group"])
                first.setdefault(id, sample)
                said = [block["text"] for entry in sample["messages"] for block in entry["content"]]
                said += [line.answer for line in answers_to(library, sample)]
                texts.setdefault(id, [sample["group"]]).extend(filter(None, said))
    library.entries = tuple(
        LibraryEntry(
            id=id,
            name=sample["group"],
            split=sample["meta"]["split"],
            domain=sample["meta"]["domain"],
            views=len(sample["images"]),
            boxed=True,
            left_out=skips[sample["meta"]["scenario"]],
            points=None,
            text="\n".join(dict.fromkeys(texts[id])),
        )
        for id, sample in first.items()
    )
    return library


def answers_to(library: Library, sample: Mapping[str, Any]) -> list[AnswerLine]:
    """The lines of `predictions.jsonl` that answer the last question of a sample."""
    asked = [entry for entry in sample["messages"] if entry["role"] == "user"]
    question = text_of(asked[-1]) if asked else ""
    return library.answers.get(_asked(question, sample["images"]), [])


def _asked(question: str, images: Iterable[str]) -> tuple[str, str]:
    return question, "\0".join(images)

"""What a run folder holds, read and checked: all that the report is made from.

A file that is not there leaves its part empty, and the page says so; a file that is there and malformed is an error. Of
two groups about one phase, prediction has refused before: the first one counts here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from cityscribe.evaluate.registries import POINTS
from cityscribe.evaluate.text_files import json_lines, text_of_file
from cityscribe.files import InputError, read_json
from cityscribe.predict.settings import results_in
from cityscribe.records import Sample, read_samples, text_of
from cityscribe.report.settings import Reporting
from cityscribe.traffic.meta import traffic_meta
from cityscribe.traffic.metrics.caption_files import read_predictions
from cityscribe.traffic.metrics.consistency import SegmentFacts
from cityscribe.traffic.scenario import PHASES, ROLES

TUNED, BASE = OWN = ("tuned", "base")
"""What the model of a run is called: one that the run tuned, and one that it asked as it is."""

BASELINES = ("untuned", "blind", "majority")
"""The baselines that the project knows, in the order of the page; any other folder of `baselines/` follows by name."""

T = TypeVar("T")

PhaseKey = tuple[str, int]
"""Scenario, index into PHASES."""

SegmentKey = tuple[str, int, str]
"""Scenario, index into PHASES, role."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class CaptionMetrics(_Entry):
    """The metrics as the evaluation writes them: CIDEr-D in [0, 10], the others in [0, 1]. The four of the score, and
    what a profile has beyond them."""

    bleu_1: float | None = Field(None, alias="bleu-1")
    bleu_2: float | None = Field(None, alias="bleu-2")
    bleu_3: float | None = Field(None, alias="bleu-3")
    bleu: float
    meteor: float
    rouge_l: float = Field(alias="rouge-l")
    cider: float

    def points(self) -> dict[str, float]:
        """Each metric of the score in its points; the score is their mean."""
        values = {"bleu": self.bleu, "meteor": self.meteor, "rouge-l": self.rouge_l, "cider": self.cider}
        return {metric: worth * values[metric] for metric, worth in POINTS.items()}

    def all_points(self) -> dict[str, float]:
        """Those of the score after the shorter BLEUs, where the profile has them."""
        shorter = {"bleu-1": self.bleu_1, "bleu-2": self.bleu_2, "bleu-3": self.bleu_3}
        return {name: POINTS["bleu"] * value for name, value in shorter.items() if value is not None} | self.points()

    def score(self) -> float:
        points = self.points()
        return sum(points.values()) / len(points)


class DomainEntry(_Entry):
    """One domain in `scores.json`. A road user without references is left out."""

    pedestrian: CaptionMetrics | None = None
    vehicle: CaptionMetrics | None = None
    mean: CaptionMetrics
    segments: int  # phases that have a reference
    score: float


class Scores(_Entry):
    """`scores.json`. A domain without references is left out."""

    internal: DomainEntry | None = None
    external: DomainEntry | None = None
    score: float

    def domains(self) -> dict[str, DomainEntry]:
        both = {"internal": self.internal, "external": self.external}
        return {name: scores for name, scores in both.items() if scores is not None}


class AttributeCounts(_Entry):
    """One attribute in `attributes.json`: counts of segments."""

    attribute: str
    about: str
    stated: int = Field(gt=0)
    right: int
    contradicted: int
    omitted: int
    extra: int
    unclear: int
    constant: int
    confusions: tuple[tuple[str, str, int], ...]

    def share(self, kind: Literal["right", "contradicted", "omitted", "constant"]) -> float:
        """Of what the references state, in [0, 1]."""
        counts = {
            "right": self.right,
            "contradicted": self.contradicted,
            "omitted": self.omitted,
            "constant": self.constant,
        }
        return counts[kind] / self.stated


class Kept(_Entry):
    """Of how many scenarios that state a fixed attribute more than once all statements agree."""

    predictions: int
    predictions_kept: int
    references: int
    references_kept: int


class Steps(_Entry):
    """What steps from a phase to the next do to an attribute that can change."""

    steps: int
    together: int
    missed: int
    invented: int
    changes: int


class Consistency(_Entry):
    fixed: dict[str, Kept]
    changing: dict[str, Steps]


class Reading(_Entry):
    """How many sentences there were, and in how many nothing was read."""

    sentences: int
    unread: int


class Attributes(_Entry):
    """`attributes.json`."""

    attributes: tuple[AttributeCounts, ...]
    mean: dict[str, float]
    consistency: Consistency
    reading: dict[Literal["references", "predictions"], Reading]
    segments: dict[str, SegmentFacts]


class CurvePoint(_Entry):
    """A line of `curve.jsonl`: the loss in nats an answer token, the learning rate; the loss on val where it was looked
    at."""

    step: int
    loss: float
    lr: float | None = None
    val_loss: float | None = None


class SkippedEntry(_Entry):
    """A line of `skipped.jsonl`."""

    split: str
    scenario: str
    what: str
    why: str
    view: str = ""
    phase: int = Field(-1, ge=-1, lt=len(PHASES))
    role: str = ""


class ShortAnswer(_Entry):
    """An answer that is less than one, such as one that was cut."""

    scenario: str
    phase: int
    target: str
    problem: Literal["empty", "cut", "non-finite"]


class Notes(_Entry):
    """`predictions.json.notes.json`. What it says of raw frames, the prepared data say as well."""

    answers: tuple[ShortAnswer, ...] = ()


class Prepared(_Entry):
    """What the page says in words of `prepare.json`."""

    scenarios: dict[str, int] = {}
    samples: dict[str, dict[str, int]] = {}


class Evaluation(_Entry):
    """What the page says in words of `scores.provenance.json`."""

    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AskedPhase:
    """One phase that was asked about: its images, and for each role the question and the reference caption."""

    scenario: str
    phase: int  # index into PHASES
    domain: str
    view: str
    view_kind: str
    images: tuple[str, ...]  # relative to the prepared data
    marked: tuple[str, ...]
    note: str
    questions: dict[str, str] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)  # empty where the data set withholds it

    @property
    def key(self) -> PhaseKey:
        return self.scenario, self.phase


@dataclass(frozen=True, slots=True)
class EvaluatedModel:
    """The model of the run, or a baseline: what it said, and what that is worth."""

    name: str
    captions: dict[PhaseKey, dict[str, str]] | None  # by role; None where it has not predicted
    scores: Scores | None
    segments: dict[SegmentKey, CaptionMetrics] | None
    attributes: Attributes | None
    problems: dict[SegmentKey, str]
    curve: tuple[CurvePoint, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """Everything of a run folder. `None` stands for a file that is not there."""

    split: str
    models: tuple[EvaluatedModel, ...]  # the model of the run first
    phases: tuple[AskedPhase, ...]
    skipped: tuple[SkippedEntry, ...] | None
    prepared: Prepared | None
    prepare_counts: Any
    training_facts: Any
    evaluation: Evaluation | None
    provenance: Any
    box_areas: dict[str, float] | None  # square pixels by SCENARIO/PHASE/ROLE
    project: str | None  # project.yaml
    gates: Any = None  # gates.json, where the questions before and after the tuning were asked

    @property
    def tuned(self) -> EvaluatedModel:
        return self.models[0]

    @property
    def baselines(self) -> tuple[EvaluatedModel, ...]:
        return self.models[1:]


def read_run(run_dir: Path, settings: Reporting) -> Run:
    """Read a run folder. Raises InputError that names the file that is malformed, or the folder that is missing."""
    if not run_dir.is_dir():
        raise InputError(f"{run_dir}: no such run; `cityscribe run` makes it")
    prepared, results = run_dir / "prepared", results_in(run_dir, settings.predict.split)
    counts, provenance = prepared / "prepare.json", results / "scores.provenance.json"
    project_file = run_dir / "project.yaml"
    return Run(
        split=settings.predict.split,
        models=_read_models(run_dir, results, own_name(settings)),
        phases=_read_phases(prepared / f"{settings.predict.split}.parquet"),
        skipped=read_lines(prepared / "skipped.jsonl", SkippedEntry),
        prepared=_read(counts, Prepared),
        prepare_counts=_read(counts, dict),
        training_facts=_read(run_dir / "training" / "report.json", dict) if settings.model.tunes else None,
        evaluation=_read(provenance, Evaluation),
        provenance=_read(provenance, dict),
        box_areas=_read(results / "boxes.json", dict[str, float]),
        project=text_of_file(project_file) if project_file.is_file() else None,
        gates=_read(run_dir / "gates.json", dict) if settings.model.tunes else None,
    )


def own_name(settings: Reporting) -> str:
    """What the model of a run with these settings is called."""
    return TUNED if settings.model.tunes else BASE


def read_curve(name: str, home: Path) -> tuple[CurvePoint, ...]:
    """The training curve of a model; empty where it has none. What an earlier tuning left is not the base's."""
    path = home / "training" / "curve.jsonl"
    return () if name == BASE else read_lines(path, CurvePoint) or ()


def _read_models(run_dir: Path, results: Path, own: str) -> tuple[EvaluatedModel, ...]:
    folder = results / "baselines"
    found = {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()
    known = [name for name in BASELINES if name in found]
    names = known + sorted(found.difference(known))
    baselines = (_read_model(name, folder / name, run_dir / "baselines" / name) for name in names)
    return (_read_model(own, results, run_dir), *baselines)


def _read_model(name: str, folder: Path, home: Path) -> EvaluatedModel:
    """A model that is trained in `home`, by what it said, which lies in `folder`."""
    predictions, segments = folder / "predictions.json", folder / "segments.json"
    captions = None
    if predictions.is_file():
        said = read_predictions(predictions)
        captions = {(scene, phase): said[scene][phase].captions for scene in said for phase in said[scene]}
    metrics = _read(segments, dict[str, CaptionMetrics])
    notes = _read(folder / "predictions.json.notes.json", Notes) or Notes()
    return EvaluatedModel(
        name=name,
        captions=captions,
        scores=_read(folder / "scores.json", Scores),
        segments=None if metrics is None else {_segment_key(key, segments): metrics[key] for key in metrics},
        attributes=_read(folder / "attributes.json", Attributes),
        problems={(note.scenario, note.phase, note.target): note.problem for note in notes.answers},
        curve=read_curve(name, home),
    )


def _segment_key(key: str, path: Path) -> SegmentKey:
    scenario, phase, role = ["", "", *key.rsplit("/", 2)][-3:]
    if phase not in map(str, range(len(PHASES))) or role not in ROLES:
        raise InputError(f"{path}: {key!r}: expected SCENARIO/PHASE/ROLE, such as video1/0/pedestrian")
    return scenario, int(phase), role


def _read_phases(path: Path) -> tuple[AskedPhase, ...]:
    """The phases with a long question, in order of scenario and phase."""
    phases: dict[PhaseKey, AskedPhase] = {}
    groups: dict[PhaseKey, str] = {}
    for sample in read_samples(path) if path.is_file() else ():
        meta = traffic_meta(sample)
        if meta.kind != "long" or meta.phase < 0 or not sample.messages:
            continue
        key = (meta.scenario, meta.phase)
        if groups.setdefault(key, sample.group) != sample.group:
            continue
        phase = phases.setdefault(key, _asked_phase(sample))
        phase.questions[meta.target] = text_of(sample.messages[0])
        phase.references[meta.target] = text_of(sample.messages[1]) if len(sample.messages) > 1 else ""
    return tuple(phases[key] for key in sorted(phases))


def _asked_phase(sample: Sample) -> AskedPhase:
    meta = traffic_meta(sample)
    return AskedPhase(
        meta.scenario, meta.phase, meta.domain, meta.view, meta.view_kind, sample.images, meta.marked, meta.note
    )


def _read(path: Path, kind: type[T]) -> T | None:
    return _checked(path, read_json(path), kind) if path.is_file() else None


def read_lines(path: Path, kind: type[T]) -> tuple[T, ...] | None:
    """The lines of a JSON-lines file, None where there is no file. Raises InputError naming a line of another shape."""
    if not path.is_file():
        return None
    return tuple(_checked(path, value, kind, f"{place}: ") for place, value in json_lines(path))


def _checked(path: Path, value: Any, kind: type[T], place: str = "") -> T:
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'the value'}: {fault['msg']}" for fault in error.errors()]
        more = f" (and {len(faults) - 1} more faults)" if len(faults) > 1 else ""
        raise InputError(f"{path}: {place}{faults[0]}{more}; write it again with the stage that made it") from error

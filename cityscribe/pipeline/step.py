"""What a stage declares, and the plan of a run that follows from it.

def steps(plan: Plan) -> Iterator[Step]:
    yield Step("tally", "", reads=("seed",), after=("prepare",), writes=("tally.json",), make=...)

STAGES.add("tally", steps, "counts the samples")
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cityscribe.pipeline.digests import Digests
from cityscribe.project import Settings
from cityscribe.registry import Registry

StepProgress = Callable[..., None]
"""Called with what is done and what is to be done, and in training with the loss."""

Watch = Callable[[str], AbstractContextManager[StepProgress]]
"""Shows the progress of the step that it is called with."""


@dataclass(frozen=True)
class Step:
    """A stage for the model of the run, or for a baseline. Places are relative to the run folder; a folder ends in /.

    `make(made_from, progress)` writes what is declared, each file or folder whole or not at all. `made_from` is the
    hash of all that the step is made from: what a killed call left beside the results can be told by it.
    """

    stage: str
    variant: str  # "" for the model of the run, or the name of a baseline
    make: Callable[[str, StepProgress], None]
    reads: tuple[str, ...]  # settings, or whole sections, such as "seed" and "train.epochs"
    but_not: tuple[str, ...] = ()  # those among them that change nothing in what is written
    files: tuple[str, ...] = ()  # digests of what lies outside of the run folder, as `Plan.digests` gives them
    after: tuple[str, ...] = ()  # the names of the steps whose results it reads
    writes: tuple[str, ...] = ()
    may_write: tuple[str, ...] = ()  # what is there for some data only
    leftovers: tuple[str, ...] = ()  # what it needs to go on when it was stopped, and nobody when it is done
    shared: tuple[str, ...] = ()  # what another run of the same settings and inputs can take, as hard links
    left_to: tuple[str, ...] = ()  # files in what it writes that are another step's
    part_of: str = ""  # a stage that makes this step too where it is asked for alone
    copied: tuple[str, ...] = ()  # the same, as copies: a later step of this stage may write into it
    settings: Settings | None = None  # of this variant, where they are not those of the run
    split: str = ""  # of the data, where it is another than val: each has results of its own
    apart: bool = False  # whether it is long enough for a process of its own, beside steps that need nothing of it

    @property
    def name(self) -> str:
        return " ".join(filter(None, (self.stage, self.variant, self.split)))


PACKED = "packed"
"""The folder of the model of a run with its weights in a few bits."""

OF_A_SPLIT = ("predict", "evaluate")
"""Stages whose results are those of one split."""


@dataclass(frozen=True)
class Variant:
    """The model of a run, or a baseline that it is compared with."""

    name: str  # "" for the model of the run
    home: Path  # the folder of its model
    results: Path  # the folder of its answers and scores
    settings: Settings
    trains: bool

    @property
    def prefix(self) -> str:
        """Of the places of its model and training in the run folder."""
        return f"baselines/{self.name}/" if self.name else ""

    @property
    def split(self) -> str:
        """What its steps about a split are told apart by; nothing for val."""
        return "" if self.settings.predict.split == "val" else self.settings.predict.split

    @property
    def results_prefix(self) -> str:
        """Of the places of its answers and scores in the run folder."""
        return f"{self.split}/{self.prefix}" if self.split else self.prefix

    def step(self, stage: str) -> str:
        """The name of one of its steps."""
        split = self.split if stage in OF_A_SPLIT else ""
        return " ".join(filter(None, (stage, self.name, split)))

    @property
    def trained(self) -> str:
        """The folder or hub id of its weights as they were trained."""
        return str(self.home / "model") if self.trains else self.settings.model.base

    @property
    def model(self) -> str:
        """The folder or hub id of what answers."""
        return str(self.home / PACKED) if self.packed else self.trained

    @property
    def packed(self) -> bool:
        """Whether what answers has its weights in a few bits; baselines stay as they were trained."""
        return self.settings.quantise.packs and not self.name


@dataclass
class Plan:
    """All steps of a run in order, with the hash of what each is made from."""

    settings: Settings
    digests: Digests = field(default_factory=Digests)
    steps: dict[str, Step] = field(default_factory=dict)
    made_from: dict[str, str] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, object]:
        """For a process that makes one step: what its function reads. The steps of other members may not travel."""
        return {**vars(self), "steps": {}}

    @classmethod
    def of(cls, settings: Settings, digests: Digests | None = None) -> Plan:
        """The plan of the stages of `STAGES`. Raises InputError for data that is not there."""
        plan = cls(settings, digests or Digests())
        for stage in STAGES:
            for step in STAGES[stage](plan):
                plan._add(step)
        return plan

    @property
    def folder(self) -> Path:
        return self.settings.run_dir

    @cached_property
    def variants(self) -> tuple[Variant, ...]:
        """The model of the run and its baselines."""
        settings, tunes = self.settings, self.settings.model.tunes
        blind = settings.model_copy(update={"train": settings.train.model_copy(update={"images": False})})
        results = settings.results_dir
        return (
            Variant("", self.folder, results, settings, tunes),
            *(
                Variant(
                    name,
                    self.folder / "baselines" / name,
                    results / "baselines" / name,
                    blind if name == "blind" else settings,
                    tunes and name != "untuned",
                )
                for name in settings.predict.baselines
            ),
        )

    @cached_property
    def yields_scenarios(self) -> bool:
        """Whether the data set is one of scenarios, whose captions are scored, rather than of conversations."""
        from cityscribe.sources import SOURCES

        return SOURCES[self.settings.data.source].yields == "scenarios"

    def read_by(self, step: Step) -> dict[str, object]:
        """The settings that decide what a step writes, as JSON values by section or by name."""
        values = (step.settings or self.settings).model_dump(mode="json")
        for name in step.but_not:
            _remove(values, name)
        return {name: _value(values, name) for name in step.reads}

    def _add(self, step: Step) -> None:
        read = self.read_by(step)
        before = [self.made_from[name] for name in step.after]
        plain = json.dumps([step.stage, read, step.files, before], sort_keys=True)
        self.made_from[step.name] = hashlib.sha256(plain.encode()).hexdigest()
        self.steps[step.name] = step


def _value(values: Any, name: str) -> Any:
    for part in name.split("."):
        values = values[part]
    return values


def _remove(values: Any, name: str) -> None:
    *sections, last = name.split(".")
    for part in sections:
        values = values[part]
    del values[last]


STAGES: Registry[Callable[[Plan], Iterator[Step]]] = Registry("stage", "the stages of a run, in order")
_HOME = "cityscribe.pipeline.stages"
STAGES.add("prepare", f"{_HOME}.prepare:steps", "data set to samples: views, boxes, images, questions")
STAGES.add("prompts", f"{_HOME}.prompts:steps", "questions put together for what their frames show")
STAGES.add("pairs", f"{_HOME}.pairs:steps", "chosen and rejected answers for a training by comparison")
STAGES.add(
    "reference", f"{_HOME}.reference:steps", "what the model says before the training, for objectives that compare"
)
STAGES.add(
    "teacher", f"{_HOME}.teacher:steps", "what the teacher says of the samples, for objectives that learn from it"
)
STAGES.add("train", f"{_HOME}.train:steps", "samples to a tuned model")
STAGES.add("quantise", f"{_HOME}.quantise:steps", "the tuned model in four or eight bits")
STAGES.add("predict", f"{_HOME}.predict:steps", "the model's answers to the questions of a split")
STAGES.add("evaluate", f"{_HOME}.evaluate:steps", "answers and references to scores")
STAGES.add("report", f"{_HOME}.report:steps", "a page that shows the run")
STAGES.add("card", f"{_HOME}.card:steps", "model card and bill of materials, beside the weights")
STAGES.add("ladder", f"{_HOME}.ladder:steps", "steps that are taken one after the other, and what each is worth")

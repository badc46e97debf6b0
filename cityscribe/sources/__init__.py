"""The formats that data sets are read from, one module each.

A source of scenarios takes the folder of a data set and the wanted splits, and gives the scenarios and the problems
that it found. A source of conversations takes the folder, the files wanted of it and the number of frames that a video
is shown by, and gives samples (see `records.Sample` on how they name images) and problems. Either can be checked: all
problems, with those that only the images and videos show. Each says how sure it is that a folder is in its format, by
the names in it (`recognise`), and what it looks for.

    SOURCES["llava"].read(Path("data/llava"))      # samples and problems
    SOURCES["wts"].yields                          # "scenarios"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from cityscribe.files import InputError
from cityscribe.records import Problem, Sample
from cityscribe.registry import Registry
from cityscribe.sources.listing import Certainty, Listing, never
from cityscribe.traffic.scenario import Scenario

Yields = Literal["scenarios", "conversations"]


def nothing_beside(root: Path) -> list[Path]:
    """Of a format that reads its root alone."""
    return []


@dataclass(frozen=True, slots=True)
class ScenarioSource:
    """A format of scenarios."""

    yields: ClassVar[Yields] = "scenarios"

    read: Callable[..., tuple[list[Scenario], list[Problem]]]  # (root, *, splits)
    check: Callable[..., tuple[list[Scenario], list[Problem]]]  # (root, *, open_videos, progress): the same, with the
    # problems of its videos
    beside: Callable[[Path], list[Path]] = nothing_beside  # files that are read outside of the root
    recognise: Callable[[Listing], Certainty] = never
    looks_for: str = ""  # what `recognise` looks for, in words
    init: Mapping[str, Any] = field(default_factory=dict)  # settings of a project on such data that are no defaults
    licence: str = ""  # that the data set of this format is published under; empty of a format of anybody's data


@dataclass(frozen=True, slots=True)
class ConversationSource:
    """A format of conversations."""

    yields: ClassVar[Yields] = "conversations"

    read: Callable[..., tuple[list[Sample], list[Problem]]]  # (root, *, files, frames), and tracks where it takes boxes
    against: str = ""  # the class that answers are counted against where `evaluate.against` names none
    submission: Callable[[Path, Path], int] | None = None  # writes from predictions.jsonl what is handed in
    beside: Callable[[Path], list[Path]] = nothing_beside  # files that are read outside of the root
    takes_boxes: bool = False  # whether `read` takes `tracks`, a path of boxes for its videos (`data.tracks`)
    recognise: Callable[[Listing], Certainty] = never
    looks_for: str = ""  # what `recognise` looks for, in words
    init: Mapping[str, Any] = field(default_factory=dict)  # settings of a project on such data that are no defaults
    licence: str = ""  # that the data set of this format is published under; empty of a format of anybody's data


Source = ScenarioSource | ConversationSource


def _is_source(name: str, member: object) -> None:
    if not isinstance(member, ScenarioSource | ConversationSource):
        raise InputError(f"source {name}: is no ScenarioSource or ConversationSource")


SOURCES: Registry[Source] = Registry("source", "the format of a data set", check=_is_source)
SOURCES.add("wts", "cityscribe.sources.wts:SOURCE", "WTS with BDD_PC_5K: phases, captions", paper="Kong et al. 2024")
SOURCES.add("clips", "cityscribe.sources.clips:SOURCE", "a folder of videos without any annotation")
SOURCES.add("table", "cityscribe.sources.table:SOURCE", "clips and a table about them, CSV or Excel")
SOURCES.add("llava", "cityscribe.sources.llava:SOURCE", "LLaVA JSON and mixtures of it")
SOURCES.add("sharegpt", "cityscribe.sources.sharegpt:SOURCE", "the data folder of LLaMA-Factory")
SOURCES.add("messages", "cityscribe.sources.messages:SOURCE", "messages and images, as TRL and ms-swift train on")
SOURCES.add("datasets", "cityscribe.sources.hf_datasets:SOURCE", "tables of Hugging Face datasets, Parquet files")
SOURCES.add("wts-vqa", "cityscribe.sources.wts_vqa:SOURCE", "the questions with options of WTS")
SOURCES.add("drivelm", "cityscribe.sources.drivelm:SOURCE", "DriveLM-nuScenes", paper="Sima et al. 2023")
SOURCES.add("lingoqa", "cityscribe.sources.lingoqa:SOURCE", "LingoQA", paper="Marcu et al. 2023")
SOURCES.add("nuscenes-qa", "cityscribe.sources.nuscenes_qa:SOURCE", "NuScenes-QA", paper="Qian et al. 2023")
SOURCES.add("bdd-x", "cityscribe.sources.bddx:SOURCE", "BDD-X: what a car does, and why", paper="Kim et al. 2018")
SOURCES.add("jaad", "cityscribe.sources.jaad:SOURCE", "JAAD: what pedestrians do", paper="Rasouli et al. 2017")
SOURCES.add(
    "video-qa", "cityscribe.sources.video_qa:SOURCE", "MSVD-QA, MSRVTT-QA, ActivityNet-QA, Video-ChatGPT's form"
)
SOURCES.add("ucf-crime", "cityscribe.sources.ucf_crime:SOURCE", "UCF-Crime as questions", paper="Sultani et al. 2018")
SOURCES.add("animal-kingdom", "cityscribe.sources.animal_kingdom:SOURCE", "Animal Kingdom", paper="Ng et al. 2022")
SOURCES.add("labels", "cityscribe.sources.labels:SOURCE", "what `cityscribe label` and a person say of clips")
SOURCES.add("benchmark", "cityscribe.sources.benchmarks:SOURCE", "the questions of a benchmark, by its folder's name")

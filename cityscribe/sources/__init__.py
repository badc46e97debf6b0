"""The formats that data sets are read from, one module each.

A source of scenarios takes the folder of a data set and the wanted splits, and gives the scenarios and the problems
that it found. A source of samples brings whole conversations: it takes the folder, the files wanted of it and the
number of frames that a video is shown by, and gives samples (see `records.Sample` on how they name images) and
problems. A check takes the folder and gives all problems, with those that only the images and videos show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from cityscribe.files import InputError
from cityscribe.records import Problem
from cityscribe.settings import DataSettings
from cityscribe.sources.animal_kingdom import read_animal_kingdom
from cityscribe.sources.bddx import read_bddx
from cityscribe.sources.check import check_samples, check_wts
from cityscribe.sources.drivelm import read_drivelm
from cityscribe.sources.hf_datasets import read_datasets
from cityscribe.sources.jaad import read_jaad
from cityscribe.sources.lingoqa import read_lingoqa
from cityscribe.sources.llava import read_llava
from cityscribe.sources.messages import read_messages
from cityscribe.sources.nuscenes_qa import read_nuscenes_qa
from cityscribe.sources.sharegpt import read_sharegpt
from cityscribe.sources.tracks import read_tracks, with_tracks
from cityscribe.sources.ucf_crime import read_ucf_crime
from cityscribe.sources.video_qa import read_video_qa
from cityscribe.sources.wts import read_wts
from cityscribe.sources.wts_vqa import read_wts_vqa
from cityscribe.traffic.scenario import Scenario

SOURCES = {"wts": read_wts}
SAMPLE_SOURCES = {
    "llava": read_llava,
    "sharegpt": read_sharegpt,
    "messages": read_messages,
    "datasets": read_datasets,
    "wts-vqa": read_wts_vqa,
    "drivelm": read_drivelm,
    "lingoqa": read_lingoqa,
    "nuscenes-qa": read_nuscenes_qa,
    "bdd-x": read_bddx,
    "jaad": read_jaad,
    "video-qa": read_video_qa,
    "ucf-crime": read_ucf_crime,
    "animal-kingdom": read_animal_kingdom,
}
CHECKS: dict[str, Callable[..., list[Problem]]] = {
    "wts": check_wts,
    **{name: partial(check_samples, read) for name, read in SAMPLE_SOURCES.items()},
}

__all__ = ["CHECKS", "SAMPLE_SOURCES", "SOURCES", "check_wts", "nothing_usable", "read_scenarios", "read_wts"]


def read_scenarios(data: DataSettings) -> tuple[list[Scenario], list[Problem]]:
    """The scenarios of a data set, with the boxes of `tracks` where that is set, and all problems. Raises InputError
    where no scenario can be used."""
    scenarios, problems = SOURCES[data.source](data.path)
    if data.tracks is not None:
        tracks, more = read_tracks(data.tracks)
        scenarios, problems = with_tracks(scenarios, tracks), [*problems, *more]
    if not scenarios:
        raise nothing_usable(data.path, problems)
    return scenarios, problems


def nothing_usable(data: Path, problems: Sequence[Problem], kind: str = "scenario") -> InputError:
    """What to raise where all of a data set is left out; it says the first reason."""
    first = f"; {problems[0]}" if problems else ""
    return InputError(f"{data}: no {kind} can be used; see `cityscribe check`{first}")

"""What lies at a place, told by its name and by the names in it: for commands that are given something else than they
take.

    what_is(Path("clip.mp4"))            # "a video"
    project_file("runs/demo")            # runs/demo/project.yaml
"""

from __future__ import annotations

from pathlib import Path

from cityscribe.files import InputError, at_home
from cityscribe.media.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES

PROJECT = "project.yaml"
"""The settings of a run, in its folder."""

RUN, RUNS, CHECKPOINT, DATA_SET, CLIPS = (
    *("a run folder", "a folder of runs", "the checkpoint of a model"),
    *("the folder of a data set", "a folder of clips"),
)
VIDEO, PICTURE, TEXT, YAML, JSON = "a video", "a picture", "a text for people", "a YAML file", "a JSON file"
FOLDER, FILE, NOTHING = "a folder", "a file", "nothing"

SUFFIXES = {
    **dict.fromkeys(VIDEO_SUFFIXES, VIDEO),
    **dict.fromkeys(IMAGE_SUFFIXES, PICTURE),
    **dict.fromkeys((".md", ".rst", ".html", ".htm", ".pdf", ".doc", ".docx"), TEXT),
    **dict.fromkeys((".yaml", ".yml"), YAML),
    **dict.fromkeys((".json", ".jsonl"), JSON),
    **dict.fromkeys((".csv", ".tsv", ".xls", ".xlsx", ".ods"), "a table"),
    **dict.fromkeys((".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"), "an archive"),
    **dict.fromkeys((".safetensors", ".bin", ".pt", ".pth", ".gguf"), "a file of weights"),
}

SEEN = 1000
"""Names in a folder that are looked at: it may hold millions."""


def what_is(path: Path) -> str:
    """What lies at a place, in words for messages: one of the names above."""
    try:
        if not path.exists():
            return NOTHING
        return _folder(path) if path.is_dir() else SUFFIXES.get(path.suffix.lower(), FILE)
    except OSError:  # a name that is too long, a folder that may not be read
        return NOTHING


def _folder(folder: Path) -> str:
    if (folder / PROJECT).is_file():
        return RUN
    if (folder / "config.json").is_file() or (folder / "adapter_config.json").is_file():
        return CHECKPOINT
    inside = [path for path, _ in zip(folder.iterdir(), range(SEEN), strict=False)]
    if any((path / PROJECT).is_file() for path in inside):
        return RUNS
    if {"annotations", "videos"} & {path.name.lower() for path in inside}:
        return DATA_SET
    return CLIPS if any(path.suffix.lower() in VIDEO_SUFFIXES for path in inside) else FOLDER


def project_file(place: str | Path) -> Path:
    """The project file that a place means: itself, or that of a run folder. Raises InputError for what is neither.

    A file that is not there is left to who reads it.
    """
    path = at_home(place)
    found = what_is(path)
    if found == RUN:
        return path / PROJECT
    if found in (NOTHING, YAML, FILE):
        return path
    hint = {
        RUNS: f"name one of its runs: {_some_runs(path)}",
        CHECKPOINT: "name it as model.base in one; `cityscribe serve` asks a checkpoint as it is",
        DATA_SET: f"`cityscribe init project.yaml --data {path}` writes one for it",
        CLIPS: f"`cityscribe init project.yaml --data {path}` writes one for it, with data.source: clips",
        VIDEO: f"`cityscribe describe {path} --model runs/NAME --output table.csv` describes clips",
        JSON: "`cityscribe score` scores files of answers",
    }.get(found, "`cityscribe init` writes one")
    raise InputError(f"{path}: is {found}; expected a project file or a run folder (runs/NAME): {hint}")


def _some_runs(folder: Path) -> str:
    runs = sorted(str(file.parent) for file in folder.glob(f"*/{PROJECT}"))
    return ", ".join(runs[:5]) + (", ..." if len(runs) > 5 else "")


def refuse_other_than_json(path: Path, what: str) -> None:
    """Raises InputError for a file of answers that is something else; what is not there is left to who reads it."""
    found = what_is(path)
    if found in (JSON, FILE, NOTHING):
        return
    hint = f"; `cityscribe evaluate {path}` scores what a run has predicted" if found in (RUN, YAML) else ""
    raise InputError(f"{path}: is {found}; expected {what}{hint}")


def folder_of_data(place: str | Path) -> Path:
    """A folder that may hold a data set. Raises InputError for anything else, with what to give instead."""
    path = at_home(place)
    found = what_is(path)
    if path.is_dir():
        return path
    if found == NOTHING:
        raise InputError(f"{path}: no such folder")
    hint = {
        VIDEO: f"give the folder that holds it: {path.parent}",
        PICTURE: f"give the folder that holds it: {path.parent}",
        JSON: f"give the folder that holds it: {path.parent}; `--submission` takes what is to be handed in",
        "an archive": "unpack it first",
    }.get(found, f"give the folder that holds the data: {path.parent}")
    raise InputError(f"{path}: is {found}; expected the folder of a data set: {hint}")

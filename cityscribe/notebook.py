"""The few calls of a notebook; `import cityscribe` gives them by their names, and imports nothing heavy.

    import cityscribe

    project = cityscribe.load("project.yaml", {"train.lr": 1e-4})     # or a run folder
    samples = cityscribe.prepare(project)                             # {"train": [...], "val": [...]}
    report = cityscribe.train(project)                                # loss, tokens, what trained
    print(cityscribe.ask(project, "What does the pedestrian do?", "frame.jpg"))
    print(cityscribe.score(project)["score"])

What the commands of the same names do is done, with the same files: what is up to date is not made again, and a stopped
call goes on where it was. Places are text or paths, `~` is the home folder. Raises InputError, as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cityscribe.files import InputError, at_home, read_json
from cityscribe.workers import wait_without_spinning

if TYPE_CHECKING:
    from PIL import Image

    from cityscribe.engine.request import Engine
    from cityscribe.project import Settings
    from cityscribe.records import Sample

wait_without_spinning()  # no use where torch is there already

FileOrFolder = str | Path

FRAMES = 8
"""That show a clip, spread evenly."""


def load(place: FileOrFolder, changes: Mapping[str, Any] | None = None) -> Settings:
    """The settings of a project file or a run folder, with some changed, by their names: `{"train.lr": 1e-4}`."""
    import yaml

    from cityscribe.project import load_settings

    given = {name: str(value) if isinstance(value, Path) else value for name, value in (changes or {}).items()}
    lines = [f"{name}={yaml.safe_dump(value, default_flow_style=True, width=10**6)}" for name, value in given.items()]
    return load_settings(place, [line.removesuffix("\n").removesuffix("\n...") for line in lines])


def prepare(project: Settings | FileOrFolder) -> dict[str, list[Sample]]:
    """The samples of each split, made from the data set where they are not up to date."""
    from cityscribe.records import read_samples

    settings = _settings(project)
    _run(settings, "prepare")
    files = sorted((settings.run_dir / "prepared").glob("*.parquet"))
    return {file.stem: read_samples(file) for file in files}


def train(project: Settings | FileOrFolder) -> dict[str, Any]:
    """Tune the model of a project; returns what came of it: steps, first and last loss, tokens, notes. The checkpoint
    is `project.run_dir / "model"`."""
    settings = _settings(project)
    _run(settings, "prepare", "train")
    report: dict[str, Any] = read_json(settings.run_dir / "training" / "report.json")
    return report


def ask(
    model: Settings | FileOrFolder, question: str, *shown: FileOrFolder | Image.Image, max_tokens: int = 256
) -> str:
    """What a model answers to a question about pictures and clips, which stand before it in their order.

    The model is that of a project or a run folder, or a checkpoint: a folder or a hub id. Raises InputError also where
    it gives no answer.
    """
    from cityscribe.engine.request import Request
    from cityscribe.media.kinds import VIDEO_SUFFIXES
    from cityscribe.records import MessageBlock, Video, image_block, message, text_block, video_block

    blocks: list[MessageBlock] = []
    media: list[Any] = []
    for medium in shown:
        place = at_home(medium) if isinstance(medium, str | Path) else None
        if place is not None and not place.is_file():
            raise InputError(f"{place}: no such file")
        if place is not None and place.suffix.lower() in VIDEO_SUFFIXES:
            blocks.append(video_block(Video(str(place), frames=FRAMES)))
        else:
            blocks.append(image_block())
            media.append(medium if place is None else place)
    request = Request((message("user", *blocks, text_block(question)),), tuple(media), max_tokens)
    ((answer,),) = _engine_of(model).answer([request])
    if answer.reason:
        raise InputError(f"not answered: {answer.reason}")
    return answer.text


def score(what: Settings | FileOrFolder, references: FileOrFolder | None = None) -> dict[str, Any]:
    """Scores by the official rules: of a project, whose model is asked where it was not, or of a file of captions in
    the submission format against the data set `references`."""
    if references is not None:
        from cityscribe.traffic.metrics.wts import evaluate_wts

        if not isinstance(what, str | Path):
            raise InputError("score: give a project, or a file of captions and the folder of its references")
        return evaluate_wts(at_home(references), at_home(what)).total
    settings = _settings(what)
    _run(settings, "prepare", *(["train"] if settings.model.tunes else []), "predict", "evaluate")
    found: dict[str, Any] = read_json(settings.results_dir / "scores.json")
    return found


def _settings(project: Settings | FileOrFolder) -> Settings:
    return load(project) if isinstance(project, str | Path) else project


def _run(settings: Settings, *stages: str) -> None:
    from cityscribe.pipeline import run_on_all

    run_on_all(settings, _unwatched, lambda line: None, stages)


@contextmanager
def _unwatched(step: str) -> Iterator[Callable[..., None]]:
    yield lambda *_: None


def _engine_of(model: Settings | FileOrFolder) -> Engine:
    from cityscribe.project import checkpoint_of

    checkpoint = checkpoint_of(model if isinstance(model, str | Path) else model.run_dir)
    config = Path(checkpoint) / "config.json"
    return _engine(checkpoint, config.stat().st_mtime_ns if config.is_file() else 0)


@lru_cache(maxsize=1)
def _engine(checkpoint: str, written: int) -> Engine:
    """The last model that was asked stays in memory, until its checkpoint is written anew."""
    from cityscribe.engine.members import Setup, open_engine

    return open_engine("local", checkpoint, Setup(drafts=False))

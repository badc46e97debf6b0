"""Commands about prompts that look: what a library says of a run's frames, and the search for better texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from cityscribe.cli.shell import Overrides, ProjectFile, console, group, names_of, watch
from cityscribe.files import InputError

if TYPE_CHECKING:
    from cityscribe.engine.request import Engine
    from cityscribe.project import Settings
    from cityscribe.prompts.fitness import Ask
    from cityscribe.prompts.library import PromptLibrary
    from cityscribe.prompts.optimise import Optimised
    from cityscribe.prompts.reader import FrameImages, SeenFeatures
    from cityscribe.records import Sample

prompts_group = group("prompts", "Prompts that depend on what a frame shows: look at them, and search better texts.")


@prompts_group.command("optimise")
def optimise_command(
    project: ProjectFile,
    out: Annotated[Path, typer.Argument(help="library to write, .yaml; the trace and its page lie beside it")],
    method: Annotated[str, typer.Option(help=names_of("prompt-optimiser"))] = "search",
    reward: Annotated[str, typer.Option(help=f"what an answer is worth: {names_of('reward')}")] = "overlap",
    samples: Annotated[int, typer.Option(min=1, help="labelled images of `train` that texts are tried on")] = 24,
    held_out: Annotated[int, typer.Option(min=0, help="images of `val` for the best texts alone")] = 0,
    tries: Annotated[int, typer.Option(min=2, help="texts that are tried")] = 40,
    language_model: Annotated[
        str | None, typer.Option(help="folder, hub id or GGUF file that proposes texts, or a name on a server")
    ] = None,
    base_url: Annotated[str | None, typer.Option(help="OpenAI-compatible server of the language model")] = None,
    steer: Annotated[float, typer.Option(min=0, help="glov: how far a local model is steered to good texts")] = 0.0,
    seed: Annotated[int, typer.Option(help="of the search and the choice of samples")] = 0,
    overrides: Overrides = None,
) -> None:
    """Search better texts for `prompts.library` on a few labelled samples of a prepared run.

    Whoever answers in the run is asked: the tuned model where there is one, else model.base.

    Example: cityscribe prompts optimise driving.yaml better.yaml --reward driving
    """
    from cityscribe.cli.judging import model_of
    from cityscribe.llm import Client
    from cityscribe.project import checkpoint_of, load_settings
    from cityscribe.prompts.glov import GlovSettings
    from cityscribe.prompts.optimise import optimise
    from cityscribe.prompts.samples import check_tasks
    from cityscribe.rewards import REWARDS

    settings = load_settings(project, overrides or [])
    if not settings.prompts.library:
        raise InputError("prompts.library: missing; name the library whose texts are to be better")
    if out.suffix not in (".yaml", ".yml"):
        raise InputError(f"{out}: expected a name that ends in .yaml")
    client = None if language_model is None else Client(model_of(language_model, base_url))
    prepared = settings.run_dir / "prepared"
    drawn = {
        split: _drawn(prepared / f"{split}.parquet", n, seed) for split, n in (("train", samples), ("val", held_out))
    }
    library, shown, ask = _looked(settings, checkpoint_of(project), drawn["train"] + drawn["val"])
    check_tasks(library, drawn["train"], settings.prompts.library)
    with watch("prompts") as progress:
        found = optimise(
            library,
            drawn["train"],
            shown,
            ask,
            REWARDS[reward](),
            method=method,
            tries=tries,
            seed=seed,
            client=client,
            options=GlovSettings(steer=steer) if method == "glov" else None,
            held_out=drawn["val"],
            progress=progress,
        )
    _tell(found, out)


def _tell(found: Optimised, out: Path) -> None:
    from cityscribe.prompts.optimise import write_found

    trace, page = write_found(found, out)
    table = Table("task", "before %", "best %")
    for name, (before, after) in found.tasks.items():
        table.add_row(name, f"{100 * before:.1f}", f"{100 * after:.1f}")
    table.add_row("all", f"{100 * found.tries[0].score:.1f}", f"{100 * found.best.score:.1f}")
    if found.held_out is not None:
        table.add_row("held out", *(f"{100 * each:.1f}" for each in found.held_out))
    console.print(table)
    console.print(f"library: {out}\ntrace: {trace}\npage: {page}")


def _looked(
    settings: Settings, place: str, samples: Sequence[Sample]
) -> tuple[PromptLibrary, dict[FrameImages, SeenFeatures], Ask]:
    """The library of a run, what the frames of samples show, and who answers: the model of the run, which is loaded
    once where it is also the one that looks."""
    from cityscribe.engine.members import open_engine
    from cityscribe.predict.setup import setup_of
    from cityscribe.prompts.asking import EngineAsking
    from cityscribe.prompts.library import load_library
    from cityscribe.prompts.reader import FrameReading
    from cityscribe.prompts.samples import frames_of

    library, prepared = load_library(settings.prompts.library), settings.run_dir / "prepared"
    setup = replace(setup_of(settings), drafts=False)
    engine = open_engine("local", place, setup)
    frames = frames_of(samples)

    def load(model: str) -> Engine:
        wanted = model or settings.model.base
        return engine if wanted == place else open_engine("local", wanted, setup)

    with watch("look") as progress:
        reading = FrameReading(library, prepared, settings.data.path, load, progress=progress)
        shown = dict(zip(frames, settings.prompts.reader.read(frames, reading), strict=True))
    return library, shown, EngineAsking(engine, prepared, settings)


def _drawn(file: Path, images: int, seed: int) -> list[Sample]:
    """The samples of some images of a file, the same for the same seed."""
    import random

    from cityscribe.records import read_samples

    if not images:
        return []
    if not file.is_file():
        raise InputError(f"{file}: missing; run `cityscribe prepare` first")
    samples = read_samples(file)
    frames = list(dict.fromkeys(sample.images for sample in samples))
    chosen = set(random.Random(seed).sample(frames, min(images, len(frames))))  # a choice, no secret
    return [sample for sample in samples if sample.images in chosen]

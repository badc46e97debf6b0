"""Commands about the synthetic city."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from cityscribe.cli.shell import MORE, Overrides, ProjectFile, app, console, watch, world_group
from cityscribe.cli.stages import homes_of, run_stages
from cityscribe.files import InputError

if TYPE_CHECKING:
    from cityscribe.project import Settings

WorldKind = Literal["wts", "driving", "driving-views", "questions", "surveillance", "wildlife"]
Renderer = Literal["raster", "blender"]


ALL_KINDS = {"folder", "kind", "train", "test", "renderer", "seed", "workers"}
TAKEN = {
    "wts": {"val", "external", "annotators", "masts", "fps", "width"},
    "driving": {"val", "asked"},
    "driving-views": {"val", "asked"},
    "questions": {"val", "asked"},
    "surveillance": {"seconds", "fps", "width"},
    "wildlife": {"seconds", "fps", "width"},
}
"""Options that a kind of world takes beside those of all kinds."""


@world_group.command("make")
def world(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="folder to write, which must not exist yet")],
    kind: Annotated[WorldKind, typer.Option(help="captions of events, questions about pictures, or clips")] = "wts",
    train: Annotated[int, typer.Option(min=0, help="scenarios, pictures or clips")] = 40,
    val: Annotated[int, typer.Option(min=0, help="not of surveillance and wildlife, whose layouts have none")] = 12,
    test: Annotated[int, typer.Option(min=0, help="with colours of clothes that no other split has")] = 0,
    external: Annotated[float, typer.Option(min=0, max=1, help="wts: share of single clips from a vehicle")] = 0.3,
    annotators: Annotated[int, typer.Option(min=1, help="wts: how many hands the captions are in")] = 1,
    masts: Annotated[int, typer.Option(min=1, max=4, help="wts: overhead cameras of a scenario")] = 1,
    asked: Annotated[int, typer.Option(min=0, help="questions about a picture, drawn; 0 asks all")] = 0,
    seconds: Annotated[float, typer.Option(min=4, max=600, help="surveillance and wildlife: length of a clip")] = 20.0,
    fps: Annotated[int, typer.Option(min=2, max=60, help="frames a second")] = 10,
    width: Annotated[int, typer.Option(min=320, max=3840, help="wts and clips: of the videos in pixels, 16:9")] = 640,
    renderer: Annotated[Renderer, typer.Option(help="blender is slow and needs the extra `blender`")] = "raster",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    workers: Annotated[int, typer.Option(min=0, help="processes; 0 takes one a core")] = 0,
) -> None:
    """Render a synthetic city and write it as a data set. A stopped one goes on where it was.

    wts: videos, captions, boxes. driving, driving-views and questions: pictures with questions (data.source messages).
    surveillance: clips with and without an accident (data.source ucf-crime). wildlife: clips of animals
    (animal-kingdom).

    Example: cityscribe world make city --train 40 --val 12
    """
    from cityscribe.world.clips import ClipSettings
    from cityscribe.world.dataset import WorldSettings, write_dataset
    from cityscribe.world.sets import SetSettings, write_set
    from cityscribe.world.surveillance import write_clips
    from cityscribe.world.wildlife import write_wildlife

    _refuse_options_of_other_kinds(context, kind)
    if width % 32:
        raise InputError(f"--width {width}: is no multiple of 32; take {width - width % 32}")
    source = "messages"
    with watch("world") as progress:
        if kind == "wts":
            city = WorldSettings(train, val, test, external, seed, fps, annotators, masts, renderer, width)
            write_dataset(folder, city, workers=workers, progress=progress)
            source = "wts"
        elif kind in ("surveillance", "wildlife"):
            clips = ClipSettings(train, test, seconds, fps, seed, renderer, width)
            write, source = (write_clips, "ucf-crime") if kind == "surveillance" else (write_wildlife, "animal-kingdom")
            write(folder, clips, workers=workers, progress=progress)
        else:
            pictures = SetSettings(kind, train, val, test, seed, renderer, asked)
            write_set(folder, pictures, workers=workers, progress=progress)
    console.print(f"{folder}: written; look at it with `cityscribe check {folder} --source {source}`")


def _refuse_options_of_other_kinds(context: typer.Context, kind: WorldKind) -> None:
    """Raise InputError for an option that was given and would have no effect."""
    for name in context.params.keys() - ALL_KINDS - TAKEN[kind]:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            taken = ", ".join(f"--{other}" for other in sorted(TAKEN[kind] | {"train", "test"}))
            raise InputError(f"--{name}: a world of kind {kind} has none; it takes {taken}")


@world_group.command("film")
def film(
    scenario: Annotated[Path, typer.Argument(help="YAML file of a scenario, see docs/world.md", metavar="FILE")],
    video: Annotated[Path, typer.Argument(help="video to write, .mp4")],
    fps: Annotated[int, typer.Option(min=2, max=60, help="frames a second")] = 25,
    view: Annotated[Literal["vehicle", "overhead"], typer.Option(help="where the camera is")] = "vehicle",
    renderer: Annotated[Renderer, typer.Option(help="blender is slow and needs the extra `blender`")] = "raster",
) -> None:
    """Film a scenario that was written by hand, and say what is true of each of its phases.

    Example: cityscribe world film scenario.yaml scenario.mp4
    """
    import numpy as np

    from cityscribe.media.video import write_video
    from cityscribe.world.captions import pedestrian_caption, vehicle_caption
    from cityscribe.world.facts import facts_at
    from cityscribe.world.renderers import RENDERERS
    from cityscribe.world.rigs import Dashboard, Mast
    from cityscribe.world.scenario import read_scenario

    if video.suffix != ".mp4":
        raise InputError(f"{video}: expected a name that ends in .mp4")
    event = read_scenario(scenario)
    rig = Dashboard() if view == "vehicle" else Mast(event, np.random.default_rng(0))
    moments = [i / fps for i in range(int(event.end_s * fps) + 1)]
    with watch("film") as progress:

        def frames() -> Iterator[np.ndarray]:
            for number, moment in enumerate(moments):
                yield RENDERERS[renderer](event.scene_at(moment), rig.at(event, moment), seed=number)
                progress(number + 1, len(moments))

        video.parent.mkdir(parents=True, exist_ok=True)
        write_video(video, frames(), fps)
    for number, start in enumerate(event.boundaries_s[:-1]):
        facts = facts_at(event, start, [rig.at(event, start)])
        console.print(f"[bold]phase {number}[/], from {start:.2f} s", pedestrian_caption(facts), vehicle_caption(facts))
    console.print(f"{video}: written")


@world_group.command("bench")
def worldbench(project: ProjectFile, overrides: Overrides = None) -> None:
    """What a run on a synthetic city got right, attribute by attribute: runs/NAME/predictions.json → worldbench.json.

    Reads the references of the city, and the baselines of the run where it has them.

    Example: cityscribe world bench runs/demo/project.yaml
    """
    from cityscribe.project import load_settings

    _print_attributes(load_settings(project, overrides or []))


def _print_attributes(settings: Settings) -> None:
    from cityscribe.files import write_json
    from cityscribe.traffic.metrics.caption_files import read_predictions, read_references, splits_of_references
    from cityscribe.world.worldbench import attribute_accuracy, majority_values, mean_accuracy

    references = {
        split: {
            (scenario, phase, role): caption
            for scenarios in read_references(settings.data.path, split, False, []).values()
            for scenario, segments in scenarios.items()
            for phase, segment in segments.items()
            for role, caption in segment.captions.items()
        }
        for split in {settings.predict.split, *({"train"} & splits_of_references(settings.data.path))}
    }
    majority = majority_values(references.get("train", {}).values())
    accuracies = {}
    for name, home in homes_of(settings):
        if (home / "predictions.json").exists():
            said = read_predictions(home / "predictions.json")
            pairs = []
            for (scenario, phase, role), caption in references[settings.predict.split].items():
                segment = said.get(scenario, {}).get(phase)
                pairs.append((caption, segment.captions[role] if segment else ""))
            accuracies[name] = attribute_accuracy(pairs, majority)
    if not accuracies:
        raise InputError(
            f"{settings.results_dir / 'predictions.json'}: missing; run `cityscribe run` on its project first"
        )
    true = list(references[settings.predict.split].values())
    accuracies["oracle"] = attribute_accuracy(zip(true, true, strict=True), majority)
    rows = next(iter(accuracies.values()))
    if not rows:
        raise InputError(f"{settings.data.path}: its captions state nothing in the words of the synthetic city")
    write_json(
        settings.results_dir / "worldbench.json",
        {name: [asdict(row) for row in table] for name, table in accuracies.items()},
    )
    table = Table("about", "attribute", "asked", *accuracies, *(["majority"] if majority else []))
    for index, row in enumerate(rows):
        shares = [f"{of[index].right:.2f}" for of in accuracies.values()]
        last = index + 1 == len(rows) or rows[index + 1].about != row.about
        usual = [f"{row.majority:.2f}"] if majority else []
        table.add_row(row.about, row.attribute, str(row.asked), *shares, *usual, end_section=last)
    means = [f"[bold]{mean_accuracy(of):.3f}[/]" for of in accuracies.values()]
    usual = [f"{sum(row.majority for row in rows) / len(rows):.3f}"] if majority else []
    table.add_row("mean", "", "", *means, *usual)
    console.print(table)
    console.print(
        f"{len(rows)} attributes, as the city's own rules read its sentences; the report reads captions of any data set"
        " by other rules, into other attributes, and has a mean of its own"
    )


@app.command(rich_help_panel=MORE)
def demo(
    runs: Annotated[Path, typer.Option(help="folder of the runs")] = Path("runs"),
    seed: Annotated[int, typer.Option(min=0, help="of the city and the training")] = 0,
    overrides: Overrides = None,
) -> None:
    """Everything once, small: make a city, prepare it, tune a small model, predict, evaluate, report.

    Takes nine minutes on two slow cores and 4 GB of memory; a first picture is there at once. Writes runs/demo.

    Example: cityscribe demo --runs runs
    """
    from cityscribe.demo import write_demo
    from cityscribe.project import load_settings

    project = write_demo(runs, seed, watch, console.print)
    run_stages(project, overrides)
    _print_attributes(load_settings(project, overrides or []))

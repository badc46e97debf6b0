"""Commands about the synthetic city."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from cityscribe.cli.shell import Overrides, ProjectFile, app, console, watch
from cityscribe.cli.stages import homes_of, run_stages
from cityscribe.records import InputError


@app.command()
def world(
    folder: Annotated[Path, typer.Argument(help="folder to write, which must not exist yet")],
    train_scenarios: Annotated[int, typer.Option("--train", min=0)] = 40,
    val_scenarios: Annotated[int, typer.Option("--val", min=0)] = 12,
    external: Annotated[float, typer.Option(min=0, max=1, help="share of single clips from a vehicle")] = 0.3,
    annotators: Annotated[int, typer.Option(min=1, help="how many hands the captions are in")] = 1,
    fps: Annotated[int, typer.Option(min=2, max=60, help="frames a second")] = 10,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    workers: Annotated[int, typer.Option(min=0, help="processes; 0 takes one a core")] = 0,
) -> None:
    """Render a synthetic city and write it as a WTS data set: videos, captions, boxes."""
    from cityscribe.world.dataset import WorldSettings, write_dataset

    settings = WorldSettings(train_scenarios, val_scenarios, external, seed, fps, annotators)
    with watch("world") as progress:
        write_dataset(folder, settings, workers=workers, progress=progress)
    console.print(f"{folder}: written; look at it with `cityscribe check {folder}`")


@app.command()
def worldbench(project: ProjectFile, overrides: Overrides = None) -> None:
    """What a run on a synthetic city got right, attribute by attribute: runs/NAME/predictions.json → worldbench.json.

    Reads the references of the city, and the baselines of the run where it has them.
    """
    from cityscribe.evaluate.wts_files import read_predictions, read_references
    from cityscribe.records import write_json
    from cityscribe.settings import load_settings
    from cityscribe.world.worldbench import attribute_accuracy, majority_values, mean_accuracy

    settings = load_settings(project, overrides or [])
    references = {
        split: {
            (scenario, phase, role): caption
            for scenarios in read_references(settings.data.path, split, False, []).values()
            for scenario, segments in scenarios.items()
            for phase, segment in segments.items()
            for role, caption in segment.captions.items()
        }
        for split in ("train", settings.predict.split)
    }
    majority = majority_values(references["train"].values())
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
        raise InputError(f"{settings.run_dir / 'predictions.json'}: missing; run `cityscribe run {project}` first")
    rows = next(iter(accuracies.values()))
    if not rows:
        raise InputError(f"{settings.data.path}: its captions state nothing in the words of the synthetic city")
    write_json(
        settings.run_dir / "worldbench.json",
        {name: [asdict(row) for row in table] for name, table in accuracies.items()},
    )
    table = Table("about", "attribute", "asked", *accuracies, "majority")
    for index, row in enumerate(rows):
        shares = [f"{of[index].right:.2f}" for of in accuracies.values()]
        last = index + 1 == len(rows) or rows[index + 1].about != row.about
        table.add_row(row.about, row.attribute, str(row.asked), *shares, f"{row.majority:.2f}", end_section=last)
    means = [f"[bold]{mean_accuracy(of):.3f}[/]" for of in accuracies.values()]
    table.add_row("mean", "", "", *means, f"{sum(row.majority for row in rows) / len(rows):.3f}")
    console.print(table)


@app.command()
def demo(
    runs: Annotated[Path, typer.Option(help="folder of the runs")] = Path("runs"),
    seed: Annotated[int, typer.Option(min=0, help="of the city and the training")] = 0,
    overrides: Overrides = None,
) -> None:
    """Everything once, small: make a city, prepare it, tune a small model, predict, evaluate, report.

    Takes ten minutes at most on two cores and 4 GB of memory. Writes runs/demo.
    """
    from cityscribe.demo import write_demo

    project = write_demo(runs, seed, watch)
    from cityscribe.pipeline import STAGES

    run_stages(project, overrides, STAGES)

"""Commands about labels that models make of clips, and the page on which a person looks through them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cityscribe.cli.shell import console, group, print_problem, watch
from cityscribe.cli.stopping import leave_signals_alone
from cityscribe.files import InputError

label_group = group("label", "Label clips with several models that have to agree, and look through what is uncertain.")


@label_group.command("clips")
def label(
    clips: Annotated[Path, typer.Argument(help="folder of clips")],
    output: Annotated[Path, typer.Argument(help="folder for the labels")],
    settings: Annotated[Path, typer.Option(help="YAML file: who labels, and what labels have to keep")],
    imu: Annotated[Path | None, typer.Option(help="folder with CLIP.csv: time_s, speed_mps, yaw_rate_dps")] = None,
) -> None:
    """Label clips: boxes of detectors are fused and tracked, answers of models voted on, impossible orders refused.

    A stopped run goes on where it was. docs/label.md has the rest. Needs the extra `detect` where detectors label.

    Example: cityscribe label clips data/clips data/labelled --settings label.yaml
    """
    from cityscribe.label.clips import count_labels, label_clips
    from cityscribe.label.settings import read_label_settings
    from cityscribe.sources.reading import scenario_source
    from cityscribe.sources.recognise import nothing_usable

    chosen, library = read_label_settings(settings)
    scenarios, problems = scenario_source("clips").read(clips, splits=("test",))
    if not scenarios:
        raise nothing_usable(clips, problems, "clips")
    for problem in problems:
        print_problem(problem)
    with watch("label") as progress:
        found = label_clips(scenarios, chosen, library, clips, output, imu=imu, progress=progress)
    for why in found.unread:
        console.print(f"[yellow]warning:[/] {escape(why)}")
    if found.without_motion:
        console.print(
            f"{found.without_motion} clips have no motion in {escape(str(imu))}: it bounds none of their changes"
        )
    table = Table("of", "sure", "uncertain", "impossible order")
    for name, counts in count_labels(found.labels).items():
        table.add_row(name, *(str(counts[each]) for each in ("sure", "uncertain", "impossible order")))
    console.print(table)
    unsure = sum(not each.sure for each in found.labels)
    console.print(f"{unsure} labels are uncertain; look through them with `cityscribe label check {output}`")


@label_group.command("check")
def check_labels(
    folder: Annotated[Path, typer.Argument(help="folder of labels, as `cityscribe label clips` writes it")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one")] = 8090,
) -> None:
    """Look through uncertain labels on a local web page: yes, no, or what is right, a key each. Needs extra `serve`.

    Answers are kept in answers.jsonl of the folder, which is training data then (data.source labels).

    Example: cityscribe label check data/labelled
    """
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise InputError("label: needs more packages: pip install 'cityscribe[serve]'") from error
    from cityscribe.browse.server import serve_here
    from cityscribe.label.app import looking_through, open_label_folder

    leave_signals_alone()
    serve_here(looking_through(open_label_folder(folder)), port, lambda address: console.print(address))

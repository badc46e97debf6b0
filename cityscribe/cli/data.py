"""Commands about a data set before anything is trained on it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cityscribe.cli.shell import (
    MAIN,
    Overrides,
    app,
    console,
    data_group,
    names_of,
    print_problem,
    watch,
)
from cityscribe.cli.stopping import leave_signals_alone
from cityscribe.files import InputError, write_text
from cityscribe.places import folder_of_data
from cityscribe.records import Problem


@app.command(rich_help_panel=MAIN)
def init(
    path: Annotated[Path, typer.Argument(help="file to write")] = Path("project.yaml"),
    data: Annotated[str, typer.Option(help="folder of the data set")] = "data/WTS",
    preset: Annotated[str | None, typer.Option(help=f"a known recipe: {names_of('preset')}")] = None,
) -> None:
    """Write a project file: every setting, its default and what it means, or a preset's and where they come from.

    The format of the data set is recognised, and written as data.source.

    Example: cityscribe init project.yaml --preset cityllava-34b --data data/WTS
    """
    from cityscribe.presets import preset_text
    from cityscribe.project import commented_settings
    from cityscribe.sources.recognise import look_into

    if path.is_dir():
        raise InputError(f"{path}: is a folder; name the file to write, such as {path / 'project.yaml'}")
    if path.exists():
        raise InputError(f"{path}: already there; name another file")
    found = look_into(Path(data)) if Path(data).exists() else None
    fitting = {} if found is None else found.settings
    text = commented_settings(data, fitting) if preset is None else preset_text(preset, data)
    write_text(path, text)
    if found is None:
        console.print(f"{escape(data)}: no such folder yet; set data.path in {path} to that of your data")
    else:
        console.print(f"{escape(data)}: {found.counts}")
    console.print(f"{path}: written; next: cityscribe run {path}")


@app.command(rich_help_panel=MAIN)
def check(
    data: Annotated[Path | None, typer.Argument(help="folder of a data set")] = None,
    source: Annotated[
        str | None, typer.Option(help=f"its format; by default, as recognised: {names_of('source')}")
    ] = None,
    tracks: Annotated[Path | None, typer.Option(help="also boxes for it, as data.tracks names them")] = None,
    videos: Annotated[bool, typer.Option(help="also open every video and image")] = True,
    submission: Annotated[
        Path | None, typer.Option(help="check this file instead: captions or answers to send")
    ] = None,
    against: Annotated[Path | None, typer.Option(help="folder of the data set that a submission is for")] = None,
    split: Annotated[str | None, typer.Option(help="of a submission; by default test, or else val")] = None,
) -> None:
    """List every problem of a data set, or of a submission before it is sent, with its file and place.

    Errors cannot be used; of what a warning names, something is left out. Exit status 2 where there are errors.

    Example: cityscribe check data/WTS
    """
    from cityscribe.sources.reading import read_and_check
    from cityscribe.sources.recognise import recognise
    from cityscribe.sources.submission import check_submission
    from cityscribe.sources.wts_folders import SPLITS

    if submission is not None:
        if against is None or data is not None:
            raise InputError("check: give --submission FILE and --against the folder of its data set, and nothing else")
        if split not in (None, *SPLITS):
            raise InputError(f"--split {split}: expected one of {', '.join(SPLITS)}")
        _list_problems(check_submission(submission, against, split))
        return
    if data is None:
        raise InputError("check: give the folder of a data set, or --submission and --against")
    data = folder_of_data(data)
    named = source or recognise(data)
    with watch("check") as progress:
        checked = read_and_check(named, data, tracks=tracks, open_videos=videos, progress=progress)
    console.print(f"{escape(str(data))}: {checked.found}")
    _list_problems(checked.problems)


def _list_problems(problems: list[Problem]) -> None:
    """Print problems; ends the command with status 2 where one is an error."""
    for problem in problems:
        print_problem(problem)
    counts = Counter(problem.level for problem in problems)
    console.print(f"{counts['error']} errors, {counts['warning']} warnings")
    if counts["error"]:
        raise typer.Exit(2)


@data_group.command("convert")
def convert(
    data: Annotated[Path, typer.Argument(help="folder of conversations", metavar="SOURCE")],
    target: Annotated[Path, typer.Argument(help="folder to write, which must not exist yet")],
    to: Annotated[str, typer.Option(help="llava, sharegpt (LLaMA-Factory) or messages (TRL, ms-swift)")],
    source: Annotated[
        str | None, typer.Option("--source", "--from", help="its format; by default, as its files tell")
    ] = None,
) -> None:
    """Write conversations in another format, with their images. Nothing is lost, or it stops and says what would be.

    Reads what data.source can be, and what `prepare` wrote (runs/NAME/prepared).

    Example: cityscribe data convert runs/demo/prepared conversations --to llava
    """
    from cityscribe.sources.convert import WRITERS, write_converted
    from cityscribe.sources.reading import conversation_source
    from cityscribe.sources.recognise import recognise

    if to not in WRITERS:
        raise InputError(f"--to {to}: expected one of {', '.join(WRITERS)}")
    named = source or recognise(data, "conversations")
    samples, problems = conversation_source(named).read(data)
    with watch("convert") as progress:
        files = write_converted(samples, problems, data, target, to, progress)
    for problem in problems:
        print_problem(problem)
    console.print(f"{len(samples)} conversations: {', '.join(map(str, files))}")


@data_group.command("template")
def template(
    folder: Annotated[Path, typer.Argument(help="folder to write, which must not exist yet")],
    clips: Annotated[int, typer.Option(min=2, max=100)] = 4,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Write a small example of data of your own, to be replaced by yours: clips, claims.csv and boxes as CVAT has them.

    Example: cityscribe data template own --clips 6
    """
    from cityscribe.world.template import write_template

    with watch("template") as progress:
        write_template(folder, clips, seed=seed, progress=progress)
    console.print(f"{folder}: written; look at its claims.csv, then `cityscribe check {folder}`")


@data_group.command("browse")
def browse(
    target: Annotated[
        Path, typer.Argument(help="folder of a data set, runs/NAME, or a project file", metavar="DATA|RUN")
    ],
    source: Annotated[str | None, typer.Option(help="format of a data set; by default, as recognised")] = None,
    tracks: Annotated[Path | None, typer.Option(help="also boxes for it, as data.tracks names them")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one")] = 8090,
    follow_links: Annotated[bool, typer.Option(help="show videos that are links out of the data set too")] = False,
    overrides: Overrides = None,
) -> None:
    """Look at scenarios on a local web page: video, boxes, phases, images, captions, predictions. Needs extra `serve`.

    Captions, phases and boxes can be corrected; they are written to a copy of the data set beside it. Listens on
    http://127.0.0.1:8090, for this machine only. docs/browse.md has the rest.

    Example: cityscribe data browse runs/demo
    """
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise InputError("browse: needs more packages: pip install 'cityscribe[serve]'") from error
    from cityscribe.browse.library import open_library
    from cityscribe.browse.server import browse as serve_page
    from cityscribe.cli.targets import settings_of_target

    leave_signals_alone()
    with console.status(f"reading {target}"):
        settings, run_dir = settings_of_target(target, source, overrides or [], tracks=tracks)
        library = open_library(target, settings, run_dir)
    if library.found:
        console.print(f"{escape(str(target))}: {library.found}")
    library.follow_links = follow_links
    serve_page(library, port, lambda address: console.print(address))


@data_group.command("stats")
def stats(
    data: Annotated[Path, typer.Argument(help="folder of a data set")],
    output: Annotated[Path, typer.Option(help="folder for stats.json and the page")] = Path("stats"),
    source: Annotated[str | None, typer.Option(help="its format; by default, as recognised")] = None,
    videos: Annotated[bool, typer.Option(help="also compare video files and their first frames")] = True,
) -> None:
    """Counts, sizes, lengths, words, near-duplicates and leaks between splits: stats.json and a page with plots. Of a
    data set of conversations, and of both kinds: what sharing images and videos between questions would save.

    Example: cityscribe data stats data/WTS --output stats
    """
    from cityscribe.plan.sharing import in_words, savings, sizes_of_samples, sizes_of_scenarios
    from cityscribe.sources import SOURCES
    from cityscribe.sources.reading import read_conversations
    from cityscribe.sources.recognise import recognise
    from cityscribe.sources.settings import DataSettings
    from cityscribe.stats.page import read_splits, write_stats

    data = folder_of_data(data)
    named = source or recognise(data)
    if SOURCES[named].yields == "conversations":
        samples, problems = read_conversations(DataSettings(source=named, path=data))
        console.print(f"{escape(str(data))}: {problems[-1].message}")
        groups = sizes_of_samples(samples)
    else:
        with watch("stats") as progress:
            found = write_stats(data, named, output, videos=videos, progress=progress)
        console.print(f"{escape(str(data))}: {found['read']}")
        for kind, count in found["leaks"].items():
            if count:
                console.print(f"[yellow]warning:[/] {count} {kind} in several splits")
        console.print(f"page: {output / 'index.html'}")
        groups = sizes_of_scenarios(read_splits(data, named)[0], images=2, short=1.0)
    console.print("what sharing saves where the questions of a group are trained or asked together:")
    for line in in_words(savings(groups)):
        console.print(f"  {escape(line)}")


@data_group.command("detect")
def detect(
    data: Annotated[Path, typer.Argument(help="folder of clips, or of a WTS data set")],
    model: Annotated[str, typer.Option(help="folder or hub id of an object detector")],
    output: Annotated[Path, typer.Option(help="folder for the boxes; of WTS, DATA itself puts them in their place")],
    source: Annotated[str | None, typer.Option(help="its format; by default, as recognised")] = None,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="score from which an object counts")] = 0.5,
    every: Annotated[int, typer.Option(min=1, help="frames from one that is looked at to the next")] = 3,
    batch: Annotated[int, typer.Option(min=1, help="frames that go through the model together")] = 8,
    all_views: Annotated[bool, typer.Option("--all", help="also views that have boxes already")] = False,
) -> None:
    """Find the pedestrian and the vehicle of clips without boxes. Needs the extra `detect`.

    Any detector of transformers (RT-DETR, DETR, YOLOS, ...) and a tracker. A stopped run goes on where it was. Boxes of
    WTS are written as bbox_generated, those of clips as CVAT XML, a file a clip, which data.tracks reads.

    Example: cityscribe data detect data/WTS --model PekingU/rtdetr_r50vd --output data/WTS
    """
    try:
        import scipy  # noqa: F401
    except ImportError as error:
        raise InputError("detect: needs more packages: pip install 'cityscribe[detect]'") from error
    from cityscribe.detect.clips import DetectOptions, detect_clips
    from cityscribe.detect.detector import load_detector
    from cityscribe.sources.reading import scenario_source
    from cityscribe.sources.recognise import found_in, nothing_usable, recognise

    data = folder_of_data(data)
    named = source or recognise(data)
    scenarios, problems = scenario_source(named).read(data, splits=("train", "val", "test"))
    if not scenarios:
        raise nothing_usable(data, problems, named)
    console.print(f"{escape(str(data))}: {found_in(named, scenarios)}")
    for problem in problems if named == "clips" else ():
        print_problem(problem)
    detector = load_detector(model)
    options = DetectOptions(threshold=threshold, every=every, batch=batch, all_views=all_views)
    with watch("detect") as progress:
        lines = detect_clips(scenarios, detector, model, output, options, progress=progress)
    for line in lines:
        if "why" in line:
            console.print(f"[yellow]warning:[/] {escape(line['why'])}")
    boxes = sum(sum(line["boxes"].values()) for line in lines)
    found = sum(bool(line["boxes"]) for line in lines)
    place = f"data.tracks: {escape(str(output))} and " if named == "clips" else ""
    console.print(
        f"{boxes} boxes in {found} of {len(lines)} views; use them with {place}data.boxes: generated (or both)"
    )

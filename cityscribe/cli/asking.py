"""The command that answers a question about a video of any length."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cityscribe.cli.shell import MAIN, app, complaints, console, watch
from cityscribe.files import InputError


@app.command("ask", rich_help_panel=MAIN)
def ask_command(
    video: Annotated[Path, typer.Argument(help="a video of any length", metavar="VIDEO")],
    question: Annotated[str, typer.Argument(help="what to ask", metavar="QUESTION")],
    model: Annotated[str, typer.Option(help="folder or hub id of a model from parts, or a run folder")],
    fps: Annotated[float, typer.Option(min=1e-4, help="frames a second, at most: fewer where they do not fit")] = 1.0,
    start: Annotated[float, typer.Option(min=0, help="second at which to begin")] = 0.0,
    end: Annotated[
        float | None, typer.Option(min=0, help="second at which to end; default: the end of the file")
    ] = None,
    subtitles: Annotated[Path | None, typer.Option(help="subtitles of the video, .srt or .vtt")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="of the subtitles, where it is neither Unicode nor Windows'")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="of frames, subtitles and question; default: the model's")
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="of the answer")] = 128,
    block: Annotated[int, typer.Option(min=1, help="frames that are in memory at once")] = 64,
    features: Annotated[Path | None, typer.Option(help="folder where what the tower makes of frames is kept")] = None,
    output: Annotated[
        Path | None, typer.Option(help="FILE.json for the answer and its interval, or FILE.html for a page")
    ] = None,
    language_model: Annotated[
        str | None,
        typer.Option(
            help="chat model (folder, hub id or GGUF file) that answers from what MODEL, any model of images, says of "
            "short clips"
        ),
    ] = None,
    log: Annotated[
        Path | None, typer.Option(help="FILE.jsonl of what is said of clips; default: VIDEO.captions.jsonl here")
    ] = None,
) -> None:
    """Answer a question about a video of minutes or hours, and name the interval that the answer rests on.

    Memory does not grow with the length of the video; docs/llama-vid.md says how.

    Example: cityscribe ask day.mp4 "Does anybody fall?" --model models/llama-vid --fps 1 --subtitles day.srt
    """
    if output is not None and output.suffix not in (".json", ".html"):
        raise InputError(f"--output {output}: expected FILE.json or FILE.html")
    if language_model is not None:
        if output is not None and output.suffix == ".html":
            raise InputError(f"--output {output}: an answer from descriptions is written as FILE.json")
        _ask_log(video, question, model, language_model, log or Path(f"{video.stem}.captions.jsonl"), output)
        return
    from cityscribe.ask.question import Looking, ask
    from cityscribe.files import write_json
    from cityscribe.models.load import load_model, load_processor
    from cityscribe.models.precision import resolve_dtype
    from cityscribe.models.tuning.prepare import keep_features
    from cityscribe.project import checkpoint_of

    checkpoint = checkpoint_of(model)
    loaded, processor = load_model(checkpoint, dtype=resolve_dtype("auto")), load_processor(checkpoint)
    if features is not None:
        keep_features(loaded, features)
    options = Looking(fps, start, end, subtitles, encoding, max_tokens, max_new_tokens, block)
    with watch("ask") as progress:
        found = ask(loaded, processor, video, question, options, progress)
    for note in found.notes:
        complaints.print(f"[yellow]warning:[/] {escape(note)}")
    interval = found.interval
    console.print(escape(found.text) or "(nothing)")
    console.print(
        f"rests on {interval.start_s:.1f} s to {interval.end_s:.1f} s, {interval.share:.0%} of the attention: "
        f"{escape(str(video))}{interval.fragment()}"
    )
    console.print(f"{found.frames:,} frames at {found.fps:.3g} fps, {found.tokens:,} tokens")
    if output is not None and output.suffix == ".html":
        from cityscribe.ask.page import write_page

        write_page(output, video, question, found)
    elif output is not None:
        write_json(output, {"video": str(video), "question": question, **asdict(found)})


def _ask_log(video: Path, question: str, model: str, language_model: str, log: Path, output: Path | None) -> None:
    """Answer from descriptions of short clips (LLoVi)."""
    from cityscribe.ask.captions import CaptionedClips, answer_from, describe_clips
    from cityscribe.engine.members import Setup, open_engine
    from cityscribe.files import write_json
    from cityscribe.llm.settings import LocalSettings, language_model_client
    from cityscribe.project import checkpoint_of

    engine = open_engine("local", checkpoint_of(model), Setup(drafts=False))
    with watch("clips described") as progress:
        said = describe_clips(engine, video, CaptionedClips(), log, progress)
    for problem in [each.problem for each in said if each.problem]:
        complaints.print(f"[yellow]warning:[/] {escape(problem)}")
    found = answer_from(said, question, language_model_client(LocalSettings(model=language_model), "language-model"))
    console.print(escape(found.text))
    console.print(f"rests on {found.start_s:.1f} s to {found.end_s:.1f} s; {len(said)} clips described in {log}")
    if output is not None:
        write_json(output, {"video": str(video), "question": question, **asdict(found)})

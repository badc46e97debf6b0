"""Commands that score predictions and compare runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from cityscribe.cli.questions import compare_questions, evaluate_file, write_scores
from cityscribe.cli.shell import console, experiment_group, score_group, watch
from cityscribe.evaluate.registries import MetricBackend
from cityscribe.files import InputError
from cityscribe.places import refuse_other_than_json


@score_group.command("captions")
def captions_command(
    predictions: Annotated[Path, typer.Argument(help="file in the submission format of the challenge")],
    references: Annotated[Path, typer.Option(help="folder of the data set with the captions")],
    profile: Annotated[str, typer.Option(help="the rules: wts (the challenge), coco (pycocoevalcap)")] = "wts",
    split: Annotated[str | None, typer.Option(help="score this split only: train, val or test")] = None,
    output: Annotated[Path | None, typer.Option(help="file for the scores")] = None,
    segments: Annotated[Path | None, typer.Option(help="file for the values of each segment")] = None,
    attributes: Annotated[Path | None, typer.Option(help="file for what captions state, right and wrong")] = None,
    official_quirks: Annotated[bool, typer.Option(help="leave out what the official evaluator overlooks")] = False,
    backend: Annotated[MetricBackend, typer.Option(help="java audits the profile coco")] = "python",
) -> None:
    """Score captions of events by the official rules: BLEU-4, METEOR, ROUGE-L, CIDEr and the score.

    Example: cityscribe score captions predictions.json --references data/WTS --output scores.json
    """
    from cityscribe.evaluate.registries import PROFILES

    refuse_other_than_json(predictions, "captions as a JSON file, such as runs/NAME/predictions.json")
    if predictions.suffix == ".jsonl":
        raise InputError(f"{predictions}: holds answers, one a line; `cityscribe score answers` scores them")
    scores = PROFILES[profile].captions(
        references, predictions, split=split, official_quirks=official_quirks, backend=backend
    )
    write_scores(scores, output, segments)
    if attributes is not None:
        from cityscribe.files import write_json
        from cityscribe.traffic.metrics.attribute_scores import evaluate_attributes

        attributes.parent.mkdir(parents=True, exist_ok=True)
        write_json(attributes, evaluate_attributes(references, predictions, split=split).to_json())
    console.print(f"score: {scores.score:.4f}")


@score_group.command("answers")
def answers_command(
    predictions: Annotated[Path, typer.Argument(help="JSON lines of answers, as `predict` writes them")],
    references: Annotated[Path | None, typer.Option(help="conversations; by default, those beside the answers")] = None,
    source: Annotated[str | None, typer.Option(help="format of the references; by default, as files tell")] = None,
    profile: Annotated[str, typer.Option(help="choices, answers, wts or coco; auto goes by the answers")] = "auto",
    split: Annotated[str | None, typer.Option(help="score this split only: train, val or test")] = None,
    against: Annotated[str, typer.Option(help="a class of options that is also set against all others")] = "",
    output: Annotated[Path | None, typer.Option(help="file for the scores")] = None,
    segments: Annotated[Path | None, typer.Option(help="file for the values of each answer")] = None,
    backend: Annotated[MetricBackend, typer.Option(help="java audits the profile coco")] = "python",
) -> None:
    """Score answers to questions: options, short answers, long ones.

    Example: cityscribe score answers runs/questions/predictions.jsonl --output scores.json
    """
    refuse_other_than_json(predictions, "answers as JSON lines, such as runs/NAME/predictions.jsonl")
    try:
        evaluate_file(predictions, references, source, profile, backend, split, against, output, segments)
    except InputError as error:
        if predictions.suffix != ".json" or not predictions.is_file():
            raise
        raise InputError(f"{error}; captions are scored by `cityscribe score captions`") from error


@score_group.command("wts-vqa")
def wts_vqa_command(
    predictions: Annotated[Path, typer.Argument(help="submission of the question-answering sub-task")],
    references: Annotated[Path, typer.Option(help="file or folder of the right answers")],
    captions: Annotated[Path | None, typer.Option(help="scores.json of captions, for the score S2")] = None,
    output: Annotated[Path | None, typer.Option(help="file for the scores")] = None,
    segments: Annotated[Path | None, typer.Option(help="file for the values of each question")] = None,
) -> None:
    """Score a submission of the question-answering sub-task of 2025.

    Example: cityscribe score wts-vqa submission.json --references data/WTS
    """
    from cityscribe.traffic.metrics.wts_vqa import evaluate_vqa

    refuse_other_than_json(predictions, "a submission as a JSON file")
    found = evaluate_vqa(references, predictions, captions)
    write_scores(found, output, segments)
    console.print(f"accuracy: {100 * found.letters.accuracy:.4f}")
    if found.combined is not None:
        console.print(f"S1: {found.combined.s1:.4f}, S2: {found.combined.s2:.4f}")


@score_group.command("bertscore")
def bertscore_command(
    predictions: Annotated[Path, typer.Argument(help="JSON lines of answers with their references")],
    encoder: Annotated[str, typer.Option(help="folder or hub id of an encoder, such as roberta-large")],
    layer: Annotated[int | None, typer.Option(min=0, help="whose states are compared; by default the last")] = None,
    idf: Annotated[bool, typer.Option("--idf", help="rare tokens of the references count more")] = False,
    output: Annotated[Path | None, typer.Option(help="file for the scores")] = None,
    segments: Annotated[Path | None, typer.Option(help="file for the values of each answer")] = None,
    seed: Annotated[int, typer.Option(help="of the intervals")] = 0,
) -> None:
    """How near answers are to their references in the states of an encoder: BERTScore, not rescaled.

    Example: cityscribe score bertscore runs/demo/predictions.jsonl --encoder roberta-large --layer 17
    """
    from cityscribe.evaluate.bertscore import load_encoder, score_answers

    refuse_other_than_json(predictions, "answers as JSON lines, such as runs/NAME/predictions.jsonl")
    found = score_answers(predictions, load_encoder(encoder, layer), idf=idf, seed=seed)
    write_scores(found, output, segments)
    table = Table("answers", "precision", "recall", "F1", "95 % of draws")
    shown = "" if found.interval is None else f"{found.interval.low:.4f} to {found.interval.high:.4f}"
    table.add_row(str(len(found.each)), *(f"{value:.4f}" for value in found.mean), shown)
    console.print(table)


@experiment_group.command("compare")
def compare(
    projects: Annotated[list[Path], typer.Argument(help="run folders, or project files", metavar="RUN...")],
    output: Annotated[Path, typer.Option(help="folder for compare.json and the page")] = Path("runs/compare"),
) -> None:
    """What separates runs on the same references, how surely, and where: tables, the samples that changed most.

    Example: cityscribe experiment compare runs/one runs/two
    """
    from cityscribe.project import load_settings
    from cityscribe.report.compare import compare_runs, write_comparison
    from cityscribe.report.run_files import read_run
    from cityscribe.sources import SOURCES

    if len(projects) < 2:
        raise InputError("compare: give two runs or more, such as runs/one runs/two")
    settings = [load_settings(project) for project in projects]
    names = [one.name for one in settings]
    if len(set(names)) < len(names):
        names = [str(one.run_dir) for one in settings]
    if SOURCES[settings[0].data.source].yields == "conversations":
        compare_questions(dict(zip(names, settings, strict=True)), output)
        return
    runs = {name: read_run(one.run_dir, one) for name, one in zip(names, settings, strict=True)}
    found = compare_runs(runs, settings[0].seed)
    write_comparison(found, settings[0].run_dir / "prepared", settings[0], output)
    table = Table("run", "score", f"against {found.first}", "95 % of draws", "p (Holm)")
    table.add_row(found.first, f"{found.score:.2f}")
    for other in found.others:
        interval = "" if other.interval is None else f"{other.interval.low:+.2f} to {other.interval.high:+.2f}"
        p_value = "" if other.p_value is None else f"{other.p_value:.4f}"
        table.add_row(other.name, f"{other.score:.2f}", f"{other.difference:+.2f}", interval, p_value)
    console.print(table)
    console.print(f"page: {output / 'index.html'}")


@experiment_group.command("ablate")
def ablate(
    file: Annotated[Path, typer.Argument(help="a file, or the name of a shipped one", metavar="ABLATION")],
    runs: Annotated[Path, typer.Option(help="folder for the runs and the tables")] = Path("runs/ablations"),
) -> None:
    """Run a grid of settings with several seeds and compare: tables, a plot, intervals. A stopped one goes on.

    Example: cityscribe experiment ablate views
    """
    from cityscribe.ablate import ablate as run_ablation
    from cityscribe.ablate import load_ablation

    folder = run_ablation(load_ablation(file), runs, watch, lambda line: console.print(line))
    console.print((folder / "table.txt").read_text("utf-8"), end="")
    console.print(f"tables and plot: {folder}")

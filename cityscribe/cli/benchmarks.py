"""Commands about published benchmarks and about hallucinated objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cityscribe.cli.shell import Overrides, complaints, console, names_of, score_group, watch
from cityscribe.files import InputError

VocabularyFile = Annotated[
    Path | None, typer.Option(help="YAML file of objects and synonyms; by default, those of traffic")
]


@score_group.command("benchmark")
def benchmark(
    name: Annotated[str, typer.Argument(help=f"{names_of('benchmark')}: docs/benchmarks.md")],
    data: Annotated[Path, typer.Option(help="folder of the benchmark, as its authors publish it")],
    answers: Annotated[Path | None, typer.Option(help="file of answers to score")] = None,
    model: Annotated[str | None, typer.Option(help="folder or hub id of a model that answers first")] = None,
    output: Annotated[Path | None, typer.Option(help="file for the scores; beside it one line a question")] = None,
    split: Annotated[str | None, typer.Option(help="of the benchmark; by default, the usual one")] = None,
    verdicts: Annotated[Path | None, typer.Option(help="file of a judge's verdicts")] = None,
    judge: Annotated[
        str | None, typer.Option(help="a chat model that judges, here or on a server; the classifier of lingoqa")
    ] = None,
    base_url: Annotated[str | None, typer.Option(help="OpenAI-compatible server of --judge; none: here")] = None,
    judge_prompts: Annotated[Path | None, typer.Option(help="YAML file that replaces the prompts of the judge")] = None,
    encoder: Annotated[str | None, typer.Option(help="folder or hub id of the encoder of BERTScore: tar, fetv")] = None,
    layer: Annotated[int | None, typer.Option(min=0, help="of --encoder; by default its last")] = None,
    baseline: Annotated[Path | None, typer.Option(help="file of bert_score that rescales by --encoder")] = None,
    prompts: Annotated[Path | None, typer.Option(help="YAML file with other prompts")] = None,
    work: Annotated[Path | None, typer.Option(help="folder for the answers; runs/benchmarks/NAME")] = None,
    frames: Annotated[int, typer.Option(min=1, help="that show a video")] = 8,
    blind: Annotated[bool, typer.Option("--blind", help="ask without images")] = False,
    partial: Annotated[bool, typer.Option("--partial", help="score only the questions that have an answer")] = False,
    overrides: Overrides = None,
) -> None:
    """Score answers to a benchmark by its official rule; with --model, let a checkpoint answer it first.

    Example: cityscribe score benchmark pope --data data/POPE --model runs/demo/model
    """
    from dataclasses import asdict

    from cityscribe.evaluate.benchmarks import BENCHMARKS
    from cityscribe.evaluate.benchmarks.lines import lines_of
    from cityscribe.evaluate.benchmarks.score import score_benchmark
    from cityscribe.evaluate.benchmarks.verdicts import read_verdicts

    found = BENCHMARKS[name]
    if (answers is None) == (model is None):
        raise InputError("benchmark: give --answers or --model, and not both")
    if not data.is_dir():
        raise InputError(f"{data}: no such folder; expected {name} as its authors publish it")
    if sum(given is not None for given in (verdicts, judge, encoder)) > 1:
        raise InputError("benchmark: give --verdicts or --judge or --encoder, one of them")
    _check_judge(name, judge, encoder)
    if blind and model is None:
        raise InputError("benchmark: --blind says how --model is asked")
    questions = found.read(data, found.split if split is None else split)
    if model is not None:
        answers = _answered(name, questions, data, model, work, prompts, frames, blind, overrides)
        console.print(f"answers: {answers}")
        if found.judged == "always" and verdicts is None and judge is None:
            return
    if answers is None:
        raise AssertionError("neither answers nor a model")
    given = read_verdicts(verdicts) if verdicts is not None else None
    judged_by: dict[str, object] = {}
    if judge is not None:
        given, judged_by = _judged(name, questions, answers, judge, base_url, judge_prompts, partial)
    elif encoder is not None:
        given, judged_by = _encoded(name, questions, answers, encoder, layer, baseline, partial)
    scores = score_benchmark(name, questions, answers, split=split, partial=partial, verdicts=given)
    total = {**scores.total, "lines": asdict(lines_of(found, scores.questions))}
    _finish(name, total, scores.rows, scores.warnings, output, {**scores.provenance, **judged_by})


def _answered(
    name: str,
    questions: Any,
    data: Path,
    model: str,
    work: Path | None,
    prompts: Path | None,
    frames: int,
    blind: bool,
    overrides: list[str] | None,
) -> Path:
    """The file of a model's answers."""
    from cityscribe.benchmark import answer_benchmark
    from cityscribe.evaluate.benchmarks import BENCHMARKS
    from cityscribe.evaluate.benchmarks.asking import read_prompts
    from cityscribe.project import settings_without_project

    settings = settings_without_project(overrides or [])
    home = work or settings.runs / "benchmarks" / (f"{name}-blind" if blind else name)
    wording = read_prompts(prompts)
    with watch(name) as progress:
        return answer_benchmark(
            BENCHMARKS[name],
            questions,
            data,
            model,
            settings,
            home,
            prompts=wording,
            frames=frames,
            images=not blind,
            progress=progress,
        )


def _check_judge(name: str, judge: str | None, encoder: str | None) -> None:
    """Raises InputError where a benchmark takes no verdicts of this kind."""
    from cityscribe.evaluate.benchmarks import BENCHMARKS

    found = BENCHMARKS[name]
    takes = "nothing" if found.judged == "never" else "--encoder" if found.judged_by == "encoder" else "--judge"
    for option, value in (("--judge", judge), ("--encoder", encoder)):
        if value is not None and takes != option:
            raise InputError(f"{name}: takes no {option}; its rule needs {takes}")


def _encoded(
    name: str,
    questions: Any,
    answers: Path,
    encoder: str,
    layer: int | None,
    baseline: Path | None,
    partial: bool,
) -> tuple[Any, dict[str, object]]:
    """Verdicts by id, and the encoder that they are BERTScore by."""
    from cityscribe.evaluate.benchmarks import BENCHMARKS
    from cityscribe.evaluate.benchmarks.score import read_matched
    from cityscribe.evaluate.benchmarks.verdict_makers import encoded

    benchmark = BENCHMARKS[name]
    said, _ = read_matched(benchmark, questions, answers, partial=partial)
    found, by = encoded(benchmark, questions, said, encoder, layer=layer, baseline=baseline)
    return found, {"bertscore": by}


def _judged(
    name: str,
    questions: Any,
    answers: Path,
    model: str,
    base_url: str | None,
    prompts: Path | None,
    partial: bool,
) -> tuple[Any, dict[str, object]]:
    """Verdicts by id, and who made them with which words. What was said is kept beside the answers."""
    from cityscribe.cli.judging import model_of
    from cityscribe.evaluate.benchmarks import BENCHMARKS
    from cityscribe.evaluate.benchmarks.judging import judge_answers, rubrics_of
    from cityscribe.evaluate.benchmarks.score import read_matched
    from cityscribe.llm.client import Client

    benchmark = BENCHMARKS[name]
    said, _ = read_matched(benchmark, questions, answers, partial=partial)
    if benchmark.judged_by == "classifier":
        from cityscribe.evaluate.benchmarks.verdict_makers import classified

        with watch(f"judge {name}") as progress:
            verdicts, by = classified(benchmark, questions, said, model, progress=progress)
        return verdicts, {"judge": by}
    rubrics = rubrics_of(benchmark, prompts)
    client = Client(model_of(model, base_url), cache=answers.parent / "judge" / "cache")
    with watch(f"judge {name}") as progress:
        found, judged_by, hashes = judge_answers(benchmark, questions, said, client, rubrics, progress=progress)
    return found, {"judge": judged_by, "judge_prompts_sha256": hashes}


@score_group.command("suite")
def suite(
    name: Annotated[str, typer.Argument(help="llama-vid: the seven benchmarks of its reproduction")],
    data: Annotated[Path, typer.Option(help="folder with a folder for each benchmark, by its name")],
    model: Annotated[str, typer.Option(help="folder or hub id of the model that answers")],
    output: Annotated[Path | None, typer.Option(help="FILE.json for the table")] = None,
    work: Annotated[Path | None, typer.Option(help="folder for the answers; runs/benchmarks")] = None,
    frames: Annotated[int, typer.Option(min=1, help="that show a video")] = 8,
    overrides: Overrides = None,
) -> None:
    """Let a model answer several benchmarks; print each number beside the majority line and the exact matches.

    Benchmarks that are not in the folder are left out and said. A stopped one goes on.

    Example: cityscribe score suite llama-vid --data benchmarks --model models/llama-vid --output table.json
    """
    from dataclasses import asdict

    from cityscribe.benchmark import answer_suite
    from cityscribe.evaluate.benchmarks.suites import SUITES
    from cityscribe.files import write_json
    from cityscribe.project import settings_without_project

    if name not in SUITES:
        raise InputError(f"suite {name}: there is none of this name; expected one of: {', '.join(SUITES)}")
    settings = settings_without_project(overrides or [])
    found = [each for each in SUITES[name] if (data / each).is_dir()]
    if not found:
        raise InputError(f"{data}: has none of the folders {', '.join(SUITES[name])}")
    home = work or settings.runs / "benchmarks"
    with watch(name) as progress:
        rows = answer_suite(found, data, model, settings, home, frames=frames, progress=progress)
    if output is not None:
        write_json(output, [asdict(row) for row in rows])
    table = Table("benchmark", "questions", "measure", "value", "majority", "exact")
    for row in rows:
        shares = ("none" if share is None else f"{share:.2f}" for share in (row.value, row.majority, row.exact))
        table.add_row(row.benchmark, f"{row.questions:,}", row.measure, *shares)
    console.print(table)
    for each in SUITES[name]:
        if each not in found:
            console.print(f"{each}: left out, {data / each} is not there")


@score_group.command("pope-questions")
def pope_questions(
    objects: Annotated[Path, typer.Argument(help='JSON file {"image.jpg": ["car", "person"], ...}')],
    folder: Annotated[Path, typer.Argument(help="folder to write; the images belong into it or its images/")],
    vocabulary: VocabularyFile = None,
    images: Annotated[int, typer.Option(min=1, help="that are asked about")] = 500,
    per_image: Annotated[int, typer.Option(min=1, help="objects of each image, and as many that are not there")] = 3,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Build POPE's questions (random, popular, adversarial) from the objects of images, for `benchmark pope`.

    Example: cityscribe score pope-questions objects.json pope
    """
    import json

    from cityscribe.evaluate.hallucination.objects import read_objects, read_vocabulary
    from cityscribe.evaluate.hallucination.pope import CATEGORIES, build_questions
    from cityscribe.files import write_text
    from cityscribe.traffic.metrics.named_objects import TRAFFIC_OBJECTS

    words = read_vocabulary(vocabulary or TRAFFIC_OBJECTS)
    truth, warnings = read_objects(objects, words)
    folder.mkdir(parents=True, exist_ok=True)
    for category in CATEGORIES:
        questions = build_questions(truth, category, words, images=images, per_image=per_image, seed=seed)
        path = folder / f"{objects.stem}_pope_{category}.json"
        write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in questions))
        console.print(f"{path}: {len(questions)} questions")
    _warn(warnings)


@score_group.command("chair")
def chair(
    captions: Annotated[Path, typer.Argument(help="captions: {image: text}, JSON lines of predict, or a submission")],
    objects: Annotated[Path | None, typer.Option(help='the truth, {"image.jpg": ["car", ...], ...}')] = None,
    references: Annotated[Path | None, typer.Option(help="reference captions that say more of the truth")] = None,
    vocabulary: VocabularyFile = None,
    output: Annotated[Path | None, typer.Option(help="file for the scores; beside it one line a caption")] = None,
) -> None:
    """Count the objects that captions name and that are not there: CHAIRs, CHAIRi, recall.

    The truth is in --objects, in --references (captions by image, or the folder of a WTS data set), or in both.

    Example: cityscribe score chair predictions.json --references data/WTS
    """
    from cityscribe.evaluate.hallucination.chair import chair as score
    from cityscribe.evaluate.hallucination.objects import read_objects, read_vocabulary
    from cityscribe.traffic.metrics.named_objects import TRAFFIC_OBJECTS, read_captions, truth_of_references

    if objects is None and references is None:
        raise InputError("chair: give the truth with --objects or --references")
    words = read_vocabulary(vocabulary or TRAFFIC_OBJECTS)
    truth, warnings = read_objects(objects, words) if objects is not None else ({}, [])
    for image, named in (truth_of_references(references, words) if references is not None else {}).items():
        truth[image] = (*truth.get(image, ()), *named)
    found = score(read_captions(captions), truth, words)
    _finish("chair", found.total, found.rows, warnings, output, {})


def _finish(
    title: str,
    total: Mapping[str, Any],
    rows: Sequence[Mapping[str, object]],
    warnings: Sequence[str],
    output: Path | None,
    provenance: Mapping[str, object],
) -> None:
    """Write scores, lines and provenance, and print the measures."""
    import json

    from cityscribe.files import write_json, write_text

    _warn(warnings)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_text(output.with_name(f"{output.stem}.rows.jsonl"), lines)
        if provenance:
            write_json(output.with_name(f"{output.stem}.provenance.json"), {**provenance, "warnings": list(warnings)})
        write_json(output, total)
    table = Table(title, "")
    for name, value in total.items():
        if isinstance(value, dict):
            for part, measured in value.items():
                if not isinstance(measured, dict):
                    table.add_row(escape(f"{name}: {part}"), _shown(measured))
                    continue
                for inner, deeper in measured.items():
                    table.add_row(escape(f"{name}: {part}: {inner}"), _shown(deeper))
        elif name != "benchmark":
            table.add_row(escape(name), _shown(value))
    console.print(table)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    return "" if value is None else escape(str(value))


def _warn(warnings: Any) -> None:
    for warning in warnings:
        complaints.print(f"[yellow]warning:[/] {escape(warning)}")

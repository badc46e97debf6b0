"""Commands that let a language model judge answers, and that compare judges."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from cityscribe.cli.shell import console, score_group, watch
from cityscribe.files import InputError
from cityscribe.places import refuse_other_than_json
from cityscribe.progress import Progress

if TYPE_CHECKING:
    from cityscribe.evaluate.judge import JudgeScores, Rubric
    from cityscribe.llm.client import Client
    from cityscribe.llm.message import LanguageModel


@score_group.command("judge")
def judge(
    target: Annotated[
        Path, typer.Argument(help="project file or run folder, or a file of answers", metavar="PROJECT|ANSWERS")
    ],
    model: Annotated[str, typer.Option(help="folder or hub id of a chat model, or its name on the server")],
    base_url: Annotated[str | None, typer.Option(help="OpenAI-compatible server; none judges on this machine")] = None,
    rubric: Annotated[str, typer.Option(help="what is judged: one of the prompt file")] = "answer",
    prompts: Annotated[Path | None, typer.Option(help="YAML file that replaces the prompts of the package")] = None,
    output: Annotated[Path | None, typer.Option(help="folder; by default `judge` beside the answers")] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="requests under way at once")] = 8,
    tries: Annotated[int, typer.Option(min=1, help="of each request, with growing pauses between them")] = 6,
    batch_size: Annotated[int, typer.Option(min=1, help="answers judged together on this machine")] = 8,
    seed: Annotated[int, typer.Option(help="of the intervals")] = 0,
) -> None:
    """Let a language model judge open answers as Video-ChatGPT does: yes or no, and 0 to 5.

    Reads predictions.jsonl of a run and its baselines, or any file of that form or of Video-ChatGPT's. Replies are
    kept: the same command goes on where it was stopped. A server's key is OPENAI_API_KEY.

    Example: cityscribe score judge runs/demo/project.yaml --model Qwen/Qwen3-8B
    """
    from cityscribe.evaluate.judge import load_rubrics
    from cityscribe.llm.client import Client

    rubrics = load_rubrics(prompts)
    if rubric not in rubrics:
        raise InputError(f"--rubric {rubric}: expected one of {', '.join(rubrics)}")
    answers = _answers(target)
    cache = (output or answers[0][1].parent / "judge") / "cache"
    options = {"batch_size": batch_size} if base_url is None else {"concurrency": concurrency, "tries": tries}
    client = Client(model_of(model, base_url, **options), cache=cache)
    table = Table("answers", "items", "yes %", "of all %", "score", "unparsed")
    for name, path in answers:
        folder = path.parent / "judge" if output is None else output
        file = folder / f"{path.stem}.{rubric}.{re.sub('[^A-Za-z0-9._-]+', '-', model).strip('-')[-60:]}.json"
        if output is not None and len(answers) > 1:
            file = file.with_name(f"{name}.{file.name}")
        with watch(f"judge {name}") as progress:
            found = _judge_file(path, client, rubrics[rubric], rubric, file, seed, progress)
        right = ["" if share is None else f"{100 * share:.1f}" for share in (found.accuracy, found.accuracy_over_all)]
        score = "" if found.score is None else f"{found.score:.2f}"
        table.add_row(name, str(found.items), *right, score, str(found.unparsed))
    console.print(table)
    console.print(f"verdicts: {file.with_suffix('.jsonl')}")


def _answers(target: Path) -> list[tuple[str, Path]]:
    """The files of answers: one, or those of a run and its baselines."""
    from cityscribe.cli.stages import homes_of
    from cityscribe.project import load_settings

    if target.is_file() and target.suffix not in (".yaml", ".yml"):
        refuse_other_than_json(target, "a project file, a run folder, or answers such as runs/NAME/predictions.jsonl")
        return [(target.stem, target)]
    homes = homes_of(load_settings(target))
    found = [(name, home / "predictions.jsonl") for name, home in homes if (home / "predictions.jsonl").is_file()]
    if not found:
        raise InputError(f"{homes[0][1]}: has no predictions.jsonl; run `cityscribe predict {target}` first")
    return found


def model_of(model: str, base_url: str | None, **options: int) -> LanguageModel:
    """The model that `--model` names: on the server `--base-url`, or on this machine."""
    from cityscribe.llm.models import LANGUAGE_MODELS

    where = {"model": model} if base_url is None else {"model": model, "base_url": base_url}
    found: LanguageModel = LANGUAGE_MODELS["local" if base_url is None else "server"](**where, **options)
    return found


def _judge_file(
    path: Path, client: Client, rubric: Rubric, name: str, out: Path, seed: int, progress: Progress
) -> JudgeScores:
    """Judge a file of answers; write the numbers with what made them, and each verdict as a JSON line."""
    from cityscribe.evaluate.judge import VIDEO_CHATGPT, judge_items, summarise
    from cityscribe.evaluate.judge_files import read_items
    from cityscribe.evaluate.provenance import provenance
    from cityscribe.files import write_json, write_text

    items = read_items(path)
    if "{second_answer}" in rubric.user and not all(item.second_answer for _, _, item in items):
        raise InputError(f"{path}: has one answer an item, but the rubric {name} compares two (pred1 and pred2)")
    verdicts, judged_by = judge_items([item for _, _, item in items], client, VIDEO_CHATGPT, rubric, progress=progress)
    summary = summarise(verdicts, [group for _, group, _ in items], seed)
    references = {f"{n}/{key}": [item.question, item.reference] for n, (key, _, item) in enumerate(items)}
    made_by = {
        **provenance(f"judge: {name}", None, references, path, ("numpy",)),
        "judge": judged_by,
        "prompt_sha256": rubric.sha256,
        "seed": str(seed),
    }
    lines = [
        {"id": key, "group": group, "correct": verdict.correct, "score": verdict.score, "reply": verdict.reply}
        for (key, group, _), verdict in zip(items, verdicts, strict=True)
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_text(out.with_suffix(".jsonl"), text)
    write_json(out, {**summary.to_json(), "provenance": made_by})
    return summary


@score_group.command("errors")
def errors(
    answers: Annotated[Path, typer.Argument(help="answers with their references, such as predictions.jsonl")],
    model: Annotated[str, typer.Option(help="folder or hub id of a chat model, or its name on the server")],
    base_url: Annotated[str | None, typer.Option(help="OpenAI-compatible server; none judges on this machine")] = None,
    prompts: Annotated[Path | None, typer.Option(help="YAML file that replaces the prompts of the package")] = None,
    output: Annotated[Path | None, typer.Option(help="folder; by default `judge` beside the answers")] = None,
) -> None:
    """Let a language model count the errors of descriptions by kind and severity, and say how far that agrees with the
    attributes that are read from them.

    Example: cityscribe score errors runs/demo/predictions.jsonl --model Qwen/Qwen3-8B
    """
    from cityscribe.evaluate.error_counts import JUDGE, KINDS, SEVERITIES, count_errors
    from cityscribe.evaluate.judge import load_rubrics
    from cityscribe.evaluate.judge_files import read_items
    from cityscribe.files import write_json
    from cityscribe.llm.client import Client
    from cityscribe.traffic.metrics.error_agreement import agreement_with_attributes

    rubric = load_rubrics(prompts, JUDGE)["errors"]
    items = [item for _, _, item in read_items(answers)]
    folder = output or answers.parent / "judge"
    with watch("errors") as progress:
        counted = count_errors(
            items, Client(model_of(model, base_url), cache=folder / "cache"), rubric, progress=progress
        )
    read = [counts for counts in counted if counts is not None]
    found = agreement_with_attributes(items, counted)
    table = Table("kind", *SEVERITIES, title=f"{len(read)} of {len(items)} replies could be read")
    for kind in KINDS:
        table.add_row(kind, *(str(sum(counts.number(kind, severity) for counts in read)) for severity in SEVERITIES))
    console.print(table)
    kappa, spearman = ("none" if value is None else f"{value:.3f}" for value in (found.kappa, found.spearman))
    console.print(f"agreement with the attributes read: kappa {kappa}, Spearman {spearman}")
    totals = {kind: {s: sum(counts.number(kind, s) for counts in read) for s in SEVERITIES} for kind in KINDS}
    write_json(folder / "errors.json", {"items": len(items), "read": len(read), "errors": totals, **asdict(found)})


@score_group.command("agreement")
def agreement(
    first: Annotated[Path, typer.Argument(help="verdicts of one judge, as `judge` writes them (.jsonl)")],
    second: Annotated[Path, typer.Argument(help="verdicts of another one on the same answers")],
    output: Annotated[Path | None, typer.Option(help="file for the numbers")] = None,
) -> None:
    """How far two judges agree: Cohen's kappa on yes and no, correlation of the scores.

    Example: cityscribe score agreement one.jsonl two.jsonl
    """
    from cityscribe.evaluate import agreement as measured
    from cityscribe.evaluate.judge_files import read_verdicts
    from cityscribe.files import write_json

    one, other = read_verdicts(first), read_verdicts(second)
    if [name for name, _ in one] != [name for name, _ in other]:
        raise InputError(f"{second}: does not judge the same answers in the same order as {first}")
    found = measured.agreement([verdict for _, verdict in one], [verdict for _, verdict in other])
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_json(output, asdict(found))
    table = Table("read by both", "agree", "kappa", "Pearson", "Spearman", "second - first")
    values = (found.agreement, found.kappa, found.pearson, found.spearman, found.difference)
    table.add_row(f"{found.both_read} of {found.items}", *("" if v is None else f"{v:.3f}" for v in values))
    console.print(table)

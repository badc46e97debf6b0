"""What commands say and do about answered questions: their scores, on the terminal and for any file of answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from cityscribe.cli.shell import complaints, console
from cityscribe.files import InputError
from cityscribe.records import Sample

if TYPE_CHECKING:
    from cityscribe.evaluate.question_results import QuestionTotal
    from cityscribe.report.settings import Reporting


def compare_questions(runs: Mapping[str, Reporting], output: Path) -> None:
    """Compare runs that answered the same questions, by name: print what separates them, write page and JSON."""
    from cityscribe.report.question_page import write_question_comparison

    found = write_question_comparison(runs, output)
    table = Table("run", "score", f"against {found.first.name}", "95 % of draws", "p (Holm)")
    table.add_row(found.first.name, _points(found.first.scores.score))
    for model, lead in zip(found.models[1:], found.leads, strict=True):
        interval = "" if lead.interval is None else f"{lead.interval.low:+.2f} to {lead.interval.high:+.2f}"
        p_value = "" if lead.p_value is None else f"{lead.p_value:.4f}"
        table.add_row(model.name, _points(model.scores.score), f"{lead.points:+.2f}", interval, p_value)
    console.print(table)
    console.print(f"page: {output / 'index.html'}")


def _points(score: float | None) -> str:
    return "none" if score is None else f"{score:.2f}"


def print_question_scores(homes: list[tuple[str, Path]]) -> None:
    """A line a model and part, from the `scores.json` of each."""
    from cityscribe.evaluate.question_results import read_total

    table = Table("model", *COLUMNS)
    for name, home in homes:
        if (home / "scores.json").exists():
            first, *rest = score_rows(read_total(home / "scores.json"))
            table.add_row(name, *first)
            for row in rest:
                table.add_row("", *row)
            table.add_section()
    console.print(table)


COLUMNS = ("questions", "", "right %", "95 % of draws", "majority", "unread")


def score_rows(scores: QuestionTotal) -> list[tuple[str, ...]]:
    """The cells under COLUMNS."""
    rows: list[tuple[str, ...]] = []
    if (options := scores.choices) is not None:
        majority = f"{100 * options.majority.accuracy:.1f}"
        shown = (_percent(options.accuracy), _between(options.interval), majority, str(options.unparsed))
        rows.append(("options", str(options.questions), *shown))
        if options.balanced is not None:
            shown = (_percent(options.balanced), _between(options.balanced_interval), "", "")
            rows.append(("mean of classes", str(len(options.classes)), *shown))
        if (turned := options.circular) is not None:
            shown = (_percent(turned.accuracy), _between(turned.interval), "", str(turned.unparsed))
            rows.append(("all rotations", str(turned.questions), *shown))
    if (short := scores.answers) is not None:
        majority = f"{100 * short.majority.exact:.1f}"
        shown = (_percent(short.exact), _between(short.exact_interval), majority, "")
        rows.append(("exact", str(short.questions), *shown))
        rows.append(("token F1", "", _percent(short.f1), _between(short.f1_interval), "", ""))
    if (long := scores.captions) is not None:
        rows.append(("captions, points", str(long.questions), f"{long.score:.1f}", "", "", ""))
    return rows or [("no references", str(scores.questions), "", "", "", "")]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _between(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"


def evaluate_file(
    predictions: Path,
    references: Path | None,
    source: str | None,
    profile: str,
    backend: Any,
    split: str | None,
    against: str,
    output: Path | None,
    segments: Path | None,
) -> None:
    """Score a file of answers and print and write what came out. Without references those beside the answers count."""
    from cityscribe.evaluate.question_files import read_lines
    from cityscribe.evaluate.question_scores import evaluate_questions
    from cityscribe.sources.choices import in_all_rotations

    samples, learned = _references(references, source, split)
    if samples is not None:
        names = [(line.scenario, line.id) for line in read_lines(predictions)]
        if len(set(names)) < len(names) and len(samples) < len(names):
            samples = in_all_rotations(samples)  # the answers are to several orders of the options
    scores = evaluate_questions(
        predictions, samples, learned=learned, profile=profile, backend=backend, split=split, against=against
    )
    write_scores(scores, output, segments)
    table = Table(*COLUMNS)
    for row in score_rows(scores.found):
        table.add_row(*row)
    console.print(table)


def write_scores(scores: Any, output: Path | None, segments: Path | None) -> None:
    """Tell the warnings of an evaluation; write its scores, what made them beside, and the values of each segment."""
    from cityscribe.files import write_json

    for warning in scores.warnings:
        complaints.print(f"[yellow]warning:[/] {escape(warning)}")
    for path, value in ((output, scores.total), (segments, scores.segments)):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, value)
    if output is not None:
        write_json(output.with_name(f"{output.stem}.provenance.json"), scores.provenance)


def _references(
    references: Path | None, source: str | None, split: str | None
) -> tuple[list[Sample] | None, list[Sample]]:
    """The samples to score by, of one split where that is said, and those of training; None without references."""
    from cityscribe.records import read_samples
    from cityscribe.sources.reading import conversation_source
    from cityscribe.sources.recognise import recognise

    if references is None:
        return None, []
    if references.suffix == ".parquet":
        return read_samples(references), []
    named = source or recognise(references, "conversations")
    samples, problems = conversation_source(named).read(references)
    if not samples:
        first = f"; {problems[0]}" if problems else ""
        raise InputError(f"{references}: no conversation can be used{first}")
    wanted = [sample for sample in samples if split is None or sample.meta.split == split]
    learned = [sample for sample in samples if sample.meta.split == "train"] if split not in (None, "train") else []
    if not wanted:
        raise InputError(f"{references}: has no conversations of the split {split}")
    return wanted, learned

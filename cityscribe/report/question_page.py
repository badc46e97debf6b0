"""The page about answered questions: how good each model is, which classes it confuses, what it says.

    OUT/index.html      everything in one file: it loads nothing, runs no script and can be sent by mail
    OUT/answers.csv     all questions and answers, which `answer_table` makes; the page names it and does not need it
    OUT/compare.json    of several runs: the numbers of their comparison

The page of a run and that of several are one: the models stand side by side, the first is what the others are compared
with. `questions.html.jinja` with `style.css` and `questions.css` in it; all that the run holds is untrusted text to it
and is escaped. Equal run folders give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

from markupsafe import Markup

from cityscribe.evaluate.question_files import AskedQuestion
from cityscribe.evaluate.question_results import Against, ChoiceOutcome, ClassScores, Confusion, Kind, QuestionTotal
from cityscribe.evaluate.resampling import CONFIDENCE, RESAMPLES
from cityscribe.files import InputError, write_json, write_text
from cityscribe.report import answer_table
from cityscribe.report.curves import ChartLine, line_chart
from cityscribe.report.page import DESCRIPTIONS, template_of, versions
from cityscribe.report.question_charts import confusion_chart, recall_chart
from cityscribe.report.question_runs import AnsweringModel, QuestionRun, join_question_runs, read_question_run
from cityscribe.report.run_files import OWN
from cityscribe.report.samples import EmbeddedImage, evenly_spaced, shown_image
from cityscribe.report.settings import Reporting


@dataclass(frozen=True, slots=True)
class SampleAnswer:
    """One question as the page shows it, with what each model answered and whether that is right."""

    question: AskedQuestion
    images: tuple[EmbeddedImage, ...]
    right: str
    answers: tuple[tuple[str | None, float | None], ...]  # text, outcome


def write_question_report(run_dir: Path, settings: Reporting, out: Path) -> Path:
    """Write the page about a run of questions into the folder `out`, made if it is missing, and return its path.

    Raises InputError for a file of the run that is missing or malformed.
    """
    out.mkdir(parents=True, exist_ok=True)
    run = read_question_run(run_dir, settings)
    write_text(out / "index.html", render_questions(run, run_dir / "prepared", settings, f"Run {settings.name}"))
    write_text(out / answer_table.NAME, answer_table.answer_table(run))
    return out / "index.html"


def write_question_comparison(runs: Mapping[str, Reporting], out: Path) -> QuestionRun:
    """Compare the tuned models of several runs, by name, and write the page and `compare.json` into `out`.

    Raises InputError for fewer than two runs, for runs that did not answer the same questions, and as
    `write_question_report`.
    """
    settings = next(iter(runs.values()))
    found = {name: read_question_run(one.run_dir, one) for name, one in runs.items()}
    joined = join_question_runs(found, settings.seed)
    out.mkdir(parents=True, exist_ok=True)
    title = f"Runs {', '.join(runs)}"
    write_text(out / "index.html", render_questions(joined, settings.run_dir / "prepared", settings, title))
    write_text(out / answer_table.NAME, answer_table.answer_table(joined))
    write_json(
        out / "compare.json",
        {
            "first": {"name": joined.first.name, "scores": joined.first.scores.to_json()},
            "others": [
                {"name": model.name, "scores": model.scores.to_json(), "lead": asdict(lead)}
                for model, lead in zip(joined.models[1:], joined.leads, strict=True)
            ],
        },
    )
    return joined


def render_questions(run: QuestionRun, image_root: Path, settings: Reporting, title: str) -> str:
    """The page as HTML. `image_root` is the folder that the images of the prepared data are relative to."""
    package = resources.files("cityscribe.report")
    template = template_of("cityscribe.report", "questions.html.jinja")
    styles = [(package / name).read_text("utf-8") for name in ("style.css", "questions.css")]
    options = [(model, model.scores.choices) for model in run.models if model.scores.choices is not None]
    classes = class_rows(run.models)
    shares = [tuple(None if each is None else each.recall for each in row.models) for row in classes]
    losses = [
        ChartLine(model.name, number, [point.step for point in model.curve], [point.loss for point in model.curve])
        for number, model in enumerate(run.models)
        if model.curve
    ]
    return template.render(
        run=run,
        settings=settings,
        title=title,
        headline=headline(run.first) if run.first.name in OWN else f"{run.first.name}: {headline(run.first)}",
        several=run.first.name not in OWN,
        style=Markup("\n".join(styles)),
        classes=classes,
        recalls=recall_chart([row.name for row in classes], shares) if classes else None,
        matrices=[
            (model, scores, *_charts(model.name, scores.confusion, scores.against))
            for model, scores in options
            if scores.confusion is not None
        ],
        breakdowns=breakdown_rows(run.models),
        loss=line_chart("Training loss", losses, "step", "loss (nats a token)", smooth=True, log=True)
        if losses
        else None,
        samples=sample_answers(run, image_root, settings.report.samples),
        answers_file=answer_table.NAME,
        descriptions=DESCRIPTIONS,
        versions=versions(),
        confidence=f"{CONFIDENCE:.0%}".replace("%", " %"),
        resamples=RESAMPLES,
    )


def _charts(model: str, confusion: Confusion, against: Against | None) -> tuple[Markup, Markup | None]:
    whole = confusion_chart(f"Confusion matrix of {model}", confusion)
    if against is None:
        return whole, None
    return whole, confusion_chart(f"{against.name} against the rest, {model}", against.confusion)


def headline(model: AnsweringModel) -> str:
    """The first thing that the page says."""
    scores = model.scores
    # Of a question in several orders of its options, one counts.
    asked = sum(part.questions for part in scores.parts) or scores.questions
    number = f"{asked:,}".replace(",", "\u202f")
    if scores.score is None:
        return f"{number} questions answered, none of them with a reference"
    if scores.parts == [scores.captions]:
        return f"{scores.score:.1f} points over {number} long answers"
    said = f"{scores.score:.1f} % of {number} questions right"
    usual = majority(scores)
    return said if usual is None else f"{said}; the commonest answers alone are right in {100 * usual:.1f} %"


def majority(scores: QuestionTotal) -> float | None:
    """The share of questions that the commonest answers get right, without looking; None where long answers, which
    have no commonest one, count too."""
    if scores.captions is not None:
        return None
    shares = [(part.questions, part.majority.accuracy) for part in [scores.choices] if part is not None]
    shares += [(part.questions, part.majority.exact) for part in [scores.answers] if part is not None]
    right = sum(questions * share for questions, share in shares)
    return right / sum(questions for questions, _ in shares) if shares else None


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A class with its scores of each model, None where a model has none."""

    name: str
    questions: int
    models: tuple[ClassScores | None, ...]


def class_rows(models: Sequence[AnsweringModel]) -> list[ClassRow]:
    """The classes in order of name."""
    tables = [
        {} if (part := model.scores.choices) is None else {row.name: row for row in part.classes} for model in models
    ]
    rows = []
    for name in sorted({name for table in tables for name in table}):
        entries = tuple(table.get(name) for table in tables)
        questions = next(each.questions for each in entries if each is not None)
        rows.append(ClassRow(name, questions, entries))
    return rows


@dataclass(frozen=True, slots=True)
class KindRow:
    """Questions of a kind with the share that each model has right, None where a model has none."""

    value: str
    questions: int
    models: tuple[float | None, ...]


def breakdown_rows(models: Sequence[AnsweringModel]) -> dict[str, list[KindRow]]:
    """Accuracy of choices and exact match of short answers by kinds of questions, each model's beside the others'."""
    tables: dict[str, list[dict[str, Kind]]] = {}
    for number, model in enumerate(models):
        parts = {} if model.scores.choices is None else dict(model.scores.choices.breakdowns)
        types = [] if model.scores.answers is None else model.scores.answers.types
        if len(types) > 1:
            parts["kind of answer"] = [Kind(value=t.type, questions=t.questions, accuracy=t.exact) for t in types]
        for kind, rows in parts.items():
            tables.setdefault(kind, [{} for _ in models])[number] = {row.value: row for row in rows}
    return {
        kind: [
            KindRow(
                value,
                next(table[value].questions for table in each if value in table),
                tuple(table[value].accuracy if value in table else None for table in each),
            )
            for value in sorted({value for table in each for value in table})
        ]
        for kind, each in tables.items()
    }


def sample_answers(run: QuestionRun, image_root: Path, count: int) -> list[SampleAnswer]:
    """Questions evenly spaced from those that the first model answers best to those that it answers worst.

    Raises InputError for a file that is no image.
    """
    outcomes = run.first.outcomes
    ranked = sorted(outcomes, key=lambda key: (-outcomes[key].outcome, key)) or sorted(run.questions)
    found = []
    for place in evenly_spaced(len(ranked), count) if ranked else []:
        key = ranked[place]
        if key not in run.questions:
            raise InputError(f"{key}: is scored, but not among the prepared questions; run `cityscribe evaluate` again")
        question = run.questions[key]
        shown = (
            shown_image(image_root, path, f"image {number}", question.name, ())
            for number, path in enumerate(question.images, start=1)
        )
        answers = tuple(
            (model.answers.get(key), model.outcomes[key].outcome if key in model.outcomes else None)
            for model in run.models
        )
        outcome = outcomes.get(key)
        right = outcome.truth if isinstance(outcome, ChoiceOutcome) else question.reference
        found.append(SampleAnswer(question, tuple(shown), right, answers))
    return found

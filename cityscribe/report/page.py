"""The stage `report`: one page that says what a run is, how good it is and where it fails.

    OUT/index.html    everything in one file: it loads nothing, runs no script and can be sent by mail

    write_report(run_dir, settings, out)

The page is `template.html.jinja` with `style.css` in it. All that the run holds is untrusted text to it and is escaped.
Equal run folders give equal bytes.
"""

from __future__ import annotations

import math
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from cityscribe.files import InputError, write_text
from cityscribe.report.attribute_tables import (
    AttributeRow,
    attribute_rows,
    changing_rows,
    fixed_rows,
    mean_accuracies,
)
from cityscribe.report.bootstrap import CONFIDENCE, RESAMPLES
from cityscribe.report.breakdowns import breakdowns
from cityscribe.report.comparison import Comparison
from cityscribe.report.curves import ChartLine, line_chart
from cityscribe.report.dots import DotRow, constant_mark, dot_plot, legend_mark
from cityscribe.report.highlights import highlights
from cityscribe.report.run_files import AskedPhase, EvaluatedModel, Run, read_run
from cityscribe.report.samples import sample_cards
from cityscribe.report.settings import Reporting
from cityscribe.report.tables import (
    headline,
    reference_domains,
    score_groups,
    signed,
    skip_groups,
    unexplained,
)
from cityscribe.traffic.scenario import PHASES

METRICS = {
    "bleu-1": "BLEU-1",
    "bleu-2": "BLEU-2",
    "bleu-3": "BLEU-3",
    "bleu": "BLEU-4",
    "meteor": "METEOR",
    "rouge-l": "ROUGE-L",
    "cider": "CIDEr-D",
}
"""In the order of the page; a profile may have no BLEU of shorter n-grams."""

DESCRIPTIONS = {
    "tuned": "the model of this run",
    "base": "the model of this run, as it is",
    "untuned": "the same model before tuning",
    "blind": "the same training without the images",
    "majority": "the most typical training caption of each phase, whatever is seen",
}

PROBLEMS = {
    "empty": "nothing was said",
    "cut": "cut off at the longest answer that is allowed",
    "non-finite": "broken off: the model gave no finite numbers",
}

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

PACKAGES = ("cityscribe", "torch", "transformers", "peft", "numpy", "pillow")


def write_report(run_dir: Path, settings: Reporting, out: Path) -> Path:
    """Write the page about the run in `run_dir` into the folder `out`, made if it is missing, and return its path.

    A part of the run that is missing is named on the page. Raises InputError for a file that is malformed, a run folder
    that does not exist, and a page that cannot be written.
    """
    page = render(read_run(run_dir, settings), run_dir / "prepared", settings)
    return write_page(page, out)


def write_page(page: str, out: Path) -> Path:
    """Write a page as `index.html` into the folder `out`, made if it is missing, and return its path."""
    target = out / "index.html"
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_text(target, page)
    except OSError as error:
        raise InputError(f"{error.filename or target}: cannot be written: {error.strerror or error}") from error
    return target


@cache
def template_of(package: str, file: str) -> Template:
    """The template of a page, compiled once. What they have in common: all is escaped, and nothing may be missing."""
    found = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    found.filters.update(signed=signed, said=said, opening=opening)
    found.tests.update(flat_table=is_flat_table)
    return found.from_string((resources.files(package) / file).read_text("utf-8"))


def render(
    run: Run,
    image_root: Path,
    settings: Reporting,
    shown: tuple[AskedPhase, ...] | None = None,
    comparison: Comparison | None = None,
) -> str:
    """The page as HTML. `image_root` is the folder that the images of the prepared data are relative to; `shown` are
    the sample phases, None for some from the best to the worst. With `comparison` the page is about several runs."""
    package = resources.files("cityscribe.report")
    template = template_of("cityscribe.report", "template.html.jinja")
    segments = reference_domains(run)
    groups = score_groups(run, settings.seed)
    attributes = attribute_rows(run, settings.seed)
    cards = sample_cards(run, image_root, settings, shown)
    present = {metric for group in groups for row in group.rows for metric in row.metrics}
    return template.render(
        run=run,
        settings=settings,
        style=Markup((package / "style.css").read_text("utf-8")),
        headline=headline(run) if comparison is None else comparison_headline(comparison),
        comparison=comparison,
        groups=groups,
        segments=len(segments),
        answered=[sum(key in (model.segments or {}) for key in segments) for model in run.models],
        unexplained=unexplained(run),
        breakdowns=breakdowns(run, settings.seed),
        attributes=attributes,
        mean_accuracies=mean_accuracies(attributes),
        attribute_plot=attribute_plot(attributes),
        fixed=fixed_rows(run),
        changing=changing_rows(run),
        attribute_reading=next((one.attributes.reading for one in run.models if one.attributes is not None), {}),
        anchors={card.phase.key: place for place, card in enumerate(cards, start=1)},
        marks=[legend_mark(number) for number in range(len(run.models))],
        constant_mark=constant_mark(),
        charts=charts(run.models),
        cards=cards,
        highlights=highlights(run, image_root, settings) if comparison is None else [],
        skips=skip_groups(run.skipped or ()),
        versions=versions(),
        project=run.project or yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
        scenarios=len({phase.scenario for phase in run.phases}),
        confidence=f"{CONFIDENCE:.0%}".replace("%", " %"),
        resamples=RESAMPLES,
        metric_names={metric: name for metric, name in METRICS.items() if metric in present},
        model_descriptions=DESCRIPTIONS,
        problem_words=PROBLEMS,
        phase_words=PHASES,
    )


def comparison_headline(comparison: Comparison) -> str:
    """How the runs stand to the first, in one sentence."""
    stands = [f"{other.name} {abs(other.difference):.1f} {_side(other.difference)}" for other in comparison.others]
    return f"{', '.join(stands)} {comparison.first}"


def _side(difference: float) -> str:
    return "points above" if difference > 0 else "points below"


def attribute_plot(rows: list[AttributeRow]) -> Markup | None:
    """The accuracy of every model by attribute; None where there is none."""
    if not rows:
        return None
    return dot_plot(
        "Accuracy by attribute",
        [
            DotRow(
                name=row.attribute.replace("_", " "),
                shares=[None if counts is None else counts.share("right") for counts in row.models],
                constant=row.constant,
                bar=None if row.interval is None else (row.interval.low, row.interval.high),
            )
            for row in rows
        ],
        "captions that have it right",
    )


def charts(models: tuple[EvaluatedModel, ...]) -> list[Markup]:
    """The training curves of the models that have one: loss, that on val where it was looked at, and learning rate over
    steps."""
    curves = [(number, model) for number, model in enumerate(models) if model.curve]
    losses = [
        ChartLine(model.name, number, [point.step for point in model.curve], [point.loss for point in model.curve])
        for number, model in curves
    ]
    rates = {}
    for number, model in curves:
        known = [(point.step, point.lr) for point in model.curve if point.lr is not None]
        if known:
            rates[number] = known
    highest = max((rate for known in rates.values() for _, rate in known), default=0.0)
    # So that ticks are plain numbers: a rate of 2e-4 is a 2 on an axis in units of 1e-4.
    exponent = math.floor(math.log10(highest)) if highest > 0 else 0
    found = []
    if losses:
        found.append(line_chart("Training loss", losses, "step", "loss (nats a token)", smooth=True, log=True))
    looks = []
    for number, model in curves:
        seen = [(point.step, point.val_loss) for point in model.curve if point.val_loss is not None]
        if seen:
            looks.append(ChartLine(model.name, number, *zip(*seen, strict=True)))
    if looks:
        found.append(line_chart("Loss on val", looks, "step", "loss on val (nats a token)", smooth=False, log=True))
    if rates:
        lines = [
            ChartLine(
                models[number].name, number, [step for step, _ in known], [rate / 10.0**exponent for _, rate in known]
            )
            for number, known in rates.items()
        ]
        found.append(
            line_chart(
                "Learning rate",
                lines,
                "step",
                f"learning rate (× 10{str(exponent).translate(SUPERSCRIPTS)})",
                smooth=False,
            )
        )
    return found


def versions() -> dict[str, str]:
    """The packages that are installed where the page is written; a checkout that is not installed has none."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def said(value: Any) -> str:
    """A number, a switch or a text of a JSON file as people write it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def opening(text: str) -> str:
    """A text with a capital letter at its beginning and the rest as it is."""
    return text[:1].upper() + text[1:]


def is_flat_table(value: Any) -> bool:
    """Whether a value of a JSON file is a list of objects with the same keys, whose values are no lists or objects."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(row, dict) and row and row.keys() == value[0].keys() for row in value)
        and not any(isinstance(cell, dict | list) for row in value for cell in row.values())
    )

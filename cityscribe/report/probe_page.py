"""The page of probes: a line a probe with its interval, all that was measured, and examples with what was shown.

One file that loads nothing, runs no script and can be sent by mail. All words of questions and answers are untrusted
text and are escaped. Equal results give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from markupsafe import Markup

from cityscribe.evaluate.probes.probe import TOLERANCE, ProbeLine, ProbeResult
from cityscribe.evaluate.resampling import CONFIDENCE, RESAMPLES
from cityscribe.media.images import jpeg_url, open_image
from cityscribe.report.page import template_of, versions

LOWEST, HIGHEST = -0.25, 1.0
"""The ends of the axis of faults; what lies beyond is drawn at the end."""

PICTURE_WIDTH = 420
"""Of a picture on the page, pixels."""


@dataclass(frozen=True, slots=True)
class ShownVariant:
    """A changed question of an example. `verdict` is right, wrong, or empty where no option is right."""

    label: str
    text: str  # empty where the words are those of the plain question
    images: tuple[Path, ...]  # empty where they are those of the plain question
    answer: str
    verdict: str
    right: str  # the option that is right, empty for none


@dataclass(frozen=True, slots=True)
class ShownQuestion:
    """An example: a question that shows the fault."""

    key: str
    text: str
    images: tuple[Path, ...]
    right: str
    answer: str
    blind: str
    variants: tuple[ShownVariant, ...]


@dataclass(frozen=True, slots=True)
class ShownProbe:
    """A probe on the page."""

    kind: str
    summary: str
    paper: str
    result: ProbeResult
    since: ProbeLine | None  # by how much the fault grew, where two models are compared
    examples: tuple[ShownQuestion, ...]


def render_probes(
    probes: Sequence[ShownProbe], model: str, before: str, questions: int, left_out: Mapping[str, int]
) -> str:
    """The page as HTML. Raises InputError for a picture that cannot be read."""
    package = resources.files("cityscribe.report")
    template = template_of("cityscribe.report", "probes.html.jinja")
    styles = [(package / name).read_text("utf-8") for name in ("style.css", "probes.css")]
    findings = [probe.result.finding for probe in probes]
    return template.render(
        probes=probes,
        model=model,
        before=before,
        questions=questions,
        left_out=left_out,
        counts={word: findings.count(word) for word in ("failed", "passed", "unclear")},
        line_of=_line_of,
        unmoved=_unmoved(probes),
        interval_chart=interval_chart,
        picture=_picture,
        style=Markup("\n".join(styles)),
        tolerance=f"{100 * TOLERANCE:.0f}",
        confidence=f"{CONFIDENCE:.0%}".replace("%", " %"),
        resamples=RESAMPLES,
        versions=versions(),
    )


def _line_of(result: ProbeResult, name: str) -> ProbeLine | None:
    return next((line for line in result.lines if line.name == name), None)


def _unmoved(probes: Sequence[ShownProbe]) -> ProbeLine | None:
    """The gain by looking of the probe that asked most about images, where it is not surely above zero; else None."""
    found = [line for probe in probes if (line := _line_of(probe.result, "gain by looking")) is not None]
    most = max(found, key=lambda line: line.questions, default=None)
    return None if most is None or (most.interval is not None and most.interval.low > 0) else most


WIDTH, HEIGHT, MARGIN = 260, 22, 8


def interval_chart(line: ProbeLine, finding: str) -> Markup:
    """A fault with its interval on the axis of all faults, and how much of it is let pass, as inline SVG."""
    label = f"{line.name}: {100 * line.value:.1f} %"
    if line.interval is not None:
        label += f", {100 * line.interval.low:.1f} to {100 * line.interval.high:.1f}"
    middle = HEIGHT / 2
    parts = [
        Markup('<svg class="interval-chart {}" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            finding, WIDTH, HEIGHT, label
        ),
        Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(MARGIN, WIDTH - MARGIN, middle, middle),
    ]
    for share, name in ((0.0, "zero"), (TOLERANCE, "tolerance"), (0.5, "tick"), (1.0, "tick")):
        x = _x_of(share)
        parts.append(Markup('<line class="{}" x1="{}" x2="{}" y1="3" y2="{}"/>').format(name, x, x, HEIGHT - 3))
    if line.interval is not None:
        low, high = _x_of(line.interval.low), _x_of(line.interval.high)
        parts.append(Markup('<line class="bar" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(low, high, middle, middle))
    parts.append(Markup('<circle class="point" cx="{}" cy="{}" r="5"/>').format(_x_of(line.value), middle))
    return Markup("").join([*parts, Markup("</svg>")])


def _x_of(share: float) -> str:
    inside = (min(max(share, LOWEST), HIGHEST) - LOWEST) / (HIGHEST - LOWEST)
    return f"{MARGIN + inside * (WIDTH - 2 * MARGIN):.1f}"


def _picture(path: Path) -> str:
    """A picture as a data URL, small enough for a page of many. Raises InputError for one that cannot be read."""
    image = open_image(path)
    image.thumbnail((PICTURE_WIDTH, 2 * PICTURE_WIDTH))
    return jpeg_url(image)

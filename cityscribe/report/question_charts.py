"""Charts of answered questions as inline SVG in the page's colours: a confusion matrix, and the recall of classes.

Numbers stand in the cells and beside the bars, so that a chart is read without its colours.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from cityscribe.evaluate.question_results import Confusion

CELL = 38
LETTER = 7.2  # pixels that a letter of a label takes, at 13 px
WIDTH = 640
BAR, GAP = 11, 14


def confusion_chart(title: str, matrix: Confusion) -> Markup:
    """What is right (rows) against what was said (columns), as `evaluate.choices.confusion` counts it. A cell is the
    darker the larger its share of the row; the cells of right answers are framed."""
    rows, columns, counts = matrix.rows, matrix.columns, matrix.counts
    left = LETTER * max(map(len, rows)) + 18
    top = 0.72 * LETTER * max(map(len, columns)) + 20  # the labels lean
    over = 0.72 * LETTER * len(columns[-1])  # the last label leans over the edge
    width, height = left + CELL * len(columns) + over, top + CELL * len(rows) + 6
    parts = [
        Markup('<svg class="chart matrix" viewBox="0 0 {:.0f} {:.0f}" style="--width: {:.0f}px" role="img">').format(
            width, height, width
        ),
        Markup("<title>{}</title>").format(f"{title}: rows are right, columns were said; the table says the same"),
    ]
    for number, name in enumerate(columns):
        x = left + CELL * (number + 0.5)
        parts.append(
            Markup('<text transform="translate({:.1f} {:.1f}) rotate(-45)">{}</text>').format(x, top - 8, name)
        )
    for row, (name, line) in enumerate(zip(rows, counts, strict=True)):
        y = top + CELL * row
        parts.append(
            Markup('<text x="{:.1f}" y="{:.1f}" dy="0.35em" text-anchor="end">{}</text>').format(
                left - 8, y + CELL / 2, name
            )
        )
        total = sum(line)
        for column, count in enumerate(line):
            share = count / total if total else 0.0
            x = left + CELL * column
            kind = "cell right" if columns[column] == name else "cell"
            parts.append(
                Markup(
                    '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{}" height="{}" style="--share: {:.3f}"/>'
                ).format(kind, x + 1, y + 1, CELL - 2, CELL - 2, share)
            )
            if count:
                parts.append(
                    Markup('<text class="{}" x="{:.1f}" y="{:.1f}" dy="0.35em" text-anchor="middle">{}</text>').format(
                        "dark" if share > 0.5 else "count", x + CELL / 2, y + CELL / 2, count
                    )
                )
    return Markup("").join([*parts, Markup("</svg>")])


def recall_chart(names: Sequence[str], shares: Sequence[Sequence[float | None]]) -> Markup:
    """The share of right answers of each class, one bar a model: `shares` is [classes, models]; None is left out."""
    left, right, top = LETTER * max(map(len, names)) + 18, 52, 8
    models = max(map(len, shares))
    band = models * BAR + GAP
    height = top + band * len(names) + 22
    scale = WIDTH - left - right

    def x_of(share: float) -> float:
        return left + scale * share

    parts = [
        Markup('<svg class="chart recalls" viewBox="0 0 {} {:.0f}" role="img">').format(WIDTH, height),
        Markup("<title>Share of right answers by class; the table says the same</title>"),
    ]
    for tick in (0, 25, 50, 75, 100):
        x = x_of(tick / 100)
        parts.append(
            Markup('<line class="grid" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{:.1f}"/>').format(x, x, top, height - 20)
        )
        parts.append(
            Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(x, height - 5, f"{tick} %")
        )
    for place, (name, each) in enumerate(zip(names, shares, strict=True)):
        y = top + band * place + GAP / 2
        parts.append(
            Markup('<text x="{:.1f}" y="{:.1f}" dy="0.35em" text-anchor="end">{}</text>').format(
                left - 8, y + models * BAR / 2, name
            )
        )
        for model, share in enumerate(each):
            if share is None:
                continue
            at = y + BAR * model
            parts.append(
                Markup('<rect class="share m{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{}"/>').format(
                    model, left, at + 1, max(scale * share, 1), BAR - 2
                )
            )
            parts.append(
                Markup('<text class="value" x="{:.1f}" y="{:.1f}" dy="0.35em">{}</text>').format(
                    x_of(share) + 5, at + BAR / 2, f"{100 * share:.0f} %"
                )
            )
    return Markup("").join([*parts, Markup("</svg>")])

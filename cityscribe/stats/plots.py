"""Bar charts as inline SVG that follow the page's colours, light and dark, as `report.curves` draws lines."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from cityscribe.report.curves import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, ticks


def bar_chart(
    title: str, labels: Sequence[str], values: Sequence[float], x_label: str, y_label: str, *, bins: bool = False
) -> Markup:
    """A chart of one bar a label, from zero upwards. On a phone every second label of `bins` is left out (`spare` in
    the style sheet): the others tell the scale."""
    y_ticks = ticks(max(values, default=0))
    slot = (WIDTH - LEFT - RIGHT) / len(values)

    def y_of(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / y_ticks[-1]

    def text(x: float, y: float, words: str, anchor: str = "middle", kind: str = "axis") -> Markup:
        template = Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
        return template.format(kind, x, y, anchor, words)

    values_text = ", ".join(f"{label}: {value:g}" for label, value in zip(labels, values, strict=True))
    opening = Markup('<svg class="chart m0" viewBox="0 0 {} {}" role="img" aria-label="{}: {}">')
    parts = [opening.format(WIDTH, HEIGHT, title, values_text)]
    for tick in y_ticks:
        y = y_of(tick)
        line = Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>')
        parts += [line.format(LEFT, WIDTH - RIGHT, y, y), text(LEFT - 8, y + 4, f"{tick:g}", "end")]
    for place, (label, value) in enumerate(zip(labels, values, strict=True)):
        left, top = LEFT + slot * (place + 0.1), y_of(value)
        bar = Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}: {:g}</title></rect>')
        parts.append(bar.format(left, top, 0.8 * slot, HEIGHT - BOTTOM - top, label, value))
        kind = "label spare" if bins and place % 2 else "label"
        parts.append(text(LEFT + slot * (place + 0.5), HEIGHT - BOTTOM + 20, label, kind=kind))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x_label))
    turned = Markup('<text text-anchor="middle" transform="translate(16 {:.1f}) rotate(-90)">{}</text>')
    parts.append(turned.format((TOP + HEIGHT - BOTTOM) / 2, y_label))
    return Markup("").join([*parts, Markup("</svg>")])


def bin_labels(edges: Sequence[float]) -> list[str]:
    """What the bins of a histogram are called: where each begins; the last one is open."""
    return [f"{edge:g}" if place + 2 < len(edges) else f"{edge:g}+" for place, edge in enumerate(edges[:-1])]

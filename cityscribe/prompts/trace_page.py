"""The page of a search for prompts: how the score went, what each try changed, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jinja2 import Environment, PackageLoader

from cityscribe.prompts.fitness import Try

WIDTH, HEIGHT, EDGE = 720, 200, 34
"""Of the curve, in pixels."""


def trace_page(
    method: str,
    tries: Sequence[Try],
    best: Try,
    tasks: Mapping[str, tuple[float, float]],
    held_out: tuple[float, float] | None,
) -> str:
    """One HTML file without anything outside of it."""
    environment = Environment(loader=PackageLoader("cityscribe.prompts", "."), autoescape=True, trim_blocks=True)
    low, high = min(each.score for each in tries), max(each.score for each in tries)
    span = max(high - low, 0.02)
    step = (WIDTH - 2 * EDGE) / max(len(tries) - 1, 1)
    dots, line, top = [], [], 0.0
    for tried in tries:
        x, y = EDGE + step * tried.number, HEIGHT - EDGE - (tried.score - low) / span * (HEIGHT - 2 * EDGE)
        dots.append((round(x, 1), round(y, 1), tried.number == best.number))
        top = max(top, tried.score)
        line.append(f"{x:.1f},{HEIGHT - EDGE - (top - low) / span * (HEIGHT - 2 * EDGE):.1f}")
    rows = [
        {
            "number": tried.number,
            "score": f"{100 * tried.score:.1f}",
            "why": tried.why,
            "asked": tried.asked,
            "changes": _changes(tried, tries),
            "best": tried.number == best.number,
            "better": tried.parent is not None and tried.score > tries[tried.parent].score,
        }
        for tried in tries
    ]
    return environment.get_template("trace.html.jinja").render(
        method=method,
        rows=rows,
        samples=len(tries[0].scores),
        asked=sum(tried.asked for tried in tries),
        first=f"{100 * tries[0].score:.1f}",
        best=f"{100 * best.score:.1f}",
        best_number=best.number,
        tasks=[(name, f"{100 * before:.1f}", f"{100 * after:.1f}") for name, (before, after) in tasks.items()],
        held_out=None if held_out is None else [f"{100 * each:.1f}" for each in held_out],
        dots=dots,
        line=" ".join(line),
        size=(WIDTH, HEIGHT, EDGE),
        ends=(f"{100 * low:.1f}", f"{100 * (low + span):.1f}"),
        texts=[(place, tries[0].texts[place], text) for place, text in best.texts.items()],
    )


def _changes(tried: Try, tries: Sequence[Try]) -> list[tuple[str, str]]:
    if tried.parent is None:
        return []
    before = tries[tried.parent].texts
    return [(place, text) for place, text in tried.texts.items() if text != before[place]]

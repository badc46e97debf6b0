"""The two pictures under the headline: the phase that the model describes best, and the one that it describes worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cityscribe.report.run_files import AskedPhase, Run
from cityscribe.report.samples import Card, EmbeddedImage, RoleCard, phase_points, sample_cards
from cityscribe.report.settings import Reporting

WHOLE = "global view"
"""The image that shows the whole frame, which says most to somebody who sees it for the first time."""


@dataclass(frozen=True, slots=True)
class Highlight:
    """One phase and the road user that makes it the best or the worst."""

    verdict: str  # "best" or "worst"
    phase: AskedPhase
    image: EmbeddedImage | None
    role: RoleCard
    points: float


def highlights(run: Run, image_root: Path, settings: Reporting) -> list[Highlight]:
    """The best and the worst phase of all domains; none where fewer than two are scored."""
    points = phase_points(run)
    phases = sorted(
        (phase for phase in run.phases if phase.key in points), key=lambda phase: (-points[phase.key], phase.key)
    )
    if len(phases) < 2:
        return []
    cards = {card.phase.key: card for card in sample_cards(run, image_root, settings, (phases[0], phases[-1]))}
    found = (_highlight(verdict, cards[phase.key]) for verdict, phase in (("best", phases[0]), ("worst", phases[-1])))
    return [one for one in found if one is not None]


def _highlight(verdict: str, card: Card) -> Highlight | None:
    scored = [(role.said[0].metrics.score(), role) for role in card.roles if role.said[0].metrics and role.missed]
    if not scored:
        return None
    choose = max if verdict == "best" else min
    points, role = choose(scored, key=lambda pair: pair[0])
    return Highlight(verdict, card.phase, _picture(card.images), role, points)


def _picture(images: Sequence[EmbeddedImage]) -> EmbeddedImage | None:
    there = [image for image in images if image.url]
    whole = [image for image in there if image.name == WHOLE]
    return next(iter(whole), max(there, key=lambda image: image.width * image.height, default=None))

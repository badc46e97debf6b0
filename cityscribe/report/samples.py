"""The phases that the page shows, and what it says of each: images, questions, captions, differences, metrics.

They are evenly spaced from the best to the worst of each domain, so that nobody has picked them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from cityscribe.files import InputError
from cityscribe.media.images import as_png, image_size, is_plain, open_image
from cityscribe.media.kinds import HEAD_BYTES, image_format
from cityscribe.report.differences import TextSpan, compare
from cityscribe.report.frames import Frame, drawn_frames
from cityscribe.report.run_files import AskedPhase, CaptionMetrics, EvaluatedModel, PhaseKey, Run, SegmentKey
from cityscribe.report.settings import Reporting
from cityscribe.report.tables import reference_domains, segment_points
from cityscribe.traffic.scenario import PHASES, ROLES

COLOURS = {"pedestrian": "green", "vehicle": "blue"}
"""Of the boxes that are drawn around the road users (section 3.2.2 of CityLLaVA)."""


@dataclass(frozen=True, slots=True)
class Rank:
    """Where a phase stands among those of its domain, from 1, the best."""

    place: int
    of: int

    @property
    def word(self) -> str:
        if self.of < 3:
            return ""
        middle = dict.fromkeys(((self.of + 1) // 2, self.of // 2 + 1), "middle")
        return {**middle, 1: "best", self.of: "worst"}.get(self.place, "")


@dataclass(frozen=True, slots=True)
class EmbeddedImage:
    """An image as the page embeds it. `url` is empty where the file is not there; `frames` are those that are found
    around the road users that are marked."""

    name: str
    path: str
    alt: str
    url: str
    width: int
    height: int
    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelCaption:
    """What one model said of one road user, None for nothing; `spans` mark what the reference does not say."""

    model: int
    caption: str | None
    spans: tuple[TextSpan, ...]
    metrics: CaptionMetrics | None
    problem: str


@dataclass(frozen=True, slots=True)
class RoleCard:
    """One road user in a phase. `missed` is the reference with what the tuned model does not say marked, empty where
    there is none."""

    role: str
    question: str
    missed: tuple[TextSpan, ...]
    said: tuple[ModelCaption, ...]  # the tuned model first

    @property
    def exact(self) -> bool:
        """Whether the tuned model said the reference, but for capitals and white space."""
        return bool(self.missed) and not any(span.differs for span in (*self.missed, *self.said[0].spans))


@dataclass(frozen=True, slots=True)
class Card:
    """One sample phase."""

    phase: AskedPhase
    title: str
    points: float | None
    rank: Rank | None
    images: tuple[EmbeddedImage, ...]
    roles: tuple[RoleCard, ...]


def sample_cards(
    run: Run, image_root: Path, settings: Reporting, shown: tuple[AskedPhase, ...] | None = None
) -> list[Card]:
    """The sample phases in order of domain and rank: `shown`, or as many of each domain as the settings want.

    Raises InputError for a file that is no image.
    """
    points = phase_points(run)
    ranked = {
        domain: sorted(
            (phase for phase in run.phases if phase.domain == domain),
            key=lambda phase: (-points.get(phase.key, 0.0), phase.key),
        )
        for domain in sorted({phase.domain for phase in run.phases}, reverse=True)
    }
    shares = fair_shares({domain: len(phases) for domain, phases in ranked.items()}, settings.report.samples)
    cards = []
    for domain, phases in ranked.items():
        wanted = evenly_spaced(len(phases), shares[domain])
        if shown is not None:
            wanted = [place for place, phase in enumerate(phases) if phase in shown]
        for place in wanted:
            phase = phases[place]
            rank = Rank(place + 1, len(phases)) if points else None
            cards.append(_card(run, phase, points.get(phase.key), rank, image_root, settings))
    return cards


def phase_points(run: Run) -> dict[PhaseKey, float]:
    """The mean of the tuned model's points over the road users of each phase that has a reference; empty where it is
    not scored."""
    own = segment_points(run.tuned)
    if own is None:
        return {}
    segments: dict[PhaseKey, list[float]] = {}
    for scenario, phase, role in reference_domains(run):
        segments.setdefault((scenario, phase), []).append(own.get((scenario, phase, role), 0.0))
    return {key: fmean(values) for key, values in segments.items()}


def evenly_spaced(length: int, count: int) -> list[int]:
    """`count` different indices into `length` things with equal gaps, the first and the last among them; the middle one
    for a single one. Whole numbers, because a float can round to either side."""
    count = min(length, count)
    if count == 1:
        return [(length - 1) // 2]
    return [(2 * index * (length - 1) + count - 1) // (2 * (count - 1)) for index in range(count)]


def fair_shares(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """How many of `count` each group gives: as equally as their sizes allow, the first ones more where it is uneven."""
    shares = dict.fromkeys(sizes, 0)
    for _ in range(min(count, sum(sizes.values()))):
        shares[min((name for name in sizes if shares[name] < sizes[name]), key=lambda name: shares[name])] += 1
    return shares


def _card(
    run: Run, phase: AskedPhase, points: float | None, rank: Rank | None, image_root: Path, settings: Reporting
) -> Card:
    title = f"{phase.scenario}, {PHASES[phase.phase]}"
    names = [f"{kind} view" for kind in settings.prepare.images]
    if len(names) != len(phase.images):
        names = [f"image {number}" for number in range(1, len(phase.images) + 1)]
    order = ROLES if settings.predict.order == "pedestrian-vehicle" else ROLES[::-1]
    return Card(
        phase=phase,
        title=title,
        points=points,
        rank=rank,
        images=tuple(
            shown_image(image_root, path, name, title, phase.marked)
            for path, name in zip(phase.images, names, strict=True)
        ),
        roles=tuple(_role_card(run, phase, role) for role in order if role in phase.questions),
    )


def _role_card(run: Run, phase: AskedPhase, role: str) -> RoleCard:
    reference = phase.references.get(role, "").strip()
    said = tuple(_said(number, model, (*phase.key, role), reference) for number, model in enumerate(run.models))
    missed = [TextSpan(reference, False)]
    if reference and said[0].caption:
        missed, _ = compare(reference, said[0].caption)
    return RoleCard(role, phase.questions[role], tuple(missed) if reference else (), said)


def _said(number: int, model: EvaluatedModel, key: SegmentKey, reference: str) -> ModelCaption:
    caption = None if model.captions is None else model.captions.get(key[:2], {}).get(key[2])
    spans = [TextSpan(caption or "", False)]
    if caption and reference:
        _, spans = compare(reference, caption)
    return ModelCaption(
        model=number,
        caption=caption,
        spans=tuple(spans),
        metrics=(model.segments or {}).get(key),
        problem=model.problems.get(key, ""),
    )


def shown_image(image_root: Path, path: str, name: str, title: str, marked: Sequence[str]) -> EmbeddedImage:
    """An image of the prepared data to be embedded in a page. Raises InputError for a file that is no image."""
    alt = f"{name} of {title}"
    boxed = [f"{role} ({COLOURS[role]})" for role in ROLES if role in marked]
    if boxed:
        alt += f", with boxes around the {_listed(boxed)}"
    file = image_root / path
    if not file.is_file():
        return EmbeddedImage(name, path, alt, "", 0, 0)
    try:
        content = file.read_bytes()
        content = content if is_plain(content) else as_png(open_image(content))
        (width, height), kind = image_size(content), f"image/{image_format(content[:HEAD_BYTES]).lower()}"
        frames = drawn_frames(np.asarray(open_image(content)), marked) if marked else ()
    except (InputError, OSError) as error:
        raise InputError(f"{file}: not a readable image; run `cityscribe prepare` again") from error
    url = f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
    return EmbeddedImage(name, path, alt, url, width, height, frames)


def _listed(words: Iterable[str]) -> str:
    return " and the ".join(words)

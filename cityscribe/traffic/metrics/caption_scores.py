"""What a profile finds out about the captions of a data set: the scores of domains and of segments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import fsum
from pathlib import Path

from cityscribe.files import InputError
from cityscribe.traffic.captions import Segments
from cityscribe.traffic.metrics.caption_files import PairedCaptions, pair_segments, warn_about_pairs
from cityscribe.traffic.scenario import Domain


@dataclass(frozen=True, slots=True)
class DomainScores:
    """What the captions of a domain are worth."""

    roles: dict[str, dict[str, float]]  # road user -> metric -> mean over its reference segments
    mean: dict[str, float]  # metric -> mean over the road users
    segments: int  # reference phases
    score: float  # points


@dataclass(frozen=True, slots=True)
class CaptionScores:
    """What an evaluation of captions found. `segments` maps `SCENARIO/PHASE/ROLE` to the metrics of each segment that
    was predicted. `provenance` says which rules, versions and data the numbers stand on."""

    domains: dict[str, DomainScores]
    segments: dict[str, dict[str, float]]
    warnings: tuple[str, ...]
    provenance: dict[str, str]

    @property
    def score(self) -> float:
        """The mean over the domains, points."""
        return fsum(found.score for found in self.domains.values()) / len(self.domains)

    @property
    def total(self) -> dict[str, object]:
        """What `scores.json` holds."""
        domains = {
            name: {**found.roles, "mean": found.mean, "segments": found.segments, "score": found.score}
            for name, found in self.domains.items()
        }
        return {**domains, "score": self.score}


ScoreDomain = Callable[[PairedCaptions, dict[str, dict[str, float]]], DomainScores | None]
"""The scores of a domain, None where no reference holds a word; adds the metrics of its segments to the second."""


def score_domains(
    references: Path,
    predictions: Path,
    expected: Mapping[Domain, dict[str, Segments]],
    predicted: dict[str, Segments],
    score_domain: ScoreDomain,
    warnings: list[str],
    fate: str,
) -> tuple[dict[str, DomainScores], dict[str, dict[str, float]]]:
    """The scores of each domain, and the metrics of each predicted segment. Adds to the warnings.

    `fate` says what becomes of segments without prediction. Raises InputError where nothing can be scored.
    """
    domains: dict[str, DomainScores] = {}
    segments: dict[str, dict[str, float]] = {}
    for domain, scenarios in expected.items():
        paired = pair_segments(scenarios, predicted)
        warn_about_pairs(warnings, references, predictions, paired, fate)
        found = score_domain(paired, segments)
        if found is not None:
            domains[domain] = found
    if not domains:
        raise InputError(f"{references}: none of its reference captions holds a word; nothing can be scored")
    return domains, segments

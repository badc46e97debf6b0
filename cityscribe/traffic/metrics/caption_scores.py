"""What a profile finds out about the captions of a data set: the scores of domains and of segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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
    score: float  # the mean over the domains, points
    segments: dict[str, dict[str, float]]
    warnings: tuple[str, ...]
    provenance: dict[str, str]

    @property
    def total(self) -> dict[str, Any]:
        """What `scores.json` holds."""
        domains = {
            name: {**found.roles, "mean": found.mean, "segments": found.segments, "score": found.score}
            for name, found in self.domains.items()
        }
        return {**domains, "score": self.score}

from __future__ import annotations

import json
import random
from pathlib import Path
from statistics import fmean, quantiles

import pytest

from cityscribe.report.bootstrap import paired_interval, score
from cityscribe.report.run_files import CaptionMetrics, SegmentKey
from cityscribe.traffic.scenario import ROLES

CASE = Path(__file__).parents[1] / "conformance" / "wts-score"

Points = dict[SegmentKey, float]


def segments(scenarios: int, domain: str, seed: int = 0) -> tuple[Points, dict[SegmentKey, str]]:
    """Random points around 50, alike within a scenario."""
    rng = random.Random(f"{domain}{seed}")
    points = {}
    for number in range(scenarios):
        middle = rng.uniform(20, 80)
        for phase in range(5):
            for role in ROLES:
                points[f"{domain}{number}", phase, role] = middle + rng.uniform(-5, 5)
    return points, dict.fromkeys(points, domain)


def test_score_is_that_of_the_official_evaluator_also_where_segments_are_missing() -> None:
    expected = json.loads((CASE / "expected.json").read_text())
    domains: dict[SegmentKey, str] = {}
    for path in (CASE / "references").rglob("*_caption.json"):
        domain = "external" if "external" in path.relative_to(CASE).parts[1:2] else "internal"
        record = json.loads(path.read_text())
        for entry in record["event_phase"]:
            for role in ROLES:
                domains[path.name.removesuffix("_caption.json"), int(entry["labels"][0]), role] = domain
    points = {}
    for key, metrics in expected["segments"].items():
        scenario, phase, role = key.rsplit("/", 2)
        points[scenario, int(phase), role] = CaptionMetrics.model_validate(metrics).score()
    assert len(points) < len(domains), "the case has missing segments"
    assert score(points, domains) == pytest.approx(expected["total"]["score"], abs=1e-9)


def test_the_interval_holds_the_lead_and_repeats_with_the_seed() -> None:
    own, domains = segments(12, "internal")
    other = {key: value - 30 for key, value in segments(12, "internal", seed=1)[0].items()}
    interval = paired_interval(own, other, domains, 0)
    assert interval is not None
    lead = score(own, domains) - score(other, domains)
    assert interval.low < lead < interval.high
    assert interval == paired_interval(dict(reversed(own.items())), other, dict(reversed(domains.items())), 0)
    assert interval != paired_interval(own, other, domains, 1)


def test_the_interval_is_that_of_a_plain_loop_over_draws() -> None:
    """An independent bootstrap, scenario by scenario, over two domains of different size."""
    first, domains = segments(9, "internal")
    more, of_more = segments(5, "external")
    own, domains = first | more, domains | of_more
    other = segments(9, "internal", 1)[0] | segments(5, "external", 1)[0]
    leads: dict[tuple[str, str], list[float]] = {(key[0], domains[key]): [] for key in own}
    for key in own:
        leads[key[0], domains[key]].append(own[key] - other[key])
    rng = random.Random(0)
    draws = []
    for _ in range(4000):
        parts = []
        for domain in ("internal", "external"):
            means = [fmean(values) for (_, of), values in leads.items() if of == domain]
            parts.append(fmean(rng.choices(means, k=len(means))))
        draws.append(fmean(parts))
    cuts = quantiles(draws, n=40)
    interval = paired_interval(own, other, domains, 0)
    assert interval is not None
    width = cuts[-1] - cuts[0]
    assert interval.low == pytest.approx(cuts[0], abs=0.06 * width)
    assert interval.high == pytest.approx(cuts[-1], abs=0.06 * width)


def test_what_both_models_find_equally_hard_cancels_out() -> None:
    own, domains = segments(6, "internal")
    interval = paired_interval(own, {key: value - 7 for key, value in own.items()}, domains, 0)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((7, 7))


def test_a_segment_without_prediction_counts_as_zero_in_the_interval() -> None:
    own, domains = segments(4, "internal")
    zeros = dict.fromkeys(own, 0.0)
    assert paired_interval(own, {}, domains, 0) == paired_interval(own, zeros, domains, 0)


def test_a_draw_without_one_of_the_road_users_is_scored_by_the_other() -> None:
    own, domains = segments(2, "internal")
    dropped = {key for key in own if key[0] == "internal0" and key[2] == "pedestrian"}
    kept = {key: domain for key, domain in domains.items() if key not in dropped}
    interval = paired_interval(dict.fromkeys(kept, 50.0), dict.fromkeys(kept, 20.0), kept, 0)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((30, 30))


def test_one_scenario_in_a_domain_gives_no_interval() -> None:
    own, domains = segments(6, "internal")
    alone, of_alone = segments(1, "external")
    assert paired_interval(own | alone, {}, domains | of_alone, 0) is None

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from cityscribe.report.run_files import Run, Scores, SkippedEntry, read_run
from cityscribe.report.tables import (
    headline,
    reference_domains,
    score_groups,
    signed,
    skip_groups,
    unexplained,
)
from tests.report.run_folder import settings


@pytest.fixture
def run(finished: Path) -> Run:
    return read_run(finished, settings(finished))


def scored(run: Run, **scores: float) -> Run:
    """The run with other scores, and with the named baselines only."""
    tuned = replace(run.tuned, scores=Scores(score=scores.pop("tuned")))
    baselines = [replace(run.baselines[0], name=name, scores=Scores(score=score)) for name, score in scores.items()]
    return replace(run, models=(tuned, *baselines))


def test_headline_says_how_the_run_stands_to_each_baseline(run: Run) -> None:
    assert headline(scored(run, tuned=78.12)) == "78.1 points"
    assert headline(scored(run, tuned=78.12, untuned=47.1)) == "78.1 points, 31.0 above the untuned model"
    assert (
        headline(scored(run, tuned=78.12, untuned=47.1, blind=80.0, other=78.15))
        == "78.1 points, 31.0 above the untuned model, 1.9 below the blind one and level with the other one"
    )
    assert (
        headline(scored(run, tuned=78.12, blind=70.0, majority=50.12))
        == "78.1 points, 8.1 above the blind model and 28.0 above the majority line"
    )


def test_headline_of_a_run_without_scores(run: Run) -> None:
    silent = replace(run.tuned, scores=None)
    assert headline(replace(run, models=(silent, *run.baselines))) == "25 phases described, not scored"
    assert headline(replace(run, models=(replace(silent, captions=None),))) == "Nothing is predicted yet"


def test_signs() -> None:
    assert [signed(value) for value in (31.04, -2.0, 0.0, -0.04, 0.04)] == ["+31.0", "−2.0", "0.0", "0.0", "0.0"]


def test_score_table_repeats_the_scores_and_their_differences(run: Run, finished: Path) -> None:
    overall, *groups = score_groups(run, 0)
    files = [finished, finished / "baselines" / "untuned", finished / "baselines" / "blind"]
    totals = [json.loads((folder / "scores.json").read_text()) for folder in files]
    assert [row.score for row in overall.rows] == [total["score"] for total in totals]
    assert [row.lead for row in overall.rows[1:]] == [totals[0]["score"] - total["score"] for total in totals[1:]]
    for row in overall.rows[1:]:
        assert row.interval is not None
        assert row.lead is not None
        assert row.interval.low < row.lead < row.interval.high
    assert [(group.domain, group.who) for group in groups] == [
        (domain, who) for domain in ("internal", "external") for who in ("both", "pedestrian", "vehicle")
    ]
    for group in groups:
        for row, total in zip(group.rows, totals, strict=True):
            part = total[group.domain]["mean" if group.who == "both" else group.who]
            assert row.metrics == pytest.approx({name: part[name] * (10 if name == "cider" else 100) for name in part})
            assert row.score == pytest.approx(fmean(row.metrics.values()))
    assert [group.phases for group in groups] == [15, None, None, 10, None, None]


def test_a_baseline_without_scores_has_an_empty_row(run: Run) -> None:
    models = (run.tuned, replace(run.baselines[0], scores=None, segments=None))
    for group in score_groups(replace(run, models=models), 0):
        assert group.rows[0].score is not None
        assert (group.rows[1].score, group.rows[1].lead, group.rows[1].interval) == (None, None, None)


def test_a_domain_that_only_a_baseline_has_is_shown(run: Run) -> None:
    scores = run.tuned.scores
    assert scores is not None
    one_domain = replace(run.tuned, scores=scores.model_copy(update={"external": None}))
    groups = score_groups(replace(run, models=(one_domain, run.baselines[0])), 0)
    (external,) = [group for group in groups if (group.domain, group.who) == ("external", "both")]
    assert external.rows[0].score is None
    assert external.rows[1].lead is None


def test_segments_that_only_the_scores_know_a_reference_for_count(run: Run) -> None:
    """The captions of a test set are withheld from the prepared data and lie elsewhere for the evaluation."""
    withheld = tuple(replace(phase, references=dict.fromkeys(phase.references, "")) for phase in run.phases)
    assert reference_domains(replace(run, phases=withheld)) == reference_domains(run)


def test_a_score_that_the_segments_do_not_explain_is_noticed(run: Run) -> None:
    assert unexplained(run) == 0
    assert run.tuned.scores is not None
    raised = run.tuned.scores.model_copy(update={"score": run.tuned.scores.score + 1.5})
    assert unexplained(replace(run, models=(replace(run.tuned, scores=raised),))) == pytest.approx(1.5)


def test_skipped_things_are_grouped_by_what_does_not_vary() -> None:
    def skip(why: str, **fields: object) -> SkippedEntry:
        return SkippedEntry.model_validate({"split": "train", "scenario": "a", "what": "phase", "why": why, **fields})

    groups = skip_groups(
        [skip("no boxes", view="v", phase=2, role="vehicle")]
        + [skip(f"pedestrian of {area} px2 is not above 1000", scenario=f"s{area}") for area in range(10, 15)]
        + [skip(f"data/{n}.mp4: cut at frame {n}", what="video") for n in range(2)]
    )
    assert [(group.what, group.why, group.count) for group in groups] == [
        ("phase", "pedestrian of … px2 is not above …", 5),
        ("video", "… cut at frame …", 2),
        ("phase", "no boxes", 1),
    ]
    assert groups[0].examples == tuple(f"s{n}, train: pedestrian of {n} px2 is not above 1000" for n in (10, 11, 12))
    assert groups[2].examples == ("a, v, judgement, vehicle, train",)

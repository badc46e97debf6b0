from __future__ import annotations

from pathlib import Path

from cityscribe.report.highlights import highlights
from cityscribe.report.run_files import read_run
from cityscribe.report.samples import phase_points
from tests.report.run_folder import settings


def test_the_best_and_the_worst_phase_stand_under_the_headline(finished: Path) -> None:
    made = settings(finished)
    run = read_run(finished, made)
    points = phase_points(run)
    best, worst = highlights(run, finished / "prepared", made)
    assert (points[best.phase.key], points[worst.phase.key]) == (max(points.values()), min(points.values()))
    for one, choose in ((best, max), (worst, min)):
        segments = [run.tuned.segments[(*one.phase.key, role)].score() for role in one.phase.questions]  # type: ignore[index]
        assert one.points == choose(segments)
        assert one.image is not None
        assert one.image.name == "global view"


def test_a_run_without_scores_has_none(run_dir: Path) -> None:
    (run_dir / "segments.json").unlink()
    assert highlights(read_run(run_dir, settings(run_dir)), run_dir / "prepared", settings(run_dir)) == []

"""report: a page that shows the run."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from cityscribe.pipeline.folders import whole
from cityscribe.pipeline.step import Plan, Step, StepProgress


def steps(plan: Plan) -> Iterator[Step]:
    yield Step(
        "report",
        "",
        partial(_report, plan),
        reads=("report", "name"),
        after=tuple(plan.steps),
        writes=(f"{plan.variants[0].results_prefix}report/",),
        split=plan.variants[0].split,
    )


def _report(plan: Plan, made_from: str, progress: StepProgress) -> None:
    from cityscribe.report.page import write_report
    from cityscribe.report.question_page import write_question_report

    write = write_report if plan.yields_scenarios else write_question_report
    with whole(plan.settings.results_dir / "report") as (out, _):
        write(plan.folder, plan.settings, out)

"""Ablations: a grid of runs that differ in a few settings, and a table that says what the differences are worth.

    folder = ablate(load_ablation(Path("tuning.yaml")), watch, tell)

Every arm is trained and scored with every seed, each as a run of its own, so that a stopped ablation goes on where it
was; what two runs have in common, such as the training of arms that differ in prediction, is done once. An arm is
compared with the first one on the same scenarios: the interval of the difference comes from drawing scenarios
(`report/bootstrap.py`) with the points of a segment averaged over the seeds, its p-value from exchanging the two arms
in a random half of the scenarios, with Holm's correction over the arms. The difference of each seed and the spread over
seeds stand beside them: what one seed alone says may be luck. On a set of questions, what answers are worth is compared
in the same way, by images (`ablations/questions.py`).
"""

from __future__ import annotations

import copy
import csv
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cityscribe.ablations import ABLATIONS
from cityscribe.ablations.gauges import gauges, plot_gauges
from cityscribe.ablations.measures import measures
from cityscribe.ablations.plot import PlotRow, plot
from cityscribe.ablations.questions import compare_answers, write_answers
from cityscribe.evaluate.resampling import holm
from cityscribe.evaluate.text_tables import aligned, markdown, written_p
from cityscribe.files import InputError, spreadsheet_cell, write_json, write_text
from cityscribe.pipeline import STAGES, Watch, run
from cityscribe.pipeline.digests import Digests
from cityscribe.pipeline.stages.ladder import asked_run
from cityscribe.plain_yaml import read_yaml
from cityscribe.project import Settings, resolve
from cityscribe.report.bootstrap import Interval, paired_interval, paired_p_value
from cityscribe.report.run_files import Run, SegmentKey, read_run
from cityscribe.report.tables import reference_domains, segment_points
from cityscribe.rewards.reward import Reward
from cityscribe.settings import OneOf
from cityscribe.settings.loading import put
from cityscribe.sources import SOURCES

METRICS = ("bleu", "meteor", "rouge-l", "cider")


class Ablation(BaseModel):
    """What an ablation file holds."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    about: str = ""  # the question, in a sentence
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    against: str = ""  # the arm that the others are compared with; empty: the first
    score: Annotated[Reward, OneOf("reward")] = cast(Reward, {"kind": "overlap"})  # of an answer to a question
    project: dict[str, Any]  # the settings that all arms share
    arms: dict[str, dict[str, Any]] = Field(min_length=1)  # arm -> settings that differ, such as {"model.method": lora}


@dataclass(frozen=True, slots=True)
class Arm:
    """What came of one arm."""

    name: str
    scores: tuple[float, ...]  # of each seed, in points
    metrics: dict[str, float]  # means over seeds and domains
    against: float | None  # the mean score minus that of the first arm
    by_seed: tuple[float, ...]  # that difference with each seed; none of the first arm
    interval: Interval | None  # of that difference, over scenarios
    p_value: float | None  # of that difference, corrected for the number of arms

    @property
    def mean(self) -> float:
        return float(np.mean(self.scores))

    @property
    def spread(self) -> float:
        """The standard deviation over seeds; not a number with one seed."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else math.nan


def load_ablation(path: Path) -> Ablation:
    """Read a file, or the shipped ablation of that name. Raises InputError that names the file and the place."""
    if not path.exists() and str(path) in ABLATIONS:
        path = ABLATIONS[str(path)]
    if not path.exists():
        raise InputError(f"{path}: no such file, and none is shipped by that name ({', '.join(ABLATIONS)})")
    values = read_yaml(path)
    try:
        return Ablation.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "file"
        raise InputError(f"{path}: {place}: {first['msg'][:1].lower()}{first['msg'][1:]}") from error


def plan(ablation: Ablation, runs: Path) -> dict[str, list[Settings]]:
    """The runs of each arm, one a seed, with their settings checked. Runs lie in `runs`/NAME/ARM-SEED."""
    planned = {}
    if ablation.against and ablation.against not in ablation.arms:
        raise InputError(f"{ablation.name}: against: there is no arm {ablation.against}: {', '.join(ablation.arms)}")
    folder = runs / ablation.name
    for arm, differences in ablation.arms.items():
        values: dict[str, Any] = copy.deepcopy(ablation.project)
        given = {}
        for place, value in differences.items():
            path = tuple(place.split("."))
            given[path] = f"{ablation.name}: arms.{arm}.{place}"
            put(values, path, value, given[path])
        planned[arm] = [
            resolve(
                {**_filled(values, folder, seed), "name": f"{arm}-{seed}", "runs": str(folder), "seed": seed},
                given,
                f"{ablation.name}: arms.{arm}",
            )
            for seed in ablation.seeds
        ]
    return planned


def _filled(value: Any, folder: Path, seed: int) -> Any:
    """Settings with the places of other arms in their texts."""
    if isinstance(value, str):
        return value.replace("{folder}", str(folder)).replace("{seed}", str(seed))
    if isinstance(value, dict):
        return {name: _filled(one, folder, seed) for name, one in value.items()}
    return [_filled(one, folder, seed) for one in value] if isinstance(value, list) else value


def ablate(ablation: Ablation, runs: Path, watch: Watch, tell: Callable[[str], None]) -> Path:
    """Run what is not up to date, and compare. Writes `results.json`, `table.txt`, `table.md`, `table.csv`,
    `scores.png`, and for captions what `measures` finds, to the folder `runs`/NAME, which it returns.

    Raises InputError where some arms are on captions and others on questions.
    """
    planned = plan(ablation, runs)
    brings = {SOURCES[one.data.source].yields for seeds in planned.values() for one in seeds}
    if len(brings) > 1:
        raise InputError(f"{ablation.name}: some arms are on captions and others on questions; compare one kind")
    in_turn = [one for settings in zip(*planned.values(), strict=True) for one in settings]
    digests = Digests()
    stages = [stage for stage in STAGES if stage != "report"]
    for number, one in enumerate(in_turn, start=1):
        tell(f"{one.name} ({number} of {len(in_turn)})")
        run(one, watch, tell, stages, sorted(runs.glob("*/*")), digests)
    folder = runs / ablation.name
    first = ablation.against or next(iter(planned))
    if brings == {"conversations"}:
        answers = {arm: [asked_run(one) for one in settings] for arm, settings in planned.items()}
        write_answers(folder, ablation.name, ablation.about, compare_answers(answers, first, ablation.score))
    else:
        _write_captions(folder, ablation, planned, first)
    return folder


def _write_captions(folder: Path, ablation: Ablation, planned: Mapping[str, list[Settings]], first: str) -> None:
    done = {arm: [read_run(one.run_dir, one) for one in settings] for arm, settings in planned.items()}
    done = {first: done[first], **done}
    arms = compare_arms(done)
    measured = measures(done)
    results = {"name": ablation.name, "about": ablation.about, "arms": _plain(arms), "measures": measured.to_json()}
    write_json(folder / "results.json", results)
    for suffix, table in (("txt", text_table), ("md", markdown_table), ("csv", csv_table)):
        write_text(folder / f"table.{suffix}", table(arms))
    plot(ablation.about or ablation.name, [_row(arm) for arm in arms], folder / "scores.png")
    write_text(folder / "measures.md", measured.table())
    gauged = gauges({arm: [one.run_dir for one in settings] for arm, settings in planned.items()}, measured)
    if gauged:
        plot_gauges(ablation.about or ablation.name, gauged, first, folder / "gauge.png")


def compare_arms(runs: Mapping[str, list[Run]]) -> list[Arm]:
    """What came of each arm, in order; the first is what the others are compared with."""
    arms: list[Arm] = []
    first: dict[SegmentKey, float] = {}
    domains: dict[SegmentKey, str] = {}
    for name, seeds in runs.items():
        scored = [one.tuned.scores for one in seeds if one.tuned.scores is not None]
        if len(scored) != len(seeds):
            raise InputError(f"arm {name}: has no scores; an ablation needs a split with references")
        means = [domain.mean for scores in scored for domain in scores.domains().values()]
        metrics = {metric: float(np.mean([mean.points()[metric] for mean in means])) for metric in METRICS}
        scores = tuple(each.score for each in scored)
        points = _seed_means(seeds)
        if arms:
            by_seed = tuple(own - other for own, other in zip(scores, arms[0].scores, strict=True))
            interval = paired_interval(points, first, domains, seed=0)
            p_value = paired_p_value(points, first, domains, seed=0)
            arms.append(Arm(name, scores, metrics, float(np.mean(by_seed)), by_seed, interval, p_value))
        else:
            first, domains = points, reference_domains(seeds[0])
            arms.append(Arm(name, scores, metrics, None, (), None, None))
    return [replace(arm, p_value=p_value) for arm, p_value in zip(arms, holm([a.p_value for a in arms]), strict=True)]


def _seed_means(seeds: list[Run]) -> dict[SegmentKey, float]:
    """The points of each segment, averaged over the seeds; a segment that a seed has not predicted counts as zero."""
    sums: dict[SegmentKey, float] = {}
    for one in seeds:
        for key, value in (segment_points(one.tuned) or {}).items():
            sums[key] = sums.get(key, 0.0) + value
    return {key: value / len(seeds) for key, value in sums.items()}


HEADS = (
    "arm",
    "score",
    "spread over seeds",
    "BLEU-4",
    "METEOR",
    "ROUGE-L",
    "CIDEr",
    "against the first",
    "by seed",
    "95 % of draws",
    "p",
)


def _cells(arm: Arm) -> list[str]:
    spread = "" if math.isnan(arm.spread) else f"{arm.spread:.2f}"
    against = "" if arm.against is None else f"{arm.against:+.2f}"
    interval = "" if arm.interval is None else f"{arm.interval.low:+.2f} to {arm.interval.high:+.2f}"
    by_seed = ", ".join(f"{each:+.1f}" for each in arm.by_seed)
    metrics = (f"{arm.metrics[metric]:.2f}" for metric in METRICS)
    return [arm.name, f"{arm.mean:.2f}", spread, *metrics, against, by_seed, interval, written_p(arm.p_value)]


def text_table(arms: list[Arm]) -> str:
    return "".join(f"{line}\n" for line in aligned([HEADS, *map(_cells, arms)]))


def markdown_table(arms: list[Arm]) -> str:
    return markdown(HEADS, [*map(_cells, arms)])


def csv_table(arms: list[Arm]) -> str:
    """Numbers unrounded, a column for the score of each seed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    seeds = len(arms[0].scores)
    heads = ["arm", "score", *METRICS, "against", "low", "high", "p"]
    writer.writerow([*heads, *(f"seed {i}" for i in range(seeds))])
    for arm in arms:
        bounds = ["", ""] if arm.interval is None else [arm.interval.low, arm.interval.high]
        against = "" if arm.against is None else arm.against
        p_value = "" if arm.p_value is None else arm.p_value
        writer.writerow(
            [spreadsheet_cell(arm.name), arm.mean, *arm.metrics.values(), against, *bounds, p_value, *arm.scores]
        )
    return out.getvalue()


def _row(arm: Arm) -> PlotRow:
    interval = None if arm.interval is None else (arm.interval.low, arm.interval.high)
    return PlotRow(arm.name, arm.scores, arm.mean, interval)


def _plain(arms: list[Arm]) -> list[dict[str, object]]:
    return [{**asdict(arm), "scores": list(arm.scores)} for arm in arms]

"""The stage `prepare`: from scenarios to the samples that training and prediction read.

    OUT/train.parquet, val.parquet, test.parquet   samples (the last one only where there are test scenarios)
    OUT/images/SPLIT/SCENARIO/VIEW/...jpg          what they show
    OUT/skipped.jsonl                              what was left out, and why
    OUT/prepare.json                               counts

Training takes every phase of every view that passes Eq. 2. Evaluation takes every phase of every scenario once, from
its best view, and from the next best one where a video turns out to be broken. Videos are worked on in processes or on
a Ray cluster (`engines`); equal scenarios and settings give equal bytes, whatever their order and who worked on them.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cityscribe.files import InputError, write_json
from cityscribe.media.video import VideoError
from cityscribe.prepare.appearance import APPEARANCE
from cityscribe.prepare.labeller import Labels, label_captions
from cityscribe.prepare.pictures import PhasePictures, VideoJob, picture_video, remove_partial
from cityscribe.prepare.registries import ENGINES
from cityscribe.prepare.samples import (
    ViewPhase,
    caption_of,
    captioned_roles,
    evaluation_samples,
    possible_short_questions,
    training_samples,
)
from cityscribe.prepare.settings import PrepareSettings, Preparing
from cityscribe.prepare.short_questions import draw
from cityscribe.prepare.skipped import Skip, write_skipped
from cityscribe.prepare.views import (
    named_by_marks,
    phases_to_evaluate,
    ranked_views,
    why_phase_is_left_out,
    why_view_is_left_out,
    with_boxes,
    without_own_box,
)
from cityscribe.progress import Progress, silent
from cityscribe.records import Sample, write_samples
from cityscribe.redact.note import write_redacted
from cityscribe.traffic.meta import TrafficMeta
from cityscribe.traffic.prompts import Prompts, load_prompts
from cityscribe.traffic.scenario import ROLES, Phase, Scenario, View


@dataclass(frozen=True, slots=True)
class PrepareReport:
    """The counts of `prepare.json`."""

    scenarios: dict[str, int]  # by split
    groups: dict[str, int]  # by split: phases of views that have images
    samples: dict[str, dict[str, int]]  # by split and kind
    images: int
    raw_frames: int  # groups whose phase has no boxes
    skipped: dict[str, int]  # by what was left out
    short_questions: dict[str, int]  # "possible" ones and those "drawn"
    sentences: dict[str, dict[str, int]]  # by role and dimension, over distinct captions
    labeller: dict[str, int]  # "captions", and how many of them the rules took over: "unparsed", "unanswered"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One group that is wanted: a phase of a scenario, from the first of the candidates that gives images."""

    scenario: Scenario
    candidates: tuple[tuple[View, Phase], ...]


def prepare(
    scenarios: list[Scenario],
    settings: Preparing,
    out: Path,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> PrepareReport:
    """Write the prepared data of scenarios into the folder `out`, which is made if it is missing.

    With `resume` the images that are already there are kept: a killed call with the same scenarios and settings left
    them, each whole. `progress` is called with what is done and what is to be done: captions to label, then videos to
    picture.

    Raises InputError for a prompt file or labelling server that cannot be used, for scenarios or views of one name, and
    for files that cannot be written. A broken video is left out and named in `skipped.jsonl`.
    """
    if not scenarios:
        raise InputError(f"{settings.data.path}: no scenarios to prepare; `cityscribe check` lists what is wrong")
    _check_names(scenarios)
    prompts = load_prompts(settings.prepare.prompts)
    ordered = sorted(scenarios, key=lambda scenario: (scenario.split, scenario.name))
    try:
        out.mkdir(parents=True, exist_ok=True)
        remove_partial(out / "images")
        return _prepare(ordered, settings, prompts, out, resume, progress or silent)
    except OSError as error:
        raise InputError(f"{error.filename or out}: cannot be written: {error.strerror or error}") from error


def _prepare(
    scenarios: list[Scenario], settings: Preparing, prompts: Prompts, out: Path, resume: bool, progress: Progress
) -> PrepareReport:
    skips: list[Skip] = []
    wanted = [group for scenario in scenarios for group in _wanted_groups(scenario, settings, skips)]
    tally = _Tally(progress)
    labels = _label(wanted, settings.prepare, tally, out / "labels")
    groups = _picture(wanted, settings.prepare, out, resume, tally, skips)

    splits = Counter[str](scenario.split for scenario in scenarios)
    written_splits = ("train", "val", "test") if splits["test"] else ("train", "val")
    videos = settings.prepare.frames > 1 and settings.prepare.frames_as == "video"
    kinds: dict[str, Counter[str]] = {split: Counter() for split in written_splits}
    short_counts = Counter(possible=0, drawn=0)
    for split, of_split in kinds.items():
        written = _samples([g for g in groups if g.scenario.split == split], labels, prompts, settings, short_counts)
        write_samples(out / f"{split}.parquet", _counted(written, of_split), TrafficMeta, videos=videos)
    write_skipped(out / "skipped.jsonl", skips)
    write_redacted(out, {image for group in groups for image in group.picture.images}, settings.prepare.redact)
    report = PrepareReport(
        scenarios=dict(splits),
        groups=dict(Counter(group.scenario.split for group in groups)),
        samples={split: dict(of_split) for split, of_split in kinds.items()},
        images=sum(len(group.picture.images) for group in groups),
        raw_frames=sum(bool(group.picture.note) for group in groups),
        skipped=dict(Counter(skip.what for skip in set(skips))),
        short_questions=dict(short_counts),
        sentences={role: _dimensions(labels, role) for role in ROLES},
        labeller={
            "captions": len(labels.by_caption),
            "unparsed": labels.unparsed,
            "unanswered": labels.unanswered,
        },
    )
    write_json(out / "prepare.json", asdict(report))
    return report


def _samples(
    groups: Sequence[ViewPhase], labels: Labels, prompts: Prompts, settings: Preparing, counts: Counter[str]
) -> Iterator[Sample]:
    """The samples of groups, in their order; `counts` takes how many short questions were possible and drawn."""
    for group in groups:
        if group.scenario.split != "train":
            yield from evaluation_samples(group, prompts)
            continue
        possible = possible_short_questions(group, labels.by_caption, prompts)
        long = len(captioned_roles(group.phase))
        drawn = draw(possible, long, settings.prepare.short_per_long, f"{settings.seed}/{group.id}")
        counts.update(possible=len(possible), drawn=len(drawn))
        yield from training_samples(group, drawn, prompts, settings.prepare.rounds)


def _counted(samples: Iterator[Sample], kinds: Counter[str]) -> Iterator[Sample]:
    for sample in samples:
        kinds[sample.meta.kind] += 1
        yield sample


def _check_names(scenarios: Sequence[Scenario]) -> None:
    """Names make paths and group ids, so each must be one scenario's, or one view's of a scenario."""
    for (split, name), count in Counter((scenario.split, scenario.name) for scenario in scenarios).items():
        if count > 1:
            raise InputError(f"scenario {name} ({split}): {count} scenarios have this name; names must differ")
    for scenario in scenarios:
        for name, count in Counter(view.name for view in scenario.views).items():
            if count > 1:
                raise InputError(f"scenario {scenario.name}: {count} views have the name {name}; names must differ")


def _wanted_groups(scenario: Scenario, settings: Preparing, skips: list[Skip]) -> list[_Wanted]:
    boxed = replace(scenario, views=tuple(_boxed(scenario, view, settings, skips) for view in scenario.views))
    if scenario.split != "train":
        phases = phases_to_evaluate(ranked_views(boxed))
        if not phases:
            skips.append(Skip(scenario.split, scenario.name, "", "view", "no view has phases"))
        return [_Wanted(boxed, tuple(candidates)) for candidates in phases.values()]
    wanted = []
    for view in sorted(boxed.views, key=lambda view: view.name):
        if why := why_view_is_left_out(view):
            skips.append(Skip("train", scenario.name, view.name, "view", why))
            continue
        for phase in view.phases:
            if why := why_phase_is_left_out(view, phase.number, settings.prepare):
                skips.append(Skip("train", scenario.name, view.name, "phase", why, phase.number))
                continue
            uncaptioned = [role for role in ROLES if not caption_of(phase, role)]
            skips.extend(
                Skip("train", scenario.name, view.name, "question", "no caption", phase.number, role)
                for role in uncaptioned
            )
            if len(uncaptioned) < len(ROLES):
                wanted.append(_Wanted(boxed, ((view, phase),)))
    return wanted


def _boxed(scenario: Scenario, view: View, settings: Preparing, skips: list[Skip]) -> View:
    try:
        return without_own_box(with_boxes(view, settings.data.boxes), settings.prepare)
    except VideoError as error:
        skips.append(Skip(scenario.split, scenario.name, view.name, "video", str(error)))
        return replace(view, boxes={})


class _Tally:
    """Counts what is done of a number of things to do that can grow."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.done, self.total = progress, 0, 0

    def expect(self, count: int) -> None:
        self.total += count
        self.progress(self.done, self.total)

    def step(self) -> None:
        self.done += 1
        self.progress(self.done, self.total)


def _label(wanted: Sequence[_Wanted], settings: PrepareSettings, tally: _Tally, cache: Path) -> Labels:
    """Label the captions of the training groups, each once: the views of a scenario share them."""
    if settings.short_per_long == 0:
        return Labels({})
    captions = dict.fromkeys(
        (role, caption_of(phase, role))
        for group in wanted
        if group.scenario.split == "train"
        for _, phase in group.candidates
        for role in captioned_roles(phase)
    )
    tally.expect(len(captions))
    return label_captions(captions, settings.labeller, tally.step, cache=cache)


def _dimensions(labels: Labels, role: str) -> dict[str, int]:
    """How many sentences of a road user's captions went to each dimension."""
    return dict(
        Counter(
            dimension
            for (of_role, _), sentences in labels.by_caption.items()
            if of_role == role
            for _, dimension in sentences
        )
    )


def _picture(
    wanted: Sequence[_Wanted], settings: PrepareSettings, out: Path, resume: bool, tally: _Tally, skips: list[Skip]
) -> list[ViewPhase]:
    """Make the images of all wanted groups, in their order; those for which no candidate gives any are left out."""
    groups: dict[int, ViewPhase] = {}
    open_groups = {place: group.candidates for place, group in enumerate(wanted)}
    while open_groups:
        by_view: dict[tuple[str, str, str], list[int]] = {}
        for place, candidates in open_groups.items():
            scenario = wanted[place].scenario
            by_view.setdefault((scenario.split, scenario.name, candidates[0][0].name), []).append(place)
        jobs = [
            _job([(wanted[place].scenario, *open_groups[place][0]) for place in places], settings)
            for places in by_view.values()
        ]
        tally.expect(len(jobs))
        work = functools.partial(picture_video, settings=settings, out=out, resume=resume)
        results = ENGINES[settings.engine](jobs, work, settings.workers)
        for job, places, (pictures, skipped) in zip(jobs, by_view.values(), results, strict=True):
            tally.step()
            skips += skipped
            by_phase: dict[int, PhasePictures] = {picture.phase: picture for picture in pictures}
            for place in places:
                (view, phase), *others = open_groups.pop(place)
                if phase.number in by_phase:
                    picture = by_phase[phase.number]
                    named = named_by_marks(picture.marked, view.kind, settings)
                    groups[place] = ViewPhase(wanted[place].scenario, view, phase, picture, named)
                elif others:
                    open_groups[place] = tuple(others)
                elif job.split != "train":
                    why = "no video of the scenario gives an image of it"
                    skips.append(Skip(job.split, job.scenario, "", "phase", why, phase.number))
    return [groups[place] for place in sorted(groups)]


def _job(phases: Sequence[tuple[Scenario, View, Phase]], settings: PrepareSettings) -> VideoJob:
    scenario, view, _ = phases[0]
    others = tuple(each for each in scenario.views if each.name != view.name)
    return VideoJob(
        split=scenario.split,
        scenario=scenario.name,
        view=view,
        phases=tuple(phase for _, _, phase in phases),
        folder=f"images/{scenario.split}/{safe_name(scenario.name)}/{safe_name(view.name)}",
        raw_frames=scenario.split != "train",
        others=others if APPEARANCE in settings.images else (),  # they travel with all of their boxes
    )


def safe_name(name: str) -> str:
    """A name of a scenario or view as a folder name: itself where that is safe, else made safe and kept distinct."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)[:100]
    if name and safe == name and not name.startswith("."):
        return name
    return f"{safe.lstrip('.')}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"

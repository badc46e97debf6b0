"""Measure a data set and write what was found: `stats.json` and one page that needs nothing else.

    write_stats(Path("data/WTS"), "wts", Path("stats"))

The page loads nothing, runs no script, and escapes all that the data set says. Equal data sets give equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Required, TypedDict

from markupsafe import Markup

from cityscribe.files import InputError, write_json
from cityscribe.progress import Progress
from cityscribe.records import Problem
from cityscribe.report.page import template_of, write_page
from cityscribe.sources.reading import scenario_source
from cityscribe.sources.recognise import found_in, nothing_usable
from cityscribe.stats import counts
from cityscribe.stats.duplicates import DuplicateGroup, equal_files, equal_names, leaks, near_captions, near_frames
from cityscribe.stats.plots import bar_chart, bin_labels
from cityscribe.traffic.dimensions import DIMENSIONS
from cityscribe.traffic.scenario import PHASES, ROLES, Scenario

SHOWN = 20
"""Groups of near-duplicates on the page, and members of each; `stats.json` has all."""

SHORT_PHASES = ("prerecog.", "recognition", "judgement", "action", "avoidance")

KINDS = {
    "scenarios": "scenarios of one name",
    "videos": "videos of equal bytes",
    "captions": "near-duplicate captions of different scenarios",
    "frames": "videos with near first frames",
}


class DuplicateMember(TypedDict):
    """A member of a group of duplicates."""

    split: str
    what: str


class Duplicates(TypedDict):
    """A group of duplicates."""

    splits: list[str]
    members: list[DuplicateMember]


class DataStatistics(TypedDict, total=False):
    """What `stats.json` holds."""

    splits: Required[dict[str, dict[str, int]]]
    box_side_px: Required[dict[str, counts.Spread]]
    phase_s: Required[dict[str, counts.Spread]]
    caption_words: Required[dict[str, counts.Spread]]
    words: Required[dict[str, dict[str, counts.DimensionWords]]]
    videos_compared: Required[bool]
    plain_first_frames: Required[int]
    broken_videos: Required[int]
    duplicates: Required[dict[str, list[Duplicates]]]
    leaks: Required[dict[str, int]]
    problems: int  # found in reading
    read: str  # what was read, in words


def write_stats(
    data: Path, source: str, out: Path, *, videos: bool = True, progress: Progress | None = None
) -> DataStatistics:
    """Write `stats.json` and `index.html` into the folder `out`, made if it is missing. Returns what the JSON says.

    `videos=False` opens no video: files and first frames are not compared. Raises InputError for a data set of which no
    scenario can be used, and for files that cannot be written.
    """
    scenarios, problems = read_splits(data, source)
    if not scenarios:
        raise nothing_usable(data, problems, source)
    found = measure(scenarios, videos=videos, progress=progress)
    found["problems"] = len(problems)
    found["read"] = found_in(source, scenarios)
    try:
        write_page(render(found, data.resolve().name), out)
        write_json(out / "stats.json", found)
    except OSError as error:
        raise InputError(f"{error.filename or out}: cannot be written: {error.strerror or error}") from error
    return found


def read_splits(data: Path, source: str) -> tuple[list[Scenario], list[Problem]]:
    """The scenarios of each split, read by itself, so that one that stands in two splits is seen twice."""
    scenarios: list[Scenario] = []
    problems: dict[str, Problem] = {}
    for split in ("train", "val", "test"):
        of_split, found = scenario_source(source).read(data, splits=(split,))
        scenarios += of_split
        problems |= {str(problem): problem for problem in found}
    return scenarios, list(problems.values())


def measure(scenarios: Sequence[Scenario], *, videos: bool = True, progress: Progress | None = None) -> DataStatistics:
    """All statistics of scenarios, as JSON holds them. `progress` gets the captions and videos done, and all."""
    captions = counts.captions_of(scenarios)
    views = [(scenario, view) for scenario in scenarios for view in scenario.views]
    done, total = 0, len(captions) + (len(views) if videos else 0)

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    words = counts.words_by_dimension(captions, step)
    frames, plain, broken = near_frames(views, step) if videos else ([], 0, 0)
    groups: dict[str, list[DuplicateGroup]] = {
        "scenarios": equal_names(scenarios),
        "videos": equal_files(views) if videos else [],
        "captions": near_captions(captions),
        "frames": frames,
    }
    return {
        "splits": counts.split_counts(scenarios),
        "box_side_px": counts.box_sizes(scenarios),
        "phase_s": counts.phase_lengths(scenarios),
        "caption_words": counts.caption_lengths(captions),
        "words": words,
        "videos_compared": videos,
        "plain_first_frames": plain,
        "broken_videos": broken,
        "duplicates": {kind: [_told(group) for group in found] for kind, found in groups.items()},
        "leaks": {kind: len(leaks(found)) for kind, found in groups.items()},
    }


def render(found: DataStatistics, name: str) -> str:
    """The page as HTML."""
    template = template_of("cityscribe.stats", "template.html.jinja")
    return template.render(
        name=name,
        found=found,
        style=Markup((resources.files("cityscribe.report") / "style.css").read_text("utf-8")),
        charts=charts(found),
        kinds=KINDS,
        shown=SHOWN,
        roles=ROLES,
        phases=PHASES,
        dimensions=DIMENSIONS,
        rows=counts.COUNTED,
    )


def charts(found: DataStatistics) -> dict[str, list[Markup]]:
    """The plots of each section."""
    sides, boxes = bin_labels(counts.BOX_EDGES), found["box_side_px"]
    lengths, words = bin_labels(counts.CAPTION_EDGES), found["caption_words"]
    phases = found["phase_s"]
    phase_bins = [sum(bins) for bins in zip(*(phase["bins"] for phase in phases.values()), strict=True)]
    medians = [phase.get("median", 0) for phase in phases.values()]
    return {
        "boxes": [
            bar_chart(
                f"Box sizes: {role}", sides, of["bins"], "root of the area, from (px)", f"{role} boxes", bins=True
            )
            for role, of in boxes.items()
            if of["count"]
        ],
        "phases": [
            bar_chart(
                "Phase lengths", bin_labels(counts.PHASE_EDGES), phase_bins, "seconds, from", "phases", bins=True
            ),
            bar_chart("Median length by phase", list(SHORT_PHASES), medians, "phase", "seconds, median"),
        ],
        "captions": [
            bar_chart(f"Caption lengths: {role}", lengths, of["bins"], "words, from", f"{role} captions", bins=True)
            for role, of in words.items()
            if of["count"]
        ],
    }


def _told(group: DuplicateGroup) -> Duplicates:
    return {"splits": list(group.splits), "members": [{"split": split, "what": what} for split, what in group.members]}

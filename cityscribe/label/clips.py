"""Labels of whole folders of clips: everybody looks, what they say is made one, and what is not sure is set apart.

    OUT/seen.jsonl       what was seen, a clip a line; a stopped run goes on behind it
    OUT/frames/CLIP/     the frames that were looked at
    OUT/labels.jsonl     the labels (`sources.labels`), in the order of clips
    OUT/boxes/CLIP.xml   the tracks that are sure

Making labels of what was seen takes no model: other windows, orders or limits use what is in `seen.jsonl`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from cityscribe.digest_store import file_digests
from cityscribe.files import InputError, write_text
from cityscribe.label.fusion import FusedBox, fuse
from cityscribe.label.looking import ClipLine, Labellers, scored_boxes
from cityscribe.label.motion import CameraMotion, read_motion, standing
from cityscribe.label.settings import LabelSettings
from cityscribe.label.voting import refuse_orders, runs_of, vote
from cityscribe.media.video import VideoError
from cityscribe.predict.journal import Journal
from cityscribe.progress import Progress, silent
from cityscribe.prompts.library import NO, YES, PromptLibrary
from cityscribe.sources.boxes.cvat import cvat_of
from cityscribe.sources.intake import open_intake
from cityscribe.sources.labels import LABELS, LabelAnswer, PseudoLabel, read_labels, right_value
from cityscribe.traffic.scenario import Box, Scenario

JOURNAL = "seen.jsonl"


@dataclass(frozen=True, slots=True)
class LabelledClips:
    """What became of a folder of clips."""

    labels: list[PseudoLabel]
    unread: list[str]  # why clips were left out
    without_motion: int  # clips whose motion is not known, where a folder of motions was given


def label_clips(
    scenarios: Sequence[Scenario],
    settings: LabelSettings,
    library: PromptLibrary,
    data: Path,
    out: Path,
    *,
    imu: Path | None = None,
    progress: Progress | None = None,
) -> LabelledClips:
    """Label the clips of a folder, and write the labels to `out`. `imu` is a folder with NAME.csv for clips.

    Raises InputError for models that cannot be loaded and files that cannot be written or are malformed.
    """
    motions = {one.name: _motion(imu, one.name) for one in scenarios}  # malformed files are found before hours of work
    labellers, report = Labellers(settings, library, out, data), progress or silent
    out.mkdir(parents=True, exist_ok=True)
    journal = Journal(out / JOURNAL, _key(settings, library))
    known: dict[str, ClipLine] = {line["clip"]: line for line in journal.finished}
    report(0, len(scenarios))
    try:
        for done, one in enumerate(scenarios, start=1):
            if one.name not in known:
                try:
                    line = labellers.look(one.name, one.views[0].video, silent)
                except VideoError as error:
                    line = {"clip": one.name, "why": str(error)}
                journal.append(line)
                known[one.name] = line
            report(done, len(scenarios))
    finally:
        journal.close()
    lines = [known[one.name] for one in scenarios]
    read = [line for line in lines if "why" not in line]
    labels = [each for line in read for each in labels_of(line, settings, library, motions[line["clip"]])]
    write_text(out / LABELS, "".join(json.dumps(each.model_dump()) + "\n" for each in labels))
    _, answers = read_labels(open_intake(out))
    for line in read:
        write_tracks(out, line["clip"], labels, answers)
    missing = sum(motions[line["clip"]] is None for line in read) if imu is not None else 0
    return LabelledClips(labels, [line["why"] for line in lines if "why" in line], missing)


def labels_of(
    line: ClipLine, settings: LabelSettings, library: PromptLibrary, motion: CameraMotion | None
) -> list[PseudoLabel]:
    """The labels of what was seen in a clip: those of features in the order of their names, then the tracks."""
    return [*_features(line, settings, library, motion), *_tracks(line, settings)]


def _features(
    line: ClipLine, settings: LabelSettings, library: PromptLibrary, motion: CameraMotion | None
) -> list[PseudoLabel]:
    times_s, clip, frames = line["times_s"], line["clip"], line["frames"]
    stops = standing(motion, times_s, settings.still_m, settings.still_deg)
    each_alone = list(range(len(times_s)))
    weights = [labeller.weight for labeller in settings.readers]
    said_by = [_name_of(n, settings) for n in range(len(settings.readers))]
    found = []
    for name in sorted({feature for seen in line["seen"] for frame in seen for feature in frame}):
        said = [[frame.get(name, "") for frame in seen] for seen in line["seen"]]
        where = stops if name in settings.fixed else each_alone
        votes = vote(times_s, said, weights, window_s=settings.window_s, stops=where)
        options = _options(name, library)
        for run in refuse_orders(runs_of(votes), settings.orders.get(name, {})):
            if not run.value:
                continue
            span_s = times_s[run.last] - times_s[run.first] + settings.every_s
            inside = run.first > 0 and run.last + 1 < len(times_s)
            why = run.why
            if not why and inside and span_s < settings.shortest_s - 1e-6:
                why = f"stays for {span_s:.1f} s only"
            if not why and len(run.by) < settings.agree:
                why = f"is said by {len(run.by)} of {len(settings.readers)}"
            if not why and run.confidence < settings.sure:
                why = f"has {100 * run.confidence:.0f} % of the votes"
            kept = [n for n in range(run.first, run.last + 1) if n % settings.keep_every == 0]
            found.append(
                PseudoLabel(
                    id=f"{clip}/{name}/{frames[run.first]}",
                    clip=clip,
                    kind="feature",
                    name=name,
                    value=run.value,
                    options=options | ({} if run.value in options else {run.value: run.value}),
                    ask=library.looks[name].ask if name in library.looks else f"Is this in the picture: {name}?",
                    frames=(frames[run.first], frames[run.last]),
                    times_s=(times_s[run.first], times_s[run.last]),
                    shown=tuple(frames[n] for n in kept or [(run.first + run.last) // 2]),
                    confidence=min(round(run.confidence, 4), 1.0),
                    by=tuple(said_by[n] for n in run.by),
                    sure=not why,
                    why=why,
                )
            )
    return found


def _options(name: str, library: PromptLibrary) -> dict[str, str]:
    """The values of a feature with the answers that mean them: the first of the words by which a look reads them."""
    if name not in library.looks:
        return {YES: YES, NO: NO}
    return {value: (words or (value,))[0] for value, words in library.looks[name].values.items()}


def _name_of(place: int, settings: LabelSettings) -> str:
    reader = settings.readers[place].reader
    said = reader.model_dump(mode="json")
    return " ".join(filter(None, [said["kind"], str(said.get("model") or said.get("path") or "")]))


def _tracks(line: ClipLine, settings: LabelSettings) -> list[PseudoLabel]:
    clip, frames, times_s = line["clip"], line["frames"], line["times_s"]
    if not settings.detectors or not frames:
        return []
    try:
        from cityscribe.detect.detector import Detection
        from cityscribe.detect.tracker import track
    except ImportError as error:
        raise InputError("label: detectors need more packages: pip install 'cityscribe[detect]'") from error
    weights = [labeller.weight for labeller in settings.detectors]
    by_frame: dict[int, list[FusedBox]] = {}
    for n, frame in enumerate(frames):
        found = [scored_boxes(seen[n]) for seen in line["boxes"]]
        by_frame[frame] = fuse(found, weights, overlap=settings.overlap, least_score=settings.least_score)
    called = sorted({box.label for boxes in by_frame.values() for box in boxes})
    step = max((b - a for a, b in pairwise(frames)), default=1)
    labels: list[PseudoLabel] = []
    for label in called:
        of_label = {frame: [box for box in boxes if box.label == label] for frame, boxes in by_frame.items()}
        given = [(f, [Detection(label, box.score, box.xywh) for box in boxes]) for f, boxes in of_label.items()]
        seen = {(f, box.xywh): box for f, boxes in of_label.items() for box in boxes}
        for tracked in track(given, high=settings.begin, step=step, patience=4 * step):
            parts = {frame: seen[frame, xywh] for frame, xywh in tracked.boxes.items()}
            first, last = min(parts), max(parts)
            places = frames.index(first), frames.index(last)
            seen_by = {n for box in parts.values() for n in box.by}
            confidence = sum(box.score for box in parts.values()) / (places[1] - places[0] + 1)
            span_s = times_s[places[1]] - times_s[places[0]] + settings.every_s
            why = f"seen for {span_s:.1f} s only" if span_s < settings.shortest_s - 1e-6 else ""
            if not why and len(seen_by) < settings.agree:
                why = f"is seen by {len(seen_by)} of {len(settings.detectors)}"
            if not why and confidence < settings.sure_track:
                why = f"has a mean score of {confidence:.2f}"
            number = len(labels) + 1
            labels.append(
                PseudoLabel(
                    id=f"{clip}/track {number}/{first}",
                    clip=clip,
                    kind="track",
                    name=str(number),
                    value=label,
                    options={each: each for each in called},
                    ask="What is in the box?",
                    frames=(first, last),
                    times_s=(times_s[places[0]], times_s[places[1]]),
                    confidence=min(round(confidence, 4), 1.0),
                    by=tuple(settings.detectors[n].model for n in sorted(seen_by)),
                    sure=not why,
                    why=why,
                    boxes=tuple((f, *(round(value, 2) for value in xywh)) for f, xywh in tracked.boxes.items()),
                )
            )
    return labels


def write_tracks(out: Path, clip: str, labels: Sequence[PseudoLabel], answers: Mapping[str, LabelAnswer]) -> None:
    """Write the tracks of a clip that are sure, confirmed or corrected; no file where there is none."""
    kept = []
    for label in labels:
        value = right_value(label, answers.get(label.id)) if (label.kind, label.clip) == ("track", clip) else None
        if value is not None:
            kept.append((value, [Box(frame, (x, y, w, h), generated=True) for frame, x, y, w, h in label.boxes]))
    path = out / "boxes" / f"{clip}.xml"
    if not kept:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, cvat_of(clip, kept))


def count_labels(labels: Sequence[PseudoLabel]) -> dict[str, Counter[str]]:
    """Feature (or "tracks") -> how many labels are sure, and how many are not, with the reason's first words."""
    counts: dict[str, Counter[str]] = {}
    for label in labels:
        name = "tracks" if label.kind == "track" else label.name
        reason = "sure" if label.sure else "impossible order" if "impossible" in label.why else "uncertain"
        counts.setdefault(name, Counter())[reason] += 1
    return counts


def _motion(folder: Path | None, clip: str) -> CameraMotion | None:
    if folder is None:
        return None
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected CLIP.csv with the motion of each clip")
    file = folder / f"{clip}.csv"
    return read_motion(file) if file.is_file() else None


def _key(settings: LabelSettings, library: PromptLibrary) -> str:
    """A hash of what decides what is seen: who looks, with which files, at which frames, and what is asked."""
    readers = [labeller.reader for labeller in settings.readers]
    models = [labeller.model for labeller in settings.detectors]
    models += [str(file) for reader in readers for file in reader.files(Path())]
    looks = {name: look.model_dump() for name, look in library.looks.items()}
    parts = [settings.every_s, settings.least_score, [_digest(model) for model in models], looks]
    parts.append([reader.model_dump(mode="json") for reader in readers])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _digest(model: str) -> list[object]:
    """A model's name, and the digests of its files where it is a folder here."""
    return [model, *(file_digests(Path(model)) if Path(model).is_dir() else ())]

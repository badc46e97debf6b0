"""Reading what profiles of captions compare: the captions of a WTS data set, and predictions in the submission format.

References are read as the data set is: what cannot be used is left out with a warning. Predictions are read strictly,
because a mistake in them would look like a bad score.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from cityscribe.files import InputError, printable, read_json
from cityscribe.traffic.captions import EXPECTED_LABEL, Segment, Segments, first_label, phase_number, read_segments
from cityscribe.traffic.scenario import PHASES, ROLES, Domain

DOMAINS: tuple[Domain, ...] = ("internal", "external")
SPLITS = ("train", "val", "test")
SUFFIX = "_caption.json"
EXTERNAL_FOLDER = re.compile(r"bdd_[pt]c_5k", re.IGNORECASE)
NAMED = 5  # names that one warning lists


def read_references(
    root: Path, split: str | None, official_quirks: bool, warnings: list[str], without: Collection[str] = ()
) -> dict[Domain, dict[str, Segments]]:
    """The reference captions by domain and scenario; a domain without any is left out. Adds to the warnings.

    Reads the files `*_caption.json` below any folder `annotations` under the root. With `split`, those in the folder of
    that split and those in the folder of none; scenarios `without` are left out. Raises InputError where none can be
    used.
    """
    references: dict[Domain, dict[str, Segments]] = {}
    read: dict[str, Path] = {}
    for file in _reference_files(root, split, official_quirks, warnings):
        # The quirk: this takes off a set of characters, not a suffix.
        scenario = file.name.strip(SUFFIX) if official_quirks else file.name.removesuffix(SUFFIX)
        if scenario in without:
            continue
        if scenario in read:
            # The captions of the vehicle view repeat those of the overhead view.
            if _is_vehicle_view(read[scenario]) == _is_vehicle_view(file):
                warnings.append(f"{root / file}: a reference for {scenario} again; {root / read[scenario]} counts")
            continue
        phases = _read_reference(root / file, warnings)
        if phases:
            read[scenario] = file
            external = any(map(EXTERNAL_FOLDER.fullmatch, (root.absolute().name, *file.parts)))
            references.setdefault("external" if external else "internal", {})[scenario] = phases
    if not references:
        why = f"; the first problem: {warnings[0]}" if warnings else ""
        raise InputError(f"{root}: no phase of a reference can be used{why}")
    return {domain: references[domain] for domain in DOMAINS if domain in references}


def read_predictions(file: Path) -> dict[str, Segments]:
    """The predicted captions by scenario and phase. Raises InputError at the first entry that is malformed."""
    record = read_json(file)
    if not isinstance(record, dict):
        raise InputError(f"{file}: expected an object that maps scenarios to lists of segments")
    predictions: dict[str, Segments] = {}
    for scenario, entries in record.items():
        if not isinstance(entries, list):
            raise InputError(f"{file}: {printable(scenario)}: expected a list of segments")
        phases = predictions.setdefault(scenario, {})
        for index, entry in enumerate(entries):
            place = f"{file}: {printable(scenario)}[{index}]"
            phase, label = _read_label(entry, place)
            if phase in phases:
                raise InputError(f"{place}.labels: phase {phase} ({PHASES[phase]}) again; expected each once")
            for role in ROLES:
                if not isinstance(entry.get(f"caption_{role}"), str):
                    raise InputError(f"{place}.caption_{role}: expected text, empty where there is nothing to say")
            phases[phase] = Segment(label, {role: entry[f"caption_{role}"] for role in ROLES})
    return predictions


class PairedCaptions(NamedTuple):
    """The segments of a domain, as `SCENARIO/PHASE/ROLE`."""

    captions: dict[str, dict[str, tuple[str, str | None]]]  # role -> segment -> reference, prediction (None: missing)
    missing: list[str]  # segments without prediction
    unscorable: list[str]  # segments without a word in the reference
    surplus: list[str]  # predicted phases without reference
    phases: int  # that have a reference


def pair_segments(expected: dict[str, Segments], predicted: dict[str, Segments]) -> PairedCaptions:
    """What is scored against what, in order of scenarios and phases."""
    paired = PairedCaptions({role: {} for role in ROLES}, [], [], [], 0)
    count = 0
    for scenario, phases in sorted(expected.items()):
        said = predicted.get(scenario, {})
        paired.surplus.extend(f"{scenario}/{phase}" for phase in sorted(said.keys() - phases.keys()))
        for phase, reference in sorted(phases.items()):
            count += any(map(str.strip, reference.captions.values()))
            for role, caption in reference.captions.items():
                key = f"{scenario}/{phase}/{role}"
                if not caption.strip():
                    paired.unscorable.append(key)
                    continue
                if phase not in said:
                    paired.missing.append(key)
                paired.captions[role][key] = (caption, said[phase].captions[role] if phase in said else None)
    return paired._replace(phases=count)


def warn_about_unknown(
    warnings: list[str], file: Path, expected: dict[Domain, dict[str, Segments]], predicted: dict[str, Segments]
) -> None:
    """Add a warning of the predicted scenarios that have no reference."""
    known = {scenario for scenarios in expected.values() for scenario in scenarios}
    unknown = sorted(predicted.keys() - known)
    warn_about(warnings, file, unknown, "predicted scenarios without reference, which are not scored")


def warn_about_pairs(
    warnings: list[str], references: Path, predictions: Path, paired: PairedCaptions, fate: str
) -> None:
    """Add the warnings of a domain; `fate` says what becomes of segments without prediction."""
    warn_about(warnings, predictions, paired.missing, f"segments without prediction, which {fate}")
    warn_about(warnings, predictions, paired.surplus, "predicted phases without reference, which are not scored")
    warn_about(warnings, references, paired.unscorable, "segments with an empty reference, which are left out")


def warn_about(warnings: list[str], file: Path, names: list[str], what: str) -> None:
    """Add one warning that counts the names and lists the first of them; none where there is no name."""
    if names:
        more = ", ..." if len(names) > NAMED else ""
        warnings.append(f"{file}: {what}: {len(names)} ({printable(', '.join(names[:NAMED]))}{more})")


def _reference_files(root: Path, split: str | None, official_quirks: bool, warnings: list[str]) -> list[Path]:
    """The caption files that count, relative to the root: by path, those of the vehicle view last."""
    # glob follows links to folders, of which data sets are often put together.
    names = set(glob.glob(f"**/annotations/**/*{SUFFIX}", root_dir=root, recursive=True))
    # A name that is not UTF-8 can be the key of no prediction, and of no segment in a file of scores.
    unusable = sorted(name for name in names if name != printable(name))
    warn_about(warnings, root, unusable, "references with a name that is not UTF-8, which are left out")
    files = [Path(name) for name in sorted(names.difference(unusable))]
    if not files:
        raise InputError(f"{root}: no references; expected annotations/**/SCENARIO{SUFFIX} in a WTS data set")
    if split is not None:
        found = {_split(file) for file in files}
        if not found & {split, None}:
            raise InputError(f"{root}: no references of the split {split}; found {', '.join(sorted(map(str, found)))}")
        files = [file for file in files if _split(file) in (split, None)]
    if official_quirks:
        return [file for file in files if "vehicle_view" not in file.as_posix()]
    return sorted(files, key=_is_vehicle_view)


def splits_of_references(root: Path) -> set[str]:
    """The splits that have reference captions of their own. Raises InputError where there are no captions at all."""
    return {split for split in map(_split, _reference_files(root, None, False, [])) if split is not None}


def _is_vehicle_view(file: Path) -> bool:
    return "vehicle_view" in file.parts


def _split(file: Path) -> str | None:
    """The split whose folder a caption file lies in: annotations/[caption/]SPLIT/..."""
    below = file.parts[file.parts.index("annotations") + 1 :]
    folder = below[1] if below[0] == "caption" else below[0]
    return folder if folder in SPLITS else None


def _read_reference(file: Path, warnings: list[str]) -> Segments:
    """The captions of one file by phase; what cannot be used is left out with a warning."""
    return read_segments(
        file, lambda level, place, message: warnings.append(f"{file}: {place + ': ' if place else ''}{message}")
    )


def _read_label(entry: Any, place: str) -> tuple[int, str]:
    """The phase that an entry is about, and its label as it is spelled. Raises InputError."""
    if not isinstance(entry, dict):
        raise InputError(f"{place}: expected an object with labels, caption_pedestrian and caption_vehicle")
    number = phase_number(entry.get("labels"))
    if number is None:
        raise InputError(f"{place}.labels: expected {EXPECTED_LABEL}")
    return number, str(first_label(entry.get("labels")))

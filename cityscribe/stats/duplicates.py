"""What stands in a data set twice, or nearly: captions, first frames, files; and what of it is in two splits at once.

- Captions: sets of five words in a row. MinHash (Broder 1997) with banding finds candidates, which are then compared
  exactly: near are those whose sets overlap by NEAR_CAPTIONS (Jaccard). A caption is compared with the first ones of
  its bands, so that the work grows with the number of captions and not with its square.
- First frames: the difference hash, 64 comparisons of neighbouring patches of brightness; near are those that differ in
  NEAR_BITS at most. A fixed camera gives near frames in all its scenarios: they show the same place.
- Files: videos of equal bytes.

All of it is the same on each machine and in each run.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cityscribe.media.video import VideoError, read_frames
from cityscribe.stats.counts import WORD, Caption
from cityscribe.traffic.scenario import Scenario, View

SHINGLE = 5
"""Words in a row that are one element of a caption's set."""

NEAR_CAPTIONS = 0.8
BANDS, ROWS = 16, 4
"""Of two captions that overlap by 0.8, the chance to share a band is 1 - (1 - 0.8^4)^16 = 0.9998."""

COMPARED = 4
"""Captions of a band, none near another, that a further one is compared with."""

NEAR_BITS = 3
PLAIN = 6.0
"""Standard deviation of brightness (0 to 255) below which a frame shows nothing that could be compared."""

StepDone = Callable[[], None]


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Things that are equal or near, in the order of the data set."""

    members: tuple[tuple[str, str], ...]  # split, and what it is

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(sorted({split for split, _ in self.members}))


def near_captions(captions: Sequence[Caption]) -> list[DuplicateGroup]:
    """Groups of near captions of different scenarios, the largest first.

    The captions of one scenario repeat each other by nature; a group has captions of two scenarios at least.
    """
    ids: dict[str, int] = {}
    sets = [_shingles(caption.text, ids) for caption in captions]
    joined = _Joined(len(captions))
    buckets: dict[Hashable, list[int]] = {}
    for place, shingles in enumerate(sets):
        for band, key in enumerate(_bands(shingles)):
            # A bucket is of one road user: what is said of the vehicle is no copy of what is said of the pedestrian.
            firsts = buckets.setdefault((captions[place].role, band, key), [])
            near = next(
                (first for first in firsts[:COMPARED] if _overlap(sets[first], shingles) >= NEAR_CAPTIONS), None
            )
            if near is None:
                firsts.append(place)
            else:
                joined.join(near, place)
    groups = joined.groups()
    return _sorted(
        DuplicateGroup(tuple((captions[place].split, captions[place].place) for place in members))
        for members in groups
        if len({(captions[place].split, captions[place].scenario) for place in members}) > 1
    )


def near_frames(
    views: Sequence[tuple[Scenario, View]], step: StepDone = lambda: None
) -> tuple[list[DuplicateGroup], int, int]:
    """Groups of videos with near first frames; how many frames are too plain to compare, and how many videos broken."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        hashes: list[int | None] = []
        broken = 0
        for found in pool.map(lambda pair: _frame_hash(pair[1].video), views):
            hashes.append(None if isinstance(found, VideoError) else found)
            broken += isinstance(found, VideoError)
            step()
    joined = _Joined(len(views))
    exact: dict[int, int] = {}
    bands: dict[tuple[int, int], list[int]] = {}
    for place, bits in enumerate(hashes):
        if bits is None:
            continue
        if bits in exact:
            joined.join(exact[bits], place)
            continue
        exact[bits] = place
        # Of four bands of 16 bits one is equal where three bits differ at most.
        keys = [(band, bits >> 16 * band & 0xFFFF) for band in range(4)]
        for other in {other for key in keys for other in bands.get(key, ())}:
            if (bits ^ (hashes[other] or 0)).bit_count() <= NEAR_BITS:
                joined.join(other, place)
        for key in keys:
            bands.setdefault(key, []).append(place)
    plain = sum(bits is None for bits in hashes) - broken
    return _sorted(_group(views, members) for members in joined.groups()), plain, broken


def equal_files(views: Sequence[tuple[Scenario, View]]) -> list[DuplicateGroup]:
    """Groups of videos of equal bytes. Only files of equal size are read."""
    by_size: dict[int, list[int]] = {}
    for place, (_, view) in enumerate(views):
        by_size.setdefault(view.video.stat().st_size, []).append(place)
    by_digest: dict[str, list[int]] = {}
    for places in by_size.values():
        for place in places if len(places) > 1 else ():
            with views[place][1].video.open("rb") as file:
                by_digest.setdefault(hashlib.file_digest(file, "sha256").hexdigest(), []).append(place)
    return _sorted(_group(views, places) for places in by_digest.values() if len(places) > 1)


def equal_names(scenarios: Sequence[Scenario]) -> list[DuplicateGroup]:
    """Groups of scenarios of one name; the same scenario in two splits."""
    by_name: dict[str, list[Scenario]] = {}
    for scenario in scenarios:
        by_name.setdefault(scenario.name, []).append(scenario)
    return _sorted(
        DuplicateGroup(tuple((scenario.split, scenario.name) for scenario in same))
        for same in by_name.values()
        if len(same) > 1
    )


def leaks(groups: Iterable[DuplicateGroup]) -> list[DuplicateGroup]:
    """The groups that are in several splits."""
    return [group for group in groups if len(group.splits) > 1]


def frame_hash(frame: np.ndarray) -> int | None:
    """The difference hash of a picture (RGB uint8 [height, width, 3]): 64 bits, each whether a patch of an 8 x 9 grid
    is brighter than the one to its right; None for a picture too plain to compare."""
    grey = Image.fromarray(frame).convert("L")
    if np.asarray(grey).std() < PLAIN:
        return None
    patches = np.asarray(grey.resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    bits = (patches[:, :-1] > patches[:, 1:]).reshape(-1)
    return int(sum(1 << place for place, bit in enumerate(bits) if bit))


def _frame_hash(video: Path) -> int | VideoError | None:
    try:
        return frame_hash(read_frames(video, [0])[0])
    except VideoError as error:
        return error


def _group(views: Sequence[tuple[Scenario, View]], members: Iterable[int]) -> DuplicateGroup:
    return DuplicateGroup(
        tuple((views[place][0].split, f"{views[place][0].name}, {views[place][1].name}") for place in members)
    )


def _sorted(groups: Iterable[DuplicateGroup]) -> list[DuplicateGroup]:
    """Those in several splits first, then the largest."""
    return sorted(groups, key=lambda group: (-len(group.splits), -len(group.members), group.members))


_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, odd


def _shingles(text: str, ids: dict[str, int]) -> np.ndarray:
    """The distinct hashes of each SHINGLE words in a row, sorted, uint64; of a shorter text, of all of it."""
    words = np.array([ids.setdefault(word, len(ids) + 1) for word in WORD.findall(text.casefold())], dtype=np.uint64)
    length = min(SHINGLE, len(words))
    if not length:
        return np.zeros(0, np.uint64)
    windows = np.lib.stride_tricks.sliding_window_view(words, length)
    hashes = np.zeros(len(windows), np.uint64)
    for column in range(length):
        hashes = _mix(hashes * _MULTIPLIER + windows[:, column])
    return np.unique(hashes)


def _mix(values: np.ndarray) -> np.ndarray:
    """Scatter 64-bit numbers (the finaliser of SplitMix64, Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


_SEEDS = _mix(np.arange(1, BANDS * ROWS + 1, dtype=np.uint64) * _MULTIPLIER)


def _bands(shingles: np.ndarray) -> list[bytes]:
    """The MinHash signature of a set in bands."""
    if not len(shingles):
        return []
    signature = _mix(shingles[None, :] ^ _SEEDS[:, None]).min(axis=1)
    return [band.tobytes() for band in signature.reshape(BANDS, ROWS)]


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Jaccard: the share of all elements that both sets have."""
    both = len(np.intersect1d(first, second, assume_unique=True))
    return both / (len(first) + len(second) - both)


class _Joined:
    """Places that belong together: a forest of disjoint sets."""

    def __init__(self, count: int) -> None:
        self.parents = list(range(count))

    def top(self, place: int) -> int:
        while self.parents[place] != place:
            self.parents[place] = self.parents[self.parents[place]]
            place = self.parents[place]
        return place

    def join(self, first: int, second: int) -> None:
        first, second = self.top(first), self.top(second)
        self.parents[max(first, second)] = min(first, second)

    def groups(self) -> list[list[int]]:
        """The sets of two places or more, in order of their first places."""
        found: dict[int, list[int]] = {}
        for place in range(len(self.parents)):
            found.setdefault(self.top(place), []).append(place)
        return [members for members in found.values() if len(members) > 1]

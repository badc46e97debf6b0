"""A disk that is really full, at many moments of a run: one message that names a file, nothing half-written counts as
whole, and the same run goes on to the same results once there is room."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cityscribe.files import InputError
from cityscribe.project import Settings, resolve
from cityscribe.world.dataset import WorldSettings, write_dataset
from tests.pipeline.running import results_of, run_stages

Grow = Callable[[int], None]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Grow]]:
    """A file system of its own of 4 KiB, and what makes it one of so many KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", place], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("needs to mount file systems")

    def grow(kilobytes: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", place], check=True)

    try:
        yield place, grow
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def until_there_is_room(place: Path, grow: Grow, sizes: Iterator[int], work: Callable[[], object]) -> list[str]:
    """Call again and again on a larger disk; returns which files the errors have named."""
    named = []
    for kilobytes in sizes:
        grow(kilobytes)
        try:
            work()
        except InputError as error:
            file, _, why = str(error).partition(": ")
        except OSError as error:
            file, why = str(error.filename), error.strerror
        else:
            return named
        assert "No space left on device" in why, (file, why)
        assert file.startswith(f"{place}/"), (file, why)
        named.append(file.removeprefix(f"{place}/"))
    raise AssertionError("there never was room enough")


def growing(first: int, factor: float) -> Iterator[int]:
    size = float(first)
    while size < 1 << 20:
        yield int(size)
        size *= factor


def test_a_run_on_a_disk_that_is_full_again_and_again(finished: Settings, disk: tuple[Path, Grow]) -> None:
    place, grow = disk
    settings = resolve({**finished.model_dump(mode="json"), "runs": str(place)})
    made: list[str] = []
    named = until_there_is_room(place, grow, growing(16, 1.6), lambda: made.extend(run_stages(settings)))
    assert results_of(settings.run_dir) == results_of(finished.run_dir)
    assert not list(place.rglob("*.partial"))
    print(named)


def test_a_city_on_a_disk_that_is_full_again_and_again(city: Path, disk: tuple[Path, Grow]) -> None:
    place, grow = disk
    settings = WorldSettings(train=2, val=2, external=0.5, seed=1, fps=5)
    named = until_there_is_room(place, grow, growing(64, 2), lambda: write_dataset(place / "city", settings, workers=1))
    print(named)
    found, expected = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (place / "city", city)
    )
    assert found == expected

"""How fast `prepare` makes the images of a data set, against how CityLLaVA makes them and against decoding alone.

    python -m benchmarks.prepare

All work on the same clips (1920x1080, H.264 with B-frames, a key frame every two seconds), each with five phases and a
box of both road users in each, in the same number of processes:

- `prepare`: the whole stage as a user runs it, captions sorted and samples written, too;
- CityLLaVA's way: for every annotated frame the video is opened anew with OpenCV, and the picture with the boxes and
  the square cut-out are drawn and written one after the other. VideoCapture finds a frame by reading up to it, which is
  exact, or by seeking, which is faster; both are measured. Where decord is installed (`pip install decord`), so is the
  way of CityLLaVA's release: each video opened once by decord with its own threads, the frames asked for one by one;
- a bare decode: the same frames found by PyAV's seek, decoded to RGB and thrown away.

Time on the clock and processor time are those of the best of several runs, the start of the processes included. Then
the memory of `prepare` over few and over many small clips (links to a few files) is measured.
"""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, NamedTuple

import av
import cv2
import numpy as np
import typer

from benchmarks.scores import machine
from cityscribe.media.video import read_frames, write_video
from cityscribe.prepare.stage import prepare
from cityscribe.project import Settings
from cityscribe.traffic.scenario import PHASES, Box, Phase, Scenario, View

FPS = 30
GOP = 60
FILES = 4  # clips that are written; the others are links to them
CAPTION = "The pedestrian is a man in his 30s in a black coat. He is close to the vehicle. He is walking. It is dry."
MEMORY = """
import json, re, resource, sys
from pathlib import Path
from benchmarks.prepare import scenarios_of, settings_of
from cityscribe.prepare.stage import prepare
folder, out, count, size = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
clips = sorted(folder.iterdir())[:count]
scenarios = scenarios_of(clips, *size)
def own():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
read = own()
prepare(scenarios, settings_of(out, 2), out)
print(json.dumps([read, own(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))
"""


class Cost(NamedTuple):
    clock_s: float
    processor_s: float


def street(frames: int, width: int, height: int, seed: int) -> Iterator[np.ndarray]:
    """A camera that sways over a textured ground on which coloured blocks drive: detail and motion everywhere."""
    rng = np.random.default_rng(seed)
    small = rng.integers(40, 215, (height // 4, width // 3, 3), np.uint8)
    ground = cv2.resize(small, (width * 5 // 4, height * 5 // 4), interpolation=cv2.INTER_CUBIC)
    grain = rng.integers(-6, 7, ground.shape)
    ground = np.clip(ground + grain, 0, 255).astype(np.uint8)
    for number in range(frames):
        x = round(width / 8 * (1 + np.sin(number / 40)))
        y = round(height / 8 * (1 + np.cos(number / 55)))
        picture = ground[y : y + height, x : x + width].copy()
        for block in range(6):
            left = (number * (3 + block) * width // 1000 + block * width // 7) % (width * 9 // 10)
            top = (2 + block) * height // 10
            picture[top : top + height // 9, left : left + width // 11] = (40 * block, 200 - 30 * block, 90)
        yield picture


def write_clips(folder: Path, count: int, seconds: int, width: int, height: int) -> list[Path]:
    """Write a few files and as many links to them as make up `count` clips."""
    folder.mkdir(parents=True)
    files = [folder / f"{number:05d}.mp4" for number in range(min(FILES, count))]
    for number, file in enumerate(files):
        write_video(file, street(FPS * seconds, width, height, number), FPS, crf=23, key_every=GOP, b_frames=2)
    clips = [*files, *(folder / f"{number:05d}.mp4" for number in range(len(files), count))]
    for number, link in enumerate(clips[len(files) :]):
        link.symlink_to(files[number % len(files)])
    return clips


def annotated(clip: int, seconds: int, width: int, height: int) -> dict[int, dict[str, tuple[float, ...]]]:
    """Frame -> role -> box of the five phases of a clip, shifted from clip to clip."""
    last = FPS * seconds - 1
    numbers = [min(last * (2 * phase + 1) // 10 + (7 * clip) % 19, last) for phase in range(len(PHASES))]
    return {
        number: {
            "pedestrian": (width * 0.3 + 9 * phase, height * 0.4, width * 0.04, height * 0.15),
            "vehicle": (width * 0.5 - 9 * phase, height * 0.45, width * 0.12, height * 0.14),
        }
        for phase, number in enumerate(numbers)
    }


def scenarios_of(clips: list[Path], seconds: int, width: int, height: int) -> list[Scenario]:
    """The clips as scenarios for training."""
    scenarios = []
    for clip, path in enumerate(clips):
        frames = annotated(clip, seconds, width, height)
        phases = tuple(
            Phase(n, frame / FPS, frame / FPS + 1, {"pedestrian": CAPTION, "vehicle": CAPTION})
            for n, frame in enumerate(frames)
        )
        boxes = {
            role: tuple(Box(frame, of[role], phase) for phase, (frame, of) in enumerate(frames.items()))  # type: ignore[arg-type]
            for role in ("pedestrian", "vehicle")
        }
        scenarios.append(
            Scenario(path.stem, "internal", "train", (View("cam", "overhead", path, phases, boxes),), "wts")
        )
    return scenarios


def settings_of(out: Path, processes: int) -> Settings:
    thresholds = {"pedestrian_threshold": 0, "vehicle_threshold": 0}
    return Settings.model_validate({"data": {"path": str(out.parent)}, "prepare": {**thresholds, "workers": processes}})


def bare(job: tuple[Path, list[int]]) -> None:
    """Decode the wanted frames of a clip and throw them away."""
    path, numbers = job
    for _ in seek(path, numbers):
        pass


def seek(path: Path, numbers: list[int]) -> Iterator[np.ndarray]:
    """The wanted frames of a clip by PyAV's seek."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for number in numbers:
            ticks = round(number / FPS / stream.time_base)
            container.seek(ticks, stream=stream)
            frame = next(frame for frame in container.decode(stream) if frame.pts >= ticks)
            yield frame.to_ndarray(format="rgb24", threads=1)


def opened_anew(path: Path, numbers: list[int], seeks: bool) -> Iterator[np.ndarray]:
    """The wanted frames of a clip by OpenCV, which opens it for each."""
    cv2.setNumThreads(1)
    for number in numbers:
        video = cv2.VideoCapture(str(path))
        if seeks:
            video.set(cv2.CAP_PROP_POS_FRAMES, number)
        else:
            for _ in range(number):
                video.grab()
        _, frame = video.read()
        video.release()
        yield frame


def by_decord(path: Path, numbers: list[int]) -> Iterator[np.ndarray]:
    """The wanted frames of a clip by decord, which opens it once."""
    import decord

    video = decord.VideoReader(str(path))
    for number in numbers:
        yield cv2.cvtColor(video[number].asnumpy(), cv2.COLOR_RGB2BGR)


def cityllava(job: tuple[Path, dict[int, dict[str, tuple[float, ...]]], Path, str]) -> None:
    """Two pictures of each annotated frame as CityLLaVA's scripts make them, its boxes and cut-outs included."""
    path, frames, out, reader = job
    shown = by_decord(path, list(frames)) if reader == "decord" else opened_anew(path, list(frames), reader == "seek")
    for phase, (frame, boxes) in enumerate(zip(shown, frames.values(), strict=True)):
        whole, part = frame.copy(), frame.copy()
        height, width = frame.shape[:2]
        corners = []
        for role, colour in (("pedestrian", (0, 255, 0)), ("vehicle", (255, 0, 0))):
            x, y, w, h = boxes[role]
            cv2.rectangle(whole, (int(x), int(y)), (int(x + w), int(y + h)), colour, 4)
            left, top = max(int(x - 0.1 * w), 0), max(int(y - 0.1 * h), 0)
            right, bottom = min(int(x + 1.1 * w), width), min(int(y + 1.1 * h), height)
            cv2.rectangle(part, (left, top), (right, bottom), colour, 3)
            corners.append((left, top, right, bottom))
        left, top, right, bottom = (f(c[n] for c in corners) for n, f in enumerate((min, min, max, max)))
        side = 1.5 * max(right - left, bottom - top) / 2
        x, y = (left + right) / 2, (top + bottom) / 2
        cut = part[max(int(y - side), 0) : int(y + side), max(int(x - side), 0) : int(x + side)]
        for kind, picture in (("global", whole), ("local", cut)):
            place = out / f"bbox_{kind}" / path.stem / f"{phase}_{PHASES[phase]}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(place), picture)


def cost(work: Callable[[], object]) -> Cost:
    def processor_s() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(each.ru_utime + each.ru_stime for each in used)

    clock, processor = time.perf_counter(), processor_s()
    work()
    return Cost(time.perf_counter() - clock, processor_s() - processor)


def in_processes(function: Callable[[object], None], jobs: list[object], processes: int) -> None:
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(function, jobs))


def compare(folder: Path, clips: list[Path], size: tuple[int, int, int], processes: int, repeats: int) -> None:
    frames = [annotated(clip, *size) for clip in range(len(clips))]
    found, exact = read_frames(clips[0], list(frames[0])), list(seek(clips[0], list(frames[0])))
    equal = all(np.array_equal(found[number], frame) for number, frame in zip(frames[0], exact, strict=True))
    if not equal:
        raise AssertionError("the frames of prepare are not those of the bare decode")

    def ours() -> None:
        shutil.rmtree(folder / "ours", ignore_errors=True)
        prepare(scenarios_of(clips, *size), settings_of(folder / "ours", processes), folder / "ours")

    def theirs(reader: str) -> Callable[[], None]:
        jobs: list[object] = [(c, f, folder / "theirs", reader) for c, f in zip(clips, frames, strict=True)]
        return lambda: in_processes(cityllava, jobs, processes)  # type: ignore[arg-type]

    bare_jobs: list[object] = [(clip, list(of)) for clip, of in zip(clips, frames, strict=True)]
    ways: dict[str, Callable[[], None]] = {
        "prepare": ours,
        "CityLLaVA's way, reading up to the frame": theirs("read"),
        "CityLLaVA's way, seeking": theirs("seek"),
        "bare decode": lambda: in_processes(bare, bare_jobs, processes),  # type: ignore[arg-type]
    }
    if importlib.util.find_spec("decord"):
        ways["CityLLaVA's release, decord"] = theirs("decord")
    best: dict[str, Cost] = {}
    for _ in range(repeats):
        for name, way in ways.items():
            used = cost(way)
            before = best.get(name, used)
            best[name] = Cost(min(used.clock_s, before.clock_s), min(used.processor_s, before.processor_s))
    count = sum(map(len, frames))
    own = best["prepare"]
    for name, used in best.items():
        against = (
            ""
            if name == "prepare"
            else (
                f"; prepare is {used.clock_s / own.clock_s:.2f} times as fast"
                f" ({used.processor_s / own.processor_s:.2f} in processor time)"
            )
        )
        print(
            f"{name}: {used.clock_s:.2f} s, {count / used.clock_s:.1f} frames/s,"
            f" {1000 * used.processor_s / count:.0f} ms of processor time a frame{against}"
        )


def measure_memory(folder: Path, count: int) -> None:
    """Print the largest resident memory of `prepare` over a tenth of the small clips and over all of them."""
    size = (2, 320, 180)
    write_clips(folder / "small", count, *size)
    for clips in (max(count // 10, 1), count):
        arguments = [str(folder / "small"), str(folder / f"out{clips}"), str(clips), json.dumps(size)]
        done = subprocess.run([sys.executable, "-c", MEMORY, *arguments], check=True, capture_output=True, text=True)
        read, parent, worker = (kib / 1024 for kib in json.loads(done.stdout.splitlines()[-1]))
        print(
            f"memory over {clips} clips: worker {worker:.0f} MiB at most; the process that hands out the work"
            f" {parent:.0f} MiB, of which {read:.0f} MiB before the first clip, its annotations included"
        )


def main(
    clips: Annotated[int, typer.Option(min=1, help="of 1920x1080")] = 48,
    seconds: Annotated[int, typer.Option(min=2, help="length of a clip")] = 20,
    processes: Annotated[int, typer.Option(min=1, help="of each contender")] = os.cpu_count() or 1,
    repeats: Annotated[int, typer.Option(min=1, help="runs of each, of which the best counts")] = 3,
    many: Annotated[int, typer.Option(min=0, help="small clips over which memory is measured; 0 leaves it out")] = 5000,
) -> None:
    """Compare the speed of prepare with CityLLaVA's way and with a bare decode, and measure its memory."""
    print(f"{machine()}; {processes} processes, {clips} clips of {seconds} s")
    with tempfile.TemporaryDirectory() as name:
        folder, size = Path(name), (seconds, 1920, 1080)
        compare(folder, write_clips(folder / "clips", clips, *size), size, processes, repeats)
        if many:
            measure_memory(folder, many)


if __name__ == "__main__":
    typer.run(main)

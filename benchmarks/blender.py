"""Seconds a frame of the Blender renderer at 640x360 on one core, beside the raster renderer on the same frames.

    python -m benchmarks.blender [--frames 6] [--samples 4 16]

Half of the frames are from a dashboard and half from a mast, in changing weather and light. The first frame of Blender,
which loads it, is not counted.
"""

from __future__ import annotations

import argparse
import platform
import time

from cityscribe.world.blender import render_blender
from cityscribe.world.render import render
from recipes.scenes import SCENES, camera_of, scene_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--samples", type=int, nargs="+", default=[4, 16])
    options = parser.parse_args()
    frames = []
    for seed, share, kind, weather, light in (SCENES * options.frames)[: options.frames]:
        scene = scene_of(seed, share, weather, light)
        frames.append((scene, camera_of(scene, kind, width=640, height=360)))
    render_blender(*frames[0], samples=1)
    print(f"{platform.processor() or platform.machine()}, {len(frames)} frames of 640x360, one core")
    start = time.perf_counter()
    for scene, camera in frames:
        render(scene, camera)
    raster = (time.perf_counter() - start) / len(frames)
    print(f"raster             {raster:8.4f} s a frame")
    for samples in options.samples:
        start, worked = time.perf_counter(), time.process_time()
        for scene, camera in frames:
            render_blender(scene, camera, samples=samples)
        seconds = (time.perf_counter() - start) / len(frames)
        cpu = (time.process_time() - worked) / len(frames)
        ratio = f"{seconds / raster:.0f} times raster"
        print(f"blender, {samples:3} rays {seconds:8.2f} s a frame, {cpu:.2f} s of CPU, {ratio}")


if __name__ == "__main__":
    main()

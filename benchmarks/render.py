"""Frames a second of the raster renderer at 640x360 on one core, while events go on.

    python -m benchmarks.render [--events 16] [--frames 20]

Half of the frames are from the vehicle and half from a mast. What the renderer keeps of a street (its ground, its
buildings) is built within the first frame of an event, which counts as the others do; looking for a place for the mast,
once an event, does not count. Best of three rounds.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from benchmarks.scores import machine
from cityscribe.world.event import sample_event
from cityscribe.world.render import render
from cityscribe.world.rigs import HEIGHT, WIDTH, Dashboard, Mast


def frames_a_second(events: int, frames: int) -> float:
    spent = 0.0
    for seed in range(events):
        event = sample_event(seed)
        rigs = (Dashboard(), Mast(event, np.random.default_rng(seed)))
        began = time.process_time()
        for number in range(frames):
            moment = event.end_s * number / frames
            rig = rigs[number % 2]
            render(event.scene_at(moment), rig.at(event, moment), seed=number, blur=rig.blur, noise=rig.noise)
        spent += time.process_time() - began
    return events * frames / spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=16)
    parser.add_argument("--frames", type=int, default=20)
    options = parser.parse_args()
    print(machine())
    best = max(frames_a_second(options.events, options.frames) for _ in range(3))
    print(f"raster: {best:.0f} frames a second of {WIDTH}x{HEIGHT}, by processor time of one core")


if __name__ == "__main__":
    main()

"""The light on a street: how daylight colours turn into pixels under a weather, an hour and a distance."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from cityscribe.world.look import RGB

_HOURS: dict[str, tuple[tuple[float, float, float], float]] = {
    "bright": ((1.0, 1.0, 1.0), 0.42),
    "dim": ((0.70, 0.60, 0.56), 0.30),
    "dark": ((0.34, 0.35, 0.42), 0.14),
}
"""Light of the hour -> gain of red, green and blue, and the share that comes from the sun and not from all around."""

_SKIES: dict[tuple[str, str], tuple[RGB, RGB]] = {
    ("clear", "bright"): ((92, 150, 226), (206, 226, 242)),
    ("cloudy", "bright"): ((166, 174, 184), (214, 218, 222)),
    ("rainy", "bright"): ((128, 136, 146), (176, 182, 188)),
    ("foggy", "bright"): ((200, 204, 206), (214, 216, 216)),
    ("clear", "dim"): ((66, 82, 132), (236, 164, 112)),
    ("cloudy", "dim"): ((92, 92, 106), (150, 134, 126)),
    ("rainy", "dim"): ((74, 78, 90), (112, 110, 112)),
    ("foggy", "dim"): ((128, 124, 124), (142, 136, 132)),
    ("clear", "dark"): ((8, 11, 26), (34, 38, 62)),
    ("cloudy", "dark"): ((20, 21, 28), (44, 44, 52)),
    ("rainy", "dark"): ((14, 15, 21), (34, 35, 42)),
    ("foggy", "dark"): ((46, 48, 54), (62, 64, 68)),
}
"""Weather and light -> colour of the sky overhead and at the horizon."""

_VISIBILITY = {"clear": 420.0, "cloudy": 300.0, "rainy": 110.0, "foggy": 32.0}
"""Metres after which an object keeps 1/e of its own colour."""

_SUN = (0.45, -0.35, 0.82)


@dataclass(frozen=True)
class Light:
    weather: str
    hour: str
    gain: tuple[float, float, float]
    sun: float
    zenith: RGB
    horizon: RGB
    visibility: float

    def face(self, colour: RGB, normal: tuple[float, float, float], distance: float) -> tuple[float, float, float]:
        """The colour of a lit face with a unit normal, seen from a distance in metres."""
        gain = self.gain
        cosine = max(0.0, normal[0] * _SUN[0] + normal[1] * _SUN[1] + normal[2] * _SUN[2])
        overcast = 1.0 if self.weather == "clear" else 0.35
        shade = (1.0 - self.sun) + self.sun * (overcast * cosine + (1.0 - overcast) * (0.6 + 0.4 * normal[2]))
        return self.through_air(
            (colour[0] * gain[0] * shade, colour[1] * gain[1] * shade, colour[2] * gain[2] * shade),
            distance,
        )

    def through_air(self, colour: tuple[float, float, float], distance: float) -> tuple[float, float, float]:
        """What is left of a colour after a distance of haze."""
        kept = math.exp(-distance / self.visibility)
        return (
            colour[0] * kept + self.horizon[0] * (1 - kept),
            colour[1] * kept + self.horizon[1] * (1 - kept),
            colour[2] * kept + self.horizon[2] * (1 - kept),
        )

    @property
    def lamps_lit(self) -> bool:
        return self.hour != "bright" or self.weather == "foggy"


@functools.cache
def light_of(weather: str, hour: str) -> Light:
    gain, sun = _HOURS[hour]
    zenith, horizon = _SKIES[weather, hour]
    grey = 0.86 if weather in ("rainy", "foggy") else 0.94 if weather == "cloudy" else 1.0
    return Light(
        weather, hour, (gain[0] * grey, gain[1] * grey, gain[2] * grey), sun, zenith, horizon, _VISIBILITY[weather]
    )

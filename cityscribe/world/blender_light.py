"""The light of a scene in Blender: sun, sky with clouds, street lamps and headlights.

What the sky looks like and how far one can see is `light.light_of`'s, so that both renderers agree; how much light it
sheds on things is here, in Cycles' units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cityscribe.world.blender_nodes import add_node, calculated, linear, mixed, noise, rgba, smooth_step
from cityscribe.world.light import Light
from cityscribe.world.look import VEHICLES
from cityscribe.world.scene import Scene, VehicleState
from cityscribe.world.shapes import Disc
from cityscribe.world.solids import Solid


@dataclass(frozen=True, slots=True)
class _Hour:
    """The sun, or the moon, of an hour."""

    elevation: float  # radians above the horizon
    azimuth: float  # radians, as a heading: where it stands
    colour: tuple[float, float, float]
    strength: float  # W/m2 of a clear sky
    sky: float  # how much brighter the sky lights things than it looks


_HOURS = {
    "bright": _Hour(0.90, -0.66, (1.0, 0.95, 0.87), 3.6, 1.15),
    "dim": _Hour(0.22, 0.55, (1.0, 0.60, 0.33), 2.6, 1.1),
    "dark": _Hour(0.80, -0.66, (0.62, 0.72, 1.0), 0.10, 3.5),
}
_SUNS = {"clear": (1.0, 0.009), "cloudy": (0.30, 0.9), "rainy": (0.15, 1.4), "foggy": (0.18, 1.4)}
"""Weather -> the share of the sun that comes through, and how large it looks (radians)."""

_SKIES = {"clear": 1.0, "cloudy": 1.7, "rainy": 1.9, "foggy": 1.4}
"""Weather -> how much more light the sky sheds."""


_CLOUDS = {"clear": (0.52, 0.75, 0.85, 1.0), "cloudy": (0.3, 0.7, 0.5, 1.06), "rainy": (0.3, 0.75, 0.5, 0.8)}
"""Weather -> values of the noise where clouds begin and are thickest, the share of the sky that they hide, and their
brightness as a share of the horizon's."""


def add_sun(bpy: Any, light: Light) -> None:
    hour, (share, size) = _HOURS[light.hour], _SUNS[light.weather]
    sun = bpy.data.lights.new("sun", "SUN")
    sun.energy, sun.color, sun.angle = hour.strength * share, hour.colour, size
    flat = math.cos(hour.elevation)
    ray = -np.array([flat * math.cos(hour.azimuth), flat * math.sin(hour.azimuth), math.sin(hour.elevation)])
    _place(bpy, sun, np.zeros(3), ray)


def add_sky(bpy: Any, light: Light, seed: int) -> None:
    """A gradient from the horizon to the zenith with the clouds of the weather; `seed` says which clouds."""
    world = bpy.data.worlds.new("sky")
    bpy.context.scene.world = world
    # What Cycles measures of the sky to aim its rays at the bright parts: a gradient needs no more
    world.cycles.sampling_method, world.cycles.sample_map_resolution = "MANUAL", 64
    tree = world.node_tree
    tree.nodes.clear()
    ray = add_node(tree, "ShaderNodeTexCoord").outputs["Generated"]
    height = calculated(tree, "MAXIMUM", add_node(tree, "ShaderNodeSeparateXYZ", {0: ray}).outputs[2], 0.0)
    low = calculated(tree, "POWER", calculated(tree, "SUBTRACT", 1.0, height), 6.0)
    sky = mixed(tree, low, rgba(light.zenith), rgba(light.horizon))
    if light.weather in _CLOUDS:
        sky = _clouded(tree, sky, ray, height, light, seed)
    # What comes down has met walls and dust on its way: it is paler than the sky that one sees
    pale = add_node(tree, "ShaderNodeHueSaturation", {"Saturation": 0.55, "Color": sky}).outputs[0]
    strength = _HOURS[light.hour].sky * _SKIES[light.weather]
    shed = add_node(tree, "ShaderNodeBackground", {"Color": pale, "Strength": strength}).outputs[0]
    seen = add_node(tree, "ShaderNodeBackground", {"Color": sky}).outputs[0]
    by_camera = add_node(tree, "ShaderNodeLightPath").outputs["Is Camera Ray"]
    both = add_node(tree, "ShaderNodeMixShader", {0: by_camera, 1: shed, 2: seen}).outputs[0]
    add_node(tree, "ShaderNodeOutputWorld", {0: both})


def _clouded(tree: Any, sky: Any, ray: Any, height: Any, light: Light, seed: int) -> Any:
    """A sky with clouds on a plane above: a ray's direction over its height says where it meets them."""
    thin, thick, cover, tone = _CLOUDS[light.weather]
    depth = calculated(tree, "ADD", height, 0.12)
    plane = add_node(tree, "ShaderNodeVectorMath", {0: ray, 1: depth}, operation="DIVIDE").outputs[0]
    pattern = noise(tree, plane, 0.8, 7.0, noise_dimensions="4D")
    pattern.node.inputs["W"].default_value = (seed % 1000) * 0.37
    cloud = smooth_step(tree, pattern, thin, thick, top=cover)
    near = calculated(tree, "MULTIPLY", height, 6.0, clamp=True)  # they dissolve towards the horizon
    lift = 24 if light.weather == "clear" and light.hour == "bright" else 0
    colour = rgba(np.minimum(np.array(light.horizon) * tone + lift, 255))
    return mixed(tree, calculated(tree, "MULTIPLY", cloud, near), sky, colour)


def add_lamps(bpy: Any, scene: Scene, solids: Sequence[Solid], light: Light) -> None:
    """A light below every street lamp that is lit, and two before every vehicle when lamps are on."""
    share = {"bright": 0.15, "dim": 0.5, "dark": 1.0}[light.hour]
    for solid in solids:
        bulb = solid.parts[-1]
        if solid.kind == "fixture" and isinstance(bulb, Disc) and bulb.emits:
            lamp = _spot(bpy, 420 * share, linear(np.array(bulb.colour) / 255), 1.25, 0.6, bulb.radius)
            _place(bpy, lamp, bulb.points[0] - [0.0, 0.0, bulb.radius + 0.05], np.array([0.0, 0.0, -1.0]))
    if light.lamps_lit:
        for vehicle in scene.vehicles:
            _headlights(bpy, vehicle, share)


def _headlights(bpy: Any, vehicle: VehicleState, share: float) -> None:
    shape = VEHICLES[vehicle.vehicle.kind]
    ahead = np.array([math.cos(vehicle.heading), math.sin(vehicle.heading), 0.0])
    left = np.array([-ahead[1], ahead[0], 0.0])
    for side in (-1, 1):
        at = np.array([vehicle.x, vehicle.y, 0.66]) + (shape.length / 2 + 0.06) * ahead
        beam = _spot(bpy, 420 * share, np.array([1.0, 0.92, 0.76]), 0.62, 1.0, 0.10)
        _place(bpy, beam, at + side * 0.34 * shape.width * left, ahead + np.array([0.0, 0.0, -0.04]))


def _spot(bpy: Any, watts: float, colour: np.ndarray, angle: float, blend: float, radius: float) -> Any:
    """A cone of light; `angle` is half of its opening, radians."""
    lamp = bpy.data.lights.new("lamp", "SPOT")
    lamp.energy, lamp.color = watts, colour
    lamp.spot_size, lamp.spot_blend, lamp.shadow_soft_size = 2 * angle, blend, radius
    return lamp


def _place(bpy: Any, lamp: Any, at: np.ndarray, ray: np.ndarray) -> None:
    """Put a light into the scene that shines along `ray`: Blender's lights shine along their -z."""
    import mathutils

    thing = bpy.data.objects.new(lamp.name, lamp)
    thing.location = at
    thing.rotation_mode = "QUATERNION"
    thing.rotation_quaternion = mathutils.Vector(ray).to_track_quat("-Z", "Y")
    bpy.context.scene.collection.objects.link(thing)

"""The renderers by name: functions of a scene and a camera, with `seed`, `blur` and `noise` as `render` has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cityscribe.registry import Registry

RENDERERS: Registry[Callable[..., Any]] = Registry("renderer", "who draws the synthetic city (--renderer)")
RENDERERS.add("raster", "cityscribe.world.render:render", "flat shading, fast")
RENDERERS.add("blender", "cityscribe.world.blender:render_blender", "Blender's Cycles, slow", extra="blender")

"""The renderers by name: functions of a scene and a camera, with `seed`, `blur` and `noise` as `render` has them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cityscribe.world.blender import render_blender
from cityscribe.world.render import render

RENDERERS: dict[str, Callable[..., np.ndarray]] = {"raster": render, "blender": render_blender}

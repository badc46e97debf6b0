"""Node trees of Blender written as expressions: each function adds a node to a tree and returns its output.

An operand is a number, a colour or the output of another node.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def linear(colour: Any) -> np.ndarray:
    """sRGB, 0 to 1, as amounts of light (IEC 61966-2-1)."""
    value = np.asarray(colour, dtype=np.float64)
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def rgba(colour: Any) -> tuple[float, float, float, float]:
    """sRGB, 0 to 255, as the value of a colour socket."""
    red, green, blue = linear(np.asarray(colour) / 255)
    return (float(red), float(green), float(blue), 1.0)


def add_node(tree: Any, kind: str, inputs: dict[str | int, Any] | None = None, **settings: Any) -> Any:
    """A node of a kind of Blender's; `inputs` by name or number, `settings` are its attributes."""
    node = tree.nodes.new(kind)
    for name, value in settings.items():
        setattr(node, name, value)
    for key, value in (inputs or {}).items():
        put(tree, value, node.inputs[key])
    return node


def put(tree: Any, value: Any, socket: Any) -> None:
    """Set a socket to a value, or link it to the output of another node."""
    if isinstance(value, int | float | tuple):
        socket.default_value = value
    else:
        tree.links.new(value, socket)


def calculated(tree: Any, operation: str, *operands: Any, clamp: bool = False) -> Any:
    """A calculation on numbers: an operation of Blender's Math node; `clamp` keeps it within 0 and 1."""
    inputs: dict[str | int, Any] = dict(enumerate(operands))
    return add_node(tree, "ShaderNodeMath", inputs, operation=operation, use_clamp=clamp).outputs[0]


def scaled(tree: Any, colour: Any, factor: Any) -> Any:
    """A colour times a number or another colour."""
    return add_node(tree, "ShaderNodeVectorMath", {0: colour, 1: factor}, operation="MULTIPLY").outputs[0]


def mixed(tree: Any, share: Any, first: Any, second: Any) -> Any:
    """A colour between two."""
    return add_node(tree, "ShaderNodeMix", {0: share, 6: first, 7: second}, data_type="RGBA").outputs[2]


def noise(tree: Any, vector: Any, scale: float, detail: float, **settings: Any) -> Any:
    """Perlin noise about 0.5; `scale` in specks a metre, `detail` in octaves."""
    return add_node(
        tree, "ShaderNodeTexNoise", {"Vector": vector, "Scale": scale, "Detail": detail}, **settings
    ).outputs[0]


def smooth_step(tree: Any, value: Any, low: float, high: float, top: float = 1.0) -> Any:
    """0 below `low`, `top` above `high`, and a smooth rise between them."""
    inputs: dict[str | int, Any] = {"Value": value, "From Min": low, "From Max": high, "To Max": top}
    return add_node(tree, "ShaderNodeMapRange", inputs, interpolation_type="SMOOTHSTEP").outputs[0]

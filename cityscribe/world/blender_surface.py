"""How surfaces look in Blender: one Cycles material for each name in `blender_mesh.SURFACE_NAMES`.

Colours come from the mesh; a `Surface` says what the light does on it. Every material ends in the air between it and
the camera: by the distance that a ray travelled, its light is mixed with that of the horizon, as `light.through_air`
does, so that fog costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cityscribe.world.blender_mesh import SURFACE_NAMES
from cityscribe.world.blender_nodes import add_node, calculated, noise, put, rgba, scaled, smooth_step
from cityscribe.world.light import Light


@dataclass(frozen=True, slots=True)
class Surface:
    """Values of Blender's Principled BSDF, and a fine grain in the colour and the height."""

    roughness: float
    specular: float = 0.5
    coat: float = 0.0  # of clear varnish
    metallic: float = 0.0
    sheen: float = 0.0  # of fibres
    grain_m: float = 0.0  # metres of a speck; 0 is plain
    contrast: float = 0.0  # of the specks, as a share of the colour
    bump_m: float = 0.0  # metres between their tops and bottoms
    slab_m: float = 0.0  # side of paving slabs; 0 is none
    soaks: float = 0.0  # how far rain darkens it and fills it with puddles, 0 to 1
    emission: float = 0.0  # times its own colour
    round_m: float = 0.0  # radius that its edges seem to have
    alpha: float = 1.0


SURFACES: dict[str, Surface] = {
    "land": Surface(0.95, 0.1, grain_m=0.5, contrast=0.5, bump_m=0.03, soaks=0.3),
    "plaza": Surface(0.8, 0.3, grain_m=0.05, contrast=0.12, slab_m=0.6, soaks=0.8),
    "sidewalk": Surface(0.8, 0.3, grain_m=0.05, contrast=0.15, slab_m=0.4, soaks=0.8),
    "kerb": Surface(0.8, 0.3, grain_m=0.04, contrast=0.12, soaks=0.6),
    "road": Surface(0.75, 0.4, grain_m=0.025, contrast=0.35, bump_m=0.004, soaks=1.0),
    "paint": Surface(0.55, 0.5, grain_m=0.06, contrast=0.14, soaks=0.6),
    "wall": Surface(0.9, 0.2, grain_m=0.3, contrast=0.10),
    "window": Surface(0.05, 0.8),
    "lit window": Surface(0.3, emission=0.9),
    "bark": Surface(0.95, 0.1, grain_m=0.06, contrast=0.5),
    "leaf": Surface(0.6, 0.3, sheen=0.2),
    "metal": Surface(0.4, 0.5, metallic=0.6),
    "paint coat": Surface(0.45, 0.5, coat=0.6, round_m=0.05),
    "glass": Surface(0.03, 1.0, coat=1.0),
    "plastic": Surface(0.5, 0.4),
    "lamp": Surface(0.3, emission=3.0),
    "cloth": Surface(0.9, 0.15, sheen=0.15, grain_m=0.012, contrast=0.12),
    "skin": Surface(0.5, 0.35),
    "fur": Surface(0.9, 0.15, sheen=0.25, grain_m=0.02, contrast=0.25),
    "rain": Surface(0.3, alpha=0.55),
}


_CLEARER = {"clear": 3.0, "cloudy": 2.6, "rainy": 1.8, "foggy": 1.3}
"""`light.visibility` mixes values of pixels. Mixing amounts of light, as air does, shows more of the air, the more so
where it is clear: this much farther one must see for the same impression."""


def materials(bpy: Any, light: Light, wet: bool) -> list[Any]:
    """A material for each of SURFACE_NAMES, in their order."""
    return [_material(bpy, name, SURFACES[name], light, wet) for name in SURFACE_NAMES]


def mask_material(bpy: Any) -> Any:
    """White, whatever the light."""
    material, tree, output = _blank(bpy, "mask")
    put(tree, add_node(tree, "ShaderNodeEmission").outputs[0], output)
    return material


def _material(bpy: Any, name: str, surface: Surface, light: Light, wet: bool) -> Any:
    material, tree, output = _blank(bpy, name)
    position = add_node(tree, "ShaderNodeNewGeometry").outputs["Position"]
    colour = add_node(tree, "ShaderNodeAttribute", attribute_name="colour").outputs["Color"]
    inputs: dict[str | int, Any] = {
        "Roughness": surface.roughness,
        "Specular IOR Level": surface.specular,
        "Metallic": surface.metallic,
        "Coat Weight": surface.coat,
        "Coat Roughness": 0.03,
        "Sheen Weight": surface.sheen,
        "Emission Strength": surface.emission,
        "Alpha": surface.alpha,
    }
    if surface.grain_m:
        specks, patches = noise(tree, position, 1 / surface.grain_m, 3.0), noise(tree, position, 0.6, 2.0)
        both = calculated(tree, "MULTIPLY_ADD", specks, 0.65, calculated(tree, "MULTIPLY", patches, 0.35))
        shade = calculated(tree, "MULTIPLY_ADD", both, 2 * surface.contrast, 1 - surface.contrast)
        colour = scaled(tree, colour, shade)
        if surface.bump_m:
            bump = add_node(tree, "ShaderNodeBump", {"Distance": surface.bump_m, "Height": specks})
            inputs["Normal"] = bump.outputs[0]
    if surface.slab_m:
        colour = scaled(tree, colour, _slabs(tree, position, surface.slab_m))
    if surface.round_m:
        edge = add_node(tree, "ShaderNodeBevel", {"Radius": surface.round_m}, samples=2).outputs[0]
        inputs["Normal"] = inputs["Coat Normal"] = edge
    if wet and surface.soaks:
        puddle = smooth_step(tree, noise(tree, position, 0.45, 2.0), 0.46, 0.60, top=surface.soaks)
        film = 0.30 + 0.4 * (1 - surface.soaks)  # roughness between the puddles
        inputs["Roughness"] = calculated(tree, "MULTIPLY_ADD", puddle, 0.04 - film, film)
        colour = scaled(tree, colour, calculated(tree, "MULTIPLY_ADD", puddle, -0.25, 1 - 0.45 * surface.soaks))
    inputs["Base Color"] = colour
    if surface.emission:
        inputs["Emission Color"] = colour
        material.cycles.emission_sampling = "NONE"  # lights of their own do it with less noise
    bsdf = add_node(tree, "ShaderNodeBsdfPrincipled", inputs)
    put(tree, _through_air(tree, bsdf.outputs[0], light), output)
    return material


def _through_air(tree: Any, shader: Any, light: Light) -> Any:
    """What arrives at the camera of a shader's light."""
    path = add_node(tree, "ShaderNodeLightPath").outputs
    thickness = calculated(tree, "DIVIDE", path["Ray Length"], -_CLEARER[light.weather] * light.visibility)
    lost = calculated(tree, "SUBTRACT", 1.0, calculated(tree, "EXPONENT", thickness))
    seen = calculated(tree, "MULTIPLY", lost, path["Is Camera Ray"])
    air = add_node(tree, "ShaderNodeEmission", {"Color": rgba(light.horizon)}).outputs[0]
    return add_node(tree, "ShaderNodeMixShader", {0: seen, 1: shader, 2: air}).outputs[0]


def _slabs(tree: Any, position: Any, side: float) -> Any:
    """A factor of the colour: each slab a shade of its own, the joints between them darker."""
    inputs: dict[str | int, Any] = {"Vector": position, "Scale": 1.0, "Mortar Size": 0.008}
    inputs |= {"Brick Width": side, "Row Height": side}
    inputs |= {key: (shade, shade, shade, 1.0) for key, shade in (("Color1", 0.90), ("Color2", 1.06), ("Mortar", 0.62))}
    return add_node(tree, "ShaderNodeTexBrick", inputs, offset=0.5).outputs["Color"]


def _blank(bpy: Any, name: str) -> tuple[Any, Any, Any]:
    """A new material, its tree and the socket that its surface goes to."""
    material = bpy.data.materials.new(name)
    material.node_tree.nodes.clear()
    return material, material.node_tree, add_node(material.node_tree, "ShaderNodeOutputMaterial").inputs["Surface"]

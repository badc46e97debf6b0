"""The Blender renderer: the scene and camera of `render`, path-traced by Cycles on the CPU.

It needs the package `bpy` (extra `blender`). Geometry, lens, sky and visibility are those of the raster renderer, so a
box of `render.box_of` holds for both. Blender is one global state: each picture starts from an empty one.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import io
import math
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cityscribe.files import InputError
from cityscribe.world.blender_foreground import bonnet_mesh, rain_mesh
from cityscribe.world.blender_light import add_lamps, add_sky, add_sun
from cityscribe.world.blender_mesh import SURFACE_NAMES, Mesh, ground_mesh, solid_mesh
from cityscribe.world.blender_nodes import linear
from cityscribe.world.blender_surface import mask_material, materials
from cityscribe.world.light import Light, light_of
from cityscribe.world.render import FREE_VIEW
from cityscribe.world.scene import Camera, Scene
from cityscribe.world.solids import Solid, solids

_GRAIN = 1.6  # of the sensor, standard deviation in 1/255


def render_blender(
    scene: Scene, camera: Camera, *, seed: int = 0, samples: int = 16, blur: float = 0.0, noise: float = 1.0
) -> np.ndarray:
    """The picture that a camera takes of a scene: RGB uint8 [height, width, 3], path-traced on one core.

    `seed`, `blur` and `noise` are those of `render`; `samples` are Cycles' rays a pixel before it is denoised. Equal
    arguments give equal bytes on one machine. Raises InputError where Blender is not installed.
    """
    street = scene.street
    light = light_of(street.weather, street.light)
    bpy = _blender(samples)
    standing = _standing(scene, camera, light.lamps_lit)
    surfaces = materials(bpy, light, street.wet)
    _add_mesh(bpy, ground_mesh(street), surfaces)
    _add_mesh(bpy, solid_mesh(standing), surfaces)
    if camera.on_vehicle is not None:
        _add_mesh(bpy, bonnet_mesh(scene.vehicles[camera.on_vehicle], camera), surfaces)
    if street.weather == "rainy":
        rain = _add_mesh(bpy, rain_mesh(camera, np.random.default_rng([seed, street.seed, 17])), surfaces)
        rain.visible_shadow = rain.visible_diffuse = rain.visible_glossy = False
    add_sun(bpy, light)
    add_sky(bpy, light, street.seed)
    add_lamps(bpy, scene, standing, light)
    _add_camera(bpy, camera)
    image = _developed(_traced(bpy)[..., :3], light)
    if blur > 0:
        cv2.GaussianBlur(image, (0, 0), blur, dst=image)
    grain = np.random.default_rng([seed, 5]).normal(0.0, _GRAIN * noise, (*image.shape[:2], 1))
    return np.clip(np.round(image + grain), 0, 255).astype(np.uint8)


def mask_blender(things: Sequence[Solid], camera: Camera) -> np.ndarray:
    """Where some things are in the picture, whatever stands before them: shares of each pixel, float [height, width].

    Raises InputError where Blender is not installed.
    """
    bpy = _blender(16)
    scene = bpy.context.scene
    scene.cycles.use_denoising = False
    scene.cycles.pixel_filter_type = "BOX"
    scene.cycles.filter_width = 1.0
    scene.render.film_transparent = True
    _add_mesh(bpy, solid_mesh(things), [mask_material(bpy)] * len(SURFACE_NAMES))
    _add_camera(bpy, camera)
    return _traced(bpy)[..., 3]


def _standing(scene: Scene, camera: Camera, lamps_lit: bool) -> list[Solid]:
    """What is in the picture or may cast a shadow, a light or a reflection into it: all but the vehicle that the camera
    is mounted in and, as in `render.in_order`, fixtures that would be in the way of a mast."""
    own = ("vehicle", camera.on_vehicle)
    return [
        solid
        for solid in solids(scene, lamps_lit)
        if (solid.kind, solid.index) != own
        and not (
            solid.kind == "fixture"
            and camera.on_vehicle is None
            and math.hypot(solid.x - camera.x, solid.y - camera.y) < FREE_VIEW
        )
    ]


@functools.cache
def _imported() -> Any:
    """The module `bpy`, loaded once, with a folder of its own for settings, so that nobody's change what it does."""
    folder = tempfile.mkdtemp(prefix="cityscribe-blender-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["BLENDER_USER_RESOURCES"] = folder
    try:
        # Blender's sound module, which nothing here uses, complains about NumPy 2 on its way in
        with contextlib.redirect_stderr(io.StringIO()):
            import bpy
    except ImportError as error:
        raise InputError(
            f"the Blender renderer needs the package bpy ({error}): pip install 'cityscribe[blender]'"
        ) from error
    return bpy


def _blender(samples: int) -> Any:
    """`bpy` with an empty scene and the settings of a render."""
    bpy = _imported()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.render.threads_mode, scene.render.threads = "FIXED", 1  # workers render side by side
    cycles = scene.cycles
    cycles.seed, cycles.samples = 0, samples
    cycles.use_adaptive_sampling = False
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 4, 2, 2
    cycles.transparent_max_bounces = 8
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 3.0
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    cycles.denoising_input_passes, cycles.denoising_prefilter = "RGB_ALBEDO_NORMAL", "FAST"
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGBA", "32"
    return bpy


def _add_mesh(bpy: Any, mesh: Mesh, surfaces: Sequence[Any]) -> Any:
    data = bpy.data.meshes.new("mesh")
    data.vertices.add(len(mesh.vertices))
    data.vertices.foreach_set("co", mesh.vertices.ravel())
    data.loops.add(len(mesh.corners))
    data.loops.foreach_set("vertex_index", mesh.corners)
    data.polygons.add(len(mesh.sizes))
    starts = (np.cumsum(mesh.sizes) - mesh.sizes).astype(np.int32)
    data.polygons.foreach_set("loop_start", starts)
    data.polygons.foreach_set("use_smooth", mesh.smooth)
    data.polygons.foreach_set("material_index", mesh.surfaces)
    colours = np.ones((len(mesh.sizes), 4), np.float32)
    colours[:, :3] = linear(mesh.colours)
    data.attributes.new("colour", "FLOAT_COLOR", "FACE").data.foreach_set("color", colours.ravel())
    for surface in surfaces:
        data.materials.append(surface)
    data.update(calc_edges=True)
    thing = bpy.data.objects.new("mesh", data)
    bpy.context.scene.collection.objects.link(thing)
    return thing


def _add_camera(bpy: Any, camera: Camera) -> None:
    """A pinhole with the principal point in the middle; Blender's cameras look along their -z with +y up."""
    import mathutils

    scene = bpy.context.scene
    lens = bpy.data.cameras.new("camera")
    lens.sensor_fit, lens.sensor_width = "HORIZONTAL", 36.0
    lens.lens = camera.focal * lens.sensor_width / camera.width
    lens.clip_start, lens.clip_end = 0.1, 5000.0
    thing = bpy.data.objects.new("camera", lens)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([camera.axes[0], -camera.axes[1], -camera.axes[2]], axis=1)
    pose[:3, 3] = camera.x, camera.y, camera.z
    thing.matrix_world = mathutils.Matrix(pose.tolist())
    scene.collection.objects.link(thing)
    scene.camera = thing
    scene.render.resolution_x, scene.render.resolution_y = camera.width, camera.height
    scene.render.resolution_percentage = 100


def _traced(bpy: Any) -> np.ndarray:
    """Render: amounts of light and coverage, float32 [height, width, 4]."""
    scene = bpy.context.scene
    bpy.ops.render.render()
    with tempfile.TemporaryDirectory() as folder:  # the pixels of a result can be had by way of a file only
        path = str(Path(folder, "picture.exr"))
        bpy.data.images["Render Result"].save_render(path, scene=scene)
        picture = bpy.data.images.load(path)
        pixels = np.empty(scene.render.resolution_y * scene.render.resolution_x * 4, np.float32)
        picture.pixels.foreach_get(pixels)
    return pixels.reshape(scene.render.resolution_y, scene.render.resolution_x, 4)[::-1]


def _developed(amounts: np.ndarray, light: Light) -> np.ndarray:
    """Amounts of light to a picture: glare around lamps, a soft shoulder for what is too bright, sRGB 0 to 255."""
    width = amounts.shape[1]
    bright = np.minimum(np.maximum(amounts - 1.0, 0.0), 8.0)
    if bright.any():
        wide = 0.03 if light.weather == "foggy" else 0.012
        glare = cv2.GaussianBlur(bright, (0, 0), wide * width) + 0.5 * cv2.GaussianBlur(bright, (0, 0), 0.004 * width)
        amounts = amounts + 0.8 * glare
    knee = 0.75
    over = np.maximum(amounts - knee, 0.0)
    amounts = np.minimum(amounts, knee) + (1 - knee) * (1 - np.exp(-over / (1 - knee)))
    return 255 * np.where(amounts <= 0.0031308, 12.92 * amounts, 1.055 * np.maximum(amounts, 1e-6) ** (1 / 2.4) - 0.055)

"""Solids to one triangle-and-quad mesh: what the parts of `shapes` are in space, as plain arrays.

A polygon becomes a face, a pane a face each, a stroke a capsule, a disc a ball. Parts that painter's algorithm draws on
top of each other in one plane (a number plate on a body, a window on a wall) get a few millimetres of room in the order
in which they are drawn, because a ray tracer has no order. Nothing here needs Blender.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cityscribe.world.ground import PAVING, paving
from cityscribe.world.look import RGB, SKIN, VEHICLE_COLOURS
from cityscribe.world.scene import Street
from cityscribe.world.shapes import Disc, Panes, Polygon, Shape, Stroke
from cityscribe.world.solids import Solid
from cityscribe.world.vehicles import GLASS

_ROOM = 0.003  # metres between faces of one plane
_LAND = 2500.0  # metres to the edge of the land
_LEAVES = 0.14  # how far foliage frays, as a share of its radius


@dataclass(frozen=True, slots=True)
class Mesh:
    """Faces of three or more corners. Colours are sRGB in daylight, 0 to 1."""

    vertices: np.ndarray  # [v, 3] float32, metres
    corners: np.ndarray  # [c] int32: the vertices of all faces, one face after the other
    sizes: np.ndarray  # [f] int32: corners of each face
    colours: np.ndarray  # [f, 3] float32
    surfaces: np.ndarray  # [f] int32, index into SURFACE_NAMES
    smooth: np.ndarray  # [f] bool: shaded as part of something round


SURFACE_NAMES = (
    *PAVING,
    "wall",
    "window",
    "lit window",
    "bark",
    "leaf",
    "metal",
    "paint coat",
    "glass",
    "plastic",
    "lamp",
    "cloth",
    "skin",
    "fur",
    "rain",
)
"""What a face is made of; `blender_surface` says how each looks."""


def solid_mesh(solids: Sequence[Solid]) -> Mesh:
    """All faces of some solids."""
    pieces: list[Mesh] = []
    balls: list[tuple[Disc, str]] = []
    limbs: list[tuple[Stroke, str]] = []
    for solid in solids:
        flat = [part for part in solid.parts if isinstance(part, Polygon | Panes)]
        for part, layer in zip(flat, _layers(flat), strict=True):
            points = part.points + np.array(part.normal) * layer * _ROOM
            size = 4 if isinstance(part, Panes) else len(points)
            pieces.append(_faces(points, size, part.colour, surface_of(solid.kind, part)))
        limbs += [(part, surface_of(solid.kind, part)) for part in solid.parts if isinstance(part, Stroke)]
        balls += [(part, surface_of(solid.kind, part)) for part in solid.parts if isinstance(part, Disc)]
    leaves = [entry for entry in balls if entry[1] == "leaf"]
    pieces += [_foliage(leaves)] if leaves else []
    round_balls = [entry for entry in balls if entry[1] != "leaf"]
    pieces += [_balls(round_balls)] if round_balls else []
    pieces += [_capsules(limbs)] if limbs else []
    return _joined(pieces)


def ground_mesh(street: Street) -> Mesh:
    """The land with everything that is laid on it, each layer a little above the one before."""
    base = "plaza" if street.road == "urban road" else "land"
    land = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * _LAND
    pieces = [_faces(land, 4, PAVING[base], base)]
    before, layer = base, 0
    for points, kind in paving(street):
        layer += kind != before
        before = kind
        if len(points) == 4:
            pieces.append(_faces(points + np.array([0.0, 0.0, layer * _ROOM]), 4, PAVING[kind], kind))
            continue
        half = len(points) // 2  # an outline along a bend, up one side and down the other: a strip of quads
        left, right = points[:half], points[half:][::-1]
        strip = np.stack([left[:-1], right[:-1], right[1:], left[1:]], axis=1).reshape(-1, 3)
        pieces.append(_faces(strip + np.array([0.0, 0.0, layer * _ROOM]), 4, PAVING[kind], kind))
    return _joined(pieces)


def surface_of(kind: str, part: Shape) -> str:
    """What a part of a solid of some kind is made of: one of SURFACE_NAMES."""
    if isinstance(part, Panes):
        return "lit window" if part.emits else "window"
    if isinstance(part, Polygon | Disc) and part.emits:
        return "lamp"
    if kind == "fixture":
        if isinstance(part, Polygon):
            return "wall"
        if isinstance(part, Disc):
            return "leaf" if part.colour[1] > max(part.colour[0], part.colour[2]) else "plastic"
        return "bark" if part.colour[0] > part.colour[2] + 20 else "metal"
    if kind == "vehicle":
        if part.colour == GLASS:
            return "glass"
        return "paint coat" if part.colour in VEHICLE_COLOURS.values() else "plastic"
    if kind == "prop":
        return "metal" if isinstance(part, Stroke) and part.radius < 0.08 else "plastic"
    if kind == "animal":
        return "fur"
    return "skin" if part.colour in SKIN else "cloth"


def _layers(flat: Sequence[Polygon | Panes]) -> list[int]:
    """How many parts each lies on: those of its own plane that come before it and overlap it."""
    if not flat:
        return []
    normals = np.array([part.normal for part in flat])
    firsts = np.array([part.points[0] for part in flat])
    low = np.array([part.points.min(axis=0) for part in flat])
    high = np.array([part.points.max(axis=0) for part in flat])
    offsets = np.abs(((firsts[:, None] - firsts[None]) * normals[None]).sum(axis=2))
    facing = normals @ normals.T > 0.999
    apart = ((low[:, None] > high[None] - 1e-4) & (high - low > 1e-3)[None]).any(axis=2)
    under = (offsets < 1e-3) & facing & ~apart & ~apart.T
    layers: list[int] = []
    for i in range(len(flat)):
        layers.append(max((layers[j] + 1 for j in range(i) if under[i, j]), default=0))
    return layers


def _faces(points: np.ndarray, size: int, colour: RGB, surface: str) -> Mesh:
    """Flat faces that share no corners: points [n size, 3]."""
    count = len(points) // size
    return mesh_of(points, np.arange(len(points)), np.full(count, size), colour, surface, False)


def mesh_of(
    vertices: np.ndarray, corners: np.ndarray, sizes: np.ndarray, colour: RGB, surface: str, smooth: bool
) -> Mesh:
    """A mesh in one colour (0 to 255) of one of SURFACE_NAMES; the arrays are those of `Mesh`."""
    count = len(sizes)
    return Mesh(
        vertices.astype(np.float32),
        corners.astype(np.int32),
        sizes.astype(np.int32),
        np.tile(np.array(colour, np.float32) / 255, (count, 1)),
        np.full(count, SURFACE_NAMES.index(surface), np.int32),
        np.full(count, smooth),
    )


def _joined(pieces: Sequence[Mesh]) -> Mesh:
    if not pieces:
        return mesh_of(np.zeros((0, 3)), np.zeros(0), np.zeros(0), (0, 0, 0), SURFACE_NAMES[0], False)
    starts = np.cumsum([0] + [len(piece.vertices) for piece in pieces[:-1]])
    return Mesh(
        np.concatenate([piece.vertices for piece in pieces]),
        np.concatenate([piece.corners + start for piece, start in zip(pieces, starts, strict=True)]).astype(np.int32),
        np.concatenate([piece.sizes for piece in pieces]),
        np.concatenate([piece.colours for piece in pieces]),
        np.concatenate([piece.surfaces for piece in pieces]),
        np.concatenate([piece.smooth for piece in pieces]),
    )


# What is round


@functools.cache
def _ball(splits: int) -> tuple[np.ndarray, np.ndarray]:
    """An icosahedron split into a ball: vertices [v, 3] on the unit sphere and triangles [f, 3]."""
    g = (1 + math.sqrt(5)) / 2
    signs = [(a, b) for a in (-1.0, 1.0) for b in (-1.0, 1.0)]
    points = [point for a, b in signs for point in ((a, b * g, 0.0), (0.0, a, b * g), (b * g, 0.0, a))]
    corners = np.array(points) / math.hypot(1, g)
    near = np.linalg.norm(corners[:, None] - corners[None], axis=2) < 1.2
    faces = []
    for i in range(12):
        for j in range(i + 1, 12):
            for k in range(j + 1, 12):
                if near[i, j] and near[j, k] and near[i, k]:
                    outward = np.linalg.det(corners[[i, j, k]]) > 0
                    faces.append((i, j, k) if outward else (i, k, j))
    triangles = np.array(faces)
    for _ in range(splits):
        edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
        unique, which = np.unique(edges, axis=0, return_inverse=True)
        middles = corners[unique].mean(axis=1)
        middles /= np.linalg.norm(middles, axis=1, keepdims=True)
        ab, bc, ca = np.split(which.ravel() + len(corners), 3)
        a, b, c = triangles.T
        triangles = np.concatenate([np.stack(t, axis=1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
        corners = np.concatenate([corners, middles])
    return corners, triangles


def _balls(entries: Sequence[tuple[Disc, str]]) -> Mesh:
    points, triangles = _ball(2)
    return _repeated(
        np.stack([disc.points[0] + disc.radius * points for disc, _ in entries]),
        triangles.ravel(),
        np.full(len(triangles), 3),
        entries,
        True,
    )


def _foliage(entries: Sequence[tuple[Disc, str]]) -> Mesh:
    """Balls of leaves: frayed, and each face a leaf of its own shade. The same ball always frays the same way."""
    points, triangles = _ball(3)
    leaves = points[triangles]  # [f, 3, 3]
    middles = leaves.mean(axis=1, keepdims=True)
    vertices = []
    for disc, _ in entries:
        rng = np.random.default_rng([int(abs(v) * 1000) for v in (*disc.points[0], disc.radius)])
        reach = 1 - _LEAVES * rng.random((len(triangles), 1, 1)) + _LEAVES * 0.6 * rng.standard_normal(leaves.shape)
        tilted = middles + (leaves - middles) * 1.5 + 0.05 * rng.standard_normal(leaves.shape)
        vertices.append(disc.points[0] + disc.radius * (tilted * reach).reshape(-1, 3))
    mesh = _repeated(np.stack(vertices), np.arange(3 * len(triangles)), np.full(len(triangles), 3), entries, False)
    shades = np.random.default_rng(len(entries)).uniform(0.72, 1.12, (len(mesh.colours), 1)).astype(np.float32)
    return Mesh(mesh.vertices, mesh.corners, mesh.sizes, mesh.colours * shades, mesh.surfaces, mesh.smooth)


@functools.cache
def _capsule(segments: int = 20, rings: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A capsule in terms of its stroke: coefficients [v, 4] of the stroke (0 its start, 1 its end) and of the radius
    along two directions across it and along it; with the corners and sizes of its faces."""
    angles = np.arange(segments) * math.tau / segments
    rows = []
    for end, tilts in (
        (0, np.linspace(-math.pi / 2, 0, rings + 1)[1:]),
        (1, np.linspace(0, math.pi / 2, rings + 1)[:-1]),
    ):
        for tilt in tilts:
            across = math.cos(tilt)
            rows += [(end, across * math.cos(a), across * math.sin(a), math.sin(tilt)) for a in angles]
    rows += [(0, 0.0, 0.0, -1.0), (1, 0.0, 0.0, 1.0)]
    count = 2 * rings
    ring, i = np.divmod(np.arange((count - 1) * segments), segments)
    j = (i + 1) % segments
    quads = np.stack(
        [ring * segments + i, ring * segments + j, (ring + 1) * segments + j, (ring + 1) * segments + i], 1
    )
    i = np.arange(segments)
    j = (i + 1) % segments
    bottom, top = np.full(segments, count * segments), np.full(segments, count * segments + 1)
    last = (count - 1) * segments
    caps = np.concatenate([np.stack([j, i, bottom], 1), np.stack([last + i, last + j, top], 1)])
    sizes = np.concatenate([np.full(len(quads), 4), np.full(len(caps), 3)])
    return np.array(rows), np.concatenate([quads.ravel(), caps.ravel()]), sizes


def _capsules(entries: Sequence[tuple[Stroke, str]]) -> Mesh:
    rows, corners, sizes = _capsule()
    starts = np.array([stroke.points[0] for stroke, _ in entries])
    ways = np.array([stroke.points[1] - stroke.points[0] for stroke, _ in entries])
    lengths = np.linalg.norm(ways, axis=1, keepdims=True)
    along = np.where(lengths > 1e-9, ways / np.maximum(lengths, 1e-9), [0.0, 0.0, 1.0])
    aside = np.where(np.abs(along[:, 2:]) < 0.9, [0.0, 0.0, 1.0], [1.0, 0.0, 0.0])
    first = np.cross(aside, along)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(along, first)
    radii = np.array([stroke.radius for stroke, _ in entries])[:, None, None]
    across = rows[:, 1:2] * first[:, None] + rows[:, 2:3] * second[:, None] + rows[:, 3:4] * along[:, None]
    vertices = starts[:, None] + rows[:, :1] * ways[:, None] + radii * across
    return _repeated(vertices, corners, sizes, entries, True)


def _repeated(
    vertices: np.ndarray,
    corners: np.ndarray,
    sizes: np.ndarray,
    entries: Sequence[tuple[Disc, str]] | Sequence[tuple[Stroke, str]],
    smooth: bool,
) -> Mesh:
    """The same faces for every entry, between the vertices [n, v, 3] of each."""
    count, each, faces = len(vertices), vertices.shape[1], len(sizes)
    colours = np.array([part.colour for part, _ in entries], np.float32) / 255
    surfaces = np.array([SURFACE_NAMES.index(surface) for _, surface in entries], np.int32)
    return Mesh(
        vertices.reshape(-1, 3).astype(np.float32),
        (corners[None] + np.arange(count)[:, None] * each).ravel().astype(np.int32),
        np.tile(sizes, count).astype(np.int32),
        np.repeat(colours, faces, axis=0),
        np.repeat(surfaces, faces),
        np.full(count * faces, smooth),
    )

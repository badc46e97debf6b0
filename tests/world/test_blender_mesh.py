from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityscribe.world.blender_mesh import SURFACE_NAMES, Mesh, ground_mesh, solid_mesh
from cityscribe.world.blender_nodes import linear
from cityscribe.world.blender_surface import SURFACES
from cityscribe.world.event import sample_event
from cityscribe.world.fixtures import Fixture
from cityscribe.world.look import VEHICLE_COLOURS, VEHICLES
from cityscribe.world.scene import Vehicle, VehicleState
from cityscribe.world.shapes import Disc, Panes, Polygon, Shape, Stroke
from cityscribe.world.solids import Solid, solids
from cityscribe.world.vehicles import vehicle_parts

metres = st.floats(-50, 50, allow_nan=False)
points = st.tuples(metres, metres, metres).map(np.array)
radii = st.floats(0.01, 2)


def _mesh_of(*parts: Shape, kind: str = "person") -> Mesh:
    return solid_mesh([Solid(kind, 0, Fixture(0.0, 0.0, 100.0, parts), False, 100.0)])


def _square(height: float, low: float = 0.0, high: float = 1.0) -> Polygon:
    corners = np.array([[low, low, height], [high, low, height], [high, high, height], [low, high, height]])
    return Polygon(corners, (9, 9, 9), (0.0, 0.0, 1.0))


def _volume(mesh: Mesh) -> float:
    """Cubic metres inside of closed faces that look outward."""
    starts = np.cumsum(mesh.sizes) - mesh.sizes
    fans = [(a, a + i, a + i + 1) for a, size in zip(starts, mesh.sizes, strict=True) for i in range(1, size - 1)]
    corners = (mesh.vertices.astype(float) - mesh.vertices.mean(axis=0))[mesh.corners[np.array(fans)]]
    return float(np.linalg.det(corners).sum()) / 6


@settings(deadline=None, max_examples=15)
@given(a=points, b=points, radius=radii)
def test_a_stroke_is_a_closed_capsule_around_its_line(a: np.ndarray, b: np.ndarray, radius: float) -> None:
    mesh = _mesh_of(Stroke(np.stack([a, b]), radius, (9, 9, 9)))
    way = b - a
    along = np.clip((mesh.vertices - a) @ way / max(float(way @ way), 1e-12), 0, 1)
    away = np.linalg.norm(mesh.vertices - (a + along[:, None] * way), axis=1)
    assert away == pytest.approx(radius, abs=1e-3)
    ideal = np.pi * radius**2 * np.linalg.norm(way) + 4 / 3 * np.pi * radius**3
    assert 0.93 * ideal < _volume(mesh) < ideal * 1.001 + 1e-3


@settings(deadline=None, max_examples=15)
@given(middle=points, radius=radii)
def test_a_disc_is_a_closed_ball(middle: np.ndarray, radius: float) -> None:
    mesh = _mesh_of(Disc(middle[None], radius, (9, 9, 9)))
    assert np.linalg.norm(mesh.vertices - middle, axis=1) == pytest.approx(radius, abs=1e-4)
    assert 0.95 * 4 / 3 * np.pi * radius**3 < _volume(mesh) + 1e-4
    edges = Counter()
    for face in mesh.corners.reshape(-1, 3):
        edges.update(frozenset((int(face[i]), int(face[i - 1]))) for i in range(3))
    assert set(edges.values()) == {2}


def test_what_is_drawn_later_in_a_plane_lies_above() -> None:
    mesh = _mesh_of(_square(0.0), _square(0.0, 0.2, 0.8), _square(0.0, 0.3, 0.5), _square(0.0, 2.0, 3.0))
    heights = mesh.vertices[:, 2].reshape(4, 4)
    assert (heights == heights[:, :1]).all()
    assert heights[0, 0] < heights[1, 0] < heights[2, 0] < 0.02
    assert heights[3, 0] == heights[0, 0]  # lies beside them


def test_panes_are_a_face_each() -> None:
    quads = np.concatenate([_square(0.0).points, _square(0.0, 2.0, 3.0).points])
    mesh = _mesh_of(Panes(quads, (9, 9, 9), (0.0, 0.0, 1.0)), kind="fixture")
    assert mesh.sizes.tolist() == [4, 4]
    assert mesh.vertices == pytest.approx(quads)


@pytest.mark.parametrize("kind", list(VEHICLES))
@pytest.mark.parametrize("colour", list(VEHICLE_COLOURS))
def test_every_vehicle_has_paint_glass_and_lamps(kind: str, colour: str) -> None:
    parts = vehicle_parts(VehicleState(Vehicle(kind, colour), 0.0, 0.0, 0.0), True)
    mesh = _mesh_of(*parts, kind="vehicle")
    found = {SURFACE_NAMES[i] for i in mesh.surfaces}
    assert {"paint coat", "glass", "lamp", "plastic"} <= found


@pytest.mark.parametrize("seed", range(6))
def test_a_scene_is_built_of_known_surfaces_above_the_ground(seed: int) -> None:
    scene = sample_event(seed).scene_at(1.0)
    ground, things = ground_mesh(scene.street), solid_mesh(solids(scene, True))
    for mesh in (ground, things):
        assert mesh.sizes.sum() == len(mesh.corners)
        assert mesh.corners.max() < len(mesh.vertices)
        assert np.isfinite(mesh.vertices).all()
        assert len(mesh.sizes) == len(mesh.colours) == len(mesh.surfaces) == len(mesh.smooth)
    assert ground.vertices[:, 2].max() < 0.05
    again = solid_mesh(solids(scene, True))
    assert np.array_equal(things.vertices, again.vertices)
    assert np.array_equal(things.colours, again.colours)


def test_every_surface_has_a_look() -> None:
    assert set(SURFACES) == set(SURFACE_NAMES)


def test_srgb_to_light() -> None:
    assert linear([0.0, 0.04045, 0.5, 1.0]) == pytest.approx([0.0, 0.0031308, 0.2140411, 1.0], abs=1e-6)

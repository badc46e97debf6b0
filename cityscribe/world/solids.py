"""Everything that stands in a scene, as solids: what both renderers draw and what boxes and masks are measured on."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from cityscribe.world.animals import animal_parts
from cityscribe.world.cyclists import cyclist_parts
from cityscribe.world.fixtures import Fixture, fixtures
from cityscribe.world.look import ANIMALS, VEHICLES
from cityscribe.world.people import person_parts
from cityscribe.world.props import prop_parts
from cityscribe.world.scene import AnimalState, CyclistState, PersonState, Prop, Scene, VehicleState
from cityscribe.world.shapes import Shape
from cityscribe.world.vehicles import vehicle_parts

Mover = PersonState | VehicleState | CyclistState | AnimalState | Prop
KINDS = ("fixture", "prop", "vehicle", "person", "cyclist", "animal")


@dataclass(frozen=True)
class Solid:
    """One thing at its place. `index` counts within its kind as the scene does; fixtures count as `fixtures` does."""

    kind: str  # one of KINDS
    index: int
    thing: Mover | Fixture
    lamps_lit: bool
    reach: float  # metres around x, y that hold all of it

    @property
    def x(self) -> float:
        return self.thing.x

    @property
    def y(self) -> float:
        return self.thing.y

    @functools.cached_property
    def parts(self) -> Sequence[Shape]:
        """Built when it is first asked for: most of a scene is out of a camera's sight."""
        return self.thing.parts if isinstance(self.thing, Fixture) else parts_of(self.thing, self.lamps_lit)


def solids(scene: Scene, lamps_lit: bool) -> list[Solid]:
    """All that stands in a scene, fixtures first; `lamps_lit` turns on the lamps of vehicles."""
    found = [Solid("fixture", i, thing, False, thing.reach) for i, thing in enumerate(fixtures(scene.street))]
    movers: dict[str, Sequence[Mover]] = {
        "prop": scene.props,
        "vehicle": scene.vehicles,
        "person": scene.people,
        "cyclist": scene.cyclists,
        "animal": scene.animals,
    }
    for kind, states in movers.items():
        for i, state in enumerate(states):
            found.append(Solid(kind, i, state, lamps_lit, _reach(state)))
    return found


def parts_of(state: Mover, lamps_lit: bool = False) -> list[Shape]:
    """What a road user, an animal or a prop is made of where it is."""
    if isinstance(state, PersonState):
        return person_parts(state)
    if isinstance(state, VehicleState):
        return vehicle_parts(state, lamps_lit)
    if isinstance(state, CyclistState):
        return cyclist_parts(state)
    if isinstance(state, AnimalState):
        return animal_parts(state)
    return prop_parts(state)


def _reach(state: Mover) -> float:
    if isinstance(state, VehicleState):
        return VEHICLES[state.vehicle.kind].length
    return ANIMALS[state.species].length * 1.6 if isinstance(state, AnimalState) else 2.0

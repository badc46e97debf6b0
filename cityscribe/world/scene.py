"""Where things stand: people, vehicles and the street in metres, at one moment.

The ground is the plane z = 0, x points east, y north, z up; a heading is radians counter-clockwise from +x. The street
runs along y with its middle at x = 0, or bends away from it: `Street.place` says where a point of the street lies.
Traffic keeps to the left, as in Japan, where WTS was filmed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from cityscribe.world.look import VEHICLES

LANE_WIDTH = 3.2
SIDEWALK_WIDTH = 2.4


@dataclass(frozen=True, slots=True)
class Person:
    """How somebody looks. Words are keys of the tables in `look`."""

    sex: str  # "male" | "female"
    age: str
    height: float  # metres
    skin: int  # index into SKIN
    hair: str
    upper: str
    upper_colour: str
    lower: str
    lower_colour: str
    carried: str
    hat_colour: str | None = None

    @property
    def hair_long(self) -> bool:
        """Long hair is worn by women and girls in this city, so that sex can be seen."""
        return self.sex == "female"


@dataclass(frozen=True, slots=True)
class PersonState:
    """Somebody at one moment."""

    person: Person
    x: float
    y: float
    heading: float
    motion: str  # "standing" | "walking" | "running" | "fallen"
    gaze: str  # "vehicle": the head turns to `gaze_at`; "ahead"; "phone": bent over a phone
    gaze_at: tuple[float, float] = (0.0, 0.0)
    stride: float = 0.0  # phase of the gait, radians


@dataclass(frozen=True, slots=True)
class Vehicle:
    kind: str
    colour: str


@dataclass(frozen=True, slots=True)
class VehicleState:
    """A vehicle at one moment; x, y is the middle of its outline on the ground."""

    vehicle: Vehicle
    x: float
    y: float
    heading: float
    braking: bool = False
    turning: str = ""  # "left" | "right" | "": which indicator is lit

    def to_local(self, x: float, y: float) -> tuple[float, float]:
        """A point of the ground seen from the vehicle: metres ahead of its front, metres to its left."""
        dx, dy = x - self.x, y - self.y
        ahead = dx * math.cos(self.heading) + dy * math.sin(self.heading)
        left = -dx * math.sin(self.heading) + dy * math.cos(self.heading)
        return ahead - VEHICLES[self.vehicle.kind].length / 2, left


@dataclass(frozen=True, slots=True)
class CyclistState:
    """Somebody on a bicycle at one moment; x, y is between the wheels."""

    person: Person
    colour: str  # of the bicycle, one of `look.CLOTHES_COLOURS`
    x: float
    y: float
    heading: float
    stride: float = 0.0  # phase of the pedals, radians


@dataclass(frozen=True, slots=True)
class AnimalState:
    """An animal at one moment; x, y is below the middle of its body."""

    species: str
    x: float
    y: float
    heading: float
    action: str  # one of `look.ANIMAL_ACTIONS`
    stride: float = 0.0  # phase of the gait, radians


@dataclass(frozen=True, slots=True)
class Prop:
    """Something that stands in the street and tells road users what to do. `heading` is where its face looks."""

    kind: str  # one of `look.PROPS`
    x: float
    y: float
    heading: float = -math.pi / 2
    value: str = ""  # of a traffic light "red", "yellow" or "green"; of a speed sign its number


@dataclass(frozen=True, slots=True)
class Street:
    """The street and the light on it. Words are those of `look`."""

    road: str
    lanes: int
    sidewalks: bool
    crosswalk_y: float | None  # where a crosswalk crosses the street
    junction_y: float | None  # where another road crosses it
    weather: str
    light: str
    wet: bool
    seed: int  # of buildings, trees and lamps
    bend: float = 0.0  # curvature in 1/m, to the left where it is positive

    @property
    def half_width(self) -> float:
        """Metres from the middle of the street to its kerb."""
        return max(self.lanes * LANE_WIDTH / 2, 2.4)

    def place(self, x: float, y: float) -> tuple[float, float, float]:
        """Where a point lies that is x metres right of the middle and y metres along the street: its x and y on the
        ground, and by how much the street has turned there, radians."""
        if self.bend == 0.0:
            return x, y, 0.0
        radius, angle = 1.0 / self.bend, y * self.bend
        return (radius + x) * math.cos(angle) - radius, (radius + x) * math.sin(angle), angle

    def lane_x(self, lane: int) -> float:
        """The middle of a lane, counted from the left; on a two-way street the left half goes north."""
        return -self.half_width + (lane + 0.5) * 2 * self.half_width / self.lanes


Placed = TypeVar("Placed", bound=PersonState | VehicleState | CyclistState | Prop)


def placed(street: Street, state: Placed) -> Placed:
    """On the ground, what is given along the street (x to the right of its middle, y ahead)."""
    if street.bend == 0.0:
        return state
    x, y, turned = street.place(state.x, state.y)
    moved = replace(state, x=x, y=y, heading=state.heading + turned)
    if isinstance(moved, PersonState):
        return replace(moved, gaze_at=street.place(*moved.gaze_at)[:2])
    return moved


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything at one moment. `people[0]` and `vehicles[0]` are the ones that an event is about."""

    street: Street
    people: tuple[PersonState, ...]
    vehicles: tuple[VehicleState, ...]
    cyclists: tuple[CyclistState, ...] = ()
    animals: tuple[AnimalState, ...] = ()
    props: tuple[Prop, ...] = ()


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera. `yaw` as a heading; `pitch` in radians, negative looks down; `focal` in pixels."""

    x: float
    y: float
    z: float
    yaw: float
    pitch: float
    focal: float
    width: int
    height: int
    on_vehicle: int | None = None  # index into Scene.vehicles of the one it is mounted in, which is not drawn
    axes: np.ndarray = field(init=False, repr=False, compare=False)  # [3, 3] rows: right, down, forward

    def __post_init__(self) -> None:
        forward = np.array(
            [
                math.cos(self.pitch) * math.cos(self.yaw),
                math.cos(self.pitch) * math.sin(self.yaw),
                math.sin(self.pitch),
            ]
        )
        right = np.array([math.sin(self.yaw), -math.cos(self.yaw), 0.0])
        object.__setattr__(self, "axes", np.stack([right, np.cross(forward, right), forward]))

    def of_width(self, width: int) -> Camera:
        """The same view in more or fewer pixels."""
        scale = width / self.width
        return replace(self, width=width, height=round(self.height * scale), focal=self.focal * scale)

    @property
    def horizon(self) -> float:
        """The row of the picture, in pixels, above which the ground is never seen."""
        return self.height / 2 + self.focal * math.tan(self.pitch)

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """World points [n, 3] in metres to camera axes [n, 3]: right, down, forward (the depth)."""
        return (points - np.array([self.x, self.y, self.z])) @ self.axes.T

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """Camera points [n, 3] of positive depth to pixels [n, 2]."""
        return points[:, :2] / points[:, 2:] * self.focal + np.array([self.width / 2, self.height / 2])


def dashboard_camera(vehicle: VehicleState, index: int, *, width: int, height: int, focal: float) -> Camera:
    """The camera behind the windscreen of a vehicle."""
    shape = VEHICLES[vehicle.vehicle.kind]
    ahead = shape.length * 0.15
    return Camera(
        vehicle.x + ahead * math.cos(vehicle.heading),
        vehicle.y + ahead * math.sin(vehicle.heading),
        max(1.3, shape.height * 0.86),
        vehicle.heading,
        -0.05,
        focal,
        width,
        height,
        on_vehicle=index,
    )


def fixed_camera(
    at: tuple[float, float], target: tuple[float, float], *, mast: float, width: int, height: int, focal: float
) -> Camera:
    """A camera on a mast of the given height (metres) that looks at a point of the ground."""
    dx, dy = target[0] - at[0], target[1] - at[1]
    pitch = -math.atan2(mast - 0.8, math.hypot(dx, dy))
    return Camera(at[0], at[1], mast, math.atan2(dy, dx), pitch, focal, width, height)

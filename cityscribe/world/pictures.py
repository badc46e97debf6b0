"""General pictures of the city with questions and answers: what a base model learns to see and to talk from.

Single road users, groups, relations, counts, colours, places, short descriptions. None of it is an event: there are no
phases, no captions in the manner of WTS and none of their sentences, so that tuning on a domain still has a job to do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from cityscribe.world.facts import (
    Facts,
    appearance,
    distance_band,
    environment,
    facing,
    gaze,
    metres_between,
    position,
    regulation,
)
from cityscribe.world.look import GAZES, LIGHT_STATES, MOTIONS, VEHICLES
from cityscribe.world.picture_questions import PictureQuestion, picture_questions
from cityscribe.world.render import box_of, render
from cityscribe.world.scene import (
    Camera,
    CyclistState,
    PersonState,
    Scene,
    VehicleState,
    dashboard_camera,
    fixed_camera,
    placed,
)
from cityscribe.world.silhouettes import visible_share
from cityscribe.world.surroundings import (
    sample_moving,
    sample_parked,
    sample_person,
    sample_props,
    sample_street,
    sample_vehicle,
)

XYWH = tuple[float, float, float, float]
SMALLEST = 420.0  # pixels squared: a person below it is not asked about
LEAST_VISIBLE = 0.6  # share of a person that nothing covers, for the same


@dataclass(frozen=True, slots=True)
class Picture:
    image: np.ndarray  # RGB uint8 [height, width, 3]
    boxes: dict[str, XYWH]  # role -> box of the road user that questions mean, in pixels
    facts: Facts  # what is true of the one that questions mean and of the place
    questions: tuple[PictureQuestion, ...]


def sample_picture(seed: int, *, width: int = 640, height: int = 360) -> Picture:
    """A picture with all the questions that can be asked about it, in random order. Equal seeds give equal pictures."""
    scene, camera, facts = sample_view(seed, width, height)
    rng = np.random.default_rng([seed, 14])
    boxes = {}
    for role, box in (
        ("pedestrian", box_of(scene.people[0], camera)),
        ("vehicle", box_of(scene.vehicles[0], camera) if camera.on_vehicle is None else None),
    ):
        if box is not None:
            boxes[role] = box
    image = render(scene, camera, seed=seed % 100_003)
    seen = [v for i, v in enumerate(scene.vehicles) if i != camera.on_vehicle and box_of(v, camera) is not None]
    people = [person for person in scene.people if box_of(person, camera) is not None]
    return Picture(image, boxes, facts, picture_questions(facts, rng, vehicles=len(seen), people=len(people)))


def sample_view(
    seed: int, width: int = 640, height: int = 360, *, unseen: bool | None = None
) -> tuple[Scene, Camera, Facts]:
    """A scene, a camera that sees its person (and its vehicle, unless it is mounted there), and the facts of both.

    `unseen` is about the colours of the person, see `look.held_out`.
    """
    rng = np.random.default_rng([seed, 4])
    while True:
        scene, camera = _sample_scene(rng, width, height, unseen)
        box = box_of(scene.people[0], camera)
        if box is None or box[2] * box[3] < SMALLEST:
            continue
        if camera.on_vehicle is None and box_of(scene.vehicles[0], camera) is None:
            continue
        if visible_share(scene, camera, "person", 0) >= LEAST_VISIBLE:
            return scene, camera, _facts(scene, camera)


def _sample_scene(rng: np.random.Generator, width: int, height: int, unseen: bool | None) -> tuple[Scene, Camera]:
    """A street with a person and a vehicle near each other; `people[0]` and `vehicles[0]` are asked about."""
    gap, beside = float(rng.uniform(1.2, 13.0)), float(rng.uniform(-4.5, 4.5))
    if rng.random() < 0.4:
        beside *= 0.35
    y = float(rng.uniform(3, 16))
    crosswalk = y if rng.random() < 0.4 else None
    junction = y + float(rng.uniform(-3, 10)) if rng.random() < 0.25 else None
    street = sample_street(rng, crosswalk_y=crosswalk, junction_y=junction)
    vehicle = sample_vehicle(rng)
    lane = int(rng.integers(max(1, street.lanes // 2)))
    heading = math.pi / 2 + (float(rng.uniform(-1.2, 1.2)) if rng.random() < 0.25 else float(rng.normal(0, 0.05)))
    turning = "" if abs(heading - math.pi / 2) < 0.2 else "left" if heading > math.pi / 2 else "right"
    length = VEHICLES[vehicle.kind].length
    front = gap + length / 2
    x = street.lane_x(lane)
    own = VehicleState(vehicle, x, y - front, heading, bool(rng.random() < 0.5), turning)
    person_at = (
        own.x + math.cos(heading) * front - math.sin(heading) * beside,
        own.y + math.sin(heading) * front + math.cos(heading) * beside,
    )
    person = PersonState(
        sample_person(rng, unseen),
        *person_at,
        float(heading + rng.integers(4) * math.pi / 2 + rng.normal(0, 0.18)),
        str(rng.choice([*MOTIONS, "fallen"], p=[0.33, 0.35, 0.29, 0.03])),
        str(rng.choice(GAZES, p=[0.4, 0.35, 0.25])),
        (own.x, own.y),
        float(rng.uniform(0, math.tau)),
    )
    if person.motion == "fallen":
        person = replace(person, gaze="ahead")
    clear = (person.y - 2, person.y + 4)
    parked = sample_parked(rng, street, clear)
    passers = sample_moving(rng, street, int(rng.integers(0, 7)), clear, parked)
    signal = str(rng.choice(list(LIGHT_STATES), p=[0.4, 0.2, 0.4]))
    props = sample_props(rng, street, person.y, signal, (0.75, 0.2, 0.35))
    own, person = placed(street, own), placed(street, person)
    behind = [placed(street, passer.state) for passer in passers]
    scene = Scene(
        street,
        (person, *(state for state in behind if isinstance(state, PersonState))),
        (own, *(s for s in behind if isinstance(s, VehicleState)), *(placed(street, state) for state in parked)),
        tuple(state for state in behind if isinstance(state, CyclistState)),
        props=tuple(placed(street, prop) for prop in props),
    )
    if rng.random() < 0.5:
        return scene, dashboard_camera(own, 0, width=width, height=height, focal=float(rng.uniform(430, 620)))
    middle = ((person.x + own.x) / 2, (person.y + own.y) / 2)
    away, angle = float(rng.uniform(7, 14)), float(rng.uniform(0, math.tau))
    where = (middle[0] + away * math.cos(angle), middle[1] + away * math.sin(angle))
    focal = float(rng.uniform(330, 640)) * away / max(8.0, gap + length)
    camera = fixed_camera(
        where,
        middle,
        mast=float(rng.uniform(3.5, 7.5)),
        width=width,
        height=height,
        focal=float(np.clip(focal, 280, 800)),
    )
    return scene, camera


def _facts(scene: Scene, camera: Camera) -> Facts:
    person, own = scene.people[0], scene.vehicles[0]
    return {
        **appearance(person),
        **environment(scene, [camera]),
        **regulation(scene, camera),
        "motion": person.motion,
        "gaze": gaze(person, own),
        "direction in picture": _image_direction(person, camera),
        "facing": facing(person, own),
        "position": position(person, own),
        "distance": distance_band(metres_between(person, own)),
        "vehicle_colour": own.vehicle.colour,
        "vehicle_kind": own.vehicle.kind if camera.on_vehicle is None else "ego",
        "vehicle_lights": _lights(own) if camera.on_vehicle is None else "ego",
    }


def _image_direction(state: PersonState, camera: Camera) -> str:
    angle = math.remainder(state.heading - camera.yaw, math.tau)
    if abs(angle) < math.pi / 4:
        return "away from the camera"
    if abs(angle) > 3 * math.pi / 4:
        return "towards the camera"
    return "to the left of the picture" if angle > 0 else "to the right of the picture"


def _lights(vehicle: VehicleState) -> str:
    parts = (["the brake lights"] if vehicle.braking else []) + (
        [f"the {vehicle.turning} indicator"] if vehicle.turning else []
    )
    if not parts:
        return "None that matter."
    text = " and ".join(parts)
    return f"{text[0].upper()}{text[1:]}."

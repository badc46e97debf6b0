"""What is true: all that captions and questions may say about one moment of an event, as a flat table of words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cityscribe.world.event import Event
from cityscribe.world.render import box_of
from cityscribe.world.scene import Camera, PersonState, Prop, Scene, VehicleState
from cityscribe.world.silhouettes import silhouettes

Facts = dict[str, str]

DISTANCES = ((4.0, "near"), (8.0, "close"), (math.inf, "far"))
"""Bands of metres between the front of the vehicle and the pedestrian: below 4, below 8, more."""
IN_VIEW = math.radians(30)
"""Of the way that a pedestrian looks, on each side: what is there is looked at."""
LEAST = 1 / 1000
"""Of a picture that a vehicle must fill to count as traffic."""


def distance_band(metres: float) -> str:
    return next(word for limit, word in DISTANCES if metres < limit)


def metres_between(person: PersonState, vehicle: VehicleState) -> float:
    """Metres between the front of the vehicle and the pedestrian; beside the vehicle, to its side alone."""
    ahead, left = vehicle.to_local(person.x, person.y)
    return math.hypot(max(ahead, 0.0), left)


def position(person: PersonState, vehicle: VehicleState) -> str:
    """Where the pedestrian is, seen from the vehicle: "front", "front left", "front right", "left", "right"."""
    ahead, left = vehicle.to_local(person.x, person.y)
    side = "left" if left > 0 else "right"
    if ahead < 0.6:
        return side
    return "front" if abs(left) < max(0.9, 0.22 * ahead) else f"front {side}"


def facing(person: PersonState, vehicle: VehicleState) -> str:
    """Which way the body faces relative to the vehicle's own direction: "same", "opposite", "left", "right"."""
    angle = math.remainder(person.heading - vehicle.heading, math.tau)
    if abs(angle) < math.pi / 4:
        return "same"
    if abs(angle) > 3 * math.pi / 4:
        return "opposite"
    return "left" if angle > 0 else "right"


def gaze(person: PersonState, vehicle: VehicleState) -> str:
    """What the eyes are on: "vehicle", "ahead", "phone". Who looks ahead while the vehicle is there looks at it."""
    if person.gaze != "ahead" or person.motion == "fallen":
        return person.gaze
    bearing = math.atan2(vehicle.y - person.y, vehicle.x - person.x)
    return "vehicle" if abs(math.remainder(bearing - person.heading, math.tau)) < IN_VIEW else "ahead"


def traffic(scene: Scene, cameras: Sequence[Camera] | None = None) -> str:
    """How many vehicles there are, parked ones too, other than the event's own: "light" below two, "usual" below four,
    "heavy". Only those count that one of the cameras sees, where cameras are given."""
    if cameras is None:
        others = len(scene.vehicles) - 1
    else:
        seen = {
            thing.key
            for camera in cameras
            for thing in silhouettes(scene, camera)[1]
            if thing.pixels >= LEAST * camera.width * camera.height
        }
        others = sum(kind == "vehicle" and index > 0 for kind, index in seen)
    return "light" if others < 2 else "usual" if others < 4 else "heavy"


def environment(scene: Scene, cameras: Sequence[Camera] | None = None) -> Facts:
    """Facts of the street and, as far as the cameras see it, of its traffic."""
    street = scene.street
    return {
        "weather": street.weather,
        "light": street.light,
        "surface": "wet" if street.wet else "dry",
        "road": street.road,
        "lanes": str(street.lanes),
        "sidewalks": "yes" if street.sidewalks else "no",
        "crosswalk": "yes" if street.crosswalk_y is not None else "no",
        "junction": "yes" if street.junction_y is not None else "no",
        "traffic": traffic(scene, cameras),
    }


def regulation(scene: Scene, camera: Camera) -> Facts:
    """What regulates the traffic in a camera's picture, and who else is on the road; "none" where nothing is seen."""
    seen = [prop for prop in scene.props if box_of(prop, camera) is not None]
    readable = [prop for prop in seen if _shows_its_face(prop, camera)]

    def first(kind: str) -> str:
        return next((prop.value for prop in readable if prop.kind == kind), "none")

    cones = sum(prop.kind == "cone" for prop in seen)
    return {
        "traffic_light": first("traffic light"),
        "speed_limit": first("speed sign"),
        "cones": "yes" if cones else "no",
        "cyclist": "yes" if any(box_of(cyclist, camera) is not None for cyclist in scene.cyclists) else "no",
        "bend": "none" if scene.street.bend == 0.0 else "left" if scene.street.bend > 0 else "right",
    }


def _shows_its_face(prop: Prop, camera: Camera) -> bool:
    dx, dy = camera.x - prop.x, camera.y - prop.y
    return math.cos(prop.heading) * dx + math.sin(prop.heading) * dy > 0.35 * math.hypot(dx, dy)


def appearance(state: PersonState) -> Facts:
    person = state.person
    return {
        "sex": person.sex,
        "age": person.age,
        "height_cm": str(round(person.height * 10) * 10),
        "upper": person.upper,
        "upper_colour": person.upper_colour,
        "lower": person.lower,
        "lower_colour": person.lower_colour,
        "hat_colour": person.hat_colour or "none",
        "carried": person.carried,
    }


def facts_at(event: Event, time_s: float, cameras: Sequence[Camera] | None = None) -> Facts:
    """The table of one moment; keys are attributes, values words (numbers as text).

    `cameras` are those of that moment, from which the event is described: what none of them sees is left out, such as
    the kind of a vehicle from behind its windscreen. Without them everything is told.
    """
    scene = event.scene_at(time_s)
    person, vehicle = scene.people[0], scene.vehicles[0]
    speed, change = event.speed_at(time_s), event.acceleration_at(time_s)
    if speed < 0.3:
        action = "stopped"
    elif event.turn and time_s >= event.boundaries_s[1] - 1e-6:
        action = f"turning {event.turn}"
    else:
        action = "decelerating" if change < -0.3 else "going straight"
    outside = cameras is None or any(camera.on_vehicle is None for camera in cameras)
    return {
        **appearance(person),
        "position": position(person, vehicle),
        "distance": distance_band(metres_between(person, vehicle)),
        "facing": facing(person, vehicle),
        "motion": person.motion,
        "gaze": gaze(person, vehicle),
        **({"vehicle_kind": vehicle.vehicle.kind} if outside else {}),
        "vehicle_colour": vehicle.vehicle.colour,
        "vehicle_action": action,
        "vehicle_speed_kmh": str(5 * round(speed * 3.6 / 5)),
        **environment(scene, cameras),
    }

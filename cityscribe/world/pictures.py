"""General pictures of the city with questions and answers: what a base model learns to see and to talk from.

Single road users, groups, relations, counts, colours, places, short descriptions. None of it is an event: there are no
phases, no captions in the manner of WTS and none of their sentences, so that tuning on a domain still has a job to do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from cityscribe.world.descriptions import (
    LISTED_PERSON,
    LISTED_PLACE,
    SENTENCES,
    SHORT,
    in_sentences,
    in_short,
    listed,
)
from cityscribe.world.english import article, choose, garment, noun_of, pronouns
from cityscribe.world.event import (
    placed,
    sample_moving,
    sample_parked,
    sample_person,
    sample_props,
    sample_street,
    sample_vehicle,
)
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
from cityscribe.world.render import box_of, render
from cityscribe.world.scene import (
    Camera,
    CyclistState,
    PersonState,
    Scene,
    VehicleState,
    dashboard_camera,
    fixed_camera,
)
from cityscribe.world.silhouettes import visible_share

XYWH = tuple[float, float, float, float]
SMALLEST = 420.0  # pixels squared: a person below it is not asked about
LEAST_VISIBLE = 0.6  # share of a person that nothing covers, for the same


@dataclass(frozen=True, slots=True)
class Question:
    kind: str  # what it asks for, such as "upper colour"
    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class Picture:
    image: np.ndarray  # RGB uint8 [height, width, 3]
    boxes: dict[str, XYWH]  # role -> box of the road user that questions mean, in pixels
    facts: Facts  # what is true of the one that questions mean and of the place
    questions: tuple[Question, ...]


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
    return Picture(image, boxes, facts, _questions(scene, camera, facts, rng))


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


_COUNT = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def _wears(facts: Facts) -> str:
    items = [garment(facts[f"{part}_colour"], facts[part]) for part in ("upper", "lower")]
    if facts["hat_colour"] != "none":
        items.append(article(f"{facts['hat_colour']} cap"))
    return ", ".join(items[:-1]) + f" and {items[-1]}"


def _image_direction(state: PersonState, camera: Camera) -> str:
    angle = math.remainder(state.heading - camera.yaw, math.tau)
    if abs(angle) < math.pi / 4:
        return "away from the camera"
    if abs(angle) > 3 * math.pi / 4:
        return "towards the camera"
    return "to the left of the picture" if angle > 0 else "to the right of the picture"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _questions(scene: Scene, camera: Camera, facts: Facts, rng: np.random.Generator) -> tuple[Question, ...]:
    """Every kind of question once, in words drawn at random."""
    own = scene.vehicles[0]
    ego = camera.on_vehicle is not None
    who = choose(rng, "the person in the green box", "the person marked green", "the one in the green box")
    car = "our own car" if ego else choose(rng, "the vehicle in the blue box", "the car marked blue")
    seen_cars = [v for i, v in enumerate(scene.vehicles) if i != camera.on_vehicle and box_of(v, camera) is not None]
    seen_people = [p for p in scene.people if box_of(p, camera) is not None]
    he, his, *_ = pronouns(facts).values()
    noun = noun_of(facts)
    where = {
        "front": "straight ahead",
        "front left": "ahead and to the left",
        "front right": "ahead and to the right",
        "left": "beside it, to the left",
        "right": "beside it, to the right",
    }[facts["position"]]
    near = {"near": "only a few steps away", "close": "some metres away", "far": "a long way off"}[facts["distance"]]
    towards = {
        "same": f"the same way as {car}",
        "opposite": f"against {car}",
        "left": f"to the left, as seen from {car}",
        "right": f"to the right, as seen from {car}",
    }[facts["facing"]]
    eyes = {"vehicle": f"at {car}", "ahead": "where the feet are going", "phone": "down at a phone"}[facts["gaze"]]
    does = {"standing": "stands", "walking": "walks", "running": "runs", "fallen": "lies there"}[facts["motion"]]
    doing = "lying on the ground" if facts["motion"] == "fallen" else facts["motion"]
    turned = facts["direction in picture"]
    sky = {"clear": "sunny", "cloudy": "overcast", "rainy": "raining", "foggy": "misty"}[facts["weather"]]
    hour = {"bright": "daylight", "dim": "twilight", "dark": "night"}[facts["light"]]
    walks = "sidewalks" if facts["sidewalks"] == "yes" else "no sidewalks"
    kind = f"{own.vehicle.colour} {own.vehicle.kind}"
    carries = "nothing" if facts["carried"] == "nothing" else article(facts["carried"])
    age = {"child": "a child", "adult": "a grown-up", "elderly": "an old person"}[facts["age"]]
    other = choose(rng, "red", "blue", "green", "yellow", "black", "white", "pink", "brown", "purple", "orange", "gray")
    claimed = facts["upper_colour"] if rng.random() < 0.5 else other
    how_many = len(seen_cars)
    lanes = f"{_COUNT[int(facts['lanes'])]} lane" + ("" if facts["lanes"] == "1" else "s")
    old = {"child": "young", "adult": "grown-up", "elderly": "old"}[facts["age"]]
    asked: list[Question] = [
        Question(
            "clothes", choose(rng, f"What is {who} wearing?", f"Name the clothes of {who}."), _sentence(_wears(facts))
        ),
        Question(
            "upper colour",
            choose(rng, f"What colour is the {facts['upper']} of {who}?", f"Which colour does {who} wear on top?"),
            _sentence(facts["upper_colour"]),
        ),
        Question(
            "lower colour", f"What colour are the clothes on the legs of {who}?", _sentence(facts["lower_colour"])
        ),
        Question(
            "garments",
            f"Does {who} wear a {facts['upper']}, and what below it?",
            _sentence(f"{facts['upper']} and {facts['lower']}"),
        ),
        Question("sex", f"Is {who} a man or a woman, a boy or a girl?", _sentence(f"a {noun}")),
        Question("age", choose(rng, f"How old is {who}?", f"Is {who} young or old?"), _sentence(age)),
        Question("height", f"How tall is {who}?", f"{facts['height_cm']} cm."),
        Question("carried", f"What does {who} carry?", _sentence(carries)),
        Question(
            "cap",
            f"Does {who} wear a cap?",
            "No." if facts["hat_colour"] == "none" else f"Yes, {article(facts['hat_colour'])} one.",
        ),
        Question(
            "motion",
            choose(rng, f"What is {who} doing?", f"Does {who} stand, walk or run?"),
            _sentence(f"{he} is {doing}"),
        ),
        Question("direction in picture", f"Which way is {who} turned in the picture?", _sentence(turned)),
        Question(
            "facing",
            choose(
                rng, f"Which way is {who} turned, for {car}?", f"Compare the direction of {who} with that of {car}."
            ),
            _sentence(towards),
        ),
        Question("gaze", choose(rng, f"What does {who} look at?", f"Where do the eyes of {who} go?"), _sentence(eyes)),
        Question(
            "position",
            choose(rng, f"Seen from {car}, where is {who}?", f"Where should the driver of {car} look for {who}?"),
            _sentence(where),
        ),
        Question("distance", choose(rng, f"How far is {who} from {car}?", f"Is {who} near {car}?"), _sentence(near)),
        Question(
            "colour claim",
            f"Is the {facts['upper']} of {who} {claimed}?",
            "Yes." if claimed == facts["upper_colour"] else f"No, it is {facts['upper_colour']}.",
        ),
        Question("weather", choose(rng, "What is the weather?", "How is the sky?"), _sentence(f"it is {sky}")),
        Question("light", choose(rng, "What time of day is it?", "How much light is there?"), _sentence(hour)),
        Question(
            "surface",
            choose(rng, "Is the ground wet?", "How is the ground?"),
            "It is wet." if facts["surface"] == "wet" else "It is dry.",
        ),
        Question(
            "road",
            choose(rng, "What place is this?", "What kind of street is this?"),
            _sentence(article(facts["road"])),
        ),
        Question("lanes", "How many lanes are there?", _sentence(lanes)),
        Question("sidewalks", "Are there sidewalks?", "Yes." if facts["sidewalks"] == "yes" else "No."),
        Question(
            "crosswalk", "Are there zebra stripes on the street?", "Yes." if facts["crosswalk"] == "yes" else "No."
        ),
        Question("junction", "Does another road cross here?", "Yes." if facts["junction"] == "yes" else "No."),
        Question(
            "traffic",
            "Is there much traffic?",
            _sentence({"light": "hardly any", "usual": "some", "heavy": "a lot"}[facts["traffic"]]),
        ),
        Question(
            "traffic light",
            choose(rng, "What colour is the traffic light?", "Is there a traffic light, and what does it show?"),
            "I see none." if facts["traffic_light"] == "none" else _sentence(facts["traffic_light"]),
        ),
        Question(
            "speed limit",
            choose(rng, "What number is on the sign?", "Which speed does a sign show?"),
            "I see none." if facts["speed_limit"] == "none" else f"{facts['speed_limit']}.",
        ),
        Question("cones", "Do you see orange cones?", "Yes." if facts["cones"] == "yes" else "No."),
        Question("cyclist", "Is somebody riding a bicycle?", "Yes." if facts["cyclist"] == "yes" else "No."),
        Question(
            "bend",
            "Does the street bend?",
            "No, it is straight." if facts["bend"] == "none" else f"Yes, to the {facts['bend']}.",
        ),
        Question("vehicle count", "How many cars can you count?", _sentence(_COUNT[min(how_many, 10)])),
        Question("person count", "How many people can you count?", _sentence(_COUNT[min(len(seen_people), 10)])),
        Question(
            "vehicle lights",
            "Is our own car braking or turning?" if ego else f"What lights are on at {car}?",
            "I cannot see that." if ego else _lights(own),
        ),
        Question(
            "vehicle",
            "What colour is the bonnet of our car?" if ego else f"What is {car}?",
            _sentence(own.vehicle.colour if ego else article(kind)),
        ),
        Question(
            "about person",
            f"Tell me about {who}.",
            f"{_sentence(article(f'{old} {noun}') + ' in ' + _wears(facts))} "
            f"{he.capitalize()} {does} and looks {eyes}.",
        ),
        Question(
            "movement", f"Describe how {who} moves.", f"{he.capitalize()} {does}, turned {towards}, {where}, {near}."
        ),
        Question(
            "person in detail",
            f"Describe {who} with all details.",
            f"{_sentence(article(noun) + ', ' + facts['height_cm'] + ' cm, ' + age)} "
            f"{his.capitalize()} clothes: {_wears(facts)}. In {his} hands: {carries}. "
            f"{he.capitalize()} {does} {turned} and looks {eyes}.",
        ),
        Question(
            "place",
            "Describe the place.",
            f"{_sentence(article(facts['road']) + ' of ' + lanes + ' with ' + walks)} "
            f"It is {sky}, {hour}, and the ground is {facts['surface']}.",
        ),
        Question(
            "picture",
            choose(rng, "What is in the picture?", "Describe the picture."),
            f"{_sentence(article(noun) + ' ' + doing + ' ' + where + ', ' + near)} "
            f"There is {facts['traffic']} traffic, it is {sky} and {hour}.",
        ),
        Question(
            "placement",
            f"How are {who} and {car} placed?",
            f"{_sentence('the ' + noun + ' is ' + where + ', ' + near)} {he.capitalize()} is turned {towards}.",
        ),
    ]
    if seen_cars and not ego:
        asked.append(Question("vehicle colour", f"What colour is {car}?", _sentence(own.vehicle.colour)))
        asked.append(Question("vehicle kind", f"What type is {car}?", _sentence(own.vehicle.kind)))
        asked.append(
            Question(
                "about vehicle", f"Describe {car}.", f"{_sentence(article(kind))} {_lights(own)} A {noun} is {where}."
            )
        )
    asked += _descriptions(facts, who, car, rng)
    order = rng.permutation(len(asked))
    return tuple(asked[i] for i in order)


def _descriptions(facts: Facts, who: str, car: str, rng: np.random.Generator) -> list[Question]:
    """Longer texts: of short statements, as lists, and in sentences."""
    return [
        Question("full person", f"Say all that can be seen of {who}.", in_short(facts, ("person", "relation"), rng)),
        Question("full place", "Say all that can be seen of the surroundings.", in_short(facts, ("place",), rng)),
        Question("everything", "Say all that can be seen.", in_short(facts, tuple(SHORT), rng)),
        Question("person list", f"List the attributes of {who}.", listed(facts, LISTED_PERSON, rng)),
        Question(
            "place list",
            f"List how the place is and where {who} is for {car}.",
            listed(facts, LISTED_PLACE, rng),
        ),
        Question(
            "person in sentences", f"Tell in sentences what {who} is like.", in_sentences(facts, ("person",), rng)
        ),
        Question(
            "place in sentences", "Tell in sentences what the place is like.", in_sentences(facts, ("place",), rng)
        ),
        Question(
            "relation in sentences",
            f"Tell in sentences how {who} and {car} are placed.",
            in_sentences(facts, ("relation", "vehicle"), rng),
        ),
        Question("all in sentences", "Tell in sentences what is seen.", in_sentences(facts, tuple(SENTENCES), rng)),
    ]


def _lights(vehicle: VehicleState) -> str:
    parts = (["the brake lights"] if vehicle.braking else []) + (
        [f"the {vehicle.turning} indicator"] if vehicle.turning else []
    )
    return _sentence(" and ".join(parts)) if parts else "None that matter."

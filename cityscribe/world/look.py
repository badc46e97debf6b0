"""What road users and streets look like: the vocabulary of the synthetic city.

Each table maps the word that facts and captions use to what the renderer needs. A new colour, garment or vehicle is one
entry here. Colours are RGB in daylight, 0 to 255; sizes are metres.
"""

from __future__ import annotations

from dataclasses import dataclass

RGB = tuple[int, int, int]

CLOTHES_COLOURS: dict[str, RGB] = {
    "black": (32, 32, 36),
    "white": (238, 238, 234),
    "gray": (134, 136, 140),
    "red": (204, 36, 42),
    "blue": (38, 74, 190),
    "green": (36, 136, 64),
    "yellow": (236, 204, 42),
    "brown": (122, 76, 40),
    "orange": (240, 128, 28),
    "pink": (240, 142, 176),
    "purple": (118, 56, 150),
}

VEHICLE_COLOURS: dict[str, RGB] = {
    "white": (236, 238, 240),
    "black": (30, 32, 36),
    "silver": (170, 176, 182),
    "red": (190, 30, 36),
    "blue": (34, 72, 168),
    "green": (34, 110, 66),
    "yellow": (232, 192, 36),
}

SKIN: tuple[RGB, ...] = ((236, 196, 164), (214, 164, 128), (166, 116, 82), (116, 76, 54))
HAIR: dict[str, RGB] = {"black": (30, 26, 24), "brown": (92, 60, 36), "blond": (214, 178, 104), "gray": (190, 190, 192)}


def held_out(upper_colour: str, lower_colour: str) -> bool:
    """Whether nobody in a training or validation split wears this combination: one in seven is kept for testing, where
    it tells who sees from who remembers."""
    colours = list(CLOTHES_COLOURS)
    return (colours.index(upper_colour) + 3 * colours.index(lower_colour)) % 7 == 0


UPPER_GARMENTS = ("T-shirt", "jacket", "coat")
LOWER_GARMENTS = ("trousers", "shorts", "skirt")
CARRIED = ("nothing", "backpack", "handbag", "umbrella")


@dataclass(frozen=True, slots=True)
class VehicleShape:
    """Metres. The cabin stands on the body between two shares of its length, measured from the rear."""

    length: float
    width: float
    body_height: float
    height: float
    cabin: tuple[float, float]
    slope: tuple[float, float]  # how far the cabin's rear and front windows lean in, metres


VEHICLES: dict[str, VehicleShape] = {
    "sedan": VehicleShape(4.5, 1.8, 0.92, 1.45, (0.12, 0.72), (0.55, 0.75)),
    "SUV": VehicleShape(4.6, 1.9, 1.05, 1.75, (0.02, 0.70), (0.25, 0.60)),
    "van": VehicleShape(4.9, 1.9, 1.05, 2.10, (0.0, 0.86), (0.08, 0.55)),
    "truck": VehicleShape(6.4, 2.2, 1.10, 2.60, (0.72, 0.99), (0.05, 0.25)),
    "bus": VehicleShape(9.0, 2.4, 1.15, 2.95, (0.0, 0.995), (0.02, 0.12)),
}

AGES: dict[str, tuple[float, float]] = {"child": (1.10, 1.30), "adult": (1.58, 1.88), "elderly": (1.52, 1.72)}
"""The range of body heights of an age group, metres."""

WEATHERS = ("clear", "cloudy", "rainy", "foggy")
LIGHTS = ("bright", "dim", "dark")
ROADS = ("urban road", "residential road", "parking lot")
GAZES = ("vehicle", "ahead", "phone")
MOTIONS = ("standing", "walking", "running")
"""How people move of their own will; whoever was hit has "fallen"."""

PROPS = ("traffic light", "cone", "barrier", "speed sign")
LIGHT_STATES: dict[str, RGB] = {"red": (255, 52, 40), "yellow": (255, 200, 40), "green": (60, 240, 120)}
SPEED_LIMITS = (20, 30, 40, 50, 60)
"""What a speed sign shows, km/h."""


@dataclass(frozen=True, slots=True)
class AnimalShape:
    """Metres. `tail` and `neck` point backwards and forwards from the ends of the body."""

    length: float  # of the body
    height: float  # of the back
    girth: float  # radius of the body
    neck: float
    head: float  # radius
    tail: float
    colour: RGB
    belly: RGB
    horns: bool = False
    wings: bool = False
    group: str = "Mammal"


ANIMALS: dict[str, AnimalShape] = {
    "dog": AnimalShape(0.75, 0.55, 0.15, 0.22, 0.12, 0.34, (168, 120, 70), (196, 152, 104)),
    "cat": AnimalShape(0.42, 0.28, 0.09, 0.10, 0.085, 0.32, (72, 70, 74), (96, 94, 98)),
    "deer": AnimalShape(1.15, 1.05, 0.22, 0.55, 0.13, 0.14, (150, 96, 52), (214, 190, 150), horns=True),
    "cow": AnimalShape(1.70, 1.30, 0.38, 0.42, 0.20, 0.55, (240, 238, 230), (60, 54, 52), horns=True),
    "horse": AnimalShape(1.60, 1.45, 0.32, 0.75, 0.16, 0.60, (98, 60, 36), (80, 50, 32)),
    "fox": AnimalShape(0.62, 0.38, 0.11, 0.16, 0.10, 0.42, (214, 104, 34), (240, 226, 206)),
    "duck": AnimalShape(0.34, 0.28, 0.12, 0.16, 0.07, 0.08, (92, 74, 54), (60, 120, 80), wings=True, group="Bird"),
    "tortoise": AnimalShape(0.50, 0.34, 0.18, 0.12, 0.07, 0.06, (96, 92, 48), (150, 140, 84), group="Reptile"),
}
ANIMAL_ACTIONS = ("standing", "walking", "running", "eating", "lying")

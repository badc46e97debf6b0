"""The words of descriptions in short statements: their wordings, and those of the slots in some of them."""

from __future__ import annotations

from cityscribe.world.sentence_words import Slots, Wordings

STATED: Slots = {
    "placed": (
        "position",
        {
            "front": ("directly before the car, in its path", "in the middle ahead of it", "straight before it"),
            "front left": (
                "diagonally before the car, on its left",
                "left of the middle, ahead",
                "ahead, off to its left",
            ),
            "front right": (
                "diagonally before the car, on its right",
                "right of the middle, ahead",
                "ahead, off to its right",
            ),
            "left": ("beside the car, on its left side", "level with its left doors", "to the left, at its flank"),
            "right": ("beside the car, on its right side", "level with its right doors", "to the right, at its flank"),
        },
    ),
    "apart": (
        "distance",
        {
            "near": ("only few steps apart", "very near the car", "the car could almost be touched"),
            "close": ("close by, some metres apart", "a short distance apart", "some meters between the two"),
            "far": ("far from the car", "a long distance apart", "off in the distance"),
        },
    ),
    "turned": (
        "facing",
        {
            "same": ("oriented the same way as the car", "back turned, same direction", "points along with the car"),
            "opposite": (
                "oriented against the car",
                "body faces the car, opposite direction",
                "points towards the car",
            ),
            "left": (
                "oriented across, to the left",
                "body perpendicular, turned to the left",
                "points across, leftwards",
            ),
            "right": (
                "oriented across, to the right",
                "body perpendicular, turned to the right",
                "points across, rightwards",
            ),
        },
    ),
    "looks": (
        "gaze",
        {
            "vehicle": ("watches the car closely", "has noticed the car, is aware of it", "looks at the car"),
            "ahead": (
                "follows the own way with the eyes",
                "does not notice the car, gazes ahead",
                "unaware, looks ahead",
            ),
            "phone": (
                "absorbed in a mobile phone",
                "looks down at a smartphone",
                "no attention, stares at a cell phone",
            ),
        },
    ),
    "busy": (
        "traffic",
        {
            "light": ("hardly another vehicle around", "little is going on here", "light volume of traffic"),
            "usual": ("some other vehicles around", "a moderate number of vehicles", "usual volume of traffic"),
            "heavy": ("many other vehicles around", "a lot of vehicles", "heavy volume of traffic"),
        },
    ),
}

SHORT: dict[str, tuple[Wordings, ...]] = {
    "person": (
        (
            "A {sex} {age}, {height_cm} cm.",
            "{sex}, {age}, height {height_cm} cm.",
            "{age} and {sex}, {height_cm} cm tall.",
        ),
        ("The {upper} is {upper_colour}.", "{upper_colour} {upper}.", "On top a {upper_colour} {upper}."),
        ("The {lower}: {lower_colour}.", "{lower_colour} {lower}.", "Below it {lower_colour} {lower}."),
        ("Cap: {hat_colour}.", "The colour of the cap: {hat_colour}."),
        ("Carries {carried}.", "In the hands or on the back: {carried}."),
        ("{motion}.", "Now {motion}.", "Seen {motion}."),
        ("Eyes on the {gaze}.", "Gaze: {gaze}.", "{looks}.", "{looks}."),
    ),
    "relation": (
        ("{position} of the car.", "Where: {position}.", "{placed}.", "{placed}."),
        ("The distance is {distance}.", "{distance} away.", "{apart}.", "{apart}."),
        ("Turned {facing}.", "Direction of the body against that of the car: {facing}.", "{turned}.", "{turned}."),
    ),
    "vehicle": (("A {vehicle_colour} {vehicle_kind}.", "{vehicle_colour} {vehicle_kind}.", "Car: {vehicle_colour}."),),
    "place": (
        ("{weather}.", "A {weather} sky.", "Weather: {weather}.", "{weather} weather."),
        ("{light}.", "The light: {light}.", "{light} outside."),
        ("{surface} ground.", "The ground is {surface}.", "{surface}."),
        ("{road}.", "{road}, lanes {lanes}.", "Kind of street: {road}."),
        ("Lanes: {lanes}.", "{lanes} lanes."),
        ("Sidewalks: {sidewalks}.", "Are there sidewalks? {sidewalks}."),
        ("{traffic} traffic.", "Traffic: {traffic}.", "{busy}.", "{busy}."),
        ("Crossing road: {junction}.", "Zebra stripes: {crosswalk}."),
        ("Traffic light: {traffic_light}.", "The light shows {traffic_light}."),
        ("Number on the sign: {speed_limit}.", "Sign: {speed_limit}."),
    ),
}
"""What a text is about -> its statements, each in several wordings."""

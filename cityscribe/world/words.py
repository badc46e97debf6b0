"""What is said of each value, in many wordings, and the words that name a value outside a phrase.

British and American words, exact and hedged ones stand side by side, as in real annotation. No wording of one value is
part of a wording of another: `read.py` reads every caption back.
"""

from __future__ import annotations

from collections.abc import Mapping

WordingsByValue = Mapping[str, tuple[str, ...]]

AGE: WordingsByValue = {
    "child": ("about 10 years old", "around ten years of age", "of primary school age", "still a child"),
    "adult": ("in {his} 30s", "in {his} thirties", "of middle age", "an adult"),
    "elderly": ("in {his} 70s", "in {his} seventies", "of old age", "a senior"),
}
CARRIED: WordingsByValue = {
    "nothing": ("{He} carries nothing.", "{His} hands are empty.", "{He} does not carry anything."),
    "backpack": (
        "There is a backpack on {his} back.",
        "{He} wears a backpack.",
        "A rucksack hangs from {his} shoulders.",
    ),
    "handbag": ("A handbag hangs from {his} left hand.", "{He} holds a handbag.", "{He} has a purse in one hand."),
    "umbrella": (
        "{He} holds up an open umbrella.",
        "{He} walks under an umbrella.",
        "An umbrella is open above {his} head.",
    ),
}
POSITION: WordingsByValue = {
    "front": (
        "directly in front of the vehicle, in the middle of its path",
        "straight ahead of the vehicle",
        "right before the vehicle",
        "in the vehicle's own lane, ahead of it",
    ),
    "front left": (
        "diagonally in front of the vehicle on its left",
        "ahead of the vehicle and to its left",
        "at the front left of the vehicle",
        "off the vehicle's left front corner",
    ),
    "front right": (
        "diagonally in front of the vehicle on its right",
        "ahead of the vehicle and to its right",
        "at the front right of the vehicle",
        "off the vehicle's right front corner",
    ),
    "left": (
        "beside the vehicle on its left side",
        "level with the vehicle, to the left",
        "next to the vehicle's left door",
        "alongside the vehicle on the left-hand side",
    ),
    "right": (
        "beside the vehicle on its right side",
        "level with the vehicle, to the right",
        "next to the vehicle's right door",
        "alongside the vehicle on the right-hand side",
    ),
}
DISTANCE: WordingsByValue = {
    "near": ("only a few steps from it", "very near", "within arm's reach or little more", "almost touching distance"),
    "close": ("close to it", "at a short distance", "some metres from it", "some meters off"),
    "far": ("far away from it", "at a long distance", "well away from it", "a good way off"),
}
FACING: WordingsByValue = {
    "same": (
        "{His} back is turned to the vehicle and {he} faces the same direction.",
        "{He} is oriented in the vehicle's own direction of travel.",
        "{His} body points the same way as the vehicle.",
    ),
    "opposite": (
        "{His} body faces the vehicle, opposite to its direction of travel.",
        "{He} is oriented against the vehicle's direction of travel.",
        "{His} body points towards the oncoming vehicle.",
    ),
    "left": (
        "{His} body is turned to the left, perpendicular to the vehicle.",
        "{He} is oriented to the vehicle's left, at a right angle.",
        "{His} body points across the vehicle's path, from right to left.",
    ),
    "right": (
        "{His} body is turned to the right, perpendicular to the vehicle.",
        "{He} is oriented to the vehicle's right, at a right angle.",
        "{His} body points across the vehicle's path, from left to right.",
    ),
}
GAZE: WordingsByValue = {
    "vehicle": (
        "{He} watches the vehicle closely and is aware of it.",
        "{His} eyes are on the vehicle.",
        "{He} appears to have noticed the vehicle and looks at it.",
    ),
    "ahead": (
        "{His} line of sight follows {his} own way and {he} does not notice the vehicle.",
        "{He} looks where {he} is going, apparently unaware of the vehicle.",
        "{He} gazes ahead and seems not to see the vehicle.",
    ),
    "phone": (
        "{He} looks down at a mobile phone and pays no attention to the traffic.",
        "{He} is absorbed in a cell phone.",
        "{He} stares at a smartphone, probably unaware of the traffic.",
    ),
}
MOTION: WordingsByValue = {
    "standing": (
        "The pedestrian stands still and waits",
        "The pedestrian is stationary",
        "The pedestrian does not move",
        "The pedestrian has come to a stop",
    ),
    "walking": (
        "The pedestrian is walking slowly",
        "The pedestrian walks at an ordinary pace",
        "The pedestrian proceeds on foot at a low speed",
        "The pedestrian takes unhurried steps",
    ),
    "running": (
        "The pedestrian is running quickly with long strides",
        "The pedestrian runs at high speed",
        "The pedestrian dashes along",
        "The pedestrian hurries at a run",
    ),
    "fallen": (
        "The pedestrian has been hit and lies on the ground",
        "The pedestrian has fallen over",
        "The pedestrian lies motionless after the impact",
        "The pedestrian was knocked down",
    ),
}
WEATHER: WordingsByValue = {
    "clear": (
        "The weather is clear, without a cloud in the sky.",
        "The sky is clear.",
        "It is a fine, cloudless time.",
        "Not a cloud is to be seen.",
    ),
    "cloudy": (
        "The weather is cloudy and gray clouds cover the sun.",
        "The sky is overcast.",
        "It is grey and clouded over.",
        "Clouds hang in the sky.",
    ),
    "rainy": (
        "The weather is rainy, drops fall and puddles form.",
        "It rains steadily.",
        "Rain falls on the scene.",
        "There is a shower of rain.",
    ),
    "foggy": (
        "The weather is foggy and what is far away is hidden.",
        "There is fog.",
        "A mist lies over the scene.",
        "Visibility is poor in the mist.",
    ),
}
LIGHT: WordingsByValue = {
    "bright": ("It is bright daytime", "It is broad daylight", "The brightness is that of day", "It is light"),
    "dim": (
        "The light is dim, as at dusk",
        "The light is fading",
        "It is twilight",
        "The brightness is low, as in the evening",
    ),
    "dark": (
        "It is dark night, lit by lamps and headlights",
        "It is night",
        "The scene is dark, apart from lamps",
        "There is no daylight left",
    ),
}
SURFACE: WordingsByValue = {
    "dry": ("and the asphalt is dry.", "and the road surface is dry.", "and the ground has no water on it."),
    "wet": (
        "and the wet road surface is slippery.",
        "and the road surface is wet.",
        "and water stands on the tarmac.",
    ),
}
ROAD: WordingsByValue = {
    "urban road": (
        "The scene is an urban road between tall buildings",
        "This is a city street",
        "The place is a main road in town",
        "It happens on an urban road",
    ),
    "residential road": (
        "The scene is a quiet residential road among low houses",
        "This is a residential street",
        "The place is a side road of a housing area",
        "It happens on a residential road",
    ),
    "parking lot": (
        "The scene is a wide parking lot with marked bays on both sides.",
        "This is a car park.",
        "The place is a parking area with marked bays.",
        "It happens in a parking lot.",
    ),
}
SIDEWALKS: WordingsByValue = {
    "yes": ("sidewalks on both sides", "pavements left and right", "a sidewalk on either side"),
    "no": ("no sidewalk", "no pavement", "no footpath beside it"),
}
TRAFFIC: WordingsByValue = {
    "light": (
        "The traffic volume is light and hardly another vehicle is around.",
        "There is little traffic.",
        "Traffic is light.",
        "Hardly any other vehicle can be seen.",
    ),
    "usual": (
        "The traffic volume is usual, with some other vehicles.",
        "There is a moderate amount of traffic.",
        "Traffic is as usual.",
        "A few other vehicles are about.",
    ),
    "heavy": (
        "The traffic volume is heavy and many vehicles fill the lanes.",
        "There is a lot of traffic.",
        "Traffic is heavy.",
        "Many other vehicles can be seen.",
    ),
}
ACTION: WordingsByValue = {
    "stopped": (
        "The vehicle has stopped and does not move.",
        "The vehicle stands still.",
        "The vehicle is not moving at all.",
        "The vehicle has come to a standstill.",
    ),
    "going straight": (
        "The vehicle is going straight ahead at a constant speed of about {speed} km/h.",
        "The vehicle drives on steadily at roughly {speed} km/h.",
        "The vehicle keeps straight on, at some {speed} km/h.",
        "The vehicle travels straight ahead at an even {speed} km/h.",
    ),
    "decelerating": (
        "The vehicle brakes and is decelerating to about {speed} km/h.",
        "The vehicle slows down to roughly {speed} km/h.",
        "The vehicle reduces its speed, to some {speed} km/h.",
        "The vehicle is decelerating under braking, down to {speed} km/h.",
    ),
    "turning left": (
        "The vehicle steers to the left and is turning at about {speed} km/h.",
        "The vehicle makes a left turn at roughly {speed} km/h.",
        "The vehicle turns left, at some {speed} km/h.",
        "The vehicle is turning to the left at {speed} km/h.",
    ),
    "turning right": (
        "The vehicle steers to the right and is turning at about {speed} km/h.",
        "The vehicle makes a right turn at roughly {speed} km/h.",
        "The vehicle turns right, at some {speed} km/h.",
        "The vehicle is turning to the right at {speed} km/h.",
    ),
}
SEEN_FROM_PEDESTRIAN: WordingsByValue = {
    "front": (
        "It approaches the pedestrian, who is directly in front of it in the middle of its path",
        "The pedestrian is in its path",
        "Its bonnet points at the pedestrian",
    ),
    "front left": (
        "The pedestrian is diagonally in front of it on its left",
        "The pedestrian is ahead, to its left",
        "Its left headlight is on the pedestrian's side",
    ),
    "front right": (
        "The pedestrian is diagonally in front of it on its right",
        "The pedestrian is ahead, to its right",
        "Its right headlight is on the pedestrian's side",
    ),
    "left": (
        "It is level with the pedestrian, who is on its left side",
        "The pedestrian is at its left flank",
        "It passes the pedestrian, who stays on the left",
    ),
    "right": (
        "It is level with the pedestrian, who is on its right side",
        "The pedestrian is at its right flank",
        "It passes the pedestrian, who stays on the right",
    ),
}

PHRASES: dict[str, tuple[WordingsByValue, ...]] = {
    "age": (AGE,),
    "carried": (CARRIED,),
    "position": (POSITION, SEEN_FROM_PEDESTRIAN),
    "distance": (DISTANCE,),
    "facing": (FACING,),
    "gaze": (GAZE,),
    "motion": (MOTION,),
    "weather": (WEATHER,),
    "light": (LIGHT,),
    "surface": (SURFACE,),
    "road": (ROAD,),
    "traffic": (TRAFFIC,),
    "vehicle_action": (ACTION,),
    "sidewalks": (SIDEWALKS,),
}
"""Attribute -> the tables that word it, for reading captions. Attributes that are stated by a value are not here."""

SYNONYMS: dict[str, dict[str, tuple[str, ...]]] = {
    "colour": {"gray": ("gray", "grey")},
    "upper": {"T-shirt": ("T-shirt", "short-sleeved shirt")},
    "lower": {"trousers": ("trousers", "pants")},
    "vehicle_kind": {"truck": ("truck", "lorry"), "sedan": ("sedan", "saloon car"), "bus": ("bus", "coach")},
}
"""Of words that name a value outside a phrase: the value -> the words for it, American first where they differ."""

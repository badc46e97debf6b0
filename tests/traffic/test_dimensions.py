from __future__ import annotations

import pytest

from cityscribe.traffic.dimensions import DIMENSIONS, RULES, dimension_of

# Labelled by hand in the manner of WTS captions. Those that touch two dimensions go to that of their main clause.
PEDESTRIAN = {
    "attributes": [
        "The pedestrian is a woman in her 40s, approximately 155 cm tall.",
        "She has on a beige coat over gray trousers.",
        "The male pedestrian, aged about 20, stands 175 cm tall.",
        "He is dressed in a green hoodie on his upper body and dark blue jeans on his lower body.",
        "An elderly man with a height of 165 cm wears a navy suit and a hat.",
        "The child's clothing consists of a yellow raincoat and boots.",
        "A girl in her teens, she wore a white blouse and a black skirt.",
    ],
    "position": [
        "The pedestrian is diagonally to the right in front of the vehicle, at a far distance.",
        "His body is perpendicular to the vehicle and faces left.",
        "The relative distance to the vehicle is near.",
        "She is located behind the vehicle, on its left.",
        "The body orientation is the same direction as the vehicle.",
        "The pedestrian stands directly in front of the car and close to it.",
        "Positioned to the right of the vehicle, the pedestrian is in close proximity to it.",
        "The driver cannot see the pedestrian because a parked van stands between them.",
    ],
    "motion": [
        "Her line of sight is on the opposite sidewalk.",
        "He looks at his phone and has not noticed the vehicle.",
        "The pedestrian is crossing slowly and is about to reach the kerb.",
        "She closely watches the vehicle and is aware of it.",
        "He is walking straight ahead at a normal speed.",
        "The pedestrian's general action is standing still.",
        "He suddenly runs into the car lane.",
        "While the road is wet, the pedestrian keeps walking quickly.",
        "His gaze is fixed on the direction of travel.",
        "He falls to the ground.",
    ],
    "environment": [
        "The weather is clear and the brightness is bright.",
        "It is a rainy weekday evening in an urban area.",
        "The road surface is wet, level asphalt.",
        "The traffic volume is heavy on the main road with two-way traffic.",
        "There are sidewalks on both sides and no roadside strip.",
        "The residential road has one lane.",
        "Street lights illuminate the intersection at night.",
        "“Slow” is painted on the asphalt.",
    ],
    "summary": [
        "Overall, the pedestrian behaves carefully.",
        "A collision between the two occurs.",
        "In conclusion, the situation bears a high risk of an accident.",
        "The pedestrian's actions and the environment conditions suggest caution.",
        "Unfortunately he is hit by the vehicle.",
        "Nothing else happens.",
    ],
}
VEHICLE = {
    "attributes": [
        "The environment conditions show a male pedestrian in his 50s, 170 cm tall.",
        "He is wearing a red T-shirt and white short pants.",
        "The pedestrian is a female in her 20s in a purple jacket and black slacks.",
    ],
    "position": [
        "The vehicle is diagonally to the left in front of the pedestrian, at a near distance.",
        "It is located behind the pedestrian and far from them.",
        "The pedestrian is visible within the vehicle's field of view.",
        "The driver can see the pedestrian.",
        "It is on the right side of the pedestrian.",
        "The pedestrian is far ahead of it on the left.",
    ],
    "motion": [
        "The vehicle is going straight ahead at a constant speed of 30 km/h.",
        "It has stopped.",
        "The car decelerates and is about to turn right.",
        "The vehicle's current action is reversing at 5km/h.",
        "The vehicle is stationary, its speed being 0 km/h.",
        "It brakes and swerves.",
    ],
    "environment": [
        "The weather is cloudy with dim brightness.",
        "The road is level, dry and made of asphalt.",
        "The event takes place on a weekday in an urban area.",
        "It is a main road with one-way traffic and three lanes.",
        "The environment is a highway with 2 lanes, cloudy weather, dim light and a dry surface.",
    ],
    "summary": [
        "Overall, the vehicle is driven with care.",
        "The pedestrian's line of sight is not on the vehicle.",
        "Based on this, it can be inferred that the scene is safe.",
        "The vehicle collides with the pedestrian.",
        "No pedestrian is present.",
    ],
}
ACCURACY = 0.97


def test_accuracy_on_sentences_labelled_by_hand():
    expected = [
        (role, sentence, dimension)
        for role, by_dimension in (("pedestrian", PEDESTRIAN), ("vehicle", VEHICLE))
        for dimension, sentences in by_dimension.items()
        for sentence in sentences
    ]
    wrong = [
        (sentence, dimension, found)
        for role, sentence, dimension in expected
        if (found := dimension_of(sentence, role)) != dimension
    ]
    assert 1 - len(wrong) / len(expected) >= ACCURACY, wrong


@pytest.mark.parametrize("role", ["pedestrian", "vehicle"])
@pytest.mark.parametrize("sentence", ["", "Hello.", "1234", "…"])
def test_what_no_rule_knows_is_never_asked_about(role, sentence):
    assert dimension_of(sentence, role) == "summary"


def test_case_does_not_matter():
    for sentence in PEDESTRIAN["motion"] + PEDESTRIAN["environment"]:
        assert dimension_of(sentence.lower(), "pedestrian") == dimension_of(sentence, "pedestrian")


def test_each_role_has_rules_for_each_dimension():
    assert all(tuple(rules) == DIMENSIONS and all(rules.values()) for rules in RULES.values())

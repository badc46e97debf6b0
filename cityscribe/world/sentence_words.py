"""The words of descriptions in sentences: frames for each part of a text, and wordings for the slots of the frames."""

from __future__ import annotations

Wordings = tuple[str, ...]
Slots = dict[str, tuple[str, dict[str, Wordings]]]
"""A slot of the frames -> the attribute that it states, and the wordings of each value."""

SLOTS: Slots = {
    "years": (
        "age",
        {
            "child": ("ten years old", "at an age for school", "very young", "a child in years"),
            "adult": ("of thirty to forty years", "grown up", "not young and not old", "an adult in years"),
            "elderly": ("of more than seventy years", "old", "very old", "elderly in years"),
        },
    ),
    "luggage": (
        "carried",
        {
            "nothing": (
                "{He} has nothing with {him}.",
                "Nothing is in {his} hands.",
                "There is no bag and no umbrella.",
                "{His} back and {his} hands are free.",
                "{He} carries no bag.",
            ),
            "backpack": (
                "{He} has a backpack with {him}.",
                "{His} back carries a backpack.",
                "There is a rucksack on the back.",
                "{He} carries a backpack.",
                "A backpack sits on {his} back.",
            ),
            "handbag": (
                "{He} has a handbag with {him}.",
                "{His} hand carries a handbag.",
                "There is a purse in the hand.",
                "{He} carries a handbag.",
                "From {his} arm hangs a handbag.",
            ),
            "umbrella": (
                "{He} has an umbrella with {him}.",
                "{His} hand holds an umbrella.",
                "There is an umbrella above the head.",
                "{He} carries an umbrella.",
                "Over {him} is an open umbrella.",
            ),
        },
    ),
    "eyes": (
        "gaze",
        {
            "vehicle": (
                "has the eyes on the car",
                "looks over to the car",
                "has seen the car",
                "is aware of the car",
                "looks at the driver",
            ),
            "ahead": (
                "has the eyes on the way ahead",
                "looks straight on",
                "has not seen the car",
                "is not aware of the car",
                "looks where the feet go",
            ),
            "phone": (
                "has the eyes on a phone",
                "looks down to a phone",
                "has only seen the smartphone",
                "is lost in a mobile phone",
                "looks at a cell phone",
            ),
        },
    ),
    "moves": (
        "motion",
        {
            "standing": ("stands", "waits on the spot", "is at rest", "does not take a step", "is standing"),
            "walking": ("walks", "goes on foot", "is on a walk", "takes slow steps", "is walking"),
            "running": ("runs", "goes at a run", "is in a hurry", "takes long and quick steps", "is running"),
            "fallen": ("lies on the street", "is down", "is on the ground", "has taken a fall", "is fallen"),
        },
    ),
    "where": (
        "position",
        {
            "front": (
                "straight in front",
                "in the middle, in front",
                "ahead, in the way of the car",
                "right in the path of the car",
                "in the same lane, ahead",
            ),
            "front left": (
                "in front on the left",
                "left of the way of the car",
                "ahead, on the left side",
                "diagonally left of the path of the car",
                "to the left of the lane, ahead",
            ),
            "front right": (
                "in front on the right",
                "right of the way of the car",
                "ahead, on the right side",
                "diagonally right of the path of the car",
                "to the right of the lane, ahead",
            ),
            "left": ("at the left doors of the car", "on the left, level with the car", "left beside the car"),
            "right": ("at the right doors of the car", "on the right, level with the car", "right beside the car"),
        },
    ),
    "apart": (
        "distance",
        {
            "near": ("near", "a few steps away", "very near to it", "within a few steps", "almost at the car"),
            "close": ("close", "a short way off", "close by", "within some metres", "not far from the car"),
            "far": ("far", "a long way off", "far off", "within sight only", "far from the car"),
        },
    ),
    "body": (
        "facing",
        {
            "same": (
                "{He} turns the back to the car.",
                "{His} way is that of the car.",
                "{He} faces the way the car does.",
                "The body is turned as the car is.",
                "From the car one sees {his} back.",
            ),
            "opposite": (
                "{He} turns the face to the car.",
                "{His} way is against that of the car.",
                "{He} faces the car.",
                "The body is turned against the car.",
                "From the car one sees {his} face.",
            ),
            "left": (
                "{He} turns the side to the car, going left.",
                "{His} way is across that of the car, to the left.",
                "{He} faces left, seen from the car.",
                "The body is turned across, to the left.",
                "From the car one sees {his} left side.",
            ),
            "right": (
                "{He} turns the side to the car, going right.",
                "{His} way is across that of the car, to the right.",
                "{He} faces right, seen from the car.",
                "The body is turned across, to the right.",
                "From the car one sees {his} right side.",
            ),
        },
    ),
    "sky": (
        "weather",
        {
            "clear": ("the sun is in the sky", "there are no clouds", "the sky is free", "it is clear"),
            "cloudy": ("clouds are in the sky", "there are clouds", "the sky is gray", "it is cloudy"),
            "rainy": ("rain is in the air", "there is rain", "the sky drops rain", "it is rainy"),
            "foggy": ("fog is in the air", "there is mist", "the sky is lost in fog", "it is foggy"),
        },
    ),
    "hour": (
        "light",
        {
            "bright": ("by day", "in full light", "in the daytime", "at a bright time"),
            "dim": ("at dusk", "in low light", "in the evening", "at a dim time"),
            "dark": ("at night", "in the light of lamps", "in the night", "at a dark time"),
        },
    ),
    "ground": (
        "surface",
        {
            "dry": ("the street is dry", "the ground is dry", "nothing is wet", "the asphalt stays dry"),
            "wet": ("the street is wet", "the ground is wet", "there is water", "the asphalt is wet"),
        },
    ),
    "street": (
        "road",
        {
            "urban road": ("an urban road", "a street in town", "a road of the city", "a street of tall buildings"),
            "residential road": ("a residential road", "a street of houses", "a side road", "a street of low houses"),
            "parking lot": ("a parking lot", "a place for parked cars", "a lot for parking", "a lot of marked bays"),
        },
    ),
    "walks": (
        "sidewalks",
        {
            "yes": ("a sidewalk on each side", "sidewalks left and right", "sidewalks", "a pavement at both sides"),
            "no": ("no sidewalk on any side", "no sidewalks at all", "no sidewalks", "no pavement at the sides"),
        },
    ),
    "others": (
        "traffic",
        {
            "light": ("few other cars", "hardly any cars", "light traffic", "not much traffic", "hardly a car"),
            "usual": ("some other cars", "some cars", "usual traffic", "neither few cars nor many", "a few more cars"),
            "heavy": ("many other cars", "many cars", "heavy traffic", "much traffic", "a lot of cars"),
        },
    ),
}
"""The n-th wordings of all values of an attribute are alike, so that the words before a value do not tell it."""

SENTENCES: dict[str, tuple[Wordings, ...]] = {
    "person": (
        (
            "This is {a_noun}, {years}, {height_cm} cm tall, in {upper} and {lower}{cap}.",
            "{a_noun}, {years} and of {height_cm} cm, is wearing {upper} with {lower}{cap}.",
            "In {upper} and {lower}{cap} there is {a_noun}, {years}, {height_cm} cm.",
            "The {noun} is {years} and {height_cm} cm, and the clothes are {upper}, {lower}{cap}.",
            "Wearing {upper}, {lower}{cap}, the {noun} is about {height_cm} cm tall and {years}.",
            "About {height_cm} cm tall, {years}, the {noun} has {lower} below {upper}{cap}.",
            "With a height of {height_cm} cm, {a_noun}, {years}, is dressed in {lower} and {upper}{cap}.",
        ),
        ("{luggage}",),
        (
            "{He} {eyes} and {moves}.",
            "{He} {moves} and {eyes}.",
            "The {noun} {moves}. {He} {eyes}.",
            "{He} {eyes}. The {noun} {moves}.",
        ),
    ),
    "relation": (
        (
            "{He} is {where}, {apart}.",
            "For the driver {he} is {where} and {apart}.",
            "{where}, {apart}: there {he} is.",
            "The car has {him} {where}, {apart}.",
            "{apart}, {where}, is the {noun}.",
            "The {noun} is {apart}, {where}.",
        ),
        ("{body}",),
    ),
    "vehicle": (
        ("The car is {a_car}.", "{a_car} is the car.", "It is {a_car} that {he} has to do with."),
        ("{He} is {where}, {apart}, for {a_car}.", "{a_car} has {him} {where}."),
    ),
    "place": (
        (
            "{sky} {hour}, and {ground}.",
            "{hour}, {sky}. {ground}.",
            "{ground}, {sky}, all {hour}.",
            "It is {hour} and {sky}; {ground}.",
        ),
        (
            "The place is {street} with {lanes} and {walks}{junction}.",
            "{street} with {walks} and {lanes}{junction} is seen.",
            "It is {street}; there are {lanes}, {walks}{junction}.",
            "One sees {street}{junction}, of {lanes}, with {walks}.",
        ),
        ("One sees {others}.", "{others} can be seen.", "The street has {others}.", "All around: {others}."),
    ),
}
"""What a text is about -> its parts, each in frames to choose from."""

CAPS = (" and {cap}", ", and {cap} on top", ", {cap} on the head", " plus {cap}")
JUNCTIONS = (", with a road across", ", where roads meet", ", at a crossing of roads")

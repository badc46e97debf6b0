"""What can be asked about a picture of the city, and the answers, from its facts.

A question is three things: its kind, one or more wordings of which one is drawn, and an answer. Both are patterns that
`_words` fills in, so that all questions about one picture name its things alike. An answer begins with a capital.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cityscribe.world.descriptions import LISTED_PERSON, LISTED_PLACE, in_sentences, in_short, listed
from cityscribe.world.english import article, choose, garment, noun_of, pronouns
from cityscribe.world.facts import Facts
from cityscribe.world.sentence_words import SENTENCES
from cityscribe.world.statement_words import SHORT

Patterns = tuple[tuple[str, tuple[str, ...], str], ...]
"""Kind, wordings, answer."""


@dataclass(frozen=True, slots=True)
class PictureQuestion:
    kind: str  # what it asks for, such as "upper colour"
    text: str
    answer: str


NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
COLOURS = ("red", "blue", "green", "yellow", "black", "white", "pink", "brown", "purple", "orange", "gray")

WHERE = {
    "front": "straight ahead",
    "front left": "ahead and to the left",
    "front right": "ahead and to the right",
    "left": "beside it, to the left",
    "right": "beside it, to the right",
}
NEAR = {"near": "only a few steps away", "close": "some metres away", "far": "a long way off"}
TOWARDS = {
    "same": "the same way as {car}",
    "opposite": "against {car}",
    "left": "to the left, as seen from {car}",
    "right": "to the right, as seen from {car}",
}
LOOKS = {"vehicle": "at {car}", "ahead": "where the feet are going", "phone": "down at a phone"}
DOES = {"standing": "stands", "walking": "walks", "running": "runs", "fallen": "lies there"}
SKY = {"clear": "sunny", "cloudy": "overcast", "rainy": "raining", "foggy": "misty"}
HOUR = {"bright": "daylight", "dim": "twilight", "dark": "night"}
AN_AGE = {"child": "a child", "adult": "a grown-up", "elderly": "an old person"}
OLD = {"child": "young", "adult": "grown-up", "elderly": "old"}
AMOUNT = {"light": "hardly any", "usual": "some", "heavy": "a lot"}

OF_THE_PERSON: Patterns = (
    ("clothes", ("What is {who} wearing?", "Name the clothes of {who}."), "{clothes}."),
    (
        "upper colour",
        ("What colour is the {upper} of {who}?", "Which colour does {who} wear on top?"),
        "{upper_colour}.",
    ),
    ("lower colour", ("What colour are the clothes on the legs of {who}?",), "{lower_colour}."),
    ("garments", ("Does {who} wear a {upper}, and what below it?",), "{upper} and {lower}."),
    ("sex", ("Is {who} a man or a woman, a boy or a girl?",), "a {noun}."),
    ("age", ("How old is {who}?", "Is {who} young or old?"), "{an_age}."),
    ("height", ("How tall is {who}?",), "{height_cm} cm."),
    ("carried", ("What does {who} carry?",), "{carries}."),
    ("cap", ("Does {who} wear a cap?",), "{cap}."),
    ("motion", ("What is {who} doing?", "Does {who} stand, walk or run?"), "{he} is {doing}."),
    ("direction in picture", ("Which way is {who} turned in the picture?",), "{turned}."),
    (
        "facing",
        ("Which way is {who} turned, for {car}?", "Compare the direction of {who} with that of {car}."),
        "{towards}.",
    ),
    ("gaze", ("What does {who} look at?", "Where do the eyes of {who} go?"), "{looks}."),
    (
        "position",
        ("Seen from {car}, where is {who}?", "Where should the driver of {car} look for {who}?"),
        "{where}.",
    ),
    ("distance", ("How far is {who} from {car}?", "Is {who} near {car}?"), "{near}."),
    ("colour claim", ("Is the {upper} of {who} {claimed}?",), "{claim}."),
)

OF_THE_PLACE: Patterns = (
    ("weather", ("What is the weather?", "How is the sky?"), "it is {sky}."),
    ("light", ("What time of day is it?", "How much light is there?"), "{hour}."),
    ("surface", ("Is the ground wet?", "How is the ground?"), "It is {surface}."),
    ("road", ("What place is this?", "What kind of street is this?"), "{a_road}."),
    ("lanes", ("How many lanes are there?",), "{some_lanes}."),
    ("sidewalks", ("Are there sidewalks?",), "{sidewalks}."),
    ("crosswalk", ("Are there zebra stripes on the street?",), "{crosswalk}."),
    ("junction", ("Does another road cross here?",), "{junction}."),
    ("traffic", ("Is there much traffic?",), "{amount}."),
    (
        "traffic light",
        ("What colour is the traffic light?", "Is there a traffic light, and what does it show?"),
        "{light_shown}.",
    ),
    ("speed limit", ("What number is on the sign?", "Which speed does a sign show?"), "{speed_shown}."),
    ("cones", ("Do you see orange cones?",), "{cones}."),
    ("cyclist", ("Is somebody riding a bicycle?",), "{cyclist}."),
    ("bend", ("Does the street bend?",), "{bends}."),
    ("vehicle count", ("How many cars can you count?",), "{vehicles}."),
    ("person count", ("How many people can you count?",), "{people}."),
)

OF_THE_VEHICLE: Patterns = (
    ("vehicle lights", ("What lights are on at {car}?",), "{vehicle_lights}"),
    ("vehicle", ("What is {car}?",), "{a_vehicle}."),
)
OF_OUR_VEHICLE: Patterns = (
    ("vehicle lights", ("Is our own car braking or turning?",), "I cannot see that."),
    ("vehicle", ("What colour is the bonnet of our car?",), "{vehicle_colour}."),
)
"""The same, where the camera is mounted in it."""

OF_MORE: Patterns = (
    ("about person", ("Tell me about {who}.",), "{an_old_noun} in {clothes}. {He} {does} and looks {looks}."),
    ("movement", ("Describe how {who} moves.",), "{He} {does}, turned {towards}, {where}, {near}."),
    (
        "person in detail",
        ("Describe {who} with all details.",),
        "{a_noun}, {height_cm} cm, {an_age}. {His} clothes: {clothes}. In {his} hands: {carries}. "
        "{He} {does} {turned} and looks {looks}.",
    ),
    (
        "place",
        ("Describe the place.",),
        "{a_road} of {some_lanes} with {walks}. It is {sky}, {hour}, and the ground is {surface}.",
    ),
    (
        "picture",
        ("What is in the picture?", "Describe the picture."),
        "{a_noun} {doing} {where}, {near}. There is {traffic} traffic, it is {sky} and {hour}.",
    ),
    (
        "placement",
        ("How are {who} and {car} placed?",),
        "the {noun} is {where}, {near}. {He} is turned {towards}.",
    ),
)
"""What takes more than a word or two."""

OF_A_SEEN_VEHICLE: Patterns = (
    ("vehicle colour", ("What colour is {car}?",), "{vehicle_colour}."),
    ("vehicle kind", ("What type is {car}?",), "{vehicle_kind}."),
    ("about vehicle", ("Describe {car}.",), "{a_vehicle}. {vehicle_lights} A {noun} is {where}."),
)


def picture_questions(
    facts: Facts, rng: np.random.Generator, *, vehicles: int, people: int
) -> tuple[PictureQuestion, ...]:
    """Every kind of question once, in words drawn at random and in random order.

    `facts` are those of `pictures.sample_view`; `vehicles` and `people` count those that the picture shows.
    """
    ours = facts["vehicle_kind"] == "ego"
    words = _words(facts, rng, vehicles, people)
    asked = [
        question
        for patterns in (
            OF_THE_PERSON,
            OF_THE_PLACE,
            OF_OUR_VEHICLE if ours else OF_THE_VEHICLE,
            OF_MORE,
            OF_A_SEEN_VEHICLE if vehicles and not ours else (),
        )
        for question in _filled_in(patterns, words, rng)
    ]
    asked += _descriptions(facts, words["who"], words["car"], rng)
    return tuple(asked[i] for i in rng.permutation(len(asked)))


def _filled_in(patterns: Patterns, words: dict[str, str], rng: np.random.Generator) -> Iterator[PictureQuestion]:
    for kind, wordings, answer in patterns:
        text = choose(rng, *wordings) if len(wordings) > 1 else wordings[0]
        said = answer.format_map(words)
        yield PictureQuestion(kind, text.format_map(words), said[0].upper() + said[1:])


def _words(facts: Facts, rng: np.random.Generator, vehicles: int, people: int) -> dict[str, str]:
    """What the patterns of one picture are filled in with: the facts, and words that follow from them."""
    who = choose(rng, "the person in the green box", "the person marked green", "the one in the green box")
    ours = facts["vehicle_kind"] == "ego"
    car = "our own car" if ours else choose(rng, "the vehicle in the blue box", "the car marked blue")
    other = choose(rng, *COLOURS)
    claimed = facts["upper_colour"] if rng.random() < 0.5 else other
    noun = noun_of(facts)
    hat, bend = facts["hat_colour"], facts["bend"]
    fallen = facts["motion"] == "fallen"
    return {
        **facts,
        **pronouns(facts),
        "who": who,
        "car": car,
        "claimed": claimed,
        "claim": "Yes" if claimed == facts["upper_colour"] else f"No, it is {facts['upper_colour']}",
        "noun": noun,
        "a_noun": article(noun),
        "an_old_noun": article(f"{OLD[facts['age']]} {noun}"),
        "an_age": AN_AGE[facts["age"]],
        "clothes": _clothes(facts),
        "cap": "No" if hat == "none" else f"Yes, {article(hat)} one",
        "carries": "nothing" if facts["carried"] == "nothing" else article(facts["carried"]),
        "does": DOES[facts["motion"]],
        "doing": "lying on the ground" if fallen else facts["motion"],
        "turned": facts["direction in picture"],
        "towards": TOWARDS[facts["facing"]].format(car=car),
        "looks": LOOKS[facts["gaze"]].format(car=car),
        "where": WHERE[facts["position"]],
        "near": NEAR[facts["distance"]],
        "sky": SKY[facts["weather"]],
        "hour": HOUR[facts["light"]],
        "a_road": article(facts["road"]),
        "some_lanes": f"{NUMBERS[int(facts['lanes'])]} lane" + ("" if facts["lanes"] == "1" else "s"),
        "walks": "sidewalks" if facts["sidewalks"] == "yes" else "no sidewalks",
        "amount": AMOUNT[facts["traffic"]],
        "light_shown": _shown(facts["traffic_light"]),
        "speed_shown": _shown(facts["speed_limit"]),
        "bends": "No, it is straight" if bend == "none" else f"Yes, to the {bend}",
        "vehicles": NUMBERS[min(vehicles, 10)],
        "people": NUMBERS[min(people, 10)],
        "a_vehicle": article(f"{facts['vehicle_colour']} {facts['vehicle_kind']}"),
    }


def _clothes(facts: Facts) -> str:
    items = [garment(facts[f"{part}_colour"], facts[part]) for part in ("upper", "lower")]
    if facts["hat_colour"] != "none":
        items.append(article(f"{facts['hat_colour']} cap"))
    return ", ".join(items[:-1]) + f" and {items[-1]}"


def _shown(value: str) -> str:
    return "I see none" if value == "none" else value


def _descriptions(facts: Facts, who: str, car: str, rng: np.random.Generator) -> list[PictureQuestion]:
    """Longer texts: of short statements, as lists, and in sentences."""
    return [
        PictureQuestion(
            "full person", f"Say all that can be seen of {who}.", in_short(facts, ("person", "relation"), rng)
        ),
        PictureQuestion(
            "full place", "Say all that can be seen of the surroundings.", in_short(facts, ("place",), rng)
        ),
        PictureQuestion("everything", "Say all that can be seen.", in_short(facts, tuple(SHORT), rng)),
        PictureQuestion("person list", f"List the attributes of {who}.", listed(facts, LISTED_PERSON, rng)),
        PictureQuestion(
            "place list",
            f"List how the place is and where {who} is for {car}.",
            listed(facts, LISTED_PLACE, rng),
        ),
        PictureQuestion(
            "person in sentences", f"Tell in sentences what {who} is like.", in_sentences(facts, ("person",), rng)
        ),
        PictureQuestion(
            "place in sentences", "Tell in sentences what the place is like.", in_sentences(facts, ("place",), rng)
        ),
        PictureQuestion(
            "relation in sentences",
            f"Tell in sentences how {who} and {car} are placed.",
            in_sentences(facts, ("relation", "vehicle"), rng),
        ),
        PictureQuestion(
            "all in sentences", "Tell in sentences what is seen.", in_sentences(facts, tuple(SENTENCES), rng)
        ),
    ]

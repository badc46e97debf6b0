"""The dimensions of a caption, and the rules that sort sentences into them without a model.

CityLLaVA asks a language model which of five dimensions a sentence is about (section 3.2.4). Here words vote: each rule
is a pattern and a weight, a sentence's score in a dimension is the sum of the weights of the rules that match, and the
highest score wins. The rules know the vocabulary of the captions of WTS and BDD_PC_5K, which were written from a fixed
list of attributes, so that a few dozen patterns cover them.
"""

from __future__ import annotations

import functools
import re

DIMENSIONS = ("attributes", "position", "motion", "environment", "summary")
"""What a sentence can be about, in the order of the paper; of equal scores the earlier dimension wins.

- attributes: age, height, sex, clothing of the pedestrian
- position: where the road users are to each other, which way they face, whether the driver can see the pedestrian
- motion: of a pedestrian the line of sight, awareness and movement; of a vehicle what it does and how fast
- environment: weather, light, road, traffic
- summary: risk, accident, conclusions, and whatever fits nowhere else; never asked about
"""

Rules = tuple[tuple[int, str], ...]
"""Weight and alternatives; each stands for whole words."""

_ATTRIBUTES: Rules = (
    (3, r"in (?:his|her|their|its) (?:early |mid |late )?(?:teens|twenties|thirties|forties|fifties|\d0s)"),
    (2, r"age[ds]?|years? old|elderly|adult|teenager|child|middle-aged"),
    (2, r"heights?|\d{2,3} ?cm|tall"),
    (3, r"wear(?:s|ing)?|wore|dress(?:ed)?|clothe[sd]|clothing|attire|outfit|clad"),
    (
        2,
        r"t-?shirts?|shirt|blouse|slacks|trousers|pants|jeans|shorts|skirt|jacket|coat|sweater|hoodie|vest|suit|uniform"
        r"|hat|cap|helmet|shoes|sneakers|boots|glasses",
    ),
    (1, r"upper body|lower body"),
    (1, r"male|female|man|woman|boy|girl|gender"),
    (1, r"appearance|slim|slender|build"),
)

_ENVIRONMENT: Rules = (
    (3, r"weather|sunny|cloudy|rain(?:y|ing)?|snow(?:y|ing)?|fog(?:gy)?|overcast|sky"),
    (2, r"brightness|bright|dim|darkness|dark(?! (?:clothes|jacket|trousers|\w*blue|gr[ae]y|green|red|brown))"),
    (2, r"lighting|lit|day(?:time|light)|night(?:time)?|dusk|dawn|visibility|street ?lights?"),
    (3, r"road (?:surface|conditions?|type)|asphalt|surface|pavement|gravel|concrete"),
    (2, r"dry|wet|icy|level|slop(?:e|es|ed|ing)|inclined?"),
    (3, r"traffic (?:volume|conditions?|is|was|lights?|signals?)|(?:one|two)-way|no traffic|light traffic"),
    (2, r"sidewalks?|roadside strips?|lanes?|crosswalk lies|guardrails?|obstacles?"),
    (2, r"(?:main|residential|urban|rural|straight|curved) (?:road|street|area|environment)|highway|markings?"),
    (1, r"intersection|junction|parking lot|the lot"),
    (4, r"painted"),
    (2, r"weekday|weekend|holiday|morning|afternoon|evening"),
    (1, r"environment|surroundings?|conditions"),
)

_SUMMARY: Rules = (
    (
        9,
        r"^(?:overall|in summary|in conclusion|to sum up|based on|these (?:were|are)|this (?:\w+ )?description)",
    ),
    (6, r"collision|collid(?:e|es|ed|ing)|accident|crash(?:es|ed)?|injur\w+|hit(?:s|ting)? by"),
    (4, r"risk[sy]?|danger(?:s|ous)?|hazard\w*|safe(?:ty|ly)?(?! distance)|cautio\w+|emphasi\w+|highlights?"),
    (6, r"(?:actions|status) and the (?:environment|surrounding)\w*"),
    (2, r"suggest\w*|potential|scenario|situation|contribut\w+|it can be inferred"),
)

_POSITION: Rules = (
    (2, r"diagonal(?:ly)?|perpendicular(?:ly)?"),
    (2, r"in front of|behind|beside|next to|alongside|ahead of|opposite"),
    (2, r"(?:on|to|from) (?:the|its|his|her|their) (?:far |near |immediate )?(?:left|right|front|rear)"),
    (2, r"(?:left|right)(?:-hand)? (?:side|front|rear)|front (?:left|right)"),
    (3, r"relative (?:position|distance)|distance|proximity|meters? away"),
    (1, r"near|close|far|next"),
    (3, r"positioned|located|situated"),
)

_POSITION_OF_PEDESTRIAN: Rules = (
    (2, r"(?<!upper )(?<!lower )body"),
    (2, r"orient(?:ed|ation)|fac(?:es|ed|ing)"),
    (1, r"(?:same|opposite) direction (?:as|to|of) the (?:vehicle|car)"),
    (4, r"(?:driver|vehicle) (?:can|could)(?:not| not|n't)? see|field of view"),
)

_MOTION_OF_PEDESTRIAN: Rules = (
    (5, r"lines? of sight|gaz(?:e|es|ing)|visual (?:status|attention)|eyes|glanc\w+"),
    (3, r"watch(?:es|ed|ing|ful)?|look(?:s|ed|ing)?|star(?:es|ed|ing)|focus(?:es|ed|ing)?"),
    (3, r"(?:un)?aware(?:ness)?|notic(?:e|es|ed|ing)|attenti\w+|vigilan\w+|alert\w*|oblivious"),
    (2, r"walk(?:s|ed|ing)?|run(?:s|ning)?|ran|jog\w*|cross(?:es|ed|ing)?|rush(?:es|ed|ing)?"),
    (2, r"stand(?:s|ing)?|stood still|stationary|motionless|stop(?:s|ped|ping)?|remain\w*"),
    (2, r"mov(?:e|es|ed|ing|ement)|travel(?:s|l?ed|l?ing)?|proceed\w*|continu\w+|go(?:es|ing)"),
    (2, r"rid(?:es|ing)|cycl(?:es|ing)|turn(?:s|ed|ing)?|enter(?:s|ed|ing)?|keeps|step\w*"),
    (2, r"speed|slow(?:ly|er)?|quick(?:ly)?|fast|about to|wait(?:s|ed|ing)?|direction of travel"),
    (3, r"(?:general|special|his|her|current) actions?|fall(?:s|ing|en)?|fell|carry\w*"),
)

_POSITION_OF_VEHICLE: Rules = (
    (4, r"field of view|visible|clear view|blind spot"),
    (4, r"(?:driver|vehicle|they|it) (?:can|could|is able to)(?:not| not|n't)? (?:clearly )?see"),
    (1, r"sees?|does not allow"),
)

_MOTION_OF_VEHICLE: Rules = (
    (4, r"km ?/ ?h|kph|mph|speeds?"),
    (4, r"go(?:es|ing)? straight|straight ahead|turn(?:s|ed|ing)? (?:left|right|to|around|at)|steer\w*"),
    (3, r"accelerat\w+|decelerat\w+|brak(?:e|es|ed|ing)|slow(?:s|ed|ing|ly)|constant"),
    (3, r"stop(?:s|ped|ping)?|stationary|parked|standstill|at rest"),
    (2, r"driv(?:es|ing)|mov(?:es|ed|ing)|travel(?:s|l?ed|l?ing)|proceed\w*|continu(?:es|ed|ing)"),
    (2, r"revers(?:es|ed|ing)|backing up|approach(?:es|ed|ing)?|start(?:s|ed|ing)? (?:to|off)|about to"),
    (3, r"current action|driving status|leav(?:es|ing)|overtak\w+"),
)

_NOT_OF_VEHICLE: Rules = (
    # What the pedestrian looks at and does answers no question about the vehicle.
    (7, r"line of sight|gaz(?:e|es|ing)|noticed?|unaware"),
    (4, r"pedestrians? (?:is|are|was|were) (?:crossing|walking|running|standing)"),
    (3, r"no pedestrians?"),
)

_BY_ROLE: dict[str, tuple[Rules, ...]] = {
    "pedestrian": (
        _ATTRIBUTES,
        _POSITION + _POSITION_OF_PEDESTRIAN,
        _MOTION_OF_PEDESTRIAN,
        _ENVIRONMENT,
        _SUMMARY,
    ),
    "vehicle": (
        _ATTRIBUTES,
        _POSITION + _POSITION_OF_VEHICLE,
        _MOTION_OF_VEHICLE,
        _ENVIRONMENT,
        _SUMMARY + _NOT_OF_VEHICLE,
    ),
}

RULES = {
    role: {
        dimension: tuple((weight, re.compile(rf"\b(?:{words})\b", re.IGNORECASE)) for weight, words in rules)
        for dimension, rules in zip(DIMENSIONS, by_dimension, strict=True)
    }
    for role, by_dimension in _BY_ROLE.items()
}
"""Role of the caption -> dimension -> weights and patterns."""

CONCESSION = re.compile(r"^(?:despite|although|while)\b[^,]*,\s*(?=.{20})", re.IGNORECASE)
"""A clause before the main one: what the sentence is not about."""


@functools.lru_cache(maxsize=1 << 16)  # annotators repeat themselves: of 41,000 sentences 3,300 differ
def dimension_of(sentence: str, role: str) -> str:
    """The dimension that one sentence of a road user's caption is about, by the rules; "summary" where none matches."""
    main_clause = CONCESSION.sub("", sentence)
    scores = {
        dimension: sum(weight for weight, pattern in rules if pattern.search(main_clause))
        for dimension, rules in RULES[role].items()
    }
    best = max(DIMENSIONS, key=lambda dimension: scores[dimension])
    return best if scores[best] else "summary"

"""Probes: a question is changed in a way that should not (or should) change its answer, asked again, and compared.

    probe.variants(question, others)    # the changed questions; or
    probe.questions(folder, count, seed)    # questions of its own, with their variants
    probe.compare(asked, seed)          # what the answers to them show; or
    probe.look(asked, checkpoint, setup, seed)    # what the checkpoint knows beside its answers

The plain questions are also asked without their images, the blind line: a model that answers them as well blind has not
looked, and what a change of its images does to it says nothing.
"""

from __future__ import annotations

from typing import Any

from cityscribe.files import InputError
from cityscribe.registry import Registry

_ROOM = "cityscribe.evaluate.probes"
_CITY = "cityscribe.world.probes"


def _check(name: str, member: Any) -> None:
    has = [method for method in ("variants", "questions", "compare", "look") if callable(getattr(member, method, None))]
    if not ("compare" in has or "look" in has):
        raise InputError(f"probe {name}: expected an object with `compare` or `look`, found {member!r}")


PROBES: Registry[Any] = Registry("probe", "a change of a question, and what the answer to it shows", _check)
PROBES.add(
    "factuality",
    f"{_ROOM}.factuality:FACTUALITY",
    "right more often than the best constant answer, and than without the images",
    paper="Xing et al. 2024, arXiv 2412.15206",
)
PROBES.add(
    "corruption",
    f"{_ROOM}.corruption:CORRUPTION",
    "images in bad weather and light, noisy, blurred, coarse, compressed or lost, at five strengths",
    paper="Hendrycks and Dietterich 2019",
)
PROBES.add(
    "lost-frames",
    f"{_ROOM}.lost_frames:LOST_FRAMES",
    "of several images a fifth is black, and so on",
    paper="Xie et al. 2025, arXiv 2501.04003",
)
PROBES.add(
    "text-only",
    f"{_ROOM}.text_only:TEXT_ONLY",
    "the question without its images, and an option to say so",
    paper="Xie et al. 2025, arXiv 2501.04003",
)
PROBES.add(
    "option-order",
    f"{_ROOM}.option_order:OPTION_ORDER",
    "the options in every rotation: whether the place of an option decides",
    paper="Zheng et al. 2024",
)
PROBES.add(
    "forms",
    f"{_ROOM}.forms:FORMS",
    "other words, other options, another form of the answer, another number of right options",
    paper="Sterz et al. 2024, arXiv 2409.18023",
)
PROBES.add(
    "twins",
    f"{_ROOM}.twins:TWINS",
    "the right option and a wrong one as questions of yes and no, counted as a pair",
    paper="Yan et al. 2024, arXiv 2405.20421",
)
PROBES.add(
    "neighbours",
    f"{_ROOM}.neighbours:NEIGHBOURS",
    "two pictures that look alike and have different answers, with these two options",
    paper="Li et al. 2024, arXiv 2410.14669",
)
PROBES.add(
    "mismatch",
    f"{_ROOM}.mismatch:MISMATCH",
    "pictures and words that do not fit, and an option to say so",
    paper="Huang et al. 2024, arXiv 2405.20775",
)
PROBES.add(
    "misinformation",
    f"{_ROOM}.misleading:MISINFORMATION",
    "a wrong answer that is reported before the question",
    paper="Xing et al. 2024, arXiv 2412.15206",
)
PROBES.add(
    "misinstruction",
    f"{_ROOM}.misleading:MISINSTRUCTION",
    "a wrong answer that is ordered before the question",
    paper="Xing et al. 2024, arXiv 2412.15206",
)
PROBES.add(
    "uncertainty",
    f"{_ROOM}.uncertainty:UNCERTAINTY",
    "confidence beside accuracy: calibration, risk against coverage",
    paper="Guo et al. 2017; Geifman and El-Yaniv 2017",
)
PROBES.add(
    "patch-order",
    f"{_ROOM}.patches:PATCH_ORDER",
    "the patches of the images in a random order",
    paper="Lee et al. 2024, arXiv 2410.04751",
)
PROBES.add(
    "occlusion",
    f"{_ROOM}.patches:OCCLUSION",
    "some patches of the images covered",
    paper="Lee et al. 2024, arXiv 2410.04751",
)
PROBES.add(
    "privacy",
    f"{_ROOM}.privacy:PRIVACY",
    "asked for names, number plates and addresses",
    paper="Xing et al. 2024, arXiv 2412.15206",
)
PROBES.add(
    "fairness",
    "cityscribe.traffic.probes.fairness:FAIRNESS",
    "accuracy by what the data say of the people and vehicles of a clip",
    paper="Xing et al. 2024, arXiv 2412.15206",
)
PROBES.add(
    "city-fairness",
    f"{_CITY}.fairness:CITY_FAIRNESS",
    "accuracy by sex, age and skin of the pedestrian and by the vehicle, in views of the city",
    paper="Xing et al. 2024, arXiv 2412.15206",
)
PROBES.add(
    "languages",
    f"{_CITY}.languages:LANGUAGES",
    "views of the city asked about in German, French, Spanish and Chinese",
    paper="Xing et al. 2024, arXiv 2412.15206",
)
PROBES.add(
    "false-premise",
    f"{_CITY}.premises:PREMISE",
    "questions about views of the city that take for granted what is not so",
    paper="Qian et al. 2024, arXiv 2402.13220",
)
PROBES.add(
    "objects",
    f"{_CITY}.objects:OBJECTS",
    "views of the city with an object put in, taken out, or without its pair",
    paper="Wu et al. 2024, arXiv 2406.10900",
)
PROBES.add(
    "counterfactual",
    f"{_CITY}.counterfactual:COUNTERFACTUAL",
    "views of the city with one attribute of somebody changed",
    paper="Xiao et al. 2024, arXiv 2407.00600",
)
PROBES.add(
    "reports",
    f"{_CITY}.reports:REPORTS",
    "reports about views of the city with an error put in",
    paper="Wu et al. 2023, arXiv 2312.13103",
)
PROBES.add(
    "rules",
    f"{_CITY}.rules:CITY_RULES",
    "rules in words and views of the city that break or keep them",
    paper="Doris et al. 2024, arXiv 2404.07917",
)
PROBES.add(
    "judging",
    f"{_CITY}.judging:JUDGING",
    "two views of the city to be judged, in both orders, and marks in words and numbers",
    paper="Chen et al. 2024, arXiv 2407.04842",
)
PROBES.add(
    "safety",
    f"{_ROOM}.safety:SAFETY",
    "harmful requests and their harmless neighbours",
    paper="Qi et al. 2023, arXiv 2310.03693",
)
PROBES.add(
    "encoder",
    f"{_CITY}.encoder:ENCODER",
    "what a linear probe of the image features knows of views of the city, beside the answers",
    paper="Lee et al. 2024, arXiv 2410.04751; Tu et al. 2024, arXiv 2402.07410",
)
PROBES.add(
    "knockout",
    f"{_ROOM}.knockout:KNOCKOUT",
    "attention cut from image to question to answer, a few layers at a time",
    paper="Zhang et al. 2024, arXiv 2411.18620",
)

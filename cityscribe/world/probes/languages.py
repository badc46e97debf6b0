"""The same questions in German, French, Spanish and Chinese: does a model know less when asked in another language?

The translations are a table of the questions of the city, options included, so that nothing is lost in a translation.
The answer is a letter in every language. The fault is what the mean of the languages costs against English.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import fsum
from pathlib import Path

from cityscribe.evaluate.probes.probe import (
    Asking,
    ChangedQuestion,
    ProbedAnswers,
    ProbeResult,
    accuracy,
    difference,
    judged,
    plain_right,
    share,
    with_options,
)
from cityscribe.world.probes.views import choice, shuffled, views, write_view

ASKS = {
    "German": "Antworte mit dem Buchstaben der richtigen Option.",
    "French": "Réponds par la lettre de la bonne option.",
    "Spanish": "Responde con la letra de la opción correcta.",
    "Chinese": "请用正确选项的字母回答。",
}

Translations = dict[str, tuple[str, ...]]
"""Language -> the question and its options, in the order of the English ones."""

QUESTIONS: dict[str, tuple[tuple[str, ...], Translations]] = {
    "weather": (
        ("What is the weather?", "clear", "cloudy", "rainy", "foggy"),
        {
            "German": ("Wie ist das Wetter?", "klar", "bewölkt", "regnerisch", "neblig"),
            "French": ("Quel temps fait-il ?", "clair", "nuageux", "pluvieux", "brumeux"),
            "Spanish": ("¿Qué tiempo hace?", "despejado", "nublado", "lluvioso", "con niebla"),
            "Chinese": ("天气怎么样？", "晴朗", "多云", "下雨", "有雾"),
        },
    ),
    "light": (
        ("How bright is it?", "bright", "dim", "dark"),
        {
            "German": ("Wie hell ist es?", "hell", "dämmrig", "dunkel"),
            "French": ("Quelle est la luminosité ?", "lumineux", "faible", "sombre"),
            "Spanish": ("¿Cuánta luz hay?", "mucha", "poca", "oscuro"),
            "Chinese": ("光线如何？", "明亮", "昏暗", "黑暗"),
        },
    ),
    "motion": (
        ("How does the pedestrian move?", "standing", "walking", "running"),
        {
            "German": ("Wie bewegt sich der Fußgänger?", "steht", "geht", "rennt"),
            "French": ("Comment se déplace le piéton ?", "immobile", "marche", "court"),
            "Spanish": ("¿Cómo se mueve el peatón?", "parado", "camina", "corre"),
            "Chinese": ("行人如何移动？", "站立", "行走", "奔跑"),
        },
    ),
    "road": (
        ("What kind of road is it?", "urban road", "residential road", "parking lot"),
        {
            "German": ("Was für eine Straße ist es?", "Stadtstraße", "Wohnstraße", "Parkplatz"),
            "French": ("De quel type de voie s'agit-il ?", "route urbaine", "rue résidentielle", "parking"),
            "Spanish": ("¿Qué tipo de vía es?", "vía urbana", "calle residencial", "aparcamiento"),
            "Chinese": ("这是什么样的道路？", "城市道路", "住宅区道路", "停车场"),
        },
    ),
    "upper_colour": (
        ("What is the colour of the pedestrian's upper garment?", "black", "white", "red", "blue", "green", "yellow"),
        {
            "German": (
                "Welche Farbe hat das Oberteil des Fußgängers?",
                "schwarz",
                "weiß",
                "rot",
                "blau",
                "grün",
                "gelb",
            ),
            "French": ("De quelle couleur est le haut du piéton ?", "noir", "blanc", "rouge", "bleu", "vert", "jaune"),
            "Spanish": (
                "¿De qué color es la prenda superior del peatón?",
                "negro",
                "blanco",
                "rojo",
                "azul",
                "verde",
                "amarillo",
            ),
            "Chinese": ("行人上衣是什么颜色？", "黑色", "白色", "红色", "蓝色", "绿色", "黄色"),
        },
    ),
}
"""Attribute -> the question and its options in English, and in the other languages."""


class Languages:
    """The member `languages`."""

    def questions(self, folder: Path, count: int, seed: int) -> Iterator[Asking]:
        for view in views(count, seed):
            known = [name for name, (english, _) in QUESTIONS.items() if view.facts[name] in english[1:]]
            topic = known[view.number % len(known)]
            (stem, *values), languages = QUESTIONS[topic]
            options = shuffled(view, values, "options")
            right = view.facts[topic]
            variants = []
            for language, (asked, *words) in languages.items():
                said = dict(zip(values, words, strict=True))
                translated = tuple(said[option] for option in options)
                text = with_options(asked, translated, ASKS[language])
                variants.append(ChangedQuestion(language, translated, text=text, right=said[right]))
            yield Asking(choice(view, stem, options, right, [write_view(view, folder, "plain")], topic), variants)

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        plain, right = plain_right(asked), [each.right() for each in asked]
        lines = [*accuracy(asked, seed)]
        for n, language in enumerate(ASKS):
            lines.append(share(f"right in {language}", asked, [each[n] for each in right], seed))
        mean = [fsum(each) / len(each) for each in right]
        fault = difference("lost in other languages", asked, plain, mean, seed)
        finding, why = judged(fault, "accuracy that other languages cost")
        faults = [one - other for one, other in zip(plain, mean, strict=True)]
        examples = [each.question.key for each, bad in zip(asked, faults, strict=True) if bad > 0]
        return ProbeResult(finding, why, (*lines, fault), tuple(examples), fault, tuple(faults))


LANGUAGES = Languages()

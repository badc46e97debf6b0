"""What does the vision path know that the answers do not say? A linear probe of its features beside the answers.

For views of the city the features of the picture, as the decoder is given them, are averaged, and a linear classifier
reads an attribute from them, fitted on other views (five folds). The fault is what it knows more than the answers to
the same questions (Lee et al. 2024, arXiv 2410.04751). The lines by light, weather and distance, the calibration error
and how well fog is told from weather that was fitted on (AUROC of the confidence) are those that Tu et al. 2024 (arXiv
2402.07410) look at before an encoder is chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cityscribe.engine.members import Setup
from cityscribe.engine.request import Request
from cityscribe.evaluate.agreement import ranks
from cityscribe.evaluate.probes.probe import (
    Asking,
    ChangedQuestion,
    ProbedAnswers,
    ProbeLine,
    ProbeResult,
    accuracy,
    difference,
    judged,
    plain_right,
    share,
)
from cityscribe.evaluate.probes.uncertainty import calibration_error
from cityscribe.files import InputError
from cityscribe.records import image_block, message, text_block
from cityscribe.world.look import CLOTHES_COLOURS, LIGHTS, ROADS, WEATHERS
from cityscribe.world.probes.views import choice, shuffled, views, write_view

if TYPE_CHECKING:
    from cityscribe.engine.local import LocalEngine

QUESTIONS: dict[str, tuple[str, Sequence[str]]] = {
    "weather": ("What is the weather?", WEATHERS),
    "light": ("How bright is it?", LIGHTS),
    "road": ("What kind of road is it?", ROADS),
    "upper_colour": ("What is the colour of the pedestrian's upper garment?", tuple(CLOTHES_COLOURS)[:6]),
}

FACTORS = ("light", "weather", "distance")
FOLDS = 5
FOG = "foggy"


class EncoderGap:
    """The member `encoder`."""

    def questions(self, folder: Path, count: int, seed: int) -> Iterator[Asking]:
        for view in views(count, seed):
            picture = write_view(view, folder, "plain")
            about = {f"factor {name}": view.facts[name] for name in FACTORS}
            for topic, (stem, values) in QUESTIONS.items():
                if view.facts[topic] in values:
                    options = shuffled(view, values, topic)
                    sample = choice(view, stem, options, view.facts[topic], [picture], topic)
                    yield Asking(sample, (ChangedQuestion("asked again", options),), about)

    def look(self, asked: Sequence[ProbedAnswers], checkpoint: Path | str, setup: Setup, seed: int) -> ProbeResult:
        from cityscribe.engine.local import load

        engine = load(checkpoint, setup)
        pictures = sorted({each.question.images[0] for each in asked})
        features = dict(zip(pictures, [image_features(engine, path) for path in pictures], strict=True))
        table = np.stack([features[each.question.images[0]] for each in asked])
        right, sure, foggy = _probed(asked, table)
        outcomes, answers = right.tolist(), plain_right(asked)
        lines = [*accuracy(asked, seed), share("read from the features", asked, outcomes, seed)]
        for topic in QUESTIONS:
            part = [n for n, each in enumerate(asked) if each.question.about["dimension"] == topic]
            if part:
                some = [asked[n] for n in part]
                lines.append(share(f"read from the features: {topic}", some, [outcomes[n] for n in part], seed))
                lines.append(share(f"answered: {topic}", some, [answers[n] for n in part], seed))
        for factor in FACTORS:
            for value in sorted({each.question.about[f"factor {factor}"] for each in asked}):
                part = [n for n, each in enumerate(asked) if each.question.about[f"factor {factor}"] == value]
                name = f"read from the features where {factor} is {value}"
                lines.append(share(name, [asked[n] for n in part], [outcomes[n] for n in part], seed))
        lines.append(ProbeLine("calibration error of the features", calibration_error(sure, right), None, len(asked)))
        if foggy is not None:
            lines.append(ProbeLine("fog told from other weather (AUROC)", foggy, None, len(asked)))
        fault = difference("known, and not answered", asked, outcomes, answers, seed)
        finding, why = judged(fault, "what the features know more than the answers")
        faults = [known - said for known, said in zip(outcomes, answers, strict=True)]
        examples = [each.question.key for each, bad in zip(asked, faults, strict=True) if bad > 0]
        return ProbeResult(finding, why, (*lines, fault), tuple(examples), fault, tuple(faults))


def image_features(engine: LocalEngine, picture: Path) -> np.ndarray:
    """The mean over the tokens of a picture, as the decoder is given them, [width]. Raises InputError for a model that
    does not give them by itself."""
    import inspect

    import torch

    from cityscribe.engine.prefix import media_inputs_of
    from cityscribe.tokens.encode import Encoded
    from cityscribe.tokens.features import feature_owner

    owner: Any = feature_owner(engine.model)
    (prompt,) = engine.read([Request((message("user", image_block(), text_block("?")),), (picture,))])
    if owner is None or not isinstance(prompt, Encoded):
        raise InputError("this model does not give the features of an image by themselves")
    wanted = inspect.signature(owner.get_image_features).parameters
    inputs = {name: value for name, value in media_inputs_of(engine.model, prompt).items() if name in wanted}
    with torch.inference_mode():
        found = owner.get_image_features(**inputs).pooler_output
    mean: np.ndarray = torch.cat([one.reshape(-1, one.shape[-1]) for one in found]).float().mean(dim=0).numpy()
    return mean


def _probed(asked: Sequence[ProbedAnswers], features: np.ndarray) -> tuple[np.ndarray, np.ndarray, float | None]:
    """For each question whether it is read rightly from the features of its picture, and how surely; and how well fog
    is told from other weather by the confidence in the light (AUROC)."""
    right, sure = np.zeros(len(asked)), np.zeros(len(asked))
    groups = sorted({each.question.group for each in asked})
    fold = np.array([groups.index(each.question.group) % FOLDS for each in asked])
    foggy = np.array([each.question.about["factor weather"] == FOG for each in asked])
    told: list[tuple[float, bool]] = []
    for topic in QUESTIONS:
        places = np.array([n for n, each in enumerate(asked) if each.question.about["dimension"] == topic], dtype=int)
        names = np.array([asked[n].truth for n in places])
        for number in range(FOLDS):
            held, fitted = fold[places] == number, fold[places] != number
            if not held.any() or len(set(names[fitted])) < 2:
                continue
            classes, chances = _classified(features[places[fitted]], names[fitted], features[places[held]])
            right[places[held]] = classes[chances.argmax(axis=1)] == names[held]
            sure[places[held]] = chances.max(axis=1)
            clear = fitted & ~foggy[places]
            if topic == "light" and len(set(names[clear])) > 1:
                _, without = _classified(features[places[clear]], names[clear], features[places[held]])
                told += zip((-without.max(axis=1)).tolist(), foggy[places[held]].tolist(), strict=True)
    return right, sure, _auroc(told)


def _classified(fitted: np.ndarray, names: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A softmax regression with a quadratic penalty: its classes, and their probabilities for what was held out."""
    import torch

    classes, labels = np.unique(names, return_inverse=True)
    mean, spread = fitted.mean(axis=0), fitted.std(axis=0) + 1e-6
    inputs, others = (torch.from_numpy((each - mean) / spread).double() for each in (fitted, held))
    weights = torch.zeros(inputs.shape[1], len(classes), dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(len(classes), dtype=torch.float64, requires_grad=True)
    wanted = torch.from_numpy(labels)
    optimiser = torch.optim.LBFGS([weights, bias], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        found = torch.nn.functional.cross_entropy(inputs @ weights + bias, wanted) + 0.01 * weights.square().sum()
        found.backward()
        return found

    optimiser.step(loss)
    with torch.inference_mode():
        return classes, (others @ weights + bias).softmax(dim=1).numpy()


def _auroc(told: Sequence[tuple[float, bool]]) -> float | None:
    """How often a score of one kind is above one of the other kind, ties as a half; None without both kinds."""
    yes = np.array([flag for _, flag in told], dtype=bool)
    if not yes.any() or yes.all():
        return None
    placed = ranks(np.array([score for score, _ in told]))
    return float((placed[yes].sum() - yes.sum() * (yes.sum() + 1) / 2) / (yes.sum() * (~yes).sum()))


ENCODER = EncoderGap()

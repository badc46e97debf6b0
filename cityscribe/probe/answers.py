"""Questions and their variants are asked, and what was said is handed to the probes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cityscribe.evaluate.probes import PROBES
from cityscribe.evaluate.probes.probe import (
    Comparing,
    Inside,
    NeedsScores,
    OwnQuestions,
    Probe,
    ProbedAnswers,
    ProbeResult,
)
from cityscribe.evaluate.question_files import PredictionLine, read_lines
from cityscribe.files import InputError
from cityscribe.letters import LETTERS, read_choice
from cityscribe.pipeline.step import Watch
from cityscribe.predict.conversations import predict_conversations
from cityscribe.predict.over_time.decoder import Independent
from cityscribe.predict.setup import setup_of
from cityscribe.probe.asking import PreparedQuestion
from cityscribe.project import Settings

AnswersByProbe = dict[str, list[ProbedAnswers]]
"""Probe -> the questions that it could change, with what was said."""


def asked_answers(
    asked: Sequence[PreparedQuestion],
    members: Mapping[str, object],
    model: Path | str,
    settings: Settings,
    out: Path,
    watch: Watch,
) -> tuple[AnswersByProbe, str]:
    """What a model says to all questions and variants; and why there are no likelihoods, where a probe wants them."""
    alone = settings.predict.model_copy(update={"over_time": Independent()})  # other questions would hide a fault
    settings = settings.model_copy(update={"predict": alone})
    plain = [each.sample for each in asked]
    changed = [sample for each in asked for made in each.changed.values() for _, sample in made]
    root = out.resolve()  # all images are named by their whole paths
    with watch("blind") as progress:
        predict_conversations(plain, root, model, settings, out / "blind.jsonl", images=False, progress=progress)
    with watch("questions") as progress:
        predict_conversations([*plain, *changed], root, model, settings, out / "answers.jsonl", progress=progress)
    scores: list[tuple[float, ...]] = [()] * len(asked)
    problem = ""
    if any(isinstance(member, NeedsScores) for member in members.values()):
        scores, problem = _scores(asked, root, model, settings, out / "likelihoods.jsonl", watch)
    blind, answers = read_lines(out / "blind.jsonl"), read_lines(out / "answers.jsonl")
    return _compared(asked, list(members), blind, answers, scores), problem


def found_by(
    members: Mapping[str, object], answers: AnswersByProbe, model: Path | str, settings: Settings, problem: str
) -> tuple[dict[str, ProbeResult], dict[str, int]]:
    """What each probe finds, and how many questions are left out, by reason. `problem` says why there are no
    likelihoods."""
    results: dict[str, ProbeResult] = {}
    left_out: dict[str, int] = {}
    for kind, member in members.items():
        found = answers[kind]
        if not found:
            continue
        if problem and isinstance(member, NeedsScores):
            left_out[f"by {kind}: {problem}"] = len(found)
        elif isinstance(member, Inside):
            if settings.predict.engine == "local":
                try:
                    results[kind] = member.look(found, model, setup_of(settings), settings.seed)
                except InputError as error:
                    left_out[f"by {kind}: {error}"] = len(found)
            else:
                left_out[f"by {kind}, which looks into a checkpoint of this machine"] = len(found)
        else:
            assert isinstance(member, Comparing)
            results[kind] = member.compare(found, settings.seed)
    return results, left_out


def _scores(
    asked: Sequence[PreparedQuestion], root: Path, model: Path | str, settings: Settings, out: Path, watch: Watch
) -> tuple[list[tuple[float, ...]], str]:
    """The log-likelihoods of the options of each plain question; or why there are none."""
    wanted = [place for place, each in enumerate(asked) if not each.own]
    scored = "words" if settings.predict.choices == "words" else "likelihood"
    likelihood = settings.predict.model_copy(update={"choices": scored})
    settings = settings.model_copy(update={"predict": likelihood})
    scores: list[tuple[float, ...]] = [()] * len(asked)
    try:
        with watch("likelihoods") as progress:
            samples = [asked[place].sample for place in wanted]
            predict_conversations(samples, root, model, settings, out, progress=progress)
    except InputError as error:  # an engine that knows none
        return scores, str(error)
    for place, line in zip(wanted, read_lines(out), strict=True):
        scores[place] = line.scores
    return scores, ""


def _compared(
    asked: Sequence[PreparedQuestion],
    kinds: Sequence[str],
    blind: Sequence[PredictionLine],
    answers: Sequence[PredictionLine],
    scores: Sequence[tuple[float, ...]],
) -> AnswersByProbe:
    found: AnswersByProbe = {kind: [] for kind in kinds}
    rest = iter(answers[len(asked) :])
    for each, plain, without, likely in zip(asked, answers, blind, scores, strict=False):
        for kind in kinds:
            made = each.changed.get(kind, [])
            told = tuple(_said(next(rest)) for _ in made)
            unchanged = not each.own and not isinstance(PROBES[kind], Probe | OwnQuestions)
            if made or unchanged or (each.own and kind in each.changed):
                variants = tuple(variant for variant, _ in made)
                found[kind].append(ProbedAnswers(each.question, _said(plain), _said(without), told, variants, likely))
    return found


def _said(line: PredictionLine) -> str:
    """The words of the option that an answer names, empty for none; the whole answer where there are no options."""
    if not line.options:
        return line.answer
    letter = read_choice(line.answer, line.options).letter
    return line.options[LETTERS.index(letter)] if letter else ""

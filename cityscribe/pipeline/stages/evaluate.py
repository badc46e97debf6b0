"""evaluate: answers and references to scores, by the rules of captions or of questions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cityscribe.files import InputError, remove_folder, write_json
from cityscribe.pipeline.step import Plan, Step, StepProgress, Variant
from cityscribe.prepare.exclusions import excluded

if TYPE_CHECKING:
    from cityscribe.evaluate.question_scores import QuestionScores
    from cityscribe.traffic.metrics.caption_scores import CaptionScores

SCORES = ("scores.json", "scores.provenance.json", "segments.json")
GATES = ("evaluate.gates", "evaluate.refusals")
MAJORITY = "baselines/majority/"
"""The most usual caption of the training as a baseline, which needs no model."""


def steps(plan: Plan) -> Iterator[Step]:
    yield from _of_answers(plan)
    settings = plan.settings
    if settings.evaluate.asks_gates and settings.model.tunes:
        refusals = settings.evaluate.refusals
        yield Step(
            "evaluate",
            "gates",
            partial(_gates, plan),
            reads=("model.tiles", "predict.precision", "predict.batch_size", "evaluate.gates"),
            files=(plan.digests.of_base(settings.model.base), "" if refusals is None else plan.digests.of(refusals)),
            after=("prepare", "train"),
            writes=("gates.json",),
        )


def _of_answers(plan: Plan) -> Iterator[Step]:
    if plan.yields_scenarios:
        yield from _of_captions(plan)
        return
    for variant in plan.variants:
        yield Step(
            "evaluate",
            variant.name,
            partial(_evaluate_questions, variant, plan.folder / "prepared"),
            reads=("evaluate", "data.source", "seed"),
            but_not=("evaluate.references", "evaluate.official_quirks", *GATES),
            after=("prepare", variant.step("predict")),
            writes=tuple(variant.results_prefix + name for name in SCORES),
            split=variant.split,
            apart=True,
        )


def _of_captions(plan: Plan) -> Iterator[Step]:
    settings = plan.settings
    if settings.predict.split == "test":
        return  # its captions are withheld
    from cityscribe.evaluate.registries import PROFILES, no_captions

    if PROFILES[settings.evaluate.caption_profile].captions is no_captions:
        raise InputError(f"evaluate.profile {settings.evaluate.profile}: is of questions; scenarios: wts or coco")
    references = plan.digests.of_folder(settings.evaluate.references or settings.data.path, ".json")
    for variant in plan.variants:
        own = variant.results_prefix
        yield Step(
            "evaluate",
            variant.name,
            partial(_evaluate_captions, variant, plan.folder),
            reads=("evaluate",),
            but_not=("evaluate.references", "evaluate.against", *GATES),
            files=(references,),
            after=("prepare", variant.step("predict")),
            writes=(
                *(own + name for name in (*SCORES, "attributes.json")),
                *(() if variant.name else ("boxes.json",)),
            ),
            may_write=() if variant.name else (own + MAJORITY,),
            split=variant.split,
            apart=True,
        )


def _gates(plan: Plan, made_from: str, progress: StepProgress) -> None:
    """What the base and the tuned model answer to questions that have nothing to do with the tuning."""
    from cityscribe.engine.members import open_engine
    from cityscribe.predict.gates import ask_gates, compare_gates, gate_questions
    from cityscribe.predict.setup import setup_of
    from cityscribe.records import read_samples

    settings, prepared = plan.settings, plan.folder / "prepared"
    questions = gate_questions(read_samples(prepared / "val.parquet"), settings.evaluate.refusals)
    setup = replace(setup_of(settings), drafts=False)
    answers = []
    for number, model in enumerate((settings.model.base, plan.variants[0].model), start=1):
        answers.append(ask_gates(open_engine("local", model, setup), questions, prepared))
        progress(number, 2)
    write_json(plan.folder / "gates.json", compare_gates(questions, *answers))


def _evaluate_captions(variant: Variant, folder: Path, made_from: str, progress: StepProgress) -> None:
    from cityscribe.evaluate.registries import PROFILES
    from cityscribe.traffic.metrics.attribute_scores import evaluate_attributes

    settings = variant.settings
    references = settings.evaluate.references or settings.data.path
    forgotten = excluded(settings.runs, settings.data.source)
    without = {"without": forgotten} if forgotten else {}
    homes = [variant.results]
    if not variant.name:  # what needs no model comes with the model of the run
        homes += _without_a_model(variant, folder, references)
    for home in homes:
        predictions = home / "predictions.json"
        scores = PROFILES[settings.evaluate.caption_profile].captions(
            references,
            predictions,
            split=settings.predict.split,
            official_quirks=settings.evaluate.official_quirks,
            backend=settings.evaluate.backend,
            **without,
        )
        attributes = evaluate_attributes(references, predictions, split=settings.predict.split, **without)
        write_json(home / "attributes.json", attributes.to_json())
        _write_scores(home, scores)


def _without_a_model(variant: Variant, folder: Path, references: Path) -> list[Path]:
    """Write the sizes of the boxes, and what the most usual caption says where there are training captions. Returns
    the folder of the latter."""
    from cityscribe.records import read_samples
    from cityscribe.sources.reading import read_scenarios
    from cityscribe.traffic.metrics.box_sizes import box_areas
    from cityscribe.traffic.metrics.majority import write_majority

    settings, prepared, majority = variant.settings, folder / "prepared", variant.results / MAJORITY
    split = settings.predict.split
    training, asked = (read_samples(prepared / f"{name}.parquet") for name in ("train", split))
    write_json(variant.results / "boxes.json", box_areas(read_scenarios(settings.data)[0], asked))
    if not training:  # of data that is there to be predicted only, nothing is usual
        remove_folder(majority)
        return []
    majority.mkdir(parents=True, exist_ok=True)
    forgotten = excluded(settings.runs, settings.data.source)
    write_majority(training, references, majority / "predictions.json", split=split, without=forgotten)
    return [majority]


def _evaluate_questions(variant: Variant, prepared: Path, made_from: str, progress: StepProgress) -> None:
    from cityscribe.evaluate.question_scores import evaluate_questions
    from cityscribe.records import read_samples
    from cityscribe.sources.reading import conversation_source

    settings, split = variant.settings, variant.settings.predict.split
    scores = evaluate_questions(
        variant.results / "predictions.jsonl",
        read_samples(prepared / f"{split}.parquet"),
        learned=read_samples(prepared / "train.parquet"),
        profile=settings.evaluate.profile,
        backend=settings.evaluate.backend,
        split=split,
        against=settings.evaluate.against or conversation_source(settings.data.source).against,
        seed=settings.seed,
    )
    _write_scores(variant.results, scores)


def _write_scores(home: Path, scores: CaptionScores | QuestionScores) -> None:
    write_json(home / "segments.json", scores.segments)
    write_json(home / "scores.provenance.json", {**scores.provenance, "warnings": list(scores.warnings)})
    write_json(home / "scores.json", scores.total)

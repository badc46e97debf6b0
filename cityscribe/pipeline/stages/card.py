"""card: what a checkpoint is, beside its weights: the model card for people, the bill of materials for programs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cityscribe.files import read_json, write_json, write_text
from cityscribe.models.card_files import BOM, CARD
from cityscribe.pipeline.stamps import state_of
from cityscribe.pipeline.step import Plan, Step, StepProgress, Variant
from cityscribe.predict.settings import results_in

if TYPE_CHECKING:
    from cityscribe.cards.facts import DataFacts, ModelFacts, SplitScores
    from cityscribe.digest_store import DigestStore

SPLITS = ("train", "val", "test")


def steps(plan: Plan) -> Iterator[Step]:
    scored = [variant.step("evaluate") for variant in plan.variants]
    for variant in plan.variants:
        if not variant.trains:
            continue
        yield Step(
            "card",
            variant.name,
            partial(_write, plan, variant),
            reads=("name", "model.base", "data.source", "data.licence"),
            after=("prepare", variant.step("train"), *(name for name in scored if name in plan.steps)),
            writes=tuple(f"{variant.prefix}model/{name}" for name in (CARD, BOM)),
            settings=variant.settings,
            split=variant.split,
        )


def _write(plan: Plan, variant: Variant, made_from: str, progress: StepProgress) -> None:
    from cityscribe.cards.bom import bill_of_materials
    from cityscribe.cards.card import card_of

    facts, model = _facts(plan, variant), variant.home / "model"
    write_json(model / BOM, bill_of_materials(facts))
    write_text(model / CARD, card_of(facts))


def _facts(plan: Plan, variant: Variant) -> ModelFacts:
    from cityscribe import __version__
    from cityscribe.cards.facts import ModelFacts, base_facts, digests_of, told_settings
    from cityscribe.digest_store import DigestStore
    from cityscribe.models.vlm.card import parts_of

    settings, model = variant.settings, variant.home / "model"
    known = DigestStore(plan.folder / "state" / "sha256.json", "sha256")
    config = dict(read_json(model / "config.json"))
    decided = [plan.read_by(plan.steps[name]) for name in ("prepare", variant.step("train"), variant.step("predict"))]
    facts = ModelFacts(
        name=" ".join(filter(None, (settings.name, variant.name))),
        architecture=", ".join(config.get("architectures") or ()),
        family=str(config.get("model_type")),
        method=settings.model.method,
        base=base_facts(settings.model.base, known),
        data=_data(plan, known),
        settings=told_settings(decided),
        training=_training(variant.home / "training"),
        digests=digests_of(model, known),
        splits=_scores(plan, variant),
        parts=parts_of(model),
        version=__version__,
    )
    known.save()
    return facts


def _data(plan: Plan, known: DigestStore) -> DataFacts:
    from cityscribe.cards.facts import DataFacts, read_counts
    from cityscribe.cards.licences import normalised
    from cityscribe.prepare.summary import problems_of
    from cityscribe.sources import SOURCES

    data, prepared = plan.settings.data, plan.folder / "prepared"
    notes = [problem for problem in problems_of(prepared) if problem.level == "note" and not problem.place]
    return DataFacts(
        source=data.source,
        found=notes[-1].message if notes else "",
        licence=normalised(data.licence or SOURCES[data.source].licence),
        samples=read_counts(prepared),
        digests={path.name: known.of(path) for path in sorted(prepared.glob("*.parquet"))},
    )


def _training(folder: Path) -> dict[str, str]:
    report = dict(read_json(folder / "report.json"))
    told = ("steps", "groups", "samples", "distinct_tokens", "effective_tokens", "first_loss", "last_loss", "val_loss")
    return {name.replace("_", " "): str(report[name]) for name in told if report.get(name) is not None}


def _scores(plan: Plan, variant: Variant) -> list[SplitScores]:
    """The scores on each split that is up to date, also on those that this run is not about: a card tells of all."""
    from cityscribe.cards.facts import SplitScores, numbers
    from cityscribe.cards.groups import group_scores

    found = []
    for split in SPLITS:
        about = plan.settings.model_copy(update={"predict": plan.settings.predict.model_copy(update={"split": split})})
        other = Plan.of(about, plan.digests)
        results = results_in(plan.folder, split)
        homes = {
            own.name: results / "baselines" / own.name if own.name else results
            for own in other.variants
            if (step := other.steps.get(own.step("evaluate")))
            and state_of(step, other.made_from[step.name], plan.folder).fresh
        }
        if variant.name not in homes:
            continue
        home = homes.pop(variant.name)
        majority = results / "baselines" / "majority"
        homes |= {"majority": majority} if (majority / "scores.json").is_file() else {}
        attributes = dict(read_json(home / "attributes.json")) if (home / "attributes.json").is_file() else {}
        scores = numbers(read_json(home / "scores.json"))
        scores |= {f"attributes/{name}": value for name, value in numbers(attributes.get("mean")).items()}
        others = {name or plan.settings.name: _score(place) for name, place in homes.items()}
        found.append(SplitScores(split, scores, others, group_scores(home)))
    return found


def _score(results: Path) -> float | None:
    score = dict(read_json(results / "scores.json")).get("score")
    return None if score is None else float(score)

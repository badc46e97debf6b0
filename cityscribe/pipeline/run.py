"""Bring a run up to date: make what is missing or has changed, take what other runs have, skip the rest."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from cityscribe.files import InputError, naming, put_in_place, remove_folder, write_text
from cityscribe.pipeline.digests import Digests
from cityscribe.pipeline.folders import locked, remove_what_was_being_removed
from cityscribe.pipeline.needs import check_needs
from cityscribe.pipeline.side_by_side import make_side_by_side
from cityscribe.pipeline.stamps import stamp_of, state_of, write_stamp
from cityscribe.pipeline.step import STAGES, Plan, Step, Watch
from cityscribe.project import Settings, dump_settings
from cityscribe.train import processes

SHARED = ("train", "predict")
"""The stages that several processes share."""


def run(
    settings: Settings,
    watch: Watch,
    tell: Callable[[str], None],
    stages: Sequence[str] = (),
    others: Sequence[Path] = (),
    digests: Digests | None = None,
) -> None:
    """Bring the wanted stages of a run up to date, all by default. `tell` gets a line for each step. `others` are
    folders of runs whose results are taken where they were made of the same settings and inputs. `digests` are kept
    from one run to the next by those who know that nothing changes between them.

    Several processes (of torchrun) train and predict together; all else is for one. Raises InputError where a stage
    that comes before the wanted ones has not been run, or a run is already under way.
    """
    wanted = tuple(stages) or tuple(STAGES)
    if processes.count() > 1 and not set(wanted) <= set(SHARED):
        raise InputError("several processes can `train` and `predict` together; run the other stages without torchrun")
    plan = Plan.of(settings, digests)
    refuse_nothing_to_do(plan, wanted)
    folder = settings.run_dir
    check_needs(settings, stale_stages(plan, wanted))  # before an hour of preparation
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder) if processes.is_first() else contextlib.nullcontext():
        if processes.is_first():
            remove_what_was_being_removed(folder)
            write_text(folder / "project.yaml", dump_settings(settings))
        read = _read_by(plan, wanted)
        to_make = []
        for step in plan.steps.values():
            if step.stage in wanted or step.part_of in wanted:
                to_make.append(step)
            elif step.name in read and not state_of(step, plan.made_from[step.name], folder).fresh:
                raise InputError(f"{folder}: `{step.stage}` is not up to date; run it first, or `cityscribe run`")
        begin, finish = partial(_begin, plan, tell, others), partial(_finish, plan)
        if settings.at_once > 1 and processes.count() == 1:
            make_side_by_side(to_make, plan.made_from, settings.at_once, begin, finish, watch)
            return
        for step in to_make:
            if begin(step):
                with watch(step.name) as progress:
                    step.make(plan.made_from[step.name], progress)
                finish(step)


def stale_stages(plan: Plan, wanted: Sequence[str]) -> list[str]:
    """Those of the wanted stages that have something to make."""
    steps = [step for step in plan.steps.values() if not state_of(step, plan.made_from[step.name], plan.folder).fresh]
    return [stage for stage in wanted if any(step.stage == stage for step in steps)]


def refuse_nothing_to_do(plan: Plan, wanted: Sequence[str]) -> None:
    """Raises InputError where none of the wanted stages is one of this run."""
    if any(step.stage in wanted for step in plan.steps.values()):
        return
    if tuple(wanted) == ("train",):
        raise InputError("model.method none: nothing trains; `cityscribe predict` asks the base as it is")
    if tuple(wanted) == ("card",):
        raise InputError("model.method none: nothing trains, and there is no checkpoint to write a card of")
    if tuple(wanted) == ("reference",):
        raise InputError(f"train.objective {plan.settings.train.objective.name}: no reference is computed for it")
    if tuple(wanted) == ("teacher",):
        raise InputError(f"train.objective {plan.settings.train.objective.name}: has no teacher to be asked")
    if tuple(wanted) == ("pairs",):
        raise InputError(
            f"pairs.builder {plan.settings.pairs.builder.name}: no pairs are made; set pairs.builder, such as "
            "{kind: own-output}"
        )
    raise InputError(
        f"predict.split {plan.settings.predict.split}: has no stage {wanted[0]}; its captions are withheld"
    )


def _read_by(plan: Plan, wanted: Sequence[str]) -> set[str]:
    """The steps whose results the wanted stages read, at once or through others. A part of another stage is that one's
    affair."""
    read: set[str] = set()
    left = [step for step in plan.steps.values() if step.stage in wanted]
    while left:
        before = [plan.steps[name] for name in left.pop().after if name not in read]
        read |= {step.name for step in before}
        left += before
    return {name for name in read if not plan.steps[name].part_of}


def _begin(plan: Plan, tell: Callable[[str], None], others: Sequence[Path], step: Step) -> bool:
    """Whether a step is to be made: it is not up to date, and no other run has what it would write."""
    folder, made_from = plan.folder, plan.made_from[step.name]
    state = state_of(step, made_from, folder)
    if state.fresh:
        _remove_leftovers(step, folder)
        tell(f"{step.name}: up to date")
        return False
    if state.why:
        tell(f"{step.name}: {state.why}; made again")
    processes.wait()  # until all have seen that it is not
    if processes.is_first():
        stamp_of(step, folder).unlink(missing_ok=True)
    takeable = step.shared or step.copied
    home = next((other for other in others if takeable and state_of(step, made_from, other).fresh), None)
    if home is None:
        return True
    _take(step, folder, home)
    tell(f"{step.name}: taken from {home}")
    _finish(plan, step)
    return False


def _finish(plan: Plan, step: Step) -> None:
    """Note that a step is made, and remove what it needed to go on."""
    if processes.is_first():
        write_stamp(step, plan.made_from[step.name], plan.folder)
        _remove_leftovers(step, plan.folder)


def _remove_leftovers(step: Step, folder: Path) -> None:
    if processes.is_first():
        for place in step.leftovers:
            remove_folder(folder / place)


def _take(step: Step, folder: Path, home: Path) -> None:
    """Put what the run folder `home` has of a step into `folder`."""
    for place in (*step.shared, *step.copied):
        made, own = home / place, folder / place
        if not made.exists():
            continue
        partial = own.with_name(f"{own.name}.partial")
        remove_folder(partial)
        partial.parent.mkdir(parents=True, exist_ok=True)
        copy = os.link if place in step.shared else shutil.copy2
        with naming(own):
            shutil.copytree(made, partial, copy_function=copy)
        put_in_place(partial, own)

"""The stages in order: what each reads and writes, what is up to date, and how a run goes on where it was stopped.

    prepare ──> train ──> predict ──> evaluate ──> report         and for each baseline train, predict, evaluate

A stage is a function from files to files in the run folder. Its output appears whole: it is made under a temporary name
and renamed. Then a stamp, `state/STAGE.json`, keeps the hash of what the stage was made from (its settings, and the
hashes of the stages before it); a stage with the right stamp is skipped. What a killed stage left is either not there
or known as unfinished: preparation keeps the images that are whole, training goes on from its last checkpoint,
prediction from its journal, the others start again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cityscribe.files import InputError, write_json, write_text
from cityscribe.project import Settings, dump_settings
from cityscribe.records import read_samples
from cityscribe.train import processes
from cityscribe.train.settings import UNRELATED_TO_WEIGHTS

Progress = Callable[..., None]
"""Called with what is done and what is to be done, and in training with the loss."""

Watch = Callable[[str], AbstractContextManager[Progress]]
"""Shows the progress of the step that it is called with."""

STAGES = ("prepare", "train", "predict", "evaluate", "report")
TAKEN = ("prepare", "train")
"""Stages whose outputs are folders that depend on nothing else of a run, so that another run can take them."""

_SMALL = 1 << 20
"""Bytes up to which a file is known by its content; a larger one by its size and time."""


@dataclass(frozen=True)
class Step:
    """One stage for the model itself or for a baseline."""

    name: str  # such as "predict" or "predict untuned"
    stage: str  # one of STAGES
    made_from: str  # hash of settings and inputs
    outputs: tuple[Path, ...]
    make: Callable[[Progress], None]
    beside: tuple[Path, ...] = ()  # what tells how the outputs were made, if it is still there


def run(
    settings: Settings,
    watch: Watch,
    tell: Callable[[str], None],
    stages: tuple[str, ...] = STAGES,
    others: Sequence[Path] = (),
) -> None:
    """Bring the wanted stages of a run up to date. `tell` gets a line for each step. `others` are folders of runs whose
    preparation and training are taken where they were made of the same settings and inputs.

    Several processes (of torchrun) train together; all else is for one. Raises InputError where a stage that comes
    before the wanted ones has not been run, or a run is already under way.
    """
    if processes.count() > 1 and stages != ("train",):
        raise InputError("several processes can `train` together; run the other stages without torchrun")
    if {"train", "predict"} & set(stages):
        from cityscribe.models.load import resolve_base

        resolve_base(settings.model.base)  # before an hour of preparation
    planned = steps(settings)
    if not any(step.stage in stages for step in planned):
        if stages == ("train",):
            raise InputError("model.method none: nothing trains; `cityscribe predict` asks the base as it is")
        raise InputError(f"predict.split {settings.predict.split}: has no stage {stages[0]}; its captions are withheld")
    folder = settings.run_dir
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder) if processes.is_first() else contextlib.nullcontext():
        if processes.is_first():
            write_text(folder / "project.yaml", dump_settings(settings))
        for step in planned:
            stamp = _stamp_of(step, folder)
            fresh = _is_made(step, folder, folder)
            if step.stage not in stages:
                if not fresh and STAGES.index(step.stage) < min(STAGES.index(stage) for stage in stages):
                    raise InputError(f"{folder}: `{step.stage}` is not up to date; run it first, or `cityscribe run`")
                continue
            if fresh:
                tell(f"{step.name}: up to date")
                continue
            processes.wait()  # until all have seen that it is not
            if processes.is_first():
                stamp.unlink(missing_ok=True)
            made = step.stage in TAKEN and next((other for other in others if _is_made(step, folder, other)), None)
            if made:
                _take(step, folder, made)
                tell(f"{step.name}: taken from {made}")
            else:
                with watch(step.name) as progress:
                    step.make(progress)
            if processes.is_first():
                stamp.parent.mkdir(exist_ok=True)
                write_json(stamp, {"made_from": step.made_from})


def _is_made(step: Step, own: Path, home: Path) -> bool:
    """Whether the run folder `home` holds what a step of the run folder `own` is to make."""
    outputs = (home / path.relative_to(own) for path in step.outputs)
    return _stamped(_stamp_of(step, home)) == step.made_from and all(path.exists() for path in outputs)


def _take(step: Step, own: Path, home: Path) -> None:
    """Put what `home` has of a step into `own`: outputs, which are never written into, as hard links."""
    for path in (*step.outputs, *step.beside):
        copy = os.link if path in step.outputs else shutil.copy2
        partial = path.with_name(f"{path.name}.taken")
        for left in (partial, path):
            shutil.rmtree(left, ignore_errors=True)
        if (made := home / path.relative_to(own)).exists():
            shutil.copytree(made, partial, copy_function=copy)
            os.replace(partial, path)


def _stamp_of(step: Step, run_folder: Path) -> Path:
    return run_folder / "state" / f"{step.name.replace(' ', '-')}.json"


def steps(settings: Settings) -> list[Step]:
    """All steps of a run in order, with the hash of what each is made from."""
    folder, split = settings.run_dir, settings.predict.split
    prepared = _hash("prepare", _listing(settings.data.path), settings.seed, _prepare_settings(settings))
    result = [Step("prepare", "prepare", prepared, (folder / "prepared",), _bind(_prepare, settings, prepared))]
    base = _base_listing(settings.model.base)
    predict_settings = settings.predict.model_dump(mode="json", exclude={"baselines"})
    evaluated = []
    for variant in ("", *settings.predict.baselines):
        home = folder / "baselines" / variant if variant else folder
        own = settings.model_copy(update={"train": settings.train.model_copy(update={"images": False})})
        own = own if variant == "blind" else settings
        trained, model = base, settings.model.base
        if variant != "untuned" and settings.model.tunes:
            model = str(home / "model")
            trained = _hash("train", prepared, base, settings.seed, own.model, _train_settings(own))
            result.append(
                Step(
                    _named("train", variant),
                    "train",
                    trained,
                    (home / "model",),
                    _bind(_train, own, home, trained),
                    (home / "training",),
                )
            )
        predicted = _hash("predict", prepared, trained, settings.seed, predict_settings, own.train.images)
        result.append(
            Step(
                _named("predict", variant),
                "predict",
                predicted,
                (home / _predictions_name(settings),),
                _bind(_predict, own, home, model),
            )
        )
        if brings_samples(settings):
            scored = _hash("evaluate", predicted, settings.evaluate, settings.data.source)
            outputs = (home / "scores.json", home / "segments.json")
            make = _bind(_evaluate_questions, settings, home)
            result.append(Step(_named("evaluate", variant), "evaluate", scored, outputs, make))
            continue
        if split == "test":
            continue  # its captions are withheld
        if settings.evaluate.profile not in ("auto", "wts", "coco"):
            raise InputError(f"evaluate.profile {settings.evaluate.profile}: is of questions; scenarios: wts or coco")
        references = settings.evaluate.references or settings.data.path
        scored = _hash("evaluate", predicted, settings.evaluate, _listing(references, ".json"))
        evaluated.append(scored)
        result.append(
            Step(
                _named("evaluate", variant),
                "evaluate",
                scored,
                (home / "scores.json", home / "attributes.json"),
                _bind(_evaluate, own, home),
            )
        )
    reported = _hash("report", *(step.made_from for step in result), settings.report, settings.name)
    result.append(Step("report", "report", reported, (folder / "report",), lambda p: _report(settings, p)))
    return _in_order(result)


def _in_order(made: list[Step]) -> list[Step]:
    return sorted(made, key=lambda step: STAGES.index(step.stage))


def brings_samples(settings: Settings) -> bool:
    """Whether the source gives conversations, whose answers are scored as questions, rather than scenarios."""
    from cityscribe.sources import SOURCES

    return SOURCES[settings.data.source].yields == "conversations"


def _predictions_name(settings: Settings) -> str:
    return "predictions.jsonl" if brings_samples(settings) else "predictions.json"


def _named(stage: str, variant: str) -> str:
    return f"{stage} {variant}" if variant else stage


def _bind(make: Callable[..., None], *given: Any) -> Callable[[Progress], None]:
    return lambda progress: make(*given, progress)


# The stages


def _prepare(settings: Settings, made_from: str, progress: Progress) -> None:
    from cityscribe.prepare.conversations import prepare_conversations
    from cityscribe.prepare.stage import prepare
    from cityscribe.sources import SOURCES, ConversationSource
    from cityscribe.sources.choices import in_all_rotations
    from cityscribe.sources.reading import nothing_usable, read_scenarios
    from cityscribe.sources.splits import divide

    data = settings.data
    source = SOURCES[data.source]
    if isinstance(source, ConversationSource):
        samples, problems = source.read(data.path, files=data.files, frames=data.frames)
        if not samples:
            raise nothing_usable(data.path, problems, "conversation")
        samples = divide(samples, data.val_share, settings.seed)
        if settings.prepare.rotate_options:
            samples = in_all_rotations(samples)
        with _whole(settings.run_dir / "prepared", made_from) as (out, resume):
            prepare_conversations(samples, data.path, settings.prepare, out, resume=resume, progress=progress)
            _write_problems(out, problems)
        return
    scenarios, problems = read_scenarios(data)
    with _whole(settings.run_dir / "prepared", made_from) as (out, resume):
        prepare(scenarios, settings, out, resume=resume, progress=progress)
        _write_problems(out, problems)


def _write_problems(out: Path, problems: list[Any]) -> None:
    lines = [json.dumps(asdict(problem), ensure_ascii=False) + "\n" for problem in problems]
    (out / "problems.jsonl").write_text("".join(lines), encoding="utf-8")


def _train(settings: Settings, home: Path, made_from: str, progress: Progress) -> None:
    import torch

    from cityscribe.models.load import load_config, round_weights, save_model
    from cityscribe.models.precision import resolve_dtype
    from cityscribe.models.tuning.prepare import load_for_tuning, prepare_tuning
    from cityscribe.train.supervised import train

    training, prepared = home / "training", settings.run_dir / "prepared"
    if processes.is_first() and _stamped(training / "run.json") != made_from:
        shutil.rmtree(training, ignore_errors=True)
        training.mkdir(parents=True)
        write_json(training / "run.json", {"made_from": made_from})
    processes.wait()
    samples = read_samples(prepared / "train.parquet", rejected=True)
    if not samples:
        raise InputError(f"{prepared / 'skipped.jsonl'}: no training sample is left; see there why")
    torch.manual_seed(settings.seed)
    compute = resolve_dtype(settings.train.precision) if settings.model.method == "qlora" else torch.float32
    model, processor = load_for_tuning(settings.model, dtype=compute)
    tuning = prepare_tuning(model, settings.model)
    report = train(
        samples,
        prepared,
        model,
        processor,
        settings.train,
        training,
        seed=settings.seed,
        progress=progress,
        on_group=progress,
    )
    if not processes.is_first():
        return
    write_json(training / "report.json", {**asdict(report), "tuning": asdict(tuning), "table": str(tuning)})
    stored = load_config(settings.model.base).dtype  # the checkpoint keeps the precision of the one that it came from
    if isinstance(stored, torch.dtype):
        round_weights(model, stored)
    save_model(model, processor, home / "model")
    shutil.rmtree(training / "checkpoints", ignore_errors=True)


def _predict(settings: Settings, home: Path, model: Path | str, progress: Progress) -> None:
    from cityscribe.predict.stage import predict

    prepared = settings.run_dir / "prepared"
    split = settings.predict.split
    samples = read_samples(prepared / f"{split}.parquet")
    home.mkdir(parents=True, exist_ok=True)
    if not samples:
        raise InputError(f"{prepared / f'{split}.parquet'}: nothing to predict; set `predict.split` to another split")
    images = settings.train.images
    if brings_samples(settings):
        from cityscribe.predict.conversations import predict_conversations
        from cityscribe.sources import SOURCES, ConversationSource

        out = home / _predictions_name(settings)
        predict_conversations(samples, prepared, model, settings, out, images=images, progress=progress)
        source = SOURCES[settings.data.source]
        if isinstance(source, ConversationSource) and source.submission is not None:
            source.submission(out, home / "submission.json")
        return
    predict(samples, prepared, model, settings, home / "predictions.json", images=images, progress=progress)


def _evaluate(settings: Settings, home: Path, progress: Progress) -> None:
    from cityscribe.evaluate.attribute_scores import evaluate_attributes
    from cityscribe.evaluate.box_sizes import box_areas
    from cityscribe.evaluate.majority import write_majority
    from cityscribe.evaluate.registries import PROFILES
    from cityscribe.sources.reading import read_scenarios

    references = settings.evaluate.references or settings.data.path
    homes = [home]
    if home == settings.run_dir:  # what needs no model comes with the model of the run
        majority = _majority_home(settings)
        prepared = settings.run_dir / "prepared"
        training, asked = (read_samples(prepared / f"{split}.parquet") for split in ("train", settings.predict.split))
        if training:
            majority.mkdir(parents=True, exist_ok=True)
            write_majority(training, references, majority / "predictions.json", split=settings.predict.split)
            homes.append(majority)
        else:  # of data that is there to be predicted only, nothing is usual
            shutil.rmtree(majority, ignore_errors=True)
        write_json(home / "boxes.json", box_areas(read_scenarios(settings.data)[0], asked))
    for place in homes:
        predictions = place / "predictions.json"
        scores = PROFILES[settings.evaluate.caption_profile].captions(
            references,
            predictions,
            split=settings.predict.split,
            official_quirks=settings.evaluate.official_quirks,
            backend=settings.evaluate.backend,
        )
        attributes = evaluate_attributes(references, predictions, split=settings.predict.split)
        write_json(place / "attributes.json", attributes)
        _write_scores(place, scores)


def _evaluate_questions(settings: Settings, home: Path, progress: Progress) -> None:
    from cityscribe.evaluate.questions import evaluate_questions
    from cityscribe.sources import SOURCES, ConversationSource

    prepared, split = settings.run_dir / "prepared", settings.predict.split
    source = SOURCES[settings.data.source]
    usual = source.against if isinstance(source, ConversationSource) else ""
    scores = evaluate_questions(
        home / "predictions.jsonl",
        read_samples(prepared / f"{split}.parquet"),
        learned=read_samples(prepared / "train.parquet"),
        profile=settings.evaluate.profile,
        backend=settings.evaluate.backend,
        split=split,
        against=settings.evaluate.against or usual,
        seed=settings.seed,
    )
    _write_scores(home, scores)


def _write_scores(home: Path, scores: Any) -> None:
    """The files of one evaluation (`evaluate.wts.Scores`), the one that tells that it is done last."""
    write_json(home / "segments.json", scores.segments)
    write_json(home / "scores.provenance.json", {**scores.provenance, "warnings": list(scores.warnings)})
    write_json(home / "scores.json", scores.total)


def _majority_home(settings: Settings) -> Path:
    return settings.run_dir / "baselines" / "majority"


def _report(settings: Settings, progress: Progress) -> None:
    from cityscribe.report.page import write_report
    from cityscribe.report.questions import write_question_report

    with _whole(settings.run_dir / "report") as (out, _):
        if brings_samples(settings):
            write_question_report(settings.run_dir, settings, out)
            return
        write_report(settings.run_dir, settings, out)


# What is up to date


def _prepare_settings(settings: Settings) -> dict[str, Any]:
    """Everything that changes what `prepare` writes: not who writes it, but what a prompt file says."""
    values = settings.prepare.model_dump(mode="json", exclude={"workers", "engine", "prompts"})
    prompts = settings.prepare.prompts
    words = prompts.read_bytes().hex() if prompts is not None and prompts.is_file() else str(prompts)
    data = settings.data.model_dump(mode="json", exclude={"path", "tracks"})
    tracks = "" if settings.data.tracks is None else _file_or_folder(settings.data.tracks)
    return {**values, "prompts": words, "data": data, "tracks": tracks}


def _train_settings(settings: Settings) -> dict[str, Any]:
    """Everything that changes what `train` ends with."""
    return settings.train.model_dump(mode="json", exclude=set(UNRELATED_TO_WEIGHTS))


def _base_listing(base: str) -> str:
    """What a base model is made of. One that is missing matters only to the stages that use it, and they say so."""
    from cityscribe.models.load import resolve_base

    try:
        place = Path(resolve_base(base))
    except InputError:
        return _hash("missing", base)
    return _listing(place) if place.is_dir() else _hash("hub", base)


def _listing(folder: Path, suffix: str = "") -> str:
    """The hash of the files below a folder. Raises InputError where it is not one."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    digest = hashlib.sha256()
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if not name.endswith(suffix) or not path.is_file():
                continue
            status = path.stat()
            content = path.read_bytes() if status.st_size <= _SMALL else str(status.st_mtime_ns).encode()
            place = os.fsencode(path.relative_to(folder))  # which need not be UTF-8
            digest.update(place + f"\0{status.st_size}\0".encode())
            digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def _file_or_folder(path: Path) -> str:
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return _listing(path) if path.is_dir() else str(path)


def _hash(*parts: Any) -> str:
    plain = [part.model_dump(mode="json") if hasattr(part, "model_dump") else part for part in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _stamped(stamp: Path) -> str:
    """What a stamp says; nothing where there is none or it is torn."""
    try:
        return str(json.loads(stamp.read_text(encoding="utf-8"))["made_from"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


@contextlib.contextmanager
def _whole(folder: Path, made_from: str = "") -> Iterator[tuple[Path, bool]]:
    """A temporary folder that takes the place of `folder` once the block ends well, and whether it holds what a killed
    block left that was to be made from the same (never, where that is not said)."""
    partial, old = folder.with_name(folder.name + ".partial"), folder.with_name(folder.name + ".old")
    begun = folder.with_name(folder.name + ".begun.json")  # beside it, so that it never becomes a part of it
    resume = made_from != "" and partial.is_dir() and _stamped(begun) == made_from
    for leftover in (old, *(() if resume else (partial,))):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(parents=True, exist_ok=True)
    if made_from:
        write_json(begun, {"made_from": made_from})
    yield partial, resume
    if folder.exists():
        os.replace(folder, old)
    os.replace(partial, folder)
    shutil.rmtree(old, ignore_errors=True)
    begun.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time works in a run folder; the lock goes with its process, however that ends."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"{folder}: another cityscribe works in this run; wait for it or name another run"
            ) from error
        yield

"""The stage `predict`: from prepared samples and a checkpoint to the submission format of the AI City Challenge.

    OUT                  {"scenario": [{"labels": ["4"], "caption_pedestrian": "...", "caption_vehicle": "..."}, ...]}
    OUT.notes.json       phases that were predicted from a raw frame, and answers that are less than an answer
    OUT.partial.jsonl    the journal, while the prediction runs

Phases are asked about in batches of fixed composition and each finished batch goes to the journal, so that a killed
prediction goes on where it was and ends with the same bytes as an uninterrupted one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from cityscribe.files import InputError, write_json
from cityscribe.models.load import load_model, load_processor
from cityscribe.models.precision import resolve_dtype
from cityscribe.predict.answers import Answer, Answering
from cityscribe.predict.batches import Progress, answer_batches
from cityscribe.predict.drafts import Drafts
from cityscribe.predict.fingerprint import TRAINED, fingerprint
from cityscribe.predict.journal import Journal
from cityscribe.predict.local import Engine
from cityscribe.predict.remote import RemoteEngine
from cityscribe.predict.sequential import Scene, ask
from cityscribe.project import Settings
from cityscribe.records import Sample, read_samples, text_of
from cityscribe.traffic.meta import traffic_meta
from cityscribe.traffic.scenario import ROLES


@dataclass(frozen=True, slots=True)
class PredictReport:
    """What a prediction did, in counts."""

    scenarios: int
    phases: int
    resumed: int  # phases that an earlier, interrupted run had answered
    prompt_tokens: int
    answer_tokens: int
    steps: int  # passes of the model that the answers took; fewer than tokens with drafts
    raw_frames: int  # phases predicted from a raw frame
    problems: dict[str, int]  # empty, cut, non-finite: how many answers


@dataclass(frozen=True, slots=True)
class _Phase:
    """The long questions of one image group."""

    samples: dict[str, Sample]  # role -> sample

    @property
    def first(self) -> Sample:
        return next(iter(self.samples.values()))


def predict(
    samples: list[Sample],
    image_root: Path,
    model_dir: Path | str,
    settings: Settings,
    out: Path,
    *,
    images: bool = True,
    progress: Progress | None = None,
) -> PredictReport:
    """Describe each phase of the long samples with the model in `model_dir`, a folder or hub id; other samples are
    passed over. Images are read relative to `image_root`; `images=False` asks the same questions without them.

    `progress` is called with the phases that are done and all. Raises InputError for a checkpoint or an image that
    cannot be used, two groups about one phase of a scenario, and files that cannot be written.
    """
    phases = _phases(samples)
    report = progress or (lambda done, total: None)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        asked = [sample for phase in phases for sample in phase.samples.values()]
        key = fingerprint(asked, image_root, model_dir, settings, images)
        journal = Journal(out.with_name(out.name + ".partial.jsonl"), key)
        size = settings.predict.batch_size
        batches = [phases[start : start + size] for start in range(0, len(phases), size)]

        def ask_batch(engine: Answering, batch: Sequence[_Phase]) -> list[dict[str, Any]]:
            said = ask(engine, [_scene(phase, image_root, images) for phase in batch], settings.predict.order)
            return [{role: asdict(answer) for role, answer in entry.items()} for entry in said]

        entries, resumed = answer_batches(
            batches, journal, lambda: load_engine(model_dir, image_root, settings), ask_batch, report
        )
        answers = [{role: Answer(**answer) for role, answer in entry.items()} for entry in entries]
        _refuse_noise(answers, model_dir)
        write_json(out.with_name(out.name + ".notes.json"), _notes(phases, answers))
        write_json(out, _submission(phases, answers))
        journal.discard()
    except OSError as error:
        raise InputError(f"{error.filename or out}: cannot be written: {error.strerror or error}") from error
    said = [answer for entry in answers for answer in entry.values()]
    return PredictReport(
        scenarios=len({traffic_meta(phase.first).scenario for phase in phases}),
        phases=len(phases),
        resumed=resumed,
        prompt_tokens=sum(answer.prompt_tokens for answer in said),
        answer_tokens=sum(answer.tokens for answer in said),
        steps=sum(answer.steps for answer in said),
        raw_frames=sum(bool(traffic_meta(phase.first).note) for phase in phases),
        problems=dict(sorted(Counter(answer.problem for answer in said if answer.problem).items())),
    )


def _phases(samples: list[Sample]) -> list[_Phase]:
    """The groups with long questions in the order of scenarios and phases, whatever the order of the samples."""
    groups: dict[str, dict[str, Sample]] = {}
    for sample in samples:
        if sample.meta.kind == "long":
            role = traffic_meta(sample).target
            if role not in ROLES:
                raise InputError(f"group {sample.group}: a long sample about `{role}`; expected {' or '.join(ROLES)}")
            if role in groups.setdefault(sample.group, {}):
                raise InputError(f"group {sample.group}: two long samples about the {role}")
            groups[sample.group][role] = sample
    if not groups:
        raise InputError("the prepared samples have no long questions to predict; run `cityscribe prepare` again")
    phases: dict[tuple[str, int], _Phase] = {}
    for name in sorted(groups):
        phase = _Phase({role: groups[name][role] for role in ROLES if role in groups[name]})
        place = (traffic_meta(phase.first).scenario, traffic_meta(phase.first).phase)
        if place in phases:
            other = phases[place].first.group
            raise InputError(f"scenario {place[0]}, phase {place[1]}: two groups, {other} and {name}")
        phases[place] = phase
    return [phases[place] for place in sorted(phases)]


def load_engine(model_dir: Path | str, image_root: Path, settings: Settings) -> Answering:
    """What answers by these settings: a server, or the model in a folder with drafts of the training answers."""
    if settings.predict.engine == "remote":
        return RemoteEngine(settings.predict, settings.seed)
    model = load_model(model_dir, dtype=resolve_dtype(settings.predict.precision), tiles=settings.model.tiles)
    if torch.cuda.is_available():
        model = model.to("cuda")  # type: ignore[arg-type]
    processor = load_processor(model_dir, tiles=settings.model.tiles)
    engine = Engine(model, processor, settings.predict, settings.seed)
    if settings.predict.drafts and (image_root / TRAINED).is_file():
        engine.drafts = Drafts(
            [*processor.tokenizer.encode(text_of(entry), add_special_tokens=False), engine.ends[0]]
            for sample in read_samples(image_root / TRAINED)
            for entry in sample.messages
            if entry["role"] == "assistant"
        )
    return engine


def _scene(phase: _Phase, image_root: Path, images: bool) -> Scene:
    """The questions as `prepare` wrote them: the text of the user's first message, word for word."""
    shown = tuple(image_root / image for image in phase.first.images) if images else ()
    return Scene(shown, {role: text_of(sample.messages[0]) for role, sample in phase.samples.items()})


def _submission(phases: list[_Phase], answers: list[dict[str, Answer]]) -> dict[str, list[dict[str, Any]]]:
    submission: dict[str, list[dict[str, Any]]] = {}
    for phase, entry in zip(phases, answers, strict=True):
        captions = {f"caption_{role}": entry[role].text if role in entry else "" for role in ROLES}
        segment = {"labels": [str(traffic_meta(phase.first).phase)], **captions}
        submission.setdefault(traffic_meta(phase.first).scenario, []).append(segment)
    return submission


def _notes(phases: list[_Phase], answers: list[dict[str, Answer]]) -> dict[str, list[dict[str, Any]]]:
    notes: dict[str, list[dict[str, Any]]] = {"raw_frames": [], "answers": []}
    for phase, entry in zip(phases, answers, strict=True):
        meta = traffic_meta(phase.first)
        place = {"scenario": meta.scenario, "phase": meta.phase, "view": meta.view}
        if meta.note:
            notes["raw_frames"].append({**place, "note": meta.note})
        for role in ROLES:
            if role in entry and entry[role].problem:
                notes["answers"].append({**place, "target": role, "problem": entry[role].problem})
    return notes


def _refuse_noise(answers: list[dict[str, Answer]], model_dir: Path | str) -> None:
    """A model whose every answer broke off in numbers that are none has not predicted anything."""
    if all(answer.problem == "non-finite" for entry in answers for answer in entry.values()):
        raise InputError(f"{model_dir}: gives no finite numbers; if it runs in bf16, try predict.precision=fp32")

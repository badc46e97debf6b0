"""The stage `predict`: from prepared samples and a checkpoint to the submission format of the AI City Challenge.

    OUT                  {"scenario": [{"labels": ["4"], "caption_pedestrian": "...", "caption_vehicle": "..."}, ...]}
    OUT.notes.json       phases that were predicted from a raw frame, and answers that are less than an answer
    OUT.partial.jsonl    the journal, while the prediction runs

Phases are asked about in batches of fixed composition and each finished batch goes to the journal, so that a killed
prediction goes on where it was and ends with the same bytes as an uninterrupted one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cityscribe.engine.members import open_engine
from cityscribe.engine.request import UNANSWERED, Answer, Engine, Request, Sampling
from cityscribe.files import InputError, write_json
from cityscribe.predict.answers import answer_of, entry_of, tell_unanswered
from cityscribe.predict.batches import answer_batches
from cityscribe.predict.captions import FromFacts, write_from_facts
from cityscribe.predict.choosers import given
from cityscribe.predict.fingerprint import TRAINED, fingerprint
from cityscribe.predict.journal import SharedJournal
from cityscribe.predict.sequential import AskedScene, ask
from cityscribe.predict.settings import Predicting
from cityscribe.predict.setup import setup_of
from cityscribe.progress import Progress, silent
from cityscribe.records import Sample, SampleMessage, media_blocks, placed, read_samples, text_of
from cityscribe.traffic.meta import traffic_meta
from cityscribe.traffic.scenario import ROLES
from cityscribe.train import processes


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
    problems: dict[str, int]  # problem of `engine.request.Answer` -> how many answers


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
    settings: Predicting,
    out: Path,
    *,
    images: bool = True,
    progress: Progress | None = None,
) -> PredictReport:
    """Describe each phase of the long samples with the model in `model_dir`, a folder or hub id; other samples are
    passed over. Images are read relative to `image_root`; `images=False` asks the same questions without them.

    A question that cannot be asked (its image is torn, or the model's processor refuses it) is left empty, named and
    counted. Several processes (of torchrun) share the phases out; the first writes. `progress` is called with the
    phases that are done and all. Raises InputError for a checkpoint that cannot be used, where no question can be
    answered, for two groups about one phase of a scenario, and for files that are missing or cannot be written.
    """
    phases = _phases(samples)
    report = progress or silent
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        asked = [sample for phase in phases for sample in phase.samples.values()]
        key = fingerprint(asked, image_root, model_dir, settings, images)
        journal = SharedJournal(out.with_name(out.name + ".partial.jsonl"), key)
        size = settings.predict.batch_size
        batches = [phases[start : start + size] for start in range(0, len(phases), size)]

        def ask_batch(engine: Engine, batch: Sequence[_Phase]) -> list[dict[str, dict[str, object]]]:
            scenes = [_scene(phase, image_root, images) for phase in batch]
            choose = partial(_choose, batch, settings)
            writer = settings.predict.captions
            if isinstance(writer, FromFacts):
                about = [traffic_meta(phase.first) for phase in batch]
                answered = write_from_facts(engine, scenes, about, writer, asking(settings))
            else:
                answered = ask(engine, scenes, settings.predict.order, asking(settings), choose)
            return [{role: entry_of(answer) for role, answer in entry.items()} for entry in answered]

        entries, resumed = answer_batches(
            batches, journal, lambda: engine_of(model_dir, image_root, settings), ask_batch, report
        )
        answers = [{role: answer_of(answer) for role, answer in entry.items()} for entry in entries]
        _refuse_noise(answers, model_dir)
        try:
            tell_unanswered(_named(phases, answers), model_dir)
        except InputError:
            journal.discard()  # what made all of them fail may be mended without a change of the settings
            raise
        if processes.is_first():
            write_json(out.with_name(out.name + ".notes.json"), _notes(phases, answers))
            write_json(out, _submission(phases, answers))
            journal.discard()
    except OSError as error:
        raise InputError(f"{error.filename or out}: cannot be written: {error.strerror or error}") from error
    given = [answer for entry in answers for answer in entry.values()]
    return PredictReport(
        scenarios=len({traffic_meta(phase.first).scenario for phase in phases}),
        phases=len(phases),
        resumed=resumed,
        prompt_tokens=sum(answer.prompt_tokens for answer in given),
        answer_tokens=sum(answer.tokens for answer in given),
        steps=sum(answer.steps for answer in given),
        raw_frames=sum(bool(traffic_meta(phase.first).note) for phase in phases),
        problems=dict(sorted(Counter(answer.problem for answer in given if answer.problem).items())),
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


def engine_of(model_dir: Path | str, image_root: Path, settings: Predicting) -> Engine:
    """What answers by these settings: the engine that they name, with the training answers for its drafts."""
    return open_engine(settings.predict.engine, model_dir, setup_of(settings), training_answers(image_root))


def training_answers(image_root: Path) -> Iterator[str]:
    """What the assistant says in the training samples beside the images; nothing where there are none."""
    if (image_root / TRAINED).is_file():
        for sample in read_samples(image_root / TRAINED):
            yield from (text_of(entry) for entry in sample.messages if entry["role"] == "assistant")


def asking(settings: Predicting) -> Request:
    """How these settings ask; what is asked is filled in."""
    sampling = Sampling(temperature=settings.predict.temperature, seed=settings.seed)
    return Request(
        (),
        max_tokens=settings.predict.max_new_tokens,
        sampling=sampling,
        samples=settings.predict.samples,
        logprobs=settings.predict.choose.needs_logprobs,
        contrast=settings.predict.decoding.contrast(),
    )


def _choose(
    batch: Sequence[_Phase],
    settings: Predicting,
    number: int,
    role: str,
    messages: tuple[SampleMessage, ...],
    answers: Sequence[Answer],
) -> Answer:
    """The answer that is given, of those about a road user of a phase of a batch."""
    sample = batch[number].samples[role]
    known = sample.messages[-1:] if sample.messages[-1]["role"] == "assistant" else ()
    return given(settings.predict.choose, replace(sample, messages=(*messages, *known)), answers)


def _scene(phase: _Phase, image_root: Path, images: bool) -> AskedScene:
    """The questions as `prepare` wrote them: the text of the user's first message, word for word."""
    shown = tuple(image_root / image for image in phase.first.images) if images else ()
    blocks = media_blocks(placed(phase.first.messages, image_root)) if images else []
    videos = tuple(block for block in blocks if block["type"] == "video")
    return AskedScene(shown, {role: text_of(sample.messages[0]) for role, sample in phase.samples.items()}, videos)


def _submission(phases: list[_Phase], answers: list[dict[str, Answer]]) -> dict[str, list[dict[str, object]]]:
    submission: dict[str, list[dict[str, object]]] = {}
    for phase, entry in zip(phases, answers, strict=True):
        captions = {f"caption_{role}": entry[role].text if role in entry else "" for role in ROLES}
        segment: dict[str, object] = {"labels": [str(traffic_meta(phase.first).phase)], **captions}
        submission.setdefault(traffic_meta(phase.first).scenario, []).append(segment)
    return submission


def _notes(phases: list[_Phase], answers: list[dict[str, Answer]]) -> dict[str, list[dict[str, object]]]:
    notes: dict[str, list[dict[str, object]]] = {"raw_frames": [], "answers": []}
    for phase, entry in zip(phases, answers, strict=True):
        meta = traffic_meta(phase.first)
        place = {"scenario": meta.scenario, "phase": meta.phase, "view": meta.view}
        if meta.note:
            notes["raw_frames"].append({**place, "note": meta.note})
        for role in ROLES:
            if role in entry and entry[role].problem:
                note = {**place, "target": role, "problem": entry[role].problem}
                if entry[role].problem in UNANSWERED:
                    note |= {"reason": entry[role].reason, "images": list(phase.first.images)}
                notes["answers"].append(note)
    return notes


def _named(phases: list[_Phase], answers: list[dict[str, Answer]]) -> list[tuple[str, Answer]]:
    """Each answer with the sample that it is for and the files of that."""
    return [
        (
            f"{sample.meta.scenario}, phase {traffic_meta(sample).phase}, {role} ({', '.join(sample.images)})",
            entry[role],
        )
        for phase, entry in zip(phases, answers, strict=True)
        for role, sample in phase.samples.items()
    ]


def _refuse_noise(answers: list[dict[str, Answer]], model_dir: Path | str) -> None:
    """A model whose every answer broke off in numbers that are none has not predicted anything."""
    if all(answer.problem == "non-finite" for entry in answers for answer in entry.values()):
        raise InputError(f"{model_dir}: gives no finite numbers; if it runs in bf16, try predict.precision=fp32")

"""All about one entry, as the page is given it: views, boxes by frame, phases, what is chosen and why, what is said."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from cityscribe.browse.library import AnswerLine, Library, answers_to, entry_id
from cityscribe.media.video import VideoError, frame_index
from cityscribe.media.video_index import FrameIndex, frame_index_of
from cityscribe.prepare.keyframe import KeyFrame, key_frame
from cityscribe.prepare.labeller import label_by_rules
from cityscribe.prepare.views import (
    average_area,
    ranked_views,
    why_phase_is_left_out,
    why_view_is_left_out,
    with_boxes,
)
from cityscribe.records import text_of
from cityscribe.report.differences import TextSpan, compare
from cityscribe.report.run_files import Run
from cityscribe.traffic.scenario import PHASES, ROLES, Phase, Scenario, View
from cityscribe.traffic.sentences import split_sentences

PATH = re.compile(r"^[^:]*[/\\][^:]*: ")


@dataclass(frozen=True, slots=True)
class Looked:
    """A view with its video opened: `boxed` has the boxes that count, labelled with phases; `error` says what is wrong
    with the video, and then `index` is None."""

    view: View
    boxed: View
    index: FrameIndex | None
    error: str


def without_path(reason: str) -> str:
    """A reason without the path at its beginning, which is of no use on the page."""
    return PATH.sub("", reason)


def look(view: View, library: Library) -> Looked:
    """Open the video of a view as far as its frames must be counted."""
    try:
        return Looked(view, with_boxes(view, library.settings.data.boxes), frame_index_of(view.video), "")
    except VideoError as error:
        return Looked(view, replace(view, boxes={}), None, without_path(str(error)))


def scenario_detail(library: Library, id: str) -> dict[str, object]:
    """A scenario as JSON. Its views come in the order in which evaluation prefers them, those without phases last."""
    scenario = library.scenarios[id]
    looked = {view.name: look(view, library) for view in scenario.views}
    boxed = replace(scenario, views=tuple(each.boxed for each in looked.values()))
    ranks = {view.name: rank for rank, view in enumerate(ranked_views(boxed), start=1)}
    samples = library.samples_of(id)
    places = {view.name: place for place, view in enumerate(scenario.views)}
    order = sorted(looked, key=lambda name: ranks.get(name, len(ranks) + 1))
    return {
        "id": id,
        "name": scenario.name,
        "split": scenario.split,
        "domain": scenario.domain,
        "correctable": library.corrections is not None,
        "corrections": library.corrections.count(scenario) if library.corrections else 0,
        "thresholds": {
            "pedestrian": library.settings.prepare.pedestrian_threshold,
            "vehicle": library.settings.prepare.vehicle_threshold,
        },
        "views": [_view(library, scenario, looked[name], places[name], ranks.get(name, 0), samples) for name in order],
        "captions": _captions(scenario),
        "predictions": _predictions(library.run, scenario) if library.run else [],
        "skipped": [{**skip.model_dump(), "why": without_path(skip.why)} for skip in library.skipped.get(id, ())],
    }


def conversation_detail(library: Library, id: str) -> dict[str, object]:
    """The conversations about one group of images as JSON."""
    samples = library.samples_of(id)
    return {
        "id": id,
        "name": samples[0]["group"],
        "split": samples[0]["meta"]["split"],
        "domain": samples[0]["meta"]["domain"],
        "images": [f"/api/entries/{id}/samples/0/images/{n}" for n in range(len(samples[0]["images"]))],
        "samples": [
            {
                **_sample(sample),
                "turns": _turns(sample),
                "options": list(sample["meta"]["options"]),
                "answers": [_answer(sample, line) for line in answers_to(library, sample)],
            }
            for sample in samples
        ],
    }


def phase_key_frame(looked: Looked, number: int, *, with_gaze: bool = False) -> KeyFrame | None:
    """The frame that `prepare` takes for a phase; None without that phase or a video."""
    phase = next((phase for phase in looked.boxed.phases if phase.number == number), None)
    return key_frame(looked.boxed, phase, looked.index.info, with_gaze=with_gaze) if phase and looked.index else None


def thumbnail_frame(library: Library, id: str) -> tuple[View, KeyFrame] | None:
    """The view and the key frame that show a scenario best at a glance: with both road users, else one, else any."""
    best: tuple[int, View, KeyFrame] | None = None
    for view in library.scenarios[id].views:
        if library.leads_out(view.video):
            continue
        looked = look(view, library)
        # The middle of the event says most, and the phases beside it come next.
        for phase in sorted(looked.boxed.phases, key=lambda phase: abs(phase.number - 2)):
            key = phase_key_frame(looked, phase.number)
            if key is not None and (best is None or len(key.boxes) > best[0]):
                best = len(key.boxes), view, key
        if best is not None and best[0] == len(ROLES):
            break
    return None if best is None else best[1:]


def _view(
    library: Library, scenario: Scenario, looked: Looked, place: int, rank: int, samples: Sequence[Mapping[str, Any]]
) -> dict[str, object]:
    view, index = looked.view, looked.index
    base = f"/api/entries/{entry_id(scenario.split, scenario.name)}/views/{place}"
    return {
        "place": place,
        "name": view.name,
        "kind": view.kind,
        "reference": view.reference,
        "rank": rank,
        "left_out": why_view_is_left_out(view) if scenario.split == "train" else "",
        "error": looked.error,
        "video": None
        if index is None
        else {
            "url": f"{base}/video",
            "frames_url": f"{base}/frames/",
            "times_s": [round(time_s, 5) for time_s in index.times_s],
            **asdict(index.info),
        },
        "phases": [_phase(library, scenario, looked, phase, base, samples) for phase in view.phases],
        "boxes": {role: _boxes(looked, role) for role in ROLES if view.boxes.get(role)},
    }


def _boxes(looked: Looked, role: str) -> list[dict[str, object]]:
    """All boxes of a road user by frame, the ones that do not count included."""
    fps = looked.index.info.fps if looked.index else 0.0
    return [
        {
            "frame": frame_index(box.image_id, fps),
            "image_id": box.image_id,
            "xywh": list(box.xywh),
            "phase": box.phase,
            "generated": box.generated,
        }
        for box in looked.view.boxes[role]
    ]


def _phase(
    library: Library, scenario: Scenario, looked: Looked, phase: Phase, base: str, samples: Sequence[Mapping[str, Any]]
) -> dict[str, object]:
    view = looked.view
    own = [
        (number, sample)
        for number, sample in enumerate(samples)
        if sample["meta"]["view"] == view.name and sample["meta"]["phase"] == phase.number
    ]
    key = phase_key_frame(looked, phase.number)
    entry: dict[str, object] = {
        "number": phase.number,
        "name": PHASES[phase.number],
        "start_s": phase.start_s,
        "end_s": phase.end_s,
        "frame": key.frame if key else 0,
        "areas": {role: round(average_area(looked.boxed, role, phase.number)) for role in ROLES},
        "why": why_phase_is_left_out(looked.boxed, phase.number, library.settings.prepare)
        if scenario.split == "train"
        else "",
        "samples": [_sample(sample) for _, sample in own],
        "note": "",
        "images": [],
    }
    if own:
        names = library.settings.prepare.images
        first, sample = own[0]
        entry["prepared"] = True
        entry["note"] = sample["meta"]["note"]
        entry["images"] = [
            {
                "name": names[n] if len(names) == len(sample["images"]) else f"image {n + 1}",
                "url": f"{base.partition('/views/')[0]}/samples/{first}/images/{n}",
            }
            for n in range(len(sample["images"]))
        ]
    elif key:
        entry["prepared"] = False
        entry["note"] = key.note
        entry["images"] = [
            {"name": kind, "url": f"{base}/phases/{phase.number}/{kind}"} for kind in library.settings.prepare.images
        ]
    return entry


def _captions(scenario: Scenario) -> list[dict[str, object]]:
    """Each phase's captions, their sentences sorted into dimensions by the rules."""
    return [
        {
            "phase": number,
            "role": role,
            "text": caption,
            "sentences": [
                {"text": sentence, "dimension": dimension}
                for sentence, dimension in label_by_rules(role, split_sentences(caption))
            ],
        }
        for (number, role), caption in sorted(scenario.captions().items())
    ]


def _predictions(run: Run, scenario: Scenario) -> list[dict[str, object]]:
    """What the run's models said of each phase and road user, beside the reference."""
    found = []
    for phase in (phase for phase in run.phases if phase.scenario == scenario.name):
        for role in ROLES:
            if role not in phase.questions:
                continue
            reference = phase.references.get(role, "").strip()
            key = (scenario.name, phase.phase, role)
            models = []
            missed = [TextSpan(reference, False)]
            for number, model in enumerate(run.models):
                caption = (model.captions or {}).get(key[:2], {}).get(role)
                if caption is None:
                    continue
                spans = [TextSpan(caption, False)]
                if reference and caption:
                    left, spans = compare(reference, caption)
                    missed = left if number == 0 else missed
                metrics = (model.segments or {}).get(key)
                models.append(
                    {
                        "name": model.name,
                        "spans": _spans(spans),
                        "points": None if metrics is None else round(metrics.score(), 1),
                        "problem": model.problems.get(key, ""),
                    }
                )
            found.append(
                {
                    "phase": phase.phase,
                    "role": role,
                    "view": phase.view,
                    "question": phase.questions[role],
                    "reference": _spans(missed),
                    "models": models,
                }
            )
    return found


def _spans(spans: list[TextSpan]) -> list[dict[str, object]]:
    return [{"text": span.text, "differs": span.differs} for span in spans if span.text]


def _sample(sample: Mapping[str, Any]) -> dict[str, object]:
    meta = sample["meta"]
    return {
        "kind": meta["kind"],
        "target": meta["target"],
        "dimension": meta["dimension"],
        "turns": _turns(sample),
    }


def _turns(sample: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"role": entry["role"], "text": text_of(entry)} for entry in sample["messages"]]


def _answer(sample: Mapping[str, Any], line: AnswerLine) -> dict[str, object]:
    """An answer beside its reference, differences marked."""
    reference, answer = line.reference, line.answer
    missed, spans = (
        compare(reference, answer)
        if reference and answer
        else ([TextSpan(reference, False)], [TextSpan(answer, False)])
    )
    return {
        "reference": _spans(missed),
        "spans": _spans(spans),
        "chosen": line.chosen,
        "problem": line.problem,
    }

"""A run folder as the stages write it: pictures of the synthetic city, predictions with mistakes, their scores."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import yaml
from PIL import Image

from cityscribe.files import write_json
from cityscribe.prepare.drawing import draw_boxes
from cityscribe.prepare.geometry import local_view
from cityscribe.project import Settings
from cityscribe.records import Sample, image_block, message, text_block, write_samples
from cityscribe.traffic.meta import TrafficMeta
from cityscribe.traffic.metrics.attribute_scores import evaluate_attributes
from cityscribe.traffic.metrics.wts import evaluate_wts
from cityscribe.traffic.scenario import PHASES, ROLES
from cityscribe.world.captions import pedestrian_caption, vehicle_caption
from cityscribe.world.event import Event, sample_event
from cityscribe.world.facts import facts_at
from cityscribe.world.render import box_of, render
from cityscribe.world.scene import Camera, dashboard_camera, fixed_camera

QUESTIONS = {
    role: f"Phase of the event: {{phase}}. Look at the {role} and give an account of what it looks like and does."
    for role in ROLES
}
MISTAKES = {
    "black": "gray",
    "white": "yellow",
    "blue": "red",
    "red": "blue",
    "male": "female",
    "close": "far",
    "far": "close",
    "walking slowly": "running quickly",
    "watching": "not looking at",
    "left": "right",
    "dry": "wet",
    "cloudy": "clear",
    "light": "usual",
}
VAGUE = "There is a person on a road. A car is near the person. The weather is clear and the road is dry."

Captions = dict[str, dict[int, dict[str, str]]]
"""By scenario, phase and role."""


def settings(run_dir: Path, **sections: dict[str, object]) -> Settings:
    predict = {"baselines": ["untuned", "blind"], **sections.pop("predict", {})}
    return Settings.model_validate(
        {"name": run_dir.name, "runs": str(run_dir.parent), "data": {"path": "city"}, "predict": predict, **sections}
    )


def build_run(run_dir: Path, *, internal: int = 3, external: int = 2, size: tuple[int, int] = (160, 90)) -> Settings:
    """Write a finished run of so many val scenarios with both baselines; returns its settings."""
    names = [f"20230901_{n}_SY{n:04d}_T1" for n in range(1, internal + 1)]
    names += [f"video{5000 + n}" for n in range(1, external + 1)]
    prepared = run_dir / "prepared"
    prepared.mkdir(parents=True)
    references: Captions = {}
    samples: list[Sample] = []
    for seed, name in enumerate(names, start=100):
        event = sample_event(seed)
        for phase in range(len(PHASES)):
            facts = facts_at(event, event.boundaries_s[phase])
            captions = {"pedestrian": pedestrian_caption(facts), "vehicle": vehicle_caption(facts)}
            references.setdefault(name, {})[phase] = captions
            samples += _samples(prepared, event, name, phase, captions, size)
    write_samples(prepared / "val.parquet", samples)
    counts = {"scenarios": {"train": 40, "val": len(names)}, "samples": {"train": {"long": 300, "short": 290}}}
    write_json(prepared / "prepare.json", {**counts, "images": 2 * len(samples), "raw_frames": 0})
    write_lines(prepared / "skipped.jsonl", SKIPPED)

    tree = _write_references(run_dir.parent / f"{run_dir.name}-data", references)
    shuffled = dict(zip(names, [references[name] for name in [*names[1:], names[0]]], strict=True))
    write_model(run_dir, tree, _changed(references, lambda caption, rng: _with_mistakes(caption, rng, 0.35)))
    write_model(run_dir / "baselines" / "untuned", tree, _changed(references, lambda caption, rng: VAGUE))
    write_model(
        run_dir / "baselines" / "blind",
        tree,
        _changed(shuffled, lambda caption, rng: _with_mistakes(caption, rng, 0.1)),
    )
    write_curve(run_dir, 0.25)
    write_curve(run_dir / "baselines" / "blind", 0.6)
    parts = [("vision_tower", 4_100_000, 0), ("connector", 120_000, 0), ("language_model", 8_900_000, 2_100_000)]
    columns = ("part", "total", "trainable")
    tuning = {"method": "block-expansion", "parts": [dict(zip(columns, part, strict=True)) for part in parts]}
    table = "\n".join(f"{part:<16}{total:>12,}{trainable:>12,}" for part, total, trainable in parts)
    training: dict[str, object] = {
        "steps": 120,
        "last_loss": 0.27913,
        "tree_error": None,
        "notes": [],
        "tuning": tuning,
        "table": table,
    }
    write_json(run_dir / "training" / "report.json", training)
    cut = {"scenario": names[0], "phase": 1, "view": "view", "target": "vehicle", "problem": "cut"}
    write_json(run_dir / "predictions.json.notes.json", {"raw_frames": [], "answers": [cut]})
    made = settings(run_dir)
    (run_dir / "project.yaml").write_text(yaml.safe_dump(made.model_dump(mode="json"), sort_keys=False))
    return made


SKIPPED: list[dict[str, object]] = [
    *(
        {
            "split": "train",
            "scenario": f"20230901_{n}_SY{n:04d}_T1",
            "view": f"Camera1_{n}",
            "what": "phase",
            "phase": n % 5,
            "why": f"pedestrian of {400 + n} px2 is not above 1000",
        }
        for n in range(7)
    ),
    {
        "split": "train",
        "scenario": "20230901_9_SY0009_T1",
        "view": "Camera4_0",
        "what": "view",
        "why": "not a reference view of its scenario",
    },
    {
        "split": "val",
        "scenario": "video5001",
        "view": "video5001",
        "what": "video",
        "why": "city/videos/video5001.mp4: not one frame can be read",
    },
]


def write_lines(path: Path, entries: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")


def write_curve(folder: Path, floor: float, steps: int = 120) -> None:
    rng = random.Random(steps)
    write_lines(
        folder / "training" / "curve.jsonl",
        [
            {
                "step": step,
                "loss": floor + 2.5 * math.exp(-step / 18) + rng.uniform(-0.04, 0.04),
                "lr": 2e-4 * min(step / 6, 0.5 * (1 + math.cos(math.pi * step / steps))),
            }
            for step in range(1, steps + 1)
        ],
    )


def write_model(folder: Path, tree: Path, captions: Captions) -> None:
    """Predictions in the submission format, and what the evaluation makes of them."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(
        folder / "predictions.json",
        {
            name: [
                {"labels": [str(phase)], **{f"caption_{role}": said for role, said in captions[name][phase].items()}}
                for phase in captions[name]
            ]
            for name in captions
        },
    )
    scores = evaluate_wts(tree, folder / "predictions.json")
    write_json(folder / "attributes.json", evaluate_attributes(tree, folder / "predictions.json").to_json())
    write_json(folder / "scores.json", scores.total)
    write_json(folder / "segments.json", scores.segments)
    write_json(folder / "scores.provenance.json", {**scores.provenance, "warnings": list(scores.warnings)})


def _samples(
    prepared: Path, event: Event, name: str, phase: int, captions: dict[str, str], size: tuple[int, int]
) -> list[Sample]:
    external = name.startswith("video")
    images, marked = _write_images(prepared, event, name, phase, external, size)
    meta = TrafficMeta(
        scenario=name,
        domain="external" if external else "internal",
        split="val",
        view=f"{name}_view",
        view_kind="vehicle" if external else "overhead",
        phase=phase,
        marked=marked,
        note="" if marked else "no boxes: raw frame at the start of the phase",
    )
    return [
        Sample(
            (
                message(
                    "user", *[image_block() for _ in images], text_block(QUESTIONS[role].format(phase=PHASES[phase]))
                ),
                message("assistant", text_block(captions[role])),
            ),
            images,
            f"{name}/{meta.view}/{phase}",
            TrafficMeta(**{**asdict(meta), "kind": "long", "target": role}),
        )
        for role in ("vehicle", "pedestrian")
    ]


def _write_images(
    prepared: Path, event: Event, name: str, phase: int, external: bool, size: tuple[int, int]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    moment = event.boundaries_s[phase]
    width, height = size
    person, vehicle = event.person_at(moment), event.vehicle_at(moment)
    camera = _camera(event, external, moment, width, height)
    found = {"pedestrian": box_of(person, camera), "vehicle": None if external else box_of(vehicle, camera)}
    boxes = {role: box for role, box in found.items() if box is not None}
    frame = draw_boxes(
        render(event.scene_at(moment), camera, seed=phase), boxes, box_scale=1.2, line_width=max(1, width // 160)
    )
    part = local_view(list(boxes.values()), width, height, box_scale=1.2, crop_scale=1.5, lone_view=1 / 6)
    folder = Path("images") / "val" / name / f"{name}_view"
    (prepared / folder).mkdir(parents=True, exist_ok=True)
    paths = tuple(f"{folder.as_posix()}/{phase}_{PHASES[phase]}_{kind}.jpg" for kind in ("local", "global"))
    pictures = frame[part.top : part.bottom, part.left : part.right], frame
    for path, picture in zip(paths, pictures, strict=True):
        Image.fromarray(picture.copy()).save(prepared / path, quality=95, subsampling=0)
    return paths, tuple(role for role in ROLES if role in boxes)


def _camera(event: Event, external: bool, moment: float, width: int, height: int) -> Camera:
    vehicle = event.vehicle_at(moment)
    if external:
        return dashboard_camera(vehicle, 0, width=width, height=height, focal=0.8 * width)
    target = ((event.meet[0] + vehicle.x) / 2, (event.meet[1] + vehicle.y) / 2)
    at = (target[0] + 9.0, target[1] - 7.0)
    return fixed_camera(at, target, mast=6.0, width=width, height=height, focal=0.55 * width)


def _write_references(root: Path, captions: Captions) -> Path:
    for name, phases in captions.items():
        base = root / "external" / "BDD_PC_5K" if name.startswith("video") else root
        folder = base / "annotations" / "caption" / "val" / name / "overhead_view"
        folder.mkdir(parents=True)
        entries = [
            {"labels": [str(phase)], **{f"caption_{role}": text for role, text in said.items()}}
            for phase, said in phases.items()
        ]
        write_json(folder / f"{name}_caption.json", {"event_phase": entries})
    return root


def _changed(captions: Captions, change: Callable[[str, random.Random], str]) -> Captions:
    rng = random.Random(0)
    return {
        name: {phase: {role: change(text, rng) for role, text in said.items()} for phase, said in phases.items()}
        for name, phases in captions.items()
    }


def _with_mistakes(caption: str, rng: random.Random, share: float) -> str:
    sentences = caption.split(". ")
    for place, sentence in enumerate(sentences):
        for right, wrong in MISTAKES.items():
            if f" {right}" in sentence and rng.random() < share:
                sentence = sentence.replace(f" {right}", f" {wrong}", 1)
        sentences[place] = sentence
    if len(sentences) > 3 and rng.random() < share / 2:
        del sentences[rng.randrange(1, len(sentences) - 1)]
    return ". ".join(sentences)

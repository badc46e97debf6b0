"""A data set and a run of it to browse. Every frame of its videos shows its own number."""

from __future__ import annotations

from pathlib import Path

import av

from cityscribe.browse.library import Library, open_library
from cityscribe.cli.targets import settings_of_target
from cityscribe.files import write_json
from cityscribe.media.video import write_video
from cityscribe.prepare.stage import prepare
from cityscribe.project import Settings, dump_settings
from cityscribe.sources.wts import read_wts
from cityscribe.traffic.scenario import PHASES, ROLES
from tests.inert import EVIL
from tests.media.numbered_video import HEIGHT, WIDTH, numbered_frame
from tests.report.run_folder import write_model
from tests.sources import tree

FRAMES = 24
BOXED = "20230901_1_SY0001_T1"
BARE = "20230901_2_SY0002_T1"
HOSTILE = "video<b>&amp;"
ASKED = "20230901_3_SY0003_T1"

WEATHER = {"train": "The weather is rainy.", "val": "The weather is cloudy."}


def data_set(root: Path) -> Path:
    """Four scenarios: boxes of every phase, no boxes, a name full of markup, and one to evaluate on at 60 frames a
    second, where two image ids share a frame."""
    for name, where in ((BOXED, "train"), (BARE, "train"), (ASKED, "val")):
        phases = [_phase(number, where) for number in range(5)]
        (stem,) = tree.add_overhead(root, name, where, cameras=1, phases=phases, videos=False)
        _video(tree.video_path(root, where, name, "overhead", stem), 60 if name == ASKED else 10)
        ids_a_frame = 2 if name == ASKED else 1
        for role in ROLES if name != BARE else ():
            x = 20 if role == "pedestrian" else 60
            boxes = [tree.box(ids_a_frame * (2 + 4 * n), (x, 28, 10 + n, 12), phase_number=str(n)) for n in range(5)]
            tree.add_boxes(root, name, "overhead", stem, role, boxes, where)
    external = root / "external" / "BDD_PC_5K"
    phase = {name: f"{value} {EVIL}" if "caption" in name else value for name, value in _phase(2, "train").items()}
    tree.add_external(external, HOSTILE, phases=[phase])
    boxes = external / "annotations" / "bbox_annotated" / "train" / f"{HOSTILE}_bbox.json"
    tree.write(boxes, {"annotations": [tree.box(10, (20, 28, 12, 12), phase_number=2)]})
    _video(external / "videos" / "train" / f"{HOSTILE}.mp4", 10)
    return root


def _phase(number: int, where: str) -> dict[str, object]:
    return tree.phase(
        str(number),
        f"{0.2 + 0.4 * number:.1f}",
        f"{0.6 + 0.4 * number:.1f}",
        caption_pedestrian=f"The pedestrian is a male in his 30s. He is walking slowly. {WEATHER[where]}",
        caption_vehicle=f"The vehicle drives at {10 + number} km/h. <i>The road</i> is dry.",
    )


def _video(path: Path, fps: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    times_s = [n / fps for n in range(FRAMES)] if fps == 60 else None
    write_video(path, (numbered_frame(n) for n in range(FRAMES)), fps, times_s=times_s)
    return path


def unplayable(path: Path) -> Path:
    """The same video in a codec that browsers do not play."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate = 2_000_000
        for number in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered_frame(number), format="rgb24")))
        container.mux(stream.encode(None))
    return path


def finished_run(folder: Path, data: Path) -> Path:
    """A run that has prepared the data and predicted: one caption is the reference, the others say less."""
    thresholds = {"pedestrian_threshold": 125, "vehicle_threshold": 50, "workers": 1, "line_width": 1}
    values = {"name": "looked", "runs": str(folder), "data": {"path": str(data)}, "prepare": thresholds}
    settings = Settings.model_validate(values)
    prepare(read_wts(data)[0], settings, settings.run_dir / "prepared")
    (settings.run_dir / "project.yaml").write_text(dump_settings(settings), encoding="utf-8")
    _predict(settings, data)
    return settings.run_dir


def _predict(settings: Settings, data: Path) -> None:
    (asked,) = [each for each in read_wts(data)[0] if each.name == ASKED]
    captions = {
        ASKED: {
            phase.number: {
                role: caption if phase.number == 0 else caption.replace("slowly", "quickly").replace("dry", "wet")
                for role, caption in phase.captions.items()
            }
            for phase in asked.views[0].phases
        }
    }
    assert set(captions[ASKED]) == set(range(len(PHASES)))
    references = settings.run_dir.parent / "references"
    entries = [
        {"labels": [str(n)], "start_time": "0", "end_time": "1", **{f"caption_{r}": t for r, t in said.items()}}
        for n, said in ((phase.number, phase.captions) for phase in asked.views[0].phases)
    ]
    target = references / "annotations" / "caption" / "val" / ASKED / "overhead_view" / f"{ASKED}_caption.json"
    target.parent.mkdir(parents=True)
    write_json(target, {"id": 1, "overhead_videos": [], "event_phase": entries})
    write_model(settings.run_dir, references, captions)


def library_of(target: Path, source: str | None = None) -> Library:
    """What `cityscribe data browse` opens."""
    return open_library(target, *settings_of_target(target, source))

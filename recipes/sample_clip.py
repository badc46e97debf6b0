"""The sample clip of the service's page: a scenario of the synthetic city with its boxes and phases.

python -m recipes.sample_clip        # writes cityscribe/serve/page/sample.mp4 and sample.json
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from cityscribe.files import write_json
from cityscribe.media.video import frame_index, probe
from cityscribe.media.video_index import frame_index_of
from cityscribe.sources.wts import read_wts
from cityscribe.traffic.scenario import PHASES, View
from cityscribe.world.dataset import WorldSettings, write_dataset

PAGE = Path(__file__).parents[1] / "cityscribe" / "serve" / "page"
CITY = WorldSettings(train=0, val=8, external=0.0, seed=7, fps=5, width=640)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        city = Path(folder) / "city"
        write_dataset(city, CITY)
        views = [view for scenario in read_wts(city)[0] for view in scenario.views if view.kind == "overhead"]
        view = max(views, key=_seen)
        shutil.copyfile(view.video, PAGE / "sample.mp4")
        write_json(PAGE / "sample.json", _told(view))
    print(f"{view.name}: {(PAGE / 'sample.mp4').stat().st_size} bytes")


def _seen(view: View) -> tuple[int, float]:
    """Phases in which both road users have a box, then how large the pedestrian is."""
    both = sum(all(view.boxes_of(role, n) for role in ("pedestrian", "vehicle")) for n in range(len(PHASES)))
    return both, sum(box.area for box in view.boxes.get("pedestrian", ()))


def _told(view: View) -> dict[str, object]:
    """What the page takes with a clip: its boxes at their times, its phases, where the camera is."""
    times_s, fps = frame_index_of(view.video).times_s, probe(view.video).fps
    return {
        "view": view.kind,
        "phases": [
            {"phase": PHASES[phase.number], "start_s": phase.start_s, "end_s": phase.end_s} for phase in view.phases
        ],
        "boxes": [
            {
                "role": role,
                "time_s": round(times_s[frame_index(box.image_id, fps)], 3),
                "xywh": [round(value, 1) for value in box.xywh],
            }
            for role, boxes in view.boxes.items()
            for box in boxes
        ],
    }


if __name__ == "__main__":
    main()

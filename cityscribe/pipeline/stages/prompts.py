"""prompts: the questions of the prepared samples, put together for what their frames show.

There is none where `prompts.library` is empty: then questions are asked as they are. Images stay where `prepare` put
them; only samples are written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from cityscribe.files import write_json, write_text
from cityscribe.pipeline.folders import whole
from cityscribe.pipeline.step import Plan, Step, StepProgress
from cityscribe.project import Settings
from cityscribe.train import processes

FOLDER = "prompted"
SPLITS = ("train", "val", "test")


def steps(plan: Plan) -> Iterator[Step]:
    settings = plan.settings
    if not settings.prompts.look:
        return
    from cityscribe.prompts import LIBRARIES

    reader = settings.prompts.reader
    name = settings.prompts.library
    file = LIBRARIES[name] if name in LIBRARIES and not Path(name).exists() else Path(name)
    read = [plan.digests.of(each) if isinstance(each, Path) else each for each in reader.files(settings.data.path)]
    yield Step(
        "prompts",
        "",
        partial(_make, settings),
        reads=("seed", "prompts", *(("model.tiles", "predict.precision") if reader.asks else ())),
        but_not=("prompts.library",),
        files=(
            plan.digests.of(file),
            *read,
            *((plan.digests.of_base(getattr(reader, "model", "") or settings.model.base),) if reader.asks else ()),
        ),
        after=("prepare",),
        writes=(f"{FOLDER}/",),
        shared=(f"{FOLDER}/",),
    )


def samples_of(settings: Settings, split: str) -> Path:
    """The file of the samples of a split as they are asked: with their own prompts where a run puts them together."""
    return settings.run_dir / (FOLDER if settings.prompts.look else "prepared") / f"{split}.parquet"


def asked_step(plan: Plan) -> str:
    """The step that writes the samples as they are asked."""
    return "prompts" if plan.settings.prompts.look else "prepare"


def _make(settings: Settings, made_from: str, progress: StepProgress) -> None:
    from cityscribe.engine.members import open_engine
    from cityscribe.predict.setup import setup_of
    from cityscribe.prompts.library import load_library
    from cityscribe.prompts.reader import FrameReading
    from cityscribe.prompts.samples import check_tasks, frames_of, prompted, row_values
    from cityscribe.records import media_blocks, read_samples, write_samples
    from cityscribe.traffic.meta import TrafficMeta

    prepared, folder = settings.run_dir / "prepared", settings.run_dir / FOLDER
    library = load_library(settings.prompts.library)
    files = {split: prepared / f"{split}.parquet" for split in SPLITS if (prepared / f"{split}.parquet").is_file()}
    samples = {split: read_samples(file, rejected=True) for split, file in files.items()}
    everything = [sample for of_split in samples.values() for sample in of_split]
    check_tasks(library, everything, settings.prompts.library)
    setup = replace(setup_of(settings), drafts=False)
    folder.parent.mkdir(parents=True, exist_ok=True)
    reading = FrameReading(
        library,
        prepared,
        settings.data.path,
        lambda model: open_engine("local", model or settings.model.base, setup),
        settings.run_dir / f"{FOLDER}.looks.jsonl",
        made_from,
        progress,
    )
    frames = frames_of(everything)
    shown = dict(zip(frames, settings.prompts.reader.read(frames, reading), strict=True))
    if not processes.is_first():
        return
    with whole(folder, made_from) as (out, _):
        lines, counts = [], {}
        for split, of_split in samples.items():
            own = {frame: shown[frame] for frame in frames_of(of_split)}
            made = prompted(of_split, library, own, settings.prompts, settings.seed)
            pairs = any(sample.preference is not None for sample in made.samples)
            clips = any(block["type"] == "video" for one in made.samples for block in media_blocks(one.messages))
            write_samples(out / f"{split}.parquet", made.samples, TrafficMeta, preferences=pairs, videos=clips)
            lines += [json.dumps({"split": split, **row_values(row)}, ensure_ascii=False) + "\n" for row in made.rows]
            counts[split] = {"samples": len(made.samples), "asked as they are": made.as_it_is}
        write_text(out / "prompts.jsonl", "".join(lines))
        write_json(out / "prompts.json", counts)

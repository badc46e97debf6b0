"""From a checkpoint to one whose decoder has its weights in four or eight bits.

report = quantise("runs/mine/model", Path("models/int4"), method="awq", bits=4, prepared=Path("runs/mine"))

A search that was stopped goes on after its last layer when it is started again.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch

from cityscribe.files import InputError, remove_folder
from cityscribe.models.load import load_config, load_model, load_processor, resolve_base
from cityscribe.models.quantise.block import Calibration, choose_scheme, record_layers
from cityscribe.models.quantise.loading import is_packed
from cityscribe.models.quantise.search import LayerError, Searched, search
from cityscribe.models.quantise.write import PackedFormat, write_packed
from cityscribe.models.seams import QUANTISERS
from cityscribe.progress import Progress
from cityscribe.records import read_samples
from cityscribe.train.calibration import calibrated


@dataclass(frozen=True, slots=True)
class CalibratedWith:
    """The samples that a search looked at."""

    samples: int
    tokens: int  # as computed: what samples share counts once
    digest: str  # of what is said in them and of the files that they show


@dataclass(frozen=True, slots=True)
class QuantiseReport:
    """How packed weights were made; `quantised.json` beside them holds it, with their form and their bytes."""

    base: str
    method: str
    bits: int
    group: int | None  # weights that share a scale; None: all of a row
    calibration: CalibratedWith | None
    layers: list[LayerError]
    versions: dict[str, str]

    @classmethod
    def of(cls, base: str, method: str, found: Searched, calibration: Calibration | None) -> QuantiseReport:
        samples = None
        if calibration is not None:
            samples = CalibratedWith(calibration.samples, calibration.tokens, calibration.digest)
        versions = {name: version(name) for name in ("torch", "transformers")}
        return cls(base, method, found.scheme.bits, found.scheme.group, samples, found.errors, versions)


def quantise(
    base: str | Path,
    out: Path,
    *,
    method: str = "awq",
    bits: Literal[4, 8] = 4,
    group: int | None = None,
    prepared: Path | None = None,
    samples: Path | None = None,
    groups: int = 32,
    form: PackedFormat = "compressed-tensors",
    progress: Progress | None = None,
) -> QuantiseReport:
    """Write `base`, a folder or hub id, to the folder `out` with packed weights. Returns its report.

    `prepared` is a run folder or its `prepared`, for a method that needs calibration: it sees the samples of `groups`
    image groups of `train`, or of the file `samples`. `group` weights share a scale in four bits. Raises InputError for
    a checkpoint that is
    packed already, a method without the samples that it needs, and widths that no group divides.
    """
    member = QUANTISERS[method]
    if member.calibrated and prepared is None:
        raise InputError(f"method {method}: needs calibration samples; name a run, or a folder that `prepare` wrote")
    stored = load_config(base).dtype
    dtype = stored if isinstance(stored, torch.dtype) else torch.float32
    model, processor = load_model(base, dtype=torch.float32), load_processor(base)
    place = resolve_base(base)
    if is_packed(model):
        raise InputError(f"{place}: its weights are packed already; quantise the checkpoint that it was made of")
    scheme = choose_scheme(record_layers(model, None), bits, group, place)
    around: Any = nullcontext(None)
    if member.calibrated and prepared is not None:
        folder = prepared if (prepared / "train.parquet").is_file() else prepared / "prepared"
        seen_samples = read_samples(samples or folder / "train.parquet")
        around = calibrated(model, processor, seen_samples, folder, groups=groups)
    work = out.with_name(out.name + ".search")
    calibration: Calibration | None
    with around as calibration:
        seen = "" if calibration is None else calibration.digest
        made_from = json.dumps([place, _weights(place), method, scheme.bits, scheme.group, seen])
        quantiser = member(dtype)
        found = search(model, quantiser, scheme, calibration, work=work, made_from=made_from, progress=progress)
    out.parent.mkdir(parents=True, exist_ok=True)
    report = QuantiseReport.of(str(base), method, found, calibration)
    write_packed(model, processor, found, out, dtype=dtype, form=form, report=asdict(report))
    remove_folder(work)
    return report


def _weights(place: str) -> list[tuple[str, int, int]]:
    """Names, sizes and times of the files of a checkpoint on disk."""
    files = sorted(Path(place).glob("*.safetensors")) if Path(place).is_dir() else []
    return [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]

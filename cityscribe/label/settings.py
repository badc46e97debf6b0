"""Who labels clips, and what their labels have to keep: a YAML file of its own.

detectors:
  - {model: PekingU/rtdetr_r50vd, weight: 2}
  - {model: facebook/detr-resnet-50}
readers:
  - {reader: {kind: model, model: runs/driving/model}, weight: 2}
  - {reader: {kind: model, model: cityscribe-tiny}}
library: driving
orders: {light: {green: [yellow], yellow: [red], red: [green, yellow]}}
fixed: [sign, cones, stripes, side road, road]
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from cityscribe.files import InputError
from cityscribe.plain_yaml import read_yaml
from cityscribe.prompts.library import PromptLibrary, load_library
from cityscribe.prompts.reader import SceneReader
from cityscribe.settings import Fraction, OneOf, Rate, Section

ValueOrders = dict[str, dict[str, tuple[str, ...]]]
"""Feature -> value -> the values that may follow. A value that is not named may be followed by any; any may be followed
by "no", because what is out of sight says nothing."""


class BoxLabeller(Section):
    """A detector that says what is where."""

    model: str = Field(min_length=1, description="folder or hub id of an object detector")
    weight: Rate = Field(1.0, description="how much its scores count")


class FeatureLabeller(Section):
    """A scene reader that says what a frame shows."""

    reader: Annotated[SceneReader, OneOf("scene-reader")] = Field(description="a member of `scene-reader`")
    weight: Rate = Field(1.0, description="how much its votes count")


class LabelSettings(Section):
    every_s: Rate = Field(0.2, description="time between frames that are looked at")
    detectors: tuple[BoxLabeller, ...] = Field((), description="who says what is where")
    readers: tuple[FeatureLabeller, ...] = Field((), description="who says what a frame shows")
    library: str = Field("driving", description="prompt library whose looks are asked, a file or a shipped name")
    overlap: Fraction = Field(0.55, description="intersection over union above which boxes are fused")
    least_score: Fraction = Field(0.1, description="score from which a box is looked at")
    begin: Fraction = Field(0.3, description="fused score from which a box may begin a track")
    sure_track: Fraction = Field(0.5, description="mean fused score from which a track is sure")
    window_s: Rate = Field(1.0, description="time around a frame in which votes count for it")
    sure: Fraction = Field(0.8, description="share of all votes from which a value is sure")
    agree: int = Field(1, ge=1, description="labellers that have to say so for a label to be sure")
    shortest_s: float = Field(0.4, ge=0, description="values and tracks that last less are uncertain")
    orders: ValueOrders = Field({}, description="feature: {value: [values that may follow]}")
    fixed: tuple[str, ...] = Field((), description="features of the place: they stay while the camera stands")
    still_m: Rate = Field(0.05, description="metres from frame to frame up to which the camera stands")
    still_deg: Rate = Field(0.5, description="degrees from frame to frame up to which it does not turn")
    keep_every: int = Field(3, ge=1, description="of the frames that are looked at, each n-th becomes a sample")


def read_label_settings(file: Path) -> tuple[LabelSettings, PromptLibrary]:
    """The settings of a file and their library. Raises InputError with the file and the place."""
    if not file.is_file():
        raise InputError(f"{file}: no such file; expected the settings of labelling")
    values: Any = read_yaml(file)
    try:
        settings = LabelSettings.model_validate(values if values is not None else {})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "file"
        raise InputError(f"{file}: {place}: {first['msg'][:1].lower()}{first['msg'][1:]}") from error
    if not settings.detectors and not settings.readers:
        raise InputError(f"{file}: names nobody who labels; expected `detectors` or `readers`")
    library = load_library(settings.library)
    if settings.readers:
        _check_features(settings, library, file)
    return settings, library


def _check_features(settings: LabelSettings, library: PromptLibrary, file: Path) -> None:
    """Raises InputError for a feature or a value of `orders` and `fixed` that nobody can name."""
    if any(not labeller.reader.asks for labeller in settings.readers):
        return  # a reader that asks no looks has features of its own
    for place, name in [("orders", name) for name in settings.orders] + [("fixed", name) for name in settings.fixed]:
        if name not in library.looks:
            raise InputError(f"{file}: {place}: {name} is no look of {settings.library} ({', '.join(library.looks)})")
    for name, order in settings.orders.items():
        look = library.looks[name]
        known = {*look.values, look.otherwise}
        for value in (*order, *(after for follow in order.values() for after in follow)):
            if value not in known:
                raise InputError(f"{file}: orders.{name}: {value} is no value of it ({', '.join(look.values)})")

"""What a frame shows, by the objects in it: those that the data name, or those that a detector finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field, TypeAdapter, ValidationError

from cityscribe.files import InputError, read_json
from cityscribe.prompts.library import NO, YES
from cityscribe.prompts.reader import FrameImages, FrameReading, SceneReader, SeenFeatures
from cityscribe.settings import Fraction

_OBJECTS: TypeAdapter[dict[str, list[str]]] = TypeAdapter(dict[str, list[str]])


def shown_objects(seen: set[str], kinds: set[str]) -> dict[str, str]:
    """A feature for each kind of object: yes, or no."""
    return {kind: YES if kind in seen else NO for kind in sorted(kinds | seen)}


class ObjectReader(SceneReader):
    """A file `{image: [kinds of objects in it]}`, as the city writes it; images are named as in the data set. A kind
    that is named for another image and not for this one is not there."""

    kind: Literal["objects"] = "objects"
    path: Path = Field(Path("truth/objects.json"), description="the file, relative to data.path")

    def files(self, data: Path) -> tuple[Path | str, ...]:
        return (data / self.path,)

    def read(self, frames: Sequence[FrameImages], reading: FrameReading) -> list[SeenFeatures]:
        file = reading.data / self.path
        try:
            named = _OBJECTS.validate_python(read_json(file))
        except ValidationError as error:
            raise InputError(f"{file}: expected {{image: [kinds of objects]}}: {error.errors()[0]['msg']}") from error
        kinds = {kind for objects in named.values() for kind in objects}
        found: list[SeenFeatures] = []
        for frame in frames:
            objects = [_of_image(image, named) for image in frame]
            known = [each for each in objects if each is not None]
            found.append(shown_objects({kind for each in known for kind in each}, kinds) if known else {})
        if not any(found):
            raise InputError(f"{file}: names none of the images, such as {frames[0][0] if frames[0] else 'none'}")
        return found


def _of_image(image: str, named: Mapping[str, list[str]]) -> list[str] | None:
    """Prepared images lie in a folder of their own, under the name that they have in the data set."""
    parts = PurePosixPath(image).parts
    return next((named[name] for n in range(len(parts)) if (name := "/".join(parts[n:])) in named), None)


class DetectorReader(SceneReader):
    """Any Hugging Face object detector; a class of it that is not found is not there."""

    kind: Literal["detector"] = "detector"
    model: str = Field("PekingU/rtdetr_r50vd", description="folder or hub id of the detector")
    threshold: Fraction = Field(0.3, description="score from which an object counts")

    def files(self, data: Path) -> tuple[Path | str, ...]:
        return (self.model,)

    def read(self, frames: Sequence[FrameImages], reading: FrameReading) -> list[SeenFeatures]:
        import numpy as np

        from cityscribe.media.images import open_image
        from cityscribe.models.object_detector import found_objects, load_object_detector

        detector = load_object_detector(self.model)
        kinds = set(detector.labels.values())
        found: list[SeenFeatures] = []
        for number, frame in enumerate(frames):
            seen: set[str] = set()
            for image in frame:
                path = reading.image_root / image
                pixels = np.asarray(open_image(path.read_bytes(), name=str(path)))
                objects = found_objects(detector.model, detector.processor, [pixels], self.threshold)[0]
                seen |= {detector.labels[each.label] for each in objects}
            found.append(shown_objects(seen, kinds))
            reading.progress(number + 1, len(frames))
        return found

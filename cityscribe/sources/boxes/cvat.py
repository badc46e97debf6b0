"""CVAT XML ("for video" and "for images" 1.1): tracks with keyframes, boxes that leave the picture, attributes.

    <annotations><meta>...<source>clip.mp4</source>...</meta>
      <track id="0" label="car"><box frame="3" xtl="10" ytl="20" xbr="30" ybr="40" outside="0" rotation="0"/></track>
      <image id="10" name="frame_000010"><box label="car" .../></image></annotations>

Frames are those of the video, counted from 0. An export of a project holds several tasks: a track names its own by
`task_id`. Entities and external references are refused: they are no part of the format and can be made to fill the
memory.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, SubElement, indent, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from pydantic import Field

from cityscribe.entries import EntryModel, Loose, Number, checked
from cityscribe.records import Note
from cityscribe.sources.boxes import BoxFormat
from cityscribe.sources.boxes.track import (
    BoxesByTrack,
    Track,
    Tracks,
    Videos,
    box_of,
    frame_of_image,
    grouped,
    interpolated,
    merge,
    turned,
    video_of_file,
)
from cityscribe.sources.intake import Intake
from cityscribe.sources.videos import stem_of
from cityscribe.traffic.scenario import Box
from cityscribe.values import finite, plain_text, shown

MAX_TAG = 1_000_000
"""Bytes of one tag with its text; parsing a much longer one takes minutes."""

PIXELS = "pixels; left out"

SHAPES = ("polygon", "polyline", "points", "ellipse", "cuboid", "mask", "skeleton")
"""What is drawn beside boxes."""


class _Drawn(EntryModel):
    """A box on an image, by its attributes."""

    xtl: Number = Field(description=PIXELS)
    ytl: Number = Field(description=PIXELS)
    xbr: Number = Field(description=PIXELS)
    ybr: Number = Field(description=PIXELS)
    rotation: Loose = None  # degrees, clockwise


class _KeyFrame(_Drawn):
    """A box of a track: it moves linearly to the next one, or leaves the picture."""

    frame: Number = Field(description="the number of a frame; left out")
    outside: str = "0"


def read_cvat(intake: Intake, files: Sequence[Path], videos: Videos) -> Tracks:
    """The tracks of the files, under the name of their video: what the file calls its source, or else its own name.

    Boxes on images become one track a label and video, the folder or name before the number of the image.
    """
    tracks: Tracks = {}
    for path in files:
        root = parsed_xml(intake, path)
        if root is not None:
            intake.add("note", path, "", "read as CVAT XML: frames counted from 0, the video named by its source")
            merge(tracks, tracks_of(intake, path, root))
    return tracks


def tracks_of(intake: Intake, path: Path, root: Element) -> Tracks:
    """The tracks of a file that was parsed."""
    note = intake.note(path)
    if root.tag != "annotations":
        note("error", "", f"is <{shown(root.tag)}>, expected <annotations> of CVAT")
        return {}
    source = next((text for of in ("", "job/", "task/") if (text := root.findtext(f"./meta/{of}source"))), "")
    video = plain_text(stem_of(source) or re.sub(r"_annt$", "", video_of_file(intake, path))) or ""
    of_task = {
        task.findtext("id") or "": plain_text(stem_of(task.findtext("source") or "")) or ""
        for task in root.findall("./meta/project/tasks/task")
    }
    tracks: Tracks = {}
    for number, element in enumerate(root.findall("track")):
        track = _track(note, f"track[{number}]", element, number)
        if track is not None:
            tracks.setdefault(of_task.get(element.get("task_id") or "") or video, []).append(track)
    found: BoxesByTrack = {}
    for number, element in enumerate(root.findall("image")):
        name, named = frame_of_image(element.get("name") or "")
        frame = finite(element.get("id")) if named is None else named
        of = name or of_task.get(element.get("task_id") or "") or video
        for index, each in enumerate(element.findall("box")):
            drawn = checked(_Drawn, each.attrib, note, f"image[{number}].box[{index}]")
            box = None if drawn is None else _box(note, f"image[{number}].box[{index}]", frame, drawn)
            if box is not None:
                label = each.get("label") or ""
                found.setdefault((of, label, label), []).append(box)
    merge(tracks, grouped(found))
    others = Counter(e.tag for parent in (*root.findall("track"), *root.findall("image")) for e in parent)
    for shape in SHAPES:
        if others[shape]:
            note("warning", "", f"has {others[shape]} <{shape}>, which is no box; left out")
    return tracks


def parsed_xml(intake: Intake, path: Path) -> Element | None:
    """The root of an XML file; None, with the error noted, where it is none or declares entities."""
    try:
        content = path.read_bytes()
        if max(map(len, content.split(b"<"))) > MAX_TAG:
            intake.add("error", path, "", f"has a tag or text of more than {MAX_TAG} bytes, as no annotation has")
            return None
        return fromstring(content, forbid_dtd=True)
    except ParseError as error:
        line, column = error.position
        intake.add("error", path, f"line {line}, column {column}", f"not XML: {str(error).partition(':')[0]}")
    except DefusedXmlException:
        intake.add("error", path, "", "declares a document type or entities, which are not read")
    except (OSError, ValueError, LookupError, RecursionError) as error:
        intake.add("error", path, "", f"not readable XML: {error}")
    return None


def cvat_of(video: str, tracks: Mapping[str, Sequence[Box]] | Iterable[tuple[str, Sequence[Box]]]) -> str:
    """CVAT XML ("for video" 1.1) of a video: tracks by label, or pairs of a label and a track, with a keyframe for each
    box."""
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    SubElement(SubElement(SubElement(root, "meta"), "task"), "source").text = video
    for number, (label, boxes) in enumerate(tracks.items() if isinstance(tracks, Mapping) else tracks):
        track = SubElement(root, "track", id=str(number), label=label)
        for place, box in enumerate(boxes):
            _add_box(track, box, box.image_id, outside=False)
            if place + 1 == len(boxes) or boxes[place + 1].image_id > box.image_id + 1:
                _add_box(track, box, box.image_id + 1, outside=True)  # or it would stand to the next keyframe
    indent(root, " ")
    return tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _add_box(track: Element, box: Box, frame: int, *, outside: bool) -> None:
    x, y, width, height = box.xywh
    corners = {"xtl": x, "ytl": y, "xbr": x + width, "ybr": y + height}
    values = {"frame": str(frame), "outside": str(int(outside)), "occluded": "0", "keyframe": "1"}
    SubElement(track, "box", values | {name: f"{value:.2f}" for name, value in corners.items()})


def _track(note: Note, place: str, element: Element, number: int) -> Track | None:
    keys: dict[int, tuple[Box, bool]] = {}
    attributes: list[tuple[int, str, str]] = []
    for index, found in enumerate(element.findall("box")):
        drawn = checked(_KeyFrame, found.attrib, note, f"{place}.box[{index}]")
        box = None if drawn is None else _box(note, f"{place}.box[{index}]", drawn.frame, drawn)
        if drawn is None or box is None:
            continue
        keys[box.image_id] = (box, drawn.outside != "1")
        attributes += [
            (box.image_id, plain_text(a.get("name")) or "", plain_text((a.text or "").strip()) or "")
            for a in found.findall("attribute")
        ]
    boxes = interpolated([keys[frame] for frame in sorted(keys)])
    if not boxes:
        note("warning", place, "has no box in the picture; left out")
        return None
    name = next((text for _, key, text in attributes if key == "id"), "") or element.get("id") or str(number)
    return Track(plain_text(name) or "", plain_text(element.get("label")) or "", boxes, tuple(attributes))


def _box(note: Note, place: str, frame: float | None, drawn: _Drawn) -> Box | None:
    box = box_of(note, place, frame, (drawn.xtl, drawn.ytl, drawn.xbr - drawn.xtl, drawn.ybr - drawn.ytl))
    return None if box is None else turned(box, drawn.rotation)


FORMAT = BoxFormat(claims=lambda path, head: path.suffix.lower() == ".xml", read=read_cvat)

"""CVAT XML ("for video" and "for images" 1.1): tracks with keyframes, boxes that leave the picture, attributes.

Entities and external references are refused: they are no part of the format and can be made to fill the memory.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from cityscribe.records import Note
from cityscribe.sources.intake import Intake
from cityscribe.sources.tracks import Track, Tracks, box_of, interpolated
from cityscribe.sources.videos import stem_of
from cityscribe.traffic.scenario import Box
from cityscribe.values import finite, plain_text, shown

MAX_TAG = 1_000_000
"""Bytes of one tag with its text; parsing a much longer one takes minutes."""
BETWEEN = "-_. "
"""What stands between the name of a video and the number of a frame."""


def read_cvat(intake: Intake, path: Path) -> Tracks:
    """The tracks of one file, under the name of its video: what the file calls its source, or else its own name.

    Boxes on images become one track a label and video, the folder or name before the number of the image.
    """
    root = parsed_xml(intake, path)
    return {} if root is None else tracks_of(intake, path, root)


def tracks_of(intake: Intake, path: Path, root: Element) -> Tracks:
    """As `read_cvat`, of a file that was parsed."""
    note = intake.note(path)
    if root.tag != "annotations":
        note("error", "", f"is <{shown(root.tag)}>, expected <annotations> of CVAT")
        return {}
    source = root.findtext("./meta/source") or root.findtext("./meta/job/source") or root.findtext("./meta/task/source")
    video = stem_of(source or "") or re.sub(r"_annt$", "", path.stem)
    tracks: Tracks = {}
    for number, element in enumerate(root.findall("track")):
        track = _track(note, f"track[{number}]", element, number)
        if track is not None:
            tracks.setdefault(plain_text(video) or "", []).append(track)
    images: dict[tuple[str, str], list[Box]] = {}
    for number, element in enumerate(root.findall("image")):
        name, named = frame_of_image(element.get("name") or "")
        frame = finite(element.get("id")) if named is None else named
        for index, found in enumerate(element.findall("box")):
            place = f"image[{number}].box[{index}]"
            box = box_of(note, place, frame, _xywh(found))
            if box is not None:
                images.setdefault((name or video, found.get("label") or ""), []).append(box)
    for (of, label), boxes in images.items():
        ordered = tuple(sorted(boxes, key=lambda box: box.image_id))
        tracks.setdefault(of, []).append(Track(label, label, ordered))
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


def frame_of_image(name: str) -> tuple[str, int | None]:
    """The video and frame that the name of an image tells, such as `clip/000012.jpg` or `clip_frame_12.png`."""
    stem = re.sub(r"\.[A-Za-z0-9]{1,5}$", "", name.replace("\\", "/"))
    folder, _, last = stem.rpartition("/")
    found = re.search(r"(\d{1,9})$", last, re.ASCII)
    if found is None:
        return (plain_text(last) or "", None)
    before = last[: found.start()].rstrip(BETWEEN)
    word = next((word for word in ("frame", "img", "image") if before.lower().endswith(word)), "")
    before = before[: len(before) - len(word)].rstrip(BETWEEN)
    return (plain_text(before or folder.rpartition("/")[2]) or "", int(found[1]))


def _track(note: Note, place: str, element: Element, number: int) -> Track | None:
    keys: dict[int, tuple[Box, bool]] = {}
    attributes: list[tuple[int, str, str]] = []
    for index, found in enumerate(element.findall("box")):
        box = box_of(note, f"{place}.box[{index}]", finite(found.get("frame")), _xywh(found))
        if box is None:
            continue
        keys[box.image_id] = (box, found.get("outside") != "1")
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


def _xywh(box: Element) -> list[float | None]:
    left, top, right, bottom = (finite(box.get(key)) for key in ("xtl", "ytl", "xbr", "ybr"))
    return [
        left,
        top,
        None if left is None or right is None else right - left,
        None if top is None or bottom is None else bottom - top,
    ]

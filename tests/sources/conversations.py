"""Small data sets of conversations for the tests: pictures, and conversations of every shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from PIL import Image

from cityscribe.records import Sample, image_block, message, text_block
from cityscribe.sources.conversation import normal
from cityscribe.traffic.meta import TrafficMeta


def picture(path: Path, colour: tuple[int, int, int] = (200, 30, 30), size: tuple[int, int] = (48, 32)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def dump(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def dump_lines(path: Path, values: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


IMAGES = ("a.png", "deep/b.png", "ü c.png")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["", "\n", "\n\n", " ", "<imag", "e>", "<", "image>", "what?\r\n", "\x00", "\u2028", '"', "a\nb\n"]
)
blocks = st.lists(
    st.one_of(texts.map(text_block), st.just(None).map(lambda _: image_block())), min_size=0, max_size=5
).map(normal)


@st.composite
def conversations(draw: st.DrawFn, turn: st.SearchStrategy[str] | None = None) -> Sample:
    """Any conversation about the pictures of IMAGES: any turns, images anywhere in the text."""
    roles = draw(st.lists(turn or st.sampled_from(["system", "user", "assistant"]), min_size=1, max_size=5))
    messages = tuple(message(role, *draw(blocks)) for role in roles)
    shown = sum(block["type"] == "image" for entry in messages for block in entry["content"])
    images = tuple(draw(st.sampled_from(IMAGES)) for _ in range(shown))
    meta = TrafficMeta(
        kind="chat",
        scenario=draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)),
        split=draw(st.sampled_from(["", "train", "val"])),
        phase=draw(st.integers(-1, 4)),
        marked=tuple(draw(st.lists(st.sampled_from(["pedestrian", "vehicle"]), max_size=2))),
        options=tuple(draw(st.lists(texts, max_size=2))),
    )
    return Sample(messages, images, draw(st.sampled_from(["g", "group 2"])), meta)

"""Prompts that look: what a frame shows decides how a task is put to the model.

    library (YAML) ──> looks: cheap first questions ──> what the frame shows ──> instructions of a task, put together
                          asked by a scene reader                                  a sample with its own prompt

`library` says what a library is and puts prompts together, `readers` are those who say what a frame shows, `samples`
does both for the samples of a run, `optimise` searches better texts for a library. Importing this loads none of them.
"""

from __future__ import annotations

from pathlib import Path

from cityscribe.prompts.reader import SceneReader, check_reader
from cityscribe.registry import Registry, first_comment

_ROOM = "cityscribe.prompts"

SCENE_READERS: Registry[type[SceneReader]] = Registry(
    "scene-reader", "who says what a frame shows, for prompts that depend on it (prompts.reader)", check_reader
)
SCENE_READERS.add("nothing", f"{_ROOM}.reader:ReadsNothing", "nobody looks: each task has one prompt")
SCENE_READERS.add("model", f"{_ROOM}.model_reader:ModelReader", "the looks of the library, asked of a model")
SCENE_READERS.add("objects", f"{_ROOM}.object_reader:ObjectReader", "the objects that the data name for each image")
SCENE_READERS.add("detector", f"{_ROOM}.object_reader:DetectorReader", "an object detector")

LIBRARIES: Registry[Path] = Registry("prompt-library", "what a frame shows, and how a task is put then")
for _file in sorted((Path(__file__).parent / "libraries").glob("*.yaml")):
    LIBRARIES.add(_file.stem, _file, first_comment(_file))

PROMPT_OPTIMISERS: Registry[object] = Registry("prompt-optimiser", "how better texts for a prompt library are searched")
PROMPT_OPTIMISERS.add("search", f"{_ROOM}.search:search", "sentences of wordings put in, dropped and exchanged")
PROMPT_OPTIMISERS.add(
    "glov",
    f"{_ROOM}.glov:glov",
    "a language model sees the best and worst texts with their scores",
    paper="Mirza et al. 2024 (GLOV)",
)
PROMPT_OPTIMISERS.add(
    "gepa",
    f"{_ROOM}.gepa_search:gepa_search",
    "a language model reflects on answers; texts that are best for some sample live on",
    paper="Agrawal et al. 2025 (GEPA)",
    extra="gepa",
)

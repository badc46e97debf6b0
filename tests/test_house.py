"""Modules and functions are short enough to be read at once, imports run downwards, and a name has one meaning."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cityscribe

PACKAGE = Path(cityscribe.__file__).parent

LONGEST_MODULE = 400
LONGEST_FUNCTION = 80
"""Lines, from `def` to the end."""


def modules() -> dict[str, str]:
    """The text of each module of the package, by its place in it."""
    return {path.relative_to(PACKAGE).as_posix(): path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))}


@dataclass(frozen=True, slots=True)
class Outline:
    """What the tests look for in a module. Reading one takes longest, so that each is read once."""

    types: tuple[str, ...]  # public classes and aliases of types; an alias is written as a class is
    long_functions: tuple[str, ...]
    rooms: tuple[str, ...]  # that it imports from
    reads_yaml: bool


@cache
def outline(text: str) -> Outline:
    tree = ast.parse(text)
    nodes = list(ast.walk(tree))
    return Outline(
        types=tuple(_public_types(tree)),
        long_functions=tuple(
            node.name
            for node in nodes
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
        ),
        rooms=tuple(_imported_rooms(nodes)),
        reads_yaml=any(
            isinstance(node, ast.Attribute)
            and "load" in node.attr.lower()
            and isinstance(node.value, ast.Name)
            and node.value.id == "yaml"
            for node in nodes
        ),
    )


def _public_types(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        else:
            continue
        yield from (name for name in names if name[0].isupper() and not name.isupper())


def _imported_rooms(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("cityscribe."))


def defined_twice(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Public classes and aliases that several modules define, each with these modules."""
    found: dict[str, list[str]] = {}
    for name, text in texts.items():
        for one in outline(text).types:
            found.setdefault(one, []).append(name)
    return {one: names for one, names in found.items() if len(names) > 1}


def test_no_module_and_no_function_is_too_long() -> None:
    found = set()
    for name, text in modules().items():
        if len(text.splitlines()) > LONGEST_MODULE:
            found.add(name)
        found |= {f"{name} {function}" for function in outline(text).long_functions}
    assert found == set()


def test_each_class_and_each_alias_has_one_meaning() -> None:
    assert defined_twice(modules()) == {}


def test_a_second_meaning_is_found() -> None:
    texts = {
        "one.py": "class Group: ...\nclass _Private: ...\nLIMIT = 3\n",
        "other.py": "Group = dict[str, int]\nclass _Private: ...\nLIMIT = 4\n",
        "third.py": "from one import Group\n",
    }
    assert defined_twice(texts) == {"Group": ["one.py", "other.py"]}
    package = modules()
    planted = {**package, "train/planted.py": "class Sample: ...\n"}
    assert defined_twice(planted) == {"Sample": ["records.py", "train/planted.py"]}


ROOMS = (
    *("calls", "files", "values", "workers", "progress", "tree"),
    *("plain_yaml", "registry", "digest_store", "records", "letters", "entries"),
    *("settings", "media", "places", "models", "tokens", "engine", "llm", "rewards", "train", "quantise"),
    *("evaluate", "traffic", "sources", "world", "redact", "prepare", "predict", "prompts", "curate"),
    *("ladder", "report", "serve", "browse", "stats", "detect", "label", "describe", "ask"),
    *("project", "cards", "presets", "ablations", "pipeline", "demo", "benchmark", "probe", "ablate"),
    *("plan", "notebook", "cli", "__main__"),
)
"""Each stands on those before it and imports none of those behind it."""


def test_imports_run_downwards() -> None:
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert rooms - {"__init__"} == set(ROOMS)
    upwards = [
        f"{name} imports {other}"
        for name, text in modules().items()
        if (room := name.partition("/")[0].removesuffix(".py")) in ROOMS
        for other in outline(text).rooms
        if other in ROOMS and ROOMS.index(other) > ROOMS.index(room)
    ]
    assert upwards == []


def test_yaml_from_outside_is_read_within_limits() -> None:
    """An alias bomb of a few lines fills the memory of any other reader."""
    readers = {name for name, text in modules().items() if outline(text).reads_yaml}
    assert readers <= {"plain_yaml.py"}


EDGES = {
    "entries of other people's files, before they are models": (
        *("sources/conversation.py", "sources/hf_datasets.py", "sources/pairs.py", "sources/submission.py"),
        *("sources/own_meta.py", "sources/video_blocks.py", "sources/video_qa.py", "sources/wts_vqa.py"),
        "traffic/captions.py",
        *("sources/boxes/coco.py", "sources/boxes/fiftyone.py", "sources/boxes/label_studio.py"),
    ),
    "rows of Parquet, and lines of journals": (
        *("records.py", "browse/library.py", "browse/corrections.py", "describe/rows.py"),
        *("prepare/engines.py", "prepare/summary.py"),
    ),
    "what other programs read about a checkpoint": ("cards/card.py", "cards/bom.py"),
    "bodies and events of HTTP": (
        *("serve/chat_request.py", "serve/jobs.py", "serve/replies.py", "serve/routes.py", "browse/app.py"),
        *("engine/remote.py", "llm/server.py", "evaluate/judge.py"),
    ),
    "values of YAML before they are checked": (
        *("settings/loading.py", "settings/members.py", "project.py", "cli/targets.py", "ablate.py"),
        *("ladder/arms.py", "ladder/settings.py"),
        "traffic/metrics/attributes.py",
    ),
    "configurations and options as other libraries hold them": (
        *("models/load.py", "models/old_processors.py", "models/parts.py", "models/saved.py"),
        *("models/video_processor.py", "models/without_torchvision.py"),
        *("models/vlm/build.py", "models/vlm/card.py", "models/vlm/config.py", "models/vlm/processor.py"),
        *("models/vlm/towers/hidden.py", "models/vlm/towers/siglip.py", "train/sharing.py", "predict/lmms_eval.py"),
        *("models/quantise/loading.py", "models/gguf_file.py", "notebook.py", "plan/base.py", "plan/estimate.py"),
    ),
}
"""Where JSON or its like comes in or goes out, with the reason: only there a value may be a `dict[str, Any]`."""


def test_untyped_objects_stay_at_the_edges() -> None:
    found = {name for name, text in modules().items() if "dict[str, Any]" in text}
    assert found == {name for names in EDGES.values() for name in names}

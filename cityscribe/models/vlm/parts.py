"""The parts that a configuration names, made: towers, tiling, connector."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cityscribe.files import InputError
from cityscribe.models.seams import CONNECTORS, TILINGS, VISION_TOWERS
from cityscribe.registry import Registry

PartOptions = Mapping[str, Any]


def make_tower(options: PartOptions) -> Any:
    return _made(VISION_TOWERS, options)


def make_tiling(options: PartOptions, shape: tuple[int, int]) -> Any:
    """A tiling into views of `shape`, height and width in pixels of the first tower."""
    return _made(TILINGS, options, shape)


def make_connector(options: PartOptions, towers: Sequence[Any], text_width: int) -> Any:
    """A connector from the features of all towers, side by side, to a decoder of `text_width`."""
    return _made(CONNECTORS, options, sum(tower.width for tower in towers), text_width)


def reads_ids(connector: Any) -> bool:
    """Whether a connector that reads text takes its tokens, for a text decoder of its own, and not their embeddings."""
    return bool(connector.reads_text and getattr(connector, "reads_ids", False))


def reads_class_tokens(connector: Any) -> bool:
    """Whether a connector is also given the class tokens of the towers."""
    return bool(getattr(connector, "reads_class_tokens", False))


def most_boxes(connector: Any) -> int:
    """How many boxes of an image a connector makes tokens of; 0 where it knows none."""
    return int(connector.most_boxes) if getattr(connector, "reads_boxes", False) else 0


def joins_views(connector: Any) -> bool:
    """Whether a connector makes its tokens of all views of an image together (`connectors.over_frames`)."""
    return bool(getattr(connector, "joins_views", False))


def tile_tokens(connector: Any) -> int:
    """How many tokens a connector makes of a tile, where that is another number than of a whole; else 0."""
    return int(getattr(connector, "tile_tokens", 0))


def class_tokens(tower: Any) -> int:
    """How many tokens a tower puts before those of the patches in its `states`; 0 where it has no such states."""
    return int(tower.class_tokens) if hasattr(tower, "states") else 0


def _made(members: Registry[Any], options: PartOptions, *given: Any) -> Any:
    """A part by its options. Raises InputError that names it for an unknown kind, unknown options and wrong values."""
    rest = dict(options)
    kind = str(rest.pop("kind", ""))
    make: Callable[..., Any] = members[kind]
    try:
        return make(*given, **rest)
    except InputError as error:
        raise InputError(f"{members.kind} {kind}: {error}") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"{members.kind} {kind}: does not take {rest}: {error}") from error

"""What the parts of a model have to keep, looked at when one is composed: a part that does not is refused by name.

Parts are made and run on the meta device, which computes shapes and gradients and no values: it costs milliseconds at
any size. It is also how transformers makes a model before it reads the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from cityscribe.files import InputError
from cityscribe.models.vlm.config import VlmConfig
from cityscribe.models.vlm.parts import (
    class_tokens,
    joins_views,
    make_connector,
    make_tiling,
    make_tower,
    most_boxes,
    reads_class_tokens,
    reads_ids,
    tile_tokens,
)

VIEWS = 2
"""How many views are computed in the checks."""

BOXES = 3
"""How many boxes a connector that reads boxes gets in the checks."""

TEXT_TOKENS = 3
"""How many tokens of text a connector that reads text gets in the checks."""

SIZES = ((640, 480), (1920, 1080), (31, 400), (1, 1))
"""Images, by width and height, whose views are looked at."""

LIBRARIES = ("transformers.", "timm.")
"""Whose modules make anew what they do not save."""

SAMPLES = 17
"""Points along each side of an image that its views have to cover."""


def check_parts(config: VlmConfig) -> int:
    """Check the parts of a configuration and that they fit together. Returns how many tokens a view becomes.

    Raises InputError that names the part and what it does wrong.
    """
    text: Any = config.get_text_config()
    with torch.device("meta"):
        towers = [make_tower(options) for options in config.towers or ()]
        if not towers:
            raise InputError("vision-tower: a model needs one")
        for tower, options in zip(towers, config.towers or (), strict=True):
            check_tower(f"vision-tower {options.get('kind')}", tower)
            if tuple(tower.grid) != tuple(towers[0].grid):
                raise InputError(
                    f"vision-tower {options.get('kind')}: its grid is {_by(tower.grid)}, that of the first tower "
                    f"{_by(towers[0].grid)}; towers look at the same patches"
                )
        connector = make_connector(config.connector or {}, towers, text.hidden_size)
        name = f"connector {(config.connector or {}).get('kind')}"
        classes = {class_tokens(tower) for tower in towers}
        count = check_connector(
            name,
            connector,
            tuple(towers[0].grid),
            sum(tower.width for tower in towers),
            text.hidden_size,
            classes.pop() if len(classes) == 1 else 0,
        )
    check_tiling(f"tiling {(config.tiling or {}).get('kind')}", make_tiling(config.tiling or {}, towers[0].size))
    return count


def check_tower(name: str, tower: Any) -> None:
    """A tower says its `size`, `grid`, `width`, `mean` and `std`, gives features [views, *grid, width] of pixels
    [views, 3, *size], and none of them asks for a gradient where nothing in it trains."""
    _check_module(name, tower, ("size", "grid", "width", "mean", "std"))
    pixels = torch.empty(VIEWS, 3, *tower.size, device="meta")
    features = _run(name, lambda: tower(pixels))
    _check_shape(name, "features", features, (VIEWS, *tower.grid, tower.width))
    before = [parameter.requires_grad for parameter in tower.parameters()]
    tower.requires_grad_(False)
    with torch.no_grad():
        frozen = _run(name, lambda: tower(pixels))
    if frozen.requires_grad:
        raise InputError(f"{name}: asks for a gradient where it is frozen")
    for parameter, trained in zip(tower.parameters(), before, strict=True):
        parameter.requires_grad_(trained)


def check_connector(
    name: str, connector: Any, grid: tuple[int, int], width: int, text_width: int, classes: int = 0
) -> int:
    """A connector says whether it `reads_text`, makes tokens [views, count(grid), text width] of features
    [views, *grid, width], and its gradient reaches them and all that trains in it. One that reads text is also given
    the embeddings [views, tokens, text width] of that, or its tokens, and which of them count [views, tokens]; one that
    `reads_class_tokens` also those of the tower [views, classes, width]; one that `reads_boxes` makes `box_tokens`
    [boxes, text width] of features, the view of each box and its edges; one with `tile_tokens` makes so many of a view
    that is a tile, in `tiles`. One that `joins_views` is given those of one image with its text [tokens, ...] and makes
    tokens [count(grid), text width]. Returns the count."""
    _check_module(name, connector, ("count", "reads_text"))
    if not isinstance(connector.reads_text, bool):
        raise InputError(f"{name}: `reads_text` is {connector.reads_text!r}; expected True or False")
    count = _run(name, lambda: connector.count(grid))
    if not isinstance(count, int) or count < 1:
        raise InputError(f"{name}: counts {count!r} tokens for a grid of {_by(grid)}; expected one or more")
    features = torch.empty(VIEWS, *grid, width, device="meta", requires_grad=True)
    mask = torch.ones(VIEWS, TEXT_TOKENS, dtype=torch.bool, device="meta")
    ids = torch.zeros(VIEWS, TEXT_TOKENS, dtype=torch.long, device="meta")
    text = (ids, mask.long()) if reads_ids(connector) else (torch.empty(*ids.shape, text_width, device="meta"), mask)
    beside = {}
    if reads_class_tokens(connector):
        beside["seen"] = torch.empty(VIEWS, classes, width, device="meta")
    joined = joins_views(connector)
    if joined:
        text = (text[0][0], text[1][0])
    tokens = _run(name, lambda: connector(features, *(text if connector.reads_text else ()), **beside))
    _check_shape(name, "tokens", tokens, (count, text_width) if joined else (VIEWS, count, text_width))
    tokens = tokens.sum()
    if tile_tokens(connector):
        of_tiles = _run(name, lambda: connector.tiles(features, *(text if connector.reads_text else ())))
        _check_shape(name, "tokens of tiles", of_tiles, (VIEWS, tile_tokens(connector), text_width))
        tokens = tokens + of_tiles.sum()
    if most_boxes(connector):
        views, edges = torch.zeros(BOXES, dtype=torch.long, device="meta"), torch.empty(BOXES, 4, device="meta")
        boxed = _run(name, lambda: connector.box_tokens(features, views, edges))
        _check_shape(name, "tokens of boxes", boxed, (BOXES, text_width))
        tokens = tokens + boxed.sum()
    if not tokens.requires_grad:
        raise InputError(f"{name}: no gradient flows through it")
    tokens.backward()
    reached = [("the features", features), *((f"`{key}`", value) for key, value in connector.named_parameters())]
    for what, value in reached:
        if value.requires_grad and value.grad is None:
            raise InputError(f"{name}: no gradient reaches {what}")
    return count


def check_tiling(name: str, tiling: Any) -> None:
    """A tiling says beforehand how many views an image has, and its views lie in the image and cover it, unless it says
    by an attribute `cuts_off` that they need not."""
    for width, height in SIZES:
        image = f"an image of {width} x {height}"
        views = _run(name, partial(_views, tiling, width, height))
        if not views or len(views) != tiling.count(width, height):
            raise InputError(f"{name}: counts {tiling.count(width, height)} views of {image} and gives {len(views)}")
        for view in views:
            x1, y1, x2, y2 = view.crop
            left, top, right, bottom = view.place
            if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
                raise InputError(f"{name}: a view of {image} shows {view.crop}, which is not in it")
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise InputError(f"{name}: a view of {image} is placed at {view.place}, which is not in the view")
        if getattr(tiling, "cuts_off", False):
            continue
        shares = [(step + 0.5) / SAMPLES for step in range(SAMPLES)]
        for x, y in product((share * width for share in shares), (share * height for share in shares)):
            if not any(view.crop[0] <= x <= view.crop[2] and view.crop[1] <= y <= view.crop[3] for view in views):
                raise InputError(f"{name}: no view of {image} shows the point {x:.0f}, {y:.0f}")


def _views(tiling: Any, width: int, height: int) -> tuple[Any, ...]:
    return tuple(tiling.views(width, height))


def _check_module(name: str, part: Any, says: tuple[str, ...]) -> None:
    """A part is a module that says what is asked of it, and all its tensors are saved."""
    if not isinstance(part, nn.Module):
        raise InputError(f"{name}: is a {type(part).__name__}; expected a torch.nn.Module")
    missing = [word for word in says if not hasattr(part, word)]
    if missing:
        raise InputError(f"{name}: does not say its {' and its '.join(missing)}")
    for path, module in part.named_modules():
        saved = module.state_dict(keep_vars=True)
        for key, _ in module.named_buffers(recurse=False):
            if key not in saved and not type(module).__module__.startswith(LIBRARIES):
                raise InputError(f"{name}: the buffer `{path}.{key}` is not saved; make it persistent")
        loose = [key for key, value in vars(module).items() if isinstance(value, Tensor)]
        if loose:
            raise InputError(f"{name}: `{path + '.' if path else ''}{loose[0]}` is a tensor that is not saved")


def _check_shape(name: str, what: str, value: Any, expected: tuple[int, ...]) -> None:
    if not isinstance(value, Tensor) or tuple(value.shape) != expected:
        found = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise InputError(f"{name}: gives {what} of shape {found}; expected {list(expected)}")


def _run(name: str, part: Callable[[], Any]) -> Any:
    """What a part gives. It is somebody's code: whatever it raises is said with its name."""
    try:
        return part()
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    except Exception as error:
        raise InputError(f"{name}: fails: {type(error).__name__}: {' '.join(str(error).split())[:300]}") from error


def _by(grid: tuple[int, int]) -> str:
    return f"{grid[0]} x {grid[1]}"

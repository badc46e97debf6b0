"""A part that somebody else wrote: one class, one line that registers it, and it is a part like any other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from cityscribe.files import InputError
from cityscribe.models.seams import CONNECTORS, TILINGS, TUNING, VISION_TOWERS
from cityscribe.models.settings import ModelSettings
from cityscribe.models.tuning.prepare import prepare_tuning
from cityscribe.models.vlm.compose import compose
from cityscribe.models.vlm.model import Beside
from cityscribe.models.vlm.tilings import TilingView
from cityscribe.registry import Registry, registry
from tests.models.vlm.composed import CLIP, POOLED, TOKENIZER, parts, tiny
from tests.models.vlm.test_trees import assert_trains_and_answers_exactly


class PatchTower(nn.Module):
    """One linear layer on the pixels of each patch."""

    mean, std = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)

    def __init__(self, side: int = 24, patch: int = 8, width: int = 16) -> None:
        super().__init__()
        self.size, self.grid, self.width = (side, side), (side // patch, side // patch), width
        self.embed = nn.Conv2d(3, width, patch, stride=patch)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.embed(pixels).permute(0, 2, 3, 1)


class Rows(nn.Module):
    """A token for each row of the grid."""

    reads_text = False

    def __init__(self, width: int, text_width: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, text_width)

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0]

    def forward(self, features: Tensor) -> Tensor:
        return self.project(features.mean(dim=2))


class Asked(Rows):
    """A token for each row, which the text beside the image scales."""

    reads_text = True

    def __init__(self, width: int, text_width: int) -> None:
        super().__init__(width, text_width)
        self.gate = nn.Linear(text_width, text_width)

    def forward(self, features: Tensor, text: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        mean = (text * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        return super().forward(features) * (1 + self.gate(mean).tanh())[:, None]


class Halves:
    """The image as a whole, and its left and right half; an image that is taller than wide as a whole only."""

    def __init__(self, shape: tuple[int, int]) -> None:
        pass

    def count(self, width: int, height: int) -> int:
        return 3 if width >= height and width > 1 else 1

    def views(self, width: int, height: int) -> tuple[TilingView, ...]:
        whole = TilingView((0, 0, width, height))
        if self.count(width, height) == 1:
            return (whole,)
        return (
            whole,
            TilingView((0, 0, width / 2, height), role="tile"),
            TilingView((width / 2, 0, width, height), role="tile"),
        )


MINE: dict[str, tuple[Registry[Any], Any, dict[str, Any]]] = {
    "vision-tower": (VISION_TOWERS, PatchTower, {"towers": ({"kind": "mine", "width": 24},)}),
    "connector": (CONNECTORS, Rows, {"connector": {"kind": "mine"}}),
    "tiling": (TILINGS, Halves, {"tiling": {"kind": "mine"}}),
}


@pytest.fixture
def mine(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    members, part, chosen = MINE[request.param]
    members.add("mine", part, "a part of a test")
    yield chosen
    members.remove("mine")


@pytest.mark.parametrize(("kind", "mine"), [(kind, kind) for kind in MINE], indirect=["mine"])
def test_a_part_of_somebody_else_is_listed_trains_on_trees_and_answers(
    kind: str, mine: dict[str, Any], tmp_path: Path
) -> None:
    assert "mine" in registry(kind).names()
    towers = mine.get("towers", (CLIP,))
    model, processor = tiny(parts(*towers, **{name: value for name, value in mine.items() if name != "towers"}))
    assert_trains_and_answers_exactly(model, processor, tmp_path)


@pytest.mark.parametrize("tiling", ["whole", "mine"])
def test_a_connector_that_reads_text_shares_an_image_only_where_texts_are_equal(tiling: str, tmp_path: Path) -> None:
    CONNECTORS.add("asked", Asked, "a part of a test")
    TILINGS.add("mine", Halves, "a part of a test")
    try:
        model, processor = tiny(parts(tiling={"kind": tiling}, connector={"kind": "asked"}))
        assert model.reads_text
        assert processor.reads_text
        picture = Image.new("RGB", (40, 32), (250, 30, 10))
        tokens = []
        for question in ("Where?", "Who is near it?", "Where?"):
            content = [{"type": "image", "image": picture}, {"type": "text", "text": question}]
            given = processor.apply_chat_template(
                [{"role": "user", "content": content}], tokenize=True, return_dict=True, return_tensors="pt"
            )
            beside = Beside(given["question_ids"], given["question_mask"], given["image_views"])
            tokens.append(model.model.image_tokens(given["pixel_values"], beside))
        assert torch.equal(tokens[0], tokens[2])
        assert (tokens[0] - tokens[1]).abs().max() > 1e-2 * tokens[0].abs().max()
        assert_trains_and_answers_exactly(model, processor, tmp_path, saves=1.0)
    finally:
        CONNECTORS.remove("asked")
        TILINGS.remove("mine")


def test_views_of_an_image_stand_one_after_the_other() -> None:
    """Of a wide image the same model sees three views, whose tokens are those of each view as an image alone."""
    TILINGS.add("mine", Halves, "a part of a test")
    try:
        model, processor = tiny(parts(tiling={"kind": "mine"}))
        wide = Image.new("RGB", (64, 32), (250, 30, 10))
        wide.paste((10, 240, 90), (32, 0, 64, 32))
        given = processor(images=[[wide]], text=["<image>Where?"], return_tensors="pt")
        whole, *halves = given["pixel_values"]
        assert (given["input_ids"] == TOKENIZER.image_token_id).sum() == 3 * 4
        left, right = (
            processor.image_processor.preprocess([wide.crop(box)]) for box in ((0, 0, 32, 32), (32, 0, 64, 32))
        )
        for half, alone in zip(halves, (left, right), strict=True):
            torch.testing.assert_close(half, torch.from_numpy(alone["pixel_values"][0]))
        tokens = model.model.image_tokens(given["pixel_values"])
        torch.testing.assert_close(tokens[:4], model.model.image_tokens(whole[None]))
        torch.testing.assert_close(tokens[8:], model.model.image_tokens(halves[1][None]))
        tall = processor(images=[[wide.rotate(90, expand=True)]], text=["<image>Where?"], return_tensors="pt")
        assert len(tall["pixel_values"]) == 1
    finally:
        TILINGS.remove("mine")


class WrongShape(PatchTower):
    def forward(self, pixels: Tensor) -> Tensor:
        return self.embed(pixels).flatten(2)


class Unsaved(PatchTower):
    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.ones(3)


class Fails(PatchTower):
    def forward(self, pixels: Tensor) -> Tensor:
        raise KeyError("pixels")


class NeedsGradient(PatchTower):
    def forward(self, pixels: Tensor) -> Tensor:
        with torch.enable_grad():
            return super().forward(pixels.clone().requires_grad_())


class Miscounts(Rows):
    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] + 1


class NoGradient(Rows):
    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features.detach())


class DeadWeight(Rows):
    def __init__(self, width: int, text_width: int) -> None:
        super().__init__(width, text_width)
        self.unused = nn.Linear(2, 2)


class Silent(Rows):
    reads_text = None  # type: ignore[assignment]


class HalfBlind(Halves):
    def views(self, width: int, height: int) -> tuple[TilingView, ...]:
        return (TilingView((0, 0, width / 2, height)),) * self.count(width, height)


class Outside(Halves):
    def views(self, width: int, height: int) -> tuple[TilingView, ...]:
        return (TilingView((0, 0, width + 1, height)),) * self.count(width, height)


class Surprising(Halves):
    def views(self, width: int, height: int) -> tuple[TilingView, ...]:
        return (TilingView((0, 0, width, height)),)


BROKEN: list[tuple[str, Any, str]] = [
    ("vision-tower", WrongShape, "gives features of shape .*expected"),
    ("vision-tower", Unsaved, "`scale` is a tensor that is not saved"),
    ("vision-tower", Fails, "fails: KeyError"),
    ("vision-tower", NeedsGradient, "asks for a gradient where it is frozen"),
    ("connector", Miscounts, r"gives tokens of shape \[2, 4, 32\]; expected \[2, 5, 32\]"),
    ("connector", NoGradient, "no gradient reaches the features"),
    ("connector", DeadWeight, "no gradient reaches `unused.weight`"),
    ("connector", Silent, "`reads_text` is None"),
    ("tiling", HalfBlind, "no view of an image of 640 x 480 shows the point"),
    ("tiling", Outside, "which is not in it"),
    ("tiling", Surprising, "counts 3 views of an image of 640 x 480 and gives 1"),
]


@pytest.mark.parametrize(("kind", "part", "message"), BROKEN, ids=[part.__name__ for _, part, _ in BROKEN])
def test_a_part_that_breaks_its_contract_is_refused_by_name(kind: str, part: Any, message: str) -> None:
    members, _, _ = MINE[kind]
    members.add("broken", part, "a part of a test")
    chosen = {"towers": (CLIP,), "tiling": {"kind": "whole"}, "connector": POOLED}
    chosen[{"vision-tower": "towers"}.get(kind, kind)] = (
        ({"kind": "broken"},) if kind == "vision-tower" else {"kind": "broken"}
    )
    towers = chosen.pop("towers")
    try:
        with pytest.raises(InputError, match=f"{kind} broken: .*{message}"):
            compose(parts(*towers, **chosen), TOKENIZER)  # type: ignore[arg-type]
    finally:
        members.remove("broken")


def test_a_method_of_somebody_else_tunes() -> None:
    def train_norms(model: Any, settings: ModelSettings) -> list[nn.Parameter]:
        return [value for name, value in model.named_parameters() if "norm" in name]

    TUNING.add("norms", train_norms, "a method of a test")
    try:
        assert "norms" in registry("tuning")
        model, _ = tiny(parts())
        report = prepare_tuning(model, ModelSettings(method="norms"))
        assert 0 < report.trainable < report.total
        assert all(("norm" in name) == value.requires_grad for name, value in model.named_parameters())
    finally:
        TUNING.remove("norms")

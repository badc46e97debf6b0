"""What is known about families of models: layers with windows, layers that no tree can do, positions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from transformers import LlavaForConditionalGeneration, MistralConfig, PreTrainedModel, ProcessorMixin, Qwen2Config

from cityscribe.files import InputError
from cityscribe.models.attention import Reach
from cityscribe.models.inputs import position_rule
from cityscribe.models.load import load_processor
from cityscribe.train.exact import check_tree
from cityscribe.train.settings import TrainSettings
from cityscribe.train.tree_attention import attention_backend, tree_attention
from tests.tiny_models import FAMILIES
from tests.train.conftest import City

Load = Callable[[str], tuple[PreTrainedModel, ProcessorMixin]]
CPU = torch.device("cpu")
SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.2,
}


@pytest.mark.parametrize(
    ("text", "reaches"),
    [
        (MistralConfig(**SMALL, sliding_window=20), {"sliding_attention": Reach(window=20)}),
        (
            Qwen2Config(**SMALL, use_sliding_window=True, sliding_window=20, max_window_layers=1),
            {"full_attention": Reach(), "sliding_attention": Reach(window=20)},
        ),
    ],
)
def test_windows_are_counted_in_the_own_sequence(
    text: MistralConfig, reaches: dict[str, Reach], load: Load, tiny: Callable, city: City
) -> None:
    model, _ = load("llava")
    config = model.config
    text.vocab_size = config.text_config.vocab_size
    config.text_config = text
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(config).eval()
    attention = tree_attention(model, CPU, 100)
    assert attention.reaches == reaches
    assert attention.backend == "sdpa"
    assert tree_attention(model, CPU, 20).backend == "cityscribe_tree"
    error = check_tree(model, attention, [city.samples[:5]], city.root, load_processor(tiny("llava")), TrainSettings())
    assert error < 1e-5


def test_layers_that_mix_neighbours_are_refused(load: Load) -> None:
    model, _ = load("llava")
    model.config.text_config.layer_types = ["linear_attention", "full_attention"] * 2
    with pytest.raises(InputError, match=r"layers of linear_attention, .* set train\.share_prefix to false"):
        tree_attention(model, CPU, 100)


def test_an_attention_that_cannot_be_set_is_refused(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = load("llava")
    with (
        pytest.raises(InputError, match="its attention cannot take the mask of a tree"),
        attention_backend(model, "no"),
    ):
        pass
    monkeypatch.setattr(type(model.model.language_model), "_can_set_attn_implementation", lambda self: False)
    with (
        pytest.raises(InputError, match="cannot take the mask of a tree: it is fixed to `sdpa`"),
        attention_backend(model, "cityscribe_tree"),
    ):
        pass


@pytest.mark.parametrize("family", FAMILIES)
def test_the_attention_of_the_decoder_is_put_back(family: str, load: Load) -> None:
    model, _ = load(family)
    before = {name: module.config._attn_implementation for name, module in modules(model)}
    with attention_backend(model, "cityscribe_tree"):
        within = {name: module.config._attn_implementation for name, module in modules(model)}
        assert {name for name, kind in within.items() if kind == "cityscribe_tree"}
        tower = [name for name in within if "vision" in name or "visual" in name]
        assert tower
        assert all(within[name] == before[name] for name in tower)
    assert {name: module.config._attn_implementation for name, module in modules(model)} == before


def modules(model: PreTrainedModel) -> list[tuple[str, PreTrainedModel]]:
    return [(name, module) for name, module in model.named_modules() if isinstance(module, PreTrainedModel)]


@pytest.mark.parametrize(("family", "axes"), [("llava", 1), ("qwen2.5-vl", 3), ("qwen3-vl", 3)])
def test_positions_without_images_count_from_zero(family: str, axes: int, load: Load) -> None:
    model, _ = load(family)
    assert position_rule(model)({"input_ids": torch.tensor([[5, 6, 7]])}, {}).tolist() == [[0, 1, 2]] * axes

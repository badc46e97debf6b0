"""Recurrent layers compute with installed kernels that run here and start from any state, else in torch.

The packages need a GPU. Stand-ins with their names and arguments take their place: what is tested is the choice.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from transformers.models.qwen3_5 import modeling_qwen3_5

from cityscribe.models.kernels import fitting_kernels
from tests.decoders import RECURRENT
from tests.train.test_forks import alone, on_tree, three_levels


def convolution(x: Any, weight: Any, bias: Any = None, seq_idx: Any = None, activation: Any = None) -> Any:
    """As causal-conv1d's: takes no state, which the columns before the first token stand for."""
    raise RuntimeError("runs on GPUs only")


def delta_rule(
    q: Any,
    k: Any,
    v: Any,
    g: Any,
    beta: Any,
    scale: Any = None,
    initial_state: Any = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
) -> Any:
    """As flash-linear-attention's."""
    raise RuntimeError("runs on GPUs only")


def stateless(q: Any, k: Any, v: Any, g: Any, beta: Any, use_qk_l2norm_in_kernel: bool = False) -> Any:
    raise RuntimeError("forgets what stood before")


@pytest.fixture
def with_kernels(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """transformers' module of Qwen3.5, as it is where both packages are installed. One of their functions takes no
    state."""
    packages = {name: ModuleType(name) for name in ("fla", "fla.ops", "fla.ops.gated_delta_rule", "causal_conv1d")}
    vars(packages["causal_conv1d"])["causal_conv1d_fn"] = convolution
    rules = vars(packages["fla.ops.gated_delta_rule"])
    rules["chunk_gated_delta_rule"], rules["fused_recurrent_gated_delta_rule"] = delta_rule, stateless
    vars(packages["fla"])["ops"] = packages["fla.ops"]
    vars(packages["fla.ops"])["gated_delta_rule"] = packages["fla.ops.gated_delta_rule"]
    for name, package in packages.items():
        monkeypatch.setitem(sys.modules, name, package)
    name = f"{modeling_qwen3_5.__name__}_with_kernels"
    spec = importlib.util.spec_from_file_location(name, modeling_qwen3_5.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def model_of(module: ModuleType) -> Any:
    fields: Any = RECURRENT["gated delta rule"].to_dict() | {"vocab_size": 64, "pad_token_id": 0}
    torch.manual_seed(0)
    return vars(module)["Qwen3_5ForCausalLM"](type(RECURRENT["gated delta rule"])(**fields)).eval()


def test_a_kernel_that_knows_no_state_is_never_taken(with_kernels: ModuleType) -> None:
    layers = [layer.linear_attn for layer in model_of(with_kernels).model.layers if hasattr(layer, "linear_attn")]
    before = dict(vars(with_kernels))
    with fitting_kernels(layers, "cuda") as chosen:
        assert chosen == {
            "causal_conv1d_fn": "kernel",
            "torch_chunk_gated_delta_rule": "kernel",
            "torch_recurrent_gated_delta_rule": "torch",
        }
    with fitting_kernels(layers, "cpu") as chosen:
        assert set(chosen.values()) == {"torch"}
    assert vars(with_kernels) == before


def test_where_kernels_do_not_run_trees_are_computed_in_torch(with_kernels: ModuleType) -> None:
    tree = three_levels(9, 3, 2)
    expected = alone(model_of(modeling_qwen3_5), tree)
    model = model_of(with_kernels)
    with pytest.raises(RuntimeError, match="GPUs only"):
        model(torch.tensor([[5, 6, 7]]))
    loss, gradient = on_tree(model, tree)
    assert loss == pytest.approx(expected[0], rel=1e-5)
    assert (gradient - expected[1]).norm() <= 1e-4 * expected[1].norm()


def test_without_packages_there_is_nothing_to_choose() -> None:
    layers = [module for module in model_of(modeling_qwen3_5).modules() if hasattr(module, "conv1d")]
    with fitting_kernels(layers, "cpu") as chosen:
        assert chosen == {}

"""Parts of a model, and its parameter groups with a rate of their own."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import get_args

import pytest
import torch

from cityscribe.files import InputError
from cityscribe.models.load import load_model
from cityscribe.models.parts import connector, named_parts, parameter_groups, parameters_of
from cityscribe.models.settings import LoraSettings, ModelPart, ModelSettings
from cityscribe.models.tuning.prepare import prepare_tuning
from tests.tiny_models import FAMILIES

Checkpoint = Callable[[str], Path]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_has_one_part_that_settings_can_name(family: str, tiny: Checkpoint) -> None:
    model = load_model(tiny(family), dtype=torch.float32)
    parts = dict(named_parts(model))
    assert sorted(map(id, chain(*parts.values()))) == sorted(map(id, model.parameters()))
    assert parts.keys() - {"other"} == set(get_args(ModelPart))
    assert len(parts["other"]) == (family in ("llava-next", "llava-onevision")), "the end of a row of tiles"


@pytest.mark.parametrize("family", FAMILIES)
def test_groups_hold_what_trains_once_with_the_scale_of_its_part(family: str, tiny: Checkpoint) -> None:
    model = load_model(tiny(family), dtype=torch.float32)
    prepare_tuning(model, ModelSettings(method="lora", lora=LoraSettings(rank=2), unfreeze=("connector",)))
    groups = parameter_groups(model, {"connector": 0.1})
    assert [(group["part"], group["lr_scale"]) for group in groups] == [("connector", 0.1), ("decoder", 1.0)]
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    assert set(map(id, groups[0]["params"])) == {id(p) for module in connector(model) for p in module.parameters()}


def test_a_scale_is_a_factor_on_the_step(tiny: Checkpoint) -> None:
    model = load_model(tiny("llava"), dtype=torch.float32)
    prepare_tuning(model, ModelSettings(method="full"))
    before = {part: [p.detach().clone() for p in parameters] for part, parameters in named_parts(model)}
    groups = parameter_groups(model, {"vision_tower": 0.5})
    optimizer = torch.optim.SGD([{**group, "lr": 0.1 * group["lr_scale"]} for group in groups], lr=0.1)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    for part, parameters in named_parts(model):
        step = 0.05 if part == "vision_tower" else 0.1
        for old, new in zip(before[part], parameters, strict=True):
            torch.testing.assert_close(old - new, torch.full_like(old, step))


def test_a_scale_without_effect_is_an_error(tiny: Checkpoint) -> None:
    model = load_model(tiny("llava"), dtype=torch.float32)
    prepare_tuning(model, ModelSettings(method="connector"))
    with pytest.raises(InputError, match=r"train\.lr_scales: decoder does not train; what trains is connector"):
        parameter_groups(model, {"decoder": 0.1})


def test_a_part_that_the_model_has_not(tiny: Checkpoint) -> None:
    model = load_model(tiny("llava"), dtype=torch.float32)
    model.model.bridge = model.model.multi_modal_projector
    del model.model.multi_modal_projector
    with pytest.raises(InputError, match=r"model\.unfreeze: .* has no connector of its own"):
        parameters_of(model, ("decoder", "connector"), "model.unfreeze")

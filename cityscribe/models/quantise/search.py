"""The search for the rounded weights of a model, block by block; a stopped one goes on after its last whole block.

    found = search(model, QUANTISERS["awq"](dtype), scheme, calibration, work=out.with_name("x.search"))

It changes the model in place: afterwards it computes with the rounded weights, unpacked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from cityscribe.files import InputError, whole_file
from cityscribe.models.quantise.block import Calibration, Layer, put_in, record_layers
from cityscribe.models.quantise.rounding import Rounded, Scheme
from cityscribe.progress import Progress


class Quantiser(Protocol):
    """A member of `QUANTISERS`: how the codes and scales of weights are found.

    It is made with the type that the checkpoint stores norms and biases in. It may change the layers in place so that
    they are rounded with less harm, as long as they compute the same before they are.
    """

    calibrated: bool  # whether it looks at what layers are called with on samples

    def blocks(self, layers: Sequence[Layer]) -> list[list[int]]:
        """The numbers of the layers that are searched together, in the order of the layers."""
        ...

    def search(self, layers: Sequence[Layer], scheme: Scheme) -> list[dict[str, Rounded]]:
        """For each layer of a block the rounded weights of its linear layers, by their names in it."""
        ...


@dataclass(frozen=True, slots=True)
class LayerError:
    """How far the rounding moved a layer, as shares of what there is: root mean squares."""

    layer: str
    weights: float  # of what is rounded
    outputs: float | None  # on the calibration samples; None without


@dataclass(frozen=True, slots=True, eq=False)
class Searched:
    """What a search found."""

    scheme: Scheme
    rounded: dict[str, Rounded]  # by the name of the linear layer in the model
    errors: list[LayerError] = field(default_factory=list)


@torch.no_grad()
def search(
    model: PreTrainedModel,
    quantiser: Quantiser,
    scheme: Scheme,
    calibration: Calibration | None,
    *,
    work: Path | None = None,
    made_from: str = "",
    progress: Progress | None = None,
) -> Searched:
    """Round the linear layers of the decoder, which has to be held in float32.

    What is found of each block is kept in the folder `work`; what lies there of a search that was made from the same
    (`made_from`) is taken. Raises InputError where the member needs calibration and there is none.
    """
    if quantiser.calibrated and calibration is None:
        raise InputError("this method needs calibration samples; give prepared ones")
    layers = record_layers(model, calibration)
    found = Searched(scheme, {})
    blocks = quantiser.blocks(layers)
    done = 0
    for members in blocks:
        block = [layers[number] for number in members]
        file = None if work is None else work / f"{_key(made_from)}-{members[0]:04d}.safetensors"
        known = None if file is None else _read(file, block)
        if known is None:
            known = _search_block(block, quantiser, scheme)
            if file is not None:
                _write(file, known, block)
        for layer, (rounded, error) in zip(block, known, strict=True):
            put_in(layer, rounded)
            found.rounded.update({f"{layer.name}.{name}": each for name, each in rounded.items()})
            found.errors.append(error)
            layer.calls.clear()
        done += len(block)
        if progress is not None:
            progress(done, len(layers))
    return found


Found = list[tuple[dict[str, Rounded], LayerError]]
"""Of each layer of a block."""


def _search_block(block: Sequence[Layer], quantiser: Quantiser, scheme: Scheme) -> Found:
    before = [layer.outputs() for layer in block]
    rounded = quantiser.search(block, scheme)
    errors = []
    for layer, expected, weights in zip(block, before, rounded, strict=True):
        moved = _share([(each.weight.float(), weights[name].weight()) for name, each in layer.linears().items()])
        put_in(layer, weights)
        outputs = [(b.float(), a.float()) for a, b in zip(layer.outputs(), expected, strict=True)]
        errors.append(LayerError(layer.name, moved, _share(outputs) if outputs else None))
    return list(zip(rounded, errors, strict=True))


def _share(pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
    """How far second tensors are from first ones, as a share of these."""
    apart = sum(float((a - b).square().sum()) for a, b in pairs)
    whole = sum(float(a.square().sum()) for a, _ in pairs)
    return (apart / whole) ** 0.5 if whole else 0.0


def _key(made_from: str) -> str:
    return hashlib.sha256(made_from.encode()).hexdigest()[:16]


def _beside(layer: Layer) -> dict[str, Tensor]:
    """What a layer has besides the weights of its linear layers, which a search may change too."""
    own = {f"{name}.weight" for name in layer.linears()}
    return {name: value for name, value in layer.module.named_parameters() if name not in own}


def _write(file: Path, found: Found, block: Sequence[Layer]) -> None:
    tensors: dict[str, Tensor] = {}
    for layer, (rounded, _) in zip(block, found, strict=True):
        for name, each in rounded.items():
            tensors[f"{layer.number} codes {name}"] = each.codes
            tensors[f"{layer.number} scales {name}"] = each.scales
        for name, value in _beside(layer).items():
            tensors[f"{layer.number} beside {name}"] = value.detach().contiguous()
    errors = [[error.layer, error.weights, error.outputs] for _, error in found]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(file) as partial:
            save_file(tensors, partial, metadata={"errors": json.dumps(errors)})
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file}: cannot be written: {error}") from error


def _read(file: Path, block: Sequence[Layer]) -> Found | None:
    """What was found of a block before; None where that is not there, damaged, or of another block. Puts in what it
    changed besides, of all layers or of none: a new search begins from the layers as they were."""
    try:
        with safe_open(file, framework="pt") as stored:
            errors = [LayerError(*entry) for entry in json.loads(stored.metadata()["errors"])]
            found = []
            changed: list[tuple[Tensor, Tensor]] = []
            for layer, error in zip(block, errors, strict=True):
                rounded = {
                    name: Rounded(
                        stored.get_tensor(f"{layer.number} codes {name}"),
                        stored.get_tensor(f"{layer.number} scales {name}"),
                    )
                    for name in layer.linears()
                }
                changed += [
                    (value, stored.get_tensor(f"{layer.number} beside {name}").to(value))
                    for name, value in _beside(layer).items()
                ]
                found.append((rounded, error))
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        return None
    for value, stored_value in changed:
        value.data = stored_value
    return found

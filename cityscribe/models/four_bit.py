"""The decoder in four bits: NF4 through bitsandbytes, the base of QLoRA (Dettmers et al. 2023).

Only the linear layers of the decoder are quantised: they are nearly all of the memory. The vision tower, the connector
and the head stay as they are. The weights in four bits never train; adapters beside them do (`lora`). Needs the extra
`cityscribe[qlora]`.
"""

from __future__ import annotations

from importlib.util import find_spec

import torch
from torch import nn
from transformers import BitsAndBytesConfig, PreTrainedModel

from cityscribe.files import InputError
from cityscribe.models.parts import decoder_layers

BLOCK = 64
"""Weights that share a scale, the default of bitsandbytes and of QLoRA."""


def four_bit_config(skipped: list[str], dtype: torch.dtype) -> BitsAndBytesConfig:
    """NF4 with double quantisation, computing in `dtype`, for all linear layers but those whose names are `skipped`.

    Raises InputError where bitsandbytes is not installed.
    """
    if find_spec("bitsandbytes") is None:
        raise InputError("model.method: qlora needs bitsandbytes; pip install 'cityscribe[qlora]'")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=skipped,  # also read for four bits, whatever its name says
    )


def linears_outside_decoder(model: PreTrainedModel) -> list[str]:
    """The names of the linear layers that are in no layer of the decoder."""
    inside = {id(module) for layer in decoder_layers(model) for module in layer.modules()}
    return [name for name, m in model.named_modules() if isinstance(m, nn.Linear) and id(m) not in inside]


def is_four_bit(model: PreTrainedModel) -> bool:
    """Whether the model was loaded in four bits."""
    return "is_loaded_in_4bit" in vars(model)


def count_weights(parameter: nn.Parameter) -> int:
    """How many weights a parameter holds; one in four bits holds two in an element."""
    state = vars(parameter).get("quant_state")
    return parameter.numel() if state is None else int(state.shape.numel())


def check_widths(model: PreTrainedModel, base: str) -> None:
    """Raises InputError, naming the base, for a layer that bitsandbytes reads back wrongly on a CPU, in silence.

    Weights share a scale in blocks of 64 along the flat weight; the CPU code takes each row to begin with a new block.
    """
    for name, module in model.named_modules():
        narrow = "quant_state" in vars(module) and module.weight.device.type == "cpu" and module.in_features % BLOCK
        if narrow:
            raise InputError(
                f"{base}: `{name}` reads {module.in_features} values, no multiple of {BLOCK}: four bits go wrong "
                "on a CPU; use a GPU or another model.method"
            )


def keep_trainable(model: PreTrainedModel) -> None:
    """Keep bitsandbytes from packing weights anew at the first forward pass in `eval` mode on a CPU.

    It does so where the processor has AVX512-BF16, and its product with packed weights has no gradient: everything
    trained afterwards would get none, in silence.
    """
    for module in model.modules():
        if "support_avx512bf16_for_cpu" in vars(module):
            vars(module)["support_avx512bf16_for_cpu"] = False

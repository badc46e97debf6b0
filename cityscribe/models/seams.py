"""What is exchangeable in a model, by name: the parts that one is composed of, the methods that tune it, and
those that round its weights to a few bits.

Nothing heavy is imported here: a member is loaded when it is first asked for. `cityscribe.models.vlm` says what towers,
tilings and connectors are, `cityscribe.models.tuning` what a method is.
"""

from __future__ import annotations

from typing import Any

from cityscribe.registry import Registry

VISION_TOWERS: Registry[Any] = Registry("vision-tower", "images to features on a grid")
TILINGS: Registry[Any] = Registry("tiling", "how an image is cut into the views that a tower sees")
CONNECTORS: Registry[Any] = Registry("connector", "features on a grid to tokens of the decoder")
TEXT_DECODERS: Registry[Any] = Registry("text-decoder", "a question and features to queries that look at an image")

_TOWERS = "cityscribe.models.vlm.towers."
VISION_TOWERS.add("clip", _TOWERS + "clip:ClipTower", "CLIP's image encoder", paper="Radford et al. 2021")
VISION_TOWERS.add("siglip", _TOWERS + "siglip:SiglipTower", "SigLIP's image encoder", paper="Zhai et al. 2023")
VISION_TOWERS.add(
    "eva", _TOWERS + "eva:EvaTower", "EVA-CLIP's image encoder, as in InstructBLIP", paper="Sun et al. 2023"
)

_TILINGS = "cityscribe.models.vlm.tilings."
TILINGS.add("whole", _TILINGS + "whole:WholeImage", "the image as one view, its aspect ratio given up")
TILINGS.add("letterbox", _TILINGS + "letterbox:Letterbox", "the image as one view, with borders that keep its shape")

_CONNECTORS = "cityscribe.models.vlm.connectors."
CONNECTORS.add("mlp", _CONNECTORS + "mlp:Mlp", "linear layers, a token a patch", paper="Liu et al. 2023 (LLaVA-1.5)")
CONNECTORS.add(
    "average-pooling",
    _CONNECTORS + "average_pooling:AveragePooling",
    "squares of patches averaged, then linear layers",
    paper="Yao et al. 2024 (DeCo)",
)
CONNECTORS.add(
    "llama-vid",
    _CONNECTORS + "llama_vid:LlamaVid",
    "a token of what the question asks for, and tokens of pooled patches",
    paper="Li et al. 2023 (LLaMA-VID)",
)

_TEXT_DECODERS = "cityscribe.models.vlm.text_decoders."
TEXT_DECODERS.add(
    "qformer",
    _TEXT_DECODERS + "qformer:QFormerText",
    "learnt queries that read the question and look at the image",
    paper="Dai et al. 2023 (InstructBLIP)",
)
TEXT_DECODERS.add(
    "bert",
    _TEXT_DECODERS + "bert:BertText",
    "the words of the question look at the image",
    paper="Li et al. 2023 (LLaMA-VID), its BERT",
)

TUNING: Registry[Any] = Registry("tuning", "what trains in a model, and what is put into it for that")
_TUNING = "cityscribe.models.tuning."
_LORA = _TUNING + "lora:add_lora"
TUNING.add(
    "block-expansion",
    _TUNING + "block_expansion:add_blocks",
    "silent copies of decoder layers train, the rest stays",
    paper="Wu et al. 2024 (LLaMA-Pro); CityLLaVA, section 3.3",
)
TUNING.add("lora", _LORA, "low-rank adapters beside linear layers", paper="Hu et al. 2021")
TUNING.add("dora", _LORA, "LoRA that also learns the length of each row", paper="Liu et al. 2024")
TUNING.add("qlora", _LORA, "LoRA on a decoder held in four bits", paper="Dettmers et al. 2023", extra="qlora")
TUNING.add("full", _TUNING + "whole:train_all", "everything trains")
TUNING.add(
    "connector",
    _TUNING + "whole:train_connector",
    "only what stands between tower and decoder trains",
    paper="Liu et al. 2023 (LLaVA), its first stage",
)
TUNING.add("none", _TUNING + "whole:train_nothing", "nothing trains: the base answers as it is")

QUANTISERS: Registry[Any] = Registry("quantiser", "how the weights of a decoder are rounded to four or eight bits")
_QUANTISE = "cityscribe.models.quantise."
QUANTISERS.add("rtn", _QUANTISE + "rtn:Rtn", "each weight to the nearest code")
QUANTISERS.add(
    "awq", _QUANTISE + "awq:Awq", "weights that meet large inputs are scaled up before", paper="Lin et al. 2024 (AWQ)"
)
QUANTISERS.add(
    "q-vlm",
    _QUANTISE + "q_vlm:QVlm",
    "AWQ, then grids searched for layers that depend on each other together",
    paper="Wang et al. 2024 (Q-VLM)",
)

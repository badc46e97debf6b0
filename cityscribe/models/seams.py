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
VISION_TOWERS.add(
    "transformers",
    _TOWERS + "any_encoder:TransformersTower",
    "any image encoder of transformers, and of timm, by its configuration",
)
VISION_TOWERS.add(
    "none", _TOWERS + "no_encoder:NoEncoder", "the pixels of each patch as they are", paper="Chen et al. 2024 (SOLO)"
)
VISION_TOWERS.add(
    "side-by-side",
    _TOWERS + "side_by_side:SideBySide",
    "towers side by side on the grid of the first",
    paper="Karamcheti et al. 2024 (Prismatic)",
)
VISION_TOWERS.add(
    "merv",
    _TOWERS + "merv:Merv",
    "towers on one grid, weighed by a learnt query",
    paper="Chung et al. 2025 (MERV)",
)
VISION_TOWERS.add(
    "spatial-aggregator",
    _TOWERS + "spatial_aggregator:SpatialAggregator",
    "learnt queries that look at their window of each tower's map",
    paper="Tong et al. 2024 (Cambrian-1)",
)
VISION_TOWERS.add(
    "conv-gate",
    _TOWERS + "conv_gate:GatedPair",
    "a gate adds a high-resolution map to a low one",
    paper="Zhao et al. 2024 (MG-LLaVA)",
)
VISION_TOWERS.add(
    "pyramid",
    _TOWERS + "pyramid:Pyramid",
    "a large network for small pictures and a small one for large, crossing",
    paper="Zhu et al. 2024 (PIIP)",
)
VISION_TOWERS.add(
    "query-encoder",
    _TOWERS + "query_encoder:QueryEncoder",
    "learnt queries among the patches of an encoder that is trained already",
    paper="Yu et al. 2023 (Muffin)",
)
VISION_TOWERS.add(
    "slices",
    _TOWERS + "slices:Slices",
    "slices of a larger picture on one grid, beside the whole",
    paper="Liu et al. 2023 (LLaVA-1.5-HD)",
)
VISION_TOWERS.add(
    "dual-perspective",
    _TOWERS + "dual_perspective:DualPerspective",
    "local slices and strided ones that look at each other",
    paper="Ma et al. 2024 (INF-LLaVA)",
)
VISION_TOWERS.add(
    "slice-restore",
    _TOWERS + "slice_restore:SliceRestore",
    "slices that are put together between layers",
    paper="Huang et al. 2024 (HiRes-LLaVA)",
)

_TILINGS = "cityscribe.models.vlm.tilings."
TILINGS.add("whole", _TILINGS + "whole:WholeImage", "the image as one view, its aspect ratio given up")
TILINGS.add("letterbox", _TILINGS + "letterbox:Letterbox", "the image as one view, with borders that keep its shape")
TILINGS.add("center-crop", _TILINGS + "center_crop:CenterCrop", "the middle of the image, the rest cut off")
TILINGS.add(
    "anyres",
    _TILINGS + "anyres:AnyRes",
    "the whole, and tiles on the grid on which the image keeps most pixels",
    paper="Liu et al. 2024 (LLaVA-NeXT)",
)
TILINGS.add(
    "dynamic",
    _TILINGS + "dynamic:Dynamic",
    "tiles on the grid of the nearest shape, and the whole; with tags that name them",
    paper="Chen et al. 2024 (InternVL 1.5); Dai et al. 2024 (NVLM), its tags",
)
TILINGS.add(
    "uhd",
    _TILINGS + "uhd:Uhd",
    "slices of least distortion between commas and line breaks",
    paper="Guo et al. 2024 (LLaVA-UHD)",
)
TILINGS.add(
    "native",
    _TILINGS + "native:Native",
    "windows of the image at its own scale, and the whole",
    paper="Dai et al. 2024 (PA-LLaVA)",
)

TILINGS.add("frames", _TILINGS + "frames:Frames", "frames of a video, for connectors that join them")

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
CONNECTORS.add(
    "fused-mlp",
    _CONNECTORS + "fused_mlp:FusedMlp",
    "three linear layers for several towers",
    paper="Karamcheti et al. 2024 (Prismatic)",
)
CONNECTORS.add(
    "pixel-shuffle",
    _CONNECTORS + "pixel_shuffle:PixelShuffle",
    "squares of patches as one long feature",
    paper="Chen et al. 2024 (InternVL 1.5)",
)
CONNECTORS.add(
    "resampler",
    _CONNECTORS + "resampler:Resampler",
    "learnt queries that look at the patches once",
    paper="Bai et al. 2023 (Qwen-VL)",
)
CONNECTORS.add(
    "qformer",
    _CONNECTORS + "qformer:QFormer",
    "learnt queries that see each other and the image, layer by layer",
    paper="Li et al. 2023 (BLIP-2)",
)
CONNECTORS.add(
    "abstractor",
    _CONNECTORS + "abstractor:Abstractor",
    "convolutions, an average to fewer places, convolutions",
    paper="Cha et al. 2024 (Honeybee)",
)
CONNECTORS.add(
    "box-tokens",
    _CONNECTORS + "box_tokens:BoxTokens",
    "another connector, and a token of what is in each box of the image",
    paper="Zhao et al. 2024 (MG-LLaVA)",
)
CONNECTORS.add(
    "scan",
    _CONNECTORS + "scan:Scan",
    "state spaces that read the patches along rows and columns",
    paper="Huang et al. 2024 (ML-Mamba)",
)
CONNECTORS.add(
    "slime",
    _CONNECTORS + "slime:Slime",
    "the whole by a mixture of adapters, and tokens of its tiles that the question chooses",
    paper="Zhang et al. 2024 (SliME)",
)

CONNECTORS.add(
    "pllava",
    _CONNECTORS + "pllava:Pllava",
    "the frames of a video averaged over time and space",
    paper="Xu et al. 2024 (PLLaVA)",
)
CONNECTORS.add(
    "ppllava",
    _CONNECTORS + "ppllava:Ppllava",
    "the same, weighed by how alike a patch and the question are",
    paper="Liu et al. 2024 (PPLLaVA)",
)
CONNECTORS.add(
    "ts-llava",
    _CONNECTORS + "ts_llava:TsLlava",
    "a thumbnail of few frames, and tokens sampled from all frames",
    paper="Qu et al. 2024 (TS-LLaVA)",
)

CONNECTORS.add(
    "video-panda",
    _CONNECTORS + "video_panda:VideoPanda",
    "for a video without an encoder: windows of time and space, told of their frame and of the whole",
    paper="Yi et al. 2025 (Video-Panda)",
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

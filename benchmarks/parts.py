"""What parts of a model take: parameters, and the tokens of a picture. Counted on the meta device; nothing is computed.

    python -m benchmarks.parts

A tower of CLIP-L/14 at 336 pixels (two of them, or three slices along a side, where a part wants that), a decoder of
width 4096, a picture of 1920 x 1080.
"""

from __future__ import annotations

from typing import Any

import torch

from cityscribe.models.vlm.parts import make_connector, make_tiling, make_tower

CLIP: dict[str, Any] = {
    "kind": "clip",
    "config": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
    | {"image_size": 336, "patch_size": 14, "projection_dim": 768},
}
DINO: dict[str, Any] = {
    "kind": "transformers",
    "config": {"model_type": "dinov2", "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
    | {"image_size": 336, "patch_size": 14},
}
MLP: dict[str, Any] = {"kind": "mlp"}
WHOLE: dict[str, Any] = {"kind": "whole"}
TEXT_WIDTH = 4096
PICTURE = (1920, 1080)

ROWS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "LLaVA-1.5: `mlp`": (CLIP, WHOLE, MLP),
    "`average-pooling`": (CLIP, WHOLE, {"kind": "average-pooling"}),
    "InternVL's: `pixel-shuffle`": (CLIP, WHOLE, {"kind": "pixel-shuffle"}),
    "Qwen-VL's: `resampler`, 64": (CLIP, WHOLE, {"kind": "resampler", "queries": 64}),
    "BLIP-2's: `qformer`, 32": (CLIP, WHOLE, {"kind": "qformer", "queries": 32}),
    "Honeybee's: `abstractor`, 144": (CLIP, WHOLE, {"kind": "abstractor", "queries": 144}),
    "SOLO: `none`, row marks": ({"kind": "none", "size": 1024}, WHOLE, {**MLP, "layers": 1, "row_marks": True}),
    "Prismatic: `side-by-side`, `fused-mlp`": (
        {"kind": "side-by-side", "towers": [DINO, CLIP]},
        WHOLE,
        {"kind": "fused-mlp"},
    ),
    "`merv`": ({"kind": "merv", "towers": [DINO, CLIP], "side": 8}, WHOLE, MLP),
    "Cambrian: `spatial-aggregator`": (
        {"kind": "spatial-aggregator", "towers": [DINO, CLIP]},
        WHOLE,
        {**MLP, "row_marks": True},
    ),
    "MG-LLaVA's: `conv-gate`": ({"kind": "conv-gate", "towers": [CLIP, DINO]}, WHOLE, MLP),
    "PIIP: `pyramid`": ({"kind": "pyramid", "towers": [DINO, CLIP]}, WHOLE, MLP),
    "Muffin's: `query-encoder`, 64": ({"kind": "query-encoder", "towers": [CLIP]}, WHOLE, {**MLP, "layers": 1}),
    "LLaVA-1.5-HD: `slices`": ({"kind": "slices", "towers": [CLIP]}, WHOLE, MLP),
    "INF-LLaVA: `dual-perspective`": ({"kind": "dual-perspective", "towers": [CLIP]}, WHOLE, MLP),
    "HiRes-LLaVA: `slice-restore`": ({"kind": "slice-restore", "towers": [CLIP]}, WHOLE, MLP),
    "LLaVA-NeXT's tiles: `anyres`": (CLIP, {"kind": "anyres"}, MLP),
    "InternVL: `dynamic`, `pixel-shuffle`": (CLIP, {"kind": "dynamic"}, {"kind": "pixel-shuffle"}),
    "LLaVA-UHD's slices: `uhd`, `resampler`": (CLIP, {"kind": "uhd"}, {"kind": "resampler", "queries": 64}),
}


def counted(tower: dict[str, Any], tiling: dict[str, Any], connector: dict[str, Any]) -> tuple[float, float, int]:
    """Millions of parameters of encoders, and of what stands between them and the decoder; tokens of the picture."""
    with torch.device("meta"):
        made = make_tower(tower)
        between = make_connector(connector, [made], TEXT_WIDTH)
    merger = _millions(made.merger) if hasattr(made, "merger") else 0.0
    views = make_tiling(tiling, made.size).count(*PICTURE)
    return _millions(made) - merger, _millions(between) + merger, views * between.count(made.grid)


def _millions(module: torch.nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


def main() -> None:
    print("| parts | encoders, M | between them and the decoder, M | tokens of a picture |\n|---|---:|---:|---:|")
    for name, parts in ROWS.items():
        encoders, between, tokens = counted(*parts)
        print(f"| {name} | {encoders:.0f} | {between:.1f} | {tokens:,} |")


if __name__ == "__main__":
    main()

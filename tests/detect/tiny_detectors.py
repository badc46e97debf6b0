"""Tiny detectors with random weights, of the real classes."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    DetrConfig,
    DetrForObjectDetection,
    ResNetConfig,
    RTDetrConfig,
    RTDetrForObjectDetection,
    RTDetrResNetConfig,
    YolosConfig,
    YolosForObjectDetection,
)
from transformers.models.detr.image_processing_pil_detr import DetrImageProcessorPil
from transformers.models.rt_detr.image_processing_pil_rt_detr import RTDetrImageProcessorPil
from transformers.models.yolos.image_processing_pil_yolos import YolosImageProcessorPil

FAMILIES = ("yolos", "detr", "rt_detr")
LABELS = {0: "person", 1: "car", 2: "tree"}
BACKBONE = {"embedding_size": 8, "hidden_sizes": [8, 16, 16, 32], "depths": [1, 1, 1, 1], "layer_type": "basic"}
DETR = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "num_queries": 12,
}


def write_tiny(family: str, folder: Path, labels: dict[int, str] = LABELS) -> Path:
    """Write the checkpoint of a family; equal labels give equal weights."""
    torch.manual_seed(0)
    named = {"id2label": labels, "label2id": {label: number for number, label in labels.items()}}
    size = {"height": 64, "width": 96}
    if family == "yolos":
        model = YolosForObjectDetection(
            YolosConfig(
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=64,
                image_size=[64, 96],
                patch_size=16,
                num_detection_tokens=12,
                use_mid_position_embeddings=False,
                **named,
            )
        )
        processor = YolosImageProcessorPil(size=size, do_pad=False)
    elif family == "detr":
        backbone = ResNetConfig(**BACKBONE, out_features=["stage4"])
        config = DetrConfig(use_timm_backbone=False, backbone_config=backbone, **DETR, **named)
        model, processor = DetrForObjectDetection(config), DetrImageProcessorPil(size=size)
    else:
        backbone = RTDetrResNetConfig(**BACKBONE, out_features=["stage2", "stage3", "stage4"])
        config = RTDetrConfig(
            backbone_config=backbone,
            encoder_hidden_dim=32,
            encoder_in_channels=[16, 16, 32],
            decoder_in_channels=[32, 32, 32],
            decoder_n_points=2,
            num_denoising=0,
            **DETR,
            **named,
        )
        model, processor = RTDetrForObjectDetection(config), RTDetrImageProcessorPil(size={"height": 96, "width": 96})
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder

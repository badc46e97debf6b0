"""A folder as LLaMA-VID publishes it: its names at tiny sizes, in two pickled files, and its flat configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from tests.models.vlm.composed import TOKENIZER

WIDTH, MLP, BLOCKS, SIDE = 88, 96, 39, 2  # one head of the tower; patches of 14 pixels, 28 across
HIDDEN, INNER, LAYERS, QUERIES, WORDS = 64, 72, 12, 4, 41  # one head of the Q-Former
TEXT, TEXT_MLP, TEXT_LAYERS = 32, 48, 2
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [*SPECIAL, *"abcdefghijklmnopqrs", "?", ".", *(f"##{letter}" for letter in "abcdefghijklmn")]


def tower_names(blocks: int = BLOCKS) -> Iterator[tuple[str, tuple[int, ...]]]:
    at = "model.vision_tower.vision_tower."
    yield at + "cls_token", (1, 1, WIDTH)
    yield at + "pos_embed", (1, 1 + SIDE * SIDE, WIDTH)
    yield at + "patch_embed.proj.weight", (WIDTH, 3, 14, 14)
    yield at + "patch_embed.proj.bias", (WIDTH,)
    for block in range(blocks):
        here = f"{at}blocks.{block}."
        for norm in ("norm1", "norm2"):
            yield from ((f"{here}{norm}.{part}", (WIDTH,)) for part in ("weight", "bias"))
        yield here + "attn.q_bias", (WIDTH,)
        yield here + "attn.v_bias", (WIDTH,)
        yield here + "attn.qkv.weight", (3 * WIDTH, WIDTH)
        for name, rows, columns in (("attn.proj", WIDTH, WIDTH), ("mlp.fc1", MLP, WIDTH), ("mlp.fc2", WIDTH, MLP)):
            yield f"{here}{name}.weight", (rows, columns)
            yield f"{here}{name}.bias", (rows,)


def text_decoder_names(layers: int = LAYERS) -> Iterator[tuple[str, tuple[int, ...]]]:
    at = "model.vlm_att_encoder.bert."
    yield at + "embeddings.position_ids", (1, 64)
    yield at + "embeddings.word_embeddings.weight", (WORDS, HIDDEN)
    yield at + "embeddings.position_embeddings.weight", (64, HIDDEN)
    yield from ((f"{at}embeddings.LayerNorm.{part}", (HIDDEN,)) for part in ("weight", "bias"))
    for layer in range(layers):
        here = f"{at}encoder.layer.{layer}."
        for kind in ("attention", *(["crossattention"] if layer % 2 == 0 else [])):
            for part in ("query", "key", "value"):
                columns = WIDTH if kind == "crossattention" and part != "query" else HIDDEN
                yield f"{here}{kind}.self.{part}.weight", (HIDDEN, columns)
                yield f"{here}{kind}.self.{part}.bias", (HIDDEN,)
            yield f"{here}{kind}.output.dense.weight", (HIDDEN, HIDDEN)
            yield f"{here}{kind}.output.dense.bias", (HIDDEN,)
            yield from ((f"{here}{kind}.output.LayerNorm.{part}", (HIDDEN,)) for part in ("weight", "bias"))
        for kind in ("", "_query"):
            yield f"{here}intermediate{kind}.dense.weight", (INNER, HIDDEN)
            yield f"{here}intermediate{kind}.dense.bias", (INNER,)
            yield f"{here}output{kind}.dense.weight", (HIDDEN, INNER)
            yield f"{here}output{kind}.dense.bias", (HIDDEN,)
            yield from ((f"{here}output{kind}.LayerNorm.{part}", (HIDDEN,)) for part in ("weight", "bias"))


def own_names() -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "model.vlm_att_query", (1, QUERIES, HIDDEN)
    yield from ((f"model.vlm_att_ln.{part}", (WIDTH,)) for part in ("weight", "bias"))
    for name, rows, columns in (("", WIDTH, HIDDEN), ("key_", WIDTH, WIDTH), ("val_", TEXT, WIDTH)):
        yield f"model.vlm_att_{name}projector.weight", (rows, columns)
        yield f"model.vlm_att_{name}projector.bias", (rows,)


def projector_names() -> Iterator[tuple[str, tuple[int, ...]]]:
    for layer, columns in (("0", WIDTH), ("2", TEXT)):
        yield f"model.mm_projector.{layer}.weight", (TEXT, columns)
        yield f"model.mm_projector.{layer}.bias", (TEXT,)


def decoder_names() -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "model.embed_tokens.weight", (len(TOKENIZER), TEXT)
    yield "model.norm.weight", (TEXT,)
    yield "lm_head.weight", (len(TOKENIZER), TEXT)
    for layer in range(TEXT_LAYERS):
        here = f"model.layers.{layer}."
        for part in "qkvo":
            yield f"{here}self_attn.{part}_proj.weight", (TEXT, TEXT)
        yield f"{here}self_attn.rotary_emb.inv_freq", (TEXT // 8,)
        for part, rows, columns in (("gate", TEXT_MLP, TEXT), ("up", TEXT_MLP, TEXT), ("down", TEXT, TEXT_MLP)):
            yield f"{here}mlp.{part}_proj.weight", (rows, columns)
        yield from ((f"{here}{norm}_layernorm.weight", (TEXT,)) for norm in ("input", "post_attention"))


def weights(*names: Iterator[tuple[str, tuple[int, ...]]]) -> dict[str, Tensor]:
    """Random values of such shapes; norms near one."""
    generator = torch.Generator().manual_seed(3)
    drawn = {name: torch.randn(shape, generator=generator) * 0.2 for one in names for name, shape in one}
    for name, value in drawn.items():
        if name.endswith("weight") and value.ndim == 1:
            value.add_(1)
    return drawn


def vision_weights(blocks: int = BLOCKS, layers: int = LAYERS) -> dict[str, Tensor]:
    """Those that a published model lists beside its decoder and its projector: 849."""
    return weights(tower_names(blocks), text_decoder_names(layers), own_names())


def write_published(folder: Path, blocks: int = BLOCKS, layers: int = LAYERS, **config: object) -> dict[str, Tensor]:
    """The folder of a published model, all but its vocabulary; returns its weights."""
    folder.mkdir()
    first, second = vision_weights(blocks, layers), weights(projector_names(), decoder_names())
    torch.save(first, folder / "pytorch_model-00001-of-00002.bin")
    torch.save(second, folder / "pytorch_model-00002-of-00002.bin")
    flat = {
        "model_type": "llava",
        "architectures": ["LlavaLlamaAttForCausalLM"],
        **{"vocab_size": len(TOKENIZER), "hidden_size": TEXT, "intermediate_size": TEXT_MLP, "hidden_act": "silu"},
        **{"num_hidden_layers": TEXT_LAYERS, "num_attention_heads": 4, "num_key_value_heads": 4},
        **{"max_position_embeddings": 4096, "rms_norm_eps": 1e-05, "initializer_range": 0.02, "pad_token_id": 0},
        **{"mm_vision_tower": "./model_zoo/LAVIS/eva_vit_g.pth", "mm_hidden_size": WIDTH, "mm_use_im_start_end": False},
        **{"mm_projector_type": "mlp2x_gelu", "mm_vision_select_layer": -2, "bert_type": "qformer_pretrain_freeze"},
        **{"num_query": 32, "compress_type": "mean", "image_aspect_ratio": "pad", "max_token": 2048},
        **config,
    }
    (folder / "config.json").write_text(json.dumps(flat))
    TOKENIZER.save_pretrained(folder)
    return first | second


def write_vocabulary(file: Path) -> Path:
    file.write_text("\n".join(VOCABULARY) + "\n")
    return file

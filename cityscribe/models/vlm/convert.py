"""Published checkpoints of LLaMA-VID as models from parts.

    convert_llama_vid(Path("llama-vid-7b-full-336"), Path("models/llama-vid"), vocabulary=Path("vocab.txt"))

A published folder holds pickled weights under names of its own, a configuration that transformers takes for a LLaVA of
default sizes without a word, and no vocabulary for its text decoder. Weights are read without running anything in them
(`weights_only`), each name and each shape is checked, and what is written is safetensors.

What the first of its stages writes, `mm_projector.bin`, holds the connector alone: it goes onto a model from parts that
has tower and decoder (`onto`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import AutoTokenizer, GenerationConfig, LlamaConfig, PreTrainedTokenizerBase

from cityscribe.files import InputError, read_json
from cityscribe.models.load import load_model, load_processor, named_errors, save_model
from cityscribe.models.tokenizer import IMAGE
from cityscribe.models.vlm.compose import VlmParts, compose
from cityscribe.models.vlm.guides import DEFAULT_GUIDE
from cityscribe.models.vlm.llama_vid_names import OWN, Sizes, renamed, sizes_of
from cityscribe.models.vlm.model import Vlm

INDEX, STAGE_1 = "pytorch_model.bin.index.json", "mm_projector.bin"
LLAMA_FIELDS = (
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("num_key_value_heads", "hidden_act", "max_position_embeddings", "initializer_range", "rms_norm_eps"),
    *("rope_theta", "rope_scaling", "bos_token_id", "eos_token_id", "pad_token_id", "tie_word_embeddings"),
)
"""Of its configuration, which is flat, what is about the decoder."""

WIDENED = ("model.language_model.embed_tokens.weight", "lm_head.weight")

TEMPLATE = """\
{{- bos_token -}}
{%- for message in messages -%}
{%- set text = namespace(value='') -%}
{%- if message['content'] is string -%}
{%- set text.value = message['content'] -%}
{%- else -%}
{%- for block in message['content'] -%}
{%- if block['type'] == 'image' -%}
{%- set text.value = text.value + '<image>' -%}
{%- else -%}
{%- set text.value = text.value + ('\n' if text.value.endswith('<image>') else '') + block['text'] -%}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- if message['role'] == 'system' -%}
{{- text.value + ' ' -}}
{%- elif message['role'] == 'user' -%}
{%- if loop.first -%}{{- SYSTEM -}}{%- endif -%}
{{- 'USER: ' + text.value + ' ' -}}
{%- else -%}
{{- 'ASSISTANT:' -}}
{%- generation -%}{{- ' ' + text.value + eos_token -}}{%- endgeneration -%}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- 'ASSISTANT:' -}}
{%- endif -%}
"""
"""Vicuna's form, in which it was trained: USER, the images, a line break, the question, ASSISTANT."""


def convert_llama_vid(
    folder: Path,
    out: Path,
    *,
    vocabulary: Path | None = None,
    system: str = "",
    guide: str = DEFAULT_GUIDE,
    onto: str = "",
) -> list[str]:
    """Write the checkpoint `out` of a published one; returns what there is to say about it.

    `vocabulary` is the vocab.txt of uncased BERT, or stands in the folder. `system` is the text before the first
    question of a conversation without one. Raises InputError for a folder that is none of LLaMA-VID, a file that cannot
    be read, and every name that is missing, left over or of another shape.
    """
    config = _config(folder)
    found, unknown = renamed(read_weights(folder))
    if unknown:
        raise InputError(f"{folder}: {len(unknown)} weights have names that no LLaMA-VID has, as `{unknown[0]}`")
    if onto:
        return _onto(found, onto, folder, out)
    if not (folder / INDEX).exists() and not list(folder.glob("pytorch_model*.bin")):
        raise InputError(f"{folder}: {STAGE_1} holds the connector alone; name the model that it goes onto (--onto)")
    sizes = sizes_of(found, str(folder))
    tokenizer = _tokenizer(folder, system)
    questions = read_vocabulary(folder, vocabulary, sizes.text_decoder["vocab_size"])
    parts = _parts(config, sizes, tokenizer, folder, guide)
    with torch.device("meta"):
        model, processor = compose(parts, tokenizer, question_tokenizer=questions)
    notes = _fill(model, found, folder)
    _set_generation(model, tokenizer)
    save_model(model, processor, out)
    size = parts.towers[0]["config"]["image_size"]
    return [f"pooling {parts.connector['pooling']}, images of {size} pixels, guided by {guide}", *notes]


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All weights of a folder by their names. Nothing in the files is run. Raises InputError for one that is torn."""
    files = sorted(folder.glob("pytorch_model*.bin")) or sorted(folder.glob(STAGE_1))
    if (folder / INDEX).is_file():
        named = dict(read_json(folder / INDEX)).get("weight_map")
        files = [folder / name for name in sorted(set(named.values()))] if isinstance(named, dict) else files
    if not files:
        raise InputError(f"{folder}: has no pytorch_model*.bin and no {STAGE_1}")
    weights: dict[str, Tensor] = {}
    for file in files:
        try:
            part = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        except Exception as error:  # somebody's pickle
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{file}: not a file of weights, or one that wants to run code: {reason}") from error
        if not isinstance(part, dict) or not all(isinstance(value, Tensor) for value in part.values()):
            raise InputError(f"{file}: holds something else than weights by name")
        weights.update(part)
    return weights


def read_vocabulary(folder: Path, file: Path | None, size: int) -> PreTrainedTokenizerBase:
    """The tokenizer of the text decoder, whose embeddings have `size` rows: uncased BERT and `[DEC]`.

    Raises InputError where the vocabulary is missing or of another size.
    """
    place = file or folder / "vocab.txt"
    if not place.is_file():
        raise InputError(
            f"{place}: no such file; a published LLaMA-VID lacks the vocabulary of its text decoder, the vocab.txt of "
            "uncased BERT: name it (--vocabulary)"
        )
    words = place.read_text(encoding="utf-8").splitlines()
    library: Any = transformers
    tokenizer: PreTrainedTokenizerBase = library.BertTokenizerFast(
        vocab={word: number for number, word in enumerate(words)}
    )
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    if len(tokenizer) != size or len(words) != len(set(words)):
        raise InputError(f"{place}: {len(words)} words and [DEC] make {len(tokenizer)} tokens; the weights have {size}")
    return tokenizer


def _config(folder: Path) -> Mapping[str, Any]:
    file = folder / "config.json"
    if not file.is_file():
        raise InputError(f"{folder}: has no config.json; expected the folder of a published LLaMA-VID")
    config = dict(read_json(file))
    missing = [name for name in ("bert_type", "mm_hidden_size") if name not in config]
    if missing:
        raise InputError(f"{file}: {missing[0]}: missing; not the configuration of a LLaMA-VID")
    if "qformer" not in str(config["bert_type"]):
        raise InputError(f"{file}: bert_type: `{config['bert_type']}`; only those with a Q-Former were published")
    return config


def _parts(
    config: Mapping[str, Any], sizes: Sizes, tokenizer: PreTrainedTokenizerBase, folder: Path, guide: str
) -> VlmParts:
    try:
        text = LlamaConfig(**{name: config[name] for name in LLAMA_FIELDS if config.get(name) is not None})
    except Exception as error:  # the checks of a configuration raise what they like
        raise InputError(f"{folder / 'config.json'}: {' '.join(str(error).split())[:300]}") from error
    text.vocab_size = max(len(tokenizer), text.vocab_size)
    text.pad_token_id = tokenizer.pad_token_id
    compressed = str(config.get("compress_type") or "none")
    connector = {
        "kind": "llama-vid",
        "text_decoder": {"kind": "qformer", "queries": sizes.queries, "config": dict(sizes.text_decoder)},
        "pooling": "mean" if "mean" in compressed else compressed,
        # Where it reads stored features of long videos, the class token is cut off before the Q-Former.
        "class_tokens": not config.get("rope_scaling"),
    }
    return VlmParts(
        towers=({"kind": "eva", "config": dict(sizes.tower)},),
        tiling={"kind": "letterbox"},
        connector=connector,
        decoder=text,
        guide=guide,
    )


def _tokenizer(folder: Path, system: str) -> PreTrainedTokenizerBase:
    with named_errors(str(folder), "its tokenizer"):
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    tokenizer.add_special_tokens({"extra_special_tokens": [IMAGE]}, replace_extra_special_tokens=False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    tokenizer.padding_side = "left"
    said = json.dumps(system + " ") if system else "''"
    tokenizer.chat_template = TEMPLATE.replace("SYSTEM", said)
    found: PreTrainedTokenizerBase = tokenizer
    return found


def _fill(model: Any, found: dict[str, Tensor], folder: Path) -> list[str]:
    """Put renamed weights into a model on the meta device. The token of images, which the decoder never sees, gets the
    row of the token for unknown words: it is never said."""
    expected = model.state_dict()
    notes = []
    for name in WIDENED:
        rows = len(expected[name]) - len(found[name]) if name in found else 0
        if rows > 0:
            found[name] = torch.cat([found[name], found[name][:1].expand(rows, -1)])
            notes.append(f"{name}: {rows} rows for tokens that are new")
    for part in ("weight", "bias"):  # behind the state that is read
        norm = f"model.vision_tower.0.model.post_layernorm.{part}"
        found[norm] = torch.full_like(expected[norm], float(part == "weight"), device="cpu")
    _check(found, expected, folder)
    dtype = next(value.dtype for name, value in found.items() if name == WIDENED[0])
    model.load_state_dict({name: value.to(dtype) for name, value in found.items()}, assign=True)
    model.config.dtype = dtype
    return notes


def _check(found: dict[str, Tensor], expected: dict[str, Tensor], folder: Path) -> None:
    missing, over = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    wrong = [name for name in sorted(found.keys() & expected.keys()) if found[name].shape != expected[name].shape]
    if missing:
        raise InputError(f"{folder}: {len(missing)} weights are missing, the first of them `{missing[0]}`")
    if over:
        raise InputError(f"{folder}: {len(over)} weights have no place in the model, the first of them `{over[0]}`")
    if wrong:
        name = wrong[0]
        raise InputError(
            f"{folder}: `{name}` is of shape {list(found[name].shape)}, its configuration says "
            f"{list(expected[name].shape)} ({len(wrong)} such weights)"
        )


def _onto(found: dict[str, Tensor], onto: str, folder: Path, out: Path) -> list[str]:
    """The connector of a first stage in the place of that of a model from parts."""
    model: Any = load_model(onto, dtype=torch.float32)
    if not isinstance(model, Vlm) or (model.config.connector or {}).get("kind") != "llama-vid":
        raise InputError(f"{onto}: is no model from parts with a connector of the kind llama-vid")
    own = {name: value for name, value in found.items() if name.startswith(OWN)}
    if len(own) < len(found):
        other = next(name for name in found if name not in own)
        raise InputError(f"{folder}: holds more than a connector, as `{other}`; convert it by itself")
    expected = {name: value for name, value in model.state_dict().items() if name.startswith(OWN)}
    _check(own, expected, folder)
    model.load_state_dict({name: value.float() for name, value in own.items()}, strict=False)
    save_model(model, load_processor(onto), out)
    return [f"{len(own)} weights of the connector, in the place of those of {onto}"]


def _set_generation(model: Any, tokenizer: PreTrainedTokenizerBase) -> None:
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )

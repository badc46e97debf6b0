"""Compose a model from parts.

    parts = VlmParts(
        towers=({"kind": "clip", "config": {"image_size": 224, ...}, "layer": -2},),
        tiling={"kind": "letterbox"},
        connector={"kind": "average-pooling", "pool": 2},
        decoder=Qwen3Config(...),
    )
    model, processor = compose(parts, tokenizer, seed=0)

The weights are drawn by the seed; `cityscribe.models.vlm.build` reads them from published models. Parts are checked
first (`contracts`). Where they are those of LLaVA, what comes out is a LLaVA or a
LLaVA-NeXT of transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from cityscribe.files import InputError
from cityscribe.models.tokenizer import IMAGE
from cityscribe.models.vlm.config import VlmConfig
from cityscribe.models.vlm.contracts import check_parts
from cityscribe.models.vlm.guides import DEFAULT_GUIDE, check_arrangement
from cityscribe.models.vlm.llavas import is_llava, llava_model, processor_of
from cityscribe.models.vlm.model import Vlm
from cityscribe.models.vlm.parts import (
    joins_views,
    make_connector,
    make_tower,
    most_boxes,
    reads_ids,
    tile_tokens,
)
from cityscribe.models.vlm.processor import VlmImageProcessor, VlmProcessor


@dataclass(frozen=True, slots=True)
class VlmParts:
    """The parts of a model; each but the decoder is its `kind` and its options."""

    towers: tuple[Mapping[str, Any], ...]
    decoder: PreTrainedConfig  # of a causal language model of transformers
    tiling: Mapping[str, Any]
    connector: Mapping[str, Any]
    guide: str = DEFAULT_GUIDE  # of a connector that reads text: which text, and where such tokens stand (`guides`)
    order: str = "interleaved"

    @property
    def is_llava(self) -> bool:
        """Whether LLaVA or LLaVA-NeXT is composed in this way, so that plain transformers and its kin have it."""
        tiled = dict(self.tiling) == {"kind": "whole"} or self.tiling.get("kind") == "anyres"
        return tiled and is_llava(self.towers, self.connector) and not has_head_bias(self.decoder)


def compose(
    parts: VlmParts,
    tokenizer: PreTrainedTokenizerBase,
    *,
    question_tokenizer: PreTrainedTokenizerBase | None = None,
    seed: int = 0,
) -> tuple[PreTrainedModel, ProcessorMixin]:
    """A model of these parts with weights drawn by the seed, in `eval` mode, and its processor.

    The tokenizer has an image token and a chat template. A connector with a text decoder reads questions by
    `question_tokenizer`, or else by the tokenizer of the decoder. Raises InputError that names a part which does not
    exist, does not take its options, or breaks its contract, and for parts that do not fit together.
    """
    if type(parts.decoder) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise InputError(f"decoder: a model of type `{parts.decoder.model_type}` does not continue text")
    check_head(parts.decoder)
    image_token = tokenizer.convert_tokens_to_ids(IMAGE)
    if not isinstance(image_token, int) or image_token == tokenizer.unk_token_id:
        raise InputError(f"tokenizer: has no token `{IMAGE}`")
    check_arrangement(parts.guide, parts.order)
    chosen = with_vocabulary(parts.connector, question_tokenizer or tokenizer)
    config = VlmConfig(
        towers=[dict(tower) for tower in parts.towers],
        tiling=dict(parts.tiling),
        connector=chosen,
        text_config=parts.decoder,
        image_token_index=image_token,
        tie_word_embeddings=bool(parts.decoder.tie_word_embeddings),
        head_bias=has_head_bias(parts.decoder),
    )
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        view_tokens = check_parts(config)
        torch.manual_seed(seed)
        model: PreTrainedModel = _llava(parts, image_token) if parts.is_llava else Vlm(config)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    with torch.device("meta"):
        towers = [make_tower(tower) for tower in parts.towers]
        connector = make_connector(chosen, towers, config.get_text_config().hidden_size)
    if parts.is_llava:
        return model.eval(), processor_of(tokenizer, towers[0], parts.tiling)
    seen = [{"size": list(tower.size), "mean": list(tower.mean), "std": list(tower.std)} for tower in towers]
    context_tokens = connector.context_count if reads_ids(connector) else 0
    if parts.order != "interleaved" and not context_tokens:
        raise InputError(f"order: {parts.order}: the connector has no tokens apart that read text")
    processor = VlmProcessor(
        image_processor=VlmImageProcessor(tiling=dict(parts.tiling), towers=seen),
        tokenizer=tokenizer,
        view_tokens=view_tokens,
        reads_text=connector.reads_text,
        image_token=IMAGE,
        context_tokens=context_tokens,
        most_boxes=most_boxes(connector),
        tile_tokens=tile_tokens(connector),
        guide=parts.guide,
        order=parts.order,
        own_words=question_tokenizer is not None and context_tokens > 0,
        joins_views=joins_views(connector),
        thumbnail=getattr(connector, "thumbnail", 0),
        chat_template=tokenizer.chat_template,
    )
    if processor.own_words and question_tokenizer is not None:
        processor.question_tokenizer = question_tokenizer
    return model.eval(), processor


BEHIND_THE_HEAD = {
    "logit_scale": 1.0,  # Cohere multiplies by it
    "logits_scaling": 1.0,  # Granite divides by it
    "lm_head_multiplier": 1.0,  # Falcon-H1
    "final_logit_softcapping": None,  # Gemma 2
}
"""What decoders do with the logits of their head -> the value that does nothing."""


def check_head(decoder: PreTrainedConfig) -> None:
    """Raises InputError for a decoder that changes the logits of its head: a composed model has the head alone, and
    would answer in another way than the decoder does."""
    for name, nothing in BEHIND_THE_HEAD.items():
        value = getattr(decoder, name, nothing)
        if value not in (nothing, None):
            raise InputError(f"decoder: {name} is {value:g}: a model of type `{decoder.model_type}` changes the logits")


def with_vocabulary(connector: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> dict[str, object]:
    """The options of a connector, with the size of the vocabulary in which a text decoder of it reads questions.

    Raises InputError where its configuration says that it has fewer tokens.
    """
    options = dict(connector)
    text = options.get("text_decoder")
    if not isinstance(text, Mapping):
        return options
    config = {"vocab_size": len(tokenizer), **text.get("config", {})}
    if config["vocab_size"] < len(tokenizer):
        raise InputError(
            f"text_decoder: has {config['vocab_size']} tokens, and the tokenizer of questions {len(tokenizer)}"
        )
    return {**options, "text_decoder": {**text, "config": config}}


def has_head_bias(decoder: PreTrainedConfig) -> bool:
    """Whether the head of a causal language model has a bias."""
    with torch.device("meta"):
        head: Any = AutoModelForCausalLM.from_config(decoder).get_output_embeddings()
    return head is not None and getattr(head, "bias", None) is not None


def _llava(parts: VlmParts, image_token: int) -> PreTrainedModel:
    with torch.device("meta"):
        tower = make_tower(parts.towers[0])
    return llava_model(tower, parts.decoder, parts.connector, parts.tiling, image_token)


def decoder_config(values: Mapping[str, Any]) -> PreTrainedConfig:
    """The configuration of a decoder by its `model_type` and fields. Raises InputError where there is none such."""
    rest = dict(values)
    kind = str(rest.pop("model_type", ""))
    try:
        return AutoConfig.for_model(kind, **rest)
    except Exception as error:  # the checks of a configuration raise what they like
        raise InputError(f"decoder: {' '.join(str(error).split())[:300]}") from error

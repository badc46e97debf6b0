"""Tiny models whose features depend on the text that stands beside the images.

`guided_llava`: a LLaVA whose processor gives the ids of the question as a tensor of its own, which is added to every
patch of each image. `instructblip`: InstructBLIP from its real configuration, whose Q-Former reads all that is said.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AddedToken,
    BertTokenizerFast,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipProcessor,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedModel,
    ProcessorMixin,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.llava.modeling_llava import LlavaModel

from cityscribe.models.tokenizer import CHAT_TEMPLATE, IMAGE, train_tokenizer
from tests.tiny_models import TEXTS, VOCABULARY, llava, random_model, text_fields

GUIDE = 24
"""Tokens of the question that guide the features."""


class GuidedModel(LlavaModel):
    """Its features are those of the images, each shifted by what the question says."""

    def forward(self, *args: Any, guide_ids: Tensor | None = None, **kwargs: Any) -> Any:
        self.guide_ids = guide_ids
        return super().forward(*args, **kwargs)

    def get_image_features(self, *args: Any, **kwargs: Any) -> Any:
        features = super().get_image_features(*args, **kwargs)
        guides = self.guide(self.guide_ids).sum(dim=1)  # [images, width]
        features.pooler_output = [each + guide for each, guide in zip(features.pooler_output, guides, strict=True)]
        return features


class GuidedLlava(LlavaForConditionalGeneration):
    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Any = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        guide_ids: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:  # `generate` takes what is named here
        return super().forward(
            input_ids, pixel_values, attention_mask, position_ids, past_key_values, guide_ids=guide_ids, **kwargs
        )


class GuidedProcessor(LlavaProcessor):
    """Gives beside pixels and tokens `guide_ids` [images, GUIDE]: all that is said before the first answer."""

    def __call__(self, images: Any = None, text: Any = None, **kwargs: Any) -> Any:
        said = text[0] if isinstance(text, list) else text
        encoded = super().__call__(images=images, text=text, **kwargs)
        if images is not None:
            question = said.partition("<|im_start|>assistant")[0].replace(IMAGE, "")
            ids = self.tokenizer.encode(question, add_special_tokens=False)[-GUIDE:]
            row = torch.tensor(ids + [0] * (GUIDE - len(ids)))
            encoded["guide_ids"] = row.expand(len(encoded["pixel_values"]), GUIDE).clone()
        return encoded


def guided_llava() -> tuple[PreTrainedModel, ProcessorMixin]:
    plain, processor = llava()
    model = GuidedLlava(plain.config)
    model.model = GuidedModel(plain.config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model.model.guide = nn.Embedding(VOCABULARY, plain.config.text_config.hidden_size)
    model.load_state_dict(plain.state_dict(), strict=False)
    model.generation_config = plain.generation_config
    guided = GuidedProcessor(
        image_processor=processor.image_processor,
        tokenizer=processor.tokenizer,
        patch_size=processor.patch_size,
        vision_feature_select_strategy=processor.vision_feature_select_strategy,
        num_additional_image_tokens=processor.num_additional_image_tokens,
        chat_template=processor.chat_template,
    )
    return model.float().eval(), guided


def instructblip() -> tuple[PreTrainedModel, ProcessorMixin]:
    """Its template shows no image: the processor puts the tokens of the image before all text."""
    tokenizer = train_tokenizer(TEXTS, VOCABULARY)
    letters = {token: n for n, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *map(chr, range(33, 127))])}
    letters |= {f"##{chr(n)}": len(letters) + n for n in range(33, 127)}
    config = InstructBlipConfig(
        vision_config={"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
        | {"image_size": 32, "patch_size": 8, "initializer_range": 0.2},
        qformer_config={"vocab_size": 256, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
        | {
            "num_attention_heads": 2,
            "encoder_hidden_size": 32,
            "cross_attention_frequency": 1,
            "initializer_range": 0.2,
        },
        text_config={**text_fields(tokenizer), "model_type": "llama"},
        num_query_tokens=4,
        image_token_index=tokenizer.image_token_id,
    )
    processor = InstructBlipProcessor(
        image_processor=BlipImageProcessorPil(size={"height": 32, "width": 32}),
        tokenizer=tokenizer,
        qformer_tokenizer=BertTokenizerFast(vocab=letters),
        num_query_tokens=4,
    )
    processor.chat_template = CHAT_TEMPLATE.replace(f"'{IMAGE}'", "''")
    processor.image_token = AddedToken(IMAGE)  # taken from a tokenizer that knows it, it would be a mere string
    model = random_model(InstructBlipForConditionalGeneration, config, tokenizer)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        model.query_tokens.normal_()
    return model, processor

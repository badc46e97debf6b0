"""One model of towers, connector and decoder, and its place among the Auto classes of transformers.

Importing this module is what lets transformers load such a checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForImageTextToText,
    AutoProcessor,
    GenerationMixin,
    PreTrainedModel,
)
from transformers.modeling_utils import slice_logits_to_keep
from transformers.models.llava.modeling_llava import LlavaCausalLMOutputWithPast, LlavaModelOutputWithPast

from cityscribe.models.vlm.card import write_card
from cityscribe.models.vlm.config import VlmConfig
from cityscribe.models.vlm.parts import make_connector, make_tower
from cityscribe.models.vlm.processor import VlmImageProcessor, VlmProcessor


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """The text of the message in which each image stands."""

    ids: Tensor  # [images, tokens]
    mask: Tensor  # [images, tokens], 0 where there is only padding
    image_views: Tensor  # [images], how many views each has


class VlmPreTrainedModel(PreTrainedModel):
    config: VlmConfig
    config_class = VlmConfig
    base_model_prefix = "model"
    input_modalities = ["image", "text"]  # noqa: RUF012
    supports_gradient_checkpointing = True
    _skip_keys_device_placement = ["past_key_values"]  # noqa: RUF012
    _supports_flash_attn = True
    _supports_sdpa = True
    _supports_flex_attn = True
    _supports_attention_backend = True


class VlmModel(VlmPreTrainedModel):
    """The model without its head."""

    def __init__(self, config: VlmConfig) -> None:
        super().__init__(config)
        text: Any = config.get_text_config()
        towers = [make_tower(options) for options in config.towers or ()]
        self.vision_tower: Any = nn.ModuleList(towers)
        self.connector = make_connector(config.connector or {}, towers, text.hidden_size)
        self.language_model = AutoModel.from_config(text)
        self.post_init()

    def image_tokens(self, pixel_values: Tensor, beside: Beside | None = None) -> Tensor:
        """[views, 3 a tower, height, width] -> [tokens, text width], view after view.

        A connector that reads text gets that of the message of each image. A tower in which nothing trains is computed
        without a gradient: nothing before it could use one.
        """
        features = []
        for number, tower in enumerate(self.vision_tower):
            height, width = tower.size
            pixels = pixel_values[:, 3 * number : 3 * number + 3, :height, :width]
            trains = any(parameter.requires_grad for parameter in tower.parameters())
            with torch.set_grad_enabled(trains and torch.is_grad_enabled()):
                features.append(tower(pixels))  # [views, rows, columns, width of the tower]
        seen = torch.cat(features, dim=-1)
        if not self.connector.reads_text:
            return self.connector(seen).flatten(0, 1)
        if beside is None:
            raise ValueError("the connector reads text: it needs question_ids, question_mask and image_views")
        ids, mask = (value.repeat_interleave(beside.image_views, dim=0) for value in (beside.ids, beside.mask))
        return self.connector(seen, self.get_input_embeddings()(ids), mask.bool()).flatten(0, 1)

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        question_ids: Tensor | None = None,
        question_mask: Tensor | None = None,
        image_views: Tensor | None = None,
        **kwargs: Any,
    ) -> LlavaModelOutputWithPast:
        """The arguments of every model of transformers; of a connector that reads text also, image by image, the tokens
        of the text beside it and which of them count [images, tokens], and how many views it has [images]."""
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        if pixel_values is not None:
            if input_ids is None:
                raise ValueError("images need input_ids: they say where the images stand")
            beside = None
            if question_ids is not None and question_mask is not None and image_views is not None:
                beside = Beside(question_ids, question_mask, image_views)
            tokens = self.image_tokens(pixel_values, beside).to(inputs_embeds.device, inputs_embeds.dtype)
            places = input_ids == self.config.image_token_id
            if int(places.sum()) != len(tokens):
                raise ValueError(f"the images give {len(tokens)} tokens, and {int(places.sum())} stand in input_ids")
            inputs_embeds = inputs_embeds.masked_scatter(places[..., None], tokens)
        outputs = self.language_model(
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            **kwargs,
        )
        return LlavaModelOutputWithPast(
            last_hidden_state=outputs.last_hidden_state,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )


class Vlm(VlmPreTrainedModel, GenerationMixin):
    """A model from parts that answers questions about images."""

    _tied_weights_keys = {"lm_head.weight": "model.language_model.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, config: VlmConfig) -> None:
        super().__init__(config)
        text: Any = config.get_text_config()
        self.model = VlmModel(config)
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        self.post_init()

    @property
    def reads_text(self) -> bool:
        """Whether what an image becomes depends on the text of its message, so that only equal texts share it."""
        return bool(self.model.connector.reads_text)

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        question_ids: Tensor | None = None,
        question_mask: Tensor | None = None,
        image_views: Tensor | None = None,
        **kwargs: Any,
    ) -> LlavaCausalLMOutputWithPast:
        outputs = self.model(
            input_ids=input_ids,
            pixel_values=pixel_values,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            question_ids=question_ids,
            question_mask=question_mask,
            image_views=image_views,
            **kwargs,
        )
        logits = self.lm_head(slice_logits_to_keep(outputs.last_hidden_state, logits_to_keep))
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=logits.shape[-1], **kwargs)
        return LlavaCausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> None:
        """As every model's, with a README.md that says what it is composed of."""
        super().save_pretrained(save_directory, *args, **kwargs)
        write_card(self.config, save_directory)


AutoConfig.register("cityscribe_vlm", VlmConfig)
AutoModel.register(VlmConfig, VlmModel)
AutoModelForImageTextToText.register(VlmConfig, Vlm)
AutoImageProcessor.register(VlmConfig, image_processor_classes={"pil": VlmImageProcessor})
AutoProcessor.register(VlmConfig, VlmProcessor)

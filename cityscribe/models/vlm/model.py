"""One model of towers, connector and decoder, and its place among the Auto classes of transformers.

Importing this module is what lets transformers load such a checkpoint.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
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
from transformers.masking_utils import create_masks_for_generate
from transformers.modeling_utils import slice_logits_to_keep
from transformers.models.llava.modeling_llava import LlavaCausalLMOutputWithPast, LlavaModelOutputWithPast

from cityscribe.files import InputError
from cityscribe.models.vlm.card import write_card
from cityscribe.models.vlm.config import VlmConfig
from cityscribe.models.vlm.features import FeatureStore, boxes_by_view, distinct_rows, placed, with_box_tokens
from cityscribe.models.vlm.guides import CONTENT, CONTEXT
from cityscribe.models.vlm.parts import (
    class_tokens,
    joins_views,
    make_connector,
    make_tower,
    reads_class_tokens,
    reads_ids,
)
from cityscribe.models.vlm.processor import VlmImageProcessor, VlmProcessor


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """The text that guides each image."""

    ids: Tensor  # [images, tokens]
    mask: Tensor  # [images, tokens], 0 where there is only padding
    image_views: Tensor  # [images], how many views each has
    parts: Tensor | None = None  # [images], which of its tokens stand there (`guides`); None: all of them
    tiles: Tensor | None = None  # [views], which of them are tiles; None where the connector makes no difference

    def by_view(self) -> Beside:
        """The same for each view, without the padding that all share."""
        length = int(self.mask.sum(dim=1).max()) if self.mask.numel() else 0
        ids, mask = (value[:, : max(length, 1)] for value in (self.ids, self.mask))
        parts = None if self.parts is None else self.parts.repeat_interleave(self.image_views)
        ids, mask = (value.repeat_interleave(self.image_views, dim=0) for value in (ids, mask))
        return Beside(ids, mask, torch.ones_like(self.image_views), parts)


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

    def set_attn_implementation(self, attn_implementation: str | dict[str, str], *args: Any, **kwargs: Any) -> None:
        """Of the decoder alone: towers keep what their encoders have, some of which have one way only."""
        wanted = attn_implementation
        if isinstance(wanted, dict):
            wanted = wanted.get("text_config", "")
        if wanted:
            self.get_decoder().set_attn_implementation(wanted, *args, **kwargs)


class VlmModel(VlmPreTrainedModel):
    """The model without its head."""

    def __init__(self, config: VlmConfig) -> None:
        super().__init__(config)
        text: Any = config.get_text_config()
        towers = [make_tower(options) for options in config.towers or ()]
        self.vision_tower: Any = nn.ModuleList(towers)
        self.connector = make_connector(config.connector or {}, towers, text.hidden_size)
        self.language_model = AutoModel.from_config(text)
        # A decoder of state spaces alone calls its cache otherwise.
        states_alone = "cache_params" in inspect.signature(self.language_model.forward).parameters
        self.cache_name = "cache_params" if states_alone else "past_key_values"
        self.store: FeatureStore | None = None  # `keep_features`
        self.post_init()

    def image_tokens(
        self,
        pixel_values: Tensor,
        beside: Beside | None = None,
        image_boxes: Tensor | None = None,
        image_views: Tensor | None = None,
    ) -> Tensor:
        """[views, 3 a tower, height, width] -> [tokens, text width], view after view, and behind those of an image the
        tokens of its boxes, where the connector makes some and there are any (`features.boxes_by_view`). Of a
        connector that joins the views of an image they stand image after image.

        A connector that reads text gets that which guides each image: its embeddings, or its tokens in the vocabulary
        of a text decoder.
        """
        if joins_views(self.connector):
            return self._joined(pixel_values, beside, image_views)
        if not self.connector.reads_text:
            features, seen = self.kept_features(pixel_values)
            classes = {"seen": seen} if reads_class_tokens(self.connector) else {}
            tokens: Tensor = self.connector(features, **classes)
            if image_boxes is None or image_views is None:
                return tokens.flatten(0, 1)
            boxed = self.connector.box_tokens(features, *boxes_by_view(image_boxes, image_views))
            return with_box_tokens(tokens, boxed, image_boxes, image_views)
        if beside is None:
            raise ValueError("the connector reads text: it needs question_ids, question_mask and image_views")
        text = beside.by_view()
        # Questions about the same images repeat them: the towers see each once.
        rows, numbers = distinct_rows(pixel_values)
        features, seen = (each[numbers] for each in self.kept_features(pixel_values[rows]))
        if not reads_ids(self.connector):
            guiding = self.get_input_embeddings()(text.ids), text.mask.bool()
            if beside.tiles is None:
                return self.connector(features, *guiding).flatten(0, 1)
            wholes, tiles = (torch.nonzero(beside.tiles == which)[:, 0] for which in (False, True))
            of_wholes = self.connector(features[wholes], *(each[wholes] for each in guiding))
            of_tiles = self.connector.tiles(features[tiles], *(each[tiles] for each in guiding))
            return placed(torch.where(beside.tiles, CONTENT, CONTEXT), of_tiles, of_wholes)
        if text.parts is None:
            return self.connector(features, text.ids, text.mask, seen).flatten(0, 1)
        contents, contexts = (torch.nonzero(text.parts != other)[:, 0] for other in (CONTEXT, CONTENT))
        guided = (features[contexts], text.ids[contexts], text.mask[contexts], seen[contexts])
        none = features.new_empty(0, 1, self.config.get_text_config().hidden_size)
        content = self.connector.content(features[contents]) if len(contents) else none
        return placed(text.parts, content, self.connector.context(*guided)[0] if len(contexts) else none)

    def _joined(self, pixel_values: Tensor, beside: Beside | None, image_views: Tensor | None) -> Tensor:
        if image_views is None or (self.connector.reads_text and beside is None):
            raise ValueError("the connector joins views: it needs image_views, and where it reads text the questions")
        rows, numbers = distinct_rows(pixel_values)
        features = self.kept_features(pixel_values[rows])[0][numbers]
        tokens = []
        for number, views in enumerate(features.split(image_views.flatten().tolist())):
            text = []
            if self.connector.reads_text and beside is not None:
                text = [self.get_input_embeddings()(beside.ids[number]), beside.mask[number].bool()]
            tokens.append(self.connector(views, *text))
        return torch.cat(tokens)

    def keep_features(self, folder: Path) -> None:
        """From here on what the towers make of a view is kept in a folder, and taken from there. They must not change
        meanwhile: only where nothing in them trains."""
        self.store = FeatureStore(folder, self.vision_tower, reads_class_tokens(self.connector))

    def kept_features(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """As `features`, from the store where there is one."""
        if self.store is None:
            return self.features(pixel_values)
        if torch.is_grad_enabled() and any(value.requires_grad for value in self.vision_tower.parameters()):
            raise InputError("model.keep_features: the vision tower trains, so that its features do not stay the same")
        return self.store.features(pixel_values, self.features)

    def features(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """What the towers make of views: [views, rows, columns, width], and of their class tokens [views, any, width],
        where the connector reads them and all towers have as many.

        A tower in which nothing trains is computed without a gradient: nothing before it could use one.
        """
        features, seen = [], []
        classes = {class_tokens(tower) for tower in self.vision_tower} if reads_class_tokens(self.connector) else {0}
        for number, tower in enumerate(self.vision_tower):
            height, width = tower.size
            pixels = pixel_values[:, 3 * number : 3 * number + 3, :height, :width]
            trains = any(parameter.requires_grad for parameter in tower.parameters())
            with torch.set_grad_enabled(trains and torch.is_grad_enabled()):
                if max(classes) and len(classes) == 1:
                    states = tower.states(pixels)  # [views, class tokens + rows * columns, width of the tower]
                    seen.append(states[:, : tower.class_tokens])
                    features.append(states[:, tower.class_tokens :].unflatten(1, tower.grid))
                else:
                    features.append(tower(pixels))  # [views, rows, columns, width of the tower]
        together = torch.cat(features, dim=-1)
        return together, torch.cat(seen, dim=-1) if seen else together.new_empty(len(together), 0, together.shape[-1])

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
        image_parts: Tensor | None = None,
        image_boxes: Tensor | None = None,
        view_is_tile: Tensor | None = None,
        **kwargs: Any,
    ) -> LlavaModelOutputWithPast:
        """The arguments of every model of transformers; of a connector that reads text also, image by image, the tokens
        of the text that guides it and which of them count [images, tokens], how many views it has, and which of its
        tokens stand there [images]; of one that reads boxes, those of each image [images, most, 5];
        of one that makes other tokens of tiles, which views are some [views]."""
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        if pixel_values is not None:
            if input_ids is None:
                raise ValueError("images need input_ids: they say where the images stand")
            beside = None
            if question_ids is not None and question_mask is not None and image_views is not None:
                beside = Beside(question_ids, question_mask, image_views, image_parts, view_is_tile)
            tokens = self.image_tokens(pixel_values, beside, image_boxes, image_views)
            tokens = tokens.to(inputs_embeds.device, inputs_embeds.dtype)
            places = input_ids == self.config.image_token_id
            if int(places.sum()) != len(tokens):
                raise ValueError(f"the images give {len(tokens)} tokens, and {int(places.sum())} stand in input_ids")
            inputs_embeds = inputs_embeds.masked_scatter(places[..., None], tokens)
        outputs = self.language_model(
            attention_mask=attention_mask,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            **{self.cache_name: past_key_values},
            **kwargs,
        )
        return LlavaModelOutputWithPast(
            last_hidden_state=outputs.last_hidden_state,
            past_key_values=getattr(outputs, self.cache_name),
            hidden_states=outputs.hidden_states,
            attentions=getattr(outputs, "attentions", None),  # a decoder of state spaces has none
        )


class Vlm(VlmPreTrainedModel, GenerationMixin):
    """A model from parts that answers questions about images."""

    _tied_weights_keys = {"lm_head.weight": "model.language_model.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, config: VlmConfig) -> None:
        super().__init__(config)
        text: Any = config.get_text_config()
        self.model = VlmModel(config)
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=config.head_bias)
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
        image_parts: Tensor | None = None,
        image_boxes: Tensor | None = None,
        view_is_tile: Tensor | None = None,
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
            image_parts=image_parts,
            image_boxes=image_boxes,
            view_is_tile=view_is_tile,
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

    def _prepare_cache_for_generation(self, *args: Any, **kwargs: Any) -> bool:
        """Not for a decoder of state spaces alone, which makes its own: transformers knows those by the name of a class
        and would ask this cache how many tokens it holds, which states do not tell."""
        if self.model.cache_name != "past_key_values":
            return False
        prepare: Any = super()._prepare_cache_for_generation  # type: ignore[misc]  # whose `self` is a mixin of theirs
        return bool(prepare(*args, **kwargs))

    def create_masks_for_generate(self, *, attention_mask: Any = None, **kwargs: Any) -> Any:
        """What generation gives the decoder; state spaces take which tokens count, and no mask of who sees whom."""
        if self.model.cache_name != "past_key_values":
            return attention_mask
        return create_masks_for_generate(attention_mask=attention_mask, **kwargs)

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> None:
        """As every model's, with a README.md that says what it is composed of."""
        super().save_pretrained(save_directory, *args, **kwargs)
        write_card(self.config, save_directory)


AutoConfig.register("cityscribe_vlm", VlmConfig)
AutoModel.register(VlmConfig, VlmModel)
AutoModelForImageTextToText.register(VlmConfig, Vlm)
AutoImageProcessor.register(VlmConfig, image_processor_classes={"pil": VlmImageProcessor})
AutoProcessor.register(VlmConfig, VlmProcessor)

"""A model from a file that names its parts, with the weights of published models where it says so.

    towers:
      - {kind: clip, base: openai/clip-vit-large-patch14-336, layer: -2}
    tiling: {kind: letterbox}
    connector: {kind: average-pooling, pool: 2}
    decoder: {base: Qwen/Qwen3-0.6B}

A `base` is a folder or a hub id, that of a decoder also a GGUF file; without one, a tower and a decoder take a `config`
of transformers and random weights by the `seed`. The connector is new, but where it can take a `base`: it is what
trains first. The tokenizer is that of the decoder's base, or of `tokenizer`, with a token for images and a chat
template of this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import ConfigDict, Field, model_validator
from torch import nn
from transformers import (
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
)

from cityscribe.files import InputError
from cityscribe.models.load import named_errors, resolve_base, save_model
from cityscribe.models.saved import check_finite
from cityscribe.models.seams import CONNECTORS, TEXT_DECODERS, VISION_TOWERS
from cityscribe.models.vlm.bases import read_decoder, read_tokenizer
from cityscribe.models.vlm.compose import VlmParts, compose, decoder_config
from cityscribe.models.vlm.guides import DEFAULT_GUIDE, GUIDES
from cityscribe.settings import Named, Section, conflict
from cityscribe.settings.loading import load


class TowerFile(Section):
    """A tower: beside `kind` and `base`, the options that it takes."""

    model_config = ConfigDict(extra="allow")
    kind: Annotated[str, Named("vision-tower")] = Field(description="which tower")
    base: str = Field("", description="folder or hub id of the model whose weights it takes")


class TilingFile(Section):
    model_config = ConfigDict(extra="allow")
    kind: Annotated[str, Named("tiling")] = Field("whole", description="which tiling")


class ConnectorFile(Section):
    model_config = ConfigDict(extra="allow")
    kind: Annotated[str, Named("connector")] = Field("mlp", description="which connector")
    base: str = Field("", description="folder or hub id of the model whose weights it takes, where it can")


class DecoderFile(Section):
    base: str = Field(
        "", description="folder, hub id or GGUF file of a causal language model; of a model that sees, its decoder"
    )
    config: dict[str, Any] = Field(
        {},
        description="or a configuration of transformers, with its `model_type`; beside a base, without that, fields of "
        "the base's that are changed",
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> DecoderFile:
        if bool(self.base) == ("model_type" in self.config):
            raise conflict("give base or config, one of them")
        return self


class VlmFile(Section):
    towers: tuple[TowerFile, ...] = Field(min_length=1, description="side by side, on the same grid")
    tiling: TilingFile = TilingFile()
    connector: ConnectorFile = ConnectorFile()
    decoder: DecoderFile
    tokenizer: str = Field("", description="folder or hub id; by default, that of the decoder's base")
    questions: str = Field(
        "", description="folder or hub id of the tokenizer of a text decoder; by default, that of the decoder"
    )
    guide: str = Field(DEFAULT_GUIDE, description=f"which text guides an image: {', '.join(GUIDES)}")
    order: Literal["interleaved", "content-first"] = Field(
        "interleaved", description="where tokens that read the question stand; content-first shares all others"
    )
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="what the weights are stored in")
    seed: int = Field(0, ge=0, description="of the weights that are new")

    @model_validator(mode="after")
    def _has_words(self) -> VlmFile:
        if not self.tokenizer and not self.decoder.base:
            raise conflict("tokenizer: missing; a decoder without a base brings none")
        return self


def build_from_file(path: Path, out: Path) -> PreTrainedModel:
    """Compose the model that a YAML file names and write its checkpoint to `out`. Returns the model.

    Raises InputError with every mistake in the file, for a base that cannot be read or is of another kind, and as
    `compose` does.
    """
    settings = load(VlmFile, path)
    model, processor = build(settings)
    save_model(model, processor, out)
    return model


def build(settings: VlmFile) -> tuple[PreTrainedModel, ProcessorMixin]:
    """The model of some settings, with its processor. Raises InputError as `build_from_file` does."""
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[settings.dtype]
    tokenizer = read_tokenizer(settings.tokenizer or settings.decoder.base)
    language = None
    if settings.decoder.base:
        language = read_decoder(settings.decoder.base, tokenizer, settings.seed, settings.decoder.config)
        text = language.config
    else:
        vocabulary = {"vocab_size": len(tokenizer), "bos_token_id": None}
        ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
        text = decoder_config({**vocabulary, **ends, **settings.decoder.config})
    towers = [_tower_options(tower.model_dump()) for tower in settings.towers]
    parts = VlmParts(
        towers=tuple(towers),
        decoder=text,
        tiling=settings.tiling.model_dump(),
        connector=_connector_options(settings.connector),
        guide=settings.guide,
        order=settings.order,
    )
    questions = _read_question_tokenizer(settings.questions) if settings.questions else None
    model, processor = compose(parts, tokenizer, question_tokenizer=questions, seed=settings.seed)
    _copy_weights(model, settings.towers, language)
    _copy_connector(model, settings.connector)
    return model.to(dtype), processor  # type: ignore[arg-type]


def _read_question_tokenizer(base: str) -> PreTrainedTokenizerBase:
    place = resolve_base(base)
    with named_errors(place, "its tokenizer"):
        tokenizer: Any = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    found: PreTrainedTokenizerBase = tokenizer
    return found


def _text_decoder_of(connector: ConnectorFile) -> tuple[dict[str, Any], str]:
    """The text decoder of a connector without its base, and that; empty where it has none."""
    options = dict(connector.model_dump().get("text_decoder") or {})
    return options, str(options.pop("base", ""))


def _connector_options(connector: ConnectorFile) -> dict[str, Any]:
    """The options of a connector, with those of the base of its text decoder."""
    options = connector.model_dump(exclude={"base"})
    if connector.base:
        member = CONNECTORS[connector.kind]
        if not hasattr(member, "read_options"):
            raise InputError(f"connector {connector.kind}: takes no base")
        place = resolve_base(connector.base)
        with named_errors(place, "its configuration"):
            options = {**member.read_options(place), **options}
    text, base = _text_decoder_of(connector)
    if not base:
        return options
    member = TEXT_DECODERS[str(text.get("kind", "qformer"))]
    if not hasattr(member, "read_options"):
        raise InputError(f"text-decoder {text['kind']}: takes no base")
    place = resolve_base(base)
    with named_errors(place, "its configuration"):
        read = member.read_options(place)
    config = {**read["config"], **text.get("config", {})}
    return {**options, "text_decoder": {**read, **text, "config": config}}


def _copy_connector(model: Any, connector: ConnectorFile) -> None:
    if connector.base:
        place = resolve_base(connector.base)
        with named_errors(place, "its weights"):
            weights = CONNECTORS[connector.kind].read_weights(place)
            _, unknown = model.model.connector.load_state_dict(weights, strict=False)
        if unknown:
            raise InputError(f"{place}: `{unknown[0]}` has no place in a connector {connector.kind}")
    text, base = _text_decoder_of(connector)
    if base:
        place = resolve_base(base)
        with named_errors(place, "its weights"):
            weights = TEXT_DECODERS[str(text.get("kind", "qformer"))].read_weights(place)
            model.model.connector.text_decoder.load_state_dict(weights)


def _tower_options(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a tower, with the configuration of its base and what else is known of that; of a tower that is
    made of towers, those of each."""
    options = {name: value for name, value in asked.items() if name != "base"}
    if "towers" in options:
        options["towers"] = [_tower_options(inner) for inner in _inner(options)]
    base = str(asked.get("base", ""))
    if not base:
        return options
    member = VISION_TOWERS[str(options.get("kind", ""))]
    if not hasattr(member, "read_config"):
        raise InputError(f"vision-tower {options['kind']}: takes no base")
    place = resolve_base(base)
    with named_errors(place, "its configuration"):
        known = member.read_options(place) if hasattr(member, "read_options") else {}
        config = {**member.read_config(place), **options.get("config", {})}
    return {**known, **options, "config": config}


def _inner(options: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The options of the towers that one is made of."""
    inner = options["towers"]
    if not isinstance(inner, list) or not all(isinstance(each, Mapping) for each in inner):
        raise InputError(f"vision-tower {options.get('kind')}: towers: expected a list of towers, each with its `kind`")
    return inner


def _copy_weights(model: Any, towers: tuple[TowerFile, ...], language: PreTrainedModel | None) -> None:
    """Put the weights of the bases into the parts; a LLaVA holds its one tower without a wrapper."""
    inner = model.model.vision_tower
    holders: list[Any] = list(inner) if isinstance(inner, nn.ModuleList) else [inner]
    for holder, tower in zip(holders, towers, strict=True):
        _copy_tower(holder, tower.model_dump(), wrapped=isinstance(inner, nn.ModuleList))
    if language is not None:
        model.model.language_model.load_state_dict(language.get_decoder().state_dict())
        model.lm_head.load_state_dict(language.get_output_embeddings().state_dict())
        check_finite(model, "the model")


def _copy_tower(holder: Any, options: Mapping[str, Any], *, wrapped: bool = True) -> None:
    if base := str(options.get("base", "")):
        place = resolve_base(base)
        with named_errors(place, "its weights"):
            weights = VISION_TOWERS[str(options["kind"])].read_weights(place)
            (holder.model if wrapped else holder).load_state_dict(weights)
    for part, asked in zip(getattr(holder, "towers", ()), options.get("towers", ()), strict=True):
        _copy_tower(part, asked)

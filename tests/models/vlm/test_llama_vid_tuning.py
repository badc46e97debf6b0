"""What trains in a LLaMA-VID, from which published parts, with stretched positions and with features on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import BertTokenizerFast, InstructBlipForConditionalGeneration, LlamaForCausalLM

from cityscribe.files import InputError
from cityscribe.models.load import load_model, load_processor, save_model
from cityscribe.models.settings import LoraSettings, ModelSettings
from cityscribe.models.tuning.prepare import load_for_tuning, prepare_tuning
from cityscribe.models.vlm.build import build_from_file
from tests.models.test_block_expansion import learn
from tests.models.test_load import model_inputs
from tests.models.vlm.composed import TOKENIZER, decoder, parts, tiny
from tests.models.vlm.llama_vid import llama_vid
from tests.models.vlm.test_llama_vid import chat, given, image_tokens
from tests.text_reading import instructblip
from tests.tiny_models import llava


def test_tower_and_text_decoder_are_taken_from_an_instructblip(tmp_path: Path) -> None:
    model: Any
    processor: Any
    model, processor = instructblip()
    assert isinstance(model, InstructBlipForConditionalGeneration)
    model.save_pretrained(tmp_path / "blip")
    processor.qformer_tokenizer.save_pretrained(tmp_path / "words")
    LlamaForCausalLM(decoder()).save_pretrained(tmp_path / "llama")
    TOKENIZER.save_pretrained(tmp_path / "llama")
    file = tmp_path / "vlm.yaml"
    base = str(tmp_path / "blip")
    parts = {
        "towers": [{"kind": "eva", "base": base}],
        "connector": {"kind": "llama-vid", "text_decoder": {"kind": "qformer", "base": base}},
        "questions": str(tmp_path / "words"),
        "decoder": {"base": str(tmp_path / "llama")},
        "order": "content-first",
    }
    file.write_text(yaml.safe_dump(parts))
    build_from_file(file, tmp_path / "built")
    built: Any = load_model(tmp_path / "built", dtype=torch.float32)
    text = built.model.connector.text_decoder
    assert torch.equal(text.queries, model.query_tokens)
    for part, source in ((text.model, model.qformer), (built.model.vision_tower[0].model, model.vision_model)):
        for name, value in source.state_dict().items():
            assert torch.equal(part.state_dict()[name], value), name
    loaded = load_processor(tmp_path / "built")
    assert isinstance(loaded.question_tokenizer, BertTokenizerFast)
    assert loaded.order == "content-first"
    assert image_tokens(built, given(loaded, chat("Where?"))).isfinite().all()


def test_adapters_are_silent_at_first_and_merge(tmp_path: Path) -> None:
    model, processor = llama_vid()
    inputs = model_inputs_of(processor)
    expected = model(**inputs).logits
    torch.manual_seed(0)
    lora = LoraSettings(rank=2, parts=("decoder", "connector", "vision_tower"))
    prepare_tuning(model, ModelSettings(method="lora", lora=lora, unfreeze=("context",)))
    torch.testing.assert_close(model(**inputs).logits, expected, atol=1e-4, rtol=0)
    learn(model)
    learnt = model(**inputs).logits
    assert (learnt - expected).abs().max() > 0.5
    save_model(model, processor, tmp_path / "model")
    merged = load_model(tmp_path / "model", dtype=torch.float32)
    torch.testing.assert_close(merged(**inputs).logits, learnt, atol=2e-2, rtol=0)


def model_inputs_of(processor: Any) -> Any:
    return given(processor, chat("Where is the vehicle?", images=2))


def test_stretched_positions_are_seen_where_nearer_ones_were(tmp_path: Path) -> None:
    """Tokens 16 places apart are seen as neighbours were, and what is saved says so."""
    model, processor = llama_vid()
    save_model(model, processor, tmp_path / "base")
    settings = ModelSettings(base=str(tmp_path / "base"), stretch=16)
    stretched, _ = load_for_tuning(settings, dtype=torch.float32)
    ids = given(processor, [{"role": "user", "content": "Where is the vehicle?"}])["input_ids"]
    positions = torch.arange(ids.shape[1])[None]
    near, far = model(input_ids=ids, position_ids=positions), stretched(input_ids=ids, position_ids=16 * positions)
    torch.testing.assert_close(far.logits, near.logits, atol=1e-4, rtol=1e-4)
    save_model(stretched, processor, tmp_path / "stretched")
    again = load_model(tmp_path / "stretched", dtype=torch.float32)
    assert again.config.get_text_config().max_position_embeddings == 16 * 2048
    assert torch.equal(again(input_ids=ids).logits, stretched(input_ids=ids).logits)
    with pytest.raises(InputError, match="rotary positions of the kind linear, not default"):
        load_for_tuning(ModelSettings(base=str(tmp_path / "stretched"), stretch=2), dtype=torch.float32)


def test_a_tower_sees_each_view_once_and_its_features_are_kept_on_disk(tmp_path: Path) -> None:
    model, processor = llama_vid()
    seen: list[int] = []
    model.model.vision_tower[0].model.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    inputs = given(processor, chat("Where?", images=2))
    twice = {name: torch.cat([value, value]) for name, value in inputs.items() if name not in ("attention_mask",)}
    twice["input_ids"] = torch.cat([inputs["input_ids"]] * 2, dim=1)
    expected = model(**inputs).logits
    model(**twice)
    assert seen == [2, 2], "four images, two of them distinct"

    model.model.keep_features(tmp_path / "features")
    model.requires_grad_(False)
    assert torch.equal(model(**inputs).logits, expected)
    assert len(list((tmp_path / "features").rglob("*.safetensors"))) == 2
    seen.clear()
    assert model(**given(processor, chat("Describe the weather.", images=2))).logits.isfinite().all()
    assert torch.equal(model(**inputs).logits, expected)
    assert seen == [], "another question needs no tower"

    model.model.vision_tower[0].model.embeddings.class_embedding.data += 1
    model.model.keep_features(tmp_path / "features")
    assert not torch.equal(model(**inputs).logits, expected), "another tower has features of its own"
    model.model.vision_tower.requires_grad_(True)
    with pytest.raises(InputError, match="the vision tower trains, so that its features"):
        model(**inputs)
    for file in (tmp_path / "features").rglob("*.safetensors"):
        file.write_bytes(b"torn")
    model.requires_grad_(False)
    with pytest.raises(InputError, match="holds a file that is no features"):
        model(**inputs)


def test_models_that_read_class_tokens_and_those_that_do_not_keep_features_apart(tmp_path: Path) -> None:
    first, processor = tiny(parts())
    second, _ = tiny(parts(connector={"kind": "mlp", "class_token": True}))
    second.model.vision_tower.load_state_dict(first.model.vision_tower.state_dict())
    pixels = model_inputs(processor)["pixel_values"]
    with torch.no_grad():
        expected = [model.model.image_tokens(pixels) for model in (first, second)]
        for model in (first, second):
            model.model.keep_features(tmp_path)
        for _ in range(2):
            for model, tokens in zip((first, second), expected, strict=True):
                torch.testing.assert_close(model.model.image_tokens(pixels), tokens, atol=1e-6, rtol=1e-6)


def test_only_a_model_from_parts_keeps_features(tmp_path: Path) -> None:
    save_model(*llava(), tmp_path / "llava")
    settings = ModelSettings(base=str(tmp_path / "llava"), keep_features=tmp_path / "features")
    with pytest.raises(InputError, match="is no model from parts"):
        load_for_tuning(settings, dtype=torch.float32)

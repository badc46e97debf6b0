"""Models from a file that names published parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import (
    AutoModel,
    Blip2Config,
    Blip2ForConditionalGeneration,
    CLIPConfig,
    CLIPModel,
    Dinov2Config,
    Dinov2Model,
    LlamaForCausalLM,
    LlavaForConditionalGeneration,
    PhiConfig,
    PhiForCausalLM,
    PreTrainedModel,
    Qwen3Config,
    Qwen3ForCausalLM,
    SiglipVisionConfig,
    SiglipVisionModel,
    ViTConfig,
    ViTModel,
)
from typer.testing import CliRunner

from cityscribe.cli import app
from cityscribe.files import InputError
from cityscribe.models.load import load_model, load_processor
from cityscribe.models.tokenizer import END, IMAGE
from cityscribe.models.vlm.build import build_from_file
from cityscribe.models.vlm.model import Vlm
from tests.models.test_load import model_inputs
from tests.models.vlm.composed import CLIP, POOLED, SIGLIP, TOKENIZER, decoder


def write(folder: Path, **values: Any) -> Path:
    file = folder / "vlm.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def published(folder: Path, model: PreTrainedModel, *, words: bool = False) -> str:
    model.save_pretrained(folder)
    if words:
        TOKENIZER.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("kind", ["llava", "pooled"])
def test_weights_come_from_the_models_that_are_named(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    text = decoder(Qwen3Config)
    text.vocab_size -= 1  # the token of images is new to it
    language = Qwen3ForCausalLM(text)
    # A whole CLIP, as it is published: image encoder and text encoder.
    clip = CLIPModel(CLIPConfig(vision_config=CLIP["config"], text_config={"num_hidden_layers": 1, "hidden_size": 512}))
    file = write(
        tmp_path,
        towers=[{"kind": "clip", "base": published(tmp_path / "clip", clip), "layer": -1}],
        decoder={"base": published(tmp_path / "words", language, words=True)},
        **({"connector": POOLED} if kind == "pooled" else {}),
    )
    build_from_file(file, tmp_path / "built")
    built: Any = load_model(tmp_path / "built", dtype=torch.float32)
    assert type(built) is {"llava": LlavaForConditionalGeneration, "pooled": Vlm}[kind]
    tower = built.model.vision_tower if kind == "llava" else built.model.vision_tower[0].model
    for name, value in clip.vision_model.state_dict().items():
        assert torch.equal(tower.state_dict()[name], value), name
    decoded = language.model.state_dict()
    for name, value in built.model.language_model.state_dict().items():
        assert torch.equal(value[: len(decoded[name])], decoded[name]), name
    assert torch.equal(built.lm_head.weight[: text.vocab_size], language.lm_head.weight)
    assert built.lm_head.weight.shape[0] == len(TOKENIZER)
    processor = load_processor(tmp_path / "built")
    assert processor.tokenizer.eos_token == END
    inputs = model_inputs(processor)
    assert (inputs["input_ids"] == processor.tokenizer.convert_tokens_to_ids(IMAGE)).sum() == 2 * (
        16 if kind == "llava" else 4
    )
    assert built(**inputs).logits.isfinite().all()


def test_a_tower_without_its_head_and_a_decoder_without_a_base_by_the_command(tmp_path: Path) -> None:
    torch.manual_seed(1)
    vision = SiglipVisionModel(SiglipVisionConfig(**SIGLIP["config"]))
    file = write(
        tmp_path,
        towers=[{"kind": "siglip", "base": published(tmp_path / "siglip", vision)}],
        tiling={"kind": "letterbox"},
        decoder={"config": {"model_type": "llama", "num_hidden_layers": 1, "hidden_size": 32, "intermediate_size": 48}},
        tokenizer=published(tmp_path / "words", LlamaForCausalLM(decoder()), words=True),
        dtype="bfloat16",
    )
    result = CliRunner().invoke(app, ["model", "build", str(file), str(tmp_path / "built")])
    assert result.exit_code == 0, result.output
    built: Any = load_model(tmp_path / "built", dtype=torch.float32)
    weights = vision.state_dict()
    for name, value in built.model.vision_tower[0].model.state_dict().items():
        assert torch.equal(value, weights[name].bfloat16().float()), name
    assert built(**model_inputs(load_processor(tmp_path / "built"))).logits.isfinite().all()


def test_towers_of_a_tower_and_a_connector_take_weights_of_their_own(tmp_path: Path) -> None:
    torch.manual_seed(1)
    small = {"num_hidden_layers": 1, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2}
    vit, dino = (kind(image_size=32, patch_size=8, **small) for kind in (ViTConfig, Dinov2Config))
    bases = [published(tmp_path / "vit", ViTModel(vit)), published(tmp_path / "dino", Dinov2Model(dino))]
    (tmp_path / "vit" / "preprocessor_config.json").write_text('{"image_mean": [0.1, 0.2, 0.3]}')
    blip = Blip2ForConditionalGeneration(
        Blip2Config(
            vision_config={**small, "hidden_size": 64, "image_size": 16, "patch_size": 8},
            qformer_config={**small, "encoder_hidden_size": 64},
            text_config={"model_type": "opt", "vocab_size": 9, "num_hidden_layers": 1, "hidden_size": 16, "ffn_dim": 16}
            | {"num_attention_heads": 2, "word_embed_proj_dim": 16},
            num_query_tokens=3,
        )
    )
    torch.nn.init.normal_(blip.query_tokens)
    file = write(
        tmp_path,
        towers=[{"kind": "side-by-side", "towers": [{"kind": "transformers", "base": base} for base in bases]}],
        connector={"kind": "qformer", "base": published(tmp_path / "blip", blip)},
        decoder={"config": {"model_type": "llama", **small}},
        tokenizer=published(tmp_path / "words", LlamaForCausalLM(decoder()), words=True),
    )
    build_from_file(file, tmp_path / "built")
    built: Any = load_model(tmp_path / "built", dtype=torch.float32)
    (tower,) = built.model.vision_tower
    assert tower.mean == (0.1, 0.2, 0.3)
    for made, base in zip(tower.towers, bases, strict=True):
        expected = AutoModel.from_pretrained(base).state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in made.model.state_dict().items())
    assert torch.equal(built.model.connector.queries, blip.query_tokens)
    weights = blip.qformer.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in built.model.connector.model.state_dict().items())
    assert built(**model_inputs(load_processor(tmp_path / "built"))).logits.isfinite().all()


def test_a_model_that_sees_gives_its_tower_and_its_decoder(tmp_path: Path) -> None:
    """cityscribe-tiny in parts, put together again with its own connector, says what it says."""
    tiny: Any = load_model("cityscribe-tiny", dtype=torch.float32)
    file = write(
        tmp_path,
        towers=[{"kind": "transformers", "base": "cityscribe-tiny", "layer": -1}],
        connector={"kind": "average-pooling", "pool": 1},
        decoder={"base": "cityscribe-tiny"},
    )
    build_from_file(file, tmp_path / "built")
    built: Any = load_model(tmp_path / "built", dtype=torch.float32)
    projector = tiny.model.multi_modal_projector
    built.model.connector.layers[0].load_state_dict(projector.linear_1.state_dict())
    built.model.connector.layers[2].load_state_dict(projector.linear_2.state_dict())
    inputs = model_inputs(load_processor("cityscribe-tiny"))
    again = model_inputs(load_processor(tmp_path / "built"))
    torch.testing.assert_close(again["pixel_values"], inputs["pixel_values"], atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(built(**inputs).logits, tiny(**inputs).logits, atol=1e-4, rtol=1e-4)


def test_a_decoder_gets_norms_of_queries_and_keys(tmp_path: Path) -> None:
    """As TinyGPT-V puts them into Phi-2, whose weights stay."""
    torch.manual_seed(1)
    small = {"num_hidden_layers": 1, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2}
    phi = PhiForCausalLM(PhiConfig(**small, vocab_size=len(TOKENIZER), resid_pdrop=0.0))
    base = published(tmp_path / "phi", phi, words=True)
    towers = [CLIP]
    decoders = {"base": base, "config": {"qk_layernorm": True}}
    build_from_file(write(tmp_path, towers=towers, connector=POOLED, decoder=decoders), tmp_path / "built")
    built: Any = load_model(tmp_path / "built", dtype=torch.float32)
    found = built.model.language_model.state_dict()
    assert all(torch.equal(found[name], value) for name, value in phi.model.state_dict().items())
    assert torch.equal(built.lm_head.bias, phi.lm_head.bias), "Phi's head has a bias"
    added = {name: value for name, value in found.items() if name not in phi.model.state_dict()}
    assert added
    assert all("_layernorm." in name for name in added)
    assert all(torch.equal(value, torch.full_like(value, "weight" in name)) for name, value in added.items())
    file = write(tmp_path, towers=towers, decoder={"base": base, "config": {"haste": 3}})
    with pytest.raises(InputError, match=r"decoder\.config: haste: no field of a phi"):
        build_from_file(file, tmp_path / "no")


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown tower": ({"towers": [{"kind": "clop"}]}, r"vlm.yaml: line \d+: towers.0.kind: expected one of clip"),
    "no tower": ({"towers": []}, "towers"),
    "a base that is none": ({"towers": [{"kind": "clip", "base": "./nowhere"}]}, "./nowhere: no such folder"),
    "two decoders": ({"decoder": {"base": "a", "config": {"model_type": "llama"}}}, "decoder: give base or config"),
    "no words": ({"tokenizer": ""}, "tokenizer: missing"),
    "a decoder of none": ({"decoder": {"config": {"model_type": "lama"}}}, "decoder: "),
    "an encoder": ({"decoder": {"config": {"model_type": "clip"}}}, "decoder: a model of type `clip` does not"),
    "a typing error": ({"conector": {"kind": "mlp"}}, "did you mean `connector`"),
    "a base of none": ({"connector": {"kind": "mlp", "base": "a"}}, "connector mlp: takes no base"),
    "an option of none": ({"connector": {"kind": "mlp", "pool": 2}}, "connector mlp: does not take"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_mistake_in_the_file_is_named(fault: str, tmp_path: Path) -> None:
    words = tmp_path / "words"
    TOKENIZER.save_pretrained(words)
    values = {
        "towers": [CLIP],
        "decoder": {"config": {"model_type": "llama", "hidden_size": 32}},
        "tokenizer": str(words),
    }
    changes, message = FAULTS[fault]
    file = write(tmp_path, **{**values, **changes})
    with pytest.raises(InputError, match=message):
        build_from_file(file, tmp_path / "built")
    assert not (tmp_path / "built").exists()

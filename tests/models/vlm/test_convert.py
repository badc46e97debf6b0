"""Published checkpoints of LLaMA-VID, by their real names at tiny sizes, become models that load and answer."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from cityscribe.cli import app
from cityscribe.engine.local import LocalEngine
from cityscribe.engine.request import Request
from cityscribe.files import InputError
from cityscribe.models.load import load_config, load_model, load_processor
from cityscribe.models.vlm.convert import convert_llama_vid
from cityscribe.records import image_block, message, text_block
from tests.models.test_load import picture
from tests.models.vlm import published_llama_vid as published
from tests.models.vlm.llama_vid import plain_tokens
from tests.models.vlm.test_llama_vid import chat, given, image_tokens


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor], Path]:
    """A published folder, its weights, and what the command makes of it."""
    root = tmp_path_factory.mktemp("llama-vid")
    weights = published.write_published(root / "published", compress_type="grid:2")
    words = published.write_vocabulary(root / "vocab.txt")
    arguments = ["llama-vid", str(root / "published"), str(root / "out"), "--vocabulary", str(words)]
    result = CliRunner().invoke(app, ["convert-checkpoint", *arguments, "--system", "Look closely."])
    assert result.exit_code == 0, result.output
    return root / "published", weights, root / "out"


def test_all_849_names_find_their_place(converted: tuple[Path, dict[str, Tensor], Path]) -> None:
    _, weights, out = converted
    assert len(published.vision_weights()) == 849
    model: Any = load_model(out, dtype=torch.float32)
    found = {value.numpy().tobytes() for value in model.state_dict().values()}
    lost = [
        name
        for name, value in weights.items()
        if value.numpy().tobytes() not in found and not name.endswith(("position_ids", "inv_freq", "q_bias", "v_bias"))
    ]
    assert lost == [], "the values of each weight stand somewhere in the model"
    at = "model.vision_tower.vision_tower.blocks.7."
    layer = model.model.vision_tower[0].model.encoder.layers[7]
    q, k, v = layer.self_attn.qkv.bias.split(published.WIDTH)
    assert torch.equal(q, weights[at + "attn.q_bias"])
    assert torch.equal(v, weights[at + "attn.v_bias"])
    assert not k.any()
    assert torch.equal(layer.layer_norm2.weight, weights[at + "norm2.weight"])
    cross = model.model.connector.text_decoder.model.encoder.layer[10].crossattention
    assert torch.equal(
        cross.attention.key.weight,
        weights["model.vlm_att_encoder.bert.encoder.layer.10.crossattention.self.key.weight"],
    )
    assert torch.equal(model.model.connector.value_projector.weight, weights["model.vlm_att_val_projector.weight"])
    assert model.config.connector["pooling"] == "grid:2"
    assert not list(out.glob("*.bin"))


def test_what_was_converted_reads_the_question_by_its_own_vocabulary_and_answers(
    converted: tuple[Path, dict[str, Tensor], Path],
) -> None:
    out = converted[2]
    model: Any = load_model(out, dtype=torch.float32)
    processor: Any = load_processor(out)
    inputs = given(processor, chat("a bad cab?"))
    ids = inputs["question_ids"][0][inputs["question_mask"][0] == 1].tolist()
    tokens = processor.question_tokenizer.convert_ids_to_tokens(ids)
    assert tokens == ["[CLS]", "a", "[UNK]", "[UNK]", "?", "[SEP]"] or tokens[0] == "[CLS]"
    assert tokens[-1] == "[SEP]"
    text = processor.tokenizer.decode(inputs["input_ids"][0])
    assert "Look closely. USER: <image>" in text
    assert text.endswith("\na bad cab? ASSISTANT:")
    long = processor.read_questions(["a " * 400 + "b"])
    assert long[1].sum() == 256, "the end of a long question is read"
    assert processor.question_tokenizer.convert_ids_to_tokens(long[0][0].tolist())[-2:] == ["b", "[SEP]"]
    asked = Request((message("user", image_block(), text_block("a bad cab?")),), (picture(0),), max_tokens=4)
    [[answer]] = LocalEngine(model, processor).answer([asked])
    assert answer.tokens == 4
    assert not answer.reason


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    """A published folder of few layers."""
    folder = tmp_path_factory.mktemp("short") / "published"
    return folder, published.write_published(folder, blocks=4, layers=2)


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "a name that is missing": ({"drop": "model.vlm_att_ln.bias"}, r"1 weights are missing, .*connector.norm.bias"),
    "a bias of the tower": (
        {"drop": "model.vision_tower.vision_tower.blocks.3.attn.v_bias"},
        r"missing, .*layers.3.self_attn.qkv.bias",
    ),
    "a name that is left over": (
        {"add": "model.other.weight"},
        "1 weights have names that no LLaMA-VID has, as `model.other",
    ),
    "another shape": (
        {"config": {"intermediate_size": 40}},
        r"is of shape \[32, 48\], its configuration says \[32, 40\]",
    ),
    "BERT of another kind": (
        {"config": {"bert_type": "raw_bert_layer:2"}},
        "only those with a Q-Former were published",
    ),
    "none of LLaMA-VID": ({"config": {"bert_type": None}, "without": "bert_type"}, "bert_type: missing"),
    "no vocabulary": ({"vocabulary": False}, "lacks the vocabulary of its text decoder"),
    "another vocabulary": ({"words": 3}, r"3 words and \[DEC\] make \d+ tokens; the weights have 41"),
    "code in the weights": ({"code": True}, "wants to run code"),
}


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("run",))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_folder_that_is_not_whole_is_refused_by_name(
    fault: str, short: tuple[Path, dict[str, Tensor]], tmp_path: Path
) -> None:
    change, why = FAULTS[fault]
    source, weights = short
    folder = tmp_path / "published"
    folder.mkdir()
    for file in source.iterdir():
        if file.suffix != ".bin":
            (folder / file.name).write_bytes(file.read_bytes())
    kept = {name: value for name, value in weights.items() if name != change.get("drop")}
    if "add" in change:
        kept[change["add"]] = torch.zeros(2)
    torch.save(kept, folder / "pytorch_model.bin")
    if change.get("code"):
        (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    config = json.loads((folder / "config.json").read_text()) | change.get("config", {})
    config.pop(change.get("without", ""), None)
    (folder / "config.json").write_text(json.dumps(config))
    words = published.write_vocabulary(tmp_path / "vocab.txt") if change.get("vocabulary", True) else None
    if "words" in change and words is not None:
        words.write_text("\n".join(published.VOCABULARY[: change["words"]]))
    with pytest.raises(InputError, match=why):
        convert_llama_vid(folder, tmp_path / "out", vocabulary=words)
    assert not (tmp_path / "out").exists()


def test_a_published_folder_is_refused_as_a_model_by_name(converted: tuple[Path, dict[str, Tensor], Path]) -> None:
    with pytest.raises(InputError, match="a LLaMA-VID as it is published; `cityscribe model convert llama-vid"):
        load_config(converted[0])


def test_the_connector_of_a_first_stage_goes_onto_a_model(
    short: tuple[Path, dict[str, Tensor]], tmp_path: Path
) -> None:
    source, out = short[0], tmp_path / "base"
    convert_llama_vid(source, out, vocabulary=published.write_vocabulary(tmp_path / "vocab.txt"))
    folder = tmp_path / "pretrain"
    folder.mkdir()
    (folder / "config.json").write_bytes((source / "config.json").read_bytes())
    names = (published.text_decoder_names(2), published.own_names(), published.projector_names())
    trained = {name: value * 2 for name, value in published.weights(*names).items() if "position_ids" not in name}
    torch.save(trained, folder / "mm_projector.bin")
    with pytest.raises(InputError, match="holds the connector alone; name the model"):
        convert_llama_vid(folder, tmp_path / "alone")
    [note] = convert_llama_vid(folder, tmp_path / "out", onto=str(out))
    assert "weights of the connector" in note
    model: Any = load_model(tmp_path / "out", dtype=torch.float32)
    assert torch.equal(model.model.connector.layers[2].bias, trained["model.mm_projector.2.bias"])
    before: Any = load_model(out, dtype=torch.float32)
    assert torch.equal(model.lm_head.weight, before.lm_head.weight)


def test_tokens_of_a_converted_model_are_those_of_the_published_formulas(
    converted: tuple[Path, dict[str, Tensor], Path],
) -> None:
    _, _, out = converted
    model: Any = load_model(out, dtype=torch.float32).double()
    inputs = given(load_processor(out), chat("a bed?"))
    inputs["pixel_values"] = inputs["pixel_values"].double()
    with torch.inference_mode():
        [seen] = model.model.vision_tower[0].model(inputs["pixel_values"], output_hidden_states=True).hidden_states[-1]
    ids, mask = inputs["question_ids"][0][:30], inputs["question_mask"][0][:30]
    expected = plain_tokens(dict(model.model.connector.state_dict()), seen, ids, mask, 2, layers=12, heads=1)
    found = image_tokens(model, inputs)
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()

"""Weights in few bits: the folder means what was searched for, to plain transformers and to the local engine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from transformers import AutoModelForImageTextToText, AutoProcessor, LlamaConfig, LlamaForCausalLM

from cityscribe.engine.local import LocalEngine
from cityscribe.engine.members import Setup
from cityscribe.engine.request import Request
from cityscribe.files import InputError
from cityscribe.models.load import load_model, load_processor
from cityscribe.models.parts import decoder_layers
from cityscribe.models.quantise.awq import Awq
from cityscribe.models.quantise.block import Calibration, record_layers
from cityscribe.models.quantise.linear import PackedLinear
from cityscribe.models.quantise.loading import packed_layers
from cityscribe.models.quantise.q_vlm import entropy, partition
from cityscribe.models.quantise.rounding import Scheme, round_weight
from cityscribe.models.quantise.rtn import Rtn
from cityscribe.models.quantise.search import search
from cityscribe.models.quantise.words import packed
from cityscribe.models.seams import QUANTISERS
from cityscribe.models.settings import ModelSettings
from cityscribe.models.tuning.prepare import load_for_tuning
from cityscribe.quantise import quantise
from cityscribe.records import Sample, image_block, message, read_samples, text_block, write_samples
from cityscribe.train.calibration import calibrated
from tests.models.test_load import model_inputs
from tests.train.conftest import City

Checkpoint = Callable[[str], Path]


@pytest.fixture(scope="module")
def prepared(city: City, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "prepared"
    shutil.copytree(city.root, folder)
    write_samples(folder / "train.parquet", list(city.samples))
    return folder


@pytest.fixture(scope="module")
def small(tiny: Checkpoint, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaVA with grouped queries and a head that is tied to the embeddings, by AWQ in four bits."""
    out = tmp_path_factory.mktemp("packed") / "llava"
    quantise(tiny("llava"), out, method="awq", bits=4, prepared=prepared, groups=1)
    return out


def samples_of(prepared: Path) -> list[Sample]:
    return read_samples(prepared / "train.parquet")


def independent_weights(folder: Path, bits: int) -> dict[str, np.ndarray]:
    """The packed weights of a folder by the names in it, unpacked bit by bit as the format says."""
    found = {}
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        for name in file.keys():  # noqa: SIM118
            if not name.endswith(".weight_packed"):
                continue
            base = name.removesuffix("weight_packed")
            words = file.get_tensor(name).numpy().view(np.uint32)
            rows, columns = file.get_tensor(base + "weight_shape").tolist()
            scales = file.get_tensor(base + "weight_scale").float().numpy()
            codes = np.empty((rows, columns), dtype=np.int64)
            for column in range(columns):
                word, place = divmod(column * bits, 32)
                codes[:, column] = (words[:, word] >> np.uint32(place)) & (2**bits - 1)
            width = columns // scales.shape[1]
            found[base + "weight"] = (codes - 2 ** (bits - 1)).astype(np.float32) * scales.repeat(width, axis=1)
    return found


@pytest.mark.parametrize(("method", "bits"), [("rtn", 8), ("awq", 4)])
def test_the_folder_holds_what_was_searched_for(
    method: str, bits: int, tiny: Checkpoint, prepared: Path, small: Path, tmp_path: Path
) -> None:
    out = small if method == "awq" else tmp_path / "out"
    if method != "awq":
        quantise(tiny("llava"), out, method=method, bits=bits)  # type: ignore[arg-type]
    model, processor = load_model(tiny("llava"), dtype=torch.float32), load_processor(tiny("llava"))
    scheme = Scheme(bits, 32 if bits == 4 else None)  # type: ignore[arg-type]
    with calibrated(model, processor, samples_of(prepared), prepared, groups=1) as calibration:
        search(model, QUANTISERS[method](torch.float32), scheme, calibration)
    searched = model.state_dict()
    written = independent_weights(out, bits)
    assert len(written) == 4 * 7
    found = load_model(out, dtype=torch.float32)
    layers = packed_layers(found)
    assert len(layers) == len(written)
    for name, layer in layers.items():
        file_name = next(each for each in written if each.endswith(name.partition("layers.")[2] + ".weight"))
        assert np.array_equal(written[file_name], searched[f"{name}.weight"].numpy()), name
        assert torch.equal(layer.unpacked_weight(torch.float32), searched[f"{name}.weight"])
    inputs = model_inputs(processor)
    assert torch.equal(found(**inputs).logits, model(**inputs).logits)


@pytest.mark.parametrize("bits", [4, 8])
def test_plain_transformers_answers_as_the_engine(
    bits: int, tiny: Checkpoint, prepared: Path, small: Path, tmp_path: Path
) -> None:
    pytest.importorskip("compressed_tensors")
    out = small
    if bits == 8:
        out = tmp_path / "out"
        quantise(tiny("qwen2.5-vl"), out, method="rtn", bits=8)
    plain = AutoModelForImageTextToText.from_pretrained(out, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(out, backend="pil") if bits == 4 else load_processor(out)
    engine = LocalEngine(load_model(out, dtype=torch.float32), load_processor(out))
    sample = samples_of(prepared)[0]
    images = tuple(prepared / name for name in sample.images)
    questions = ("Where is the vehicle?", "Describe the weather.", "How fast is it?")
    asked = [message("user", image_block(), image_block(), text_block(question)) for question in questions]
    found = engine.answer([Request((each,), images, max_tokens=12) for each in asked])
    for prompt, (answer,) in zip(engine.read([Request((each,), images) for each in asked]), found, strict=True):
        inputs = {**prompt.tensors(), **prompt.media_inputs}  # type: ignore[union-attr]
        with torch.inference_mode():
            expected = plain.generate(**inputs, attention_mask=torch.ones_like(inputs["input_ids"]), max_new_tokens=12)
        assert list(answer.token_ids) == expected[0, inputs["input_ids"].shape[1] :].tolist()
    assert processor.tokenizer.get_vocab() == engine.processor.tokenizer.get_vocab()


@pytest.mark.parametrize("family", ["qwen2.5-vl", "gemma3"])
@torch.no_grad()
def test_before_rounding_nothing_changes(family: str, load: Any, prepared: Path) -> None:
    """With grouped queries (no factors between values and outputs), biases, and norms that count from one."""
    model, processor = load(family)
    for layer in decoder_layers(model):
        norm: Any = layer.input_layernorm
        norm.weight[::5] += 4  # inputs that stand out
    before = {name: value.clone() for name, value in model.state_dict().items()}
    inputs = model_inputs(processor)
    expected = model(**inputs).logits
    with calibrated(model, processor, samples_of(prepared)[:2], prepared) as calibration:
        for layer in record_layers(model, calibration):
            Awq().scale(layer, Scheme(4, 32))
    found = model(**inputs).logits
    assert float((found - expected).abs().max() / expected.abs().max()) < 2e-5
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    inside = next(name for name, each in model.named_modules() if each is decoder_layers(model))
    assert changed
    assert all(name.startswith(f"{inside}.") for name in changed)
    assert any("input_layernorm" in name for name in changed)


def outliers(seed: int = 0, width: int = 64) -> tuple[LlamaForCausalLM, Calibration]:
    """A decoder whose norms let a few channels stand out, as those of trained ones do, and tokens to run it on."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=width,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        initializer_range=0.1,
    )
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for layer in model.model.layers:
            for norm in (layer.input_layernorm, layer.post_attention_layernorm):
                norm.weight[::16] = 12.0
    tokens = torch.randint(0, 64, (4, 48))
    return model, Calibration([lambda: model(tokens, use_cache=False)], 4, tokens.numel(), "")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_awq_moves_outputs_less_than_rounding_to_nearest(dtype: torch.dtype) -> None:
    errors = {}
    for name, member in (("rtn", Rtn()), ("awq", Awq(dtype))):
        model, calibration = outliers()
        found = search(model, member, Scheme(4, 32), calibration)
        errors[name] = [error.outputs for error in found.errors]
        for layer in model.model.layers:
            for norm in (layer.input_layernorm, layer.post_attention_layernorm):
                assert torch.equal(norm.weight, norm.weight.to(dtype).float())  # what the checkpoint can hold
    for awq, rtn in zip(errors["awq"], errors["rtn"], strict=True):
        assert awq is not None
        assert rtn is not None
        assert awq < 0.9 * rtn


def test_layers_that_depend_on_each_other_are_rounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    assert partition([3.0, 1.0, 1.0, 4.0, 4.0, 4.0, 4.0, 1.0]) == [[0, 1], [2], [3, 4, 5], [6, 7]]
    constant, spread = torch.zeros(2, 64), torch.linspace(-1, 1, 256)
    assert entropy([constant]) == 0.0
    assert entropy([spread]) == pytest.approx(np.log(256))
    monkeypatch.setattr("cityscribe.models.quantise.q_vlm.partition", lambda entropies: [[0, 1]])
    errors = {}
    for name in ("awq", "q-vlm"):
        model, calibration = outliers()
        behind: list[torch.Tensor] = []
        hook = model.model.layers[1].register_forward_hook(lambda _, inputs, output, seen=behind: seen.append(output))
        calibration.passes[0]()
        hook.remove()
        search(model, QUANTISERS[name](torch.float32), Scheme(4, 32), calibration)
        hook = model.model.layers[1].register_forward_hook(lambda _, inputs, output, seen=behind: seen.append(output))
        calibration.passes[0]()
        hook.remove()
        errors[name] = float((behind[0] - behind[1]).detach().square().mean())
    assert errors["q-vlm"] < errors["awq"]


def test_a_stopped_search_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    def run(stop: int, work: Path) -> tuple[Any, list[int]]:
        model, calibration = outliers()
        seen: list[int] = []

        class Watched(Awq):
            def search(self, layers: Any, scheme: Scheme) -> Any:
                seen.append(layers[0].number)
                if len(seen) == stop:
                    raise KeyboardInterrupt
                return super().search(layers, scheme)

        found = search(model, Watched(), Scheme(4, 32), calibration, work=work, made_from="this")
        return (found, model.state_dict()), seen

    (expected, weights), _ = run(0, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(2, tmp_path / "stopped")
    (found, again), seen = run(0, tmp_path / "stopped")
    assert seen == [1]
    assert found.errors == expected.errors
    for name, value in weights.items():
        assert torch.equal(again[name], value), name


@pytest.mark.parametrize("lost", ["1 beside input_layernorm.weight", "1 codes mlp.down_proj"])
def test_a_damaged_file_of_a_search_changes_nothing(lost: str, tmp_path: Path) -> None:
    class Together(Awq):
        def blocks(self, layers: Any) -> list[list[int]]:
            return [[0, 1]]

    def run() -> dict[str, torch.Tensor]:
        model, calibration = outliers()
        search(model, Together(), Scheme(4, 32), calibration, work=tmp_path, made_from="this")
        return model.state_dict()

    expected = run()
    (file,) = tmp_path.iterdir()
    with safe_open(file, framework="pt") as stored:
        kept = {name: stored.get_tensor(name) for name in stored.keys() if name != lost}  # noqa: SIM118
        noted = stored.metadata()
    save_file(kept, file, metadata=noted)
    for name, value in run().items():
        assert torch.equal(value, expected[name]), name


def test_the_form_of_autoawq(tiny: Checkpoint, tmp_path: Path) -> None:
    quantise(tiny("llava"), tmp_path / "gemm", method="rtn", form="awq")
    quantise(tiny("llava"), tmp_path / "packed", method="rtn")
    expected = independent_weights(tmp_path / "packed", 4)
    config = json.loads((tmp_path / "gemm" / "config.json").read_text())["quantization_config"]
    assert (config["quant_method"], config["group_size"], config["version"]) == ("awq", 32, "gemm")
    with safe_open(tmp_path / "gemm" / "model.safetensors", framework="pt") as file:
        for name, weight in expected.items():
            base = name.removesuffix("weight")
            words, zeros = (file.get_tensor(base + end).numpy().view(np.uint32) for end in ("qweight", "qzeros"))
            scales = file.get_tensor(base + "scales").float().numpy()
            places = [4 * place for place in (0, 4, 1, 5, 2, 6, 3, 7)]  # of the eight outputs of a word
            codes, middle = (
                np.stack([(each >> np.uint32(place)) & 15 for place in places], axis=2).reshape(len(each), -1)
                for each in (words, zeros)
            )
            width = len(codes) // len(scales)
            found = (codes.astype(np.float32) - middle.repeat(width, axis=0)) * scales.repeat(width, axis=0)
            assert np.array_equal(found.T, weight), name


@pytest.mark.parametrize("scheme", [Scheme(4, 32), Scheme(4, 128), Scheme(8, None)])
def test_kernels_compute_what_the_codes_say(scheme: Scheme) -> None:
    torch.manual_seed(0)
    rounded = round_weight(torch.randn(64, 256), scheme)
    layer = PackedLinear(256, 64, True, scheme, torch.float32)
    layer.weight_packed.data = packed(rounded.codes, scheme)
    layer.weight_scale.data, layer.bias.data = rounded.scales, torch.randn(64)  # type: ignore[union-attr]
    hidden = torch.randn(2, 5, 256)
    with torch.no_grad():
        exact = layer(hidden)
        assert torch.equal(exact, nn.functional.linear(hidden, rounded.weight(), layer.bias))
        assert layer.use_kernel()
        found = layer(hidden)
        assert found.dtype == torch.float32
        assert float((found - exact).abs().max() / exact.abs().max()) < 0.01
        many = torch.randn(200, 256)  # for which the weight is unpacked from the layout of the kernel
        expected = nn.functional.linear(many, rounded.weight(), layer.bias)
        torch.testing.assert_close(layer(many), expected, rtol=1e-5, atol=1e-4)
    odd = PackedLinear(96, 8, False, Scheme(4, 24), torch.float32)
    assert not odd.use_kernel()  # goes on as it is


def test_an_engine_with_kernels_answers(small: Path) -> None:
    from cityscribe.engine.local import load

    engine = load(small, Setup())
    assert {layer.mode for layer in packed_layers(engine.model).values()} == {"kernel"}
    ((answer,),) = engine.answer([Request((message("user", text_block("Where?")),), max_tokens=4)])
    assert answer.problem != "non-finite"
    assert answer.token_ids
    exact = load(small, Setup(precision="fp32"))
    assert {layer.mode for layer in packed_layers(exact.model).values()} == {"exact"}


def test_the_report(small: Path, tiny: Checkpoint) -> None:
    report = json.loads((small / "quantised.json").read_text())
    assert (report["method"], report["bits"], report["group"]) == ("awq", 4, 32)
    assert report["calibration"]["samples"] == 5
    assert len(report["calibration"]["digest"]) == 64
    assert [layer["layer"].rpartition(".")[2] for layer in report["layers"]] == list("0123")
    assert all(0 < layer[moved] < 1 for layer in report["layers"] for moved in ("weights", "outputs"))
    assert report["bytes"]["all"] < (tiny("llava") / "model.safetensors").stat().st_size
    assert report["bytes"]["packed"] < report["bytes"]["packed before"] * 0.3
    assert not small.with_name(small.name + ".search").exists()


def test_what_cannot_be_rounded_is_one_error_and_nothing_is_left(
    tiny: Checkpoint, prepared: Path, small: Path, city: City, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="method awq: needs calibration samples"):
        quantise(tiny("llava"), out)
    with pytest.raises(InputError, match=r"`.*layers\.0\.self_attn\.q_proj` reads 32 values, which groups of 48"):
        quantise(tiny("llava"), out, method="rtn", group=48)
    with pytest.raises(InputError, match="its weights are packed already"):
        quantise(small, out, method="rtn")
    with pytest.raises(InputError, match="quantiser magic: there is none of this name"):
        quantise(tiny("llava"), out, method="magic")
    with pytest.raises(InputError, match="knows four bits only"):
        quantise(tiny("llava"), out, method="rtn", bits=8, form="awq")
    alone = tmp_path / "alone"
    alone.mkdir()
    write_samples(alone / "train.parquet", list(city.samples[:1]))
    with pytest.raises(InputError, match="calibration: 1 samples; at least two are needed"):
        quantise(tiny("llava"), out, prepared=alone)
    with pytest.raises(InputError, match="its weights are packed; tune the checkpoint that it was made of"):
        load_for_tuning(ModelSettings(base=str(small), method="lora"), dtype=torch.float32)
    left = {path.name for path in tmp_path.iterdir()}
    assert left <= {"alone", "out.search"}

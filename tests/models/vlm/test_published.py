"""Checkpoints under the names of their own programs, at tiny sizes, put into models of the same parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import LlavaNextForConditionalGeneration

from cityscribe.files import InputError
from cityscribe.models.load import load_model, save_model
from cityscribe.models.vlm.compose import compose
from cityscribe.models.vlm.published import LAYOUTS, convert, renamed
from cityscribe.models.vlm.towers.spatial_aggregator import SpatialAggregator
from tests.models.test_load import model_inputs
from tests.models.vlm.composed import CLIP, TOKENIZER, parts
from tests.models.vlm.test_members import CLIP_16

WIDTH = 32
SVA = {"kind": "spatial-aggregator", "towers": [CLIP_16, CLIP], "side": 2, "width": WIDTH, "layers": 2, "heads": 16}


def drawn(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(4)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def cambrian() -> dict[str, Tensor]:
    """`mm_projector.bin` of a first stage with the connector alone."""
    shapes: dict[str, tuple[int, ...]] = {"model.vision_query": (1, WIDTH), "model.image_newline": (WIDTH,)}
    for layer in (0, 2):
        shapes |= {f"model.mm_projector.{layer}.weight": (WIDTH, WIDTH), f"model.mm_projector.{layer}.bias": (WIDTH,)}
    for tower in range(2):
        for layer in (0, 2):
            at = f"model.mm_projector_aux_{tower}.{layer}."
            shapes |= {at + "weight": (WIDTH, WIDTH), at + "bias": (WIDTH,)}
        shapes |= {f"model.mm_projector_aux_{tower}.3.{part}": (WIDTH,) for part in ("weight", "bias")}
    for layer in range(2):
        at = f"model.vision_sampler_0.layers.{layer}."
        shapes |= {at + "proj_context.weight": (WIDTH, WIDTH), at + "proj_in.weight": (WIDTH, 2 * WIDTH)}
        shapes |= {at + f"proj_out.linear_{n}.weight": (WIDTH, WIDTH) for n in (1, 2)}
        shapes |= {at + f"norm.{part}": (WIDTH,) for part in ("weight", "bias")}
        shapes |= {at + "pos_embed_1": (4, WIDTH), at + "cross_attn.o_proj.weight": (WIDTH, WIDTH)}
        for which in ("q_proj", *(f"{kind}_proj_{tower}" for kind in "kv" for tower in range(2))):
            here = f"{at}cross_attn.{which}."
            shapes |= {here + "0.weight": (WIDTH,), here + "0.bias": (WIDTH,), here + "1.weight": (WIDTH, WIDTH)}
    return drawn(shapes)


def plain_aggregator(w: dict[str, Tensor], maps: list[Tensor]) -> Tensor:
    """What the published formulas make of one picture, window by window: [2, 2, width]."""
    at = "model.vision_sampler_0.layers."

    def norm(x: Tensor, name: str) -> Tensor:
        return torch.nn.functional.layer_norm(x, (WIDTH,), w[name + "weight"], w[name + "bias"])

    def twice(x: Tensor, name: str) -> Tensor:
        x = torch.nn.functional.gelu(x @ w[name + "0.weight"].T + w[name + "0.bias"])
        return x @ w[name + "2.weight"].T + w[name + "2.bias"]

    seen = [
        norm(twice(m, f"model.mm_projector_aux_{n}."), f"model.mm_projector_aux_{n}.3.") for n, m in enumerate(maps)
    ]
    context = seen[0].reshape(-1, WIDTH).mean(0)
    out = maps[0].new_empty(2, 2, WIDTH)
    for row in range(2):
        for column in range(2):
            q = w["model.vision_query"][0]
            window = [seen[0][row, column][None], seen[1][2 * row : 2 * row + 2, 2 * column : 2 * column + 2]]
            for layer in range(2):
                here = f"{at}{layer}."
                placed = [window[0], window[1].reshape(4, WIDTH) + w[here + "pos_embed_1"]]
                joined = torch.cat([q, context @ w[here + "proj_context.weight"].T]) @ w[here + "proj_in.weight"].T

                def projected(x: Tensor, which: str, here: str = here) -> Tensor:
                    name = f"{here}cross_attn.{which}."
                    return norm(x, name + "0.") @ w[name + "1.weight"].T

                keys = torch.cat([projected(x, f"k_proj_{n}") for n, x in enumerate(placed)]).unflatten(1, (16, -1))
                values = torch.cat([projected(x, f"v_proj_{n}") for n, x in enumerate(placed)]).unflatten(1, (16, -1))
                query = projected(joined, "q_proj").unflatten(0, (16, -1))
                shares = (torch.einsum("hd,khd->hk", query, keys) / (WIDTH // 16) ** 0.5).softmax(-1)
                found = torch.einsum("hk,khd->hd", shares, values).flatten() @ w[here + "cross_attn.o_proj.weight"].T
                x = norm(joined + found, here + "norm.")
                x = torch.nn.functional.gelu(x @ w[here + "proj_out.linear_1.weight"].T)
                q = q + x @ w[here + "proj_out.linear_2.weight"].T
            out[row, column] = q
    return out


@torch.no_grad()
def test_names_of_cambrian_load_and_compute_what_its_formulas_say() -> None:
    torch.manual_seed(0)
    weights = {name: value.double() for name, value in cambrian().items()}
    found = renamed(LAYOUTS["cambrian"], weights, Path("published"))
    tower = SpatialAggregator(**{name: value for name, value in SVA.items() if name != "kind"}).eval().double()
    at = "model.vision_tower.0."
    own = {name.removeprefix(at): value for name, value in found.items() if name.startswith(at)}
    own["merger.query"] = own["merger.query"][0]
    missing, over = tower.load_state_dict(own, strict=False)
    assert not over
    assert not [name for name in missing if name.startswith("merger.")]
    maps = [torch.randn(1, side, side, WIDTH, dtype=torch.float64) for side in (2, 4)]
    expected = plain_aggregator(weights, [each[0] for each in maps])
    torch.testing.assert_close(tower.merger(maps, (2, 2))[0], expected, atol=1e-10, rtol=1e-10)


def write(folder: Path, weights: Any, name: str = "mm_projector.bin") -> Path:
    folder.mkdir()
    torch.save(weights, folder / name)
    return folder


def test_a_published_connector_goes_onto_a_model_of_its_parts(tmp_path: Path) -> None:
    save_model(*compose(parts(SVA, connector={"kind": "mlp", "row_marks": True}), TOKENIZER), tmp_path / "parts")
    weights = cambrian()
    (note,) = convert("cambrian", write(tmp_path / "published", weights), str(tmp_path / "parts"), tmp_path / "out")
    assert note.startswith(f"{len(weights)} weights of Cambrian's connector")
    model: Any = load_model(tmp_path / "out", dtype=torch.float32)
    assert torch.equal(model.model.connector.row_mark, weights["model.image_newline"])
    assert torch.equal(model.model.vision_tower[0].merger.query, weights["model.vision_query"][0])
    inner = {"model.vision_sampler_layers.0.layers.0.norm.weight": torch.ones(WIDTH)}
    with pytest.raises(InputError, match=r"`model\.vision_sampler_layers.* is no name of Cambrian's connector"):
        convert("cambrian", write(tmp_path / "whole", weights | inner), str(tmp_path / "parts"), tmp_path / "no")


def flat_llama(head: str) -> dict[str, Tensor]:
    """The names of the decoder of `parts`, as their own programs have them behind `head`."""
    model, _ = compose(parts(), TOKENIZER)
    here = "model.language_model."
    named = {name.replace(here, head + "model."): v for name, v in model.state_dict().items() if name.startswith(here)}
    return {name: torch.randn_like(value) for name, value in named.items()} | {
        head + "lm_head.weight": torch.randn_like(model.state_dict()["lm_head.weight"])
    }


def test_llava_and_llava_next_and_prismatic_under_their_own_names(tmp_path: Path) -> None:
    made, processor = compose(parts(CLIP, connector={"kind": "mlp"}, tiling={"kind": "anyres"}), TOKENIZER)
    assert type(made) is LlavaNextForConditionalGeneration, "plain transformers has it"
    assert made(**model_inputs(processor)).logits.isfinite().all()
    save_model(made, processor, tmp_path / "next")
    projector = {"0.weight": (32, 32), "0.bias": (32,), "2.weight": (32, 32), "2.bias": (32,)}
    weights = flat_llama("") | drawn({f"model.mm_projector.{name}": shape for name, shape in projector.items()})
    weights |= {"model.image_newline": torch.randn(32), "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}
    tower = {
        f"model.vision_tower.vision_tower.vision_model.{n}": v for n, v in made.model.vision_tower.named_parameters()
    }
    folder = write(tmp_path / "llava", weights | {name: torch.zeros_like(v) for name, v in tower.items()}, "a.bin")
    convert("llava", folder, str(tmp_path / "next"), tmp_path / "converted")
    model: Any = load_model(tmp_path / "converted", dtype=torch.float32)
    assert torch.equal(model.model.image_newline, weights["model.image_newline"])
    assert torch.equal(model.model.multi_modal_projector.linear_2.weight, weights["model.mm_projector.2.weight"])
    assert torch.equal(model.lm_head.weight, weights["lm_head.weight"])
    assert not any(value.any() for value in model.model.vision_tower.parameters())

    save_model(*compose(parts(CLIP, CLIP, connector={"kind": "fused-mlp"}), TOKENIZER), tmp_path / "fused")
    sizes = {"0": (256, 64), "2": (32, 256), "4": (32, 32)}
    own = {f"projector.{n}.weight": shape for n, shape in sizes.items()}
    own |= {f"projector.{n}.bias": shape[:1] for n, shape in sizes.items()}
    held = {"model": {"projector": drawn(own), "llm_backbone": flat_llama("llm.")}}
    convert("prismatic", write(tmp_path / "p", held, "latest-checkpoint.pt"), str(tmp_path / "fused"), tmp_path / "o")
    model = load_model(tmp_path / "o", dtype=torch.float32)
    assert torch.equal(model.model.connector.layers[4].weight, held["model"]["projector"]["projector.4.weight"])
    assert torch.equal(model.lm_head.weight, held["model"]["llm_backbone"]["llm.lm_head.weight"])
    timm = "vision_backbone.{}_featurizer.blocks.0.attn.qkv.weight"
    found = renamed(LAYOUTS["prismatic"], {timm.format(kind): torch.ones(1) for kind in ("dino", "siglip")}, tmp_path)
    assert list(found) == [f"model.vision_tower.{n}.model.timm_model.blocks.0.attn.qkv.weight" for n in (0, 1)]


FAULTS: dict[str, tuple[str, Any, str]] = {
    "another shape": ("prismatic", {"projector": {"projector.0.weight": torch.ones(2, 2)}}, r"of shape \[2, 2\]"),
    "another name": ("prismatic", {"adapter": torch.ones(1)}, "`adapter` is no name of Prismatic"),
    "no weights": ("llava", {}, "holds no weights of LLaVA"),
    "no place": ("llava", {"model.image_newline": torch.ones(32)}, "has no place in"),
    "a number": ("llava", {"model": {"step": 3}}, "`step` is a int; expected weights by name"),
    "an unknown kind": ("lava", {}, "expected one of llava, prismatic, cambrian"),
}


@pytest.fixture(scope="module")
def fused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fused") / "model"
    save_model(*compose(parts(CLIP, CLIP, connector={"kind": "fused-mlp"}), TOKENIZER), folder)
    return folder


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_such_checkpoint_is_refused(fault: str, fused: Path, tmp_path: Path) -> None:
    kind, weights, message = FAULTS[fault]
    with pytest.raises(InputError, match=message):
        convert(kind, write(tmp_path / "published", weights), str(fused), tmp_path / "out")
    assert not (tmp_path / "out").exists()

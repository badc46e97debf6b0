"""Every tower, tiling and connector that is not LLaVA's, in a tiny model: what all have to keep, and what each is
for."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    Blip2QFormerConfig,
    Blip2QFormerModel,
    InternVLConfig,
    InternVLForConditionalGeneration,
    PreTrainedModel,
    ProcessorMixin,
)
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

from cityscribe.files import InputError
from cityscribe.models.load import load_model
from cityscribe.models.parts import connector, named_parts
from cityscribe.models.seams import CONNECTORS, TILINGS, VISION_TOWERS
from cityscribe.models.settings import ModelSettings
from cityscribe.models.tokenizer import IMAGE
from cityscribe.models.tuning.prepare import prepare_tuning
from cityscribe.models.vlm.compose import VlmParts, compose
from cityscribe.models.vlm.parts import make_connector, make_tiling, make_tower
from cityscribe.models.vlm.processor import VlmImageProcessor
from cityscribe.models.vlm.towers.spatial_aggregator import SpatialAggregator
from tests.models.test_load import model_inputs, picture
from tests.models.vlm.composed import CLIP, SIGLIP, TOKENIZER, decoder, parts, tiny
from tests.models.vlm.test_trees import assert_trains_and_answers_exactly

SMALL = {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
VIT = {"model_type": "vit", **SMALL, "image_size": 32, "patch_size": 8, "initializer_range": 0.2}
DINO = {"model_type": "dinov2", **SMALL, "mlp_ratio": 2, "image_size": 28, "patch_size": 7, "initializer_range": 0.2}
CLIP_16 = {**CLIP, "config": {**CLIP["config"], "image_size": 16}}


def encoder(model_type: str, **config: Any) -> dict[str, Any]:
    return {"kind": "transformers", "config": {"model_type": model_type, **SMALL, **config}}


ENCODERS: dict[str, dict[str, Any]] = {
    "vit": {"kind": "transformers", "config": VIT},
    "vit at another size": {"kind": "transformers", "config": VIT, "size": [32, 48], "layer": -2},
    "dinov2": {"kind": "transformers", "config": DINO},
    "dinov3": encoder("dinov3_vit", image_size=32, patch_size=8, num_register_tokens=4),
    "siglip": encoder("siglip_vision_model", image_size=32, patch_size=8, vision_use_head=False),
    "siglip2": encoder("siglip2_vision_model", num_patches=16, patch_size=8, vision_use_head=False),
    "convnext": {
        "kind": "transformers",
        "config": {"model_type": "convnext", "hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2},
        "size": 32,
    },
    "vjepa2": {
        "kind": "transformers",
        "config": {"model_type": "vjepa2", **SMALL, "crop_size": 32, "patch_size": 8, "frames_per_clip": 2}
        | {"pred_hidden_size": 24, "pred_num_hidden_layers": 1, "pred_num_attention_heads": 2},
    },
    "internvl": encoder("internvl_vision", image_size=[32, 32], patch_size=[8, 8], norm_type="layer_norm"),
    "eva": {"kind": "eva", "config": {**SMALL, "image_size": 32, "patch_size": 8, "initializer_range": 0.2}},
    "none": {"kind": "none", "size": 32, "patch": 8},
}
ENSEMBLES: dict[str, dict[str, Any]] = {
    "side-by-side": {"kind": "side-by-side", "towers": [CLIP, SIGLIP, {"kind": "transformers", "config": DINO}]},
    "merv": {"kind": "merv", "towers": [CLIP, ENCODERS["convnext"]], "side": 2, "width": 24},
    "spatial-aggregator": {
        "kind": "spatial-aggregator",
        "towers": [CLIP_16, CLIP],
        "side": 2,
        "width": 32,
        "layers": 2,
        "heads": 2,
    },
    "conv-gate": {"kind": "conv-gate", "towers": [CLIP_16, ENCODERS["convnext"]]},
    "pyramid": {
        "kind": "pyramid",
        "towers": [{"kind": "transformers", "config": {**VIT, "image_size": 16}}, CLIP],
        "crossings": 2,
        "heads": 2,
    },
    "query-encoder": {"kind": "query-encoder", "towers": [ENCODERS["vit"]], "queries": 5},
    "slices": {"kind": "slices", "towers": [CLIP_16]},
    "dual-perspective": {"kind": "dual-perspective", "towers": [CLIP_16], "heads": 2},
    "slice-restore": {"kind": "slice-restore", "towers": [CLIP_16], "heads": 2},
}
CONNECTED: dict[str, dict[str, Any]] = {
    "linear with row marks": {"kind": "mlp", "layers": 1, "row_marks": True},
    "class token": {"kind": "mlp", "class_token": True},
    "fused-mlp": {"kind": "fused-mlp"},
    "pixel-shuffle": {"kind": "pixel-shuffle"},
    "resampler": {"kind": "resampler", "queries": 4, "heads": 2},
    "qformer": {
        "kind": "qformer",
        "queries": 3,
        "config": {**SMALL, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    },
    "abstractor": {"kind": "abstractor", "queries": 4, "depth": 1},
    "scan": {"kind": "scan", "heads": 4, "states": 8},
    "box-tokens": {"kind": "box-tokens", "connector": {"kind": "average-pooling"}, "points": 2},
}
TILED: dict[str, dict[str, Any]] = {
    "anyres": {"kind": "anyres"},
    "dynamic with tags": {"kind": "dynamic", "most": 4, "tags": True},
    "uhd": {"kind": "uhd"},
    "center-crop": {"kind": "center-crop"},
    "native": {"kind": "native", "most": 4},
}
ON_TREES = "merv, slices between separators, row marks"
MADE: dict[str, VlmParts] = {
    **{name: parts(tower) for name, tower in (ENCODERS | ENSEMBLES).items()},
    **{name: parts(connector=chosen) for name, chosen in CONNECTED.items()},
    **{name: parts(tiling=chosen) for name, chosen in TILED.items()},
    ON_TREES: parts(
        ENSEMBLES["merv"], tiling=TILED["uhd"], connector={"kind": "mlp", "row_marks": True, "class_token": False}
    ),
    "SOLO": parts(ENCODERS["none"], connector=CONNECTED["linear with row marks"]),
}
SAVED = ("merv", "spatial-aggregator", "dinov3", "vjepa2", "resampler")  # buffers, nested parts


@functools.cache
def made(name: str) -> tuple[PreTrainedModel, ProcessorMixin]:
    return tiny(MADE[name])


def test_every_member_is_tried() -> None:
    tried = [
        {tower["kind"] for each in MADE.values() for tower in each.towers},
        {each.connector["kind"] for each in MADE.values()},
        {each.tiling["kind"] for each in MADE.values()},
    ]
    elsewhere = {"clip", "siglip", "mlp", "average-pooling", "llama-vid", "slime", "whole", "letterbox"}
    elsewhere |= {"pllava", "ppllava", "ts-llava", "video-panda", "frames"}
    for members, names in zip((VISION_TOWERS, CONNECTORS, TILINGS), tried, strict=True):
        assert set(members) - elsewhere <= names


@torch.no_grad()
@pytest.mark.parametrize("name", MADE)
def test_what_a_view_becomes_does_not_depend_on_others_nor_on_when_it_is_computed(name: str) -> None:
    model, processor = made(name)
    inputs = model_inputs(processor)
    tokens = model.model.image_tokens(inputs["pixel_values"])
    alone = torch.cat([model.model.image_tokens(view[None]) for view in inputs["pixel_values"]])
    torch.testing.assert_close(tokens, alone, atol=1e-5 * float(tokens.detach().abs().max()), rtol=1e-4)
    model.train()
    assert torch.equal(model.model.image_tokens(inputs["pixel_values"]), tokens), "nothing is drawn, no statistics move"
    model.eval()
    assert model(**inputs).logits.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("name", SAVED)
def test_a_member_is_saved_whole(name: str, tmp_path: Path) -> None:
    model, processor = made(name)
    model.save_pretrained(tmp_path)
    processor.image_processor.save_pretrained(tmp_path)
    loaded: Any = load_model(tmp_path, dtype=torch.float32)
    image = picture(2, (40, 30))
    again = VlmImageProcessor.from_pretrained(tmp_path)
    pixels = again.preprocess([image], return_tensors="pt")["pixel_values"]
    assert torch.equal(pixels, processor.image_processor.preprocess([image], return_tensors="pt")["pixel_values"])
    expected = model.model.image_tokens(pixels)
    # Convolutions go another way where weights lie elsewhere in memory.
    torch.testing.assert_close(loaded.model.image_tokens(pixels), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ENSEMBLES)
def test_what_a_tower_of_towers_adds_trains_in_the_first_stage_and_its_towers_do_not(name: str) -> None:
    model, processor = copy.deepcopy(made(name))
    prepare_tuning(model, ModelSettings(method="connector"))
    (tower,) = model.model.vision_tower
    assert not any(value.requires_grad for value in tower.towers.parameters())
    model(**model_inputs(processor)).logits.square().sum().backward()
    trains = [value for module in connector(model) for value in module.parameters()]
    assert {id(value) for value in trains} == {id(value) for value in model.parameters() if value.requires_grad}
    assert all(value.grad is not None for value in trains)
    assert not dict(named_parts(model))["other"]


def test_parts_that_add_weights_texts_and_marks_train_on_trees_and_answer_exactly(tmp_path: Path) -> None:
    assert_trains_and_answers_exactly(*copy.deepcopy(made(ON_TREES)), tmp_path, saves=1.2)


@pytest.mark.parametrize("name", ["pyramid", "slice-restore", "slices"])
def test_with_its_gates_closed_a_tower_sees_what_its_towers_see(name: str) -> None:
    torch.manual_seed(0)
    tower = make_tower({**ENSEMBLES[name], **({"overview": False} if name == "slices" else {})}).eval()
    pixels = torch.randn(2, 3, *tower.size)
    first = tower.towers[0]
    if name == "pyramid":
        torch.nn.init.zeros_(tower.merger.project.weight)
        torch.nn.init.zeros_(tower.merger.project.bias)
        torch.testing.assert_close(tower(pixels), first(tower.shown(first, pixels)), atol=1e-5, rtol=1e-5)
        return
    features = tower(pixels)
    for row in range(2):
        for column in range(2):
            part = pixels[:, :, row * 16 : row * 16 + 16, column * 16 : column * 16 + 16]
            own = features[:, row * 2 : row * 2 + 2, column * 2 : column * 2 + 2]
            torch.testing.assert_close(own, first(part), atol=1e-5, rtol=1e-5)


def test_slices_that_are_restored_see_beyond_their_border() -> None:
    torch.manual_seed(0)
    tower = make_tower(ENSEMBLES["slice-restore"]).eval()
    pixels = torch.randn(1, 3, *tower.size)
    other = pixels.clone()
    other[:, :, 16:, 16:] += 1
    corner = slice(0, 2)
    assert torch.equal(tower(pixels)[:, corner, corner], tower(other)[:, corner, corner])
    for restore in tower.merger:
        torch.nn.init.ones_(restore.gates)
    assert not torch.allclose(tower(pixels)[:, corner, corner], tower(other)[:, corner, corner], atol=1e-3)


def test_strided_slices_show_the_whole_and_come_back_in_place() -> None:
    from cityscribe.models.vlm.towers.dual_perspective import interleaved, strided
    from cityscribe.models.vlm.towers.slices import cut, joined

    pixels = torch.arange(2 * 1 * 6 * 6.0).reshape(2, 1, 6, 6)
    assert torch.equal(strided(pixels, 2)[1], pixels[0, :, 0::2, 1::2])
    back = interleaved(strided(pixels, 2).permute(0, 2, 3, 1), 2)
    assert torch.equal(back.permute(0, 3, 1, 2), pixels)
    assert torch.equal(joined(cut(pixels, 3).permute(0, 2, 3, 1), 3).permute(0, 3, 1, 2), pixels)


def test_weights_of_merv_are_shares() -> None:
    torch.manual_seed(0)
    tower = make_tower(ENSEMBLES["merv"])
    shares = tower.merger.weights(torch.randn(3, 2, 2, 2, 24))
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(3))


def test_a_query_of_the_aggregator_sees_its_own_window_only() -> None:
    torch.manual_seed(0)
    merger = SpatialAggregator([CLIP_16, CLIP], side=2, width=32, layers=2, heads=2).merger.eval()
    maps = [torch.randn(1, 2, 2, 32), torch.randn(1, 4, 4, 32)]
    before = merger(maps, (2, 2))
    maps[1][:, 2:, 2:] += 1  # the last window
    changed = (merger(maps, (2, 2)) - before).abs().amax(dim=-1)[0] > 1e-6
    assert changed.tolist() == [[False, False], [False, True]]


@torch.no_grad()
def test_qformer_and_pixel_shuffle_are_those_of_transformers() -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 4, 6, 20)
    config = {**SMALL, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    ours = CONNECTORS["qformer"](20, 16, queries=3, config=config).eval()
    theirs = Blip2QFormerModel(Blip2QFormerConfig(**config, encoder_hidden_size=20)).eval()
    theirs.load_state_dict(ours.model.state_dict())
    seen = theirs(query_embeds=ours.queries.expand(2, -1, -1), encoder_hidden_states=features.flatten(1, 2))
    assert torch.equal(ours(features), ours.output(seen.last_hidden_state))


@torch.no_grad()
def test_an_internvl_in_parts_says_what_that_of_transformers_says() -> None:
    """Its encoder at its end, pixel shuffle and a decoder: the same weights give the same logits."""
    torch.manual_seed(0)
    config = InternVLConfig(
        vision_config=ENCODERS["internvl"]["config"],
        text_config={**decoder().to_dict(), "model_type": "llama"},
        image_token_id=TOKENIZER.convert_tokens_to_ids(IMAGE),
    )
    theirs = InternVLForConditionalGeneration(config).eval()
    ours, processor = compose(parts(ENCODERS["internvl"], connector={"kind": "pixel-shuffle"}), TOKENIZER)
    ours.model.vision_tower[0].model.load_state_dict(theirs.model.vision_tower.state_dict())
    projector, shuffle = theirs.model.multi_modal_projector, ours.model.connector
    shuffle.norm.load_state_dict(projector.layer_norm.state_dict())
    for layer, linear in ((0, projector.linear_1), (2, projector.linear_2)):
        shuffle.layers[layer].load_state_dict(linear.state_dict())
    ours.model.language_model.load_state_dict(theirs.model.language_model.state_dict())
    ours.lm_head.load_state_dict(theirs.lm_head.state_dict())
    inputs = model_inputs(processor)
    torch.testing.assert_close(ours(**inputs).logits, theirs(**inputs).logits, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", ["vit", "dinov2", "dinov3", "siglip", "siglip2", "convnext", "vjepa2", "eva"])
def test_an_encoder_gives_what_transformers_gives(name: str) -> None:
    torch.manual_seed(0)
    tower = make_tower(ENCODERS[name]).eval()
    pixels = torch.randn(2, 3, *tower.size)
    features = tower(pixels)
    if name == "siglip2":
        patches = [
            view[:, row : row + 8, column : column + 8].permute(1, 2, 0).flatten()
            for view in pixels
            for row in range(0, 32, 8)
            for column in range(0, 32, 8)
        ]
        given = {"pixel_values": torch.stack(patches).reshape(2, 16, -1), "spatial_shapes": torch.tensor([[4, 4]] * 2)}
        states = tower.model(**given, pixel_attention_mask=torch.ones(2, 16)).last_hidden_state
    elif name == "vjepa2":
        states = tower.model.get_vision_features(torch.stack([pixels, pixels], dim=1))
    elif name == "eva":  # InstructBLIP has a norm behind the last layer, which LLaVA and its kin leave out
        states = tower.model(pixels, output_hidden_states=True).hidden_states[-1]
    else:
        states = tower.model(pixels).last_hidden_state
    if name == "convnext":
        assert torch.equal(features, states.permute(0, 2, 3, 1))
        return
    assert tower.class_tokens == {"vit": 1, "dinov2": 1, "dinov3": 5, "eva": 1}.get(name, 0)
    torch.testing.assert_close(features.flatten(1, 2), states[:, tower.class_tokens :], atol=1e-6, rtol=1e-6)


SIZES = ((64, 48), (100, 31), (31, 100), (37, 40), (300, 301), (17, 200), (5, 6))


@pytest.mark.parametrize("size", SIZES)
def test_tiles_are_those_of_transformers(size: tuple[int, int]) -> None:
    image = picture(3, size)
    colours = {"mean": [0.5] * 3, "std": [0.5] * 3}
    theirs: Any = LlavaNextImageProcessorPil(
        size={"height": 16, "width": 16},
        crop_size={"height": 16, "width": 16},
        do_center_crop=False,
        image_mean=colours["mean"],
        image_std=colours["std"],
        image_grid_pinpoints=[[16 * rows, 16 * columns] for rows, columns in ((1, 2), (2, 1), (2, 2), (3, 1), (1, 3))],
    )
    ours = VlmImageProcessor({"kind": "anyres"}, [{"size": [16, 16], **colours}])
    expected = np.asarray(theirs(image, return_tensors="np")["pixel_values"][0])
    found = ours.preprocess([image])["pixel_values"]
    # Border is black there and the mean colour here; one that is nothing but border is left out here.
    inside = [tile for tile in expected if (tile != -1).any()]
    assert len(found) == len(inside)
    for tile, other in zip(found, inside, strict=True):
        shown = (tile != 0) & (other != -1)
        assert np.abs(tile - other)[shown].max(initial=0) < 2.5 / 127.5, (
            "two steps of a byte, where it is rounded twice"
        )

    crops: Any = GotOcr2ImageProcessorPil(
        size={"height": 16, "width": 16}, image_mean=colours["mean"], image_std=colours["std"]
    )
    expected = np.asarray(
        crops(image, crop_to_patches=True, min_patches=1, max_patches=6, return_tensors="np")["pixel_values"]
    )
    found = VlmImageProcessor({"kind": "dynamic"}, [{"size": [16, 16], **colours}]).preprocess([image])["pixel_values"]
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 2.5 / 127.5


@pytest.mark.parametrize(
    ("size", "crop"),
    [
        ((64, 32), (16, 0, 48, 32)),
        ((32, 96), (0, 32, 32, 64)),
        ((48, 48), (0, 0, 48, 48)),
        ((33, 32), (0.5, 0, 32.5, 32)),
    ],
)
def test_the_middle_of_an_image_fills_the_view(size: tuple[int, int], crop: tuple[float, ...]) -> None:
    tiling = make_tiling({"kind": "center-crop"}, (32, 32))
    (view,) = tiling.views(*size)
    assert tiling.count(*size) == 1
    assert view.crop == pytest.approx(crop)
    assert view.place == (0, 0, 1, 1)


def test_tags_and_separators_stand_between_the_tokens_of_views() -> None:
    _, processor = made("dynamic with tags")
    image, tokens = Image.new("RGB", (80, 40)), "<image>" * 4
    given = processor(images=[[image]], text=["<image>?"])
    text = processor.tokenizer.decode(given["input_ids"][0])
    assert text.replace(" ", "") == f"<tile_1>{tokens}<tile_2>{tokens}<tile_global_thumbnail>{tokens}?"
    _, processor = made("uhd")
    given = processor(images=[[Image.new("RGB", (64, 64))]], text=["<image>?"])
    text = processor.tokenizer.decode(given["input_ids"][0])
    assert text == f"{tokens}{tokens},{tokens}\n{tokens},{tokens}\n?"


def test_slices_of_uhd_are_those_that_distort_least() -> None:
    tiling = make_tiling({"kind": "uhd"}, (336, 336))
    assert tiling.best(672, 1008) == (3, 2), "six times the pixels of a view, two across"
    assert tiling.best(300, 300) == (1, 1)
    assert tiling.best(2000, 336) == (1, 6)
    assert [view.after for view in tiling.views(672, 672)] == ["", ",", "\n", ",", "\n"]


def test_windows_at_their_own_scale_hold_the_pixels_of_the_image() -> None:
    colours = {"mean": [0.0] * 3, "std": [1.0] * 3}
    images = VlmImageProcessor({"kind": "native", "most": 6}, [{"size": [16, 16], **colours}])
    image = picture(3, (40, 20))
    found = images.preprocess([image])["pixel_values"]
    values = np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / 255
    assert len(found) == 7
    assert np.array_equal(found[2], values[:, :16, 16:32]), "nothing is resized"
    assert np.array_equal(found[6][:, :4, :8], values[:, 16:, 32:])
    assert not found[6][:, 4:].any(), "the mean colour behind the edge"
    assert len(images.preprocess([picture(3, (16, 9))])["pixel_values"]) == 1
    assert len(images.preprocess([picture(3, (90, 90))])["pixel_values"]) <= 7


@torch.no_grad()
def test_a_patch_is_scanned_from_four_sides() -> None:
    """Each scan is Mamba-2 of transformers on a line of patches, written out here; together they see all others."""
    torch.manual_seed(0)
    scan = CONNECTORS["scan"](16, 12, heads=4, states=8).eval()
    features = torch.randn(1, 3, 4, 16)
    rows = [(r, c) for r in range(3) for c in range(4)]
    columns = [(r, c) for c in range(4) for r in range(3)]
    for number, order in enumerate((rows, rows[::-1], columns, columns[::-1])):
        line = torch.stack([features[0, r, c] for r, c in order])[None]
        read = scan.scans[number](line)[0]
        found = scan.scanned(number, features)[0]
        for place, (r, c) in enumerate(order):
            torch.testing.assert_close(found[r, c], read[place], atol=1e-6, rtol=1e-6)
    other = features.clone()
    other[0, 1, 1, :8] += 1
    assert ((scan.double()(other.double()) - scan(features.double())).abs().amax(dim=-1) > 0).all()


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no model type": ({"kind": "transformers", "config": {}}, "config: model_type: missing"),
    "size of nothing": ({**ENCODERS["vit"], "size": [0, 8]}, "size: .*expected the pixels of a side"),
    "layer of none": ({**ENCODERS["vit"], "layer": 7}, "layer 7: there are 2 layers"),
    "no towers": ({"kind": "merv", "towers": []}, "towers: none; expected a list"),
    "grid that is no multiple": ({**ENSEMBLES["spatial-aggregator"], "side": 3}, "side 3: the grid of tower 0"),
    "one tower for a pair": ({"kind": "conv-gate", "towers": [CLIP]}, "towers: 1; expected two"),
    "no stack of layers": ({**ENSEMBLES["query-encoder"], "towers": [ENCODERS["convnext"]]}, "is no stack of layers"),
    "unknown within": ({"kind": "merv", "towers": [{"kind": "clop"}]}, "vision-tower clop: there is none"),
    "patch": ({"kind": "none", "size": 30, "patch": 8}, "size 30 is no multiple of patch 8"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_tower_that_cannot_be_is_refused_by_name(fault: str) -> None:
    tower, message = FAULTS[fault]
    with pytest.raises(InputError, match=f"vision-tower {tower['kind']}: .*{message}"):
        compose(parts(tower), TOKENIZER)


def test_a_class_token_that_there_is_not() -> None:
    with pytest.raises(InputError, match="connector mlp: class_token: the tower has none"):
        compose(parts(SIGLIP, connector={"kind": "mlp", "class_token": True}), TOKENIZER)


def test_a_class_token_stands_first() -> None:
    model, processor = made("class token")
    pixels = model_inputs(processor)["pixel_values"]
    (tower,) = model.model.vision_tower
    first = model.model.image_tokens(pixels).unflatten(0, (len(pixels), -1))[:, 0]
    torch.testing.assert_close(first, model.model.connector.layers(tower.states(pixels)[:, 0]), atol=1e-5, rtol=1e-5)


def test_a_made_connector_counts_before_it_runs() -> None:
    for options in CONNECTED.values():
        tower = make_tower(CLIP)
        made_one = make_connector(options, [tower], 32)
        beside = {"seen": torch.randn(1, 1, 32)} if getattr(made_one, "reads_class_tokens", False) else {}
        assert made_one(torch.randn(1, 4, 4, 32), **beside).shape == (1, made_one.count((4, 4)), 32)


@torch.no_grad()
def test_a_tower_of_timm_is_that_of_fastvlm(tmp_path: Path) -> None:
    """FastVLM's features are what its FastViTHD gives at its end, position by position, and then LLaVA's connector."""
    pytest.importorskip("timm")
    from transformers import FastVlmConfig, FastVlmForConditionalGeneration

    torch.manual_seed(0)
    shape = {"layers": [1] * 5, "embed_dims": [8, 8, 16, 32, 32], "pos_embs": [None] * 5}
    vision = {"model_type": "timm_wrapper", "architecture": "fastvit_mci3", "do_pooling": True, "hidden_size": 32}
    vision |= {"global_pool": "avg", "model_args": {"inference_mode": True, **shape, "cls_ratio": 1.0}}
    text = {"model_type": "qwen2", **SMALL, "num_key_value_heads": 2, "vocab_size": 50}
    theirs = FastVlmForConditionalGeneration(FastVlmConfig(vision_config=vision, text_config=text)).eval()
    tower = make_tower({"kind": "transformers", "config": vision, "size": 128}).eval()
    tower.model.load_state_dict(theirs.model.vision_tower.state_dict())
    ours = make_connector({"kind": "mlp"}, [tower], 32)
    projector = theirs.model.multi_modal_projector
    ours.layers[0].load_state_dict(projector.linear_1.state_dict())
    ours.layers[2].load_state_dict(projector.linear_2.state_dict())
    pixels = torch.rand(2, 3, *tower.size)
    expected = theirs.model.get_image_features(pixels).pooler_output
    torch.testing.assert_close(ours(tower(pixels)), expected, atol=1e-5, rtol=1e-5)

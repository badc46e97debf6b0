"""SliME: the question chooses tokens of tiles, and two parts train in turns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from cityscribe.files import InputError
from cityscribe.models.seams import CONNECTORS
from cityscribe.models.settings import ModelSettings
from cityscribe.models.tuning.prepare import prepare_tuning
from cityscribe.train.settings import TrainSettings
from cityscribe.train.supervised import train
from tests.models.test_load import picture
from tests.models.vlm.composed import CLIP, parts, tiny
from tests.models.vlm.test_trees import SETTINGS, assert_trains_and_answers_exactly, samples

SLIME = {"kind": "slime", "queries": 4, "kept": 2, "heads": 2}


@torch.no_grad()
def test_of_tiles_the_tokens_nearest_to_the_question_stay_in_their_order() -> None:
    torch.manual_seed(0)
    slime = CONNECTORS["slime"](16, 12, queries=9, kept=3, heads=2).eval()
    features, words = torch.randn(2, 4, 4, 16), torch.randn(2, 5, 12)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]).bool()
    tokens = slime.layers(slime.sampler(features))
    found = slime.tiles(features, words, mask)
    for view in range(2):
        near = [
            sum(float(functional.cosine_similarity(token, word, dim=0)) for word in words[view][mask[view]])
            for token in tokens[view]
        ]
        best = sorted(sorted(range(9), key=lambda n: -near[n])[:3])
        torch.testing.assert_close(found[view], tokens[view][best])
    words[0, 3:] += 9
    assert torch.equal(slime.tiles(features, words, mask)[0], found[0]), "padding says nothing"


def test_tiles_have_fewer_tokens_than_the_whole_and_trees_stay_exact(tmp_path: Path) -> None:
    model, processor = tiny(parts(CLIP, tiling={"kind": "dynamic", "most": 2}, connector=SLIME))
    given: Any = processor
    content = [{"type": "image", "image": picture(0, (64, 32))}, {"type": "text", "text": "Where?"}]
    inputs = given.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=True, return_dict=True, return_tensors="pt"
    )
    assert inputs["view_is_tile"].tolist() == [True, True, False]
    assert int((inputs["input_ids"] == model.config.image_token_id).sum()) == 2 + 2 + 16
    assert_trains_and_answers_exactly(model, processor, tmp_path, saves=1.0)


def test_parts_train_in_turns(tmp_path: Path) -> None:
    asked = samples(tmp_path)
    changed = []
    for steps in (1, 2):
        model, processor = tiny(parts(CLIP, tiling={"kind": "dynamic", "most": 2}, connector=SLIME))
        prepare_tuning(model, ModelSettings(method="connector"))
        before = {name: value.clone() for name, value in model.named_parameters()}
        turns = {
            **SETTINGS.model_dump(),
            "max_steps": steps,
            "warmup": 0.0,
            "alternate": ["global_view", "local_views"],
        }
        train(asked, tmp_path, model, processor, TrainSettings.model_validate(turns), tmp_path / str(steps))
        moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
        changed.append({name.split(".")[2] for name in moved})
    assert changed[0] - {"gate"} == {"layers", "norm", "attention", "attended"}, "a gate that is shut does not learn"
    assert changed[1] == {*changed[0], "sampler"}
    frozen, processor = tiny(parts(CLIP, tiling={"kind": "dynamic", "most": 2}, connector=SLIME))
    prepare_tuning(frozen, ModelSettings(method="connector", freeze=("local_views",)))
    settings = TrainSettings.model_validate(turns)
    with pytest.raises(InputError, match=r"train\.alternate: nothing trains in local_views"):
        train(asked, tmp_path, frozen, processor, settings, tmp_path / "frozen")

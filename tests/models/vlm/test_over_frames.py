"""Connectors that join the frames of a video: their formulas in plain loops, and videos on trees."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cityscribe.ask.question import Looking, ask
from cityscribe.engine.local import LocalEngine
from cityscribe.engine.request import Request
from cityscribe.files import InputError
from cityscribe.media.thumbnail import equidistant, strip, thumbnail
from cityscribe.media.video import write_video
from cityscribe.models.load import load_model, load_processor, save_model
from cityscribe.models.seams import CONNECTORS as MEMBERS
from cityscribe.models.vlm.connectors.over_frames import norms
from cityscribe.models.vlm.connectors.pllava import Pllava
from cityscribe.models.vlm.connectors.ppllava import Ppllava
from cityscribe.models.vlm.connectors.ts_llava import TsLlava
from cityscribe.models.vlm.connectors.video_panda import VideoPanda
from cityscribe.models.vlm.contracts import check_connector
from cityscribe.models.vlm.tilings.frames import Frames
from cityscribe.records import Sample, Video, message, placed, text_block, video_block
from cityscribe.tokens.encode import Encoder
from cityscribe.tokens.shown import read_media
from cityscribe.train.exact import check_tree
from cityscribe.train.groups import plan_groups
from cityscribe.train.settings import TrainSettings
from cityscribe.train.tree_attention import tree_attention
from tests.models.vlm.composed import parts, tiny

ON_TREES = {
    "ppllava": {"kind": "ppllava", "shape": [2, 2, 2], "common": 8},
    "ts-llava": {"kind": "ts-llava", "thumbnail": 2, "sampled": 6},
}
"""One that reads the question, and one that does not and has a view of its own."""

QUESTIONS = ("Where is it?", "Who?", "How fast is the car?")
ANSWER = message("assistant", text_block("It stops."))


def windows(places: int, count: int) -> list[range]:
    return [range(n * places // count, math.ceil((n + 1) * places / count)) for n in range(count)]


@pytest.mark.parametrize("frames", [1, 3, 5])
def test_frames_are_averaged_over_time_and_space(frames: int) -> None:
    torch.manual_seed(0)
    connector = Pllava(6, 8, shape=(2, 2, 3)).double()
    features = torch.randn(frames, 4, 5, 6, dtype=torch.float64)
    projected = connector.layers(features)
    expected = [
        torch.stack([projected[t, r, c] for t in times for r in rows for c in columns]).mean(dim=0)
        for times in windows(frames, 2)
        for rows in windows(4, 2)
        for columns in windows(5, 3)
    ]
    torch.testing.assert_close(connector(features), torch.stack(expected), atol=1e-12, rtol=0)


def test_a_question_weighs_the_patches_and_without_one_all_count_alike() -> None:
    torch.manual_seed(0)
    connector = Ppllava(6, 8, shape=(2, 2, 3), common=4).double()
    features = torch.randn(3, 4, 5, 6, dtype=torch.float64)
    text, mask = torch.randn(5, 8, dtype=torch.float64), torch.tensor([True, True, False, True, False])
    asked = connector.of_text((text[0] + text[1] + text[3]) / 3)
    scores = torch.empty(3, 4, 5, dtype=torch.float64)
    for place in np.ndindex(3, 4, 5):
        scores[place] = torch.cosine_similarity(connector.of_patch(features[place]), asked, dim=0) / 0.07
    weights = scores.exp() / scores.exp().sum()
    projected = connector.layers(features)
    expected = []
    for times in windows(3, 2):
        for rows in windows(4, 2):
            for columns in windows(5, 3):
                places = [(t, r, c) for t in times for r in rows for c in columns]
                total = sum(weights[place] for place in places)
                expected.append(sum(weights[place] * projected[place] for place in places) / total)
    torch.testing.assert_close(connector(features, text, mask), torch.stack(expected), atol=1e-6, rtol=1e-6)
    plain = Pllava(6, 8, shape=(2, 2, 3)).double()
    plain.load_state_dict(connector.state_dict(), strict=False)
    none = torch.zeros(5, dtype=torch.bool)
    torch.testing.assert_close(connector(features, text, none), plain(features), atol=1e-12, rtol=0)


def test_a_thumbnail_is_whole_and_tokens_are_sampled_from_the_first_to_the_last() -> None:
    torch.manual_seed(0)
    connector = TsLlava(6, 8, thumbnail=2, sampled=7)
    features = torch.randn(4, 3, 2, 6)  # the thumbnail and three frames of six patches
    every = features[1:].reshape(18, 6)
    taken = [round(n * 17 / 6) for n in range(7)]
    expected = connector.layers(torch.cat([features[0].reshape(6, 6), every[taken]]))
    assert torch.equal(connector(features), expected)
    assert len(expected) == connector.count((3, 2))
    assert len(connector(features[:1])) == connector.count((3, 2)), "of a still image as many"


def test_windows_are_weighed_and_told_of_their_frame_and_of_the_video() -> None:
    torch.manual_seed(0)
    block = VideoPanda(6, 8, shape=(2, 1, 2), inner=4).double()
    features = torch.randn(3, 3, 4, 6, dtype=torch.float64)
    entered = block.enter(features)
    around = torch.zeros(5, 5, 6, 4, dtype=torch.float64)
    around[1:-1, 1:-1, 1:-1] = entered
    patches = torch.empty_like(entered)
    for t, r, c in np.ndindex(3, 3, 4):
        seen = around[t : t + 3, r : r + 3, c : c + 3]  # [3, 3, 3, inner]
        near = (seen * block.local.weight[:, 0].permute(1, 2, 3, 0)).sum(dim=(0, 1, 2)) + block.local.bias
        patches[t, r, c] = entered[t, r, c] + block.mix(torch.nn.functional.gelu(near))
    places = []
    for times in windows(3, 2):
        for columns in windows(4, 2):
            inside = torch.stack([patches[t, r, c] for t in times for r in range(3) for c in columns])
            places.append((block.of_window(inside).softmax(dim=0) * inside).sum(dim=0))
    first, second = torch.stack(places[:2]), torch.stack(places[2:])
    of_frames = [(block.of_frame(frame).softmax(dim=0) * frame).sum(dim=0) for frame in (first, second)]
    whole = torch.stack(places)
    of_video = (block.of_video(whole).softmax(dim=0) * whole).sum(dim=0)
    told = [place + block.frame(of_frames[n // 2]) + block.video(of_video) for n, place in enumerate(places)]
    torch.testing.assert_close(block(features), block.layers(torch.stack([of_video, *told])), atol=1e-8, rtol=1e-8)
    assert len(block(features)) == block.count((3, 4))


@pytest.mark.parametrize("kind", ["pllava", "ppllava", "ts-llava", "video-panda"])
def test_each_keeps_the_contract_of_connectors_at_its_own_sizes(kind: str) -> None:
    with torch.device("meta"):
        made = MEMBERS[kind](12, 16)
        assert check_connector(kind, made, (16, 16), 12, 16) == made.count((16, 16))


@pytest.mark.parametrize("shape", [[2, 2], [0, 2, 2], [2, 2, 2.5]])
def test_a_shape_that_is_none_is_refused(shape: list[float]) -> None:
    with pytest.raises(InputError, match="expected frames, rows and columns, each one or more"):
        Pllava(6, 8, shape=shape)  # type: ignore[arg-type]


def test_few_tokens_of_great_length_are_found() -> None:
    tokens = torch.ones(100, 4)
    assert norms(tokens) == {"mean": 2.0, "median": 2.0, "largest": 2.0, "far": 0.0}
    tokens[:2] *= 50
    found = norms(tokens)
    assert (found["median"], found["largest"]) == (2.0, 100.0)
    assert found["far"] == pytest.approx(0.02)


def test_a_strip_is_taken_apart_into_its_thumbnail_and_its_frames() -> None:
    frames = [Image.new("RGB", (40, 30), (60 * n, 10, 200)) for n in range(4)]
    picture = strip(frames, (16, 20), cells=2)
    views = Frames((16, 20)).views(*picture.size)
    assert len(views) == Frames((16, 20)).count(*picture.size) == 5
    shown = [np.asarray(picture.crop(tuple(map(round, view.crop)))) for view in views]
    for part, frame in zip(shown[1:], frames, strict=True):
        assert np.array_equal(part, np.asarray(frame.resize((20, 16), Image.Resampling.BICUBIC)))
    first = thumbnail([frames[n] for n in equidistant(4, 2)])
    assert np.array_equal(shown[0], np.asarray(first.resize((20, 16), Image.Resampling.BICUBIC)))
    assert len(Frames((16, 20)).views(20, 33)) == 1


@pytest.mark.parametrize("kind", ON_TREES)
def test_questions_about_a_video_share_it_and_are_answered_exactly(kind: str, tmp_path: Path) -> None:
    frames = (np.full((32, 32, 3), 20 * n, dtype=np.uint8) for n in range(8))
    write_video(tmp_path / "clip.mp4", frames, fps=4)
    model, processor = tiny(parts(tiling={"kind": "frames"}, connector=ON_TREES[kind]))
    save_model(model, processor, tmp_path / "model")
    model, processor = load_model(tmp_path / "model", dtype=torch.float32), load_processor(tmp_path / "model")
    block = video_block(Video("clip.mp4", frames=5, times=False))
    samples = [Sample((message("user", block, text_block(asked)), ANSWER), (), "clip") for asked in QUESTIONS]
    encoder = Encoder(model, processor)
    asked = samples[0].messages[:1]
    prompt = encoder.ask("one", asked, read_media("one", asked, (), tmp_path))
    tokens = processor.view_tokens
    assert (prompt.media_ids >= 0).sum() == tokens == model.model.connector.count((4, 4))
    assert prompt.media[0].inputs["image_views"].tolist() == [5 + (kind == "ts-llava")]

    groups, _ = plan_groups(samples, tmp_path, encoder, TrainSettings(budget_tokens=2048))
    (forest,) = groups[0].forests
    spared = 2 * tokens if kind != "ppllava" else 0  # where tokens read the question nobody shares them
    assert forest.effective - forest.length >= spared
    attention = tree_attention(model, torch.device("cpu"), 10**4)
    assert check_tree(model, attention, [samples], tmp_path, processor, TrainSettings()) < 1e-5

    engine = LocalEngine(model, processor, batch_size=3)
    requests = [Request(tuple(placed(each.messages[:1], tmp_path)), max_tokens=6) for each in samples]
    together = [answer.text for (answer,) in engine.answer(requests)]
    engine._shares = False
    assert [answer.text for (answer,) in engine.answer(requests)] == together
    with pytest.raises(InputError, match="of all frames of a video together"):
        ask(model, processor, tmp_path / "clip.mp4", QUESTIONS[0], Looking())

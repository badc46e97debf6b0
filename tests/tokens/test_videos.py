"""Videos as videos: what the family's own processor gives for the same frames, on trees, and in answers."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.engine.local import LocalEngine
from cityscribe.engine.request import Request
from cityscribe.media.clips import read_clip
from cityscribe.media.video import read_frames, write_video
from cityscribe.models.load import load_processor, save_model
from cityscribe.records import Sample, Video, image_block, message, placed, text_block, video_block
from cityscribe.tokens.encode import Encoder
from cityscribe.tokens.shown import read_media
from cityscribe.train.exact import check_rows, check_tree
from cityscribe.train.groups import plan_groups
from cityscribe.train.settings import TrainSettings
from cityscribe.train.tree_attention import tree_attention
from tests.media.numbered_video import numbered_frame
from tests.tiny_video_models import VIDEO_FAMILIES, video_model

ANSWER = message("assistant", text_block("It stops."))
QUESTIONS = ("Where is it?", "Who?", "How fast is the car?")
CLIP = Video("clip.mp4", frames=4)
PADDED = ("llava-onevision", "videollama3")
"""Families whose videos of different lengths in a batch have to be told apart, and another one."""

OWN = {"fps": 10.0, "total_num_frames": 40, "duration": 4.0}
"""What a decoder would tell of the file."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 40 numbered frames at 10 a second."""
    folder = tmp_path_factory.mktemp("clips")
    write_video(folder / "clip.mp4", [numbered_frame(n) for n in range(40)], fps=10)
    return folder


@pytest.fixture(scope="module", params=VIDEO_FAMILIES)
def loaded(request: pytest.FixtureRequest) -> tuple[str, PreTrainedModel, ProcessorMixin]:
    return (request.param, *video_model(request.param))


def sample(video: Video, question: str, group: str = "clip") -> Sample:
    return Sample((message("user", video_block(video), text_block(question)), ANSWER), (), group)


def own_inputs(processor: ProcessorMixin, messages: list, folder: Path, frames: list[int], **options: bool) -> dict:
    """What the family's processor gives by itself, told which frames of which file it sees."""
    pixels = np.stack(list(read_frames(folder / "clip.mp4", frames).values()))
    filled = [
        {**turn, "content": [{**b, "video": pixels} if b["type"] == "video" else b for b in turn["content"]]}
        for turn in messages
    ]
    told: dict = {"videos_kwargs": {"video_metadata": [{**OWN, "frames_indices": frames}]}, "do_sample_frames": False}
    return processor.apply_chat_template(
        filled,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs=told,
        **options,
    )


def test_a_conversation_is_what_the_familys_own_processor_gives(
    loaded: tuple[str, PreTrainedModel, ProcessorMixin], folder: Path
) -> None:
    _, model, processor = loaded
    encoder = Encoder(model, processor)
    one = sample(CLIP, QUESTIONS[0])
    shown = encoder.teach("one", one.messages, read_media("one", one.messages, (), folder))
    expected = own_inputs(processor, list(one.messages), folder, [5, 15, 25, 35])
    assert shown.input_ids.tolist() == expected.pop("input_ids")[0].tolist()
    del expected["attention_mask"]
    for name, values in shown.token_inputs.items():
        assert values.tolist() == expected.pop(name)[0].tolist()
    assert shown.media_inputs.keys() == expected.keys()
    for name, value in shown.media_inputs.items():
        assert torch.equal(value, torch.as_tensor(expected[name], dtype=value.dtype)), name
    assert len(shown.media) == 1
    assert shown.trained.any()


def test_questions_about_a_clip_share_it(loaded: tuple[str, PreTrainedModel, ProcessorMixin], folder: Path) -> None:
    """Loss and gradient on one tree are those of each conversation alone, and so are rows of their own."""
    family, model, processor = loaded
    samples = [sample(CLIP, question) for question in QUESTIONS]
    (group,), _ = plan_groups(samples, folder, Encoder(model, processor), TrainSettings())
    assert [len(keys) for keys in group.media] == [1]
    (forest,) = group.forests
    assert forest.effective - forest.length >= 2 * (forest.media_ids >= 0).sum() > 0
    attention = tree_attention(model, torch.device("cpu"), 10**4)
    other = [sample(Video("clip.mp4", start_s=1, frames=2), question, "other") for question in QUESTIONS[:2]]
    assert check_tree(model, attention, [samples, other], folder, processor, TrainSettings()) < 1e-5
    if family in PADDED:
        rows = TrainSettings(share_prefix=False)
        assert check_rows(model, [samples, other], folder, processor, rows) < 1e-5


def test_answers_are_those_of_generate(loaded: tuple[str, PreTrainedModel, ProcessorMixin], folder: Path) -> None:
    _, model, processor = loaded
    asked = [message("user", video_block(CLIP), text_block(question)) for question in QUESTIONS[:2]]
    requests = [Request(tuple(placed([turn], folder)), max_tokens=8) for turn in asked]
    engine = LocalEngine(model, processor)
    found = [answers[0].token_ids for answers in engine.answer(requests)]
    for turn, token_ids in zip(asked, found, strict=True):
        inputs = own_inputs(processor, [turn], folder, [5, 15, 25, 35], add_generation_prompt=True)
        output = model.generate(**inputs, max_new_tokens=8, do_sample=False)
        assert list(token_ids) == output[0, inputs["input_ids"].shape[1] :].tolist()


@pytest.mark.parametrize("family", ["qwen2.5-vl", "smolvlm"])
def test_a_processor_survives_disk_and_pickling(family: str, folder: Path, tmp_path: Path) -> None:
    model, processor = video_model(family)
    save_model(model, processor, tmp_path / "model")
    one = sample(CLIP, QUESTIONS[0])
    media = read_media("one", one.messages, (), folder)
    expected = Encoder(model, processor).teach("one", one.messages, media)
    for other in (load_processor(tmp_path / "model"), pickle.loads(pickle.dumps(processor))):
        again = Encoder(model, other).teach("one", one.messages, media)
        assert again.key == expected.key


def test_images_and_videos_in_one_conversation(
    loaded: tuple[str, PreTrainedModel, ProcessorMixin], folder: Path
) -> None:
    _, model, processor = loaded
    image = read_clip(folder / "clip.mp4", Video("clip.mp4", frames=1)).frames[0]
    clips = [read_clip(folder / "clip.mp4", video) for video in (CLIP, Video("clip.mp4", start_s=2, frames=4))]
    blocks = [image_block(), video_block(CLIP), video_block(CLIP), text_block("Which?")]
    encoder = Encoder(model, processor)
    both = encoder.ask("both", [message("user", *blocks)], [image, *clips])
    swapped = encoder.ask("both", [message("user", *blocks)], [image, *reversed(clips)])
    assert both.length == swapped.length
    assert both.media_key != swapped.media_key
    with torch.inference_mode():
        logits = model(**both.tensors(), **both.media_inputs).logits
    assert logits.isfinite().all()

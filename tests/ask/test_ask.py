"""A question about a streamed video: the answer is that of the same frames at once, whatever the blocks."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from cityscribe.ask.interval import interval_of
from cityscribe.ask.layout import lay_out
from cityscribe.ask.page import write_page
from cityscribe.ask.question import Looking, ask
from cityscribe.ask.stream import Stream
from cityscribe.cli import app
from cityscribe.engine.local import LocalEngine
from cityscribe.engine.request import Request
from cityscribe.files import InputError
from cityscribe.media.clips import read_clip
from cityscribe.media.subtitles import Cue
from cityscribe.media.video import write_video
from cityscribe.models.load import save_model
from cityscribe.records import Video, image_block, message, text_block
from tests.models.vlm.composed import parts, tiny
from tests.models.vlm.llama_vid import llama_vid
from tests.tiny_models import llava

QUESTION = "What happens on the road?"
Model = tuple[Any, Any]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds at 4 fps, no two frames alike."""
    file = tmp_path_factory.mktemp("ask") / "clip.mp4"
    noise = np.random.default_rng(0).integers(0, 255, (32, 6, 6, 3), dtype=np.uint8)
    write_video(file, (np.kron(each, np.ones((8, 8, 1), dtype=np.uint8)) for each in noise), 4)
    return file


@pytest.fixture(scope="module", params=["interleaved", "content-first", "no text"])
def model(request: pytest.FixtureRequest) -> Model:
    if request.param == "no text":
        return tiny(parts())
    return llama_vid(order=request.param, pooling="grid:2")


def frames_of(video: Path, fps: float) -> list[Image.Image]:
    return list(read_clip(video, Video(str(video), fps=fps)).frames)


def engine_says(model: Model, frames: list[Image.Image], question: str) -> tuple[str, int]:
    """What the engine says to the same frames as images of one message, and the tokens of its prompt."""
    asked = Request(
        (message("user", *[image_block()] * len(frames), text_block(question)),), tuple(frames), max_tokens=9
    )
    [[answer]] = LocalEngine(*model).answer([asked])
    assert not answer.reason
    return answer.text, answer.prompt_tokens


def test_it_is_answered_as_the_frames_at_once_whatever_the_blocks(model: Model, video: Path) -> None:
    expected = engine_says(model, frames_of(video, 2), QUESTION)
    assert engine_says(model, frames_of(video, 2), "Weather?")[0] != expected[0], "the answer depends on the prompt"
    for block in (3, 64):
        found = ask(*model, video, QUESTION, Looking(fps=2, block=block, max_new_tokens=9))
        assert (found.text, found.tokens) == expected
        assert (found.frames, found.fps, found.notes) == (16, 2, ())
        assert 0 <= found.interval.start_s < found.interval.end_s <= 8


def test_a_frame_that_is_not_there_is_left_out_with_its_places(model: Model, video: Path) -> None:
    frames = frames_of(video, 2)
    kept = [number for number in range(16) if number not in (0, 5, 6, 15)]
    layout = lay_out(model[1], QUESTION, [number / 2 for number in range(16)], ())
    stream = Stream(*model, layout)
    for part in (kept[:4], kept[4:]):
        stream.show(part, [frames[number] for number in part])
    token_ids, weights = stream.answer(9)
    text = model[1].tokenizer.decode(token_ids, skip_special_tokens=True).strip()
    assert text == engine_says(model, [frames[number] for number in kept], QUESTION)[0]
    assert [number for number in range(16) if weights[number] == 0] == [0, 5, 6, 15]


def test_what_a_frame_weighs_is_the_attention_that_the_decoder_pays_it(video: Path) -> None:
    """Against one plain pass over the whole sequence with its answer."""
    model, processor = llama_vid()
    frames = frames_of(video, 1)
    layout = lay_out(processor, QUESTION, list(range(8)), ())
    stream = Stream(model, processor, layout)
    stream.show(range(8), frames)
    token_ids, weights = stream.answer(5)
    content = [*({"type": "image", "image": frame} for frame in frames), {"type": "text", "text": QUESTION}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    assert (inputs["input_ids"][0].numpy() == layout.input_ids).all()
    length = inputs["input_ids"].shape[1]
    whole = torch.cat([inputs["input_ids"], torch.tensor([token_ids])], dim=1)
    model.set_attn_implementation("eager")
    asked = {**inputs, "input_ids": whole, "attention_mask": torch.ones_like(whole)}
    with torch.inference_mode():
        outputs = model(**asked, output_attentions=True)
    words = torch.stack(outputs.attentions)[:, 0, :, length - 1 : -1].mean(dim=1).double()  # [layers, words, tokens]
    expected = [float(words[:, :, start:end].sum()) for start, end in zip(layout.starts, layout.ends, strict=True)]
    np.testing.assert_allclose(weights, expected, rtol=1e-4)


def test_the_interval_is_where_attention_stands_out() -> None:
    times = [float(n) for n in range(100)]
    weights = np.random.default_rng(0).uniform(0.9, 1.1, 100)
    weights[40:44] += 2
    found = interval_of(weights.tolist(), times, 100.0)
    assert (found.start_s, found.end_s) == (40, 44)
    assert found.share == pytest.approx(weights[40:44].sum() / weights.sum())
    assert found.fragment() == "#t=40,44"
    assert interval_of([1.0] * 5, times[:5], 4.5).end_s == 4.5
    weights[-1] = 30
    assert interval_of(weights.tolist(), times, 99.5).end_s == 99.5, "the last frame lasts to the end"


def test_what_is_too_long_is_seen_at_a_lower_rate_and_said(video: Path) -> None:
    model, processor = llama_vid()
    full = ask(model, processor, video, QUESTION, Looking(fps=4, max_new_tokens=4))
    room = full.tokens + 4 - 20
    found = ask(model, processor, video, QUESTION, Looking(fps=4, max_new_tokens=4, max_tokens=room))
    assert found.frames == 32 - 10
    assert found.tokens + 4 <= room
    assert found.fps == pytest.approx(22 / 8)
    assert f"32 frames at 4 fps are more than fit into {room} tokens" in found.notes[0]
    with pytest.raises(InputError, match="not one frame fits beside question, subtitles and answer"):
        ask(model, processor, video, QUESTION, Looking(max_tokens=30))


def test_subtitles_stand_behind_the_last_frame_before_their_end() -> None:
    _, processor = llama_vid()
    cues = [Cue(0.2, 1.5, "Careful!"), Cue(2.0, 9.0, "It <image> stops.")]
    layout = lay_out(processor, QUESTION, [0.0, 1.0, 2.0], cues)
    text = processor.tokenizer.decode(layout.input_ids)
    frame = "<image>" * 2
    assert f"{frame}{frame}Careful!{frame}It  stops.{QUESTION}" in text
    assert layout.guide == QUESTION, "context tokens read the question, not what is said in the video"
    assert (layout.input_ids[layout.starts] == processor.image_token_id).all()


def test_by_the_command_with_subtitles_that_are_wrong_in_places(video: Path, tmp_path: Path) -> None:
    model, processor = llama_vid()
    save_model(model, processor, tmp_path / "model")
    srt = tmp_path / "clip.srt"
    srt.write_text("1\n00:00:01,000 --> 00:00:02,000\nA car stops.\n\n2\n00:00:09 -> 00:00:10\nNobody.\n")
    arguments = ["ask", str(video), QUESTION, "--model", str(tmp_path / "model"), "--subtitles", str(srt)]
    result = CliRunner().invoke(app, [*arguments, "--max-new-tokens", "6", "--output", str(tmp_path / "answer.json")])
    assert result.exit_code == 0, result.output
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert answer["frames"] == 8
    assert "clip.srt: line" in answer["notes"][0]
    interval = answer["interval"]
    assert f"clip.mp4#t={interval['start_s']:g},{interval['end_s']:g}" in result.output
    assert answer["stretch_s"] == [0, 8]
    assert sum(answer["attention"]) == pytest.approx(1)
    assert len(answer["attention"]) == 8


def test_a_page_shows_the_answer_and_begins_the_video_at_its_interval(video: Path, tmp_path: Path) -> None:
    model, processor = llama_vid()
    found = ask(model, processor, video, QUESTION, Looking(fps=2, max_new_tokens=4))
    write_page(tmp_path / "answer.html", video, "<b>Who?", replace(found, text="A & B"))
    page = (tmp_path / "answer.html").read_text()
    assert "&lt;b&gt;Who?" in page
    assert "A &amp; B" in page
    address = re.search(r'<video [^>]*src="([^"]+)"', page)
    assert address is not None
    file, _, fragment = address[1].partition("#")
    assert (tmp_path / file).resolve() == video.resolve()
    assert f"#{fragment}" == found.interval.fragment()
    assert page.count("data:image/jpeg") == 3
    assert len(re.findall(r"[\d.]+,[\d.]+", page.split('points="')[1].split('"')[0])) == 16


def test_a_model_that_is_not_from_parts_is_refused(video: Path) -> None:
    with pytest.raises(InputError, match="frames are streamed through models from parts"):
        ask(*llava(), video, QUESTION, Looking())

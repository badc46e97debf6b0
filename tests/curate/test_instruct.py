"""From a data set with captions to one of instructions, by the command."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from cityscribe.cli import app
from cityscribe.curate.described import described_scenarios
from cityscribe.curate.instructions import ROLE, TASKS, with_forms
from cityscribe.files import InputError, write_json, write_text
from cityscribe.llm.message import ReplySampling, request_digest
from cityscribe.media.video import write_video
from cityscribe.records import Sample, image_block, message, text_block, text_of
from cityscribe.sources.messages import read_messages, write_messages
from cityscribe.traffic.meta import TrafficMeta
from cityscribe.traffic.scenario import Box, Phase, Scenario, View

REPLIES = {
    "conversation": "Q: What waits?\nA: Two cars\nQ: How many dogs?\nA: Seven dogs play.",
    "description": "A: Two cars wait before a crossing.",
    "reasoning": "Not in the form.",
}


def chat(caption: str, task: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": ROLE}, {"role": "user", "content": f"{caption}\n\n{task}"}]


def captioned(folder: Path, count: int) -> list[str]:
    """A data set of pictures with a caption each, the last one of which is for validation."""
    samples = []
    for number in range(count):
        image = f"{number}.png"
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (8, 6), (number, 0, 0)).save(folder / image)
        said = (
            message("user", image_block(), text_block("Describe it.")),
            message("assistant", text_block(f"Two cars wait, picture {number}.")),
        )
        meta = TrafficMeta(kind="chat", split="train" if number + 1 < count else "val")
        samples.append(Sample(said, (image,), image, meta))
    write_messages(samples[:-1], folder / "train.jsonl")
    write_messages(samples[-1:], folder / "val.jsonl")
    return [text_of(sample.messages[1]) for sample in samples]


def test_the_command_writes_instructions_and_mixes_them_with_texts(tmp_path: Path) -> None:
    captions = captioned(tmp_path / "data", 5)
    sampling = ReplySampling(max_tokens=1024)
    replies = {
        request_digest(chat(caption, TASKS[kind]), sampling): reply  # type: ignore[index,arg-type]
        for caption in captions
        for kind, reply in REPLIES.items()
    }
    write_json(tmp_path / "replies.json", replies)
    talk = [
        {"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": "A."}]} for n in range(9)
    ]
    (tmp_path / "texts").mkdir()
    write_json(tmp_path / "texts" / "train.json", talk)
    settings = {
        "language_model": {"kind": "script", "path": str(tmp_path / "replies.json")},
        "repeats": 0,
        "sets": {"texts": str(tmp_path / "texts")},
        "shares": {"conversation": 1, "description": 1, "texts": 2},
        "forms": {"phrase": "Be brief."},
    }
    write_text(tmp_path / "instruct.yaml", yaml.safe_dump(settings))
    arguments = [str(tmp_path / "data"), str(tmp_path / "out"), "--settings", str(tmp_path / "instruct.yaml")]
    result = CliRunner().invoke(app, ["data", "instruct", *arguments])
    assert result.exit_code == 0, result.output
    samples, problems = read_messages(tmp_path / "out")
    assert not [problem for problem in problems if problem.level == "error"]
    training = [sample for sample in samples if sample.meta.split == "train"]
    kinds = Counter(sample.meta.question or "texts" for sample in training)
    assert kinds == {"conversation": 4, "description": 4, "texts": 8}, "by shares, as many as the scarcest allows"
    held_out = [sample.meta.question for sample in samples if sample.meta.split == "val"]
    assert held_out == ["conversation", "description"], "what is for validation is no part of the mixture"
    first = next(sample for sample in samples if sample.meta.question == "conversation")
    assert [text_of(each) for each in first.messages] == ["What waits?\nBe brief.", "Two cars"]
    assert (tmp_path / "out" / first.images[0]).is_file()
    assert "left out: 5 times: a number that nothing gives" in " ".join(result.output.split())
    again = CliRunner().invoke(app, ["data", "instruct", *arguments])
    assert isinstance(again.exception, InputError)
    assert "exists already" in str(again.exception)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"shares": {"sounds": 1}}, "shares: sounds: no set; expected conversation"),
        ({"forms": {"haiku": "x"}}, "forms: haiku: no form of answers"),
        ({"sets": {"box": "."}}, "sets: box is what is made here"),
        ({"kinds": ["poem"]}, "kinds.0"),
    ],
)
def test_a_mistake_in_the_settings_is_named(changed: dict[str, object], why: str, tmp_path: Path) -> None:
    write_text(tmp_path / "instruct.yaml", yaml.safe_dump(changed))
    arguments = [str(tmp_path), str(tmp_path / "out"), "--settings", str(tmp_path / "instruct.yaml")]
    result = CliRunner().invoke(app, ["data", "instruct", *arguments])
    assert result.exit_code != 0
    assert isinstance(result.exception, InputError)
    assert why in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_a_phase_is_shown_by_the_view_that_has_its_boxes(tmp_path: Path) -> None:
    frames = [np.full((40, 80, 3), 20 * n, dtype=np.uint8) for n in range(4)]
    for name in ("mast", "car"):
        write_video(tmp_path / f"{name}.mp4", frames, 2)
    phase = Phase(1, 0.0, 2.0, {"pedestrian": "She waits.", "vehicle": "It is near."})
    boxed = {"pedestrian": (Box(2, (8, 10, 16, 20), 1),)}
    views = (
        View("mast", "overhead", tmp_path / "mast.mp4", (phase,)),
        View("car", "vehicle", tmp_path / "car.mp4", (phase,), boxed),
    )
    skipped: Counter[str] = Counter()
    scenarios = [Scenario("one", "internal", "val", views, "wts")]
    (found,) = described_scenarios(scenarios, tmp_path / "out", skipped)
    assert found.image == "one/car-1.jpg"
    assert found.boxes == (("pedestrian", (0.1, 0.25, 0.3, 0.75)),)
    assert (found.captions, found.split) == (("She waits.", "It is near."), "val")
    with Image.open(tmp_path / "out" / found.image) as image:
        assert image.size == (80, 40)
        assert abs(image.getpixel((5, 5))[0] - 40) < 4  # type: ignore[index]
    assert not skipped


def test_a_short_answer_is_asked_for_once() -> None:
    said = (message("user", image_block(), text_block("Which?")), message("assistant", text_block("B")))
    sample = with_forms(Sample(said, ("a.png",), "a"))
    assert text_of(sample.messages[0]) == "Which?\nAnswer with the letter of the right option alone."
    assert sample.messages[0]["content"][0] == image_block()
    assert with_forms(sample) == sample
    long = (message("user", text_block("What?")), message("assistant", text_block("Two cars wait.")))
    assert with_forms(Sample(long, (), "b")).messages == long

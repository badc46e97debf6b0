"""From a few lines that name parts to a service that answers: build, two stages of training, serve."""

from __future__ import annotations

from pathlib import Path

import yaml
from transformers import LlamaForCausalLM
from typer.testing import CliRunner

from cityscribe.cli import app
from cityscribe.media.image_boxes import boxes_comment
from cityscribe.records import Sample, image_block, message, text_block
from cityscribe.sources.messages import write_messages
from cityscribe.traffic.meta import TrafficMeta
from tests.models.vlm.composed import CLIP, TOKENIZER, decoder
from tests.models.vlm.test_members import ENCODERS
from tests.serve.running import encoded, image_part, picture, running, user

PARTS = {
    "towers": [{"kind": "conv-gate", "towers": [CLIP, ENCODERS["convnext"]]}],
    "tiling": {"kind": "letterbox"},
    "connector": {"kind": "box-tokens", "connector": {"kind": "average-pooling", "pool": 2}},
}
STAGES = {"align": {"model.method": "connector"}, "tune": {"model.method": "lora", "model.lora.rank": "2"}}


def data_set(folder: Path) -> None:
    """Four pictures with a box each, and what is said of them."""
    samples = []
    for number in range(4):
        (folder / f"{number}.jpg").parent.mkdir(exist_ok=True)
        picture(number).save(folder / f"{number}.jpg", comment=boxes_comment([(0.1, 0.1, 0.6, 0.8)]).encode())
        said = (message("user", image_block(), text_block("Where?")), message("assistant", text_block("Left.")))
        meta = TrafficMeta(scenario=str(number), kind="chat", split="train" if number else "val")
        samples.append(Sample(said, (f"{number}.jpg",), str(number), meta))
    write_messages(samples[1:], folder / "train.jsonl")
    write_messages(samples[:1], folder / "val.jsonl")


def test_parts_are_built_trained_in_stages_and_served(tmp_path: Path) -> None:
    base = tmp_path / "words"
    LlamaForCausalLM(decoder()).save_pretrained(base)
    TOKENIZER.save_pretrained(base)
    data_set(tmp_path / "data")
    (tmp_path / "vlm.yaml").write_text(yaml.safe_dump({**PARTS, "decoder": {"base": str(base)}}))
    commands = [["model", "build", str(tmp_path / "vlm.yaml"), str(tmp_path / "built")]]
    model = tmp_path / "built"
    for stage, method in STAGES.items():
        settings = {
            "name": stage,
            "runs": str(tmp_path / "runs"),
            "data": {"source": "messages", "path": str(tmp_path / "data")},
            "train": {"max_steps": 2, "batch_groups": 1, "precision": "fp32"},
        }
        (tmp_path / f"{stage}.yaml").write_text(yaml.safe_dump(settings))
        options = [part for name, value in method.items() for part in ("--set", f"{name}={value}")]
        options += ["--set", f"model.base={model}"]
        commands += [[command, str(tmp_path / f"{stage}.yaml"), *options] for command in ("prepare", "train")]
        model = tmp_path / "runs" / stage / "model"
    for command in commands:
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, (done.output, done.exception)
    with running(model, tmp_path) as service:
        service.wait_ready()
        shown = user(image_part(encoded(picture(1))), "Where?")
        reply = service.openai.chat.completions.create(model="tune", messages=[shown], max_tokens=4)  # type: ignore[list-item]
        assert reply.usage is not None
        assert reply.usage.completion_tokens >= 1
        assert reply.usage.prompt_tokens > 4, "the tokens of the picture among them"

"""Models from parts on prefix trees: training equals the samples one by one, answers equal `generate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from PIL.PngImagePlugin import PngInfo
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.engine.local import LocalEngine
from cityscribe.engine.request import Request
from cityscribe.media.images import open_image
from cityscribe.models.load import load_model, load_processor, save_model
from cityscribe.models.settings import ModelSettings
from cityscribe.models.tuning.prepare import prepare_tuning
from cityscribe.records import Sample, image_block, message, text_block
from cityscribe.train.settings import TrainSettings
from cityscribe.train.supervised import train
from tests.models.test_load import picture
from tests.models.vlm.composed import COMPOSED, tiny

ASKED = (("Where is the vehicle?", "On the left."), ("Where?", "On the left side, far away."), ("Weather?", "Dry."))
SETTINGS = TrainSettings(epochs=1, lr=1e-2, batch_groups=1, precision="fp32")


def samples(folder: Path, boxes: Sequence[str] = ()) -> list[Sample]:
    """Two groups, each of three questions about two pictures of its own; `boxes` are comments of the pictures."""
    made = []
    for group, sizes in enumerate((((60, 40), (30, 44)), ((33, 47), (50, 50)))):
        names = tuple(f"{group}-{number}.png" for number in range(2))
        for name, size in zip(names, sizes, strict=True):
            comment = PngInfo()
            if boxes:
                comment.add_text("comment", boxes[(2 * group + names.index(name)) % len(boxes)])
            picture(len(made) + len(name), size).save(folder / name, pnginfo=comment)
        for question, answer in ASKED:
            messages = (
                message("user", image_block(), image_block(), text_block(question)),
                message("assistant", text_block(answer)),
            )
            made.append(Sample(messages, names, f"group_{group}"))
    return made


def assert_trains_and_answers_exactly(
    model: PreTrainedModel, processor: ProcessorMixin, folder: Path, *, saves: float = 1.3, boxes: Sequence[str] = ()
) -> None:
    """`saves` is how many times the distinct tokens of the trees the samples have at least.

    Trained on trees it ends with the weights of the samples one by one, and what it says is what `generate` says."""
    asked = samples(folder, boxes)
    save_model(model, processor, folder / "base")
    ends: list[dict[str, torch.Tensor]] = []
    for shares in (True, False):
        trained = load_model(folder / "base", dtype=torch.float32)
        prepare_tuning(trained, ModelSettings(method="connector"))
        before = {name: value.clone() for name, value in trained.named_parameters() if value.requires_grad}
        settings = TrainSettings.model_validate({**SETTINGS.model_dump(), "share_prefix": shares})
        report = train(asked, folder, trained, processor, settings, folder / f"training-{shares}")
        if shares:
            assert report.tree_error is not None
            assert report.tree_error < 1e-5
            assert report.effective_tokens >= saves * report.distinct_tokens
        assert any(not torch.equal(value, before[name]) for name, value in trained.named_parameters() if name in before)
        ends.append(trained.state_dict())
    for name, value in ends[0].items():
        if name.endswith("in_proj_bias"):
            continue  # a bias of keys has no gradient but rounding, and Adam makes that as large as any
        torch.testing.assert_close(value, ends[1][name], atol=2e-4, rtol=1e-3, msg=name)

    save_model(trained, processor, folder / "model")
    model = load_model(folder / "model", dtype=torch.float32)
    engine = LocalEngine(model, load_processor(folder / "model"), batch_size=4)
    requests = [
        Request(sample.messages[:1], tuple(folder / image for image in sample.images), max_tokens=8) for sample in asked
    ]
    expected = [plain(engine, request) for request in requests]
    assert len(set(expected)) > 1, "a model that always says the same proves nothing"
    assert [answer.text for (answer,) in engine.answer(requests)] == expected
    assert engine.shares([]), "on shared prefixes"


@torch.inference_mode()
def plain(engine: LocalEngine, request: Request) -> str:
    """What `generate` says to a conversation alone."""
    images = iter([open_image(path) for path in request.media if isinstance(path, Path)])
    content = [
        {**block, "image": next(images)} if block["type"] == "image" else block
        for block in request.messages[0]["content"]
    ]
    inputs = engine.processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    ids = engine.model.generate(**inputs, max_new_tokens=8, do_sample=False)[0, inputs["input_ids"].shape[1] :].tolist()
    length = next((index + 1 for index, token in enumerate(ids) if token in engine.ends), len(ids))
    return engine.text(ids[:length]).strip()


@pytest.mark.parametrize("kind", COMPOSED)
def test_a_model_from_parts_trains_on_trees_and_answers_exactly(kind: str, tmp_path: Path) -> None:
    assert_trains_and_answers_exactly(*tiny(COMPOSED[kind]), tmp_path)

"""The model that lmms-eval sees says what the local engine says. Needs the extra `lmms-eval`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("lmms_eval", reason="the extra `lmms-eval` is not installed")

from lmms_eval.api.instance import Instance
from lmms_eval.models.registry_v2 import ModelRegistryV2

from cityscribe.files import InputError
from cityscribe.predict.lmms_eval import ChatModel, SimpleModel, manifest
from cityscribe.records import image_block, text_block
from tests.engine.test_local import answers_of, ask, engine_of
from tests.models.test_load import picture

Checkpoint = Callable[[str], Path]
DOCUMENTS = [{"image": n // 2, "question": text} for n, text in enumerate(["Where?", "Who is near?", "Rain?", "Who?"])]


def visuals(document: dict[str, Any]) -> list[Image.Image]:
    return [picture(document["image"])]


def messages(document: dict[str, Any]) -> list[dict[str, Any]]:
    image = {"type": "image", "url": visuals(document)[0]}
    return [{"role": "user", "content": [image, {"type": "text", "text": document["question"]}]}]


def instances(kind: str, arguments: list[tuple[Any, ...]]) -> list[Instance]:
    metadata = {"task": "t", "doc_id": 0, "repeats": 1}
    return [Instance(request_type=kind, arguments=each, idx=0, metadata=metadata) for each in arguments]


def model_of(kind: type[Any], folder: Path, **options: Any) -> Any:
    # The arguments come as text, as from a command line.
    more = {"batch_size": 1, "device": "cpu", **options}
    model = kind.create_from_arg_string(f"pretrained={folder},precision=fp32", more)
    model.task_dict = {"t": {"test": DOCUMENTS}}
    return model


def expected(folder: Path, tmp_path: Path, limit: int) -> list[str]:
    requests = []
    for document in DOCUMENTS:
        path = tmp_path / f"{document['image']}.png"
        picture(document["image"]).save(path)
        shown = image_block(), text_block(document["question"])
        requests.append(ask(*shown, media=(path,), max_tokens=limit))
    return [answer.text for answer in answers_of(engine_of(folder), requests)]


def test_lmms_eval_finds_both_classes() -> None:
    registry = ModelRegistryV2()
    registry.register_manifest(manifest())
    assert registry.get_model_class("cityscribe") is ChatModel
    assert registry.get_model_class("cityscribe", force_simple=True) is SimpleModel


def test_chat_and_simple_tasks_get_the_answers_of_the_engine(tiny: Checkpoint, tmp_path: Path) -> None:
    folder = tiny("llava")
    options = {"max_new_tokens": 6, "temperature": 0, "do_sample": False, "num_beams": 1}
    chat = [("", messages, dict(options), n, "t", "test") for n in range(4)]
    simple = [(doc["question"], dict(options), visuals, n, "t", "test") for n, doc in enumerate(DOCUMENTS)]
    said = expected(folder, tmp_path, 6)
    found = model_of(ChatModel, folder).generate_until(instances("generate_until", chat))
    assert [each.text for each in found] == said
    found = model_of(SimpleModel, folder).generate_until(instances("generate_until", simple))
    assert [each.text for each in found] == said
    assert all(0 < each.token_counts.output_tokens <= 6 for each in found)


def test_an_answer_ends_before_a_stop_text(tiny: Checkpoint, tmp_path: Path) -> None:
    folder = tiny("llava")
    whole = expected(folder, tmp_path, 6)[0]
    stop = whole[1:3]
    request = ("", messages, {"max_new_tokens": 6, "until": ["never", stop]}, 0, "t", "test")
    (found,) = model_of(ChatModel, folder).generate_until(instances("generate_until", [request]))
    assert found.text == whole.partition(stop)[0].rstrip()


def test_likelihoods_are_the_losses_of_the_options(tiny: Checkpoint, tmp_path: Path) -> None:
    folder = tiny("llava")
    texts = ["yes", "no", "a longer option"]
    requests = [("Where?", f" {text}", visuals, 0, "t", "test") for text in texts]
    found = model_of(SimpleModel, folder).loglikelihood(instances("loglikelihood", requests))
    picture(0).save(tmp_path / "p.png")
    request = ask(image_block(), text_block("Where?"), media=(tmp_path / "p.png",))
    (scores,) = engine_of(folder).score([request], [texts])
    for each, score in zip(found, scores, strict=True):
        loss, greedy = each.text
        assert loss == pytest.approx(-score.mean, rel=1e-5)
        assert greedy is False


def test_what_is_not_offered_is_refused(tiny: Checkpoint) -> None:
    with pytest.raises(InputError, match="expected a number of images"):
        model_of(ChatModel, tiny("llava"), batch_size="auto")
    model = model_of(ChatModel, tiny("llava"))
    beams = instances("generate_until", [("", messages, {"num_beams": 4}, 0, "t", "test")])
    with pytest.raises(InputError, match="has no beams"):
        model.generate_until(beams)


def test_marks_in_a_text_say_where_the_images_stand(tiny: Checkpoint) -> None:
    model = model_of(SimpleModel, tiny("llava"))
    one, two = picture(1), picture(2)
    request = model._conversation([("user", model._marked("First <image> then <image>?", [one, two]))])
    assert [block["type"] for block in request.messages[0]["content"]] == ["text", "image", "text", "image", "text"]
    assert request.media == (one, two)

"""The stage: the official format, notes, and the same bytes however often it was killed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from cityscribe.engine.request import Request, Sampling
from cityscribe.files import InputError
from cityscribe.models.load import load_model, load_processor, save_model
from cityscribe.predict.captions import FACTS, KNOWN
from cityscribe.predict.stage import predict
from cityscribe.project import Settings
from cityscribe.records import Sample, image_block, message, text_block, text_of
from cityscribe.traffic.meta import TrafficMeta, traffic_meta
from cityscribe.traffic.prompts import load_prompts, short_question
from tests.engine.test_local import answers_of, engine_of, plain
from tests.models.test_load import picture

Checkpoint = Callable[[str], Path]
SCENES = [("b_event", 4), ("b_event", 0), ("a_event", 1), ("c_event", 2), ("c_event", 3)]


def settings_with(**predict: Any) -> Settings:
    predict = {"max_new_tokens": 5, "batch_size": 2, "precision": "fp32", **predict}
    return Settings(data={"path": Path("data")}, predict=predict)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Sample], Path]:
    """Samples as `prepare` writes them for evaluation, in no particular order, and a short one."""
    root = tmp_path_factory.mktemp("prepared")
    samples = []
    for number, (scenario, phase) in enumerate(SCENES):
        image = f"images/{scenario}/{phase}.png"
        (root / image).parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(root / image)
        for role in ("vehicle", "pedestrian"):
            meta = TrafficMeta(
                scenario=scenario,
                split="val",
                view="camera1",
                phase=phase,
                target=role,
                note="no boxes: raw frame" if phase == 3 else "",
            )
            question = message("user", image_block(), text_block(f"Phase {phase}: describe the {role}."))
            reference = message("assistant", text_block("A reference that must not be seen."))
            samples.append(Sample((question, reference), (image,), f"{scenario}/camera1/{phase}", meta))
    short = replace(samples[0], meta=replace(samples[0].meta, kind="short", dimension="position"))
    return [*samples, short], root


@pytest.fixture
def run(prepared: tuple[list[Sample], Path], tiny: Checkpoint, tmp_path: Path) -> Callable[..., Any]:
    samples, root = prepared

    def run(out: str = "predictions.json", settings: Settings | None = None, **options: Any) -> Any:
        model = options.pop("model", tiny("llava"))
        chosen = options.pop("samples", samples)
        images = options.pop("root", root)
        return predict(chosen, images, model, settings or settings_with(), tmp_path / out, **options)

    return run


def outputs(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_official_format(run: Callable[..., Any], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = run(progress=lambda done, total: seen.append((done, total)))
    submission = json.loads((tmp_path / "predictions.json").read_text())
    labels = {scenario: [segment["labels"] for segment in segments] for scenario, segments in submission.items()}
    assert labels == {"a_event": [["1"]], "b_event": [["0"], ["4"]], "c_event": [["2"], ["3"]]}
    for segments in submission.values():
        assert all(segment.keys() == {"labels", "caption_pedestrian", "caption_vehicle"} for segment in segments)
    assert seen == [(0, 5), (2, 5), (4, 5), (5, 5)]
    assert (report.scenarios, report.phases, report.resumed, report.raw_frames) == (3, 5, 0, 1)
    assert sorted(outputs(tmp_path)) == ["predictions.json", "predictions.json.notes.json"]


def test_captions_are_what_the_model_says_in_that_order(
    run: Callable[..., Any], prepared: tuple[list[Sample], Path], tiny: Checkpoint, tmp_path: Path
) -> None:
    run()
    said = json.loads((tmp_path / "predictions.json").read_text())["a_event"][0]
    engine = engine_of(tiny("llava"))
    images = (prepared[1] / "images/a_event/1.png",)
    first = message("user", image_block(), text_block("Phase 1: describe the vehicle."))
    request = Request((first,), images, max_tokens=5)
    (answer,) = answers_of(engine, [request])
    assert said["caption_vehicle"] == answer.text
    assert list(answer.token_ids) == plain(engine, request)
    then = message("user", text_block("Phase 1: describe the pedestrian."))
    later = replace(request, messages=(first, message("assistant", text_block(answer.text)), then))
    assert said["caption_pedestrian"] == answers_of(engine, [later])[0].text


def test_raw_frames_and_broken_answers_are_noted(run: Callable[..., Any], tmp_path: Path) -> None:
    report = run(settings=settings_with(max_new_tokens=1))
    notes = json.loads((tmp_path / "predictions.json.notes.json").read_text())
    assert notes["raw_frames"] == [
        {"scenario": "c_event", "phase": 3, "view": "camera1", "note": "no boxes: raw frame"}
    ]
    assert report.problems["cut"] == sum(note["problem"] == "cut" for note in notes["answers"]) > 0


def test_a_blind_model_sees_nothing(run: Callable[..., Any], tmp_path: Path) -> None:
    run("blind.json", images=False)
    run("seeing.json")
    run("nowhere.json", images=False, root=tmp_path / "no such folder")
    files = outputs(tmp_path)
    assert files["blind.json"] == files["nowhere.json"] != files["seeing.json"]


def test_the_order_of_the_samples_does_not_matter(
    run: Callable[..., Any], prepared: tuple[list[Sample], Path], tmp_path: Path
) -> None:
    run("one.json")
    run("two.json", samples=prepared[0][::-1])
    assert outputs(tmp_path)["one.json"] == outputs(tmp_path)["two.json"]


class KilledError(BaseException):
    """Like a signal, nothing in the program may catch it."""


def killed_after(batches: int) -> Callable[[int, int], None]:
    """Progress is told once before the first batch of a run and after each."""
    calls = iter(range(batches))

    def progress(done: int, total: int) -> None:
        if next(calls, None) is None:
            raise KilledError

    return progress


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_killed_and_resumed_equals_uninterrupted(temperature: float, run: Callable[..., Any], tmp_path: Path) -> None:
    settings = settings_with(temperature=temperature)
    run("whole.json", settings)
    journal = tmp_path / "killed.json.partial.jsonl"
    for _ in range(3):
        with pytest.raises(KilledError):
            run("killed.json", settings, progress=killed_after(batches=1))
        assert not (tmp_path / "killed.json").exists()
        assert journal.is_file()
    report = run("killed.json", settings)
    assert report.resumed == 5
    files = outputs(tmp_path)
    assert files["killed.json"] == files["whole.json"]
    assert files["killed.json.notes.json"] == files["whole.json.notes.json"]
    assert not journal.exists()


def test_a_torn_journal_loses_its_last_line_only(run: Callable[..., Any], tmp_path: Path) -> None:
    run("whole.json")
    with pytest.raises(KilledError):
        run("torn.json", progress=killed_after(2))
    journal = tmp_path / "torn.json.partial.jsonl"
    complete = journal.read_bytes()
    lines = complete.splitlines(keepends=True)
    assert len(lines) == 3
    ends = [len(lines[0]), len(lines[0] + lines[1]), len(complete)]
    for size in (0, ends[0] - 1, ends[0] + 1, ends[1] - 1, ends[1], ends[2] - 1):
        journal.write_bytes(complete[:size])
        kept = sum(size >= end for end in ends[1:])
        with pytest.raises(KilledError):
            run("torn.json", progress=killed_after(1))
        assert run("torn.json").resumed == min(2 * (kept + 1), len(SCENES))
        assert outputs(tmp_path)["torn.json"] == outputs(tmp_path)["whole.json"], size
        (tmp_path / "torn.json").unlink()


def test_a_journal_of_something_else_is_not_used(
    run: Callable[..., Any], prepared: tuple[list[Sample], Path], tiny: Checkpoint, tmp_path: Path
) -> None:
    samples, root = prepared
    other_root, other_model = tmp_path / "root", tmp_path / "model"
    shutil.copytree(root, other_root)
    picture(99).save(other_root / "images/c_event/3.png")
    model = load_model(tiny("llava"), dtype=torch.float32)
    with torch.no_grad():
        model.model.language_model.norm.weight[0] += 1
    save_model(model, load_processor(tiny("llava")), other_model)
    changes: list[dict[str, Any]] = [
        {"settings": settings_with(max_new_tokens=6)},
        {"settings": settings_with(order="independent")},
        {"settings": settings_with(batch_size=3)},
        {"root": other_root},
        {"model": other_model},
        {"images": False},
        {"samples": samples[:-3]},
    ]
    for number, change in enumerate(changes):
        out = f"{number}.json"
        with pytest.raises(KilledError):
            run(out, progress=killed_after(2))
        assert run(out, **change).resumed == 0, change


def test_the_same_model_elsewhere_goes_on(run: Callable[..., Any], tiny: Checkpoint, tmp_path: Path) -> None:
    shutil.copytree(tiny("llava"), tmp_path / "moved")
    with pytest.raises(KilledError):
        run(progress=killed_after(2))
    assert run(model=tmp_path / "moved").resumed == 4


def test_bad_input_is_one_clear_error(
    run: Callable[..., Any], prepared: tuple[list[Sample], Path], tmp_path: Path
) -> None:
    samples, _ = prepared
    again = replace(samples[0], group="b_event/camera2/4")
    stranger = replace(samples[0], meta=replace(samples[0].meta, target="dog"))
    faults: list[tuple[str, dict[str, Any]]] = [
        ("no long questions", {"samples": samples[-1:]}),
        ("no long questions", {"samples": []}),
        ("phase 4: two groups", {"samples": [*samples, again]}),
        ("two long samples about the vehicle", {"samples": [*samples, samples[0]]}),
        ("a long sample about `dog`", {"samples": [stranger]}),
        (r"\.png: No such file", {"root": tmp_path / "nowhere"}),
        ("no such folder", {"model": tmp_path / "nowhere"}),
    ]
    for problem, change in faults:
        with pytest.raises(InputError, match=problem):
            run(**change)
    assert not list(tmp_path.iterdir()), "nothing half-written"


def test_a_model_that_computes_no_numbers_is_refused(run: Callable[..., Any], tiny: Checkpoint, tmp_path: Path) -> None:
    model = load_model(tiny("llava"), dtype=torch.float32)
    with torch.no_grad():
        model.model.language_model.norm.weight.fill_(3e38)
    save_model(model, load_processor(tiny("llava")), tmp_path / "model")
    with pytest.raises(InputError, match="no finite numbers"):
        run(model=tmp_path / "model")
    assert not (tmp_path / "predictions.json").exists()


def test_a_place_that_cannot_be_written(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        run("file/predictions.json")


def test_a_question_that_cannot_be_asked_is_named_and_the_others_are_answered(
    run: Callable[..., Any], prepared: tuple[list[Sample], Path], tiny: Checkpoint, tmp_path: Path, caplog: Any
) -> None:
    shutil.copytree(prepared[1], tmp_path / "root")
    (tmp_path / "root/images/a_event/1.png").write_bytes(b"\x89PNG torn")
    Image.new("RGB", (1000, 4)).save(tmp_path / "root/images/c_event/2.png")
    model = tiny("qwen2.5-vl")
    run("whole.json", model=model)
    report = run("holes.json", model=model, root=tmp_path / "root")
    whole, holes = (json.loads((tmp_path / name).read_text()) for name in ("whole.json", "holes.json"))
    assert holes["b_event"] == whole["b_event"]
    assert holes["c_event"][1] == whole["c_event"][1]
    assert {holes["a_event"][0][f"caption_{role}"] for role in ("vehicle", "pedestrian")} == {""}
    assert report.problems["refused"] == 4
    notes = json.loads((tmp_path / "holes.json.notes.json").read_text())["answers"]
    refused = [(note["scenario"], note["phase"], note["images"]) for note in notes if note["problem"] == "refused"]
    assert refused == [("a_event", 1, ["images/a_event/1.png"])] * 2 + [("c_event", 2, ["images/c_event/2.png"])] * 2
    told = [record.getMessage() for record in caplog.records if record.name == "cityscribe.predict.answers"]
    assert len(told) == 4
    assert any("a_event, phase 1, vehicle (images/a_event/1.png): " in line and "not an image" in line for line in told)
    assert any("c_event, phase 2" in line and "aspect ratio" in line for line in told)


def test_where_nothing_can_be_asked_nothing_is_written(
    run: Callable[..., Any], prepared: tuple[list[Sample], Path], tmp_path: Path
) -> None:
    shutil.copytree(prepared[1], tmp_path / "root")
    for path in (tmp_path / "root").rglob("*.png"):
        path.write_bytes(b"\x89PNG torn")
    with pytest.raises(InputError, match=r"answers none of 10 questions.*1\.png: not an image"):
        run(root=tmp_path / "root")
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_captions_from_facts_are_made_of_the_answers_to_short_questions(
    prepared: tuple[list[Sample], Path], run: Callable[..., Any], tiny: Checkpoint, tmp_path: Path
) -> None:
    """Joined they are the answers of plain generation; written by the model, an answer to them without an image."""
    samples, root = prepared
    first = next(s for s in samples if s.meta.scenario == "a_event" and s.meta.target == "vehicle")
    meta = traffic_meta(first)
    shown = (root / first.images[0],)
    engine, prompts = engine_of(tiny("llava")), load_prompts(None)

    def said(text: str, media: tuple[Path, ...]) -> str:
        blocks = [image_block() for _ in media]
        asks = Request((message("user", *blocks, text_block(text)),), media, max_tokens=5)
        ((answer,),) = engine.answer([asks])
        return answer.text

    questions = [short_question(prompts, meta.view_kind, meta.phase, meta.marked, key) for key in FACTS["vehicle"]]
    facts = [said(question, shown).strip() for question in questions if question]
    run("join.json", settings_with(captions={"kind": "facts"}))
    (segment,) = json.loads((tmp_path / "join.json").read_text())["a_event"]
    assert segment["caption_vehicle"] == " ".join(filter(None, facts))
    run("model.json", settings_with(captions={"kind": "facts", "writer": "model"}))
    (segment,) = json.loads((tmp_path / "model.json").read_text())["a_event"]
    lines = "\n".join(f"- {fact}" for fact in facts if fact)
    assert segment["caption_vehicle"] == said(KNOWN.format(facts=lines, question=text_of(first.messages[0])), ())
    with pytest.raises(ValidationError, match="go together"):
        settings_with(captions={"kind": "facts", "writer": "language-model"})


def test_of_several_answers_the_one_that_is_chosen_is_given(
    run: Callable[..., Any], prepared: tuple[list[Sample], Path], tiny: Checkpoint, tmp_path: Path
) -> None:
    drawn = {"samples": 4, "temperature": 1.0, "order": "independent"}
    run("likeliest.json", settings_with(**drawn, choose={"kind": "likeliest"}))
    run("first.json", settings_with(**drawn))
    said, first = (json.loads((tmp_path / name).read_text()) for name in ("likeliest.json", "first.json"))
    asked = message("user", image_block(), text_block("Phase 1: describe the vehicle."))
    sampling = Sampling(1.0)
    request = Request((asked,), (prepared[1] / "images/a_event/1.png",), 5, sampling, samples=4, logprobs=True)
    (answers,) = engine_of(tiny("llava")).answer([request])
    best = max(answers, key=lambda answer: sum(answer.logprobs) / len(answer.logprobs))
    assert said["a_event"][0]["caption_vehicle"] == best.text != answers[0].text
    assert first["a_event"][0]["caption_vehicle"] == answers[0].text
    run("contrast.json", settings_with(decoding={"kind": "against-blind", "strength": 3.0}))
    run("plain.json", settings_with())
    assert (tmp_path / "contrast.json").read_bytes() != (tmp_path / "plain.json").read_bytes()

"""Each probe catches a model that was planted to fail it, and lets one that knows pass."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cityscribe.cli import app
from cityscribe.engine.members import ENGINES
from cityscribe.engine.request import Answer, Request
from cityscribe.evaluate.probes import PROBES
from cityscribe.evaluate.probes.corruption import KINDS, STRENGTHS, Corrupted
from cityscribe.evaluate.probes.probe import ProbeResult
from cityscribe.files import InputError
from cityscribe.letters import LETTERS
from cityscribe.media.images import open_image
from cityscribe.probe import Probed, probe
from cityscribe.progress import silent
from cityscribe.project import settings_without_project
from cityscribe.records import Sample, image_block, message, text_of, write_samples
from cityscribe.sources.choices import choice_turns
from cityscribe.traffic.meta import TrafficMeta


@contextlib.contextmanager
def silent_watch(step: str) -> Iterator[Callable[..., None]]:
    yield silent


COLOURS = {"red": (200, 0, 0), "blue": (0, 0, 200), "green": (0, 180, 0)}
OPTIONS = tuple(COLOURS)


def write_questions(root: Path, count: int = 12) -> list[Sample]:
    """Which colour has the picture? Each question is about a clip of its own; there is a picture a colour."""
    samples = []
    for colour, rgb in COLOURS.items():
        Image.new("RGB", (32, 24), rgb).save(root / f"{colour}.png")
    for n in range(count):
        colour = OPTIONS[n % 3]
        turns = choice_turns(f"Clip {n}: which colour? It is known as {colour}.", OPTIONS, LETTERS[n % 3])
        messages = [message(role, *blocks) for role, blocks in turns]
        messages[0]["content"].insert(0, image_block())
        meta = TrafficMeta(scenario=f"clip{n}", kind="choice", split="val", question=f"q{n}", options=OPTIONS)
        samples.append(Sample(tuple(messages), (f"{colour}.png",), f"g{n}", meta))
    write_samples(root / "val.parquet", samples)
    return samples


class Planted:
    """Gives the option that a rule names, by the letter under which the request lists it."""

    def __init__(self, rule: Callable[[str, Image.Image | None], str]) -> None:
        self.rule = rule
        self.asked = 0

    def answer(self, requests: list[Request], listener: object = None) -> list[list[Answer]]:
        self.asked += len(requests)
        return [[Answer(self._said(request), 0, 1)] for request in requests]

    def _said(self, request: Request) -> str:
        text = text_of(request.messages[-1])
        shown = request.media[0] if request.media else None
        image = open_image(shown) if isinstance(shown, Path) else shown
        named = self.rule(text, image)
        return next((line[0] for line in text.splitlines() if line[1:] == f". {named}"), named)

    def score(self, *given: object, **options: object) -> list[object]:
        raise AssertionError("asked for text only")

    def forget(self) -> None: ...


def known(text: str) -> str:
    return text.partition("It is known as ")[2].partition(".")[0]


def exact(text: str, image: Image.Image | None) -> str:
    """Sees a colour only where every pixel has it."""
    if image is None:
        return "I cannot tell."
    pixels = np.asarray(image).reshape(-1, 3)
    seen = next((name for name, rgb in COLOURS.items() if (pixels == rgb).all()), None)
    return seen or "I cannot tell."


MODELS: dict[str, Callable[[str, Image.Image | None], str]] = {
    "oracle": lambda text, image: "I cannot tell." if image is None else known(text),
    "first": lambda text, image: "a",
    "text-only": lambda text, image: known(text),
    "fragile": exact,
}


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Probed]]:
    """What the probes find about a planted model, found once."""
    root = tmp_path_factory.mktemp("probes")
    samples, found = write_questions(root), dict[str, Probed]()
    for name, rule in MODELS.items():
        ENGINES.add(name, lambda checkpoint, setup, texts, rule=rule: Planted(rule), "planted")

    def results(name: str) -> Probed:
        if name not in found:
            settings = settings_without_project([f"predict.engine={name}", f"runs={root / 'runs'}"])
            kinds = PROBES.names()
            found[name] = probe(
                samples, root, "none", settings, root / name, kinds=kinds, questions=12, watch=silent_watch
            )
        return found[name]

    yield results
    for name in MODELS:
        ENGINES.remove(name)


FINDINGS = {
    "oracle": {"corruption": "passed", "option-order": "passed"},
    "first": {"corruption": "unclear", "option-order": "failed"},
    "text-only": {"corruption": "unclear", "option-order": "passed"},
    "fragile": {"corruption": "failed", "option-order": "passed"},
}


@pytest.mark.parametrize("name", MODELS)
def test_a_planted_fault_is_found_and_an_oracle_passes(name: str, probed: Callable[[str], Probed]) -> None:
    found = {kind: result.finding for kind, result in probed(name).results.items()}
    assert found == FINDINGS[name], {kind: result.why for kind, result in probed(name).results.items()}


def measured(result: ProbeResult) -> dict[str, float]:
    return {line.name: line.value for line in result.lines}


def test_measures_say_what_the_planted_models_do(probed: Callable[[str], Probed]) -> None:
    first = measured(probed("first").results["option-order"])
    assert first["changed its answer"] == 1
    assert first["right in every order"] == 0
    assert first["prefers A"] == pytest.approx(2 / 3), "always named, right in one of three orders"
    oracle = measured(probed("oracle").results["option-order"])
    assert (oracle["accuracy"], oracle["accuracy blind"], oracle["gain by looking"]) == (1, 0, 1)
    assert measured(probed("text-only").results["corruption"])["gain by looking"] == 0
    assert "looking" in probed("text-only").results["corruption"].why
    fragile = probed("fragile").results["corruption"]
    assert measured(fragile)["lost by noise"] == 1
    assert len(fragile.examples) == 12
    assert probed("oracle").results["corruption"].examples == ()


def test_what_cannot_be_asked_is_counted_and_the_same_call_gives_the_same_bytes(
    tmp_path: Path, probed: Callable[[str], Probed]
) -> None:
    probed("oracle")
    samples = write_questions(tmp_path, 6)
    open_question = Sample(samples[0].messages, samples[0].images, "g", TrafficMeta(kind="chat"))
    unknown = Sample(samples[1].messages[:1], samples[1].images, "g", samples[1].meta)
    settings = settings_without_project(["predict.engine=oracle", f"runs={tmp_path}"])
    options = {"kinds": ["option-order"], "questions": 4, "watch": silent_watch}
    for out in ("a", "b"):
        found = probe([*samples, open_question, unknown], tmp_path, "x", settings, tmp_path / out, **options)
    assert found.questions == 4
    assert found.left_out == {"without options": 1, "without a right answer": 1}
    for file in ("probes.json", "answers.jsonl", "blind.jsonl"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    with pytest.raises(InputError, match="no question that can be probed: 1 without options"):
        probe([open_question], tmp_path, "x", settings, tmp_path / "c", **options)


def test_the_command_prints_a_table_and_writes_json(tmp_path: Path, probed: Callable[[str], Probed]) -> None:
    probed("first")
    data = tmp_path / "data"
    data.mkdir()
    out = tmp_path / "out"
    run = tmp_path / "run" / "prepared"
    run.mkdir(parents=True)
    write_questions(run, 6)
    (run.parent / "project.yaml").write_text(f"name: run\nruns: {tmp_path}\ndata: {{path: {data}, source: messages}}\n")
    arguments = ["probe", "some/model", str(run.parent), "--kinds", "option-order", "--output", str(out)]
    found = CliRunner().invoke(app, [*arguments, "--set", "predict.engine=first", "--set", f"runs={tmp_path}"])
    assert found.exit_code == 0, found.output
    assert "failed" in found.output
    assert "changed its answer" in found.output
    written = json.loads((out / "probes.json").read_text())
    assert written["probes"]["option-order"]["finding"] == "failed"
    assert written["questions"] == 6
    wrong = CliRunner().invoke(app, [*arguments[:3], "--kinds", "option-odor"])
    assert wrong.exit_code != 0
    assert "option-order" in str(wrong.exception or wrong.output)


def test_corruptions_are_seeded_keep_the_size_and_grow_with_their_strength() -> None:
    coarse = np.random.default_rng(0).integers(20, 200, (12, 18, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((90, 60), Image.Resampling.BICUBIC)
    pixels = np.asarray(image, dtype=float)
    for kind in KINDS:
        made = [Corrupted(kind, strength).apply(image, 7) for strength in STRENGTHS]
        again = Corrupted(kind, 3).apply(image, 7)
        assert again.tobytes() == made[2].tobytes()
        assert {one.size for one in made} == {image.size}
        away = [float(np.abs(np.asarray(one, dtype=float) - pixels).mean()) for one in made]
        assert all(a < b for a, b in itertools.pairwise(away)), (kind, away)
        assert away[0] > 0.5, kind

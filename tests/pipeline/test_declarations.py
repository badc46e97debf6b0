"""What a stage declares is true: each setting makes those stages stale that read it, and every file that is written is
declared, missed where it is gone, and made again where it was edited."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cityscribe.files import InputError, write_json, write_text
from cityscribe.pipeline import STAGES, Plan, Step, StepProgress
from cityscribe.pipeline.digests import Digests
from cityscribe.pipeline.stamps import Stamp, stamp_of, state_of
from cityscribe.project import Settings, resolve
from cityscribe.settings import Named
from cityscribe.settings.messages import sections_of
from cityscribe.sources.wts import REFERENCE_LIST
from cityscribe.train.settings import UNRELATED_TO_WEIGHTS
from tests.pipeline.running import run_stages, settings_of

ALL = ("prepare", "train", "predict", "evaluate", "report", "card")
FIRST_STALE = {
    "name": "report",  # whose name its page and its card tell
    "runs": None,
    "processes": None,
    "at_once": None,
    "threads": None,
    "seed": "prepare",
    "data": "prepare",
    "data.licence": "card",
    "prepare": "prepare",
    "prepare.workers": None,
    "prepare.redact_detector": None,  # where nothing is to be covered
    "prepare.redact_threshold": None,
    "prepare.engine": None,
    "model": "train",
    "pairs": None,  # where none are made
    "pairs.builder.kind": "train",
    "prompts": None,  # where none are put together
    "prompts.library": "train",
    "quantise": None,  # where nothing is rounded
    "quantise.bits": "predict",
    "ladder": None,  # where there are no steps
    "train": "train",
    **{f"train.{name}": None for name in UNRELATED_TO_WEIGHTS},
    "predict": "predict",
    "predict.baselines": "report",
    "evaluate": "evaluate",
    "evaluate.against": None,  # of questions
    "report": "report",
    "serve": None,
}
"""By setting, or by section for those that are not named: the first stage that it makes stale."""


def _leaves(settings: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any, FieldInfo]]:
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value, field


def _others(value: Any, field: FieldInfo, files: Path) -> list[Any]:
    """Values that the setting might have instead."""
    named = [name for marker in field.metadata if isinstance(marker, Named) for name in marker.names()]
    literals = [option for option in get_args(field.annotation) if isinstance(option, str)]
    numbers = [value * 2, value / 2, value + 1] if isinstance(value, int | float) else []
    words = [
        "other",
        "server",
        "dpo",
        ["global"],
        ["heads"],
        ["noise"],
        ["vision_tower", "connector"],
        "own-output",
        "likeliest",
        "m3id",
        "viterbi",
        "objects",
        "facts",
        ["decoder"],
        ["connector"],
        ["blind"],
        ["x"],
        [0],
        [0, 1],
        {"head": 0.5},
        {"x": {}},
        4,
    ]
    return [not value if isinstance(value, bool) else None, *numbers, *named, *literals, str(files), *words, 2]


def _changed(settings: Settings, name: str, value: Any, field: FieldInfo, files: Path) -> Settings:
    for other in _others(value, field, files):
        values = settings.model_dump(mode="json")
        section = values
        *parts, last = name.split(".")
        for part in parts:
            section = section[part]
        before = section[last]
        if other == before:
            continue
        section[last] = other
        try:
            found = resolve(values)
        except InputError:
            continue
        if found != settings:
            return found
    raise AssertionError(f"{name}: no other value was found")


def _expected(name: str) -> set[str]:
    first = FIRST_STALE.get(name, FIRST_STALE[name.split(".")[0]])
    if first is None:
        return set()
    only_told = ("report.", "evaluate.gates", "evaluate.refusals")  # the report has them, and the card has not
    return {"report"} if name.startswith(only_told) else set(ALL[ALL.index(first) :])


def test_every_setting_makes_those_stages_stale_that_read_it(
    city: Path, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    settings = settings_of(city, tiny("llava"), tmp_path, predict={"samples": 2, "temperature": 0.5})
    other_files = tmp_path / "other"
    write_json(other_files.parent / "made.json", {})
    other_files.mkdir()
    write_json(other_files / "made.json", {"other": "content"})
    digests = Digests()
    wrong = {}
    likelihoods = settings_of(city, tiny("llava"), tmp_path, predict={"choices": "likelihood"})
    checkpointed = settings_of(city, tiny("llava"), tmp_path, train={"gradient_checkpointing": True})
    stands_on = {
        "predict.captions": settings_of(city, tiny("llava"), tmp_path),
        "predict.over_time": likelihoods,
        "predict.option_orders": likelihoods,
        "train.offload_activations": checkpointed,
    }
    for name, value, field in _leaves(settings):
        if name == "ladder.steps":  # what only goes with other sections
            continue
        begun = next((found for start, found in stands_on.items() if name.startswith(start)), settings)
        after = Plan.of(_changed(begun, name, value, field, other_files), digests).made_from
        before = Plan.of(begun, digests).made_from
        stale = {step for step in ALL if step not in after or after[step] != before[step]}
        if stale != _expected(name):
            wrong[name] = sorted(stale, key=ALL.index)
    assert wrong == {}


def test_the_reference_is_made_again_only_for_what_decides_it(
    city: Path, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    compared = {"objective": {"kind": "dpo"}}
    settings = settings_of(city, tiny("llava"), tmp_path, train=compared, predict={"baselines": ["blind"]})
    digests = Digests()
    before = Plan.of(settings, digests)
    assert [name for name in before.steps if name.startswith("reference")] == ["reference", "reference blind"]
    for train, stale in (
        ({"objective": {"kind": "dpo", "beta": 0.3}}, False),
        ({**compared, "lr": 1e-5, "batch_groups": 2}, False),
        ({**compared, "max_tokens": 500}, True),
        ({**compared, "precision": "bf16"}, True),
    ):
        changed = settings_of(city, tiny("llava"), tmp_path, train=train, predict={"baselines": ["blind"]})
        after = Plan.of(changed, digests).made_from
        assert after["train"] != before.made_from["train"], train
        assert (after["reference"] != before.made_from["reference"]) is stale, train
    for own in ({"objective": {"kind": "dpo", "reference": str(city / "made.parquet")}}, {}):
        assert "reference" not in Plan.of(settings_of(city, tiny("llava"), tmp_path, train=own), digests).steps


def test_every_section_is_read_as_it_is(city: Path, tiny: Callable[[str], Path], tmp_path: Path) -> None:
    plan = Plan.of(settings_of(city, tiny("llava"), tmp_path, train={"objective": {"kind": "dpo"}}))
    for step in plan.steps.values():
        for name in (*step.reads, *step.but_not):
            section: list[type[BaseModel]] = [Settings]
            for part in name.split("."):
                fields = [kind.model_fields[part] for kind in section]
                section = [inner for field in fields for inner in sections_of(field)]


@pytest.fixture
def copy(finished: Settings, tmp_path: Path) -> Settings:
    """The finished run in a folder of its own."""
    shutil.copytree(finished.run_dir, tmp_path / finished.name)
    return resolve({**finished.model_dump(mode="json"), "runs": str(tmp_path)})


def _declared(settings: Settings) -> dict[str, str]:
    """Each file that a stamp lists, with its step."""
    found = {}
    for step in Plan.of(settings).steps.values():
        stamp = Stamp.model_validate_json(stamp_of(step, settings.run_dir).read_text())
        found |= dict.fromkeys(stamp.files, step.name)
    return found


def test_every_file_of_a_run_is_declared(finished: Settings) -> None:
    folder = finished.run_dir
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    own = {"project.yaml", ".lock", *(name for name in files if name.startswith("state/"))}
    assert files - own == _declared(finished).keys()


def test_each_declared_file_is_missed_and_an_edit_of_it_is_seen(copy: Settings) -> None:
    plan, folder = Plan.of(copy), copy.run_dir
    for name, step_name in _declared(copy).items():
        step, path = plan.steps[step_name], folder / name
        kept = path.with_name("kept")
        made_from = plan.made_from[step_name]
        assert state_of(step, made_from, folder).fresh, f"{name}: a copy is up to date"
        shutil.copy2(path, kept)
        path.unlink()
        state = state_of(step, made_from, folder)
        assert not state.fresh, name
        assert state.why == f"{path} is missing"
        shutil.copy2(kept, path)
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]) if content else b"x")
        state = state_of(step, made_from, folder)
        assert not state.fresh, name
        assert state.why == f"{path} has changed"
        os.replace(kept, path)


@pytest.mark.parametrize(
    ("damage", "stage"),
    [
        ("report/index.html", "report"),
        ("boxes.json", "evaluate"),
        ("baselines/majority/scores.json", "evaluate"),
        ("segments.json", "evaluate"),
        ("predictions.json.notes.json", "predict"),
        ("model/model.safetensors", "train"),
        ("model/README.md", "card"),
        ("model/bom.json", "card"),
    ],
)
def test_what_is_missing_or_edited_is_made_again_and_said(copy: Settings, damage: str, stage: str) -> None:
    path, said = copy.run_dir / damage, list[str]()
    before = path.read_bytes()
    if damage.endswith("model.safetensors"):
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    else:
        path.unlink()
    assert run_stages(copy, said=said) == [stage, *(["card"] if stage == "train" else [])]
    assert path.read_bytes() == before or stage == "report"  # which shows where the run lies
    assert any(line.startswith(f"{stage}: {path} ") and line.endswith("; made again") for line in said)
    assert run_stages(copy) == []


@pytest.fixture
def tally() -> Iterator[None]:
    """A stage of one's own, in one line."""

    def make(plan: Plan, made_from: str, progress: StepProgress) -> None:
        samples = len(list((plan.folder / "prepared").glob("*.parquet")))
        write_text(plan.folder / "tally.txt", f"{samples} splits, seed {plan.settings.seed}\n")

    def steps(plan: Plan) -> Iterator[Step]:
        yield Step("tally", "", partial(make, plan), reads=("seed",), after=("prepare",), writes=("tally.txt",))

    STAGES.add("tally", steps, "counts the splits")
    yield
    STAGES.remove("tally")


def test_a_stage_of_ones_own_runs_and_is_made_again(tally: None, copy: Settings) -> None:
    assert run_stages(copy) == ["tally"]
    assert run_stages(copy) == []
    file = copy.run_dir / "tally.txt"
    assert file.read_text() == "2 splits, seed 0\n"
    file.unlink()
    assert run_stages(copy, "tally") == ["tally"]
    (copy.run_dir / "predictions.json").unlink()
    assert run_stages(copy, "predict") == ["predict"], "it does not read the answers"


def test_a_stage_that_writes_less_than_it_declares_is_refused(copy: Settings) -> None:
    def steps(plan: Plan) -> Iterator[Step]:
        yield Step("idle", "", lambda *_: None, reads=(), writes=("idle.txt",))

    STAGES.add("idle", steps, "does nothing")
    try:
        with pytest.raises(InputError, match=r"idle\.txt: the stage idle has not written it"):
            run_stages(copy, "idle")
    finally:
        STAGES.remove("idle")


def test_data_behind_links_and_beside_the_folder_is_seen_to_change(
    city: Path, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    real = tmp_path / "real"
    shutil.copytree(city, real)
    linked = tmp_path / "WTS"
    linked.mkdir()
    for part in sorted(real.iterdir()):
        (linked / part.name).symlink_to(part)
    (real / "round").symlink_to(tmp_path)  # a link to a folder above
    settings = settings_of(linked, tiny("llava"), tmp_path / "runs")

    def made_from() -> str:
        return Plan.of(settings).made_from["prepare"]

    known = [made_from()]
    caption = next(path for path in real.rglob("*.json") if "caption" in str(path))
    caption.write_text(caption.read_text() + " ")
    known.append(made_from())
    video = next(real.rglob("*.mp4"))
    os.utime(video, ns=(1, 1))
    video.write_bytes(video.read_bytes() + b"\0")
    known.append(made_from())
    (tmp_path / REFERENCE_LIST).write_text("scenario,view\n")
    known.append(made_from())
    (tmp_path / REFERENCE_LIST).write_text("scenario,view\na,b\n")
    known.append(made_from())
    assert len(set(known)) == 5
    assert made_from() == known[-1]

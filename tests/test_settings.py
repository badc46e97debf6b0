from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from cityscribe.files import InputError
from cityscribe.project import commented_settings, dump_settings, load_settings, resolve

MINIMAL = "data:\n  path: somewhere\n"


def _write(folder: Path, text: str) -> Path:
    path = folder / "project.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_mistake_is_listed_with_its_place_and_the_nearest_name(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        "data:\n  path: somewhere\ntrain:\n  lr: fast\n  epoch: 2\nmodel:\n  method: blok-expansion\npredikt: {}\n",
    )
    with pytest.raises(InputError) as caught:
        load_settings(path, ["prepare.box_skale=2"])
    lines = str(caught.value).splitlines()
    assert len(lines) == 5
    assert any("line 4" in line and "train.lr" in line and "'fast'" in line for line in lines)
    assert any("line 5" in line and "did you mean `epochs`" in line for line in lines)
    assert any("line 7" in line and "did you mean `block-expansion`" in line for line in lines)
    assert any("line 8" in line and "did you mean `predict`" in line for line in lines)
    assert any("--set prepare.box_skale=2" in line and "did you mean `box_scale`" in line for line in lines)


def test_overrides_win_and_are_typed(tmp_path: Path) -> None:
    path = _write(tmp_path, MINIMAL + "train:\n  lr: 0.1\n")
    settings = load_settings(path, ["train.lr=1e-4", "train.share_prefix=false", "prepare.images=[global]", "name=x"])
    assert settings.train.lr == 1e-4
    assert settings.train.share_prefix is False
    assert settings.prepare.images == ("global",)
    assert settings.run_dir == Path("runs/x")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "not YAML"),
        ("- 1\n- 2\n", "expected sections"),
        ("just words", "expected sections"),
        ("", "data: missing"),
        ("data: {path: x}\ntrain: 3\n", "train"),
        ("data: {path: x}\nname: ../up\n", "name"),
        ("data: {path: x}\ntrain: {lr: .nan}\n", "train.lr"),
        ("data: {path: x}\nseed: -1\n", "seed"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_error(tmp_path: Path, text: str, says: str) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(InputError, match=r"project\.yaml") as caught:
        load_settings(path)
    assert says in str(caught.value)


@pytest.mark.parametrize("override", ["train.lr", "=3", "train..lr=3", "name.deeper=3", "train.lr=[1"])
def test_an_override_that_cannot_be_used_names_itself(tmp_path: Path, override: str) -> None:
    with pytest.raises(InputError, match="--set"):
        load_settings(_write(tmp_path, MINIMAL + "name: x\n"), [override])


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"model": {"method": "none", "unfreeze": ["connector"]}}, "settings: model: method none trains nothing"),
        ({"model": {"method": "none"}, "predict": {"baselines": ["blind"]}}, "settings: predict.baselines are of"),
        ({"model": {"freeze": ["connector"], "unfreeze": ["connector"]}}, "settings: model: connector cannot be in"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(sections: dict[str, object], says: str) -> None:
    with pytest.raises(InputError) as error:
        resolve({"data": {"path": "."}, **sections})
    assert str(error.value).startswith(says)
    assert "found" not in str(error.value)  # not a page of settings


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cityscribe init"):
        load_settings(tmp_path / "none.yaml")


def test_resolved_settings_give_themselves_again(tmp_path: Path) -> None:
    settings = load_settings(_write(tmp_path, MINIMAL), ["prepare.short_per_long=null", "predict.baselines=[blind]"])
    assert load_settings(_write(tmp_path, dump_settings(settings))) == settings


def test_the_commented_file_holds_the_defaults() -> None:
    text = commented_settings("somewhere")
    assert resolve(yaml.safe_load(text)) == resolve({"data": {"path": "somewhere"}})
    assert "# c of Eq. 3" in text
    assert "block-expansion, lora, dora, qlora, full, connector" in text


DOUBLED = "a0: &a0 [1, 1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 31))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{MINIMAL}name: *a30\n".replace("data:", f"{DOUBLED}data:"), "aliases stand for more than"),
        (
            "a: &a [x, x, x, x, x, x, x, x, x]\n"
            + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(8))
            + "data: {path: x}\nseed: *i\n",
            "aliases stand for more than",
        ),
        ("data: &d {path: *d}\n", "line 1: not YAML: an alias stands inside of what it names"),
        (f"{MINIMAL}name: 2024-13-45\n", "line 3: not YAML: '2024-13-45': month must be in 1..12"),
        (f"{MINIMAL}seed: {'9' * 5000}\n", "line 3: not YAML: "),
        (f"{MINIMAL}seed: 0x{'f' * 5000}\n", "line 3: not YAML: the number is too long"),
        (f"{MINIMAL}seed: !!int ''\n", "line 3: not YAML"),
        (f"{MINIMAL}seed: !!bool maybe\n", "line 3: not YAML"),
        (f"{MINIMAL}name: {'x' * 5000}/\n", "..."),
        ("a: " + "[" * 2000 + "]" * 2000, "nested too deeply"),
        (f"{MINIMAL}seed: 1\ntrain: {{}}\nseed: 2\n", "line 5: not YAML: 'seed' is given twice, first in line 3"),
        (f"{MINIMAL}name: {'x' * 300}\n", "at most 200 characters"),
    ],
)
def test_yaml_that_would_hang_or_break_is_one_short_message(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=r"project\.yaml") as caught:
        load_settings(_write(tmp_path, text))
    assert says in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("override", ["name=2024-13-45", f"seed={'9' * 5000}", "name=&a [*a]", f"seed=0x{'f' * 5000}"])
def test_so_is_an_override(tmp_path: Path, override: str) -> None:
    with pytest.raises(InputError, match="--set ") as caught:
        load_settings(_write(tmp_path, MINIMAL), [override])
    assert len(str(caught.value)) < 300


def test_a_setting_that_an_earlier_init_wrote_for_all_kinds_says_what_to_do(tmp_path: Path) -> None:
    text = f"{MINIMAL}prepare:\n  labeller:\n    kind: rules\n    model: ''\n    timeout_s: 30.0\n"
    with pytest.raises(InputError) as caught:
        load_settings(_write(tmp_path, text))
    says = "prepare.labeller.timeout_s: is a setting of kind server only; remove it, or set prepare.labeller.kind"
    assert str(caught.value) == f"{tmp_path / 'project.yaml'}: line 7: {says}"


def test_a_file_full_of_mistakes_does_not_fill_the_screen(tmp_path: Path) -> None:
    text = MINIMAL + "".join(f"k{number}: 1\n" for number in range(300))
    with pytest.raises(InputError) as caught:
        load_settings(_write(tmp_path, text))
    *lines, last = str(caught.value).splitlines()
    assert len(lines) == 40
    assert last == f"{tmp_path / 'project.yaml'}: 260 more"

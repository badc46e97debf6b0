"""One list for settings, `cityscribe list`, messages and the file of `init`; a member of one's own is in all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import pytest
from pydantic import Field
from typer.testing import CliRunner

from cityscribe.cli import app
from cityscribe.cli.shell import console
from cityscribe.files import InputError
from cityscribe.project import commented_settings, dump_settings, resolve
from cityscribe.registry import KINDS, Registry, registry
from cityscribe.settings import Named, OneOf, Section
from cityscribe.settings.loading import check
from cityscribe.settings.writing import commented


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal in which no cell is broken."""
    monkeypatch.setattr(console, "width", 250)


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("kind", KINDS)
def test_every_member_is_listed_with_what_it_is(kind: str) -> None:
    found = registry(kind)
    assert found.kind == kind
    shown = CliRunner().invoke(app, ["list", kind])
    assert shown.exit_code == 0, shown.output
    for entry in found.entries():
        assert entry.name in shown.output
        assert entry.summary in shown.output
        assert entry.paper in shown.output


@pytest.mark.usefixtures("wide")
def test_the_kinds_are_listed() -> None:
    shown = CliRunner().invoke(app, ["list"])
    assert all(f" {kind} " in shown.output for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_member_can_be_loaded(kind: str) -> None:
    for entry in registry(kind).entries():
        if not entry.extra:
            assert registry(kind)[entry.name] is not None


def test_an_unknown_kind_lists_those_there_are() -> None:
    with pytest.raises(InputError, match="tuning"):
        registry("method")


@pytest.fixture
def own_order() -> Iterator[None]:
    orders = registry("question-order")
    orders.add("twice", (("vehicle",), ("vehicle", "pedestrian")), "the vehicle twice")
    yield
    orders.remove("twice")


def _with_order(name: str) -> dict[str, object]:
    return {"data": {"path": "x"}, "predict": {"order": name}}


def test_a_member_of_ones_own_can_be_set_at_once(own_order: None) -> None:
    settings = resolve(_with_order("twice"))
    assert resolve(_with_order("twice")) == settings
    assert "order: twice" in dump_settings(settings)
    assert "independent, twice" in commented_settings("x")
    assert "twice" in CliRunner().invoke(app, ["list", "question-order"]).output
    with pytest.raises(InputError, match="twice; did you mean `twice`"):
        resolve(_with_order("twicce"))


def test_a_member_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"predict\.order: expected one of .*independent; .*found 'twice'"):
        resolve(_with_order("twice"))


class Plain(Section):
    kind: Literal["plain"] = "plain"


class Scaled(Section):
    kind: Literal["scaled"] = "scaled"
    factor: float = Field(2.0, gt=0, description="of the size")


class Both(Section):
    shape: Annotated[Section, OneOf("shape")] = Plain()
    other: Annotated[str, Named("shape", also=("none",))] = "none"


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: Registry[str] = Registry("shape", "shapes")
    shapes.add("plain", object(), "as it is", settings=f"{__name__}:Plain")
    shapes.add("scaled", object(), "larger", settings=f"{__name__}:Scaled")
    monkeypatch.setitem(KINDS, "shape", f"{__name__}:FOUND")
    monkeypatch.setitem(globals(), "FOUND", shapes)


@pytest.mark.usefixtures("shapes")
@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ({"kind": "scaled", "factor": 0}, "shape.factor: input should be greater"),
        ({"kind": "scald"}, "shape.kind: expected one of plain, scaled; did you mean `scaled`"),
        ({"kind": "scaled", "facto": 1}, "shape.facto: no such setting; did you mean `factor`"),
        ({"factor": 3}, "shape.factor: is a setting of kind scaled only; remove it, or set shape.kind"),
        (3, "shape: expected settings such as kind: plain"),
    ],
)
def test_a_union_is_told_apart_by_its_kind(shape: object, says: str) -> None:
    with pytest.raises(InputError) as error:
        check(Both, {"shape": shape})
    assert says in str(error.value)


@pytest.mark.usefixtures("shapes")
def test_the_settings_of_a_union_are_those_of_the_chosen_member() -> None:
    found = check(Both, {"shape": {"kind": "scaled", "factor": 3}, "other": "plain"})
    assert found.shape == Scaled(factor=3)
    assert found.model_dump(mode="json") == {"shape": {"kind": "scaled", "factor": 3.0}, "other": "plain"}
    assert check(Both, found.model_dump()) == found
    assert check(Both, {"shape": {"kind": "plain", "factor": 2.0}}).shape == Plain()  # a file that lists all settings
    lines = "\n".join(commented(Both()))
    assert "kind: plain  # one of plain, scaled" in lines
    assert "# factor: 2.0  # of the size" in lines

from __future__ import annotations

from pathlib import Path

import pytest

from cityscribe.serve.knowledge import MOST_CHARACTERS, knowledge

BASE = "cityscribe-tiny"


def test_the_card_of_a_checkpoint_says_what_it_knows(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    card = tmp_path / "model" / "README.md"
    card.write_text("---\nlicense: mit\nknows: only one street\n---\n# A model\n")
    assert knowledge(str(tmp_path / "model"), BASE) == "only one street"
    assert knowledge(BASE, "").startswith("only the synthetic city")


def test_a_tuned_model_knows_what_its_base_does(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert knowledge(str(tmp_path / "model"), BASE) == "", "no run, so that its base is not known"
    (tmp_path / "project.yaml").write_text("")
    assert knowledge(str(tmp_path / "model"), BASE).startswith("only the synthetic city")


@pytest.mark.parametrize(
    "text",
    ["", "# No head", "---\nknows: [1]\n---\n", "---\nknows: {\n---\n", "---\n- a\n---\n", "---\nno end", "\udcff"],
)
def test_a_card_that_does_not_say_it_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "README.md").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert knowledge(str(tmp_path), BASE) == ""


def test_what_a_card_says_is_one_line_of_some_length(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f'---\nknows: "a\\x1b[31m {"b" * 900}"\n---\n')
    told = knowledge(str(tmp_path), BASE)
    assert len(told) == MOST_CHARACTERS
    assert "\x1b" not in told

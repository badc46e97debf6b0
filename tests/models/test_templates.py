"""Chat templates that fail or never end are refused when the checkpoint is loaded."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cityscribe.files import InputError
from cityscribe.models import templates
from cityscribe.models.load import load_processor

Checkpoint = Callable[[str], Path]

LOOPS = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}" + (
    "{% endfor %}{% endfor %}"
)
FAULTS = {
    "type": ("{{ messages[0]['content'] + 1 }}", "fails: TypeError"),
    "division": ("{{ 1 / (messages | length - messages | length) }}", "fails: ZeroDivisionError"),
    "recursion": ("{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}", "fails: RecursionError"),
    "syntax": ("{% for message in messages %}", "is not a template: line 1"),
    "loops": (LOOPS, "does not end within 1 s"),
    "power": ("{% set n = 9 ** 9 * (messages | length) %}{{ 9 ** n }}", "does not end within 1 s"),
    "memory": ("{{ 'a' * 9999999999 * messages | length }}", "fails: MemoryError"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_template_that_cannot_be_rendered(
    fault: str, tiny: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(tiny("llava"), tmp_path / "checkpoint"))
    template, message = FAULTS[fault]
    (folder / "chat_template.jinja").write_text(template)
    monkeypatch.setattr(templates, "LIMIT_S", 1.0 if "1 s" in message else 60.0)
    began = time.monotonic()
    with pytest.raises(InputError, match=f"{folder}: its chat template {message}"):
        load_processor(folder)
    assert time.monotonic() - began < 60


def test_what_a_template_refuses_by_its_own_word_is_no_fault(tiny: Checkpoint, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny("llava"), tmp_path / "checkpoint"))
    strict = "{% if messages | length > 1 %}{{ raise_exception('one turn only') }}{% endif %}"
    template = folder / "chat_template.jinja"
    template.write_text(strict + template.read_text())
    assert load_processor(folder).chat_template is not None

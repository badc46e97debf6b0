from __future__ import annotations

import json
from pathlib import Path

import pytest

from cityscribe.files import InputError
from cityscribe.report.run_files import read_run
from tests.report.run_folder import settings

MALFORMED = {
    "scores.json": ["{", "[]", '{"score": "much"}', '{"score": NaN}', '{"score": 1, "internal": {"score": 1}}'],
    "segments.json": [
        '{"a/0/pedestrian": {"bleu": 1}}',
        '{"a/9/pedestrian": {"bleu": 0, "meteor": 0, "rouge-l": 0, "cider": 0}}',
        '{"pedestrian": {"bleu": 0, "meteor": 0, "rouge-l": 0, "cider": 0}}',
    ],
    "predictions.json": ["", "[]", '{"a": [{"labels": ["7"]}]}'],
    "predictions.json.notes.json": ['{"answers": [{"scenario": "a"}]}'],
    "scores.provenance.json": ["[1]", '{"warnings": 3}'],
    "training/curve.jsonl": ['{"step": 1}\n', '{"step": 1, "loss": NaN}\n', '{"step": 1, "lo'],
    "training/report.json": ['"text"'],
    "prepared/val.parquet": ["PAR1 torn"],
    "prepared/skipped.jsonl": ['{"split": "train"}\n', "true\n"],
    "prepared/prepare.json": ["[]", '{"scenarios": {"train": "many"}}'],
    "baselines/blind/scores.json": ["{"],
    "baselines/blind/training/curve.jsonl": ["[]\n"],
}


@pytest.mark.parametrize(("name", "content"), [(name, text) for name, texts in MALFORMED.items() for text in texts])
def test_a_malformed_file_is_named_in_one_line(run_dir: Path, name: str, content: str) -> None:
    (run_dir / name).write_text(content)
    with pytest.raises(InputError, match=r"^[^\n]+$") as caught:
        read_run(run_dir, settings(run_dir))
    assert str(caught.value).startswith(str(run_dir / name))


def test_a_file_that_is_not_text_is_named(run_dir: Path) -> None:
    (run_dir / "project.yaml").write_bytes(b"name: \xff\n")
    with pytest.raises(InputError, match=r"project\.yaml: byte 6: not UTF-8"):
        read_run(run_dir, settings(run_dir))


def test_the_line_of_a_fault_is_named(run_dir: Path) -> None:
    path = run_dir / "training" / "curve.jsonl"
    path.write_text('{"step": 1, "loss": 2}\n\n{"step": 2, "loss": "low"}\n')
    with pytest.raises(InputError, match="line 3: loss"):
        read_run(run_dir, settings(run_dir))


def test_an_empty_folder_is_a_run_of_nothing_and_no_folder_is_an_error(tmp_path: Path) -> None:
    run = read_run(tmp_path, settings(tmp_path))
    assert run.phases == ()
    assert run.skipped is run.prepared is run.provenance is run.project is None
    assert [model.name for model in run.models] == ["tuned"]
    assert run.tuned.captions is run.tuned.scores is run.tuned.segments is None
    with pytest.raises(InputError, match="no such run"):
        read_run(tmp_path / "nothing", settings(tmp_path))


def test_known_baselines_come_first_and_others_by_name(run_dir: Path) -> None:
    for name in ("zero-shot", "majority"):
        (run_dir / "baselines" / name).mkdir()
    names = [model.name for model in read_run(run_dir, settings(run_dir)).models]
    assert names == ["tuned", "untuned", "blind", "majority", "zero-shot"]


def test_every_phase_has_both_questions_and_references(finished: Path) -> None:
    run = read_run(finished, settings(finished))
    assert len(run.phases) == 25
    assert [phase.key for phase in run.phases] == sorted(phase.key for phase in run.phases)
    for phase in run.phases:
        assert phase.questions.keys() == phase.references.keys() == {"pedestrian", "vehicle"}
        assert all((finished / "prepared" / image).is_file() for image in phase.images)


def test_a_separator_within_a_text_does_not_end_a_line(run_dir: Path) -> None:
    why = "cut\u2028here"
    entry = {"split": "val", "scenario": "a", "what": "video", "why": why}
    (run_dir / "prepared" / "skipped.jsonl").write_text(json.dumps(entry, ensure_ascii=False) + "\n", encoding="utf-8")
    skipped = read_run(run_dir, settings(run_dir)).skipped
    assert skipped is not None
    assert [skip.why for skip in skipped] == [why]

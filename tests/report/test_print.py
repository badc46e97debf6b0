"""The pages on paper, as Chromium prints them: nothing covers anything, nothing is cut off, what is closed stays so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cityscribe.project import resolve
from cityscribe.records import write_samples
from cityscribe.report.page import write_report
from cityscribe.report.question_page import write_question_report
from cityscribe.stats.page import write_stats
from tests.browse.made import data_set
from tests.report.printed import letters, sheets
from tests.report.run_folder import settings
from tests.report.test_question_page import answer, asked
from tests.serve.chromium import CHROMIUM, Page, browser

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")

PAPERS = {"A4": (8.27, 11.69), "Letter": (8.5, 11.0)}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def report(finished: Path, out: Path) -> Path:
    return write_report(finished, settings(finished, report={"samples": 3}), out)


def questions(finished: Path, out: Path) -> Path:
    made = resolve({"runs": str(out), "data": {"source": "ucf-crime", "path": str(out)}, "report": {"samples": 3}})
    samples = asked(made.run_dir / "prepared")
    write_samples(made.run_dir / "prepared" / "val.parquet", samples)
    answer(made.run_dir, samples, lambda n, right: f"({right})" if n % 4 else "hard to say")
    answer(made.run_dir / "baselines" / "blind", samples, lambda n, right: "a")
    return write_question_report(made.run_dir, made, out / "page")


def stats(finished: Path, out: Path) -> Path:
    write_stats(data_set(out / "WTS"), "wts", out / "page")
    return out / "page" / "index.html"


@pytest.mark.parametrize("make", [report, questions, stats], ids=lambda make: make.__name__)
def test_nothing_overlaps_on_paper_and_nothing_is_cut_off(
    make: Callable[[Path, Path], Path], finished: Path, page: Page, tmp_path: Path
) -> None:
    page.open(make(finished, tmp_path).resolve().as_uri(), (1280, 900))
    shown = letters(page.shown_on_paper())
    for name, paper in PAPERS.items():
        printed = sheets(page.print(paper))
        text = "".join(sheet.text for sheet in printed)
        assert [fault for sheet in printed for fault in (*sheet.outside(), *sheet.overlaps())] == [], name
        assert shown - letters(text) == Counter(), f"{name}: all that the page says is on paper"
        assert shown.total() > 2000
        assert "Lookatthepedestrian" not in text, "a question stands in a part that is closed"
        assert "Thereisapersononaroad" not in text, "so do the words of the untuned model"


def test_the_check_finds_what_overlaps_and_what_is_cut_off(page: Page, tmp_path: Path) -> None:
    wrong = "<p style='position: absolute; left: {}px; top: 40px; white-space: nowrap'>Some words of a page</p>"
    for name, content in (("over", wrong.format(50) + wrong.format(60)), ("off", wrong.format(-60))):
        (tmp_path / f"{name}.html").write_text(content)
    page.open((tmp_path / "over.html").as_uri(), (1280, 900))
    (sheet,) = sheets(page.print(PAPERS["A4"]))
    assert sheet.overlaps()
    page.open((tmp_path / "off.html").as_uri(), (1280, 900))
    (sheet,) = sheets(page.print(PAPERS["A4"]))
    assert sheet.overlaps() == []
    assert letters(page.shown_on_paper()) > letters(sheet.text)

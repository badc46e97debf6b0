"""A report about a picture, with an error in it: is it found, and which kind is it?

The report is true of a view of the city; an error of each kind is put into it (`evaluate.probes.errors`). Asked is
whether all of it is true (SIMPLE), and of a wrong one which kind of error it has (COMPLEX), as Wu et al. 2023 (arXiv
2312.13103) do with radiology reports. A sentence that is left out makes nothing untrue and is not asked about. Failed
where a wrong report gets the same answer as the true one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import fsum
from pathlib import Path

import numpy as np

from cityscribe.evaluate.probes.errors import KINDS, inject
from cityscribe.evaluate.probes.probe import Asking, ProbedAnswers, ProbeResult, accuracy, changed_right, result, share
from cityscribe.world.descriptions import in_sentences
from cityscribe.world.probes.views import YES_NO, CityView, asked_of, choice, views, write_view

YES, NO = YES_NO

NAMES = {
    "insert": "something is added that is not there",
    "side": "a side or direction is wrong",
    "colour": "a colour is wrong",
    "object": "an object or garment is wrong",
    "count": "a number is wrong",
}

WHICH = "which kind"


class Reports:
    """The member `reports`."""

    def questions(self, folder: Path, count: int, seed: int) -> Iterator[Asking]:
        for view in views(count, seed):
            yield self._asking(view, folder)

    def _asking(self, view: CityView, folder: Path) -> Asking:
        report = in_sentences(view.facts, ("person", "relation", "place"), np.random.default_rng(view.seed))
        wrong = {}
        for kind in KINDS:
            changed = inject(report, kind, view.draw(f"error {kind}")) if kind in NAMES else None
            if changed is not None:
                wrong[kind] = changed
        variants = [asked_of(kind, _simple(text), YES_NO, NO) for kind, text in wrong.items()]
        drawn = view.draw("which").choice(sorted(wrong))
        asks = f"Report: {wrong[drawn]}\nOne thing in this report is wrong. Which kind of error is it?"
        variants.append(asked_of(WHICH, asks, tuple(NAMES.values()), NAMES[drawn]))
        sample = choice(view, _simple(report), YES_NO, YES, [write_view(view, folder, "plain")], drawn)
        return Asking(sample, variants)

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        lines, faults = [*accuracy(asked, seed)], []
        for kind in NAMES:
            part = [each for each in asked if any(variant.label == kind for variant in each.variants)]
            if part:
                lines.append(share(f"found: {kind}", part, changed_right(part, kind), seed))
        lines.append(share("named the kind of error", asked, changed_right(asked, WHICH), seed))
        for each in asked:
            told = [said for said, variant in zip(each.changed, each.variants, strict=True) if variant.label != WHICH]
            faults.append(fsum(said == each.plain for said in told) / len(told))
        what = "wrong reports that get the answer of the true one"
        return result(asked, faults, "same answer to a wrong report", what, lines, seed)


def _simple(report: str) -> str:
    return f"Report: {report}\nIs everything in this report true of the picture?"


REPORTS = Reports()

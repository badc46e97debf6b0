"""The profile `wts`: caption scores by the rules of the AI City Challenge Track 2 (woven-visionai/wts-dataset).

A segment is what is said of one road user in one phase of a scenario. Each is scored with BLEU-4, METEOR, ROUGE-L and
CIDEr-D, summed over the segments of a domain (internal: WTS; external: BDD_PC_5K) and divided by the number of
reference segments, so that a missing one counts as zero. Pedestrian and vehicle are averaged per metric, the score is
(100 BLEU + 100 METEOR + 100 ROUGE-L + 10 CIDEr-D) / 4, and the total is the mean of the domains.

Where the official evaluator stops or overlooks something, this does otherwise:

- A reference caption without a word cannot be scored. It is left out of its road user's count, and the warnings say
  how many are. A road user or a domain without any reference is left out of the mean.
- A reference file, or a phase in it, that cannot be used is left out with a warning, as when the data set is read. Of
  two references for the same scenario the first in order of path counts, and a warning names the other.
- A scenario that has captions of the vehicle view only is scored with those; otherwise those of the overhead view
  count.
- Phases are compared as phases, whether they are labelled by digit or by word.

With `official_quirks` it overlooks the same: captions of the vehicle view, predictions for scenarios whose name does
not begin with 2023 (internal) or video (external), predictions whose label is spelled otherwise than in the
reference; and it takes characters of `_caption.json` off both ends of a file's name, which can damage the name of the
scenario.
"""

from __future__ import annotations

from collections.abc import Collection
from math import fsum
from pathlib import Path

from cityscribe.evaluate.caption_metrics import score_captions
from cityscribe.evaluate.provenance import provenance
from cityscribe.evaluate.registries import POINTS, MetricBackend
from cityscribe.evaluate.wordnet import SOURCE, table_sha256
from cityscribe.files import InputError
from cityscribe.traffic.captions import Segments
from cityscribe.traffic.metrics.caption_files import (
    PairedCaptions,
    read_predictions,
    read_references,
    warn_about,
    warn_about_unknown,
)
from cityscribe.traffic.metrics.caption_scores import CaptionScores, DomainScores, score_domains
from cityscribe.traffic.scenario import Domain

ZERO = dict.fromkeys(POINTS, 0.0)
OFFICIAL_PREFIXES: dict[Domain, str] = {"internal": "2023", "external": "video"}


def evaluate_wts(
    references: Path,
    predictions: Path,
    *,
    split: str | None = None,
    official_quirks: bool = False,
    backend: MetricBackend = "python",
    without: Collection[str] = (),
) -> CaptionScores:
    """Score a file of predictions in the submission format against the captions of a WTS data set.

    References are the files `*_caption.json` below any folder `annotations` of the data set, external ones below a
    folder BDD_PC_5K or BDD_TC_5K, in any case. `split` takes those of one split, and those in no split's folder;
    `without` leaves scenarios out.
    Raises InputError where the predictions are missing or malformed, or the references hold nothing to score.
    """
    if backend != "python":
        raise InputError(f"evaluate.backend={backend}: the profile wts has one backend, python")
    warnings: list[str] = []
    expected = read_references(references, split, official_quirks, warnings, without)
    predicted = read_predictions(predictions)
    warn_about_unknown(warnings, predictions, expected, predicted)
    if official_quirks:
        predicted, overlooked = _as_officially_seen(expected, predicted)
        warn_about(warnings, predictions, overlooked, "predicted phases that the official evaluator overlooks")
    domains, segments = score_domains(
        references, predictions, expected, predicted, _score_domain, warnings, "count as zero"
    )
    profile = "wts, official quirks" if official_quirks else "wts"
    made_by = {
        **provenance(profile, split, expected, predictions, ("numpy",)),
        "wordnet": SOURCE,
        "wordnet_sha256": table_sha256(),
    }
    return CaptionScores(domains, segments, tuple(warnings), made_by)


def _score_domain(paired: PairedCaptions, segments: dict[str, dict[str, float]]) -> DomainScores | None:
    """A domain's means and score; adds to the segments. None where no reference holds a word."""
    means = {}
    for role, captions in paired.captions.items():
        said = {key: (reference, given) for key, (reference, given) in captions.items() if given is not None}
        segments |= zip(said, score_captions(list(said.values())), strict=True)
        if captions:
            means[role] = _means([segments.get(key, ZERO) for key in captions])
    if not means:
        return None
    mean = _means(list(means.values()))
    score = sum(points * mean[metric] for metric, points in POINTS.items()) / len(POINTS)
    return DomainScores(means, mean, paired.phases, score)


def _means(metrics: list[dict[str, float]]) -> dict[str, float]:
    # An exactly rounded sum does not depend on the order of the scenarios.
    return {metric: fsum(values[metric] for values in metrics) / len(metrics) for metric in POINTS}


def _as_officially_seen(
    expected: dict[Domain, dict[str, Segments]], predicted: dict[str, Segments]
) -> tuple[dict[str, Segments], list[str]]:
    """The predictions that the official evaluator finds for the references, and the phases that it overlooks."""
    seen: dict[str, Segments] = {}
    overlooked: list[str] = []
    for domain, scenarios in expected.items():
        for scenario in scenarios.keys() & predicted.keys():
            named = scenario.startswith(OFFICIAL_PREFIXES[domain])
            for phase, segment in predicted[scenario].items():
                reference = scenarios[scenario].get(phase)
                if named and reference and reference.label == segment.label:
                    seen.setdefault(scenario, {})[phase] = segment
                else:
                    overlooked.append(f"{scenario}/{phase}")
    return seen, sorted(overlooked)

"""A checkpoint is probed: questions are changed, asked again and compared. What `cityscribe probe MODEL DATA` does.

    OUT/probes.json         what each probe found, with intervals, and the keys of questions that show a fault
    OUT/index.html          the same as a page, with examples
    OUT/answers.jsonl       an answer a line: to the plain questions, then to the changed ones
    OUT/blind.jsonl         to the plain questions without images
    OUT/likelihoods.jsonl   how likely each option is, where a probe wants to know
    OUT/images/             the changed images, and those of the probes' own questions
    OUT/before/             the answers of the model that it is compared with

Asked are questions with options and images whose right answer is known, and those that probes bring, through the same
engine and by the same settings (`predict.choices`, ...) as every prediction. A stopped call goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

from cityscribe import __version__
from cityscribe.evaluate.probes import PROBES
from cityscribe.evaluate.probes.probe import OwnQuestions, Probe, ProbeLine, ProbeResult, difference
from cityscribe.files import InputError, write_json, write_text
from cityscribe.pipeline.step import Watch
from cityscribe.probe.answers import asked_answers, found_by
from cityscribe.probe.asking import (
    PreparedQuestion,
    own_question,
    prepared_questions,
    prepared_variants,
    usable_samples,
)
from cityscribe.probe.choices import as_choices
from cityscribe.probe.page import shown_probes
from cityscribe.project import Settings
from cityscribe.records import Sample
from cityscribe.report.probe_page import render_probes


@dataclass(frozen=True, slots=True)
class Probed:
    """What probes found, by name, of how many questions, and how many samples are not asked, by reason.

    `since` is by how much the fault of each probe grew against the model that it is compared with."""

    results: dict[str, ProbeResult]
    questions: int
    left_out: dict[str, int]
    since: dict[str, ProbeLine] = field(default_factory=dict)

    def worse(self) -> list[str]:
        """The probes whose fault surely grew; without a comparison those that failed."""
        if self.since:
            return [kind for kind, line in self.since.items() if line.interval is not None and line.interval.low > 0]
        return [kind for kind, result in self.results.items() if result.finding == "failed"]


def probe(
    samples: Sequence[Sample],
    root: Path,
    model: Path | str,
    settings: Settings,
    out: Path,
    *,
    kinds: Sequence[str],
    questions: int,
    watch: Watch,
    before: Path | str | None = None,
) -> Probed:
    """Probe a model with at most so many of the samples, which are drawn by `settings.seed`; their images lie in
    `root`. With `before` another model is asked the same, and the faults of both are compared. Writes
    `out/probes.json` and `out/index.html`, last.

    Raises InputError for a probe that there is not, where no question can be asked, and as `predict_conversations`.
    """
    members = {kind: PROBES[kind] for kind in kinds}
    samples = as_choices(samples)
    usable, left_out = usable_samples(samples)
    if not usable and not any(isinstance(member, OwnQuestions) for member in members.values()):
        reasons = ", ".join(f"{count} {why}" for why, count in left_out.items())
        raise InputError(f"{root}: has no question that can be probed: {reasons or 'no samples'}")
    drawn = sorted(Random(settings.seed).sample(range(len(usable)), min(questions, len(usable))))
    out.mkdir(parents=True, exist_ok=True)
    asked = prepared_questions(samples, [usable[n] for n in drawn], root)
    asked = _prepared(asked, members, questions, out, settings.seed, watch)
    answers, problem = asked_answers(asked, members, model, settings, out, watch)
    results, missed = found_by(members, answers, model, settings, problem)
    left_out.update(missed)
    for kind, member in members.items():
        if isinstance(member, Probe) and len(answers[kind]) < len(drawn):
            left_out[f"cannot be changed by {kind}"] = len(drawn) - len(answers[kind])
    since = {}
    if before is not None:
        (out / "before").mkdir(exist_ok=True)
        earlier, problem = asked_answers(asked, members, before, settings, out / "before", watch)
        then, _ = found_by(members, earlier, before, settings, problem)
        since = {
            kind: difference("fault, more than before", answers[kind], now.faults, then[kind].faults, settings.seed)
            for kind, now in results.items()
            if kind in then
        }
    found = Probed(results, len(asked), dict(left_out), since)
    write_json(out / "probes.json", {**_to_json(found), "seed": settings.seed, "cityscribe": __version__})
    shown = shown_probes(asked, results, since, answers)
    names = str(model), "" if before is None else str(before)
    write_text(out / "index.html", render_probes(shown, *names, found.questions, found.left_out))
    return found


def _prepared(
    asked: list[PreparedQuestion], members: Mapping[str, object], count: int, out: Path, seed: int, watch: Watch
) -> list[PreparedQuestion]:
    """The questions of the data set with their variants, where a probe wants them, and those that probes bring."""
    everyone = [each.question for each in asked]
    changing = {kind: member for kind, member in members.items() if isinstance(member, Probe)}
    bringing = {kind: member for kind, member in members.items() if isinstance(member, OwnQuestions)}
    if len(bringing) == len(members):
        asked = []
    with watch("images") as progress:
        for done, each in enumerate(asked):
            for kind, member in changing.items():
                each.changed[kind] = prepared_variants(each, member.variants(each.question, everyone), out, seed)
            progress(done + 1, len(asked))
    with watch("views") as progress:
        for done, (kind, own) in enumerate(bringing.items()):
            brought = own.questions(out / "images" / kind, count, seed)
            asked += [own_question(each, kind, number, out, seed) for number, each in enumerate(brought)]
            progress(done + 1, len(bringing))
    return asked


def _to_json(found: Probed) -> dict[str, object]:
    probes = {
        kind: {
            "finding": result.finding,
            "why": result.why,
            "fault": asdict(result.fault),
            "lines": [asdict(line) for line in result.lines],
            "examples": list(result.examples),
            **({"since": asdict(found.since[kind])} if kind in found.since else {}),
        }
        for kind, result in found.results.items()
    }
    return {"questions": found.questions, "left_out": found.left_out, "probes": probes}

"""Describe clips and write the table: clip by clip, with a journal, so that a killed call goes on where it was.

    TABLE.csv, TABLE.json, TABLE.html     what was asked for, by suffix
    TABLE.csv.work/                       while it runs: the journal of finished clips, and pictures

A batch is a clip, whatever else is described beside it: the rows of a clip do not depend on the others, nor on how
often the call was stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cityscribe.describe.asking import confidence_of, facts_of, phase_of, question, without_absent
from cityscribe.describe.clips import DescribedClip, Span, find_clips, labelled, reason_of
from cityscribe.describe.gallery import to_html
from cityscribe.describe.pictures import ClipPictures, picture_spans
from cityscribe.describe.road_users import By, Presence, by_asking, by_boxes
from cityscribe.describe.rows import Described, DescribedRow, of_entry, to_csv, to_entry, to_json
from cityscribe.describe.settings import Describing
from cityscribe.digest_store import DigestStore
from cityscribe.engine.request import UNANSWERED, Answer, Engine, Request
from cityscribe.files import InputError, remove_folder, write_text
from cityscribe.media.video import VideoError, probe
from cityscribe.predict.journal import Journal
from cityscribe.predict.sequential import AskedScene, ask
from cityscribe.prepare.views import named_by_marks, without_own_box
from cityscribe.progress import Progress, silent
from cityscribe.sources.tracks import with_tracks
from cityscribe.traffic.metrics.attributes import rules_sha256
from cityscribe.traffic.prompts import Prompts, load_prompts
from cityscribe.traffic.scenario import ROLES, View, ViewKind

if TYPE_CHECKING:
    from cityscribe.detect.detector import Detector

WRITERS = (".csv", ".json", ".html")


@dataclass(frozen=True, slots=True)
class Options:
    """How clips are described."""

    span_s: float | None = None  # even parts of about this length; None: phases where there are any, else SPAN_S
    camera: ViewKind = "overhead"  # of clips whose data set does not say it
    detector: str = ""  # folder or hub id of an object detector; empty: boxes of the data set, else the model is asked
    threshold: float = 0.5  # score from which a detected object counts
    tuned: bool = False  # whether the model was tuned on questions that name a phase


@dataclass(frozen=True, slots=True)
class Table:
    """What was described, in counts."""

    clips: int
    unread: tuple[tuple[str, str], ...]  # clips that could not be opened, and why
    spans: int
    found: dict[str, int]  # role -> spans in which it was found
    unanswered: int  # spans of which something could not be answered


def describe(
    places: Sequence[Path],
    model: str,
    outputs: Sequence[Path],
    settings: Describing,
    options: Options,
    load: Callable[[], Engine],
    *,
    progress: Progress | None = None,
) -> Table:
    """Describe the clips of `places` and write the table in each of `outputs`, by its suffix.

    `load` opens the engine of `model`, when it is first needed; `settings` are those that the model is asked by.
    `progress` is called with the spans that are done and all. Raises InputError for places and outputs that cannot be
    used, where no clip can be opened or nothing is answered, and for files that cannot be written.
    """
    _check_outputs(outputs)
    clips = find_clips(places, options.camera, options.span_s)
    if not any(clip.spans for clip in clips):
        raise InputError(f"{places[0]}: none of {len(clips)} clips can be opened; {clips[0].name}: {clips[0].problem}")
    work = outputs[0].with_name(outputs[0].name + ".work")
    try:
        work.mkdir(parents=True, exist_ok=True)
        known = DigestStore(work / "digests.json")
        journal = Journal(work / "clips.jsonl", _key(model, settings, options, known))
        known.save()
        worker = _Worker(work, settings, options, load_prompts(settings.prepare.prompts), load)
        rows = _rows_of_all(clips, worker, journal, progress or silent)
        try:
            _refuse_silence(rows, model)
        except InputError:
            remove_folder(work)  # what made all of them fail may be mended without a change of the settings
            raise
        written = {".csv": to_csv, ".json": to_json, ".html": lambda rows: to_html(rows, work, _title(places), model)}
        for output in outputs:
            write_text(output, written[output.suffix.lower()](rows))
        remove_folder(work)
    except OSError as error:
        raise InputError(f"{error.filename or outputs[0]}: cannot be written: {error.strerror or error}") from error
    return Table(
        clips=len(clips),
        unread=tuple((clip.name, clip.problem) for clip in clips if not clip.spans),
        spans=sum(row.span is not None for row in rows),
        found={role: sum(_has(row, role) for row in rows) for role in ROLES},
        unanswered=sum(row.span is not None and bool(row.problem) for row in rows),
    )


def _has(row: DescribedRow, role: str) -> bool:
    return role in row.road_users and bool(row.road_users[role].found)


def _check_outputs(outputs: Sequence[Path]) -> None:
    for output in outputs:
        if output.suffix.lower() not in WRITERS:
            raise InputError(f"{output}: expected a name that ends in {', '.join(WRITERS)}")
        if output.is_dir():
            raise InputError(f"{output}: is a folder; name a file")


def _title(places: Sequence[Path]) -> str:
    names = [place.resolve().name for place in places]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _rows_of_all(
    clips: Sequence[DescribedClip], worker: _Worker, journal: Journal, progress: Progress
) -> list[DescribedRow]:
    known = {entry["clip"]: entry["rows"] for entry in journal.finished}
    total = sum(len(clip.spans) for clip in clips)
    done = 0
    rows: list[DescribedRow] = []
    progress(0, total)
    try:
        for clip in clips:
            if not clip.spans:
                rows.append(DescribedRow(clip.name, problem=clip.problem))
                continue
            identity = _identity(clip)
            entries = known.get(identity)
            if entries is None:
                entries = [to_entry(row) for row in worker.rows(clip, identity)]
                journal.append({"clip": identity, "rows": entries})
            rows += [of_entry(entry) for entry in entries]
            done += len(clip.spans)
            progress(done, total)
    finally:
        journal.close()
    return rows


def _refuse_silence(rows: Sequence[DescribedRow], model: str) -> None:
    """A model that answered nothing has described nothing."""
    asked = [
        row for row in rows if row.span is not None and any(each.found is not False for each in row.road_users.values())
    ]
    if asked and all(not each.description for row in asked for each in row.road_users.values()):
        first = next((row for row in asked if row.problem), None)
        if first is not None:
            raise InputError(f"{model}: describes nothing; the first, {first.clip}: {first.problem}")


def _identity(clip: DescribedClip) -> str:
    """A hash of what decides the rows of a clip, beside the model and the options."""
    status = clip.view.video.stat()
    told = [clip.name, str(clip.view.video.resolve()), status.st_size, status.st_mtime_ns]
    told += [[asdict(span) for span in clip.spans], clip.view.kind]
    told += [{role: [asdict(box) for box in boxes] for role, boxes in clip.view.boxes.items()}]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _key(model: str, settings: Describing, options: Options, known: DigestStore) -> str:
    """A hash of what decides the rows of every clip: with another one all is described anew."""
    from cityscribe.models.card_files import deciding_files
    from cityscribe.models.load import resolve_base

    def files_of(base: str) -> list[Any]:
        folder = Path(resolve_base(base))
        if not folder.is_dir():
            return [base]
        return [[path.relative_to(folder).as_posix(), known.of(path)] for path in deciding_files(folder)]

    prompts = settings.prepare.prompts
    told = [
        {name: metadata.version(name) for name in ("torch", "transformers")},
        [settings.seed, settings.predict.model_dump(mode="json"), settings.prepare.model_dump(mode="json")],
        [model] if settings.predict.engine == "remote" else files_of(model),
        files_of(options.detector) if options.detector else [],
        [asdict(options), rules_sha256(), "" if prompts is None else known.of(prompts)],
    ]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


class _Worker:
    """What it takes to describe one clip after the other; models are loaded when they are first needed."""

    def __init__(
        self, work: Path, settings: Describing, options: Options, prompts: Prompts, load: Callable[[], Engine]
    ) -> None:
        self.work, self.settings, self.options, self.prompts = work, settings, options, prompts
        self._load = load
        self._engine: Engine | None = None
        self._detector: Detector | None = None

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            self._engine = self._load()
        return self._engine

    def rows(self, clip: DescribedClip, folder: str) -> list[DescribedRow]:
        """The rows of a clip, one a span. What cannot be decoded of it is a problem of its rows."""
        try:
            clip = self._detected(clip)
            view = without_own_box(labelled(clip), self.settings.prepare)
            pictures = picture_spans(view, self.settings.prepare, self.work / folder)
            duration_s = probe(view.video).duration_s
        except VideoError as error:
            why = reason_of(clip.view.video, error)
            return [self._row(clip, span, ClipPictures(problem=why), {}, {}) for span in clip.spans]
        self.engine.forget()
        present = self._present(clip, view, pictures)
        phases = [phase_of(span, duration_s, self.options.tuned) for span in clip.spans]
        scenes = []
        for picture, there, phase in zip(pictures, present, phases, strict=True):
            roles = [role for role in ROLES if role in there and there[role].found]
            named = named_by_marks(picture.marked, view.kind, self.settings.prepare)
            questions = {
                role: question(self.prompts, view.kind, phase, named, role, [other for other in roles if other != role])
                for role in roles
            }
            scenes.append(AskedScene(picture.images, questions))
        answers = ask(self.engine, scenes, self.settings.predict.order, self._asking())
        return [self._row(clip, *each) for each in zip(clip.spans, pictures, present, answers, strict=True)]

    def _asking(self) -> Request:
        from cityscribe.predict.stage import asking

        return replace(asking(self.settings), logprobs=True)

    def _detected(self, clip: DescribedClip) -> DescribedClip:
        """The clip with the boxes that a detector finds in the place of those that it had. Raises VideoError."""
        if not self.options.detector:
            return clip
        from cityscribe.detect.clips import DetectOptions, join, look_through
        from cityscribe.detect.detector import load_detector

        if self._detector is None:
            self._detector = load_detector(self.options.detector)
        looking = DetectOptions(threshold=self.options.threshold)
        view = replace(clip.view, boxes={})
        tracks = join(look_through(view, self._detector, looking), view, probe(view.video).fps, looking)
        assert clip.scenario is not None
        (scenario,) = with_tracks([replace(clip.scenario, views=(view,))], {view.name: tracks})
        return replace(clip, scenario=scenario)

    def _present(self, clip: DescribedClip, view: View, pictures: Sequence[ClipPictures]) -> list[dict[str, Presence]]:
        """Who is in each span, by role; nobody is said of a span without a picture."""
        known: By = "detector" if self.options.detector else "annotation"
        boxed = bool(self.options.detector) or any(clip.view.boxes.values())
        present: list[dict[str, Presence]] = [{} for _ in pictures]
        unknown: list[tuple[int, str]] = []
        for place, (span, picture) in enumerate(zip(clip.spans, pictures, strict=True)):
            for role in ROLES if picture.images else ():
                if boxed or (role == "vehicle" and view.kind == "vehicle"):
                    present[place][role] = by_boxes(view, span.number, role, known)
                else:
                    unknown.append((place, role))
        asked = [(Request((), pictures[place].images), role) for place, role in unknown]
        for (place, role), presence in zip(unknown, by_asking(self.engine, asked), strict=True):
            present[place][role] = presence
        return present

    def _row(
        self,
        clip: DescribedClip,
        span: Span,
        picture: ClipPictures,
        there: dict[str, Presence],
        answers: dict[str, Answer],
    ) -> DescribedRow:
        problems = [picture.problem] if picture.problem else []
        absent = [role for role, presence in there.items() if presence.found is False]
        said: dict[str, str] = {}
        users: dict[str, Described] = {}
        for role, presence in there.items():
            text, confidence = "", None
            if presence.problem:
                problems.append(f"{role}: {presence.problem}")
            if role in answers:
                text, left_out = without_absent(answers[role].text, [other for other in absent if other != role])
                confidence = confidence_of(answers[role]) if text else None
                problems += _told(role, answers[role], left_out, absent)
                if text:
                    said[role] = text
            users[role] = Described(presence.found, presence.by, presence.probability, text, confidence)
        facts = facts_of(said)
        users = {role: replace(user, facts=facts.get(role, {})) for role, user in users.items()}
        return DescribedRow(
            clip=clip.name,
            camera=clip.view.kind,
            span=clip.spans.index(span) + 1,
            start_s=round(span.start_s, 3),
            end_s=round(span.end_s, 3),
            phase=span.phase,
            shown_s=round(picture.time_s, 3) if picture.images else None,
            road_users=users,
            scene=facts["scene"],
            problem="; ".join(problems),
            picture=picture.thumbnail.relative_to(self.work).as_posix() if picture.images else "",
        )


def _told(role: str, answer: Answer, left_out: int, absent: Sequence[str]) -> Iterable[str]:
    """What is to be said of an answer that is less than one."""
    if answer.problem in UNANSWERED:
        yield f"{role}: not answered: {answer.reason}"
    elif answer.problem:
        yield f"{role}: {SAID[answer.problem]}"
    if left_out:
        others = " or ".join(other for other in absent if other != role)
        yield f"{role}: {left_out} sentences about a {others} left out, because none was found"


SAID = {
    "empty": "the model said nothing",
    "cut": "the description was cut at predict.max_new_tokens",
    "non-finite": "the model gave no finite numbers",
}

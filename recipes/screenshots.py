"""The pictures of docs/gallery.md and the first one of README, from a finished run on the synthetic city.

    cityscribe demo
    python -m recipes.screenshots runs/demo                # all of them, into docs/images
    python -m recipes.screenshots runs/demo report browse  # some of them

Needs Chromium, and the packages of the extra `dev`. A picture is WebP of at most 150 kB.
"""

from __future__ import annotations

import base64
import contextlib
import html
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pypdfium2
from PIL import Image

from cityscribe.evaluate.question_scores import evaluate_questions
from cityscribe.files import write_json
from cityscribe.letters import LETTERS
from cityscribe.project import Settings, load_settings, resolve
from cityscribe.records import Sample, message, read_samples, text_block, write_samples
from cityscribe.report.page import write_report
from cityscribe.report.question_page import write_question_report
from cityscribe.report.run_files import Attributes, read_run
from cityscribe.report.samples import Card, sample_cards
from cityscribe.stats.page import write_stats
from cityscribe.traffic.meta import TrafficMeta
from tests.serve.chromium import Page, browser

IMAGES = Path(__file__).parents[1] / "docs" / "images"
MOST_BYTES = 150_000
DESKTOP, PHONE = (1400, 900), (390, 844)
A4 = (8.27, 11.69)
WEATHER = ("clear", "cloudy", "rainy", "foggy", "snowy")


def report(page: Page, run: Path, folder: Path) -> None:
    """The page of a run: above, in the dark, on a phone, its curve, and its first sheet of paper."""
    page.open(write_report(run, settings_of(run), folder).as_uri(), DESKTOP)
    shoot(page, "report")
    dark(page, True)
    shoot(page, "report-dark")
    dark(page, False)
    page.run("document.querySelector('#training').scrollIntoView()")
    shoot(page, "report-training")
    save(first_sheet(page.print(A4)), "report-print")
    page.open((folder / "index.html").as_uri() + "?phone", PHONE)
    shoot(page, "report-phone")


def questions(page: Page, run: Path, folder: Path) -> None:
    """The page of a run of questions: what each caption of the run says of the weather, as questions with options."""
    made = resolve({"runs": str(folder), "data": {"source": "wts-vqa", "path": str(folder)}, "report": {"samples": 6}})
    prepared = made.run_dir / "prepared"
    prepared.mkdir(parents=True)
    (prepared / "images").symlink_to((run / "prepared" / "images").resolve())
    for name in ("", "baselines/blind"):
        _answer(run / name, made.run_dir / name, run, prepared)
    page.open(write_question_report(made.run_dir, made, folder / "page").as_uri(), DESKTOP)
    shoot(page, "questions")


def _answer(said: Path, home: Path, run: Path, prepared: Path) -> None:
    segments = Attributes.model_validate_json((said / "attributes.json").read_text()).segments
    samples, lines = [], []
    for sample in read_samples(run / "prepared" / "val.parquet"):
        meta = sample.meta
        assert isinstance(meta, TrafficMeta)
        facts = segments.get(f"{meta.scenario}/{meta.phase}/{meta.target}")
        if meta.kind != "long" or facts is None or facts.stated.get("weather") not in WEATHER:
            continue
        listed = "\n".join(f"{LETTERS[n]}. {word}" for n, word in enumerate(WEATHER))
        asked = message("user", text_block(f"What is the weather like?\n{listed}\nSay a letter."))
        right = message("assistant", text_block(LETTERS[WEATHER.index(facts.stated["weather"])]))
        name = f"{meta.scenario}_{meta.phase}_{meta.target}"
        about = TrafficMeta(
            scenario=meta.scenario, phase=meta.phase, kind="choice", question=name, options=WEATHER, split="val"
        )
        samples.append(Sample((asked, right), sample.images[-1:], meta.scenario, about))
        answer = facts.said.get("weather", "")
        lines.append(json.dumps({"id": name, "scenario": meta.scenario, "answer": answer}) + "\n")
    write_samples(prepared / "val.parquet", samples)
    home.mkdir(parents=True, exist_ok=True)
    (home / "predictions.jsonl").write_text("".join(lines))
    scores = evaluate_questions(home / "predictions.jsonl", samples)
    write_json(home / "scores.json", scores.total)
    write_json(home / "segments.json", scores.segments)
    write_json(home / "scores.provenance.json", {**scores.provenance, "warnings": list(scores.warnings)})


def stats(page: Page, run: Path, folder: Path) -> None:
    """The page of counts."""
    write_stats(settings_of(run).data.path, "wts", folder)
    page.open((folder / "index.html").as_uri() + "#boxes", DESKTOP)
    shoot(page, "stats")


def browse(page: Page, run: Path, folder: Path) -> None:
    """The browser: pictures of all entries, one of them, what is corrected in it, a phone."""
    with service("data", "browse", str(run), "--port", "0") as address:
        page.open(address, DESKTOP)
        page.wait("document.querySelectorAll('.cards img').length > 3")
        page.run("document.querySelector('#order').value = 'worst'")
        page.run("document.querySelector('#order').dispatchEvent(new Event('change'))")
        page.wait("document.querySelector('.grid p').textContent.endsWith('fewest points first')")
        page.wait(loaded(".cards img", 8))
        shoot(page, "browse")
        page.run("[...document.querySelectorAll('.cards a')][1].click()")
        page.wait("window.browse.entry && browse.player && browse.player.mode")
        page.run("browse.player.seek(browse.entry.views[0].phases[2].frame)")
        page.wait("browse.player.frame == browse.entry.views[0].phases[2].frame")
        page.wait(
            "[...document.querySelectorAll('#phases img')].slice(0, 3).every((i) => i.complete && i.naturalWidth)"
        )
        shoot(page, "browse-entry")
        page.press("c")
        page.wait("document.querySelector('#correct').getAttribute('aria-pressed') == 'true'")
        shoot(page, "browse-correct")
        page.open(f"{address}/?phone", PHONE)
        page.wait(loaded(".cards img", 2))
        shoot(page, "browse-phone")


def serve(page: Page, run: Path, folder: Path) -> None:
    """The page of the service: before a clip is chosen, with the sample described, printed, on a phone."""
    with service("serve", str(run / "model"), "--set", "serve.port=0") as address:
        page.open(address, (1400, 460))
        page.wait("!document.querySelector('#knows').hidden", 600)
        shoot(page, "serve-start")
        page.open(f"{address}/?desktop", DESKTOP)
        page.wait("!document.querySelector('#knows').hidden")
        page.run("document.querySelector('#sample').click()")
        page.wait("video.readyState >= 2 && state.boxes.length > 5 && phases().length == 5")
        page.run("document.querySelector('#describe').click()")
        page.wait("document.querySelector('#status').textContent == 'Described'", 600)
        page.run("seek(state.boxes[1].time_s)")
        page.wait("!video.seeking && document.querySelector('#caption').textContent")
        shoot(page, "serve")
        save(first_sheet(page.print(A4)), "serve-print")
        width, height = PHONE
        page.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=True)
        page.wait("innerWidth == 390")
        shoot(page, "serve-phone")


def first(page: Page, run: Path, folder: Path) -> None:
    """The first picture of README: a frame with its boxes, and the sentences that the model says about it."""
    settings = settings_of(run)
    found = read_run(run, settings)
    marked = tuple(phase for phase in found.phases if len(phase.marked) == 2 and phase.view_kind == "overhead")
    card = max(sample_cards(found, run / "prepared", settings, marked), key=_telling)
    said = "".join(
        f"<h2><i class={role.role}></i>{role.role.capitalize()}</h2><p>{html.escape(role.said[0].caption or '')}</p>"
        for role in sorted(card.roles, key=lambda role: role.role)
    )
    style = """body{margin:0;display:grid;grid-template-columns:720px 1fr;gap:28px;padding:24px;background:#fff;
        font:17px/1.45 system-ui,sans-serif;color:#1b1f24;width:1352px}img{width:720px;border-radius:6px}
        h2{margin:0 0 4px;font-size:19px}p{margin:0 0 14px}div{align-self:center}
        i{display:inline-block;width:14px;height:12px;margin-right:8px;border:3px solid #00c400}
        i.vehicle{border-color:#00f}"""
    image = max(card.images, key=lambda one: one.width * one.height)
    page_file = folder / "first.html"
    page_file.write_text(
        f"<!doctype html><meta charset=utf-8><style>{style}</style><img src='{image.url}'><div>{said}</div>"
    )
    page.open(page_file.as_uri(), (1400, 460))
    page.wait("document.images[0].complete")
    height = page.run("Math.ceil(document.body.getBoundingClientRect().height)")
    page.open(f"{page_file.as_uri()}?again", (1400, height))
    page.wait("document.images[0].complete")
    shoot(page, "first")


def _telling(card: Card) -> tuple[bool, int]:
    """Captions that are as good as any, then the largest pedestrian."""
    whole = max(card.images, key=lambda one: one.width * one.height)
    person = next((frame for frame in whole.frames if frame.role == "pedestrian"), None)
    area = person.width * person.height if person is not None and len(whole.frames) == 2 else 0
    return (card.points or 0.0) > 95.0, area


PARTS: dict[str, Callable[[Page, Path, Path], None]] = {
    each.__name__: each for each in (report, questions, stats, browse, serve, first)
}


def settings_of(run: Path) -> Settings:
    return load_settings(run / "project.yaml")


@contextlib.contextmanager
def service(*command: str) -> Iterator[str]:
    """The address of a command that serves a page."""
    line = [sys.executable, "-m", "cityscribe", *command]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield next(text.strip() for text in process.stdout if text.startswith("http"))
        finally:
            process.kill()


def loaded(images: str, count: int) -> str:
    """Whether the first images of a selector are there, in JavaScript."""
    first = f"[...document.querySelectorAll('{images}')].slice(0, {count})"
    return f"{first}.filter((image) => image.complete && image.naturalWidth).length == {count}"


def dark(page: Page, on: bool) -> None:
    scheme = {"name": "prefers-color-scheme", "value": "dark" if on else "light"}
    page.send("Emulation.setEmulatedMedia", features=[scheme])


def shoot(page: Page, name: str) -> None:
    shot = page.send("Page.captureScreenshot")
    save(Image.open(io.BytesIO(base64.b64decode(shot["data"]))), name)


def first_sheet(pdf: bytes) -> Image.Image:
    found: Image.Image = pypdfium2.PdfDocument(pdf)[0].render(scale=1.4).to_pil()
    return found


def save(picture: Image.Image, name: str) -> None:
    """Write a picture as good as its size allows."""
    for quality in range(90, 20, -10):
        buffer = io.BytesIO()
        picture.convert("RGB").save(buffer, format="WEBP", quality=quality, method=6)
        if buffer.tell() <= MOST_BYTES:
            break
    (IMAGES / f"{name}.webp").write_bytes(buffer.getvalue())
    print(f"{name}.webp: {picture.width} x {picture.height}, {buffer.tell() // 1000} kB")


def main() -> None:
    run, *wanted = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder, browser(Path(folder) / "profile") as page:
        for name in wanted or PARTS:
            own = Path(folder) / name
            own.mkdir()
            PARTS[name](page, Path(run).resolve(), own)


if __name__ == "__main__":
    main()

"""The routes of the page, and what stands before them.

What an address names is looked up in the library: an id of an entry, the place of a view, the number of a frame. None
of it is part of a path. Everything is read-only but corrections, which are written beside the data set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, get_args

from fastapi import FastAPI, Query
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cityscribe.browse.corrections import CorrectionRequest as Correcting
from cityscribe.browse.detail import (
    conversation_detail,
    look,
    phase_key_frame,
    scenario_detail,
    thumbnail_frame,
    without_path,
)
from cityscribe.browse.library import Library
from cityscribe.browse.pictures import frame_jpeg, preview, thumbnail, thumbnail_of_image
from cityscribe.browse.search import Filter, ListOrder, find, row, terms_of
from cityscribe.files import InputError
from cityscribe.media.images import ImageError, as_png, is_plain, open_image
from cityscribe.media.kinds import HEAD_BYTES, image_format
from cityscribe.media.video import VideoError
from cityscribe.prepare.appearance import APPEARANCE, best_appearances
from cityscribe.serve.app import NO_TELEMETRY
from cityscribe.serve.guard import LOOPBACK, headers_of, host_name, is_foreign, security_headers
from cityscribe.traffic.scenario import PHASES, View

PAGE = {
    "index.html": "text/html",
    "style.css": "text/css",
    "page.js": "text/javascript",
    "list.js": "text/javascript",
    "parts.js": "text/javascript",
    "player.js": "text/javascript",
    "dom.js": "text/javascript",
    "grid.js": "text/javascript",
    "correct.js": "text/javascript",
}

HEADERS = (*security_headers("'self'"), (b"cache-control", b"private, max-age=0"))

MOST_ROWS = 500
"""Of one answer of the list."""

MOST_BYTES = 300_000
"""Of a correction: two captions of `corrections.MOST_CHARACTERS`, each character an escape."""


def browsing(library: Library) -> ASGIApp:
    """The ASGI application that shows a library."""
    app = FastAPI(
        title="cityscribe data browse",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry=NO_TELEMETRY,
        exception_handlers={RequestValidationError: as_invalid, HTTPException: as_refused, VideoError: _broken},
    )
    lookup = _Lookup(library, frozenset(entry.id for entry in library.entries))
    _add_list_routes(app, library, lookup)
    _add_view_routes(app, library, lookup)
    _add_sample_routes(app, library, lookup)
    _add_correction_routes(app, library, lookup)
    add_page(app, {name: ("cityscribe.browse", kind) for name, kind in PAGE.items()})
    return guarded_app(app)


@dataclass(frozen=True, slots=True)
class _Lookup:
    """Finds in a library what an address names. Raises HTTPException where that is nothing, or nothing to show."""

    library: Library
    ids: frozenset[str]  # of its entries

    def entry(self, id: str) -> str:
        if id not in self.ids:
            raise HTTPException(404, "there is no such entry")
        return id

    def view(self, id: str, place: int) -> View:
        scenario = self.library.scenarios.get(self.entry(id))
        if scenario is None or not 0 <= place < len(scenario.views):
            raise HTTPException(404, "there is no such view")
        view = scenario.views[place]
        if self.library.leads_out(view.video):
            raise HTTPException(404, "the video is a link out of the data set; --follow-links shows it")
        return view

    def image(self, id: str, number: int, place: int) -> Path:
        """The file of an image of a prepared sample."""
        library = self.library
        samples = library.samples_of(self.entry(id))
        if library.prepared is None or not 0 <= number < len(samples):
            raise HTTPException(404, "there is no such sample")
        images = samples[number]["images"]
        if not 0 <= place < len(images):
            raise HTTPException(404, "there is no such image")
        path = (library.prepared / images[place]).resolve()
        # The path was written by `prepare`; a file that somebody edited must not lead out of the folder.
        if not path.is_relative_to(library.prepared.resolve()):
            raise HTTPException(404, "not an image of the prepared data")
        if not path.is_file():
            raise HTTPException(404, "the image is no longer there")
        return path


def _add_list_routes(app: FastAPI, library: Library, lookup: _Lookup) -> None:
    """What there is, and an entry with all that is known of it."""

    @app.get("/api/about")
    def about() -> dict[str, Any]:
        return {
            "title": library.title,
            "kind": library.kind,
            "entries": len(library.entries),
            "problems": library.problems,
            "phases": PHASES,
            "splits": sorted({each.split for each in library.entries}),
            "filters": [name for name in get_args(Filter) if name == "all" or find(library.entries, "", name)],
            "scored": any(each.points is not None for each in library.entries),
            "corrected": None if library.corrections is None else library.corrections.target.name,
        }

    @app.get("/api/entries")
    def entries(
        q: Annotated[str, Query(max_length=200)] = "",
        which: Filter = "all",
        order: ListOrder = "name",
        split: Annotated[str, Query(max_length=10)] = "",
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 100,
    ) -> dict[str, Any]:
        found = find(library.entries, q, which, order, split)
        terms = terms_of(q)
        return {"total": len(found), "rows": [row(each, terms) for each in found[offset : offset + limit]]}

    @app.get("/api/entries/{id}")
    def detail(id: str) -> dict[str, Any]:
        lookup.entry(id)
        return scenario_detail(library, id) if library.kind == "scenarios" else conversation_detail(library, id)

    @app.get("/api/entries/{id}/place")
    def place_of(
        id: str,
        q: Annotated[str, Query(max_length=200)] = "",
        which: Filter = "all",
        order: ListOrder = "name",
        split: Annotated[str, Query(max_length=10)] = "",
    ) -> dict[str, int]:
        """Where an entry stands in a list, -1 where it is not in it."""
        lookup.entry(id)
        found = find(library.entries, q, which, order, split)
        return {"place": next((n for n, each in enumerate(found) if each.id == id), -1)}


def _add_correction_routes(app: FastAPI, library: Library, lookup: _Lookup) -> None:
    """The one thing that is written."""

    @app.post("/api/entries/{id}/corrections")
    def correct(id: str, body: Correcting) -> dict[str, Any]:
        """Correct an entry, and give it as it is then."""
        lookup.entry(id)
        if library.corrections is None:
            raise HTTPException(404, "only data sets in the layout of WTS can be corrected here")
        try:
            library.replace_scenario(id, library.corrections.correct(library.scenarios[id], body))
        except InputError as error:
            raise HTTPException(409, without_path(str(error))) from error
        return scenario_detail(library, id)


def _add_view_routes(app: FastAPI, library: Library, lookup: _Lookup) -> None:
    """Videos, their frames, and the images that are made of a phase."""

    @app.get("/api/entries/{id}/thumbnail")
    def thumbnail_of(id: str) -> Response:
        if library.kind == "scenarios":
            found = thumbnail_frame(library, lookup.entry(id))
            if found is None:
                raise HTTPException(404, "none of its videos can be read")
            return Response(thumbnail(found[0].video, found[1]), media_type="image/jpeg")
        try:
            return Response(thumbnail_of_image(lookup.image(id, 0, 0)), media_type="image/jpeg")
        except (ImageError, OSError) as error:
            raise HTTPException(404, "not an image of the prepared data") from error

    @app.get("/api/entries/{id}/views/{place}/video")
    def video(id: str, place: int) -> Response:
        path = lookup.view(id, place).video
        if not path.is_file():
            raise HTTPException(404, "the video is no longer there")
        return FileResponse(path)

    @app.get("/api/entries/{id}/views/{place}/frames/{number}")
    def frame(id: str, place: int, number: int) -> Response:
        return Response(frame_jpeg(lookup.view(id, place).video, number), media_type="image/jpeg")

    @app.get("/api/entries/{id}/views/{place}/phases/{number}/{kind}")
    def phase_image(id: str, place: int, number: int, kind: str) -> Response:
        view = lookup.view(id, place)
        key = phase_key_frame(look(view, library), number, with_gaze=library.settings.prepare.draw_gaze)
        if key is None or kind not in library.settings.prepare.images:
            raise HTTPException(404, "there is no such image")
        if kind == APPEARANCE:
            shown = [each for each in library.scenarios[id].views if not library.leads_out(each.video)]
            views = [look(each, library).boxed for each in shown]
            view, key = next(iter(best_appearances(views)), (view, key))
        return Response(preview(view.video, key, kind, library.settings.prepare), media_type="image/jpeg")


def _add_sample_routes(app: FastAPI, library: Library, lookup: _Lookup) -> None:
    """The images of prepared samples."""

    @app.get("/api/entries/{id}/samples/{number}/images/{place}")
    def sample_image(id: str, number: int, place: int) -> Response:
        path = lookup.image(id, number, place)
        try:
            if is_plain(path):
                return FileResponse(path, media_type=f"image/{image_format(path.read_bytes()[:HEAD_BYTES]).lower()}")
            return Response(as_png(open_image(path)), media_type="image/png")
        except (ImageError, OSError) as error:
            raise HTTPException(404, "not an image of the prepared data") from error


def add_page(app: FastAPI, files: Mapping[str, tuple[str, str]]) -> None:
    """The page itself: of each of its files the room that it lies in, and its type."""
    pages = {name: (resources.files(room) / "page" / name).read_bytes() for name, (room, _) in files.items()}

    @app.get("/")
    def page() -> Response:
        return Response(pages["index.html"], media_type="text/html; charset=utf-8")

    @app.get("/page/{name}")
    def page_part(name: str) -> Response:
        if name not in pages:
            raise HTTPException(404, "there is no such page")
        return Response(pages[name], media_type=f"{files[name][1]}; charset=utf-8")


def guarded_app(app: ASGIApp) -> ASGIApp:
    """Only this machine is served, and only pages of its own: a foreign page that a browser shows can send requests
    here too, but not without its own name in `Origin`, or in `Host` where it made a name point here."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
            await send(message)

        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = headers_of(scope)
        if is_foreign(headers) or host_name(headers) not in LOOPBACK:
            await JSONResponse({"error": "only pages of this machine are served"}, 403)(scope, receive, sending)
            return
        refusal = _why_not_written(scope["method"], headers)
        if refusal is not None:
            await refusal(scope, receive, sending)
            return
        await app(scope, receive, sending)

    return guarded


def _why_not_written(method: str, headers: Mapping[str, str]) -> JSONResponse | None:
    """The refusal of a request that would change something and is not the page's own; None for one that may.

    A browser says the origin of each such request. Forms of other pages cannot send JSON, and what is sent is counted
    before it is read.
    """
    if method in ("GET", "HEAD"):
        return None
    if "origin" not in headers or headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return JSONResponse({"error": "only the page itself can change something"}, 403)
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return JSONResponse({"error": "expected JSON"}, 415)
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        return JSONResponse({"error": "expected a body of known length"}, 411)
    if int(length) > MOST_BYTES:
        return JSONResponse({"error": f"up to {MOST_BYTES} bytes are taken"}, 413)
    return None


async def as_refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)


async def as_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return JSONResponse({"error": f"{first['loc'][-1]}: {first['msg']}"}, 422)


async def _broken(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": without_path(str(error))}, 404)

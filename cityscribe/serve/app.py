"""The routes of the service."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, File, Form, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Match

from cityscribe.project import Settings
from cityscribe.serve.chat import Chat, event_stream, sse
from cityscribe.serve.chat_request import ChatRequest
from cityscribe.serve.decoder import Decoder
from cityscribe.serve.describe import Describer, given_boxes, given_phases
from cityscribe.serve.guard import Guard
from cityscribe.serve.jobs import Job, Jobs
from cityscribe.serve.log import log
from cityscribe.serve.media import check_kind
from cityscribe.serve.metrics import CONTENT_TYPE, Metrics
from cityscribe.serve.model_process import ModelProcess
from cityscribe.serve.refusal import Refusal, disk_full, no_room
from cityscribe.serve.replies import Completion, Description, Model, Models, State, events, refusals
from cityscribe.traffic.prompts import load_prompts
from cityscribe.traffic.scenario import ViewKind

PAGE = {"index.html": "text/html", "style.css": "text/css", "page.js": "text/javascript"}

NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI would hand errors, with what they say about requests, to any OpenTelemetry of the environment."""


@dataclass(eq=False, slots=True)
class Service:
    """The parts of a running service."""

    guard: Guard
    jobs: Jobs
    model: ModelProcess
    decoder: Decoder
    loading: asyncio.Task[None]  # ends when the model is ready; raises InputError where it cannot be loaded
    stopping: bool = False

    async def drain(self, grace_s: float) -> None:
        """Take nothing new, let what is under way finish, and hand back what does not."""
        self.stopping = True
        log("stopping", requests=self.guard.admitted, jobs=self.jobs.unfinished)
        try:
            async with asyncio.timeout(grace_s):
                while self.guard.admitted or self.jobs.unfinished:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            log("handed-back", requests=self.guard.admitted, jobs=self.jobs.unfinished)
        await self.jobs.stop()
        await self.model.stop()


def model_name(checkpoint: str) -> str:
    """What clients call a checkpoint: its folder's name, or that of the run that it is the model of."""
    path = Path(checkpoint).resolve() if Path(checkpoint).exists() else Path(checkpoint)
    return path.parent.name if path.name == "model" and path.parent.name else path.name


def serving(
    checkpoint: str, drafts: Path, settings: Settings, token: str, folder: Path
) -> tuple[Guard, Callable[[], Service]]:
    """The ASGI application that serves a checkpoint, and what gives its parts once it runs.

    `folder` holds what is being worked on. Requests are taken while the model is still being loaded, and wait for it.
    """
    limits = settings.serve
    metrics = Metrics()
    service: list[Service] = []
    prompts = load_prompts(settings.prepare.prompts)
    pages = {name: (resources.files("cityscribe.serve") / "page" / name).read_bytes() for name in PAGE}

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        decoder = Decoder(limits, metrics)
        model = ModelProcess(checkpoint, drafts, settings, metrics)
        jobs = Jobs(limits, metrics, folder)
        running = Service(guard, jobs, model, decoder, asyncio.create_task(_load(model, decoder)))
        app.state.chat = Chat(model_name(checkpoint), model, decoder, limits, folder)
        app.state.describer = Describer(model, decoder, prompts, settings)
        service.append(running)
        try:
            yield
        finally:
            running.loading.cancel()
            await asyncio.gather(running.loading, return_exceptions=True)
            await jobs.stop()
            await model.stop()
            await decoder.stop()

    app = FastAPI(
        title="cityscribe",
        version=metadata.version("cityscribe"),
        lifespan=life,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        telemetry=NO_TELEMETRY,
        exception_handlers={RequestValidationError: _invalid, HTTPException: _refused},
    )

    def parts() -> Service:
        return service[-1]

    @app.get("/v1/models", summary="The model that is served", response_model=Models, responses=refusals())
    async def models() -> dict[str, Any]:
        found: dict[str, Any] = app.state.chat.models()
        return found

    @app.get("/v1/models/{name:path}", summary="One model", response_model=Model, responses=refusals(404, 422))
    async def model(name: str) -> dict[str, Any]:
        if name != app.state.chat.name:
            raise Refusal(404, "model_not_found", f"there is no model of this name here, only {app.state.chat.name}")
        found: dict[str, Any] = app.state.chat.described()
        return found

    @app.post(
        "/v1/chat/completions",
        summary="Answer a conversation about images, as OpenAI's API does",
        response_model=Completion,
        responses={200: events("the answer; with `stream` its pieces"), **refusals(400, 404, 415, 422, body=True)},
    )
    async def chat(body: ChatRequest, request: Request) -> Response:
        answered: Response = await app.state.chat.complete(body, request)
        return answered

    @app.post(
        "/v1/describe",
        status_code=202,
        summary="Describe the phases of a clip, as a job",
        response_model=Description,
        responses=refusals(400, 415, 422, body=True),
    )
    async def describe(
        video: Annotated[UploadFile, File(description="MP4, MOV, WebM, Matroska or AVI")],
        phases: Annotated[str, Form(description='JSON: [{"phase", "start_s", "end_s"}]; none: five equal parts')] = "",
        boxes: Annotated[str, Form(description='JSON: [{"role", "time_s", "xywh"}], pixels of the frame')] = "",
        view: Annotated[ViewKind, Form(description="where the camera is")] = "overhead",
        facts: Annotated[bool, Form(description="also the facts of each phase, as a table of fixed fields")] = False,
    ) -> JSONResponse:
        wanted, marks = given_phases(phases), given_boxes(boxes)
        check_kind(await video.read(16), "video", "video")
        await video.seek(0)
        job = parts().jobs.new(facts=facts)
        clip = job.folder / "clip"
        try:
            await asyncio.to_thread(_copy, video, clip)
        except BaseException:
            parts().jobs.drop(job)
            raise
        describer: Describer = app.state.describer
        parts().jobs.start(job, lambda job: describer.describe(job, clip, wanted, marks, view))
        return JSONResponse(_job(job, limits.keep_s), 202, {"Location": f"/v1/jobs/{job.id}"})

    @app.get(
        "/v1/jobs/{id}",
        summary="A job: how far it is, and what was said so far",
        response_model=Description,
        response_model_exclude_unset=True,
        responses=refusals(404, 422),
    )
    async def job(id: str) -> dict[str, Any]:
        return _job(parts().jobs.get(id), limits.keep_s)

    @app.get(
        "/v1/jobs/{id}/events",
        summary="What happens to a job, as server-sent events",
        response_class=EventSourceResponse,
        responses={200: events("status, phases, answer, facts"), **refusals(404, 422)},
    )
    async def happenings(id: str, request: Request, after: int = 0) -> EventSourceResponse:
        followed = parts().jobs.get(id)
        last = request.headers.get("last-event-id", "")
        seen = int(last) if last.isascii() and last.isdigit() and len(last) < 10 else max(after, 0)

        async def stream() -> AsyncGenerator[ServerSentEvent, None]:
            async for number, event, value in followed.follow(seen):
                yield sse(value, event=event, number=number)

        return event_stream(stream())

    @app.get(
        "/v1/jobs/{id}/images/{number}",
        summary="An image that the model was shown",
        response_class=FileResponse,
        responses={200: {"content": {"image/jpeg": {}}}, **refusals(404, 422)},
    )
    async def image(id: str, number: int) -> FileResponse:
        images = parts().jobs.get(id).images
        if not 0 <= number < len(images):
            raise Refusal(404, "no_such_image", "the job has no such image")
        return FileResponse(images[number], media_type="image/jpeg", headers={"Cache-Control": "private, no-store"})

    @app.delete(
        "/v1/jobs/{id}",
        summary="Cancel a job that is under way; forget one that is over",
        response_model=Description,
        response_model_exclude_unset=True,
        responses=refusals(404, 422),
    )
    async def delete(id: str) -> dict[str, Any]:
        jobs = parts().jobs
        ended = jobs.get(id)
        await jobs.cancel(ended)
        return _job(ended, limits.keep_s)

    @app.get("/healthz", summary="The service runs", response_model=State)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="The service answers", response_model=State, responses={503: {"model": State}})
    async def readyz() -> JSONResponse:
        ready = parts().model.ready and not parts().stopping
        return JSONResponse({"status": "ready" if ready else "not ready"}, 200 if ready else 503)

    @app.get(
        "/metrics",
        summary="Counters in the text format of Prometheus",
        response_class=PlainTextResponse,
        responses=refusals(),
    )
    async def counted() -> Response:
        return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return Response(pages["index.html"], media_type="text/html; charset=utf-8")

    @app.get("/page/{name}", include_in_schema=False)
    async def page_part(name: str) -> Response:
        if name not in pages:
            raise Refusal(404, "no_such_page", "there is no such page")
        return Response(pages[name], media_type=f"{PAGE[name]}; charset=utf-8")

    metrics.gauge("cityscribe_requests_under_way", "requests being answered", lambda: guard.admitted)
    guard = Guard(app, limits, token, metrics, lambda: bool(service) and parts().stopping)
    return guard, parts


async def _load(model: ModelProcess, decoder: Decoder) -> None:
    await asyncio.gather(model.start(), decoder.start())


def _copy(upload: UploadFile, target: Path) -> None:
    with target.open("wb") as file:
        shutil.copyfileobj(upload.file, file, 1 << 20)


def _job(job: Job, keep_s: float) -> dict[str, Any]:
    answers = [phase[part] for phase in job.phases for part in job.parts]
    return {
        "id": job.id,
        "object": "description",
        "status": job.status,
        "created_at": int(job.created_at),
        "expires_at": None if job.ended_at is None else int(job.ended_at + keep_s),
        "progress": {"done": sum(answer is not None for answer in answers), "total": len(answers)},
        "phases": job.phases,
        "error": job.error,
    }


async def _refused(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, Refusal):
        return error.response()
    assert isinstance(error, HTTPException)
    if no_room(error):  # what reads a form says of every error that the form is wrong
        return disk_full().response()
    refusal = Refusal(error.status_code, "refused", str(error.detail))
    headers = {"Allow": _allowed(request)} if error.status_code == 405 else error.headers
    return JSONResponse(refusal.body, error.status_code, headers)


def _allowed(request: Request) -> str:
    """The methods that an address takes, of all routes that match it: each route alone names its own only."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] != Match.NONE]
    return ", ".join(sorted({method for route in routes for method in getattr(route, "methods", None) or ()}))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return Refusal(400, "not_json", "the body is not JSON").response()
    param = _place(error.body, first["loc"][1:])
    return Refusal(422, "invalid", f"{param or 'the body'}: {first['msg']}", param=param or None).response()


def _place(body: Any, place: Sequence[str | int]) -> str:
    """Where in a body an error is, such as "messages[0].content". Names of types, which stand between, are left out."""
    written, value = "", body
    for n, part in enumerate(place):
        inner: Any = None
        if isinstance(part, int):
            known = isinstance(value, list) and part < len(value)
            inner = value[part] if known else None
        else:
            missing = n == len(place) - 1 and part.isidentifier()
            known = isinstance(value, dict) and (part in value or missing)
            inner = value.get(part) if known else None
        if known or not isinstance(body, dict | list):
            written += f"[{part}]" if isinstance(part, int) else f".{part}"
            value = inner
    return written.lstrip(".")

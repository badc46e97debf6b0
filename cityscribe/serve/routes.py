"""The routes of the service, by what they are about: the model, descriptions, jobs, the service's state, its page.

What a route needs and only a running service has, it takes from the application's state (`chat`, `describer`) or from
a function that it is given.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Callable
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, File, Form, Request, UploadFile
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from cityscribe.serve.chat import event_stream, sse
from cityscribe.serve.chat_request import ChatRequest
from cityscribe.serve.describe import Describer, given_boxes, given_phases
from cityscribe.serve.jobs import DescribeJob, Jobs
from cityscribe.serve.media import check_kind
from cityscribe.serve.metrics import CONTENT_TYPE, ServiceMetrics
from cityscribe.serve.refusal import Refusal
from cityscribe.serve.replies import Completion, Description, HealthReply, ServedModel, ServedModels, events, refusals
from cityscribe.traffic.scenario import ViewKind

PAGE = {
    "index.html": "text/html",
    "style.css": "text/css",
    "page.js": "text/javascript",
    "camera.js": "text/javascript",
    "sample.json": "application/json",
    "sample.mp4": "video/mp4",
}


def add_model_routes(app: FastAPI) -> None:
    """Which model is served, and its answers to conversations, as OpenAI's API gives both."""

    @app.get("/v1/models", summary="The model that is served", response_model=ServedModels, responses=refusals())
    async def models() -> dict[str, Any]:
        found: dict[str, Any] = app.state.chat.models()
        return found

    @app.get("/v1/models/{name:path}", summary="One model", response_model=ServedModel, responses=refusals(404, 422))
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


def add_description_routes(app: FastAPI, jobs: Callable[[], Jobs], keep_s: float) -> None:
    """A clip comes in, and its description begins as a job; `keep_s` is how many seconds a job is kept that is over."""

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
        job = jobs().new(facts=facts)
        clip = job.folder / "clip"
        try:
            await asyncio.to_thread(_copy, video, clip)
        except BaseException:
            jobs().drop(job)
            raise
        describer: Describer = app.state.describer
        jobs().start(job, lambda job: describer.describe(job, clip, wanted, marks, view))
        return JSONResponse(_job(job, keep_s), 202, {"Location": f"/v1/jobs/{job.id}"})


def add_job_routes(app: FastAPI, jobs: Callable[[], Jobs], keep_s: float) -> None:
    """What became of a job, at once or as it happens, what the model was shown for it, and its end."""

    @app.get(
        "/v1/jobs/{id}",
        summary="A job: how far it is, and what was said so far",
        response_model=Description,
        response_model_exclude_unset=True,
        responses=refusals(404, 422),
    )
    async def job(id: str) -> dict[str, Any]:
        return _job(jobs().get(id), keep_s)

    @app.get(
        "/v1/jobs/{id}/events",
        summary="What happens to a job, as server-sent events",
        response_class=EventSourceResponse,
        responses={200: events("status, phases, answer, facts"), **refusals(404, 422)},
    )
    async def happenings(id: str, request: Request, after: int = 0) -> EventSourceResponse:
        followed = jobs().get(id)
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
        images = jobs().get(id).images
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
        ended = jobs().get(id)
        await jobs().cancel(ended)
        return _job(ended, keep_s)


def add_state_routes(app: FastAPI, ready: Callable[[], bool], metrics: ServiceMetrics) -> None:
    """For what watches the service: whether it runs, whether it answers, and what it counts."""

    @app.get("/healthz", summary="The service runs", response_model=HealthReply)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(
        "/readyz", summary="The service answers", response_model=HealthReply, responses={503: {"model": HealthReply}}
    )
    async def readyz() -> JSONResponse:
        answers = ready()
        return JSONResponse({"status": "ready" if answers else "not ready"}, 200 if answers else 503)

    @app.get(
        "/metrics",
        summary="Counters in the text format of Prometheus",
        response_class=PlainTextResponse,
        responses=refusals(),
    )
    async def counted() -> Response:
        return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE})


def add_page_routes(app: FastAPI, knows: str) -> None:
    """The page for people; `knows` says what the model knows, for its banner."""
    pages = {name: (resources.files("cityscribe.serve") / "page" / name).read_bytes() for name in PAGE}

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return Response(pages["index.html"], media_type="text/html; charset=utf-8")

    @app.get("/page/model.json", include_in_schema=False)
    async def about_model() -> JSONResponse:
        return JSONResponse({"knows": knows})

    @app.get("/page/{name}", include_in_schema=False)
    async def page_part(name: str) -> Response:
        if name not in pages:
            raise Refusal(404, "no_such_page", "there is no such page")
        kind = PAGE[name]
        return Response(pages[name], media_type=kind if kind.startswith("video/") else f"{kind}; charset=utf-8")


def _copy(upload: UploadFile, target: Path) -> None:
    with target.open("wb") as file:
        shutil.copyfileobj(upload.file, file, 1 << 20)


def _job(job: DescribeJob, keep_s: float) -> dict[str, Any]:
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

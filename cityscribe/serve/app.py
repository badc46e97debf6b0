"""The service as an application: its parts, how they begin and end, and what it says of errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Match

from cityscribe.predict.setup import setup_of
from cityscribe.serve.chat import ChatService, RequestGuard
from cityscribe.serve.decoder import Decoder
from cityscribe.serve.describe import Describer
from cityscribe.serve.guard import Guard
from cityscribe.serve.jobs import Jobs
from cityscribe.serve.knowledge import knowledge
from cityscribe.serve.log import log
from cityscribe.serve.metrics import ServiceMetrics
from cityscribe.serve.model_process import ModelProcess
from cityscribe.serve.refusal import Refusal, disk_full, no_room
from cityscribe.serve.routes import (
    add_description_routes,
    add_job_routes,
    add_model_routes,
    add_page_routes,
    add_state_routes,
)
from cityscribe.serve.settings import ServeSettings, Serving
from cityscribe.traffic.prompts import load_prompts

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


def _guard_of(limits: ServeSettings) -> RequestGuard | None:
    """The guard of the settings. Raises InputError where it cannot be had."""
    if not limits.guard.encoder:
        return None
    from cityscribe.serve.concepts import load_guard  # which needs torch, as this process does not

    return load_guard(limits.guard)


def serving(
    checkpoint: str, drafts: Path, settings: Serving, token: str, folder: Path
) -> tuple[Guard, Callable[[], Service]]:
    """The ASGI application that serves a checkpoint, and what gives its parts once it runs.

    `folder` holds what is being worked on. Requests are taken while the model is still being loaded, and wait for it.
    """
    limits = settings.serve
    metrics = ServiceMetrics()
    service: list[Service] = []
    prompts = load_prompts(settings.prepare.prompts)
    refusing = _guard_of(limits)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        decoder = Decoder(limits, metrics)
        model = ModelProcess(checkpoint, drafts, setup_of(settings), limits.timeout_s, metrics)
        jobs = Jobs(limits, metrics, folder)
        running = Service(guard, jobs, model, decoder, asyncio.create_task(_load(model, decoder)))
        app.state.chat = ChatService(model_name(checkpoint), model, decoder, limits, folder, refusing)
        app.state.describer = Describer(model, decoder, prompts, settings.prepare, settings.predict)
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

    add_model_routes(app)
    add_description_routes(app, lambda: parts().jobs, limits.keep_s)
    add_job_routes(app, lambda: parts().jobs, limits.keep_s)
    add_state_routes(app, lambda: parts().model.ready and not parts().stopping, metrics)
    add_page_routes(app, knowledge(checkpoint, settings.model.base))
    metrics.gauge("cityscribe_requests_under_way", "requests being answered", lambda: guard.admitted)
    guard = Guard(app, limits, token, metrics, lambda: bool(service) and parts().stopping)
    return guard, parts


async def _load(model: ModelProcess, decoder: Decoder) -> None:
    await asyncio.gather(model.start(), decoder.start())


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

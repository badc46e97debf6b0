"""The service against its own description: requests made from it, right and wrong ones, never meet a server error, and
what is answered is what the description says."""

from __future__ import annotations

import time
from typing import Any, Literal

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.serve.conftest import Start
from tests.serve.running import Running, clip, data_url, encoded, picture

RIGHT = {
    "GET /v1/models": 2,
    "GET /v1/models/{name}": 5,
    "POST /v1/chat/completions": 30,
    "POST /v1/describe": 20,
    "GET /v1/jobs/{id}": 8,
    "GET /v1/jobs/{id}/events": 8,
    "GET /v1/jobs/{id}/images/{number}": 8,
    "DELETE /v1/jobs/{id}": 5,
    "GET /healthz": 1,
    "GET /readyz": 1,
    "GET /metrics": 1,
}
"""How many requests that follow the description are made to each route."""

WRONG = {
    "POST /v1/chat/completions": 40,
    "POST /v1/describe": 20,
    "GET /v1/jobs/{id}/events": 8,
    "GET /v1/jobs/{id}/images/{number}": 8,
}
"""How many that do not, where a request can be wrong by its form."""

JOBS_END = ("DELETE /v1/jobs/{id}", "GET /v1/jobs/{id}/images/{number}")
"""Routes that are asked about jobs and images that nobody has, too."""

CASES = [(label, mode) for mode, counts in (("positive", RIGHT), ("negative", WRONG)) for label in counts]

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def job(start: Start, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A job that is done."""
    service = start()
    phases = '[{"phase": "action", "start_s": 0, "end_s": 1}]'
    data = {"facts": "true", "phases": phases}
    video = clip(tmp_path_factory.mktemp("clip"))
    id_ = service.http.post("/v1/describe", files={"video": video}, data=data).json()["id"]
    while service.http.get(f"/v1/jobs/{id_}").json()["status"] in ("queued", "running"):
        time.sleep(0.05)
    return str(id_)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return clip(tmp_path_factory.mktemp("video"))


@pytest.fixture(scope="module")
def described(start: Start) -> Any:
    return schemathesis.openapi.from_url(f"{start().address}/openapi.json")


def test_all_routes_are_asked(described: Any) -> None:
    assert {found.ok().label for found in described.get_all_operations()} == set(RIGHT)


@pytest.mark.parametrize(("label", "mode"), CASES)
def test_no_request_meets_a_server_error(
    service: Running, described: Any, job: str, video: bytes, label: str, mode: Literal["positive", "negative"]
) -> None:
    """One that follows the description is answered, once what it names is there."""
    method, path = label.split()
    known = {"name": service.name} | ({"id": job} if method == "GET" else {})

    @settings(
        max_examples={"positive": RIGHT, "negative": WRONG}[mode][label],
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(described[path][method].as_strategy(generation_mode=GenerationMode(mode)), st.booleans())
    def ask(case: Any, knows: bool) -> None:
        if knows:  # else all would end at a name that nobody has
            for name in set(known) & set(case.path_parameters or ()):
                case.path_parameters[name] = known[name]
            if isinstance(case.body, dict) and "model" in case.body:
                case.body |= {"model": service.name, "max_tokens": 2}
        right = knows and mode == "positive"
        if right and method == "POST":
            case.body = answerable(case.body, video, service.name)
        response = case.call()
        case.validate_response(response, checks=CHECKS)
        if right and (label not in JOBS_END or response.status_code != 404):
            assert response.status_code < 300, (response.text, case.body)

    ask()


def answerable(body: dict[str, Any], video: bytes, model: str) -> dict[str, Any]:
    """The body of a request that follows the description, with what no description can demand: files that are some,
    JSON within a text, a question at the end, a schema that can be kept to, and no more than this service takes."""
    if "messages" not in body:
        return body | {"video": video, "phases": "[]", "boxes": "[]"}
    asked = {"role": "user", "content": "What?"}
    body = {**body, "messages": [*map(shown, body["messages"][:2]), asked], "model": model, "max_tokens": 2}
    body.pop("max_completion_tokens", None)
    if body.get("response_format"):
        body.pop("structured_outputs", None)
        if body["response_format"]["type"] == "json_schema":
            body["response_format"]["json_schema"]["schema"] = {"type": "object"}
    return body


def shown(message: dict[str, Any]) -> dict[str, Any]:
    """A message with a picture where it has an image or a video."""
    content = message.get("content")
    if not isinstance(content, list):
        return message
    picture_part = {"type": "image_url", "image_url": data_url(encoded(picture()))}
    parts = [part if part["type"] == "text" else picture_part for part in content[:2]]
    return {**message, "content": parts}

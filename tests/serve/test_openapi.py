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
from tests.serve.running import Running, clip

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
def described(start: Start) -> Any:
    return schemathesis.openapi.from_url(f"{start().address}/openapi.json")


def test_all_routes_are_asked(described: Any) -> None:
    assert {found.ok().label for found in described.get_all_operations()} == set(RIGHT)


@pytest.mark.parametrize(("label", "mode"), CASES)
def test_no_request_meets_a_server_error(
    service: Running, described: Any, job: str, label: str, mode: Literal["positive", "negative"]
) -> None:
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
        case.validate_response(case.call(), checks=CHECKS)

    ask()

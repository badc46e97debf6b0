"""The API as OpenAI's own client uses it, against a service with a tiny model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
import torch

from cityscribe.engine.grammars import json_schema
from cityscribe.engine.local import LocalEngine
from cityscribe.engine.request import Request
from cityscribe.models.load import load_model, load_processor
from cityscribe.records import image_block, message, text_block
from cityscribe.serve.chat import answer_grammar
from cityscribe.serve.chat_request import ChatRequest
from cityscribe.serve.refusal import Refusal
from tests.serve.running import Running, clip, data_url, encoded, image_part, picture, user, video_part


def ask(service: Running, *messages: dict[str, Any], **options: Any) -> Any:
    return service.openai.chat.completions.create(
        model=service.name,
        messages=list(messages),  # type: ignore[arg-type]
        **{"max_tokens": 12, **options},
    )


@pytest.fixture(scope="module")
def engine(tiny: Callable[[str], Path]) -> LocalEngine:
    folder = tiny("llava")
    return LocalEngine(load_model(folder, dtype=torch.float32), load_processor(folder))


def test_the_model_is_listed(service: Running) -> None:
    models = service.openai.models
    assert [model.id for model in models.list()] == [service.name]
    assert models.retrieve(service.name).id == service.name
    with pytest.raises(openai.NotFoundError):
        models.retrieve("another")


def test_an_answer_is_that_of_the_engine(service: Running, engine: LocalEngine, tmp_path: Path) -> None:
    picture(3).save(tmp_path / "3.png")
    asked = message("user", image_block(), text_block("Where is the vehicle?"))
    ((expected,),) = engine.answer([Request((asked,), (tmp_path / "3.png",), max_tokens=40)])
    answer = ask(service, user(image_part(encoded(picture(3))), "Where is the vehicle?"), max_tokens=40)
    assert answer.choices[0].message.content == expected.text
    assert answer.usage.prompt_tokens == expected.prompt_tokens
    assert answer.usage.completion_tokens == expected.tokens
    assert answer.choices[0].finish_reason == ("length" if expected.problem == "cut" else "stop")


def test_a_stream_says_the_same_piece_by_piece(service: Running) -> None:
    talk = (user(image_part(encoded(picture(1))), "Describe it."),)
    whole = ask(service, *talk, max_tokens=60)
    chunks = list(ask(service, *talk, max_tokens=60, stream=True, stream_options={"include_usage": True}))
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == whole.choices[0].message.content
    assert sum(bool(piece) for piece in pieces) > 5
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == whole.choices[0].finish_reason
    assert chunks[-1].usage == whole.usage
    assert len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_string_ends_the_answer_and_is_not_part_of_it(service: Running, stream: bool) -> None:
    talk = user("Describe the weather conditions.")
    text = ask(service, talk, max_tokens=60).choices[0].message.content
    stop = text[10:13]
    answer = ask(service, talk, max_tokens=60, stop=["never said so", stop], stream=stream)
    if stream:
        chunks = list(answer)
        said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        finish = chunks[-1].choices[0].finish_reason
    else:
        said, finish = answer.choices[0].message.content, answer.choices[0].finish_reason
    assert said == text[: text.index(stop)].rstrip()
    assert finish == "stop"


def test_draws_repeat_by_their_seed(service: Running) -> None:
    def draw(seed: int, **options: Any) -> str:
        answered = ask(service, user("Describe the road."), temperature=1.5, seed=seed, **options)
        return str(answered.choices[0].message.content)

    assert draw(1) == draw(1)
    assert len({draw(seed) for seed in range(4)}) > 1
    greedy = ask(service, user("Describe the road.")).choices[0].message.content
    assert draw(5, top_p=1e-6) == greedy, "the likeliest token alone makes up so little"


SCHEMA = {
    "type": "object",
    "properties": {"wet": {"type": "boolean"}, "lanes": {"type": "integer", "minimum": 0, "maximum": 9}},
    "required": ["wet", "lanes"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_answer_keeps_to_its_schema(service: Running, engine: LocalEngine, stream: bool) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "road", "strict": True, "schema": SCHEMA}}
    answer = ask(service, user("Describe the road."), max_tokens=60, response_format=form, stream=stream)
    if stream:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in answer)
    else:
        text = answer.choices[0].message.content
        assert answer.choices[0].finish_reason == "stop"
    value = json.loads(text)
    assert type(value["wet"]) is bool
    assert 0 <= value["lanes"] <= 9
    asked = message("user", text_block("Describe the road."))
    ((expected,),) = engine.answer([Request((asked,), max_tokens=60, grammar=json_schema(SCHEMA))])
    assert text == expected.text


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_an_answer_is_one_of_the_options(service: Running, temperature: float) -> None:
    options = {"structured_outputs": {"choice": ["a", "b", "c"]}}
    said = [
        ask(service, user(f"{n}: a, b or c?"), extra_body=options, temperature=temperature).choices[0] for n in range(6)
    ]
    assert {choice.message.content for choice in said} <= {"a", "b", "c"}
    assert {choice.finish_reason for choice in said} == {"stop"}


def test_an_answer_may_have_to_be_an_object(service: Running) -> None:
    answer = ask(service, user("Describe the road."), max_tokens=20, response_format={"type": "json_object"})
    assert answer.choices[0].message.content.startswith("{")


def test_a_conversation_goes_on(service: Running, engine: LocalEngine) -> None:
    first = user(image_part(encoded(picture(2))), "Describe it.")
    said = ask(service, first).choices[0].message.content
    system = {"role": "system", "content": "Be brief."}
    answer = ask(service, system, first, {"role": "assistant", "content": said}, user("And the weather?"))
    assert answer.usage.prompt_tokens > 30


def test_a_video_is_shown_by_frames(service: Running, tmp_path: Path) -> None:
    video = clip(tmp_path)
    tokens = ask(service, user(video_part(video), "What happens?")).usage.prompt_tokens
    one = ask(service, user(image_part(encoded(picture())), "What happens?")).usage.prompt_tokens
    none = ask(service, user("What happens?")).usage.prompt_tokens
    assert tokens - none == 3 * (one - none)


def schema(content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": content}}


BAD: list[tuple[str, int, str, dict[str, Any]]] = [
    ("no model of this name", 404, "model_not_found", {"model": "another"}),
    ("no messages", 422, "invalid", {"messages": []}),
    ("remote image", 422, "remote_url", {"url": "http://localhost/a.png"}),
    ("remote file", 422, "remote_url", {"url": "file:///etc/passwd"}),
    ("not base64", 422, "bad_data_url", {"url": "data:image/png;base64,@@@"}),
    ("no base64 at all", 422, "bad_data_url", {"url": "data:image/png,abc"}),
    ("not an image", 415, "unsupported_media", {"url": "data:image/png;base64,aGVsbG8gd29ybGQ="}),
    ("a playlist", 415, "unsupported_media", {"url": "data:image/png;base64,I0VYVE0zVQpmaWxlOi8vL2V0Yy9wYXNzd2Q="}),
    ("an image without an end", 422, "undecodable", {"url": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg=="}),
    ("audio", 422, "invalid", {"messages": [user({"type": "input_audio", "input_audio": {}})]}),
    ("a tool", 422, "invalid", {"tools": [{"type": "function"}]}),
    ("a schema of no kind", 400, "bad_schema", {"response_format": schema({"type": "objekt"})}),
    ("a schema not known", 400, "bad_schema", {"response_format": schema({"not": {"type": "string"}})}),
    ("a schema elsewhere", 400, "bad_schema", {"response_format": schema({"$ref": "http://localhost/a"})}),
    ("a schema too long", 422, "too_much_text", {"response_format": schema({"enum": ["a" * 3000]})}),
    ("no options", 422, "invalid", {"structured_outputs": {"choice": []}}),
    (
        "a schema and options",
        422,
        "invalid",
        {"structured_outputs": {"choice": ["a"]}, "response_format": {"type": "json_object"}},
    ),
    ("two answers", 422, "invalid", {"n": 2}),
    ("half a character", 422, "invalid", {"messages": [user("What \ud83d?")]}),
    ("half a character in a stop", 422, "invalid", {"stop": "\udc00"}),
    ("half a character in an option", 422, "invalid", {"structured_outputs": {"choice": ["\ud83d"]}}),
    ("too many tokens", 422, "max_tokens", {"max_tokens": 2041}),
    ("no tokens", 422, "invalid", {"max_tokens": 0}),
    ("five stops", 422, "invalid", {"stop": list("abcde")}),
    ("an empty stop", 422, "invalid", {"stop": ""}),
    ("a control token", 422, "special_token", {"messages": [user("So <image> what?")]}),
    ("too much text", 422, "too_much_text", {"messages": [user("why " * 600)]}),
    ("the assistant last", 422, "messages", {"messages": [user("a"), {"role": "assistant", "content": "b"}]}),
    ("more than the context", 422, "context_length_exceeded", {"messages": [user("why ä " * 300)], "max_tokens": 500}),
]


@pytest.mark.parametrize(("status", "code", "change"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_what_cannot_be_asked_has_a_reason(service: Running, status: int, code: str, change: dict[str, Any]) -> None:
    body = {"model": service.name, "messages": [user("What?")], "max_tokens": 4}
    if "url" in change:
        body["messages"] = [user({"type": "image_url", "image_url": change["url"] and {"url": change["url"]}})]
    else:
        body |= change
    sent = json.dumps(body).encode()  # half of a surrogate pair travels as an escape
    response = service.http.post("/v1/chat/completions", content=sent, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (status, code), response.text
    assert response.json()["error"]["message"]


@pytest.mark.parametrize("depth", [90, 900])
def test_a_schema_nested_too_deeply_is_refused_as_a_schema(depth: int) -> None:
    found: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        found = {"type": "object", "properties": {"a": found}, "required": ["a"], "additionalProperties": False}
    body = ChatRequest.model_validate({"model": "m", "messages": [user("?")], "response_format": schema(found)})
    with pytest.raises(Refusal) as refused:
        answer_grammar(body, 10**6)
    assert (refused.value.status, refused.value.code) == (400, "bad_schema")


NEUTRAL: list[dict[str, Any]] = [
    {"tools": []},
    {"tools": None, "tool_choice": "none"},
    {"tool_choice": "auto", "parallel_tool_calls": False},
    {"functions": [], "function_call": "none"},
    {"logit_bias": {}},
    {"logprobs": False, "top_logprobs": None},
    {"top_logprobs": 0},
    {"modalities": ["text"]},
    {"top_k": -1, "min_p": 0, "repetition_penalty": 1.0, "length_penalty": 1, "best_of": 1},
    {"presence_penalty": 0.0, "frequency_penalty": 0, "n": 1, "stop": [], "seed": None},
    {"ignore_eos": False, "skip_special_tokens": True, "stop_token_ids": [], "use_beam_search": False, "min_tokens": 0},
    {"chat_template_kwargs": {}, "add_generation_prompt": True, "echo": False},
    {"reasoning_effort": "none", "verbosity": "medium", "prediction": None, "audio": None, "web_search_options": None},
    {"user": "u", "metadata": {"a": "b"}, "store": False, "service_tier": "auto", "prompt_cache_key": "k"},
]

NOT_NEUTRAL: list[dict[str, Any]] = [
    {"tools": [{"type": "function", "function": {"name": "f"}}]},
    {"tool_choice": "required"},
    {"logit_bias": {"5": 10}},
    {"top_logprobs": 3},
    {"logprobs": True},
    {"modalities": ["text", "audio"]},
    {"top_k": 5},
    {"min_p": 0.1},
    {"repetition_penalty": 1.2},
    {"presence_penalty": 0.5},
    {"chat_template_kwargs": {"enable_thinking": False}},
    {"reasoning_effort": "high"},
    {"a_field_of_tomorrow": 1},
]


@pytest.mark.parametrize("extra", NEUTRAL, ids=lambda extra: ",".join(extra))
def test_what_changes_nothing_is_taken(service: Running, extra: dict[str, Any]) -> None:
    body = {"model": service.name, "messages": [user("What?")], "max_tokens": 4}
    plain, more = (service.http.post("/v1/chat/completions", json=body | each) for each in ({}, extra))
    assert more.status_code == 200, more.text
    assert more.json()["choices"] == plain.json()["choices"]


@pytest.mark.parametrize("extra", NOT_NEUTRAL, ids=lambda extra: ",".join(extra))
def test_what_would_change_the_answer_is_refused_by_its_own_name(service: Running, extra: dict[str, Any]) -> None:
    body = {"model": service.name, "messages": [user("What?")], "max_tokens": 4}
    response = service.http.post("/v1/chat/completions", json=body | extra)
    assert response.status_code == 422
    [name] = extra
    assert response.json()["error"]["param"].startswith(name)
    assert name in response.json()["error"]["message"]


def test_a_reply_is_given_back_as_the_client_has_it(service: Running) -> None:
    first = ask(service, user(image_part(encoded(picture(2))), "What?"))
    reply = first.choices[0].message
    asked = [user(image_part(encoded(picture(2))), "What?"), reply, user("And now?")]
    again = ask(service, asked[0], {"role": "assistant", "content": reply.content}, asked[2])
    for given in (reply, reply.model_dump() | {"annotations": [], "tool_calls": None, "function_call": None}):
        assert ask(service, asked[0], given, asked[2]).choices == again.choices
    nothing = {"role": "assistant", "content": None, "refusal": None, "tool_calls": []}
    assert ask(service, asked[0], nothing, asked[2]).usage.prompt_tokens < again.usage.prompt_tokens


def test_parts_as_clients_write_them(service: Running) -> None:
    url = data_url(encoded(picture(4)))
    usual = user({"type": "image_url", "image_url": {"url": url}}, "What?")
    plain = user(
        {"type": "image_url", "image_url": url, "uuid": "a"},
        {"type": "text", "text": "What?", "cache_control": {"type": "ephemeral"}},
    )
    assert ask(service, plain).choices == ask(service, usual).choices


def test_addresses_as_clients_write_them(service: Running) -> None:
    assert service.http.get("/v1/models/").json()["object"] == "list"
    for address in (f"/v1/models/{service.name}", f"/v1/models/{service.name}/"):
        assert service.http.get(address).json()["id"] == service.name
    body = {"model": service.name, "messages": [user("What?")], "max_tokens": 2}
    assert service.http.post("/v1/chat/completions/", json=body).status_code == 200
    refused = service.http.put("/v1/jobs/none")
    assert (refused.status_code, refused.headers["allow"]) == (405, "DELETE, GET")


def test_the_pixels_of_a_request_are_limited(service: Running) -> None:
    # Four pictures of 0.29 megapixels each are let in one by one, of 1.0 in all (the service's limit in these tests).
    parts = [image_part(encoded(picture(n, (600, 480)))) for n in range(4)]
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        ask(service, user(*parts, "What?"))
    assert refused.value.code == "too_many_pixels"
    assert ask(service, user(*parts[:3], "What?"), max_tokens=1).usage.completion_tokens == 1


def test_images_that_exceed_the_context_are_refused_before_they_are_decoded(service: Running) -> None:
    # Its head is whole, so that its size is known; decoding it would show that it is torn.
    torn = image_part(encoded(picture(size=(400, 300)))[:2000])
    for max_tokens, code in ((2033, "context_length_exceeded"), (2032, "undecodable")):  # 16 tokens an image, of 2,048
        with pytest.raises(openai.UnprocessableEntityError) as refused:
            ask(service, user(torn, "What?"), max_tokens=max_tokens)
        assert refused.value.code == code


def test_too_large_an_image_is_refused_by_its_header(service: Running) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="pixels") as refused:
        ask(service, user(image_part(encoded(picture(size=(1000, 400)))), "What?"))
    assert refused.value.code == "too_many_pixels"
    assert refused.value.param == "messages[0].content[0].image_url"


def test_the_body_must_be_json(service: Running) -> None:
    for body in (b"{", b"\xff\xfe", b"[" * 100_000):
        response = service.http.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
        assert 400 <= response.status_code < 500
        assert response.json()["error"]["type"] == "invalid_request_error"

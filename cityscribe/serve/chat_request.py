"""The body of POST /v1/chat/completions: OpenAI's, with what other servers of that protocol add.

Clients fill in fields that they do not use. So a value that changes nothing is taken (no tools, a penalty of 0, what
OpenAI's client gives back of an earlier reply), and one that would change the answer is refused by its own name.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

PASSED_OVER = "taken and passed over"
NEUTRAL = "taken at the value that changes nothing"

Nothing = Annotated[list[Any], Field(max_length=0)]
NoEntry = Annotated[dict[str, Any], Field(max_length=0)]
Zero = Annotated[float, Field(ge=0, le=0)]
One = Annotated[float, Field(ge=1, le=1)]


def _encodable(text: str) -> str:
    """Half of a surrogate pair, as JSON can escape it, is no character: no tokenizer and no reply could hold it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise PydanticCustomError(
            "surrogate", "character {place} is half of a surrogate pair", {"place": error.start}
        ) from error
    return text


ChatText = Annotated[str, AfterValidator(_encodable)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _ContentPart(_Part):
    cache_control: dict[str, Any] | None = Field(None, description=PASSED_OVER)
    uuid: str | None = Field(None, description=PASSED_OVER)


class Url(_Part):
    url: str = Field(description="a data: URL; nothing is fetched from elsewhere")
    detail: str | None = Field(None, description=PASSED_OVER)


DataUrl = Annotated[
    Url,
    BeforeValidator(
        lambda value: {"url": value} if isinstance(value, str) else value, json_schema_input_type=Url | str
    ),
]
"""Some clients give the URL itself where OpenAI's API has an object."""


class TextPart(_ContentPart):
    type: Literal["text"]
    text: ChatText


class ImagePart(_ContentPart):
    type: Literal["image_url"]
    image_url: DataUrl


class VideoPart(_ContentPart):
    type: Literal["video_url"]
    video_url: DataUrl


ContentPart = Annotated[TextPart | ImagePart | VideoPart, Field(discriminator="type")]


class _Message(_Part):
    name: str | None = Field(None, description=PASSED_OVER)


class SystemMessage(_Message):
    role: Literal["system", "developer"]
    content: ChatText | list[TextPart]


class UserMessage(_Message):
    role: Literal["user"]
    content: ChatText | list[ContentPart]


class AssistantMessage(_Message):
    """An earlier reply, as OpenAI's client gives it back."""

    role: Literal["assistant"]
    content: ChatText | list[TextPart] | None = Field(None, description="null is an empty reply")
    refusal: None = Field(None, description=NEUTRAL)
    annotations: Nothing | None = Field(None, description=NEUTRAL)
    audio: None = Field(None, description=NEUTRAL)
    function_call: None = Field(None, description=NEUTRAL)
    tool_calls: Nothing | None = Field(None, description=NEUTRAL)
    reasoning: Literal[""] | None = Field(None, description=NEUTRAL)
    reasoning_content: Literal[""] | None = Field(None, description=NEUTRAL)
    provider_specific_fields: dict[str, Any] | None = Field(None, description=PASSED_OVER)


ChatMessage = Annotated[SystemMessage | UserMessage | AssistantMessage, Field(discriminator="role")]


class StreamOptions(_Part):
    include_usage: bool = False
    include_obfuscation: bool = False
    continuous_usage_stats: Literal[False] = False


class TextFormat(_Part):
    type: Literal["text"]


class ObjectFormat(_Part):
    type: Literal["json_object"]


class NamedSchema(_Part):
    name: str = Field("", max_length=64, description=PASSED_OVER)
    description: str | None = Field(None, description=PASSED_OVER)
    schema_: dict[str, Any] = Field(alias="schema", description="a JSON schema; one that cannot be kept to is refused")
    strict: bool | None = Field(None, description="passed over: the answer always keeps to the schema")


class SchemaFormat(_Part):
    type: Literal["json_schema"]
    json_schema: NamedSchema


ResponseFormat = Annotated[TextFormat | ObjectFormat | SchemaFormat, Field(discriminator="type")]


class Structure(_Part):
    choice: list[Annotated[ChatText, Field(min_length=1, max_length=256)]] = Field(
        min_length=1, max_length=256, description="the answer is one of these"
    )


Stop = Annotated[ChatText, Field(min_length=1, max_length=256)]
Stops = Annotated[
    Annotated[list[Stop], Field(max_length=4)],
    BeforeValidator(
        lambda value: [value] if isinstance(value, str) else value,
        json_schema_input_type=Stop | Annotated[list[Stop], Field(max_length=4)],
    ),
]


Seed = Annotated[
    int,
    Field(ge=-(2**63), lt=2**63),
    WithJsonSchema({"type": "integer", "minimum": -(2**53), "maximum": 2**53}),
]
"""What torch takes. The description promises what every reader of JSON holds exactly, since many know doubles only."""


class ChatRequest(BaseModel):
    """The body of POST /v1/chat/completions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    messages: list[ChatMessage] = Field(min_length=1, max_length=256, description="the last one is the user's")
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2, description="0, the default, is greedy")
    top_p: float | None = Field(None, gt=0, le=1)
    seed: Seed | None = Field(None, description="of the draws; equal requests give equal answers")
    stop: Stops | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = Field(None, description="what the answer must be; its tokens are masked")
    structured_outputs: Structure | None = Field(None, description="as vLLM names a choice of answers")

    user: str | None = Field(None, description=PASSED_OVER)
    safety_identifier: str | None = Field(None, description=PASSED_OVER)
    prompt_cache_key: str | None = Field(None, description=PASSED_OVER)
    prompt_cache_retention: str | None = Field(None, description=PASSED_OVER)
    metadata: dict[str, str] | None = Field(None, description=PASSED_OVER)
    store: bool | None = Field(None, description=PASSED_OVER)
    service_tier: str | None = Field(None, description=PASSED_OVER)
    parallel_tool_calls: bool | None = Field(None, description=f"{PASSED_OVER}: there are no tools")

    n: Literal[1] | None = Field(None, description=NEUTRAL)
    best_of: Literal[1] | None = Field(None, description=NEUTRAL)
    logprobs: Literal[False] | None = Field(None, description=NEUTRAL)
    top_logprobs: Literal[0] | None = Field(None, description=NEUTRAL)
    logit_bias: NoEntry | None = Field(None, description=NEUTRAL)
    presence_penalty: Zero | None = Field(None, description=NEUTRAL)
    frequency_penalty: Zero | None = Field(None, description=NEUTRAL)
    repetition_penalty: One | None = Field(None, description=NEUTRAL)
    length_penalty: One | None = Field(None, description=NEUTRAL)
    top_k: Literal[-1, 0] | None = Field(None, description=NEUTRAL)
    min_p: Zero | None = Field(None, description=NEUTRAL)
    min_tokens: Literal[0] | None = Field(None, description=NEUTRAL)
    ignore_eos: Literal[False] | None = Field(None, description=NEUTRAL)
    skip_special_tokens: Literal[True] | None = Field(None, description=NEUTRAL)
    stop_token_ids: Nothing | None = Field(None, description=NEUTRAL)
    use_beam_search: Literal[False] | None = Field(None, description=NEUTRAL)
    echo: Literal[False] | None = Field(None, description=NEUTRAL)
    add_generation_prompt: Literal[True] | None = Field(None, description=NEUTRAL)
    chat_template_kwargs: NoEntry | None = Field(None, description=NEUTRAL)
    tools: Nothing | None = Field(None, description=NEUTRAL)
    tool_choice: Literal["none", "auto"] | None = Field(None, description=NEUTRAL)
    functions: Nothing | None = Field(None, description=NEUTRAL)
    function_call: Literal["none", "auto"] | None = Field(None, description=NEUTRAL)
    modalities: Annotated[list[Literal["text"]], Field(max_length=1)] | None = Field(None, description=NEUTRAL)
    audio: None = Field(None, description=NEUTRAL)
    prediction: None = Field(None, description=NEUTRAL)
    reasoning_effort: Literal["none"] | None = Field(None, description=NEUTRAL)
    verbosity: Literal["medium"] | None = Field(None, description=NEUTRAL)
    web_search_options: None = Field(None, description=NEUTRAL)

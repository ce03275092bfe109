"""What a client of OpenAI's API asks for, read strictly, as a prompt.

What would change an answer and cannot be done is refused by name, as OpenAI refuses what it does not know; what is said
for OpenAI's own housekeeping is taken and left. https://platform.openai.com/docs/api-reference/chat/create

Nobody has labelled what a client sends, whatever its role: it is free text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from spectra.ai.privacy.detector import fragment_of
from spectra.errors import BadRequest
from spectra.model.ai import Fragment, Message, Prompt, Role, Sampling, Tool, ToolCall, local

ANY: Final = "spectra"
"""The model's name that means whichever comes first."""
MAX_DETECTED: Final = 256 * 1024
"""Characters of one request that the detector looks through: what comes after them is raw data, that stays here."""
MAX_DEPTH: Final = 32
"""Of a JSON schema."""
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ROLES: Final[dict[str, Role]] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}

FreeText = Literal["local", "detected"]
Name = Annotated[str, Meta(max_length=256)]


class ContentPart(msgspec.Struct):
    """A part of a message: of the type `text`, or `refusal` in the history."""

    type: str
    text: str = ""
    refusal: str = ""


Content = str | Annotated[list[ContentPart], Meta(max_length=1000)] | None


class CalledFunction(msgspec.Struct):
    """A function and what it is called with: the text of a JSON object."""

    name: str
    arguments: str


class HistoricCall(msgspec.Struct):
    """A call that a model asked for."""

    id: Name
    function: CalledFunction
    type: Literal["function"] = "function"


class ChatMessage(msgspec.Struct):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content = None
    tool_calls: Annotated[list[HistoricCall], Meta(max_length=128)] | None = None
    tool_call_id: Name | None = None
    function_call: Any = None


class FunctionShape(msgspec.Struct):
    """A function that may be called; `parameters` is the JSON schema of its arguments."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ToolShape(msgspec.Struct):
    """A tool that may be called."""

    function: FunctionShape
    type: Literal["function"] = "function"


class SchemaShape(msgspec.Struct):
    """A JSON schema with a name."""

    name: str = "answer"
    schema: dict[str, Any] = {}


class ResponseFormat(msgspec.Struct):
    """What the answer's text has to be."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: SchemaShape | None = None


class NamedFunction(msgspec.Struct):
    """The function that has to be called."""

    name: str


class NamedTool(msgspec.Struct):
    """The tool that has to be called."""

    function: NamedFunction
    type: Literal["function"] = "function"


class StreamOptions(msgspec.Struct):
    """How to stream."""

    include_usage: bool | None = None


class ChatRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What OpenAI's `POST /v1/chat/completions` takes."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=2000)]
    model: Name = ""
    max_completion_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: str | Annotated[list[str], Meta(max_length=16)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: Annotated[list[ToolShape], Meta(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    response_format: ResponseFormat | None = None

    # What is taken only as it is by itself: anything else would change the answer.
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, Any] | None = None
    modalities: list[str] | None = None
    audio: Any = None
    prediction: Any = None
    functions: Any = None
    function_call: Any = None
    web_search_options: Any = None

    # What is for OpenAI's own housekeeping.
    metadata: Any = UNSET
    moderation: Any = UNSET
    parallel_tool_calls: Any = UNSET
    prompt_cache_key: Any = UNSET
    prompt_cache_options: Any = UNSET
    prompt_cache_retention: Any = UNSET
    reasoning_effort: Any = UNSET
    safety_identifier: Any = UNSET
    service_tier: Any = UNSET
    store: Any = UNSET
    user: Any = UNSET
    verbosity: Any = UNSET


class EmbeddingRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What OpenAI's `POST /v1/embeddings` takes; texts, no tokens."""

    input: str | Annotated[list[str], Meta(min_length=1, max_length=2048)]
    model: Name = ""
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    user: str | UnsetType = UNSET


_AS_IT_IS: Final[dict[str, tuple[object, ...]]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "functions": (),
    "function_call": (),
    "web_search_options": (),
}
"""What else than null such a field may say."""


def prompt_of(asked: ChatRequest, free_text: FreeText) -> Prompt:
    """The prompt; raises `BadRequest` with the field's name."""
    for name, fine in _AS_IT_IS.items():
        value = getattr(asked, name)
        if value is not None and value not in fine:
            raise _unsupported(name)
    messages = _messages(asked.messages, words(free_text))
    if not any(message.calls or any(fragment.text for fragment in message.fragments) for message in messages):
        raise BadRequest("`messages` say nothing.", field="messages")
    tools = tuple(_tools(asked.tools or ()))
    schema, schema_name = _format(asked.response_format)
    return Prompt(
        messages=messages,
        tools=tools,
        choice=_choice(asked.tool_choice, tools),
        schema=schema,
        schema_name=schema_name,
        sampling=Sampling(
            max_tokens=asked.max_completion_tokens or asked.max_tokens,
            temperature=asked.temperature,
            top_p=asked.top_p,
            stop=(asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ()),
            seed=asked.seed,
        ),
        purpose="chat",
        model=model_of(asked.model),
    )


def texts_of(asked: EmbeddingRequest, free_text: FreeText) -> tuple[Fragment, ...]:
    """The texts to be embedded; raises `BadRequest` for an empty one."""
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    if not all(texts):
        raise BadRequest("`input` has an empty text.", field="input")
    return tuple(map(words(free_text), texts))


def model_of(name: str) -> str:
    """The model or provider that is asked for alone; empty: whichever comes first."""
    return "" if name.lower() == ANY else name


def words(free_text: FreeText) -> Callable[[str], Fragment]:
    """What makes a fragment of what somebody typed: raw data, or what the detector makes of it. For one request."""
    if free_text == "local":
        return local
    room = MAX_DETECTED

    def looked_through(text: str) -> Fragment:
        nonlocal room
        room -= len(text)
        return fragment_of(text) if room >= 0 else local(text)

    return looked_through


def _messages(asked: list[ChatMessage], words: Callable[[str], Fragment]) -> tuple[Message, ...]:
    names: dict[str, str] = {}
    return tuple(_message(f"messages[{number}]", one, words, names) for number, one in enumerate(asked))


def _message(at: str, one: ChatMessage, words: Callable[[str], Fragment], names: dict[str, str]) -> Message:
    """One turn; `names` are those of the tools of all calls so far, by the calls' ids."""
    if one.function_call is not None:
        raise _unsupported(f"{at}.function_call")
    fragments = tuple(words(text) for text in _texts(f"{at}.content", one.content))
    if one.role == "tool":
        if one.tool_call_id not in names:
            raise BadRequest(f"`{at}.tool_call_id` answers no call of the messages before.", field=f"{at}.tool_call_id")
        return Message("tool", fragments, answers=one.tool_call_id or "", name=names[one.tool_call_id or ""])
    calls = tuple(_calls(at, one))
    names |= {call.id: call.name for call in calls}
    if not fragments and not calls:
        raise BadRequest(f"`{at}.content` is missing.", field=f"{at}.content")
    return Message(_ROLES[one.role], fragments, calls)


def _texts(at: str, content: Content) -> Iterator[str]:
    if isinstance(content, str):
        yield content
        return
    for number, part in enumerate(content or ()):
        if part.type not in ("text", "refusal"):
            raise BadRequest(
                f"`{at}[{number}]` is of the type {part.type[:40]!r}: only text is understood here.",
                field=f"{at}[{number}].type",
            )
        yield part.text or part.refusal


def _calls(at: str, one: ChatMessage) -> Iterator[ToolCall]:
    if one.tool_calls and one.role != "assistant":
        raise BadRequest(f"`{at}.tool_calls`: only an assistant asks for calls.", field=f"{at}.tool_calls")
    for number, call in enumerate(one.tool_calls or ()):
        where = f"{at}.tool_calls[{number}].function"
        _checked_name(f"{where}.name", call.function.name)
        yield ToolCall(call.id, call.function.name, call.function.arguments)


def _tools(asked: list[ToolShape] | tuple[()]) -> Iterator[Tool]:
    seen: set[str] = set()
    for number, one in enumerate(asked):
        at, shape = f"tools[{number}].function", one.function
        _checked_name(f"{at}.name", shape.name)
        if shape.name in seen:
            raise BadRequest(f"`{at}.name`: there are two tools {shape.name}.", field=f"{at}.name")
        seen.add(shape.name)
        schema = _checked_schema(f"{at}.parameters", shape.parameters or {"type": "object", "properties": {}})
        yield Tool(shape.name, shape.description or "", schema)


def _choice(asked: str | NamedTool | None, tools: tuple[Tool, ...]) -> str:
    if asked is None or asked == "auto" or (asked == "none" and not tools):
        return "auto"
    name = asked if isinstance(asked, str) else asked.function.name
    known = {tool.name for tool in tools}
    if not known or (not isinstance(asked, str) and name not in known):
        raise BadRequest("`tool_choice` names no tool of `tools`.", field="tool_choice")
    return name


def _format(asked: ResponseFormat | None) -> tuple[dict[str, object] | None, str]:
    """The JSON schema that the answer has to meet, and its name."""
    if asked is None or asked.type == "text":
        return None, ""
    if asked.type == "json_object":
        return {"type": "object"}, "json_object"
    if asked.json_schema is None or not asked.json_schema.schema:
        raise BadRequest("`response_format.json_schema.schema` is missing.", field="response_format.json_schema")
    at = "response_format.json_schema"
    _checked_name(f"{at}.name", asked.json_schema.name)
    return _checked_schema(f"{at}.schema", asked.json_schema.schema), asked.json_schema.name


def _checked_name(at: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadRequest(f"`{at}` may have 1 to 64 letters, digits, _ and -.", field=at)


def _checked_schema(at: str, schema: dict[str, Any]) -> dict[str, object]:
    """The schema, if it is not too deep for what walks through it."""
    level: list[Any] = [schema]
    for _ in range(MAX_DEPTH):
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]  # type: ignore[misc]
        level = [one for one in level if isinstance(one, dict | list)]
        if not level:
            return schema
    raise BadRequest(f"`{at}` is more than {MAX_DEPTH} levels deep.", field=at)


def _unsupported(name: str) -> BadRequest:
    return BadRequest(f"`{name}` is not supported here.", field=name, hint="Leave it out, or as it is by itself.")

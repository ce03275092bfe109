"""Asking a model: what is sent as messages of pydantic-ai, and its answer or pieces of it back. Takes an `Outgoing` and
nothing else. Imported when a model is first asked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec
from pydantic_ai import direct, messages
from pydantic_ai.exceptions import UserError
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from spectra.ai.gateway.failures import Failed, failed
from spectra.ai.gateway.outgoing import Outgoing, Turn
from spectra.model.ai import Answer, CallDelta, Delta, ToolCall, Usage

_FINISH: Final[dict[str | None, str]] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_call": "tool_calls",
}


async def ask(model: Model[Any], outgoing: Outgoing, *, words: bool) -> Answer:
    """The answer, private values not yet back in it. `words`: ask for JSON in words, not by a schema.

    Raises what `failures.failed` knows.
    """
    response = await direct.model_request(
        model,
        history(outgoing.turns),
        model_settings=_settings(model, outgoing),
        model_request_parameters=_parameters(model, outgoing, words=words),
    )
    calls: list[ToolCall] = []
    for part in response.parts:
        if isinstance(part, messages.ToolCallPart):
            calls.append(ToolCall(part.tool_call_id, part.tool_name, part.args_as_json_str()))
    text = "".join(part.content for part in response.parts if isinstance(part, messages.TextPart))
    finish = _finished(response.finish_reason, called=bool(calls))
    if not text and not calls and finish != "content_filter":
        raise Failed("said nothing")
    usage = Usage(response.usage.input_tokens, response.usage.output_tokens)
    return Answer(text, tuple(calls), finish, usage=usage, model=response.model_name or "")


async def pieces(model: Model[Any], outgoing: Outgoing, *, words: bool) -> AsyncIterator[Delta]:
    """The same piece by piece; the last one has `finish`. Raises what `failures.failed` knows."""
    async with direct.model_request_stream(
        model,
        history(outgoing.turns),
        model_settings=_settings(model, outgoing),
        model_request_parameters=_parameters(model, outgoing, words=words),
    ) as stream:
        numbers: dict[int, int] = {}
        said = False
        async for event in stream:
            delta = _piece(event, numbers)
            if delta is not None:
                said = True
                yield delta
        usage: RequestUsage = stream.usage
        finish = _finished(stream.finish_reason, called=bool(numbers))
        if not said and finish != "content_filter":
            raise Failed("said nothing")
        yield Delta(finish=finish, usage=Usage(usage.input_tokens, usage.output_tokens), model=stream.model_name or "")


def wants_words(error: BaseException, outgoing: Outgoing) -> bool:
    """Whether a server may have refused a schema alone, so that asking in words is worth a try.

    llama-cpp-python answers 500 to a `response_format` that it does not know, others 400 or 422.
    """
    if outgoing.schema is None:
        return False
    status = getattr(error, "status_code", 0)
    return isinstance(error, UserError) or status in {400, 422, 500, 501}


def history(turns: Sequence[Turn]) -> list[messages.ModelMessage]:
    """Turns as messages; those that are not the model's own stand together in one request."""
    made: list[messages.ModelMessage] = []
    parts: list[messages.ModelRequestPart] = []
    for turn in turns:
        if turn.role != "assistant":
            parts.append(_part(turn))
            continue
        if parts:
            made.append(messages.ModelRequest(parts=parts))
            parts = []
        said: list[messages.ModelResponsePart] = [messages.TextPart(turn.text)] if turn.text else []
        said += [messages.ToolCallPart(call.name, call.arguments, call.id) for call in turn.calls]
        made.append(messages.ModelResponse(parts=said))
    made.append(messages.ModelRequest(parts=parts))
    return made


def _part(turn: Turn) -> messages.ModelRequestPart:
    if turn.role == "system":
        return messages.SystemPromptPart(turn.text)
    if turn.role == "tool":
        return messages.ToolReturnPart(turn.name, turn.text, turn.answers)
    return messages.UserPromptPart(turn.text)


def _settings(model: Model[Any], outgoing: Outgoing) -> ModelSettings:
    sampling = outgoing.sampling
    choice = outgoing.choice
    told: dict[str, Any] = {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "stop_sequences": list(sampling.stop) or None,
        "seed": sampling.seed,
        "tool_choice": None
        if not outgoing.tools or choice == "auto"
        else (choice if choice in {"none", "required"} else [choice]),
    }
    cannot: frozenset[str] = model.unsupported_settings
    if model.profile.get("openai_supports_reasoning", False):
        cannot |= {"temperature", "top_p"}
    return ModelSettings(**{name: value for name, value in told.items() if value is not None and name not in cannot})


def _parameters(model: Model[Any], outgoing: Outgoing, *, words: bool) -> ModelRequestParameters:
    tools = [
        ToolDefinition(name=tool.name, description=tool.description, parameters_json_schema=tool.schema)
        for tool in outgoing.tools
    ]
    if outgoing.schema is None:
        return ModelRequestParameters(function_tools=tools)
    wanted = OutputObjectDefinition(json_schema=outgoing.schema, name=outgoing.schema_name or "answer")
    native = not words and model.profile.get("supports_json_schema_output", False)
    return ModelRequestParameters(
        function_tools=tools, output_mode="native" if native else "prompted", output_object=wanted
    )


def _piece(event: object, numbers: dict[int, int]) -> Delta | None:
    """What an event adds; `numbers`: parts that are calls, by their index, to the numbers of the calls."""
    if isinstance(event, messages.PartStartEvent):
        part = event.part
        if isinstance(part, messages.TextPart):
            return Delta(part.content) if part.content else None
        if isinstance(part, messages.ToolCallPart):
            number = numbers.setdefault(event.index, len(numbers))
            return Delta(calls=(CallDelta(number, part.tool_call_id, part.tool_name, _arguments(part.args)),))
    elif isinstance(event, messages.PartDeltaEvent):
        delta = event.delta
        if isinstance(delta, messages.TextPartDelta):
            return Delta(delta.content_delta) if delta.content_delta else None
        if isinstance(delta, messages.ToolCallPartDelta) and delta.args_delta:
            number = numbers.setdefault(event.index, len(numbers))
            return Delta(calls=(CallDelta(number, arguments=_arguments(delta.args_delta)),))
    return None


def _arguments(args: object) -> str:
    return args if isinstance(args, str) else msgspec.json.encode(args).decode() if args else ""


def _finished(reason: str | None, *, called: bool) -> str:
    if reason == "error":
        raise failed(ValueError("it ended with an error"))
    finish = _FINISH.get(reason, "stop")
    return "tool_calls" if called and finish == "stop" else finish

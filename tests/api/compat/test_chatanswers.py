"""Answers and errors in OpenAI's shape, read back by OpenAI's own types."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import msgspec
import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from spectra.ai.gateway.errors import NoModel, Tried
from spectra.api.compat.chatanswers import Chunks, completion, embeddings, failure
from spectra.errors import BadRequest, NotFound, SpectraError
from spectra.model.ai import Answer, CallDelta, Delta, Label, ToolCall, Usage, Vectors


def told(value: object) -> dict[str, Any]:
    """As it is sent."""
    return json.loads(msgspec.json.encode(value))


def events(data: bytes) -> list[Any]:
    """What each event says; the end as its word."""
    parts = [part.removeprefix("data: ") for part in data.decode().split("\n\n") if part]
    return [json.loads(part) if part.startswith("{") else part for part in parts]


def test_a_whole_answer_is_what_openai_sends() -> None:
    """With who answered beside it."""
    body = told(completion(Answer("hi", provider="local", model="tiny", usage=Usage(3, 2), cached=True), 1700000000))
    read = ChatCompletion.model_validate(body)
    assert (read.choices[0].message.content, read.choices[0].finish_reason) == ("hi", "stop")
    assert (read.model, read.created, read.choices[0].message.tool_calls) == ("tiny", 1700000000, None)
    assert read.usage is not None
    assert read.usage.total_tokens == 5
    assert body["spectra"] == {"provider": "local", "class": "LOCAL_ONLY", "cached": True}


def test_calls_are_what_openai_sends() -> None:
    """Without text the content is null."""
    body = told(completion(Answer("", (ToolCall("c1", "look_up", "{}"),), "tool_calls"), 0))
    (call,) = ChatCompletion.model_validate(body).choices[0].message.tool_calls or []
    assert call.type == "function"
    assert (call.id, call.function.name, call.function.arguments) == ("c1", "look_up", "{}")
    assert body["choices"][0]["message"]["content"] is None
    assert told(completion(Answer(""), 0))["choices"][0]["message"]["content"] == ""


def test_pieces_are_what_openai_sends() -> None:
    """The role first, text and calls as they come, how it ended, what it took, and the word that ends the stream."""
    chunks = Chunks("spectra", 0, usage=True, request_id="r")
    data = chunks.first() + chunks.of(Delta("he")) + chunks.of(Delta())
    data += chunks.of(Delta(calls=(CallDelta(0, "c1", "look_up"),))) + chunks.of(
        Delta(calls=(CallDelta(0, "", "", "{}"),))
    )
    data += chunks.of(Delta("", (), "tool_calls", "mistral", "small", Label.SANITIZED, Usage(3, 2)))
    *said, done = events(data)
    assert done == "[DONE]"
    first, text, begun, more, ended, used = (ChatCompletionChunk.model_validate(one) for one in said)
    assert len({one.id for one in (first, text, begun, more, ended, used)}) == 1
    assert (first.choices[0].delta.role, first.choices[0].delta.content) == ("assistant", "")
    assert text.choices[0].delta.content == "he"
    (call,) = begun.choices[0].delta.tool_calls or []
    assert call.function is not None
    assert (call.id, call.type, call.function.name) == ("c1", "function", "look_up")
    (call,) = more.choices[0].delta.tool_calls or []
    assert call.function is not None
    assert (call.index, call.id, call.function.arguments) == (0, None, "{}")
    assert (ended.choices[0].finish_reason, ended.model) == ("tool_calls", "small")
    assert said[4]["spectra"] == {"provider": "mistral", "class": "SANITIZED", "cached": False}
    assert (used.choices, used.usage and used.usage.total_tokens) == ([], 5)


def test_a_stream_that_breaks_off_says_so() -> None:
    """In the place of the end, so that nobody takes half an answer for a whole one."""
    chunks = Chunks("spectra", 0, usage=False, request_id="r")
    (said,) = events(chunks.of(Delta(finish="error")))
    assert said["error"]["code"] == "ai_unavailable"
    assert said["request_id"] == "r"


def test_vectors_are_numbers_or_packed() -> None:
    """As the client asks: OpenAI's own asks for packed ones."""
    found = Vectors(((0.5, -1.0), (0.25, 2.0)), "local", "e", Usage(4))
    read = CreateEmbeddingResponse.model_validate(told(embeddings(found, packed=False)))
    assert [one.embedding for one in read.data] == [[0.5, -1.0], [0.25, 2.0]]
    assert (read.model, read.usage.total_tokens) == ("e", 4)
    packed = told(embeddings(found, packed=True))["data"][1]["embedding"]
    assert struct.unpack("<2f", base64.b64decode(packed)) == (0.25, 2.0)


@pytest.mark.parametrize(
    ("error", "status", "kind", "code", "param", "again"),
    [
        (BadRequest("`n` is wrong.", field="n"), 400, "invalid_request_error", "bad_request", "n", None),
        (NotFound("None.", reason="unknown_model"), 404, "invalid_request_error", "model_not_found", None, None),
        (NoModel("Spent.", reason="ai_budget"), 429, "rate_limit_error", "ai_budget", None, "false"),
        (NoModel("None.", reason="ai_no_provider"), 503, "server_error", "ai_no_provider", None, "false"),
        (NoModel("Late.", reason="ai_deadline"), 504, "server_error", "ai_deadline", None, None),
        (SpectraError("Who?", reason="unauthenticated"), 401, "authentication_error", "unauthenticated", None, None),
        (SpectraError("No.", reason="forbidden"), 403, "permission_error", "forbidden", None, None),
    ],
)
def test_errors_have_openais_shape(
    error: SpectraError, status: int, kind: str, code: str, param: str | None, again: str | None
) -> None:
    """And those of a problem beside it; clients are told where asking again is of no use."""
    answer = failure(error, "r")
    body = json.loads(bytes(answer.body))
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert body["error"] == {"message": error.message, "type": kind, "param": param, "code": code}
    assert (body["reason"], body["request_id"], "tried" in body) == (error.reason, "r", False)
    assert answer.headers.get("x-should-retry") == again


def test_who_was_tried_is_told() -> None:
    """And why they did not answer: words without anybody's data."""
    error = NoModel("None.", reason="ai_no_provider", tried=(Tried("mistral", "off"), Tried("xai", "its class")))
    assert json.loads(bytes(failure(error, "r").body))["tried"] == ["mistral: off", "xai: its class"]

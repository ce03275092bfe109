"""What clients of OpenAI's API ask for: understood whole, or refused by name."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from spectra.api.compat.chatrequests import (
    MAX_DETECTED,
    ChatRequest,
    EmbeddingRequest,
    model_of,
    prompt_of,
    texts_of,
)
from spectra.errors import BadRequest
from spectra.model.ai import Label, Message, Sampling, Tool, ToolCall, local

USER: dict[str, Any] = {"role": "user", "content": "hello"}
CALL: dict[str, Any] = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"ip": "::1"}'}}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "look_up", "description": "Looks."}}


def asked(*messages: dict[str, Any], **more: Any) -> ChatRequest:
    """A request as it is read."""
    body = {"model": "spectra", "messages": list(messages) or [USER]} | more
    return msgspec.json.decode(msgspec.json.encode(body), type=ChatRequest)


def refused(request: ChatRequest) -> str:
    """The field for which a request is refused."""
    with pytest.raises(BadRequest) as caught:
        prompt_of(request, "local")
    assert caught.value.field.split(".")[0].split("[")[0] in caught.value.message
    return caught.value.field


def test_a_conversation_with_tools_is_told_whole() -> None:
    """Roles, parts, calls and what answers them; whatever the role, the text is raw data of whoever sent it."""
    prompt = prompt_of(
        asked(
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
            {"role": "assistant", "content": None, "tool_calls": [CALL], "annotations": [], "refusal": None},
            {"role": "tool", "tool_call_id": "c1", "content": "up"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            tools=[TOOL],
            tool_choice={"type": "function", "function": {"name": "look_up"}},
        ),
        "local",
    )
    assert prompt.messages == (
        Message("system", (local("be brief"),)),
        Message("user", (local("one"), local("two"))),
        Message("assistant", (), (ToolCall("c1", "look_up", '{"ip": "::1"}'),)),
        Message("tool", (local("up"),), answers="c1", name="look_up"),
        Message("assistant", (local("no"),)),
    )
    assert prompt.tools == (Tool("look_up", "Looks.", {"type": "object", "properties": {}}),)
    assert (prompt.choice, prompt.label, prompt.facts, prompt.model) == ("look_up", Label.LOCAL_ONLY, None, "")


def test_how_to_answer_is_told() -> None:
    """Sampling, the model alone, a schema; either name of the most tokens."""
    shape = {"name": "verdict", "schema": {"type": "object"}, "strict": True}
    request = asked(
        model="mistral",
        temperature=0.5,
        top_p=0.9,
        seed=7,
        stop="END",
        max_completion_tokens=9,
        response_format={"type": "json_schema", "json_schema": shape},
    )
    prompt = prompt_of(request, "local")
    assert prompt.sampling == Sampling(9, 0.5, 0.9, ("END",), 7)
    assert (prompt.model, prompt.schema, prompt.schema_name) == ("mistral", {"type": "object"}, "verdict")
    other = prompt_of(asked(max_tokens=5, stop=["a", "b"], response_format={"type": "json_object"}), "local")
    assert (other.sampling.max_tokens, other.sampling.stop) == (5, ("a", "b"))
    assert (other.schema, other.schema_name) == ({"type": "object"}, "json_object")
    assert prompt_of(asked(response_format={"type": "text"}, tool_choice="none"), "local").schema is None
    assert prompt_of(asked(tools=[TOOL], tool_choice="required"), "local").choice == "required"
    assert [model_of(name) for name in ("", "Spectra", "local")] == ["", "", "local"]


def test_what_clients_say_by_themselves_is_taken() -> None:
    """Values that change nothing, and what is for OpenAI's own housekeeping."""
    prompt_of(
        asked(
            n=1,
            logprobs=False,
            frequency_penalty=0,
            presence_penalty=0.0,
            logit_bias={},
            modalities=["text"],
            user="me",
            metadata={"a": "b"},
            store=False,
            parallel_tool_calls=True,
            service_tier="auto",
            stream=True,
            stream_options={"include_usage": True},
        ),
        "local",
    )


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"functions": []}, "functions"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"function": {"name": "other"}}, "tools": [TOOL]}, "tool_choice"),
        ({"tools": [TOOL, TOOL]}, "tools[1].function.name"),
        ({"tools": [{"function": {"name": "look up"}}]}, "tools[0].function.name"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ],
)
def test_what_would_change_the_answer_and_cannot_be_done_is_refused(more: dict[str, Any], field: str) -> None:
    """By its name, rather than left out in silence."""
    assert refused(asked(**more)) == field


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"role": "user"}, "messages[0].content"),
        ({"role": "assistant", "content": ""}, "messages"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},
            "messages[0].content[0].type",
        ),
        ({"role": "tool", "tool_call_id": "c9", "content": "up"}, "messages[0].tool_call_id"),
        ({"role": "tool", "content": "up"}, "messages[0].tool_call_id"),
        ({"role": "user", "content": "a", "tool_calls": [CALL]}, "messages[0].tool_calls"),
        ({"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}, "messages[0].function_call"),
    ],
)
def test_messages_that_make_no_sense_are_refused(message: dict[str, Any], field: str) -> None:
    """With the place in the list."""
    assert refused(asked(message)) == field


def test_a_schema_may_not_be_deeper_than_what_walks_through_it() -> None:
    """A client could otherwise end a request with a defect of ours."""
    deep: dict[str, Any] = {}
    for _ in range(40):
        deep = {"properties": {"a": deep}}
    assert refused(asked(tools=[{"function": {"name": "f", "parameters": deep}}])) == "tools[0].function.parameters"
    shape = {"type": "json_schema", "json_schema": {"name": "f", "schema": deep}}
    assert refused(asked(response_format=shape)) == "response_format.json_schema.schema"


@pytest.mark.parametrize(
    "wrong",
    [{"mesages": []}, {"messages": []}, {"temperature": 9}, {"max_tokens": 0}, {"messages": [{"role": "function"}]}],
)
def test_what_nobody_asks_openai_for_is_not_read(wrong: dict[str, Any]) -> None:
    """Unknown fields and values out of bounds, as OpenAI has them."""
    with pytest.raises(msgspec.ValidationError):
        asked(**wrong)


def test_texts_to_embed_are_free_text_too() -> None:
    """One or many, none of them empty."""
    assert texts_of(EmbeddingRequest(input="a"), "local") == (local("a"),)
    assert texts_of(EmbeddingRequest(input=["a", "b"]), "local") == (local("a"), local("b"))
    with pytest.raises(BadRequest, match="empty"):
        texts_of(EmbeddingRequest(input=["a", ""]), "local")


def test_detected_free_text_may_leave_without_what_was_found_in_it() -> None:
    """Where the settings say so: the detector takes out what is private."""
    prompt = prompt_of(asked({"role": "user", "content": "who is 192.0.2.7?"}), "detected")
    assert prompt.label == Label.SANITIZED
    assert [private.value for fragment in prompt.fragments() for private in fragment.privates] == ["192.0.2.7"]
    (text,) = texts_of(EmbeddingRequest(input="who is 192.0.2.7?"), "detected")
    assert text.effective == Label.SANITIZED


def test_more_than_the_detector_looks_through_stays_here() -> None:
    """So that nobody keeps the node busy with a book; a part of it holds back the whole."""
    book = "a " * (MAX_DETECTED // 4 + 1)
    assert prompt_of(asked({"role": "user", "content": book}), "detected").label == Label.SANITIZED
    twice = asked({"role": "user", "content": book}, {"role": "user", "content": book})
    assert prompt_of(twice, "detected").label == Label.LOCAL_ONLY

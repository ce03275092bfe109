"""OpenAI's own client against this node: it is understood, it reads what it is answered, and nothing leaks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from spectra.store.provenance import links
from tests.api.models import asking
from tests.api.node import Node
from tests.support.llms import FaultyModel

pytestmark = pytest.mark.engine

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks something up.",
        "parameters": {"type": "object", "properties": {"text": {"type": "string"}}},
    },
}
SECRET = "why is 203.0.113.77 open to db01.corp.internal?"


@pytest.fixture(scope="module")
def model() -> Iterator[FaultyModel]:
    """A model that says what it is told."""
    with FaultyModel() as model:
        yield model


@pytest.fixture(autouse=True)
def _well(model: FaultyModel) -> None:
    """It works before each test, and remembers nothing."""
    model.mode, model.call = "echo", ""
    model.requests.clear()
    model.script.clear()
    model.gone.clear()


@pytest.fixture(scope="module")
def local(node: Node, model: FaultyModel) -> Iterator[Node]:
    """A node with that model on its machine."""
    with asking(node, local=model.url) as other:
        yield other


@pytest.fixture(scope="module")
def abroad(node: Node, model: FaultyModel) -> Iterator[Node]:
    """A node that has the model in the EU alone, and lets what is typed leave without what is found in it."""
    with asking(node, mistral=model.url, free_text="detected") as other:
        yield other


def client(node: Node, role: str = "contributor") -> OpenAI:
    """OpenAI's client, as somebody of this role."""
    return OpenAI(base_url=f"{node.url}/v1", api_key=node.of(role).token, timeout=30, max_retries=2)


def said(*texts: str) -> Any:
    """What a user says."""
    return [{"role": "user", "content": text} for text in texts]


def test_an_answer_comes_whole(local: Node) -> None:
    """With who gave it, and what it took; the machine's own model is told everything as it is."""
    with client(local) as ai:
        answer = ai.chat.completions.create(model="spectra", messages=said(SECRET), temperature=0, max_tokens=50)
    assert answer.choices[0].message.content == SECRET
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model_extra == {"spectra": {"provider": "local", "class": "LOCAL_ONLY", "cached": False}}
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0


def test_an_answer_comes_piece_by_piece(local: Node, model: FaultyModel) -> None:
    """Put together it is the same, and what it took is told where that is asked for."""
    with client(local) as ai:
        pieces = list(
            ai.chat.completions.create(
                model="local", messages=said(SECRET), stream=True, stream_options={"include_usage": True}
            )
        )
    texts = [piece.choices[0].delta.content for piece in pieces if piece.choices]
    assert "".join(text or "" for text in texts) == SECRET
    assert len(texts) > 3
    assert [piece.choices[0].finish_reason for piece in pieces if piece.choices][-1] == "stop"
    assert pieces[-1].usage is not None
    assert pieces[-1].usage.completion_tokens > 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_model_calls_tools_and_is_told_what_came_of_it(local: Node, model: FaultyModel, *, stream: bool) -> None:
    """The call, its arguments, and the conversation that goes on with them."""
    model.call = "look_up"
    with client(local) as ai:
        first = called(ai, said(SECRET), stream=stream)
        assert (first["function"]["name"], json.loads(first["function"]["arguments"])) == ("look_up", {"text": SECRET})
        model.call = ""
        history: Any = [*said(SECRET), {"role": "assistant", "content": None, "tool_calls": [first]}]
        history += [{"role": "tool", "tool_call_id": first["id"], "content": "it is a trap"}, *said("so?")]
        answer = ai.chat.completions.create(model="spectra", messages=history, tools=[TOOL])
    assert answer.choices[0].message.content == "so?"
    assert b"it is a trap" in model.requests[-1].body
    assert first["id"].encode() in model.requests[-1].body


def called(ai: OpenAI, messages: Any, *, stream: bool) -> dict[str, Any]:
    """The one call that a model asks for, as it goes into a history."""
    if not stream:
        answer = ai.chat.completions.create(model="spectra", messages=messages, tools=[TOOL])
        assert answer.choices[0].finish_reason == "tool_calls"
        (call,) = answer.choices[0].message.tool_calls or []
        return call.model_dump()
    pieces = list(ai.chat.completions.create(model="spectra", messages=messages, tools=[TOOL], stream=True))
    assert pieces[-1].choices[0].finish_reason == "tool_calls"
    found = [call for piece in pieces for call in piece.choices[0].delta.tool_calls or []]
    arguments = "".join(call.function.arguments or "" for call in found if call.function)
    name = next(call.function.name for call in found if call.function and call.function.name)
    function = {"name": name, "arguments": arguments}
    return {"id": next(call.id for call in found if call.id), "type": "function", "function": function}


def test_a_schema_is_passed_on(local: Node, model: FaultyModel) -> None:
    """So that the answer is what a program reads."""
    model.say('{"open": true}')
    shape: Any = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": {"type": "object"}}}
    with client(local) as ai:
        answer = ai.chat.completions.create(model="spectra", messages=said("open?"), response_format=shape)
    assert json.loads(answer.choices[0].message.content or "") == {"open": True}
    assert model.requests[-1].json["response_format"]["json_schema"]["name"] == "verdict"


def test_texts_become_vectors(local: Node) -> None:
    """One for each, as numbers, whichever way the client asks to have them sent."""
    with client(local) as ai:
        packed = ai.embeddings.create(model="spectra", input=["one", "two"])
        plain = ai.embeddings.create(model="spectra", input="one", encoding_format="float")
        with pytest.raises(openai.BadRequestError) as refused:
            ai.embeddings.create(model="spectra", input="one", dimensions=7)
    assert [one.index for one in packed.data] == [0, 1]
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, rel=1e-6)
    assert refused.value.param == "dimensions"


def test_models_can_be_listed(local: Node) -> None:
    """Whichever comes first, and each by its name; an unknown one is told as OpenAI tells it."""
    with client(local) as ai:
        assert [one.id for one in ai.models.list()] == ["spectra", "tiny", "vectors"]
        assert ai.models.retrieve("tiny").owned_by == "local"
        with pytest.raises(openai.NotFoundError):
            ai.models.retrieve("gpt-9")
        with pytest.raises(openai.NotFoundError) as unknown:
            ai.chat.completions.create(model="gpt-9", messages=said("hello"))
    assert unknown.value.code == "model_not_found"


def test_who_may_not_ask_is_told_so(local: Node, model: FaultyModel) -> None:
    """Without a token, and with one that does not hold the scope; no model hears of it."""
    with OpenAI(base_url=f"{local.url}/v1", api_key="spk_unknown") as ai, pytest.raises(openai.AuthenticationError):
        ai.chat.completions.create(model="spectra", messages=said("hello"))
    with client(local, "read-only") as ai, pytest.raises(openai.PermissionDeniedError):
        ai.chat.completions.create(model="spectra", messages=said("hello"))
    assert not model.requests


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"n": 3}, "n"), ({"extra_body": {"colour": "red"}}, "colour"), ({"temperature": 9}, "temperature")],
)
def test_what_is_wrong_is_named(local: Node, model: FaultyModel, wrong: dict[str, Any], named: str) -> None:
    """As OpenAI does, rather than being left out in silence."""
    with client(local) as ai, pytest.raises(openai.BadRequestError) as refused:
        ai.chat.completions.create(model="spectra", messages=said("hello"), **wrong)
    assert named in refused.value.message
    assert not model.requests


def test_paths_there_are_not_are_told_in_the_same_shape(local: Node) -> None:
    """Other paths' errors stay problems."""
    answer = local.ask("GET", "/v1/files")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_such_path")
    assert "error" not in local.ask("GET", "/v0/files").json()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_what_is_typed_stays_here_where_nothing_else_was_said(node: Node, model: FaultyModel, *, stream: bool) -> None:
    """A provider elsewhere is not asked; the client is told why, and not to try again."""
    with (
        asking(node, mistral=model.url) as other,
        client(other) as ai,
        pytest.raises(openai.InternalServerError) as refused,
    ):
        ai.chat.completions.create(model="spectra", messages=said("hello"), stream=stream)
    assert (refused.value.status_code, refused.value.code) == (503, "ai_no_provider")
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert refused.value.response.json()["tried"]
    assert not model.requests


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_what_is_found_in_it_does_not_leave_and_comes_back(abroad: Node, model: FaultyModel, *, stream: bool) -> None:
    """Neither whole nor in pieces, in texts nor in a tool's arguments; and each request is on record before."""
    model.call = "look_up"
    with client(abroad) as ai:
        call = called(ai, said(SECRET), stream=stream)
        model.call = ""
        history: Any = [*said(SECRET), {"role": "assistant", "content": None, "tool_calls": [call]}]
        history += [{"role": "tool", "tool_call_id": call["id"], "content": SECRET}, *said(f"so {SECRET}")]
        answer = ai.chat.completions.create(model="mistral", messages=history, tools=[TOOL])
    assert json.loads(call["function"]["arguments"]) == {"text": SECRET}
    assert answer.choices[0].message.content == f"so {SECRET}"
    assert (answer.model_extra or {})["spectra"]["class"] == "SANITIZED"
    for private in (b"203.0.113.77", b"db01", b"corp.internal"):
        assert private not in model.bytes
    entries = [link.detail() for link in links(abroad.services.database) if link.kind == "ai-egress"]
    for one, entry in zip(model.requests, entries[-2:], strict=True):
        assert entry["sha256"] == hashlib.sha256(one.body).hexdigest()
        assert (entry["bytes"], entry["class"], entry["provider"]) == (len(one.body), "SANITIZED", "mistral")
    assert SECRET not in json.dumps(entries)


def test_vectors_of_what_is_typed_are_made_of_what_may_leave(abroad: Node, model: FaultyModel) -> None:
    """The same rules hold for them."""
    with client(abroad) as ai:
        assert len(ai.embeddings.create(model="spectra", input=SECRET).data) == 1
    assert b"203.0.113.77" not in model.bytes


def test_a_model_that_fails_is_told_in_openais_words(local: Node, model: FaultyModel) -> None:
    """Before anything came by the status, later by an event that its client raises."""
    model.mode = "half_stream"
    with client(local) as ai:
        with pytest.raises(openai.APIError, match="broke off"):
            list(ai.chat.completions.create(model="spectra", messages=said("a long story"), stream=True))
        model.mode = "refusing"
        with pytest.raises(openai.UnprocessableEntityError) as refused:
            ai.chat.completions.create(model="spectra", messages=said("hello"))
    assert refused.value.code == "ai_refused"


def test_who_hangs_up_ends_the_request_to_the_model(local: Node, model: FaultyModel) -> None:
    """A model is not kept talking to nobody."""
    model.mode = "endless"
    with client(local) as ai:
        stream = ai.chat.completions.create(model="spectra", messages=said("go on"), stream=True)
        assert next(iter(stream)).choices
        stream.close()
    assert model.gone.wait(30)


def test_a_body_may_not_be_endless(local: Node, model: FaultyModel) -> None:
    """It is refused before it is read."""
    answer = httpx.post(
        f"{local.url}/v1/chat/completions",
        content=b'{"messages": [{"role": "user", "content": "' + b"a" * (5 * 1024 * 1024) + b'"}]}',
        headers={"authorization": f"Bearer {local.of('contributor').token}"},
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert not model.requests

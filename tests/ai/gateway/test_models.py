"""Models of pydantic-ai for the six providers: what each of their servers is sent, and how its answers are read."""

from __future__ import annotations

import json
import warnings
from collections.abc import Generator
from pathlib import Path

import pytest

from spectra.ai.gateway.errors import NoModel, RefusedByModel
from spectra.ai.gateway.gateway import Gateway
from spectra.ai.gateway.models import Line
from spectra.errors import SetupError
from spectra.model.ai import Message, Sampling, ToolCall
from spectra.settings.ai import NAMES
from tests.ai.gateway.desk import ADDRESS, HOST, LOOK, SCHEMA, TOLD, USER, Memory, asking, at, desk
from tests.support.llms import FaultyModel, Mode

PLAIN = f"The host {ADDRESS} is {HOST}, of user {USER}."
SAMPLING = Sampling(max_tokens=9, temperature=0.5, top_p=0.9, stop=("END",), seed=3)
Asked = tuple[str, FaultyModel, Gateway]


@pytest.fixture(scope="module", params=NAMES)
def asked(request: pytest.FixtureRequest) -> Generator[Asked]:
    """A provider in the EU, its server, and a gateway that asks it alone."""
    with FaultyModel(piece=4) as model, desk(Memory(), **{request.param: at(model.origin, "eu")}) as (gateway, _):
        yield request.param, model, gateway


@pytest.fixture(autouse=True)
def again(asked: Asked) -> None:
    """Each test begins with a server that works and a provider that is not spared."""
    _, model, gateway = asked
    model.mode, model.call = "echo", ""
    model.requests.clear()
    for provider in gateway._providers:  # pyright: ignore[reportPrivateUsage]
        provider.good()


def test_answers_streams_and_calls(asked: Asked) -> None:
    """In each protocol: a text, the same in pieces, a call with its arguments, and what the tool said after it."""
    name, model, gateway = asked
    answer = gateway.answer(asking(TOLD, sampling=SAMPLING), account="a", deadline_s=60)
    assert (answer.text, answer.provider, answer.finish, answer.usage) == (PLAIN, name, "stop", (11, 7))
    pieces = list(gateway.stream(asking(TOLD, sampling=SAMPLING), account="a", deadline_s=60))
    assert ("".join(p.text for p in pieces), pieces[-1].finish, pieces[-1].usage) == (PLAIN, "stop", (11, 7))
    model.call = "look"
    told = asking(TOLD, tools=(LOOK,), choice="look")
    (call,) = gateway.answer(told, account="a", deadline_s=60).calls
    assert (call.name, json.loads(call.arguments)) == ("look", {"text": PLAIN})
    pieces = list(gateway.stream(told._replace(choice="required"), account="a", deadline_s=60))
    deltas = [delta for piece in pieces for delta in piece.calls]
    assert json.loads("".join(delta.arguments for delta in deltas)) == {"text": PLAIN}
    assert ({delta.name for delta in deltas} - {""}, pieces[-1].finish) == ({"look"}, "tool_calls")
    model.call = ""
    back = (*told.messages, Message("assistant", (), (call,)), Message("tool", (TOLD,), (), call.id, "look"))
    assert gateway.answer(told._replace(messages=back, choice="auto"), account="a", deadline_s=60).text == PLAIN
    assert not any(value.encode() in model.bytes for value in (ADDRESS, HOST, USER))


def test_json_of_a_schema(asked: Asked) -> None:
    """By the protocol's own way, or in words."""
    _, model, gateway = asked
    model.say('{"a": "x", "b": 1}')
    said = gateway.answer(asking(TOLD, schema=SCHEMA), account="a", deadline_s=60)
    assert json.loads(said.text) == {"a": "x", "b": 1}
    assert b"additionalProperties" in model.requests[-1].body


def test_how_it_ended(asked: Asked) -> None:
    """Cut for its length."""
    _, model, gateway = asked
    model.say("cut", finish="length")
    assert gateway.answer(asking(TOLD), account="a", deadline_s=60).finish == "length"


@pytest.mark.parametrize("mode", ["dead", "rate_limited", "broken", "refusing", "forbidden", "garbage", "wrong_schema"])
def test_faults_in_each_protocol(asked: Asked, mode: Mode) -> None:
    """Whatever the library makes of it, the provider failed, once: nobody asks it again behind our back."""
    _, model, gateway = asked
    model.mode = mode
    for ask in (gateway.answer, gateway.stream):
        for provider in gateway._providers:  # pyright: ignore[reportPrivateUsage]
            provider.good()
        model.requests.clear()
        with pytest.raises((NoModel, RefusedByModel)):
            ask(asking(TOLD), account="a", deadline_s=60)
        assert len(model.requests) == 1


def test_half_a_stream_in_each_protocol(asked: Asked) -> None:
    """Ends with an error, after what was there."""
    _, model, gateway = asked
    model.mode = "half_stream"
    pieces = list(gateway.stream(asking(TOLD), account="a", deadline_s=60))
    assert pieces[-1].finish == "error"
    assert PLAIN.startswith("".join(piece.text for piece in pieces))


def test_vectors_in_each_protocol(asked: Asked) -> None:
    """Of those that make any."""
    name, model, _ = asked
    with desk(**{name: at(model.origin, "eu", embedding_model="small")}) as (gateway, _):
        if name == "claude":
            with pytest.raises(NoModel):
                gateway.embed([TOLD], account="a", deadline_s=60)
            return
        made = gateway.embed([TOLD, TOLD], account="a", deadline_s=60)
        assert (len(made.vectors), made.provider, made.model) == (2, name, "small")
        assert ADDRESS.encode() not in model.bytes


def test_a_history_of_calls_is_sent(asked: Asked) -> None:
    """With what free text may be: looked through, where it was said so."""
    name, model, _ = asked
    call = ToolCall("call-1", "look", json.dumps({"text": f"at {ADDRESS}"}))
    turns = (
        *asking(TOLD).messages,
        Message("assistant", (TOLD,), (call,)),
        Message("tool", (TOLD,), (), "call-1", "look"),
    )
    with desk(free_text="detected", **{name: at(model.origin, "eu")}) as (gateway, _):
        told = asking(TOLD, tools=(LOOK,))._replace(messages=turns)
        assert gateway.answer(told, account="a", deadline_s=60).text == PLAIN
        assert ADDRESS.encode() not in model.bytes


def test_a_key_that_cannot_be_used(asked: Asked, tmp_path: Path) -> None:
    """The provider is passed over and said why, without the key."""
    name, model, _ = asked
    path = tmp_path / "key"
    path.write_text("key-of-tests")
    path.chmod(0o644)
    with desk(**{name: at(model.origin, "eu", api_key=None, api_key_file=path)}) as (gateway, _):
        provider = next(one for one in gateway._providers if one.name == name)  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(SetupError, match="Others may read"):
            Line(provider, gateway.egress, [])
        with warnings.catch_warnings(), pytest.raises(NoModel) as caught:
            gateway.answer(asking(TOLD), account="a", deadline_s=60)
        assert "Others may read the key file" in caught.value.tried[-1].why
        assert model.requests == []

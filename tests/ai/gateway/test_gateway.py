"""The gateway, against real servers on loopback: who is asked, what leaves, and what comes back."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from spectra.ai.gateway.errors import NoModel, RefusedByModel
from spectra.errors import NotFound
from spectra.model.ai import Delta, Label, Message, Prompt, Sampling, ToolCall, generic, local
from tests.ai.gateway.desk import ADDRESS, HOST, LOOK, SCHEMA, TOLD, USER, Memory, asking, at, desk
from tests.support.llms import FaultyModel, Mode, llama

DEADLINE_S = 20.0
PLAIN = f"The host {ADDRESS} is {HOST}, of user {USER}."


def joined(pieces: list[Delta]) -> str:
    """The text of a stream."""
    return "".join(piece.text for piece in pieces)


def test_llama_cpp_answers_streams_and_follows_a_schema(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The real server of llama.cpp: a text, the same in pieces, and JSON of a schema; tokens are in the ledger."""
    with llama(tmp_path_factory.mktemp("model")) as server, desk(local=at(server.url)) as (gateway, books):
        short = asking(local("hi"), sampling=Sampling(max_tokens=6, seed=1))
        answer = gateway.answer(short, account="a", deadline_s=DEADLINE_S)
        assert (answer.provider, answer.label, answer.cached) == ("local", Label.LOCAL_ONLY, False)
        assert answer.text
        assert answer.usage.input > 10
        assert 0 < answer.usage.output <= 6
        pieces = list(gateway.stream(short, account="a", deadline_s=DEADLINE_S))
        assert joined(pieces)
        assert pieces[-1].finish in {"stop", "length"}
        assert pieces[-1].usage.output > 0
        told = asking(local("hi"), schema=SCHEMA, sampling=Sampling(max_tokens=600))
        said = json.loads(gateway.answer(told, account="a", deadline_s=DEADLINE_S).text)
        assert isinstance(said["b"], int)
        assert books.outcomes == [("local", "answered")] * 3
        assert books.left == []
        assert all(not call.away for call in books.calls)


def test_llama_cpp_makes_vectors(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Its embeddings: as many as texts, of one length; the same text, the same vector."""
    with llama(tmp_path_factory.mktemp("model"), embeddings=True) as server:
        own = at(server.url, embedding_model="tiny")
        with desk(local=own) as (gateway, books):
            made = gateway.embed([TOLD, generic("b"), TOLD], account="a", deadline_s=DEADLINE_S)
            assert {len(vector) for vector in made.vectors} == {32}
            assert made.vectors[0] == pytest.approx(made.vectors[2], abs=0.05)
            assert (made.provider, made.model, books.calls[0].model) == ("local", "tiny", "tiny")
            assert gateway.embed([], account="a", deadline_s=DEADLINE_S).vectors == ()


def test_nothing_private_leaves_and_the_answer_has_it_again() -> None:
    """To the EU go pseudonyms alone, in texts, streams, calls and their answers; what comes back has the values."""
    with FaultyModel(piece=3) as model, desk(mistral=at(model.origin, "eu")) as (gateway, books):
        answer = gateway.answer(asking(TOLD), account="a", deadline_s=DEADLINE_S)
        assert (answer.text, answer.provider, answer.label) == (PLAIN, "mistral", Label.SANITIZED)
        assert joined(list(gateway.stream(asking(TOLD), account="a", deadline_s=DEADLINE_S))) == PLAIN
        model.call = "look"
        asked = asking(TOLD, tools=(LOOK,))
        (call,) = gateway.answer(asked, account="a", deadline_s=DEADLINE_S).calls
        assert json.loads(call.arguments) == {"text": PLAIN}
        turns = (*asked.messages, Message("assistant", (), (call,)), Message("tool", (TOLD,), (), call.id, "look"))
        model.call = ""
        told = gateway.answer(asked._replace(messages=turns), account="a", deadline_s=DEADLINE_S)
        assert told.text == PLAIN
        assert not any(value.encode() in model.bytes for value in (ADDRESS, HOST, USER))
        assert [left.bytes for left in books.left] == [len(seen.body) for seen in model.requests]
        assert {left.label for left in books.left} == {Label.SANITIZED}
        assert all(call.away for call in books.calls)


def test_calls_in_streams_are_restored_and_known_again() -> None:
    """Arguments that come in pieces are valid JSON with the values in it; the call may go back where it came from."""
    with FaultyModel(piece=3) as model, desk(xai=at(model.url, "eu")) as (gateway, _):
        model.call = "look"
        asked = asking(TOLD, tools=(LOOK,))
        pieces = list(gateway.stream(asked, account="a", deadline_s=DEADLINE_S))
        deltas = [delta for piece in pieces for delta in piece.calls]
        arguments = "".join(delta.arguments for delta in deltas)
        assert (json.loads(arguments), pieces[-1].finish) == ({"text": PLAIN}, "tool_calls")
        call = ToolCall(deltas[0].id, deltas[0].name, arguments)
        model.call = ""
        back = asked._replace(messages=(*asked.messages, Message("assistant", (), (call,))))
        back = back._replace(messages=(*back.messages, Message("tool", (generic("done"),), (), call.id, "look")))
        assert gateway.answer(back, account="a", deadline_s=DEADLINE_S).provider == "xai"
        other = back._replace(messages=(Message("assistant", (), (call._replace(arguments="{}"),)),))
        with pytest.raises(NoModel, match="No model may see this"):
            gateway.answer(other, account="a", deadline_s=DEADLINE_S)


def test_class_decides_who_is_asked() -> None:
    """Raw data goes to this machine or to nobody; each is told why it was passed over."""
    with FaultyModel() as near, FaultyModel() as eu, FaultyModel() as far:
        there = {"mistral": at(eu.origin, "eu"), "openai": at(far.url, "elsewhere")}
        with desk(local=at(near.url), order=["openai", "mistral", "local"], **there) as (gateway, _):
            for fragment, who in ((generic("What is TLS?"), "openai"), (TOLD, "mistral"), (local("raw"), "local")):
                assert gateway.answer(asking(fragment), account="a", deadline_s=DEADLINE_S).provider == who
            assert [len(model.requests) for model in (near, eu, far)] == [1, 1, 1]
            assert all(gateway.ready(label) for label in Label)
        with desk(**there) as (gateway, books):
            with pytest.raises(NoModel) as caught:
                gateway.answer(asking(local("raw")), account="a", deadline_s=DEADLINE_S)
            assert (caught.value.reason, books.outcomes) == ("ai_no_provider", [("", "ai_no_provider")])
            assert [(one.provider, one.why) for one in caught.value.tried] == [
                ("local", "ai.local.url says nowhere"),
                ("mistral", "takes SANITIZED at most"),
                ("openai", "takes CLOUD_DIRECT at most"),
            ]
            assert not gateway.ready(Label.LOCAL_ONLY)


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("dead", "cannot be reached"),
        ("rate_limited", "429"),
        ("broken", "503"),
        ("refusing", "refuses the request (400)"),
        ("forbidden", "refuses its key (401)"),
        ("garbage", "answered"),
        ("wrong_schema", "no answer"),
    ],
)
def test_the_next_one_is_asked_where_one_fails(mode: Mode, why: str) -> None:
    """Whatever way it fails in, for an answer and for a stream; where it was the last one, it says why."""
    with FaultyModel(mode) as bad, FaultyModel() as good:
        with desk(local=at(bad.url), openai=at(good.url, "machine")) as (gateway, books):
            assert gateway.answer(asking(local("x")), account="a", deadline_s=DEADLINE_S).provider == "openai"
            pieces = list(gateway.stream(asking(local("x")), account="a", deadline_s=DEADLINE_S))
            assert (joined(pieces), pieces[-1].provider) == ("x", "openai")
            assert books.outcomes == [("openai", "answered")] * 2
            assert len(books.given_back) >= 1
        with desk(local=at(bad.url)) as (gateway, _):
            with pytest.raises((NoModel, RefusedByModel)) as caught:
                gateway.answer(asking(local("x")), account="a", deadline_s=DEADLINE_S)
            told = caught.value.tried[0].why if isinstance(caught.value, NoModel) else caught.value.message
            assert why in told
            assert caught.value.reason == ("ai_refused" if mode == "refusing" else "ai_unavailable")


def test_one_deadline_for_the_whole_chain() -> None:
    """A provider that says nothing is left in time for the next; where none answers, the deadline is the end."""
    with FaultyModel("slow") as slow, FaultyModel() as good:
        both = {"local": at(slow.url, timeout_s=0.3), "openai": at(good.url, "machine")}
        with desk(**both) as (gateway, books):
            assert gateway.answer(asking(local("x")), account="a", deadline_s=DEADLINE_S).provider == "openai"
            pieces = list(gateway.stream(asking(local("x")), account="a", deadline_s=DEADLINE_S))
            assert pieces[-1].provider == "openai"
            good.mode = "slow"
            with pytest.raises(NoModel, match="openai gave no answer in time") as caught:
                list(gateway.stream(asking(local("x")), account="a", deadline_s=1.0))
            assert (caught.value.reason, books.outcomes[-1]) == ("ai_deadline", ("", "ai_deadline"))
            with pytest.raises(NoModel) as caught:
                gateway.answer(asking(local("x")), account="a", deadline_s=0.0)
            assert caught.value.reason == "ai_deadline"


def test_half_a_stream_ends_with_an_error() -> None:
    """What was passed on stays; no other provider takes it up; what it took is in the ledger, about."""
    with (
        FaultyModel("half_stream") as half,
        FaultyModel() as good,
        desk(local=at(half.url), openai=at(good.url, "machine")) as (gateway, books),
    ):
        pieces = list(gateway.stream(asking(local("a longer text")), account="a", deadline_s=DEADLINE_S))
        assert (joined(pieces), pieces[-1].finish) == ("a longer t", "error")
        assert good.requests == []
        assert books.recorded.acquire(timeout=30)
        assert books.outcomes == [("local", "ai_broke_off")]
        assert books.calls[0].usage.output > 0


def test_a_server_that_takes_no_schema_is_asked_in_words() -> None:
    """Once refused, it is asked for JSON in words, and is from then on."""
    with FaultyModel("no_json_schema") as model, desk(local=at(model.url)) as (gateway, _):
        asked = asking(local('{"a": "x", "b": 1}'), schema=SCHEMA)
        assert json.loads(gateway.answer(asked, account="a", deadline_s=DEADLINE_S).text)["b"] == 1
        assert joined(list(gateway.stream(asked, account="a", deadline_s=DEADLINE_S)))
        assert [seen.json.get("response_format", {}).get("type") for seen in model.requests] == [
            "json_schema",
            "json_object",
            "json_object",
        ]


@pytest.mark.parametrize("said", ["no JSON", '{"a": "x"}', ""])
def test_an_answer_of_another_shape_is_none(said: str) -> None:
    """No JSON, JSON without what is required, or nothing at all: the next provider is asked."""
    with (
        FaultyModel() as bad,
        FaultyModel() as good,
        desk(local=at(bad.url), openai=at(good.url, "machine")) as (gateway, _),
    ):
        bad.say(said)
        good.say('{"a": "x", "b": 2}')
        answer = gateway.answer(asking(local("x"), schema=SCHEMA), account="a", deadline_s=DEADLINE_S)
        assert (answer.provider, json.loads(answer.text)["b"]) == ("openai", 2)


def test_answers_are_kept_by_what_they_are_drawn_from() -> None:
    """The same facts: the kept answer, without asking. A changed fact, question or provider: another one."""
    books = Memory()
    with FaultyModel() as model:
        with desk(books, local=at(model.url)) as (gateway, _):
            first = gateway.answer(asking(TOLD, facts=("f1",)), account="a", deadline_s=DEADLINE_S)
            again = gateway.answer(asking(TOLD, facts=("f1",)), account="b", deadline_s=DEADLINE_S)
            assert (again, len(model.requests)) == (first._replace(cached=True), 1)
            assert books.outcomes == [("local", "answered"), ("", "cached")]
            for other in (
                asking(TOLD, facts=("f2",)),
                asking(TOLD, generic("Why?"), facts=("f1",)),
                asking(TOLD, facts=("f1",), sampling=Sampling(temperature=0.0)),
                asking(TOLD),
            ):
                assert not gateway.answer(other, account="a", deadline_s=DEADLINE_S).cached
        with desk(books, local=at(model.url, model="another")) as (gateway, _):
            assert not gateway.answer(asking(TOLD, facts=("f1",)), account="a", deadline_s=DEADLINE_S).cached
        with desk(books, local=at(model.url), cache_hours=0) as (gateway, _):
            assert not gateway.answer(asking(TOLD, facts=("f1",)), account="a", deadline_s=DEADLINE_S).cached


def test_a_leak_is_stopped_at_the_wire() -> None:
    """A value that got past the rendering (here by a tool's name) is in no byte that leaves; it is counted."""
    tool = LOOK._replace(name=f"look_{USER}")
    with FaultyModel() as model, desk(openai=at(model.url, "eu")) as (gateway, books):
        bad = asking(TOLD, tools=(LOOK._replace(name=f"ask {HOST}"),))
        for ask in (gateway.answer, gateway.stream):
            with pytest.raises(NoModel) as caught:
                ask(bad, account="a", deadline_s=DEADLINE_S)
            assert caught.value.reason == "ai_leak_stopped"
        assert (model.requests, books.left) == ([], [])
        assert gateway.counts()["openai", "leak"] == 2
        assert gateway.answer(asking(generic("x"), tools=(tool,)), account="a", deadline_s=DEADLINE_S).text == "x"


def test_what_cannot_be_put_on_record_does_not_leave() -> None:
    """The entry in the chain comes first; without it nothing is sent. This machine needs none."""
    books = Memory()
    books.broken = True
    with FaultyModel() as model, FaultyModel() as near:
        with desk(books, openai=at(model.url, "eu")) as (gateway, _):
            with pytest.raises(NoModel) as caught:
                gateway.answer(asking(TOLD), account="a", deadline_s=DEADLINE_S)
            assert "could not be put on record" in caught.value.tried[-1].why
            assert model.requests == []
        with desk(books, local=at(near.url)) as (gateway, _):
            assert gateway.answer(asking(TOLD), account="a", deadline_s=DEADLINE_S).text == PLAIN


def test_budgets_hold() -> None:
    """A provider without budget is passed over; an account without one is told so, and nobody is asked."""
    books = Memory()
    with (
        FaultyModel() as first,
        FaultyModel() as second,
        desk(books, local=at(first.url), openai=at(second.url, "machine")) as (gateway, _),
    ):
        books.full = {"local": "provider"}
        assert gateway.answer(asking(local("x")), account="a", deadline_s=DEADLINE_S).provider == "openai"
        books.full = {"local": "provider", "openai": "provider"}
        with pytest.raises(NoModel) as caught:
            gateway.answer(asking(local("x")), account="a", deadline_s=DEADLINE_S)
        assert caught.value.reason == "ai_budget"
        books.full = {"local": "account"}
        with pytest.raises(NoModel, match="this account may use today"):
            gateway.answer(asking(local("x")), account="a", deadline_s=DEADLINE_S)
        assert (len(first.requests), len(second.requests)) == (0, 1)
        assert books.held[0].tokens > 1000


def test_as_many_at_once_as_are_allowed() -> None:
    """One place, taken by a stream: the next waits for its deadline and is refused; closing gives the place back."""
    with FaultyModel("endless") as model, desk(local=at(model.url), concurrent=1) as (gateway, books):
        stream = gateway.stream(asking(local("x")), account="a", deadline_s=DEADLINE_S)
        assert next(stream).text
        with pytest.raises(NoModel) as caught:
            gateway.answer(asking(local("x")), account="a", deadline_s=0.05)
        assert caught.value.reason == "ai_busy"
        stream.close()
        assert model.gone.wait(30), "the request is cancelled"
        assert books.recorded.acquire(timeout=30)
        assert books.outcomes == [("local", "cancelled")]
        model.mode = "echo"
        assert gateway.answer(asking(local("x")), account="a", deadline_s=DEADLINE_S).text == "x"


def test_who_hangs_up_while_it_waits() -> None:
    """`close` from another thread ends the waiting at once."""
    with FaultyModel("stalled_stream") as model, desk(local=at(model.url)) as (gateway, _):
        stream = gateway.stream(asking(local("a longer text")), account="a", deadline_s=DEADLINE_S)
        read = [next(stream), next(stream)]
        with ThreadPoolExecutor(1) as pool:
            rest = pool.submit(list[Delta], stream)
            stream.close()
            assert rest.result(10) == []
        assert joined(read) == "a longer t"


def test_many_threads() -> None:
    """Answers belong to who asked."""
    with FaultyModel() as model, desk(local=at(model.url), concurrent=8) as (gateway, _):

        def ask(n: int) -> bool:
            return gateway.answer(asking(local(f"text {n}")), account="a", deadline_s=DEADLINE_S).text == f"text {n}"

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(ask, range(32)))


def test_a_model_by_its_name() -> None:
    """A provider's name, its model's, or both; another name is not found."""
    with (
        FaultyModel() as near,
        FaultyModel() as other,
        desk(local=at(near.url, model="tiny"), openai=at(other.url, "machine")) as (gateway, _),
    ):
        for name, who in (("", "local"), ("tiny", "local"), ("local/tiny", "local"), ("openai", "openai")):
            asked = asking(local("x"), model=name)
            assert gateway.answer(asked, account="a", deadline_s=DEADLINE_S).provider == who
        with pytest.raises(NotFound) as caught:
            gateway.answer(asking(local("x"), model="gpt-9"), account="a", deadline_s=DEADLINE_S)
        assert caught.value.reason == "unknown_model"


def test_how_it_stands_with_each() -> None:
    """Ready, off, broken and until when, spent; tokens of the day."""
    with FaultyModel() as good, FaultyModel("rate_limited") as bad:
        settings = {
            "local": at(good.url, tokens_per_day=10),
            "openai": at(bad.url, "machine"),
            "gemini": at(good.url, api_key=None),
        }
        with desk(order=["openai", "local", "gemini", "xai"], **settings) as (gateway, _):
            assert gateway.answer(asking(local("x")), account="a", deadline_s=DEADLINE_S).provider == "local"
            states = {state.name: state for state in gateway.providers()}
            assert {name: state.state for name, state in states.items()} == {
                "openai": "broken",
                "local": "spent",
                "gemini": "off",
                "xai": "off",
            }
            assert (states["openai"].why, states["openai"].until is not None) == ("asks to be spared (429)", True)
            assert (states["local"].takes, states["local"].tokens_today) == ("LOCAL_ONLY", 18)
            assert (states["gemini"].why, states["xai"].why) == ("ai.gemini has no key", "not opted in")


def test_a_machine_that_is_not_this_one_is_not_asked() -> None:
    """Whatever its residency says: its address decides, and nothing is sent."""
    with desk(local=at("http://192.0.2.1:9")) as (gateway, _), pytest.raises(NoModel) as caught:
        gateway.answer(asking(local("raw")), account="a", deadline_s=DEADLINE_S)
    assert "not on this machine, nor in ai.machine_networks" in caught.value.tried[0].why


def test_a_closed_gateway_asks_nobody() -> None:
    """What is on its way is cancelled, and what comes later refused; closing twice is harmless."""
    with FaultyModel("slow") as model, desk(local=at(model.url)) as (gateway, _):
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(gateway.answer, asking(local("x")), account="a", deadline_s=DEADLINE_S)
            assert model.arrived.acquire(timeout=30)
            gateway.close()
            with pytest.raises(NoModel):
                answer.result(10)
        with pytest.raises(NoModel):
            gateway.answer(asking(local("x")), account="a", deadline_s=1.0)
        gateway.close()


def test_a_stream_nobody_reads_ends_at_its_deadline() -> None:
    """It holds its place no longer than that; whoever comes back later is told that it broke off."""
    with FaultyModel("endless") as model, desk(local=at(model.url), concurrent=1) as (gateway, _):
        gateway.warm()
        stream = gateway.stream(asking(local("x")), account="a", deadline_s=1.0)
        model.mode = "echo"
        assert gateway.answer(asking(local("y")), account="a", deadline_s=DEADLINE_S).text == "y"
        assert list(stream)[-1].finish == "error"


def test_accounts_have_pseudonyms_of_their_own() -> None:
    """The same value is another one for another account, and the same for the same."""
    with FaultyModel() as model, desk(openai=at(model.url, "eu")) as (gateway, _):
        for account in ("a", "b", "a"):
            assert gateway.answer(asking(TOLD), account=account, deadline_s=DEADLINE_S).text == PLAIN
        texts = [seen.json["messages"][-1]["content"] for seen in model.requests]
        assert texts[0] == texts[2] != texts[1]


def test_nothing_heavy_is_loaded_before_it_is_needed() -> None:
    """Making a gateway starts no thread."""
    before = threading.active_count()
    with desk(local=at("http://127.0.0.1:9")) as (gateway, _):
        assert gateway.providers()[0].state == "ready"
        assert threading.active_count() == before


def test_an_empty_prompt_is_asked() -> None:
    """Turns without a text are turns."""
    with FaultyModel() as model, desk(local=at(model.url)) as (gateway, _):
        model.say("hello")
        assert gateway.answer(Prompt((Message("user", ()),)), account="a", deadline_s=DEADLINE_S).text == "hello"

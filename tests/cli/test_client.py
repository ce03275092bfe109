"""The HTTP client against a server that is busy, broken, hostile or away."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import msgspec
import pytest

from spectra.cli import client as module
from spectra.cli.answers import Chain
from spectra.cli.client import BadAnswer, Client, is_loopback, segment
from spectra.cli.problems import ApiError, Unreachable
from spectra.errors import BadRequest
from spectra.identity.keys import SigningKey
from tests.cli.standin import Answer, StandIn, problem, serving

GOOD = {"entries": 3, "head": "ab"}


@pytest.fixture
def stand_in() -> Iterator[tuple[StandIn, Client]]:
    """A server and a client that tells what it notes."""
    server = StandIn(SigningKey.generate())
    with serving(server) as url, Client(url, "token") as client:
        yield server, client


def closed_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_answers_are_typed(stand_in: tuple[StandIn, Client]) -> None:
    """The answer is decoded into its struct and the token is sent."""
    server, client = stand_in
    server.say("GET", "/v0/provenance", GOOD)
    assert client.get("/v0/provenance", Chain) == Chain(3, "ab")
    assert server.requests[0].token == "token"


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_busy_servers_are_asked_again(stand_in: tuple[StandIn, Client], status: int) -> None:
    """A retryable answer is repeated after Retry-After."""
    server, client = stand_in
    server.say("GET", "/v0/provenance", problem(status, "busy", retry_after=0), GOOD)
    assert client.get("/v0/provenance", Chain).entries == 3


def test_retries_end(stand_in: tuple[StandIn, Client]) -> None:
    """A server that stays busy is asked a bounded number of times, then its problem is told."""
    server, client = stand_in
    server.say("GET", "/v0/provenance", problem(503, "the database is away", retry_after=0, reason="unavailable"))
    with pytest.raises(ApiError, match="database is away") as error:
        client.get("/v0/provenance", Chain)
    assert (error.value.status, error.value.reason, len(server.requests)) == (503, "unavailable", 4)


def test_waits_are_bounded_told_and_can_be_stopped() -> None:
    """An hour of Retry-After becomes a minute, is told, and a stop ends it at once."""
    server, stop = StandIn(SigningKey.generate()), threading.Event()
    told: list[str] = []
    server.say("GET", "/v0/provenance", problem(429, "slow down", retry_after=3600))
    stop.set()
    with (
        serving(server) as url,
        Client(url, stop=stop, notify=told.append) as client,
        pytest.raises(KeyboardInterrupt),
    ):
        client.get("/v0/provenance", Chain)
    assert told == ["the server is busy (429); trying again in 60 s"]


@pytest.mark.parametrize("value", ["nan", "-5", "soon"])
def test_a_strange_retry_after_is_survived(stand_in: tuple[StandIn, Client], value: str) -> None:
    """Only sensible waits come out of the header."""
    import httpx

    wait = module._retry_after(httpx.Response(503, headers={"retry-after": value}), 0)
    assert 0 <= wait <= module.MAX_WAIT_S


def test_problems_keep_their_place(stand_in: tuple[StandIn, Client]) -> None:
    """Field, line and column of a problem reach the caller."""
    server, client = stand_in
    server.say("GET", "/v0/provenance", problem(400, "no", reason="bad", field="q", column=4, hint="do this"))
    with pytest.raises(ApiError) as error:
        client.get("/v0/provenance", Chain)
    assert (error.value.where, error.value.hint, error.value.problem.column) == ("column 4, field q", "do this", 4)


def test_a_foreign_error_page_is_named(stand_in: tuple[StandIn, Client]) -> None:
    """What is no problem+json still gives status and address."""
    server, client = stand_in
    server.say("GET", "/v0/provenance", Answer(418, (b"<html>teapot</html>",)))
    with pytest.raises(ApiError, match="418"):
        client.get("/v0/provenance", Chain)


@pytest.mark.parametrize("body", [b"<html>", b'{"entries": "three"}', b"\xff\xfe", b""])
def test_answers_of_another_shape_are_refused(stand_in: tuple[StandIn, Client], body: bytes) -> None:
    """Something else than the contract is an error, not a crash."""
    server, client = stand_in
    server.say("GET", "/v0/provenance", Answer(200, (body,)))
    with pytest.raises(BadAnswer, match="does not read"):
        client.get("/v0/provenance", Chain)


def test_answers_are_bounded(stand_in: tuple[StandIn, Client], monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless answer is cut off."""
    server, client = stand_in
    monkeypatch.setattr(module, "MAX_ANSWER_BYTES", 1024)
    server.say("GET", "/v0/provenance", Answer(200, (b" " * 4096,)))
    with pytest.raises(BadAnswer, match="larger than"):
        client.get("/v0/provenance", Chain)


def test_a_bomb_does_not_decompress(stand_in: tuple[StandIn, Client]) -> None:
    """A body that claims a compression it does not have is an error of its own."""
    server, client = stand_in
    server.say("GET", "/v0/provenance", Answer(200, (b"nope",), {"content-encoding": "gzip"}))
    with pytest.raises(Unreachable):
        client.get("/v0/provenance", Chain)


def test_a_broken_connection_is_repeated_where_that_is_harmless(stand_in: tuple[StandIn, Client]) -> None:
    """A read and a signed envelope go again; a POST that might act twice does not."""
    server, client = stand_in
    server.say("GET", "/v0/provenance", Answer(cut=True), GOOD)
    server.say("POST", "/v0/keys/rotate", Answer(cut=True), GOOD)
    server.say("POST", "/v0/keys", Answer(cut=True), GOOD)
    assert client.get("/v0/provenance", Chain).entries == 3
    assert client.send("/v0/keys/rotate", b"{}", Chain).entries == 3
    with pytest.raises(Unreachable):
        client.post("/v0/keys", Chain, {})
    assert len(server.asked("/v0/keys")) == 1


def test_an_answer_cut_off_is_unreachable(stand_in: tuple[StandIn, Client]) -> None:
    """Half an answer is not an answer."""
    server, client = stand_in
    server.say("GET", "/v0/provenance", Answer(200, (b'{"entries"',), cut=True))
    server.say("GET", "/v0/x", Answer(500, (b"{",), cut=True))
    for path in ("/v0/provenance", "/v0/x"):
        with pytest.raises(Unreachable):
            client.get(path, Chain)


def test_nobody_listening_says_what_to_do() -> None:
    """A server that is away is told at once, with the next step."""
    with Client(f"http://127.0.0.1:{closed_port()}") as client, pytest.raises(Unreachable) as error:
        client.get("/v0/status", Chain)
    assert "spectra up" in error.value.hint


def test_patience_tries_again_where_nobody_listens() -> None:
    """An import outlives a restart of the server: it tries as often as it may, once there was a server."""
    server = StandIn(SigningKey.generate())
    server.say("GET", "/v0/provenance", Answer(200, (msgspec.json.encode(GOOD),), {"connection": "close"}))
    stop = threading.Event()
    with ExitStack() as stack:
        with serving(server) as url:
            client = stack.enter_context(Client(url, attempts=2, patient=True, stop=stop))
            client.get("/v0/provenance", Chain)
        stop.set()
        with pytest.raises(KeyboardInterrupt):  # it was about to wait
            client.get("/v0/provenance", Chain)


def test_there_is_no_patience_for_a_server_that_never_answered() -> None:
    """It is not running: waiting a minute for it would only hide that."""
    with Client(f"http://127.0.0.1:{closed_port()}", patient=True) as client, pytest.raises(Unreachable):
        client.get("/v0/status", Chain)


def test_lines_come_one_by_one(stand_in: tuple[StandIn, Client]) -> None:
    """JSON lines are put together from any pieces; empty ones are dropped."""
    server, client = stand_in
    server.say("POST", "/v0/provenance/verify", Answer(200, (b'{"a"', b":1}\n\n{", b'"b":2}')))
    assert list(client.lines("POST", "/v0/provenance/verify")) == [b'{"a":1}', b'{"b":2}']


def test_an_endless_line_is_refused(stand_in: tuple[StandIn, Client], monkeypatch: pytest.MonkeyPatch) -> None:
    """One line cannot fill the memory."""
    server, client = stand_in
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 16)
    server.say("POST", "/x", Answer(200, (b"x" * 64,)))
    with pytest.raises(BadAnswer, match="longer"):
        list(client.lines("POST", "/x"))


@pytest.mark.parametrize(
    "url", ["", "ftp://host", "http://", "localhost:1", "http://h:99999", "http://h:0", "http://[::1"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    """The address of a server is checked before anything is sent."""
    with pytest.raises(BadRequest, match="URL"):
        Client(url)


def test_loopback_is_told_apart() -> None:
    """Only this machine is talked to without the proxy of the environment."""
    assert is_loopback("http://127.8.0.1:1")
    assert is_loopback("http://[::1]:1")
    assert is_loopback("http://localhost")
    assert not is_loopback("https://example.org")
    assert not is_loopback("http://127.0.0.1.example.org")


@pytest.mark.parametrize("value", ["../keys", "a/b", "a?b", "a#b", "%2e"])
def test_a_segment_reaches_no_other_route(value: str) -> None:
    """An id from the command line stays one path segment."""
    assert not set(segment(value)) & set("/?#")


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_segment_that_moves_is_refused(value: str) -> None:
    """Dots alone would be resolved away by the URL."""
    with pytest.raises(BadRequest):
        segment(value)


def test_structs_and_names_agree() -> None:
    """The lists of the contract decode from plain JSON."""
    assert msgspec.json.decode(b'{"entries":1,"head":"x"}', type=Chain).head == "x"

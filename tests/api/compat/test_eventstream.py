"""Answers that come piece by piece: told as they come, and ended when the client hangs up."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Iterator

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse, Response

from spectra.api.compat.eventstream import EventStream, Streams
from spectra.errors import BadRequest, SpectraError
from tests.api.node import served
from tests.support.waiting import eventually


class Said:
    """Pieces that a test says one by one, as a model would."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[str | SpectraError | None] = []
        self.closed = False

    def say(self, *pieces: str | SpectraError | None) -> None:
        """The next pieces: None is the end, an error is raised."""
        with self._changed:
            self._waiting += pieces
            self._changed.notify_all()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self.closed)
            piece = None if self.closed else self._waiting.pop(0)
        if piece is None:
            raise StopIteration
        if isinstance(piece, SpectraError):
            raise piece
        return piece

    def close(self) -> None:
        """End it, whoever waits."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()


class Words:
    """Pieces as they are."""

    def first(self) -> bytes:
        """The first event."""
        return b"data: first\n\n"

    def of(self, piece: str) -> bytes:
        """A piece; nothing for an empty one."""
        return f"data: {piece}\n\n".encode() if piece else b""

    def broken(self, error: SpectraError) -> bytes:
        """The last event."""
        return f"data: broken {error.message}\n\n".encode()

    def failed(self, error: SpectraError) -> Response:
        """The whole answer."""
        return PlainTextResponse(error.message, 503)


@contextlib.contextmanager
def streaming(begin: Callable[[], Said], *, most: int = 8, within_s: float = 60.0) -> Generator[tuple[str, Streams]]:
    """The URL of an app that streams what `begin` makes, and how many it does."""
    app, streams = FastAPI(), Streams(most)

    def stream() -> Response:
        return EventStream[str](begin, Words(), streams, within_s)

    app.add_api_route("/", stream, response_class=Response)
    with served(app) as url:
        yield url, streams


def test_pieces_are_told_as_they_come() -> None:
    """Each before the next one is there, and what tells nothing not at all."""
    said = Said()
    said.say("one")
    with streaming(lambda: said) as (url, streams), httpx.stream("GET", url) as answer:
        lines = (line for line in answer.iter_lines() if line)
        assert [next(lines), next(lines)] == ["data: first", "data: one"]
        said.say("", "two")
        assert next(lines) == "data: two"
        said.say(None)
        assert list(lines) == []
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        eventually(lambda: said.closed and not streams.open)


def test_what_fails_before_the_first_piece_is_an_answer_like_any_other() -> None:
    """Whether it could not begin, or failed at the first piece."""
    said = Said()
    said.say(BadRequest("no"))

    def fails() -> Said:
        raise BadRequest("not at all")

    for begin, words in ((lambda: said, "no"), (fails, "not at all")):
        with streaming(begin) as (url, streams):
            answer = httpx.get(url)
            assert (answer.status_code, answer.text) == (503, words)
            eventually(lambda streams=streams: not streams.open)
    assert said.closed


def test_what_breaks_off_later_is_told_as_the_last_event() -> None:
    """The status has gone out by then."""
    said = Said()
    said.say("one", BadRequest("off"))
    with streaming(lambda: said) as (url, _):
        answer = httpx.get(url)
    assert answer.status_code == 200
    assert answer.text == "data: first\n\ndata: one\n\ndata: broken off\n\n"


def test_who_hangs_up_ends_it() -> None:
    """Also while nothing is said: the model is not kept busy for nobody."""
    said = Said()
    said.say("one")
    with streaming(lambda: said) as (url, streams):
        with httpx.stream("GET", url) as answer:
            lines = answer.iter_lines()
            assert next(lines) == "data: first"
            assert not said.closed
        eventually(lambda: said.closed and not streams.open)


def test_who_hangs_up_before_anything_is_there_ends_it_too() -> None:
    """What was being begun is closed once it is there."""
    said, may, begun = Said(), threading.Event(), threading.Event()

    def begin() -> Said:
        begun.set()
        may.wait(30)
        return said

    with streaming(begin) as (url, streams):
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(url, timeout=0.2)
        assert begun.wait(30)
        eventually(lambda: not streams.open)
        may.set()
        eventually(lambda: said.closed)


def test_a_stream_ends_in_time_however_slow_its_reader_is() -> None:
    """It is broken off, so that the client sees that it is not whole."""
    said = Said()
    said.say("one")
    with (
        streaming(lambda: said, within_s=0.5) as (url, streams),
        pytest.raises(httpx.RemoteProtocolError),
        httpx.stream("GET", url) as answer,
    ):
        list(answer.iter_lines())
    assert said.closed
    assert not streams.open


def test_there_are_only_so_many_at_once() -> None:
    """One more is told that the node is busy, and has its turn once another has ended."""
    said = Said()
    said.say("one")
    with streaming(lambda: said, most=1) as (url, streams):
        with httpx.stream("GET", url) as answer:
            lines = answer.iter_lines()
            assert next(lines) == "data: first"
            assert httpx.get(url).text == "As many answers are on their way as this node has room for."
        eventually(lambda: not streams.open)

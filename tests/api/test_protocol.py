"""The head of a request: bounded in bytes and in time, whatever comes before and after it on the connection."""

from __future__ import annotations

import pytest

from spectra.api.protocol import BoundedHttp
from tests.api.node import Node, raw_answer, raw_connection

pytestmark = pytest.mark.engine

GET = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
READ = 256 * 1024  # the most that one read takes, and so the most that goes uncounted


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head has a fifth of a second."""
    monkeypatch.setattr(BoundedHttp, "head_timeout_s", 0.2)


def endless(first: bytes, more: bytes, times: int) -> list[bytes]:
    """The pieces of a head that does not end."""
    return [first, *([more] * times)]


@pytest.mark.parametrize(
    ("first", "more"),
    [
        (b"GET /health/live HTTP/1.1\r\nHost: x\r\n", b"X-Field: " + b"y" * 1000 + b"\r\n"),
        (b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Field: ", b"y" * 1000),
        (b"GET /", b"y" * 1000),
    ],
    ids=["fields", "one field", "path"],
)
def test_an_endless_head_is_refused(node: Node, first: bytes, more: bytes) -> None:
    """Many fields, one field without end, a path without end: 400, and the connection is closed."""
    with raw_connection(node.url) as connection:
        connection.sendall(first)
        refused = False
        for _ in range(1000):
            try:
                connection.sendall(more)
            except OSError:
                refused = True
                break
        if not refused:
            assert raw_answer(connection)[0] == 400


def test_a_large_head_is_fine_below_the_bound(node: Node) -> None:
    """Tokens, cookies and trace fields fit."""
    fields = b"".join(b"X-Field-%d: %b\r\n" % (n, b"y" * 900) for n in range(60))
    with raw_connection(node.url) as connection:
        connection.sendall(GET[:-2] + fields + b"\r\n")
        assert raw_answer(connection)[0] == 200


@pytest.mark.usefixtures("hasty")
def test_a_head_that_does_not_end_is_given_up(node: Node) -> None:
    """Told so where a request was begun."""
    with raw_connection(node.url) as connection:
        connection.sendall(GET[:-2])
        status, _, body = raw_answer(connection)
        assert (status, body) == (400, b"The head of the request took too long to arrive.")
        assert connection.recv(1) == b""


@pytest.mark.usefixtures("hasty")
def test_a_connection_without_request_is_closed(node: Node) -> None:
    """There is nothing to answer."""
    with raw_connection(node.url) as connection:
        assert connection.recv(1) == b""


@pytest.mark.usefixtures("hasty")
def test_the_second_head_on_a_connection_has_its_own_time(node: Node) -> None:
    """The bound counts from the first byte of each request, not from the connection's start."""
    with raw_connection(node.url) as connection:
        for _ in range(2):
            connection.sendall(GET)
            assert raw_answer(connection)[0] == 200
        connection.sendall(GET[:10])
        assert raw_answer(connection)[0] == 400


def test_requests_on_one_connection_are_counted_apart(node: Node) -> None:
    """Many heads, sent one after the other and at once, are none of them too large."""
    with raw_connection(node.url) as connection:
        connection.sendall(GET * 3)
        for _ in range(3):
            assert raw_answer(connection)[0] == 200


@pytest.mark.usefixtures("hasty")
def test_a_body_may_take_longer_than_a_head(node: Node) -> None:
    """What bounds a body is the route's own time."""
    with raw_connection(node.url) as connection:
        connection.sendall(b"POST /v0/mesh/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{")
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(30)
        connection.sendall(b"}")
        assert raw_answer(connection)[0] == 400

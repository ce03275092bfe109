"""Lists over many pages."""

from __future__ import annotations

import sys

import msgspec
import pytest

from spectra.cli.client import Client
from spectra.cli.output import Target
from spectra.cli.paging import Paged, watched
from spectra.errors import SpectraError
from spectra.identity.keys import SigningKey
from tests.cli.standin import StandIn, serving


class Page(msgspec.Struct):
    """Some numbers."""

    numbers: tuple[int, ...]
    next_cursor: str = ""


def walk(pages: list[Page], limit: int = 0, page: int = 1000) -> tuple[list[int], Paged[Page, int], StandIn]:
    """The rows of `pages`, what walked them and the server that was asked."""
    server = StandIn(SigningKey.generate())
    server.say("GET", "/v0/numbers", *pages)
    with serving(server) as url, Client(url) as client:
        rows = Paged(client, "/v0/numbers", Page, lambda p: p.numbers, params={"q": "x"}, limit=limit, page=page)
        return list(rows), rows, server


def test_cursors_are_followed_to_the_end() -> None:
    """Short and empty pages are walked over as long as there is a cursor; the query is sent with each."""
    rows, paged, server = walk([Page((1, 2), "a"), Page((), "b"), Page((3,))])
    assert rows == [1, 2, 3]
    assert not paged.more
    assert paged.first == Page((1, 2), "a")
    assert [r.params.get("cursor") for r in server.requests] == [None, "a", "b"]
    assert {r.params["q"] for r in server.requests} == {"x"}


def test_a_limit_ends_in_the_middle() -> None:
    """No more is asked for than is wanted, and a server that sends more is cut."""
    rows, paged, server = walk([Page((1, 2), "a"), Page((3, 4), "b")], limit=3, page=2)
    assert rows == [1, 2, 3]
    assert paged.more
    assert [r.params["limit"] for r in server.requests] == ["2", "1"]


def test_a_cursor_that_stays_is_an_error() -> None:
    """A list that does not advance ends."""
    with pytest.raises(SpectraError, match="do not advance"):
        walk([Page((1,), "a")])


def test_rows_pass_the_watcher_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress takes nothing away, whether somebody looks on or not."""
    assert list(watched(range(500), Target())) == list(range(500))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert list(watched(range(5), Target())) == list(range(5))

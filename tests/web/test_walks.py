"""Walks of the chain that pages begin."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, cast

import anyio
import pytest
from fastapi import FastAPI

from spectra.web import walks
from spectra.web.inside import Answer, Inside

REPORT = b'{"report":{"ok":true,"entries":3,"observations":1,"blobs":1,"head":"00"}}\n'


class Told:
    """A route that streams these pieces."""

    def __init__(self, *pieces: bytes, status: int = 200) -> None:
        self._pieces = pieces
        self._status = status

    async def stream(self, method: str, path: str, **_: Any) -> tuple[Answer, AsyncGenerator[bytes]]:
        """What `Inside.stream` answers."""
        assert (method, path) == ("POST", "/v0/provenance/verify")

        async def pieces() -> AsyncGenerator[bytes]:
            for piece in self._pieces:
                yield piece

        return Answer(self._status, {}, b""), pieces()


def walked(*pieces: bytes, status: int = 200) -> walks.Walk:
    """The walk that a route told of like this."""
    app = FastAPI()
    task = walks.begin(app, cast(Inside, Told(*pieces, status=status)), "root", deep=True)
    assert task is not None
    walk = walks.newest(app)
    assert walk is not None
    assert walk.running
    assert walks.begin(app, cast(Inside, Told()), "root", deep=True) is None  # one at a time
    anyio.run(task)
    assert not walk.running
    return walk


def test_a_walk_is_followed_to_its_report() -> None:
    """Lines may come in pieces, with empty ones between them."""
    walk = walked(b'{"progress":{"done":1,', b'"total":3}}\n\n', REPORT[:20], REPORT[20:])
    assert (walk.done, walk.total) == (1, 3)
    assert walk.report is not None
    assert walk.report.ok
    assert not walk.trouble


@pytest.mark.parametrize("pieces", [(), (b'{"progress":{"done":1,"total":3}}\n',), (b"rubbish\n",)])
def test_a_walk_that_breaks_off_says_so(pieces: tuple[bytes, ...]) -> None:
    """Without a report, or with what is none."""
    walk = walked(*pieces)
    assert walk.report is None
    assert "broke off" in walk.trouble


def test_why_a_walk_failed_is_told() -> None:
    """In the words of the route; where it was refused, that."""
    assert walked(b'{"error":{"reason":"x","detail":"The blobs are away."}}\n').trouble == "The blobs are away."
    assert walked(status=503).trouble


def test_no_walk_yet() -> None:
    """A node that has just started."""
    assert walks.newest(FastAPI()) is None

"""Exports are read page by page, and what was wrong is known before the first byte."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import get_args

import pytest

from spectra.api import exporting
from spectra.api.exporting import KINDS, Export, Format, pieces
from spectra.errors import BadRequest
from spectra.model.query import Query, parse
from tests.api.node import Node
from tests.support import samples

pytestmark = pytest.mark.engine

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_every_format_is_written(node: Node) -> None:
    """And has its media type."""
    assert set(get_args(Format)) == set(KINDS)
    for format in KINDS:
        assert b"".join(pieces(node.services.database, Export("", parse("port:1", NOW), 0, True), format, NOW)) or (
            format == "jsonl"
        )


def test_pages_are_read_as_they_are_taken(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stops reading has the rest left in the database."""
    node.submitted(samples.nmap(*(samples.nmap_host(f"100.90.4.{n}", 80) for n in range(200, 206))))
    read: list[str] = []
    search = exporting.search.search

    def counted(*args: object, **options: object) -> object:
        read.append(str(options["cursor"]))
        return search(*args, **options)  # pyright: ignore[reportArgumentType, reportCallIssue]

    monkeypatch.setattr(exporting.search, "search", counted)
    monkeypatch.setattr(exporting, "PAGE", 1)
    monkeypatch.setattr(exporting, "_PIECE", 1)
    export = Export("", parse("net:100.90.4.200/29", NOW), 0, findings=False)
    found: Iterator[bytes] = pieces(node.services.database, export, "jsonl", NOW)
    assert len(read) == 1
    assert [next(found)[:5] for _ in range(2)] == [b'{"ip"', b'{"ip"']
    assert len(read) == 2


def test_what_is_wrong_is_raised_at_once(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when half of it was sent."""
    monkeypatch.setattr(exporting, "PAGE", 0)
    with pytest.raises(BadRequest):
        pieces(node.services.database, Export("", Query(), 0, findings=False), "csv", NOW)

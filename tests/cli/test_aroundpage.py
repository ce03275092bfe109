"""Ties of a host as lines."""

from __future__ import annotations

from datetime import UTC, datetime

from spectra.cli.aroundpage import around_page
from spectra.model.around import Around, AroundHost, Tie

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_tie_is_told_once_and_its_hosts_below() -> None:
    """The tie stands on the line of the first host; no line is wider than it may be."""
    hosts = tuple(AroundHost(ip=f"192.0.2.{n}", last_seen=T0, ports=(22, 80)) for n in (8, 9))
    tie = Tie(relation="certificate", what="ab", label="www.example.org" * 9, total=2, hosts=hosts)
    page = [line.plain for line in around_page(Around("192.0.2.7", (tie,)), 80)]
    assert [line.split()[0] for line in page] == ["SHARED", "certificate", "192.0.2.9"]
    assert max(map(len, page)) <= 80
    assert list(around_page(Around("192.0.2.7"), 80)) == []

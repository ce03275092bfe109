"""Query logs as resolvers write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from spectra.ai.agents.logs import dns
from spectra.errors import BadRequest

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)

DNSMASQ = b"""\
Nov 28 01:12:49 dnsmasq[123]: started, version 2.90 cachesize 150
Nov 28 01:12:50 dnsmasq[123]: query[A] Example.org from 192.168.1.5
Nov 28 01:12:50 dnsmasq[123]: forwarded Example.org to 192.0.2.53
Nov 28 01:12:50 dnsmasq[123]: reply Example.org is <CNAME>
Nov 28 01:12:50 dnsmasq[123]: reply edge.example.net is 192.0.2.80
Nov 28 01:12:51 dnsmasq[123]: 7 192.168.1.6/5355 query[TXT] x.example.org from 192.168.1.6
Nov 28 01:12:51 dnsmasq[123]: 7 192.168.1.6/5355 reply x.example.org is NXDOMAIN
Nov 28 01:12:52 dnsmasq[123]: query[AAAA] printer.lan from 192.168.1.6
Nov 28 01:12:52 dnsmasq[123]: config printer.lan is NODATA-IPv6
Nov 28 01:12:53 dnsmasq[123]: reply nobody.asked is 192.0.2.9
"""
UNBOUND = b"""\
[1606523570] unbound[1234:0] info: 192.168.1.5 example.org. A IN
[1606523570] unbound[1234:0] info: 192.168.1.5 example.org. A IN NOERROR 0.012 0 45
Nov 28 01:12:51 unbound[1234:0] reply: 2001:db8::5 missing.example. AAAA IN NXDOMAIN 0.000 1 33
"""
BIND = b"""\
28-Nov-2026 01:12:50.123 queries: info: client @0x7f 192.168.1.5#543 (example.org): query: example.org IN A + (::1)
28-Nov-2026 01:12:50.130 client 192.168.1.5#543 (example.org): response: example.org IN A NXDOMAIN +E(0)K
"""
ADGUARD = (
    b'{"T":"2026-11-28T01:12:50.123456789+01:00","QH":"example.org","QT":"A","QC":"IN",'
    b'"Answer":"u4OBgwABAAAAAQAA","IP":"192.168.1.5","Result":{},"Elapsed":100}\n{"broken\n'
)


def test_dnsmasq() -> None:
    """Questions with what became of them, also by way of an alias; replies to nobody are left out."""
    log = dns.read(DNSMASQ, NOW)
    first, second, third = log.entries
    assert (log.format, log.lines, log.skipped) == ("dnsmasq", 10, 2)
    assert first == dns.Query(
        datetime(2026, 11, 28, 1, 12, 50, tzinfo=UTC), "192.168.1.5", "example.org", "A", 2, "NOERROR", ("192.0.2.80",)
    )
    assert (second.client, second.type, second.rcode, second.local) == ("192.168.1.6", "TXT", "NXDOMAIN", False)
    assert (third.rcode, third.local) == ("NOERROR", True)


@pytest.mark.parametrize(
    ("raw", "name", "rcodes"),
    [
        (UNBOUND, "unbound", ["NOERROR", "NXDOMAIN"]),
        (BIND, "bind", ["NXDOMAIN"]),
        (ADGUARD, "adguard", ["NXDOMAIN"]),
    ],
)
def test_others(raw: bytes, name: str, rcodes: list[str]) -> None:
    """A query and its response are one question."""
    log = dns.read(raw, NOW)
    assert (log.format, [query.rcode for query in log.entries]) == (name, rcodes)
    first = log.entries[0]
    assert (first.client, first.name) == ("192.168.1.5", "example.org")
    assert first.at is not None
    assert first.at.tzinfo is UTC


def test_another_file_is_none() -> None:
    """It is said what has to be switched on."""
    with pytest.raises(BadRequest, match="no query log") as told:
        dns.read(b"hello\nworld\n", NOW)
    assert "log-queries" in told.value.hint

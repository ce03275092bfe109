"""How much the store holds: hosts and endpoints exactly, the rest while it is little, else estimated."""

from __future__ import annotations

import pytest

from spectra.model.facets import FeedInUse, Overview
from spectra.model.facts import HostFacts, Place
from spectra.model.observation import Certificate
from spectra.store import stats
from spectra.store.database import Database
from spectra.store.tallies import fold
from tests.store.scribe import T0, Scribe, host, seen


def test_an_empty_store(database: Database) -> None:
    """Nothing is nothing, whatever the planner assumes of a table it has never seen."""
    names = ["hosts", "endpoints", "services", "certificates", "observations"]
    assert stats.counts(database) == dict.fromkeys(names, 0)


def test_a_small_store_is_counted(database: Database, write: Scribe) -> None:
    """Hosts, open endpoints, distinct services and certificates, and observations."""
    certificate = Certificate("ab" * 32)
    write([host("10.0.0.1", T0, seen(80, "http"), seen(443, "http", certificate=certificate), seen(22, "ssh"))])
    write([host("10.0.0.2", T0, seen(80, "http"), seen(22))])
    write([host("10.0.0.2", T0.replace(day=2), seen(22, state="closed"))])
    assert stats.counts(database) == {
        "hosts": 2,
        "endpoints": 4,
        "services": 2,
        "certificates": 1,
        "observations": 3,
    }


def test_a_large_store_is_estimated(database: Database, write: Scribe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the bound the planner's estimate is told, near the truth once the table was analysed."""
    write([host(f"10.0.{n // 250}.{n % 250}", T0, seen(80, "http"), seen(22)) for n in range(1000)])
    write([host(f"10.0.0.{n}", T0.replace(day=2), seen(22, state="closed")) for n in range(200)])
    with database.connection() as connection:
        connection.execute("ANALYZE")
        connection.execute("INSERT INTO host SELECT '11.0.0.0'::inet + n, now(), now() FROM generate_series(1, 500) n")
        connection.execute("INSERT INTO hostname SELECT ip, 'n', 'ptr', now(), now() FROM host")
        connection.execute("ANALYZE hostname")
    monkeypatch.setattr(stats, "EXACT_BELOW", 100)
    counts = stats.counts(database)
    assert (counts["hosts"], counts["endpoints"]) == (1500, 1800)
    assert 1400 <= stats.summary(database).names <= 1600
    assert (counts["services"], counts["observations"]) == (1, 2)


def test_a_summary(database: Database, write: Scribe) -> None:
    """What there is, where, how old, and the feeds behind it; the same before and after a fold."""
    assert stats.summary(database) == Overview(0, 0, 0, 0, 0, 0, 0, 0, None, None, ())
    place = Place(asn=64500, country="FR")
    write([HostFacts("10.0.0.1", 1, place), host("10.0.0.1", T0, seen(80, "http"), names=["a.example", "b.example"])])
    later = T0.replace(day=5)
    write([host("10.0.0.2", later, seen(80, "http"), seen(22))], at=later)
    with database.connection() as connection:
        connection.execute(
            """INSERT INTO feed (name, source, kind, format, provider, version, sha256, size, networks, compiled,
                 updated, checked, taken_by)
               VALUES ('cities', 'upload', 'geo', 'mmdb', '', '2026-01', '', 1, 1, '', %s, %s, 'alice')""",
            [T0, T0],
        )
    feeds = (FeedInUse("cities", "geo", "2026-01", T0),)
    expected = Overview(2, 1, 3, 1, 0, 2, 2, 1, T0, later, feeds)
    assert stats.summary(database) == expected
    while fold(database):
        assert stats.summary(database) == expected

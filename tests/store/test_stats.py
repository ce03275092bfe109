"""How much the store holds: exact while it is small, estimated where counting would be slow."""

from __future__ import annotations

import pytest

from spectra.model.observation import Certificate
from spectra.store import stats
from spectra.store.database import Database
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
    assert stats.counts(database)["hosts"] == 1500
    monkeypatch.setattr(stats, "EXACT_BELOW", 100)
    counts = stats.counts(database)
    assert 1000 <= counts["hosts"] <= 2000
    assert 1700 <= counts["endpoints"] <= 1900
    assert (counts["services"], counts["observations"]) == (1, 2)

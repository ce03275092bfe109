"""What is new and what waits, by what the store holds."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.store import overview
from spectra.store.database import Database
from tests.store.scribe import T0, Scribe, host, seen

pytestmark = pytest.mark.engine

HOUR = timedelta(hours=1)


def test_what_came_and_went_is_told(database: Database) -> None:
    """Since a moment: new hosts, new endpoints, and those that are gone with what ran there."""
    scribe = Scribe(database)
    scribe([host("192.0.2.1", T0, seen(22, "ssh", "OpenSSH", "9.1"), seen(80, "http"))], at=T0)
    scribe([host("192.0.2.1", T0 + HOUR, seen(22, state="closed"), seen(80, "http"))], at=T0 + HOUR)
    scribe([host("192.0.2.2", T0 + HOUR, seen(443, "https"), names=["a.example"])], at=T0 + HOUR)
    found = overview.changes(database, T0 + HOUR / 2)
    assert [(one.ip, one.endpoints, one.name) for one in found.new_hosts] == [("192.0.2.2", 1, "a.example")]
    assert [(one.ip, one.port, one.service) for one in found.new_services] == [("192.0.2.2", 443, "https")]
    assert [(one.ip, one.port, one.product) for one in found.gone_services] == [("192.0.2.1", 22, "OpenSSH")]
    assert (found.hosts.count, found.services.count, found.gone.count) == (1, 1, 1)
    assert overview.totals(database) == (2, 2)
    later = overview.changes(database, T0 + 2 * HOUR)
    assert (later.hosts.count, later.services.count, later.gone.count, later.new_hosts) == (0, 0, 0, ())


def test_many_are_at_least_so_many(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting ends somewhere, and says so."""
    monkeypatch.setattr(overview, "MOST", 1)
    Scribe(database)([host(f"192.0.2.{n}", T0, seen(22, "ssh")) for n in range(1, 4)])
    found = overview.changes(database, T0 - HOUR)
    assert (found.hosts.count, found.hosts.exact) == (1, False)
    queues = overview.queues(database)
    assert (queues.jobs.count, queues.jobs.exact) == (0, True)
    assert overview.machines(database).alive == overview.refused_machines(database, T0) == 0

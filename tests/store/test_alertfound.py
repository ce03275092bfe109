"""Weaknesses that are new somewhere, and those that are there no longer."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from spectra.model.query import parse
from spectra.store import alertfound
from spectra.store.alertfound import Source
from spectra.store.database import Database
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.weak import Weak

pytestmark = pytest.mark.engine

A = "192.0.2.1"


def test_where_weaknesses_come_from(database: Database, write: Scribe) -> None:
    """What runs somewhere now, what was learned, what came into the catalogue; each for its own terms."""
    write([host(A, T0, seen(80, "http", "nginx", "1.0"), seen(443, "https", "nginx", "1.0"))])
    weak = Weak(database)
    software = weak.software("nginx", "1.0")
    for number, cvss in ((1, 9.8), (2, 5.0)):
        weak.affected(software, weak.vuln(f"CVE-2024-{number}", cvss=cvss), T0)
    with database.connection() as connection:
        connection.execute("UPDATE vuln SET kev = %s WHERE cve = 'CVE-2024-2'", [date(2026, 1, 1)])
        connection.execute("INSERT INTO kev (cve, added, entry) VALUES ('CVE-2024-2', %s, '{}')", [date(2026, 1, 1)])

        def found(q: str, source: Source, *, exploited: bool = False) -> list[tuple[int, str]]:
            told = alertfound.weaknesses(connection, parse(q, T0), source, exploited=exploited)
            return sorted((one.port, one.cve) for one in told)

        here, learned = Source(endpoints=((A, 80, 6),)), Source(learned=T0 - timedelta(1), until=T0)
        assert found("", here) == [(80, "CVE-2024-1"), (80, "CVE-2024-2")]
        assert found("cvss:>9", learned) == [(80, "CVE-2024-1"), (443, "CVE-2024-1")]
        assert found("-cvss:>9 port:443", learned) == [(443, "CVE-2024-2")]
        assert found("", Source(learned=T0)) == []
        assert alertfound.kev_changed(connection)
        assert alertfound.newly_exploited(connection, first=False) == ("CVE-2024-2",)
        assert not alertfound.kev_changed(connection)
        source = Source(exploited=("CVE-2024-2",))
        assert found("port:80", source, exploited=True) == [(80, "CVE-2024-2")]
        assert alertfound.over(connection, T0) == 0
        weak.triage("CVE-2024-1", "accepted", A, 80)
        assert found("cvss:>9", learned) == [(443, "CVE-2024-1")]

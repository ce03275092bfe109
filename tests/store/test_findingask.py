"""What a question says of services and runs before any endpoint is read."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.model.query import parse
from spectra.store import findingask
from spectra.store.database import Database
from spectra.store.filters import resolve
from spectra.store.findingask import Asked, Filters
from spectra.store.tallies import fold
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.weak import JUDGE, Weak

NOW = T0 + timedelta(days=30)


@pytest.fixture
def weak(database: Database, write: Scribe) -> Weak:
    """Three services on two hosts."""
    write([host("192.0.2.1", T0, seen(22, "ssh", "OpenSSH", "9.2"), seen(80, "http", "nginx", "1.2"))])
    write([host("192.0.2.2", T0 + timedelta(days=29), seen(2222, "ssh", "OpenSSH", "9.6"))])
    return Weak(database)


def services(database: Database, q: str, **filters: object) -> set[str] | None:
    """The services a question leaves, by their version; None: any."""
    wanted = Filters(query=parse(q, NOW), **filters)  # pyright: ignore[reportArgumentType] - test data
    with database.connection() as connection:
        asked = Asked(connection, wanted, resolve(connection, wanted.of_endpoints), JUDGE, NOW)
        if asked.services is None:
            return None
        rows = connection.execute("SELECT version FROM service WHERE id = ANY(%s)", [asked.services])
        return {row[0] for row in rows}


@pytest.mark.usefixtures("weak")
def test_a_question_names_services(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the endpoints that satisfy it, where those are few; those that the tallies know, where they can say."""
    assert services(database, "") is None
    assert services(database, "net:192.0.2.1/32") == {"9.2", "1.2"}
    assert services(database, "port:22") == {"9.2"}
    monkeypatch.setattr(findingask, "FEW", -1)
    assert services(database, "net:192.0.2.1/32") == {"9.2", "1.2"}
    monkeypatch.setattr(findingask, "NARROW", 0)
    assert services(database, "net:192.0.2.1/32") is None
    assert services(database, "port:22") == {"9.2"}
    fold(database)
    assert services(database, "port:22,80 net:192.0.2.1/32") == {"9.2", "1.2"}


@pytest.mark.usefixtures("weak")
def test_runs_of_what_is_recent(database: Database, weak: Weak) -> None:
    """Told since, or with an endpoint whose version began since."""
    old, web = weak.software("OpenSSH", "9.6"), weak.software("nginx", "1.2")
    early, late = weak.vuln("CVE-2024-0001"), weak.vuln("CVE-2024-0002")
    weak.affected(weak.software("OpenSSH", "9.2"), early, T0)
    weak.affected(old, early, T0)
    weak.affected(web, late, T0 + timedelta(days=28))
    filters = Filters(since=T0 + timedelta(days=20))
    with database.connection() as connection:
        held = Asked(connection, filters, resolve(connection, filters.of_endpoints), JUDGE, NOW).of_runs()
        rows = connection.execute(
            "SELECT s.version FROM vuln v JOIN affected a ON a.vuln = v.num JOIN service s USING (software)"
            f" WHERE {held.sql}",
            held.params,
        )
        assert {row[0] for row in rows} == {"9.6", "1.2"}

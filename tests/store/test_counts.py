"""How many endpoints and hosts match: exact where that is cheap, and flagged where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from spectra.model.facets import Count
from spectra.model.query import parse
from spectra.store import populations
from spectra.store.counts import count
from spectra.store.database import Database
from spectra.store.tallies import fold
from tests.store import crowd as crowd_of
from tests.store.scribe import T0, Scribe, host, seen
from tests.support.databases import another_database

pytestmark = pytest.mark.engine

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def crowd(store_server: str, migrated_template: str) -> Iterator[Database]:
    """Much of everything."""
    with another_database(store_server, migrated_template) as database:
        crowd_of.fill(database)
        yield database


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is too much to read, and a sample is a quarter of it."""
    monkeypatch.setattr(populations, "READABLE", 100)
    monkeypatch.setattr(populations, "SAMPLE", 5000)


def test_few_are_counted(database: Database, write: Scribe) -> None:
    """Endpoints, and each host once; closed ones only where the query names them."""
    write([host("192.0.2.1", T0, seen(80, "http"), seen(443, "http"), seen(22, state="closed"))])
    write([host("192.0.2.2", T0, seen(80, "http")), host("192.0.2.3", T0)])
    assert count(database, parse("", NOW)) == Count(3, 2, exact=True, hosts_exact=True)
    assert count(database, parse("port:80", NOW)) == Count(2, 2, exact=True, hosts_exact=True)
    assert count(database, parse("state:closed,open", NOW)).count == 3
    assert count(database, parse("product:none", NOW)) == Count(0, 0, exact=True, hosts_exact=True)
    fold(database)
    assert count(database, parse("service:http", NOW)) == Count(3, 2, exact=True, hosts_exact=True)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(("q", "endpoints", "hosts"), [("", 20_000, 10_000), ("product:nginx", 6_000, 4_000)])
def test_what_a_tally_knows_is_exact(crowd: Database, q: str, endpoints: int, hosts: int) -> None:
    """The hosts are estimated from a sample, since no tally has them."""
    found = count(crowd, parse(q, NOW))
    assert (found.count, found.exact, found.hosts_exact) == (endpoints, True, False)
    assert abs(found.hosts - hosts) < hosts / 5
    assert count(crowd, parse(q, NOW), exact=True) == Count(endpoints, hosts, exact=True, hosts_exact=True)


@pytest.mark.usefixtures("hasty")
def test_what_no_tally_knows_is_estimated(crowd: Database) -> None:
    """And says so; the same question has the same answer."""
    query = parse("since:2025-01-01 port:80", NOW)
    found = count(crowd, query)
    assert found == count(crowd, query)
    assert (found.exact, found.hosts_exact) == (False, False)
    assert 9_000 < found.count < 11_000


@pytest.mark.usefixtures("hasty")
def test_a_sample_that_finds_too_little_is_not_used(crowd: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then all is read."""
    monkeypatch.setattr(populations, "ENOUGH", 1_000_000)
    found = count(crowd, parse("since:2025-01-01 port:80", NOW))
    assert found == Count(10_000, 10_000, exact=True, hosts_exact=True)

"""Coverage: ages, what is stale, by service, and the networks nobody looked at."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.model.lifetimes import HOUR, Lifetimes
from spectra.model.observation import Silent
from spectra.model.plans import Coverage
from spectra.model.query import parse
from spectra.store import coverage
from spectra.store.coverage import Also
from spectra.store.database import Database
from spectra.store.staleness import Ages
from tests.store.scribe import T0, Scribe, host, seen

NOW = T0 + timedelta(days=200)


def asked(database: Database, q: str = "", *prefixes: str) -> Coverage:
    """The coverage of `q`."""
    return coverage.coverage(database, parse(q, NOW), Ages(NOW, Lifetimes()), Also(prefixes))


@pytest.fixture(params=["counted", "sampled"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to the numbers; the sample takes every page of a small table."""
    if request.param == "sampled":
        monkeypatch.setattr(coverage, "COUNTED", -1)
    return request.param


def analysed(database: Database) -> None:
    """What autovacuum does by itself a little later."""
    with database.connection() as connection:
        connection.execute("ANALYZE endpoint")


def test_ages(database: Database, write: Scribe, way: str) -> None:
    """Each bucket counts what is as old as its bound or younger, and no bucket counts twice."""
    days = 86400
    spans = [0, 3600, 3601, 6 * 3600, days - 1, 3 * days, 7 * days, 29 * days, 91 * days, 199 * days]
    for number, span in enumerate(spans, 1):
        write([host(f"10.0.0.{number}", NOW - timedelta(seconds=span), seen(22, "ssh"))])
    analysed(database)
    found = asked(database)
    ages = {age.within: age.endpoints for age in found.ages}
    assert ages == {"1h": 2, "6h": 2, "24h": 1, "3d": 1, "7d": 1, "30d": 1, "90d": 0, "older": 2}
    assert (found.endpoints, found.fresh, found.stale) == (10, 5, 5)
    assert found.oldest == NOW - timedelta(days=199)
    assert found.median_age_s == 3 * days
    assert found.exact == (way == "counted")
    assert found.gaps is None


def test_services(database: Database, write: Scribe, way: str) -> None:
    """The ten with most endpoints, the largest first, by the lifetime of each; what is unknown has no name."""
    names = [f"s{n}" for n in range(12)]
    write([host("10.0.0.1", NOW - timedelta(hours=7), seen(80, "HTTP"), seen(81, "http"), seen(22, "ssh"), seen(9))])
    write([host("10.0.0.2", NOW, seen(80, "http"), *(seen(100 + n, name) for n, name in enumerate(names)))])
    analysed(database)
    services = asked(database).services
    assert len(services) == 10
    first, unknown = services[0], services[1]
    assert (first.service, first.fresh, first.stale, first.lifetime_s) == ("http", 1, 2, 6 * HOUR)
    assert (unknown.service, unknown.fresh, unknown.stale) == ("", 1, 0)


def test_a_selection_and_nothing(database: Database, write: Scribe) -> None:
    """A query selects as in a search; without a match there is no oldest and no middle."""
    write([host("10.0.0.1", NOW, seen(80, "http"), seen(22, "ssh"))])
    assert asked(database, "service:ssh").endpoints == 1
    for q in ("service:gopher", "port:9"):
        found = asked(database, q)
        assert (found.endpoints, found.oldest, found.median_age_s, found.services) == (0, None, None, ())
        assert [age.endpoints for age in found.ages] == [0] * 8
        assert found.exact


def test_a_silent_host_is_not_stale(database: Database, write: Scribe) -> None:
    """Coverage and plan agree: a probe without an answer is a look."""
    write([host("10.0.0.1", NOW - timedelta(days=3), seen(22, "ssh"))])
    write([Silent("10.0.0.1", NOW - timedelta(hours=1))])
    assert asked(database).stale == 0


def test_gaps_of_a_network(database: Database, write: Scribe) -> None:
    """Blocks without a host and without a probe, and those with probes alone; hosts need no open port."""
    write([host("10.0.1.9", NOW, seen(22)), host("10.0.1.77", NOW, seen(22)), host("10.0.2.1", NOW)])
    write([Silent("10.0.0.4", NOW), Silent("10.0.2.9", NOW)])
    found = asked(database, "net:10.0.0.0/21").gaps
    assert found is not None
    assert found.never_seen == ("10.0.3.0/24", "10.0.4.0/22")
    assert found.silent == ("10.0.0.0/24",)
    assert (found.never_seen_blocks, found.silent_blocks, found.networks, found.exact) == (2, 1, 1, True)


def test_gaps_of_ipv6(database: Database, write: Scribe) -> None:
    """In units of a /64, whatever the size of the network."""
    write([host("2001:db8:0:1::7", NOW, seen(22))])
    found = asked(database, "net:2001:db8::/62").gaps
    assert found is not None
    assert found.never_seen == ("2001:db8::/64", "2001:db8:0:2::/63")


def test_gaps_of_an_as(database: Database, write: Scribe) -> None:
    """Its networks are those of the feeds; with `net:` only what they have in common."""
    write([host("192.0.2.1", NOW, seen(22))])
    whole = asked(database, "", "192.0.2.0/24", "198.51.100.0/23").gaps
    assert whole is not None
    assert (whole.networks, whole.never_seen) == (2, ("198.51.100.0/23",))
    part = asked(database, "net:198.51.100.0/24", "192.0.2.0/24", "198.51.100.0/23").gaps
    assert part is not None
    assert (part.networks, part.never_seen) == (1, ("198.51.100.0/24",))
    assert asked(database, "net:10.0.0.0/8", "192.0.2.0/24").gaps is None


def test_what_is_too_much_is_not_guessed(database: Database, write: Scribe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where hosts are not all looked through, nothing is called never seen that may hold some, and it is said."""
    monkeypatch.setattr(coverage, "MAX_UNITS", 2)
    write([host(f"10.0.{n}.1", NOW, seen(22)) for n in (0, 2, 4, 6)])
    found = asked(database, "net:10.0.0.0/21").gaps
    assert found is not None
    assert set(found.never_seen) <= {"10.0.1.0/24", "10.0.3.0/24", "10.0.5.0/24"}
    assert not found.exact
    monkeypatch.setattr(coverage, "MAX_NETWORKS", 1)
    found = asked(database, "", "10.9.0.0/24", "10.11.0.0/24").gaps
    assert found is not None
    assert (found.networks, found.never_seen, found.exact) == (2, ("10.9.0.0/24",), False)

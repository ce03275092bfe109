"""Staleness in SQL says what `model.lifetimes` says, and a probe without an answer counts as a look."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from spectra.model.lifetimes import DAY, HOUR, Lifetimes
from spectra.model.observation import Silent
from spectra.store import staleness
from spectra.store.database import Database
from spectra.store.filters import all_of
from spectra.store.staleness import ENDPOINTS, Ages
from tests.store.scribe import T0, Scribe, host, seen

NAMES = ["http", "HTTPS", "http-proxy", "ssh", "ms-sql-s", "domain", "gopher", "imaps", "redis", ""]
NOW = T0 + timedelta(days=30)


def stale(database: Database, ages: Ages) -> list[tuple[str, int]]:
    """(ip, port) of what is stale, in order."""
    with database.connection() as connection:
        held = all_of([*staleness.stale(ages), staleness.unanswered(ages)])
        return connection.execute(
            f"SELECT host(e.ip), e.port FROM {ENDPOINTS} WHERE {held.sql} ORDER BY e.ip, e.port", held.params
        ).fetchall()


@pytest.mark.parametrize("lifetimes", [Lifetimes(), Lifetimes({"gopher": 30 * DAY, "https": 60}, 3 * HOUR)])
def test_every_name_has_the_lifetime_of_the_model(database: Database, write: Scribe, lifetimes: Lifetimes) -> None:
    """A second before its time an endpoint is fresh, at its time it is stale, whatever it is called."""
    write([host("10.0.0.1", T0, *(seen(port, name) for port, name in enumerate(NAMES, 1)))])
    for port, name in enumerate(NAMES, 1):
        turns = T0 + timedelta(seconds=lifetimes.seconds(name))
        assert ("10.0.0.1", port) not in stale(database, Ages(turns - timedelta(seconds=1), lifetimes)), name
        assert ("10.0.0.1", port) in stale(database, Ages(turns, lifetimes)), name


def test_an_age_goes_over_all_lifetimes(database: Database, write: Scribe) -> None:
    """With `min_age_s` the service does not matter."""
    write([host("10.0.0.1", T0, seen(22, "ssh"), seen(80, "http"))])
    assert stale(database, Ages(T0 + timedelta(seconds=299), Lifetimes(), 300)) == []
    assert len(stale(database, Ages(T0 + timedelta(seconds=300), Lifetimes(), 300))) == 2


def test_the_beginning_of_the_calendar() -> None:
    """An age that reaches before the year 1 is met by nothing."""
    assert Ages(datetime(1, 1, 2, tzinfo=UTC), Lifetimes()).before(7 * DAY) == datetime.min.replace(tzinfo=UTC)


def test_a_host_that_did_not_answer_was_looked_at(database: Database, write: Scribe) -> None:
    """Its endpoints are stale again only when their lifetime has passed since that probe."""
    write([host("10.0.0.1", T0, seen(22, "ssh"), seen(80, "http")), host("10.0.0.2", T0, seen(22, "ssh"))])
    write([Silent("10.0.0.1", NOW - timedelta(hours=8))])
    assert stale(database, Ages(NOW, Lifetimes())) == [("10.0.0.1", 80), ("10.0.0.2", 22)]
    assert stale(database, Ages(NOW, Lifetimes(), 9 * HOUR)) == [("10.0.0.2", 22)]
    assert len(stale(database, Ages(NOW, Lifetimes(), 8 * HOUR))) == 3


def test_a_silence_before_the_answer_is_past(database: Database, write: Scribe) -> None:
    """Whoever answered since was not silent."""
    write([Silent("10.0.0.1", T0), host("10.0.0.2", T0, seen(22))])
    write([host("10.0.0.1", T0 + timedelta(hours=1), seen(22))])
    assert len(stale(database, Ages(T0 + timedelta(hours=2), Lifetimes(), HOUR))) == 2


def test_a_sample_of_few_is_all_of_them(database: Database, write: Scribe) -> None:
    """Where there are less endpoints than a sample takes, what is scaled up is exact."""
    write([host(f"10.0.0.{n}", T0, seen(22, "ssh"), seen(80, "http")) for n in range(1, 51)])
    ages = Ages(T0 + timedelta(hours=7), Lifetimes())
    with database.connection() as connection:
        connection.execute("ANALYZE endpoint")
        assert staleness.sampled(connection, all_of(staleness.stale(ages)), 10_000).scaled == 50
        assert staleness.Share(0, 0, 1.0).scaled == 0

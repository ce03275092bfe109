"""What comes with time, and what of it is over."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.model.observation import Certificate, Silent
from spectra.model.query import parse
from spectra.store import alerttimes, refusals
from spectra.store.database import Database
from tests.store.scribe import T0, Scribe, host, seen

pytestmark = pytest.mark.engine

A, B = "192.0.2.1", "192.0.2.2"
DAY = timedelta(days=1)
ANY = parse("", T0)


def test_certificates_in_use(database: Database, write: Scribe) -> None:
    """That run out in a stretch of time; of what some submissions saw; as a query asks."""
    soon = Certificate(sha256="a" * 64, subject_cn="a", not_after=T0 + DAY)
    late = Certificate(sha256="b" * 64, subject_cn="b", not_after=T0 + 9 * DAY)
    write([host(A, T0, seen(443, certificate=soon)), host(B, T0, seen(443, certificate=late))])
    with database.connection() as connection:
        found = alerttimes.expiring(connection, ANY, T0, T0 + 2 * DAY)
        assert [(one.ip, one.sha256, one.protocol) for one in found] == [(A, "a" * 64, "tcp")]
        assert alerttimes.expiring(connection, parse(f"ip:{B}", T0), T0, T0 + 2 * DAY) == []
        ends = T0, T0 + 10 * DAY
        rows = connection.execute("SELECT DISTINCT observation FROM sighting WHERE ip = %s", [B]).fetchall()
        told = alerttimes.expiring_at(connection, ANY, [number for (number,) in rows], *ends)
        assert [one.ip for one in told] == [A, B]
        assert alerttimes.expiring_at(connection, ANY, [], *ends) == []


def test_hosts_that_did_not_answer(database: Database, write: Scribe) -> None:
    """For so many days, and not those that answered since."""
    write([host(A, T0, seen(22)), host(B, T0, seen(80))])
    probe = write([Silent("192.0.2.0/24", T0 + 3 * DAY)])
    with database.connection() as connection:
        assert [one.ip for one in alerttimes.gone(connection, ANY, [probe.seq], 3)] == [A, B]
        assert [one.ip for one in alerttimes.gone(connection, parse("port:80", T0), [probe.seq], 0)] == [B]
        assert alerttimes.gone(connection, ANY, [probe.seq], 4) == []
        assert alerttimes.gone(connection, ANY, [], 0) == []
        write([host(A, T0 + 4 * DAY, seen(22))])
        assert [one.ip for one in alerttimes.gone(connection, ANY, [probe.seq], 0)] == [B]
        assert alerttimes.over(connection, T0) == 0


def test_refusals_are_told_once(database: Database) -> None:
    """With how often since the last time."""
    refusals.count(database, "replay", "edge", "a", T0, times=3)
    with database.connection() as connection:
        assert [(one.who, one.times) for one in alerttimes.refused(connection)] == [("edge", 3)]
        assert alerttimes.refused(connection) == []
    refusals.count(database, "replay", "edge", "b", T0 + DAY)
    with database.connection() as connection:
        assert [(one.detail, one.times) for one in alerttimes.refused(connection)] == [("b", 1)]
        assert [one.times for one in alerttimes.refused_since(connection, T0)] == [4]
        assert alerttimes.refused_since(connection, T0 + 2 * DAY) == []


def test_feeds_that_are_old(database: Database) -> None:
    """Those that are fetched: that were not tried, or not with success; files that were given may be old."""
    rows = (
        ("tried", "https://a.example/", T0, T0 - 9 * DAY, "no"),
        ("fine", "https://b.example/", T0, T0 - 9 * DAY, ""),
        ("idle", "https://c.example/", T0 - 9 * DAY, T0 - 9 * DAY, ""),
        ("file", "upload", T0 - 9 * DAY, T0 - 9 * DAY, ""),
    )
    with database.connection() as connection:
        for row in rows:
            connection.execute(
                "INSERT INTO vuln_source (name, kind, source, checked, updated, error)"
                " VALUES (%s, 'kev', %s, %s, %s, %s)",
                row,
            )
        assert [one.feed for one in alerttimes.stale(connection, T0 - 7 * DAY)] == ["idle", "tried"]
        assert alerttimes.fetched(connection, "rule", [], T0) == 0
        assert (alerttimes.lost(connection), alerttimes.ended(connection, T0, T0 + DAY, new=True)) == ([], [])

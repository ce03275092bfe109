"""Alerts as people read them: by pages, without what they may not know, and how many there are."""

from __future__ import annotations

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.store import alerts
from spectra.store.accounts import Act
from spectra.store.alerts import KEPT, Wanted
from spectra.store.database import Database
from tests.store.scribe import T0

pytestmark = pytest.mark.engine

ACT = Act("alice", T0)


def put(database: Database, ident: str, kind: str = "host.new", severity: int = 2, state: str = "firing") -> str:
    """An alert that tells of one thing."""
    with database.connection() as connection:
        connection.execute(
            "WITH a AS (INSERT INTO alert (id, rule, key, kind, severity, title, state, first, last, changed, count,"
            " resolved) VALUES (%(id)s, 'r', %(id)s, %(kind)s, %(severity)s, 't', %(state)s, %(at)s, %(at)s, %(at)s, 1,"
            " CASE WHEN %(state)s = 'resolved' THEN %(at)s::timestamptz END) RETURNING num)"
            " INSERT INTO alert_subject (alert, key, kind, ip, title, path, at, times)"
            " SELECT num, 'k', %(kind)s, '192.0.2.1', 't', '/', %(at)s, 1 FROM a",
            {"id": ident, "kind": kind, "severity": severity, "state": state, "at": T0},
        )
    return ident


def test_pages(database: Database) -> None:
    """The newest first, each once; by state, severity and host."""
    for number in range(5):
        put(database, f"alert-{number}", severity=number)
    put(database, "alert-old", state="resolved")
    page = alerts.page(database, Wanted(), limit=2)
    rest = alerts.page(database, Wanted(), limit=10, cursor=page.next_cursor)
    assert [one.id for one in page.alerts + rest.alerts] == [f"alert-{n}" for n in (4, 3, 2, 1, 0)]
    assert page.totals.firing == {"critical": 1, "high": 1, "medium": 1, "low": 1, "info": 1}
    assert [one.id for one in alerts.page(database, Wanted(severity="high")).alerts] == ["alert-1", "alert-0"]
    assert len(alerts.page(database, Wanted(ip="192.0.2.1", states=("resolved",))).alerts) == 1
    assert alerts.page(database, Wanted(ip="192.0.2.2")).alerts == ()
    with pytest.raises(BadRequest):
        alerts.page(database, Wanted(), cursor="x")


def test_what_is_hidden(database: Database) -> None:
    """Is in no list and no count, is not found, and nobody looks after it."""
    ident = put(database, "alert-1", "signin.strange")
    hidden = ("signin.strange",)
    page = alerts.page(database, Wanted(hidden=hidden))
    assert (page.alerts, page.totals.firing) == ((), {})
    for refused in (
        lambda: alerts.get(database, ident, hidden),
        lambda: alerts.acknowledge(database, [ident], "", ACT, hidden),
    ):
        with pytest.raises(NotFound):
            refused()
    assert alerts.get(database, ident).subjects[0].ip == "192.0.2.1"


def test_looking_after(database: Database) -> None:
    """Once, on record; what is over stays so."""
    ids = [put(database, "alert-1"), put(database, "alert-2", state="resolved")]
    found = alerts.acknowledge(database, ids, "mine", ACT)
    assert [(one.state, one.acknowledged_by) for one in found] == [("acknowledged", "alice"), ("resolved", "")]
    alerts.acknowledge(database, ids, "again", ACT)
    assert alerts.totals(database).acknowledged == 1
    with database.connection() as connection:
        rows = connection.execute("SELECT subject FROM provenance WHERE kind = 'alert.acknowledged'").fetchall()
    assert rows == [("alert:alert-1",)]
    with pytest.raises(BadRequest):
        alerts.acknowledge(database, ids, "two\nlines", ACT)


def test_old_ones_are_forgotten(database: Database) -> None:
    """Long after they were over."""
    put(database, "alert-1")
    put(database, "alert-2", state="resolved")
    before = alerts.mark(database)
    with database.connection() as connection:
        assert alerts.sweep(connection, T0 + KEPT) == 0
        assert alerts.sweep(connection, T0 + 2 * KEPT) == 1
    assert [one.id for one in alerts.page(database, Wanted()).alerts] == ["alert-1"]
    assert alerts.mark(database) == before

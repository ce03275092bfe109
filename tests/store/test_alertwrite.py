"""What becomes of what a rule found: one open alert of a key, whatever is found again, and messages for outlets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import pytest

from spectra.flow.alertlook import WAYS
from spectra.model.alerts import MAX_SUBJECTS, Mute, Occurrence, Rule
from spectra.store import alertwrite
from spectra.store.alertwrite import Done, Look
from spectra.store.database import Database
from tests.store.scribe import T0

pytestmark = pytest.mark.engine

RULE = Rule(name="r", on=("port.opened", "finding.new"), group="rule", outlets=("*",), resolved=True, calm_s=60)


@pytest.fixture(autouse=True)
def outlet(database: Database) -> None:
    """A place to send messages to, and one that is switched off."""
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO outlet (name, kind, target, enabled, created, changed, by) SELECT n, 'webhook', 'u', n = 'on',"
            " now(), now(), 'a' FROM unnest(ARRAY['on', 'off']) AS o (n)"
        )


def opened(port: int) -> Occurrence:
    """A port."""
    return Occurrence(kind="port.opened", at=T0, title=f"port {port}", ip="192.0.2.1", port=port, protocol="tcp")


def weakness(cve: str = "CVE-2024-1000") -> Occurrence:
    """Something that lasts."""
    return Occurrence(kind="finding.new", at=T0, title=cve, ip="192.0.2.1", cve=cve)


def applied(database: Database, found: Sequence[Occurrence], now: datetime = T0, *mutes: Mute) -> Done:
    """What the rule made of it."""
    with database.transaction() as connection:
        return alertwrite.apply(Look(connection, now, WAYS, mutes), RULE, found)


def settled(database: Database, now: datetime) -> Done:
    """What is over by then."""
    with database.transaction() as connection:
        return alertwrite.settle(Look(connection, now, WAYS), RULE)


def state(database: Database) -> list[tuple[str, int, str]]:
    """State, count and title of each alert."""
    with database.connection() as connection:
        return connection.execute("SELECT state, count, title FROM alert ORDER BY num").fetchall()


def test_what_lasts_is_counted_once_what_happens_each_time(database: Database) -> None:
    """And told once either way."""
    done = applied(database, [opened(1), weakness()])
    assert ([one.kind for one in done.entries], done.deliveries) == (["alert.fired"], 1)
    assert applied(database, [opened(1), weakness()]) == Done([])
    assert state(database) == [("firing", 3, "2 changes")]


def test_what_is_left_out_makes_nothing(database: Database) -> None:
    """Not even an alert that waits."""
    mute = Mute(id="m", at=T0, by="a", ip="192.0.2.1")
    assert applied(database, [opened(1)], T0, mute) == Done([])
    assert state(database) == []
    applied(database, [opened(1)])
    with database.transaction() as connection:
        assert [one.kind for one in alertwrite.cover(connection, [mute], T0)] == ["alert.resolved"]


@pytest.mark.parametrize(
    ("told", "left"),
    [
        ({"kind": "finding.new"}, ["port 1", "port 2"]),
        ({"cve": "CVE-2024-1000"}, ["port 1", "port 2"]),
        ({"ip": "192.0.2.1", "port": 2, "protocol": "tcp"}, ["CVE-2024-1000", "port 1"]),
        ({"ip": "192.0.2.1", "cve": "CVE-2024-1000", "rule": RULE.name}, ["port 1", "port 2"]),
        ({"ip": "192.0.2.1", "rule": "another"}, ["CVE-2024-1000", "port 1", "port 2"]),
        ({"ip": "192.0.2.2", "cve": "CVE-2024-1000"}, ["CVE-2024-1000", "port 1", "port 2"]),
        ({"name": "edge"}, ["CVE-2024-1000", "port 1", "port 2"]),
    ],
)
def test_what_is_left_out_is_found_by_what_it_is_about(
    database: Database, told: dict[str, str], left: list[str]
) -> None:
    """An address, a weakness, a kind, one of them of one rule alone: others are told as before."""
    mutes = [msgspec.convert({"id": "m", "at": T0, "by": "a"} | what, Mute) for what in (told, {"ip": "192.0.2.7"})]
    applied(database, [opened(1), weakness(), opened(2)], T0, *mutes)
    with database.connection() as connection:
        rows = connection.execute("SELECT title FROM alert_subject ORDER BY title").fetchall()
    assert sorted(row[0] for row in rows) == left


def test_only_so_many_things_are_named(database: Database) -> None:
    """All are counted."""
    applied(database, [opened(port) for port in range(MAX_SUBJECTS + 20)])
    assert state(database) == [("firing", 520, "520 ports opened")]
    applied(database, [opened(9_000)])
    assert state(database) == [("firing", 521, "521 ports opened")]


def test_alerts_end_when_nothing_of_them_is_so(database: Database) -> None:
    """What happened is over after its time, what lasts is not."""
    applied(database, [opened(1), weakness()])
    later = T0 + timedelta(minutes=5)
    assert settled(database, later).entries == []
    with database.connection() as connection:
        connection.execute("UPDATE alert_subject SET over = %s WHERE kind = 'finding.new'", [later])
    done = settled(database, later)
    assert ([one.kind for one in done.entries], done.deliveries) == (["alert.resolved"], 1)
    assert applied(database, [weakness()], later).deliveries == 1
    with database.transaction() as connection:
        assert len(alertwrite.forget(connection, RULE.name, "removed", later)) == 1
    assert [row[0] for row in state(database)] == ["resolved", "resolved"]

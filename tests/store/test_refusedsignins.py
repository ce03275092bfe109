"""Refused sign-ins: few entries of the chain, however many attempts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from spectra.store import accounts, refusedsignins
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.provenance import links

pytestmark = pytest.mark.engine

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def told(database: Database) -> list[tuple[str, int, str]]:
    """The account, count and source of each entry."""
    found = [link.detail() for link in links(database) if link.kind == "signin.refused"]
    return [(detail["account"], detail["count"], detail["source"]) for detail in found]


def test_the_fifth_and_the_fiftieth_are_told(database: Database) -> None:
    """Of one account within an hour; names that nobody has count together."""
    accounts.create(database, "alice", role="user", trust=1.0, password="", act=Act("root", T0))
    for i in range(60):
        refusedsignins.note(database, "alice", f"192.0.2.{i}", T0 + timedelta(seconds=i))
    assert told(database) == [("alice", 5, "192.0.2.4"), ("alice", 50, "192.0.2.49")]
    for i in range(6):
        refusedsignins.note(database, f"nobody-{i}", "", T0)
    assert told(database)[2:] == [("", 5, "")]
    with database.connection() as connection:
        assert connection.execute("SELECT count(*) FROM refused_sign_in").fetchone() == (2,)


def test_each_hour_is_counted_anew(database: Database) -> None:
    """Four in each of two hours are nothing to tell."""
    accounts.create(database, "alice", role="user", trust=1.0, password="", act=Act("root", T0))
    for hour in range(2):
        for i in range(4):
            refusedsignins.note(database, "alice", "", T0 + timedelta(hours=2 * hour, seconds=i))
    assert told(database) == []

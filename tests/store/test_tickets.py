"""Tickets: good once, for a time, for one thing; and only so many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from spectra.store import accounts, tickets
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.tickets import MOST_OF_ONE, Kind, Ticket

pytestmark = pytest.mark.engine

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def people(database: Database) -> Database:
    """A database with an account."""
    accounts.create(database, "alice", role="user", trust=1.0, password="", act=Act("root", T0))
    return database


def put(database: Database, digest: bytes, kind: Kind = "sign-in", account: str = "alice", at: datetime = T0) -> None:
    """A ticket that holds for an hour."""
    tickets.put(database, digest, kind, Ticket(account, "about"), until=at + HOUR, now=at)


def take(database: Database, digest: bytes, kind: Kind = "sign-in", at: datetime = T0) -> Ticket | None:
    """Use a ticket up."""
    with database.transaction() as connection:
        return tickets.take(connection, digest, kind, at)


def test_good_once(people: Database) -> None:
    """Looking leaves it good; taking does not."""
    put(people, b"one")
    assert tickets.look(people, b"one", "sign-in", T0) == Ticket("alice", "about")
    assert take(people, b"one") == Ticket("alice", "about")
    assert take(people, b"one") is None
    assert tickets.look(people, b"one", "sign-in", T0) is None


def test_for_one_thing_and_a_time(people: Database) -> None:
    """Of another kind, too late, or unknown: none. A transaction that fails has used nothing up."""
    put(people, b"one")
    assert take(people, b"one", "totp") is None
    assert take(people, b"two") is None
    assert take(people, b"one", at=T0 + HOUR) is None
    with people.transaction() as connection:
        assert tickets.take(connection, b"one", "sign-in", T0) is not None
        raise psycopg.Rollback
    assert take(people, b"one") is not None


def test_only_so_many(people: Database) -> None:
    """The oldest make room, of the same kind and account alone; those that are over are forgotten."""
    put(people, b"totp", "totp")
    put(people, b"setup", "setup", "")
    for i in range(MOST_OF_ONE + 1):
        put(people, f"t{i}".encode(), at=T0 + timedelta(seconds=i))
    assert take(people, b"t0") is None
    assert take(people, b"t1") is not None
    assert take(people, b"totp", "totp") is not None
    put(people, b"later", at=T0 + 3 * HOUR)
    with people.connection() as connection:
        assert connection.execute("SELECT count(*) FROM ticket").fetchone() == (1,)


def test_all_of_a_kind_are_dropped(people: Database) -> None:
    """A new set-up link takes the place of every one before; nobody else's tickets go."""
    put(people, b"setup", "setup", "")
    put(people, b"one")
    tickets.drop(people, "setup")
    assert take(people, b"setup", "setup") is None
    assert take(people, b"one") is not None


def test_a_new_password_ends_half_a_sign_in(people: Database) -> None:
    """Whoever had the old one goes no further."""
    put(people, b"one")
    accounts.set_password(people, "alice", "", Act("root", T0))
    assert take(people, b"one") is None

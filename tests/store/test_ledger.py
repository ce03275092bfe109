"""The ledger: each observation once, sums that agree with it, and who contributed most."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from spectra.errors import BadRequest
from spectra.model.tiers import Day, Policy, Ranked
from spectra.store import accounts, ledger, tiers
from spectra.store.accounts import Act
from spectra.store.database import Database
from tests.store.scribe import Scribe

pytestmark = pytest.mark.engine

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
TODAY = NOON.date()
DAY = timedelta(days=1)
FREE = Policy(daily_cap=0)


def book(database: Database, write: Scribe, fresh: int, *, by: str = "alice", at: datetime = NOON) -> int:
    """An observation that made so many endpoints fresh; its number."""
    seq = write([], at=at, contributor=by).seq
    with database.transaction() as connection:
        ledger.count(connection, seq, fresh)
    return seq


def board(database: Database, policy: Policy = FREE, **wanted: Any) -> list[tuple[int, str, int]]:
    """The lines of the first page."""
    found = ledger.leaderboard(database, policy, since=wanted.get("since"))
    return [(line.rank, line.account, line.fresh) for line in found.contributors]


def test_days_are_those_of_utc(database: Database, write: Scribe) -> None:
    """Of receipt, whatever zone a session has; what made nothing fresh is not in it."""
    for hours, fresh in ((-13, 1), (-12, 2), (11, 3), (12, 4), (0, 0)):
        book(database, write, fresh, at=NOON + timedelta(hours=hours))
    assert ledger.days(database, "alice") == (Day(TODAY - DAY, 1, 1), Day(TODAY, 2, 5), Day(TODAY + DAY, 1, 4))
    assert ledger.days(database, "alice", TODAY) == (Day(TODAY, 2, 5), Day(TODAY + DAY, 1, 4))
    assert ledger.days(database, "nobody") == ()
    assert ledger.altered(database) == ""


def test_an_observation_counts_once(database: Database, write: Scribe) -> None:
    """However often, and by whomever at once, it is counted."""
    seq = book(database, write, 3)

    def again(fresh: int) -> None:
        with database.transaction() as connection:
            ledger.count(connection, seq, fresh)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(again, [3, 3, 100, 3]))
    assert ledger.days(database, "alice") == (Day(TODAY, 1, 3),)


def test_what_is_undone_does_not_count(database: Database, write: Scribe) -> None:
    """The ledger is part of the transaction that settles an observation."""
    seq = write([], at=NOON).seq

    def broken_off() -> None:
        with database.transaction() as connection:
            ledger.count(connection, seq, 3)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    assert ledger.days(database, "alice") == ()
    assert ledger.altered(database) == ""


def test_many_at_once(database: Database, write: Scribe) -> None:
    """Sums hold for all of them."""
    seqs = [write([], at=NOON).seq for _ in range(20)]

    def count(seq: int) -> None:
        with database.transaction() as connection:
            ledger.count(connection, seq, 2)

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(count, seqs))
    assert ledger.days(database, "alice") == (Day(TODAY, 20, 40),)
    assert ledger.altered(database) == ""


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger_day SET fresh = fresh + 1",
        "UPDATE ledger_day SET observations = 2",
        "UPDATE ledger_day SET day = day - 1",
        "DELETE FROM ledger_day",
        "UPDATE ledger SET fresh = 1000",
        "DELETE FROM ledger",
        "INSERT INTO ledger VALUES (12345, 1)",
    ],
)
def test_sums_that_were_changed_are_found(database: Database, write: Scribe, change: str) -> None:
    """And named by account and day."""
    book(database, write, 3)
    assert ledger.altered(database) == ""
    with database.connection() as connection:
        connection.execute(change.encode())
    assert ledger.altered(database).startswith("what ")


def test_who_contributed_most(database: Database, write: Scribe) -> None:
    """Ties share a rank and come by name; each day counts up to its bound; only the days that are asked for."""
    for name, fresh, days_ago in (("bob", 5, 0), ("alice", 5, 0), ("carol", 9, 1), ("dave", 3, 0), ("dave", 3, 1)):
        book(database, write, fresh, by=name, at=NOON - days_ago * DAY)
    assert board(database) == [(1, "carol", 9), (2, "dave", 6), (3, "alice", 5), (3, "bob", 5)]
    assert board(database, since=TODAY) == [(1, "alice", 5), (1, "bob", 5), (3, "dave", 3)]
    assert board(database, Policy(daily_cap=4)) == [(1, "dave", 6), (2, "alice", 4), (2, "bob", 4), (2, "carol", 4)]


def test_pages(database: Database, write: Scribe) -> None:
    """Of any size they make the whole, with the ranks of the whole; a cursor keeps the days it began with."""
    for number in range(7):
        book(database, write, 1 + number // 2, by=f"c{number}")
    whole = board(database)
    assert len(whole) == 7
    for limit in (1, 2, 3, 7, 8):
        cursor, found = "", list[Ranked]()
        while True:
            page = ledger.leaderboard(database, FREE, since=TODAY, cursor=cursor, limit=limit)
            assert page.since == TODAY
            found += page.contributors
            cursor = page.next_cursor
            if not cursor:
                break
        assert [(line.rank, line.account, line.fresh) for line in found] == whole
    first = ledger.leaderboard(database, FREE, since=TODAY, limit=1)
    assert ledger.leaderboard(database, FREE, since=date(2030, 1, 1), cursor=first.next_cursor).since == TODAY
    with pytest.raises(BadRequest):
        ledger.leaderboard(database, FREE, since=None, cursor="x")


def test_who_is_not_on_it(database: Database, write: Scribe) -> None:
    """Who does not want to be, and who was shut out."""
    act = Act("root", NOON)
    for name in ("alice", "bob", "carol"):
        book(database, write, 1, by=name)
    tiers.show(database, "alice", False, act)
    accounts.disable(database, "bob", act)
    assert board(database) == [(1, "carol", 1)]
    tiers.show(database, "alice", True, act)
    assert board(database) == [(1, "alice", 1), (1, "carol", 1)]

"""How often an account may ask: token buckets in the database, one truth for every coordinator on it.

A bucket of `burst` tokens that refills within `seconds` is one moment, `full_at`: when all tokens will be back. Taking
one moves it by `seconds / burst`; there is none to take while that would move it further than `seconds` ahead. (The
generic cell rate algorithm, ITU-T I.371 annex A: the same admissions as a bucket that is refilled continuously.) The
clock is the database's, because those of several coordinators differ.
"""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from spectra.store.database import Connection, Database

_UNLIMITED_ROLE: Final = "admin"
_SWEEP_EVERY_S: Final = 600.0
# A bucket that will be full later than this after it could be at all was written before the clock was set back:
# waiting for that moment to come round again would lock the account out.
_CLOCK_WAS_SET: Final = timedelta(minutes=1)

_NOW = "coalesce(%(at)s::timestamptz, clock_timestamp())"

# The row is locked before its values are read, so askers at one moment queue for the length of this statement. An
# account that is refused writes nothing: a flood leaves no dead rows behind.
_TAKE = f"""
INSERT INTO bucket AS b (account, kind, full_at) VALUES (%(account)s, %(kind)s, {_NOW} + %(interval)s)
ON CONFLICT (account, kind) DO UPDATE SET full_at = greatest(b.full_at, {_NOW}) + %(interval)s
WHERE greatest(b.full_at, {_NOW}) + %(interval)s <= {_NOW} + %(span)s"""
_WAIT = f"SELECT full_at + %(interval)s - %(span)s - {_NOW} FROM bucket WHERE (account, kind) = (%(account)s, %(kind)s)"
_EMPTY = f"""
UPDATE bucket SET full_at = {_NOW} + %(span)s
WHERE (account, kind) = (%(account)s, %(kind)s) AND full_at > {_NOW} + %(span)s"""
_SWEEP = "DELETE FROM bucket WHERE full_at < clock_timestamp() - interval '1 minute'"


class Rate(NamedTuple):
    """`burst` at once, and as many again within `seconds`; a burst of 0 means no limit."""

    burst: int
    seconds: float = 60.0

    @property
    def span(self) -> timedelta:
        """How long an empty bucket takes to fill."""
        return timedelta(seconds=self.seconds)

    @property
    def interval(self) -> timedelta:
        """How long one token takes, in whole microseconds, rounded up so that rounding admits nothing more."""
        return timedelta(microseconds=-(-int(self.seconds * 1e6) // self.burst))


class Buckets:
    """The buckets of one database. Thread-safe; every call is a statement or two that wait for no disk."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._swept = time.monotonic()

    def take(self, account: str, kind: str, rate: Rate, *, at: datetime | None = None) -> float:
        """0.0 when admitted, which takes a token; else the seconds until there is one, which takes none.

        `at` is another moment than the database's own; for tests.
        """
        if rate.burst <= 0:
            return 0.0
        with self._database.aside() as connection:
            if self._due():
                connection.execute(_SWEEP)
            return _take(connection, account, kind, rate, at)

    def peek(self, account: str, kind: str, rate: Rate, *, at: datetime | None = None) -> float:
        """What `take` would answer, without taking."""
        if rate.burst <= 0:
            return 0.0
        with self._database.aside() as connection:
            return _wait(connection, _words(account, kind, rate, at))

    def _due(self) -> bool:
        """Whether it is time to remove rows that say nothing any more."""
        with self._lock:
            now = time.monotonic()
            due = now - self._swept >= _SWEEP_EVERY_S
            if due:
                self._swept = now
            return due


class AccountLimit:
    """The rate of one kind of request, for each account but admins; in the place of `ingest.rate.RateLimiter`."""

    def __init__(self, buckets: Buckets, kind: str, per_minute: int) -> None:
        self._buckets = buckets
        self._kind = kind
        self._rate = Rate(per_minute)

    def admit(self, contributor: str, role: str, now: datetime | None = None) -> float:
        """0.0 when admitted, else the seconds to wait. `now` is not asked: the database has a clock for all."""
        if role == _UNLIMITED_ROLE:
            return 0.0
        return self._buckets.take(contributor, self._kind, self._rate)


def _words(account: str, kind: str, rate: Rate, at: datetime | None) -> dict[str, object]:
    return {"account": account, "kind": kind, "interval": rate.interval, "span": rate.span, "at": at}


def _take(connection: Connection, account: str, kind: str, rate: Rate, at: datetime | None) -> float:
    words = _words(account, kind, rate, at)
    if connection.execute(_TAKE, words).rowcount:
        return 0.0
    wait = _wait(connection, words)
    if wait > (rate.interval + _CLOCK_WAS_SET).total_seconds():
        connection.execute(_EMPTY, words)
        return rate.interval.total_seconds()
    return max(wait, 1e-6)  # refused is refused, though a token came back meanwhile


def _wait(connection: Connection, words: dict[str, object]) -> float:
    row = connection.execute(_WAIT, words).fetchone()
    return max(row[0].total_seconds(), 0.0) if row else 0.0

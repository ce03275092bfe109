"""How often signing in may fail: the generic cell rate algorithm (ITU-T I.371) over one time a subject.

`until` is GCRA's theoretical arrival time, the moment at which all that was counted is forgotten. A subject may be
tried while that lies at most `burst` failures ahead. Durable, so that a restart or another coordinator forgets
nothing, and bounded: a row whose time is past is the same as none and is deleted with the next attempts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import psycopg

from spectra.store.database import Connection, Database

_CHARGE: Final = """
INSERT INTO login_throttle AS t (subject, until) VALUES (%(subject)s, %(now)s::timestamptz + %(each)s::interval)
ON CONFLICT (subject) DO UPDATE
SET until = greatest(t.until, %(now)s::timestamptz) + %(each)s::interval
WHERE greatest(t.until, %(now)s::timestamptz) - %(now)s::timestamptz <= %(most)s::interval"""
# What lies further ahead than can be counted was written before the clock was set back: it is no reason to wait.
_FAR: Final = """
DELETE FROM login_throttle WHERE subject = %(subject)s AND until > %(full)s::timestamptz + interval '1 minute'"""
_FORGIVE: Final = "UPDATE login_throttle SET until = until - %(each)s::interval WHERE subject = %(subject)s"
_PRUNE: Final = """
DELETE FROM login_throttle WHERE subject IN
  (SELECT subject FROM login_throttle WHERE until < %s LIMIT 100 FOR UPDATE SKIP LOCKED)"""


class Bucket(NamedTuple):
    """What is counted: `burst` failures at once, then one every `each_s` seconds."""

    subject: str
    each_s: float
    burst: int

    @property
    def digest(self) -> bytes:
        """The subject's key: of one size, whatever a stranger types."""
        return hashlib.sha256(self.subject.encode("utf-8", "surrogatepass")).digest()[:16]


def charge(database: Database, buckets: Sequence[Bucket], now: datetime) -> float:
    """Count an attempt against each of `buckets` and return 0, or count none and return the seconds to wait.

    Counted before the password is looked at, so that attempts at the same moment are counted too.
    """
    wait = 0.0
    with database.connection() as connection:
        connection.execute(_PRUNE, [now])
        with connection.transaction() as all_or_none:
            for bucket in sorted(buckets, key=lambda b: b.digest):  # one order: no two wait for each other
                wait = _charge(connection, bucket, now)
                if wait:
                    raise psycopg.Rollback(all_or_none)
    return wait


def forgive(database: Database, buckets: Sequence[Bucket], now: datetime) -> None:
    """Take back what an attempt that succeeded was charged."""
    with database.transaction() as connection:
        for bucket in sorted(buckets, key=lambda b: b.digest):
            connection.execute(_FORGIVE, _values(bucket, now))


def forget(database: Database, bucket: Bucket) -> None:
    """Forget all that was counted for one subject."""
    with database.connection() as connection:
        connection.execute("DELETE FROM login_throttle WHERE subject = %s", [bucket.digest])


def _charge(connection: Connection, bucket: Bucket, now: datetime) -> float:
    values = _values(bucket, now)
    connection.execute(_FAR, values)
    if connection.execute(_CHARGE, values).rowcount:
        return 0.0
    row = connection.execute("SELECT until FROM login_throttle WHERE subject = %(subject)s", values).fetchone()
    ahead = (row[0] - now).total_seconds() if row else 0.0
    return max(ahead - bucket.each_s * (bucket.burst - 1), 1.0)


def _values(bucket: Bucket, now: datetime) -> dict[str, object]:
    return {
        "subject": bucket.digest,
        "now": now,
        "each": timedelta(seconds=bucket.each_s),
        "most": timedelta(seconds=bucket.each_s * (bucket.burst - 1)),
        "full": now + timedelta(seconds=bucket.each_s * bucket.burst),
    }

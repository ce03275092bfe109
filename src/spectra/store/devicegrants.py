"""Devices that wait to be let in (RFC 8628): bounded in number, and over after ten minutes."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final, NamedTuple

import psycopg

from spectra.errors import NotFound, Unavailable
from spectra.model.people import DeviceRecord
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.provenance import Connection, Entry, commit

MOST: Final = 1000
"""Devices that wait at once."""
MOST_OF_ONE: Final = 50
"""Of those, how many from one network."""
SLOWER_S: Final = 5
"""What is added to the interval of a device that asks too soon (RFC 8628 section 3.5)."""
_SLOWEST_S: Final = 60


class NewDevice(NamedTuple):
    """A device that asks to be let in; `scopes` None: all that the account holds."""

    digest: bytes
    user_code: str
    client_id: str
    scopes: tuple[str, ...] | None
    source: str
    network: str
    expires: datetime
    every_s: int


class Polled(Enum):
    """What a device that asks again is told, where that is no session."""

    WAITING = "authorization_pending"
    TOO_SOON = "slow_down"
    REFUSED = "access_denied"
    OVER = "expired_token"
    UNKNOWN = "invalid_grant"


class LetIn(NamedTuple):
    """A device that was let in, to the account `account`."""

    account: str
    client_id: str
    scopes: tuple[str, ...] | None


def ask(database: Database, new: NewDevice, now: datetime) -> bool:
    """Let a device wait; False where its user code is taken. Raises `Unavailable` where too many wait."""
    with database.transaction() as connection:
        connection.execute("DELETE FROM device_grant WHERE expires < %s", [now - timedelta(minutes=5)])
        row = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE source <<= %s::inet) FROM device_grant WHERE expires > %s",
            [new.network or None, now],
        ).fetchone()
        if row and (row[0] >= MOST or row[1] >= MOST_OF_ONE):
            raise Unavailable("Too many devices are waiting to be let in.", reason="busy", hint="Try again later.")
        try:
            with connection.transaction():
                connection.execute(
                    "INSERT INTO device_grant (digest, user_code, client_id, scopes, source, created, expires, every_s)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                    [
                        new.digest,
                        new.user_code,
                        new.client_id,
                        None if new.scopes is None else list(new.scopes),
                        new.source or None,
                        now,
                        new.expires,
                        new.every_s,
                    ],
                )
        except psycopg.errors.UniqueViolation:
            return False
    return True


def find(database: Database, user_code: str, now: datetime) -> DeviceRecord:
    """The device that shows this code; raises `NotFound`."""
    with database.connection() as connection:
        row = connection.execute(
            "SELECT user_code, client_id, created, expires, coalesce(host(source), ''), coalesce(scopes, '{}'), allowed"
            " FROM device_grant WHERE user_code = %s AND expires > %s",
            [user_code, now],
        ).fetchone()
    if row is None:
        raise _unknown()
    return _record(row)


def decide(
    database: Database, user_code: str, act: Act, *, allow: bool, scopes: tuple[str, ...] | None = None
) -> DeviceRecord:
    """Let the device in to the account of `act.by`, or not: once. With `scopes` it gets no more than those.

    Raises `NotFound` also for what was decided before.
    """

    def work(connection: Connection) -> tuple[DeviceRecord, list[Entry]]:
        row = connection.execute(
            "UPDATE device_grant SET contributor = %(by)s, allowed = %(allow)s, scopes = CASE"
            " WHEN %(most)s::text[] IS NULL THEN scopes WHEN scopes IS NULL THEN %(most)s::text[]"
            " ELSE ARRAY(SELECT s FROM unnest(scopes) s WHERE s = ANY (%(most)s::text[]) ORDER BY s) END"
            " WHERE user_code = %(code)s AND expires > %(now)s AND allowed IS NULL"
            " RETURNING user_code, client_id, created, expires, coalesce(host(source), ''), coalesce(scopes, '{}'),"
            " allowed",
            {
                "by": act.by,
                "allow": allow,
                "most": None if scopes is None else list(scopes),
                "code": user_code,
                "now": act.now,
            },
        ).fetchone()
        if row is None:
            raise _unknown()
        record = _record(row)
        kind = "device.allowed" if allow else "device.refused"
        detail = {"account": act.by, "client": record.client_id, "source": record.source, "by": act.by}
        return record, [Entry(kind, f"signin:{act.by}", detail, act.now)]

    return commit(database, work)


def poll(database: Database, digest: bytes, client_id: str, now: datetime) -> LetIn | Polled:
    """What a device is told that asks again. Who was let in, or refused, is told so once."""
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT client_id, scopes, expires, every_s, polled, contributor, allowed FROM device_grant"
            " WHERE digest = %s FOR UPDATE",
            [digest],
        ).fetchone()
        if row is None or row[0] != client_id:
            return Polled.UNKNOWN
        _, scopes, expires, every_s, polled, account, allowed = row
        if expires <= now:
            return Polled.OVER
        if polled is not None and now - polled < timedelta(seconds=every_s):
            slower = min(every_s + SLOWER_S, _SLOWEST_S)
            connection.execute(
                "UPDATE device_grant SET polled = %s, every_s = %s WHERE digest = %s", [now, slower, digest]
            )
            return Polled.TOO_SOON
        if allowed is None:
            connection.execute("UPDATE device_grant SET polled = %s WHERE digest = %s", [now, digest])
            return Polled.WAITING
        connection.execute("DELETE FROM device_grant WHERE digest = %s", [digest])
    return LetIn(account, client_id, None if scopes is None else tuple(scopes)) if allowed else Polled.REFUSED


def _unknown() -> NotFound:
    return NotFound(
        "No device waits with this code.", reason="unknown_device", hint="Codes hold for ten minutes; ask for another."
    )


def _record(row: tuple[Any, ...]) -> DeviceRecord:
    user_code, client_id, created, expires, source, scopes, allowed = row
    state = "waiting" if allowed is None else "allowed" if allowed else "refused"
    return DeviceRecord(user_code, client_id, created, expires, source, tuple(scopes), state)

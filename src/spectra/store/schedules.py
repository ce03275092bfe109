"""Schedules: stale endpoints of a selection, turned into a job again and again. Every change is on record."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from spectra.errors import NotFound
from spectra.model.work import Schedule
from spectra.store.accounts import Act
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry, commit
from spectra.store.rows import encode

_RECORD: Final = """
SELECT body, account, created, next_run, last_run, last_job, last_error FROM schedule"""
_DETAIL: Final = "SELECT name, body, account, created, changed, by FROM schedule"
_PUT: Final = """
INSERT INTO schedule (name, body, account, created, changed, by, next_run)
VALUES (%(name)s, %(body)s, %(by)s, %(now)s, %(now)s, %(by)s, %(now)s)
ON CONFLICT (name) DO UPDATE SET body = excluded.body, account = excluded.account, changed = excluded.changed,
  by = excluded.by, next_run = excluded.next_run, last_error = ''
WHERE (schedule.body, schedule.account) <> (excluded.body, excluded.account)"""
_STOP: Final = "UPDATE schedule SET body = %s, changed = %s, by = %s WHERE name = %s AND body <> %s"


def put(database: Database, schedule: Schedule, act: Act) -> Schedule:
    """Keep a schedule, in place of the one of its name; it is due at once if it is new or changed. `account`, `created`
    and what is told of runs are the store's to say: the account that runs it is who put it last (`act.by`).

    Pausing one, or letting it run again, changes neither whose it is nor when it is due.
    """

    def work(connection: Connection) -> tuple[Schedule, list[Entry]]:
        body = _body(schedule)
        found = connection.execute("SELECT body FROM schedule WHERE name = %s FOR UPDATE", [schedule.name]).fetchone()
        before = msgspec.json.decode(found[0], type=Schedule) if found else None
        if before and before.paused != schedule.paused and _body(before, paused=schedule.paused) == body:
            changed = connection.execute(_STOP, [body, act.now, act.by, schedule.name, body]).rowcount
        else:
            changed = connection.execute(
                _PUT, {"name": schedule.name, "body": body, "by": act.by, "now": act.now}
            ).rowcount
        entries = [_entry(connection, "schedule.put", schedule.name, act.now)] if changed else []
        return _get(connection, schedule.name), entries

    return commit(database, work)


def get(database: Database, name: str) -> Schedule:
    """The schedule of this name; raises `NotFound("unknown_schedule")`."""
    with database.connection() as connection:
        return _get(connection, name)


def all_of(database: Database) -> tuple[Schedule, ...]:
    """All schedules, by name."""
    with database.connection() as connection:
        return tuple(_record(row) for row in connection.execute(f"{_RECORD} ORDER BY name"))


def remove(database: Database, name: str, act: Act) -> None:
    """Drop a schedule; the jobs it made stay. Raises `NotFound("unknown_schedule")`."""

    def work(connection: Connection) -> tuple[None, list[Entry]]:
        if not connection.execute("DELETE FROM schedule WHERE name = %s", [name]).rowcount:
            raise _unknown(name)
        return None, [Entry("schedule.removed", _subject(name), {"name": name, "by": act.by}, act.now)]

    commit(database, work)


def due(database: Database, now: datetime) -> tuple[Schedule, ...]:
    """The schedules whose time has come, the longest overdue first; paused ones are not."""
    with database.connection() as connection:
        rows = connection.execute(f"{_RECORD} WHERE next_run <= %s ORDER BY next_run, name", [now]).fetchall()
    return tuple(found for found in map(_record, rows) if not found.paused)


def claim(database: Database, name: str, now: datetime) -> bool:
    """Take a due schedule's run: its next is `every_s` after `now`. False where another has taken it."""
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT body FROM schedule WHERE name = %s AND next_run <= %s FOR UPDATE", [name, now]
        ).fetchone()
        if row is None or (schedule := msgspec.json.decode(row[0], type=Schedule)).paused:
            return False
        connection.execute(
            "UPDATE schedule SET next_run = %s, last_run = %s WHERE name = %s",
            [now + timedelta(seconds=schedule.every_s), now, name],
        )
    return True


def hurry(database: Database, name: str, act: Act) -> Schedule:
    """Have a schedule be due now, whenever it would have been. Raises `NotFound("unknown_schedule")`."""

    def work(connection: Connection) -> tuple[Schedule, list[Entry]]:
        statement = "UPDATE schedule SET next_run = %s, changed = %s, by = %s WHERE name = %s"
        if not connection.execute(statement, [act.now, act.now, act.by, name]).rowcount:
            raise _unknown(name)
        return _get(connection, name), [_entry(connection, "schedule.run", name, act.now)]

    return commit(database, work)


def ran(database: Database, name: str, now: datetime, *, job: str = "", error: str = "") -> None:
    """Note what became of a run: the job it made, or why it made none. A schedule that is gone is no news."""
    with database.connection() as connection:
        connection.execute(
            "UPDATE schedule SET last_run = %s, last_job = coalesce(nullif(%s, ''), last_job), last_error = %s"
            " WHERE name = %s",
            [now, job, error[:2000], name],
        )


def details(database: Database) -> dict[str, dict[str, object]]:
    """What the newest provenance entry of each schedule has to say, as the rows are now."""
    with database.connection() as connection:
        return {_subject(row[0]): _told(row) for row in connection.execute(_DETAIL)}


def _body(schedule: Schedule, *, paused: bool | None = None) -> str:
    """What somebody put: without what the store says of it."""
    said = msgspec.structs.replace(
        schedule, account="", created=None, last_run=None, last_job="", last_error="", next_run=None
    )
    return encode(said if paused is None else msgspec.structs.replace(said, paused=paused)).decode()


def _get(connection: Connection, name: str) -> Schedule:
    row = connection.execute(f"{_RECORD} WHERE name = %s", [name[:100]]).fetchone()
    if row is None:
        raise _unknown(name)
    return _record(row)


def _unknown(name: str) -> NotFound:
    return NotFound(
        f"There is no schedule {name[:80]}.", reason="unknown_schedule", hint="`spectra schedule list` shows all."
    )


def _entry(connection: Connection, kind: str, name: str, now: datetime) -> Entry:
    return Entry(kind, _subject(name), _told(one(connection.execute(f"{_DETAIL} WHERE name = %s", [name]))), now)


def _subject(name: str) -> str:
    """What entries are about: names of schedules may be those of other things."""
    return f"schedule/{name}"


def _told(row: tuple[Any, ...]) -> dict[str, object]:
    return dict(zip(("name", "body", "account", "created", "changed", "by"), row, strict=True))


def _record(row: tuple[Any, ...]) -> Schedule:
    body, account, created, next_run, last_run, last_job, last_error = row
    said = msgspec.json.decode(body, type=Schedule)
    return msgspec.structs.replace(
        said,
        account=account,
        created=created,
        last_run=last_run,
        last_job=last_job,
        last_error=last_error,
        next_run=None if said.paused else next_run,
    )

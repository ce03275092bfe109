"""Whether work is handed out at all, how much there is, and the version of what may never be scanned."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from spectra.model.work import TargetCounts, WorkStatus
from spectra.store import workers
from spectra.store.accounts import Act
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry, commit

_SUBJECT: Final = "work/pause"
_DETAIL: Final = "SELECT paused, reason, changed, by FROM work_state"
_PAUSE: Final = """
INSERT INTO work_state (paused, reason, changed, by) VALUES (%(paused)s, %(reason)s, %(now)s, %(by)s)
ON CONFLICT (one) DO UPDATE SET paused = excluded.paused, reason = excluded.reason, changed = excluded.changed,
  by = excluded.by
WHERE work_state.paused <> excluded.paused"""
_COUNTS: Final = """
SELECT state, count(*) FROM target WHERE job IN (SELECT num FROM job WHERE counts IS NULL) GROUP BY state"""
# Rows of these tables stay, and change once each: what was added, what was taken back, and what has run out.
_LAW: Final = """
SELECT (SELECT count(*) + count(removed) FROM do_not_scan)
     + (SELECT count(*) + count(*) FILTER (WHERE removed IS NOT NULL OR until <= %s) FROM block WHERE targets)"""


def pause(database: Database, on: bool, reason: str, act: Act) -> WorkStatus:
    """Hand nothing out from now on, or (`on` False) again: for every coordinator, until it is taken back."""

    def work(connection: Connection) -> tuple[None, list[Entry]]:
        if not on and not _paused(connection):
            return None, []
        said = {"paused": on, "reason": reason[:2000] if on else "", "now": act.now, "by": act.by}
        if not connection.execute(_PAUSE, said).rowcount:
            return None, []
        kind = "work.paused" if on else "work.resumed"
        return None, [Entry(kind, _SUBJECT, _told(one(connection.execute(_DETAIL))), act.now)]

    commit(database, work)
    return status(database)


def paused(database: Database) -> bool:
    """Whether all is paused by hand."""
    with database.connection() as connection:
        return _paused(connection)


def _paused(connection: Connection) -> bool:
    return one(connection.execute("SELECT EXISTS (SELECT FROM work_state WHERE paused)"))[0]


def status(database: Database) -> WorkStatus:
    """Whether all is paused, the targets of all jobs by state, and the machines. `holds` is not the store's to know.

    Targets that ended are counted in jobs that have not; those of ended jobs are not in the counts.
    """
    with database.connection() as connection:
        row = connection.execute(f"{_DETAIL} WHERE paused").fetchone()
        counts = dict(connection.execute(_COUNTS).fetchall())
    return WorkStatus(
        paused=row is not None,
        counts=msgspec.convert(counts, TargetCounts),
        paused_by=row[3] if row else "",
        paused_reason=row[1] if row else "",
        workers=workers.every(database),
    )


def law_version(database: Database, now: datetime) -> int:
    """A number that grows whenever `do_not_scan.excluded` may have changed, whoever changed it."""
    with database.connection() as connection:
        return one(connection.execute(_LAW, [now]))[0]


def details(database: Database) -> dict[str, dict[str, object]]:
    """What the newest provenance entry of pausing has to say, as the row is now."""
    with database.connection() as connection:
        row = connection.execute(_DETAIL).fetchone()
    return {_SUBJECT: _told(row)} if row else {}


def _told(row: tuple[Any, ...]) -> dict[str, object]:
    return dict(zip(("paused", "reason", "changed", "by"), row, strict=True))

"""Alerts as people read them, and what they do about them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final, LiteralString, NamedTuple

import msgspec
from msgspec import Meta

from spectra.errors import BadRequest, NotFound
from spectra.model.alerts import (
    MAX_SUBJECTS,
    SEVERITIES,
    AlertPage,
    AlertRecord,
    AlertState,
    AlertSubject,
    AlertTotals,
    Kind,
    Mute,
    Muting,
    Severity,
)
from spectra.store import alertrules, cursors
from spectra.store.accounts import Act
from spectra.store.alertnames import SUBJECT, as_subject
from spectra.store.alertwrite import COLUMNS, as_record, entry, load
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry, commit

MAX_LIMIT: Final = 500
KEPT: Final = timedelta(days=90)
"""How long alerts are kept after they were resolved."""
_FEW: Final = 5

_SHOWN: LiteralString = """NOT EXISTS (
    SELECT FROM alert_subject h WHERE h.alert = a.num AND h.kind = ANY(%(hidden)s::text[]))"""
"""That an alert tells of nothing that is hidden."""
_PAGE: LiteralString = f"""
SELECT {COLUMNS}, a.num FROM alert a
WHERE a.num < %(after)s AND a.state = ANY(%(states)s::text[]) AND (%(rule)s = '' OR a.rule = %(rule)s)
  AND a.severity <= %(severity)s
  AND (%(ip)s::inet IS NULL OR EXISTS (SELECT FROM alert_subject s WHERE s.alert = a.num AND s.ip = %(ip)s::inet))
  AND {_SHOWN}
ORDER BY a.num DESC LIMIT %(limit)s"""
_SUBJECTS: Final = f"""
SELECT k.id, {SUBJECT} FROM unnest(%s::text[]) AS k (id) JOIN alert a ON a.id = k.id CROSS JOIN LATERAL (
  SELECT * FROM alert_subject s WHERE s.alert = a.num ORDER BY s.over IS NOT NULL, s.at DESC, s.key LIMIT %s) s"""


class Wanted(NamedTuple):
    """Which alerts are asked for; empty: any. `severity`: that one or worse; `ip`: that tell of this host. Those that
    tell of something of a kind in `hidden` are left out.
    """

    states: tuple[AlertState, ...] = ("firing", "acknowledged")
    rule: str = ""
    severity: Severity = "info"
    ip: str = ""
    hidden: tuple[Kind, ...] = ()


class _Key(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page ended."""

    num: Annotated[int, Meta(ge=0, le=2**63 - 1)]


def page(database: Database, wanted: Wanted, *, cursor: str = "", limit: int = 100) -> AlertPage:
    """Alerts that are asked for, the newest first; raises `BadRequest` naming `cursor`."""
    after = cursors.read(cursor, _Key, "alerts").num if cursor else 2**63 - 1
    with database.connection() as connection:
        rows = connection.execute(
            _PAGE,
            {
                "after": after,
                "states": list(wanted.states),
                "rule": wanted.rule,
                "severity": SEVERITIES.index(wanted.severity),
                "ip": wanted.ip or None,
                "hidden": list(wanted.hidden),
                "limit": limit + 1,
            },
        ).fetchall()
        kept = rows[:limit]
        named = _subjects(connection, [row[0] for row in kept], _FEW)
        counted = _totals(connection, wanted.hidden)
    following = cursors.write(_Key(rows[limit - 1][-1]), "alerts") if len(rows) > limit else ""
    return AlertPage(
        alerts=tuple(as_record(row[:-1], named[row[0]]) for row in kept), totals=counted, next_cursor=following
    )


def get(database: Database, ident: str, hidden: Sequence[Kind] = ()) -> AlertRecord:
    """One alert with all that it tells of; raises `NotFound` (`unknown_alert`), also where that is hidden."""
    with database.connection() as connection:
        return _get(connection, ident, hidden)


def totals(database: Database, hidden: Sequence[Kind] = ()) -> AlertTotals:
    """How many there are."""
    with database.connection() as connection:
        return _totals(connection, hidden)


def acknowledge(
    database: Database, ids: Sequence[str], comment: str, act: Act, hidden: Sequence[Kind] = ()
) -> tuple[AlertRecord, ...]:
    """Somebody looks after these alerts: no more of them is told until they are over. Those that are acknowledged or
    resolved stay as they are. Raises `NotFound` (`unknown_alert`), `BadRequest` naming `comment`.
    """
    if not comment.isprintable():
        raise BadRequest("A comment is one line.", field="comment")

    def work(connection: Connection) -> tuple[tuple[AlertRecord, ...], list[Entry]]:
        wanted = list(dict.fromkeys(ids))
        asked: LiteralString = f"SELECT a.id FROM alert a WHERE a.id = ANY(%(ids)s::text[]) AND {_SHOWN}"
        known = {row[0] for row in connection.execute(asked, {"ids": wanted, "hidden": list(hidden)})}
        for ident in wanted:
            if ident not in known:
                raise _unknown(ident)
        rows = connection.execute(
            "UPDATE alert SET state = 'acknowledged', acknowledged = %(now)s, acknowledged_by = %(by)s,"
            " comment = %(comment)s, changed = %(now)s WHERE id = ANY(%(ids)s::text[]) AND state = 'firing'"
            " RETURNING id",
            {"now": act.now, "by": act.by, "comment": comment, "ids": wanted},
        ).fetchall()
        entries = [entry(connection, "alert.acknowledged", row[0], act.now, act.by) for row in sorted(rows)]
        return tuple(load(connection, wanted)), entries

    return commit(database, work)


def mute(record: AlertRecord, database: Database, until: datetime | None, reason: str, act: Act) -> tuple[Mute, ...]:
    """Leave out what an alert tells of, as its rule sees it: at most as many things as it names.

    Raises `BadRequest` (`alert_over`) where nothing is so any more, or as `alertrules.mute` does.
    """
    wanted = [
        Muting(
            rule=record.rule,
            kind=one.kind,
            ip=one.ip,
            port=one.port,
            protocol=one.protocol,  # type: ignore[arg-type]  # of an endpoint that is stored
            cve=one.cve,
            name=one.name,
            until=until,
            reason=reason,
        )
        for one in record.subjects
        if one.over is None or record.state == "resolved"
    ]
    if not wanted:
        raise BadRequest(f"Nothing of {record.id} is so any more.", reason="alert_over", field="id")
    return alertrules.mute_all(database, wanted, act)


def mark(database: Database) -> object:
    """Another value when messages were written or sent; cheap. What else becomes of alerts is in the chain."""
    with database.connection() as connection:
        return one(
            connection.execute(
                "SELECT (SELECT max(num) FROM notification), count(*), max(attempts) FROM delivery"
                " WHERE state = 'waiting'"
            )
        )


def sweep(connection: Connection, now: datetime) -> int:
    """Forget alerts that were resolved long ago; how many."""
    return connection.execute(
        "DELETE FROM alert WHERE num IN (SELECT num FROM alert WHERE state = 'resolved' AND resolved < %s"
        " ORDER BY resolved LIMIT 1000)",
        [now - KEPT],
    ).rowcount


def _get(connection: Connection, ident: str, hidden: Sequence[Kind]) -> AlertRecord:
    row = connection.execute(
        f"SELECT {COLUMNS} FROM alert a WHERE a.id = %(id)s AND {_SHOWN}", {"id": ident, "hidden": list(hidden)}
    ).fetchone()
    if row is None:
        raise _unknown(ident)
    return as_record(row, _subjects(connection, [ident], MAX_SUBJECTS)[ident])


def _subjects(connection: Connection, ids: Sequence[str], most: int) -> dict[str, list[AlertSubject]]:
    named: dict[str, list[AlertSubject]] = defaultdict(list)
    for ident, *row in connection.execute(_SUBJECTS, [list(ids), most]) if ids else ():
        named[ident].append(as_subject(row))
    return named


def _totals(connection: Connection, hidden: Sequence[Kind]) -> AlertTotals:
    rows = connection.execute(
        f"SELECT a.state, a.severity, count(*) FROM alert a WHERE a.state IN ('firing', 'acknowledged') AND {_SHOWN}"
        " GROUP BY a.state, a.severity ORDER BY a.severity",
        {"hidden": list(hidden)},
    ).fetchall()
    return AlertTotals(
        firing={SEVERITIES[severity]: count for state, severity, count in rows if state == "firing"},
        acknowledged=sum(count for state, _, count in rows if state == "acknowledged"),
    )


def _unknown(ident: str) -> NotFound:
    return NotFound(
        f"There is no alert {ident[:60]!r}.",
        reason="unknown_alert",
        hint="`spectra alerts list --state all` shows all.",
    )

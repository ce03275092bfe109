"""What becomes of what rules find: alerts, the things they tell of, and messages to outlets, in one transaction.

`apply` takes what a rule found; `settle` and `resolve` take what is so no longer. What is pure of it (grouping,
thresholds, quiet hours, words) is in `act.notify`, whose functions are handed in as `Ways`: the store knows no rooms
but its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from psycopg.types.json import Jsonb

from spectra.model.alerts import (
    ALL_OUTLETS,
    LASTING,
    MAX_SUBJECTS,
    SEVERITIES,
    AlertRecord,
    AlertSubject,
    Group,
    Kind,
    Message,
    Mute,
    Occurrence,
    QuietHours,
    Rule,
    Severity,
    Told,
)
from spectra.store.database import Connection
from spectra.store.provenance import Entry
from spectra.store.rows import encode

Recent = Sequence[tuple[int, int]]


class Ways(NamedTuple):
    """How things are put together and worded: functions of `act.notify` by their names there."""

    gathered: Callable[[Group, Iterable[Occurrence], Collection[str]], dict[str, list[Occurrence]]]
    added: Callable[[Recent, Iterable[Occurrence]], list[tuple[int, int]]]
    within: Callable[[Recent, int, datetime], list[tuple[int, int]]]
    held_until: Callable[[QuietHours | None, Severity, datetime], datetime | None]
    title_of: Callable[[str, Sequence[Kind], str, int], str]
    message: Callable[[AlertRecord, Told, Sequence[Occurrence], datetime, int], Message]


class Look(NamedTuple):
    """One look of a coordinator: what is left out then, and how things are put together."""

    connection: Connection
    now: datetime
    ways: Ways
    mutes: Sequence[Mute] = ()


class Done(NamedTuple):
    """What goes on record of it, and how many deliveries wait now that did not before."""

    entries: list[Entry]
    deliveries: int = 0


COLUMNS: Final = """a.id, a.rule, a.key, a.kind, a.severity, a.title, a.state, a.first, a.last, a.count, a.why, a.told,
a.acknowledged, a.acknowledged_by, a.comment, a.resolved"""
SUBJECT: Final = "s.kind, s.at, s.title, s.path, host(s.ip), s.port, s.protocol, s.cve, s.name, s.times, s.over"
_NEW: Final = """
INSERT INTO alert (id, rule, key, kind, severity, title, state, first, last, changed, count)
VALUES (%(id)s, %(rule)s, %(key)s, %(kind)s, %(severity)s, '', 'pending', %(now)s, %(now)s, %(now)s, 0)
ON CONFLICT (rule, key) WHERE state <> 'resolved' DO UPDATE SET changed = excluded.changed
RETURNING num, id, state, count, recent, told, untold, (SELECT count(*) FROM alert_subject s WHERE s.alert = num)"""
# What lasts and is known is no news; what happens again is counted, and told again only where it was over.
_SUBJECTS: Final = """
INSERT INTO alert_subject AS s (alert, key, kind, ip, port, protocol, cve, name, title, path, at, times)
SELECT %(alert)s::int8, k.* FROM unnest(%(keys)s::text[], %(kinds)s::text[], %(ips)s::inet[], %(ports)s::int4[],
  %(protocols)s::text[], %(cves)s::text[], %(names)s::text[], %(titles)s::text[], %(paths)s::text[],
  %(ats)s::timestamptz[], %(times)s::int8[]) AS k ORDER BY 2
ON CONFLICT (alert, key) DO UPDATE SET title = excluded.title, path = excluded.path,
  at = greatest(s.at, excluded.at), times = s.times + excluded.times, over = NULL, told = s.told AND s.over IS NULL
WHERE s.over IS NOT NULL OR s.kind <> ALL(%(lasting)s::text[])
RETURNING s.key, s.told"""
_STANDING: Final = """
SELECT count(*), count(*) FILTER (WHERE over IS NULL AND kind = ANY(%(lasting)s::text[])),
       coalesce(array_agg(DISTINCT kind), '{}'),
       (SELECT title FROM alert_subject WHERE alert = %(alert)s ORDER BY at DESC, key LIMIT 1)
FROM alert_subject WHERE alert = %(alert)s"""
_OVER: Final = """
UPDATE alert_subject s SET over = %(now)s FROM alert a
WHERE a.num = s.alert AND a.rule = %(rule)s AND a.state <> 'resolved' AND s.over IS NULL
  AND s.kind <> ALL(%(lasting)s::text[]) AND a.last < %(before)s"""
_RESOLVED: Final = f"""
UPDATE alert a SET state = 'resolved', resolved = %(now)s, changed = %(now)s, untold = 0,
  why = CASE WHEN %(why)s <> '' THEN %(why)s
    WHEN EXISTS (SELECT FROM alert_subject s WHERE s.alert = a.num AND s.kind = ANY(%(lasting)s::text[]))
    THEN 'none of it is so any more' ELSE 'nothing more of it happened' END
WHERE a.rule = %(rule)s AND a.state IN ('firing', 'acknowledged')
  AND (%(all)s OR NOT EXISTS (SELECT FROM alert_subject s WHERE s.alert = a.num AND s.over IS NULL))
RETURNING {COLUMNS}"""
# In quiet hours: what was over before they ended is not told after them.
_DROPPED: Final = """
UPDATE delivery d SET state = 'dropped', next = NULL, error = 'it was over before it was told'
FROM notification n WHERE n.num = d.notification AND n.alert = ANY(%s::text[]) AND d.state = 'waiting'
  AND d.attempts = 0 AND d.next > %s"""


class _Alert(NamedTuple):
    """A row that is worked on; `subjects`: how many things it names."""

    num: int
    id: str
    state: str
    total: int
    recent: list[tuple[int, int]]
    told: datetime | None
    untold: int
    subjects: int


# What was found ------------------------------------------------------------------------------------------------------


def apply(look: Look, rule: Rule, found: Sequence[Occurrence]) -> Done:
    """Make or carry on the alerts of what `rule` found, but for what is left out."""
    wanted = [one for one in found if not any(mute.covers(rule.name, one) for mute in look.mutes)]
    if not wanted:
        return Done([])
    rows = look.connection.execute("SELECT key FROM alert WHERE rule = %s AND state <> 'resolved'", [rule.name])
    entries: list[Entry] = []
    deliveries = 0
    for key, things in look.ways.gathered(rule.group, wanted, {row[0] for row in rows}).items():
        done = _carry_on(look, rule, key, things)
        entries += done.entries
        deliveries += done.deliveries
    return Done(entries, deliveries)


def _carry_on(look: Look, rule: Rule, key: str, things: Sequence[Occurrence]) -> Done:
    alert = _open(look, rule, key, things)
    room = max(0, MAX_SUBJECTS - alert.subjects)
    news, counted = _name(look.connection, alert.num, things, room)
    if not counted:
        return Done([])
    row = look.connection.execute(_STANDING, {"alert": alert.num, "lasting": list(LASTING)}).fetchone()
    named, lasting, kinds, newest = row or (0, 0, [], "")
    total = alert.total + sum(one.times for one in counted)
    # By when it was noticed: what a scan of hours ago tells is as new as what was seen just now.
    noticed = [msgspec.structs.replace(one, at=look.now) for one in counted if one.kind not in LASTING]
    recent = look.ways.added(alert.recent, noticed)
    title = look.ways.title_of(key, kinds, newest, named if named < MAX_SUBJECTS else max(named, total))
    fired = alert.state == "pending" and _enough(look, rule, recent, lasting)
    look.connection.execute(
        "UPDATE alert SET state = CASE WHEN %s THEN 'firing' ELSE state END, count = %s, recent = %s, title = %s,"
        " severity = %s, last = %s, untold = untold + %s, changed = %s"
        " WHERE num = %s",
        [
            *(fired, total, Jsonb(look.ways.within(recent, rule.window_s, look.now)), title),
            *(SEVERITIES.index(rule.severity), look.now, len(news), look.now, alert.num),
        ],
    )
    state = "firing" if fired else alert.state
    due = alert.told is not None and alert.told + timedelta(seconds=rule.gather_s) <= look.now
    entries = [entry(look.connection, "alert.fired", alert.id, look.now)] if fired else []
    if state == "firing" and (fired or (due and news)):
        return Done(entries, _tell(look, rule, alert.id, "firing" if fired else "again"))
    return Done(entries)


def _enough(look: Look, rule: Rule, recent: Recent, lasting: int) -> bool:
    """What lasts counts for as long as it does, the rest for `window_s` seconds."""
    return lasting + sum(times for _, times in look.ways.within(recent, rule.window_s, look.now)) >= rule.threshold


def _open(look: Look, rule: Rule, key: str, things: Sequence[Occurrence]) -> _Alert:
    row = look.connection.execute(
        _NEW,
        {
            "id": f"alert-{secrets.token_hex(8)}",
            "rule": rule.name,
            "key": key,
            "kind": things[0].kind,
            "severity": SEVERITIES.index(rule.severity),
            "now": look.now,
        },
    ).fetchone()
    assert row is not None
    num, ident, state, total, recent, told, untold, subjects = row
    return _Alert(num, ident, state, total, [(at, n) for at, n in recent], told, untold, subjects)


def _name(
    connection: Connection, alert: int, things: Sequence[Occurrence], room: int
) -> tuple[list[Occurrence], list[Occurrence]]:
    """Write down what an alert tells of, as far as there is room: what is new of it, and what counts."""
    known: set[str] = set()
    if len(things) > room:
        rows = connection.execute("SELECT key FROM alert_subject WHERE alert = %s", [alert])
        known = {row[0] for row in rows}
    fits = [one for one in things if one.key in known]
    fits += [one for one in things if one.key not in known][:room]
    fitting = {one.key for one in fits}
    columns = {
        "keys": [one.key for one in fits],
        "kinds": [one.kind for one in fits],
        "ips": [one.ip or None for one in fits],
        "ports": [one.port for one in fits],
        "protocols": [one.protocol for one in fits],
        "cves": [one.cve for one in fits],
        "names": [one.name for one in fits],
        "titles": [one.title for one in fits],
        "paths": [one.path for one in fits],
        "ats": [one.at for one in fits],
        "times": [one.times for one in fits],
    }
    rows = connection.execute(_SUBJECTS, {"alert": alert, "lasting": list(LASTING), **columns})
    written = dict(rows.fetchall())
    beyond = [one for one in things if one.key not in fitting]
    news = [one for one in fits if written.get(one.key) is False]
    return news, [one for one in fits if one.key in written] + beyond


# Telling -------------------------------------------------------------------------------------------------------------


def _tell(look: Look, rule: Rule, ident: str, told: Told) -> int:
    """Write down that people were told, and the message for each outlet; how many those are."""
    connection = look.connection
    record = load(connection, [ident])[0]
    rows = connection.execute(
        f"UPDATE alert_subject s SET told = true FROM alert a WHERE a.id = %s AND s.alert = a.num AND NOT s.told"
        f" AND s.over IS NULL RETURNING {SUBJECT}",
        [ident],
    ).fetchall()
    row = connection.execute(
        "UPDATE alert a SET told = %s, untold = 0 FROM alert b WHERE a.id = %s AND b.num = a.num RETURNING b.untold",
        [look.now, ident],
    ).fetchone()
    new = [as_subject(one) for one in rows]
    outlets = _outlets(connection, rule)
    if not outlets:
        return 0
    message = look.ways.message(record, told, new, look.now, max(len(new), row[0] if row else 0))
    notify(connection, message, outlets, look.ways.held_until(rule.quiet, rule.severity, look.now) or look.now)
    return len(outlets)


def notify(connection: Connection, message: Message, outlets: Sequence[str], when: datetime) -> None:
    """Have `message` sent to outlets, no sooner than `when`; it gets an id of its own."""
    message = msgspec.structs.replace(message, id=f"note-{secrets.token_hex(12)}")
    connection.execute(
        "WITH n AS (INSERT INTO notification (id, alert, at, message) VALUES (%s, %s, %s, %s) RETURNING num)"
        " INSERT INTO delivery (notification, outlet, state, next)"
        " SELECT n.num, o.name, 'waiting', %s FROM n, unnest(%s::text[]) AS o (name)",
        [message.id, message.alert, message.at, encode(message).decode(), when, list(outlets)],
    )


def _outlets(connection: Connection, rule: Rule) -> list[str]:
    """The outlets of a rule that are switched on."""
    if not rule.outlets:
        return []
    rows = connection.execute(
        "SELECT name FROM outlet WHERE enabled AND (%s OR name = ANY(%s::text[])) ORDER BY name",
        [ALL_OUTLETS in rule.outlets, list(rule.outlets)],
    )
    return [row[0] for row in rows]


# What is over --------------------------------------------------------------------------------------------------------


def settle(look: Look, rule: Rule) -> Done:
    """Resolve what is over of a rule's alerts, forget what did not become one, and tell what waits to be told."""
    connection, now, lasting = look.connection, look.now, list(LASTING)
    connection.execute(
        _OVER, {"now": now, "rule": rule.name, "lasting": lasting, "before": now - timedelta(seconds=rule.calm_s)}
    )
    connection.execute(
        "DELETE FROM alert a WHERE rule = %s AND state = 'pending' AND last < %s AND NOT EXISTS (SELECT FROM"
        " alert_subject s WHERE s.alert = a.num AND s.over IS NULL AND s.kind = ANY(%s::text[]))",
        [rule.name, now - timedelta(seconds=rule.window_s), lasting],
    )
    done = resolve(look, rule)
    deliveries = done.deliveries
    rows = connection.execute(
        "SELECT id FROM alert WHERE rule = %s AND state = 'firing' AND untold > 0 AND told <= %s ORDER BY num",
        [rule.name, now - timedelta(seconds=rule.gather_s)],
    ).fetchall()
    deliveries += sum(_tell(look, rule, row[0], "again") for row in rows)
    return Done(done.entries, deliveries)


def resolve(look: Look, rule: Rule, why: str = "") -> Done:
    """Resolve the alerts of a rule of which nothing is so any more; tell so where the rule asks for it."""
    ended = _resolve(look.connection, rule.name, look.now, why, everything=False)
    told = [record for record in ended if rule.resolved and record.told is not None]
    outlets = _outlets(look.connection, rule) if told else []
    when = look.ways.held_until(rule.quiet, rule.severity, look.now) or look.now
    for record in told if outlets else ():
        notify(look.connection, look.ways.message(record, "resolved", (), look.now, 0), outlets, when)
    return Done([_entry("alert.resolved", record, look.now) for record in ended], len(told) * len(outlets))


def forget(connection: Connection, rule: str, why: str, now: datetime) -> list[Entry]:
    """Resolve all alerts of a rule, whatever they tell of; what goes on record."""
    connection.execute("DELETE FROM alert WHERE rule = %s AND state = 'pending'", [rule])
    return [_entry("alert.resolved", record, now) for record in _resolve(connection, rule, now, why, everything=True)]


def cover(connection: Connection, mutes: Sequence[Mute], now: datetime) -> list[Entry]:
    """Take what is left out from now on off the alerts that there are; what goes on record."""
    rows = connection.execute(
        f"SELECT a.rule, s.alert, s.key, {SUBJECT} FROM alert_subject s JOIN alert a ON a.num = s.alert"
        " WHERE a.state <> 'resolved' AND s.over IS NULL"
    ).fetchall()
    gone = [
        row[:3] for row in rows if any(mute.covers(row[0], as_subject(row[3:])) for mute in mutes)
    ]  # fmt: skip
    if not gone:
        return []
    connection.execute(
        "UPDATE alert_subject s SET over = %s FROM unnest(%s::int8[], %s::text[]) AS k (alert, key)"
        " WHERE s.alert = k.alert AND s.key = k.key",
        [now, [row[1] for row in gone], [row[2] for row in gone]],
    )
    ended = [r for rule in sorted({row[0] for row in gone}) for r in _resolve(connection, rule, now, "it is left out")]
    return [_entry("alert.resolved", record, now) for record in ended]


def _resolve(
    connection: Connection, rule: str, now: datetime, why: str, *, everything: bool = False
) -> tuple[AlertRecord, ...]:
    rows = connection.execute(
        _RESOLVED, {"rule": rule, "now": now, "why": why, "all": everything, "lasting": list(LASTING)}
    ).fetchall()
    ended = tuple(as_record(row) for row in rows)
    if ended:
        connection.execute(_DROPPED, [[record.id for record in ended], now])
        connection.execute(
            "UPDATE alert_subject s SET over = %s FROM alert a WHERE a.num = s.alert AND a.id = ANY(%s::text[])"
            " AND s.over IS NULL",
            [now, [record.id for record in ended]],
        )
    return ended


# Rows ----------------------------------------------------------------------------------------------------------------


def load(connection: Connection, ids: Sequence[str]) -> list[AlertRecord]:
    """Alerts by their ids, without what they tell of."""
    rows = connection.execute(f"SELECT {COLUMNS} FROM alert a WHERE a.id = ANY(%s::text[]) ORDER BY a.num", [list(ids)])
    return [as_record(row) for row in rows]


def as_record(row: Sequence[Any], subjects: Sequence[AlertSubject] = ()) -> AlertRecord:
    """A row of `COLUMNS`."""
    ident, rule, key, kind, severity, title, state, first, last, count, why, told, acknowledged, by, *rest = row
    comment, resolved = rest
    worst: Severity = SEVERITIES[int(severity)]
    return AlertRecord(
        id=ident,
        rule=rule,
        key=key,
        kind=kind,
        severity=worst,
        title=title,
        state=state,
        first=first,
        last=last,
        count=count,
        subjects=tuple(subjects),
        why=why,
        told=told,
        acknowledged=acknowledged,
        acknowledged_by=by,
        comment=comment,
        resolved=resolved,
    )


def as_subject(row: Sequence[Any]) -> AlertSubject:
    """A row of `SUBJECT`."""
    kind, at, title, path, ip, port, protocol, cve, name, times, over = row
    return AlertSubject(
        kind=kind,
        at=at,
        title=title,
        path=path,
        ip=ip or "",
        port=port,
        protocol=protocol,
        cve=cve,
        name=name,
        times=times,
        over=over,
    )


def entry(connection: Connection, kind: str, ident: str, now: datetime, by: str = "") -> Entry:
    """What goes on record of an alert as it is now."""
    return _entry(kind, load(connection, [ident])[0], now, by)


def _entry(kind: str, record: AlertRecord, now: datetime, by: str = "") -> Entry:
    detail = {
        "id": record.id,
        "rule": record.rule,
        "key": record.key,
        "kind": record.kind,
        "severity": record.severity,
        "title": record.title,
        "state": record.state,
        "count": record.count,
    }
    said = {"by": by, "comment": record.comment} if by else {"why": record.why} if record.why else {}
    return Entry(kind, f"alert:{record.id}", detail | said, now)

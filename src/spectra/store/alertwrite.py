"""What becomes of what rules find: alerts, the things they tell of, and messages to outlets, in one transaction.

`apply` takes what a rule found; `settle` and `resolve` take what is so no longer. What is pure of it (grouping,
thresholds, quiet hours, words) is in `act.notify`, whose functions are handed in as `Ways`: the store knows no rooms
but its own.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice, product
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

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
from spectra.store import alertnames
from spectra.store.alertnames import SUBJECT, News, Standing, Worded, as_subject
from spectra.store.database import Connection
from spectra.store.provenance import Entry
from spectra.store.rows import encode

Recent = Sequence[tuple[int, int]]
_AT_ONCE: Final = 100
"""Alerts that are written together."""


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


def _as_they_are(things: Sequence[Occurrence]) -> Sequence[Occurrence]:
    return things


class Done(NamedTuple):
    """What goes on record of it, and how many deliveries wait now that did not before."""

    entries: list[Entry]
    deliveries: int = 0


COLUMNS: Final = """a.id, a.rule, a.key, a.kind, a.severity, a.title, a.state, a.first, a.last, a.count, a.why, a.told,
a.acknowledged, a.acknowledged_by, a.comment, a.resolved"""
# In the order in which they were found.
_NEW: Final = """
INSERT INTO alert (id, rule, key, kind, severity, title, state, first, last, changed, count)
SELECT k.id, %(rule)s, k.key, k.kind, %(severity)s, '', 'pending', %(now)s, %(now)s, %(now)s, 0
FROM unnest(%(ids)s::text[], %(keys)s::text[], %(kinds)s::text[]) WITH ORDINALITY AS k (id, key, kind, place)
ORDER BY k.place
ON CONFLICT (rule, key) WHERE state <> 'resolved' DO UPDATE SET changed = excluded.changed
RETURNING key, num, id, state, count, recent, told, untold,
  (SELECT count(*) FROM alert_subject s WHERE s.alert = num)"""
_CARRIED_ON: Final = """
UPDATE alert a SET state = CASE WHEN k.fired THEN 'firing' ELSE a.state END, count = k.count, recent = k.recent,
  title = k.title, severity = %(severity)s, last = %(now)s, untold = a.untold + k.news, changed = %(now)s
FROM json_to_recordset(%(rows)s::json)
  AS k (num int8, fired boolean, count int8, recent jsonb, title text, news int4)
WHERE a.num = k.num"""
_TOLD: Final = """
UPDATE alert a SET told = %s, untold = 0 FROM alert b WHERE a.num = ANY(%s::int8[]) AND b.num = a.num
RETURNING a.num, b.untold"""
_NOTIFIED: Final = """
WITH n AS (
  INSERT INTO notification (id, alert, at, message) SELECT k.id, k.alert, k.at, k.message
  FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::text[])
    WITH ORDINALITY AS k (id, alert, at, message, place) ORDER BY k.place
  RETURNING num)
INSERT INTO delivery (notification, outlet, state, next)
SELECT n.num, o.name, 'waiting', %s FROM n, unnest(%s::text[]) AS o (name)"""
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

    key: str
    num: int
    id: str
    state: str
    total: int
    recent: list[tuple[int, int]]
    told: datetime | None
    untold: int
    subjects: int

    @property
    def is_new(self) -> bool:
        """It names nothing so far: what becomes of it is known before anything is written."""
        return self.state == "pending" and not self.subjects


class _Step(NamedTuple):
    """How an alert goes on: `news` things are new in it."""

    alert: _Alert
    fired: bool
    total: int
    recent: Recent
    title: str
    news: int


class _Telling(NamedTuple):
    """An alert (`alert.num` and `id`) that people are told of; `news` are known already, or have to be looked up."""

    num: int
    id: str
    told: Told
    news: News | None = None


# What was found ------------------------------------------------------------------------------------------------------


def apply(look: Look, rule: Rule, found: Sequence[Occurrence], worded: Worded = _as_they_are) -> Done:
    """Make or carry on the alerts of what `rule` found, but for what is left out. `worded` gives words to the things
    that are named, where they have none: of a large scan those are few.
    """
    wanted = _left(look.mutes, rule.name, found)
    if not wanted:
        return Done([])
    rows = look.connection.execute("SELECT key FROM alert WHERE rule = %s AND state <> 'resolved'", [rule.name])
    gathered = iter(look.ways.gathered(rule.group, wanted, {row[0] for row in rows}).items())
    entries: list[Entry] = []
    deliveries = 0
    while some := dict(islice(gathered, _AT_ONCE)):
        done = _carry_on(look, rule, some, worded)
        entries += done.entries
        deliveries += done.deliveries
    return Done(entries, deliveries)


def _left(mutes: Sequence[Mute], rule: str, found: Sequence[Occurrence]) -> Sequence[Occurrence]:
    """What is not left out. There may be thousands of both: what is left out is looked up by what it is about."""
    covering: dict[tuple[str, str, str], list[Mute]] = defaultdict(list)
    for mute in mutes:
        if mute.rule in ("", rule):
            covering[mute.ip, mute.cve, mute.name].append(mute)
    if not covering:
        return found
    return [one for one in found if not any(m.covers(rule, one) for at in _about(one) for m in covering.get(at, ()))]


def _about(one: Occurrence) -> Iterable[tuple[str, str, str]]:
    return product({"", one.ip}, {"", one.cve}, {"", one.name})


def _carry_on(look: Look, rule: Rule, found: Mapping[str, Sequence[Occurrence]], worded: Worded) -> Done:
    """Make or carry on the alerts of these keys. What becomes of one that is new is known before it is written down,
    so that what it names is written once, and as told.
    """
    alerts = _open(look, rule, found)
    asked = [(alert.num, alert.subjects, its) for alert, its in zip(alerts, found.values(), strict=True)]
    choices = alertnames.worded(alertnames.choose(look.connection, asked), worded)
    steps: dict[int, _Step] = {}
    first: dict[int, News] = {}
    for alert, choice in zip(alerts, choices, strict=True):
        if alert.is_new:
            news = first[alert.num] = alertnames.news_of(choice.fits)
            stands = alertnames.standing_of(choice.fits, news)
            steps[alert.num] = _step(look, rule, alert, [*choice.fits, *choice.beyond], stands, news=news.many)
    written = alertnames.write(look.connection, choices, {num: step.fired for num, step in steps.items()})
    standing = alertnames.standing(look.connection, [alert.num for alert in alerts if not alert.is_new])
    for alert, choice in zip(alerts, choices, strict=True):
        its = written.get(alert.num, {})
        if not alert.is_new and (its or choice.beyond):
            counted = [*(one for one in choice.fits if one.key in its), *choice.beyond]
            news = sum(its.get(one.key) is False for one in choice.fits)
            steps[alert.num] = _step(look, rule, alert, counted, standing[alert.num], news=news)
    ordered = [steps[alert.num] for alert in alerts if alert.num in steps]
    _write(look, rule, ordered)
    return _fire(look, rule, ordered, first)


def _open(look: Look, rule: Rule, found: Mapping[str, Sequence[Occurrence]]) -> list[_Alert]:
    rows = look.connection.execute(
        _NEW,
        {
            "ids": [f"alert-{secrets.token_hex(8)}" for _ in found],
            "rule": rule.name,
            "keys": list(found),
            "kinds": [things[0].kind for things in found.values()],
            "severity": SEVERITIES.index(rule.severity),
            "now": look.now,
        },
    )
    opened = {row[0]: _Alert(*row)._replace(recent=[(at, n) for at, n in row[5]]) for row in rows}
    return [opened[key] for key in found]


def _step(
    look: Look, rule: Rule, alert: _Alert, counted: Sequence[Occurrence], standing: Standing, *, news: int
) -> _Step:
    named, lasting, kinds, newest = standing
    total = alert.total + sum(one.times for one in counted)
    # By when it was noticed: what a scan of hours ago tells is as new as what was seen just now.
    moments = [one for one in counted if one.kind not in LASTING]
    times = sum(one.times for one in moments)
    recent = look.ways.added(alert.recent, [replace(one, at=look.now, times=times) for one in moments[:1]])
    title = look.ways.title_of(alert.key, kinds, newest, named if named < MAX_SUBJECTS else max(named, total))
    fired = alert.state == "pending" and _enough(look, rule, recent, lasting)
    return _Step(alert, fired, total, look.ways.within(recent, rule.window_s, look.now), title, news)


def _enough(look: Look, rule: Rule, recent: Recent, lasting: int) -> bool:
    """What lasts counts for as long as it does, the rest for `window_s` seconds."""
    return lasting + sum(times for _, times in look.ways.within(recent, rule.window_s, look.now)) >= rule.threshold


def _write(look: Look, rule: Rule, steps: Sequence[_Step]) -> None:
    rows = [
        {"num": s.alert.num, "fired": s.fired, "count": s.total, "recent": s.recent, "title": s.title, "news": s.news}
        for s in steps
    ]
    params = {"rows": encode(rows).decode(), "severity": SEVERITIES.index(rule.severity), "now": look.now}
    look.connection.execute(_CARRIED_ON, params)


def _fire(look: Look, rule: Rule, steps: Sequence[_Step], first: Mapping[int, News]) -> Done:
    """What goes on record of alerts that went on, and is told of them; `first` of those that are new."""
    telling: list[_Telling] = []
    for alert, fired, *_, news in steps:
        due = alert.told is not None and alert.told + timedelta(seconds=rule.gather_s) <= look.now
        if fired:
            telling.append(_Telling(alert.num, alert.id, "firing", first.get(alert.num)))
        elif alert.state == "firing" and due and news:
            telling.append(_Telling(alert.num, alert.id, "again"))
    fired = load(look.connection, [one.id for one in telling if one.told == "firing"])
    return Done([_entry("alert.fired", record, look.now) for record in fired], _tell(look, rule, telling))


# Telling -------------------------------------------------------------------------------------------------------------


def _tell(look: Look, rule: Rule, telling: Sequence[_Telling]) -> int:
    """Write down that people were told, and the messages for each outlet; how many those are."""
    if not telling:
        return 0
    connection = look.connection
    records = {record.id: record for record in load(connection, [one.id for one in telling])}
    news = alertnames.tell(connection, [one.num for one in telling if one.news is None])
    untold = dict(connection.execute(_TOLD, [look.now, [one.num for one in telling]]).fetchall())
    outlets = _outlets(connection, rule)
    if not outlets:
        return 0
    messages: list[Message] = []
    for num, ident, told, known in telling:
        many, newest = known or news.get(num, News())
        messages.append(look.ways.message(records[ident], told, newest, look.now, max(many, untold.get(num, 0))))
    _notify(look, rule, messages, outlets)
    return len(outlets) * len(telling)


def _notify(look: Look, rule: Rule, messages: Sequence[Message], outlets: Sequence[str]) -> None:
    """Have messages sent to outlets, after quiet hours; each gets an id of its own."""
    when = look.ways.held_until(rule.quiet, rule.severity, look.now) or look.now
    named = [replace(message, id=f"note-{secrets.token_hex(12)}") for message in messages]
    columns = [
        [message.id for message in named],
        [message.alert for message in named],
        [message.at for message in named],
        [encode(message).decode() for message in named],
    ]
    look.connection.execute(_NOTIFIED, [*columns, when, list(outlets)])


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
    rows = connection.execute(
        "SELECT num, id FROM alert WHERE rule = %s AND state = 'firing' AND untold > 0 AND told <= %s ORDER BY num",
        [rule.name, now - timedelta(seconds=rule.gather_s)],
    ).fetchall()
    told = _tell(look, rule, [_Telling(num, ident, "again") for num, ident in rows])
    return Done(done.entries, done.deliveries + told)


def resolve(look: Look, rule: Rule, why: str = "") -> Done:
    """Resolve the alerts of a rule of which nothing is so any more; tell so where the rule asks for it."""
    ended = _resolve(look.connection, rule.name, look.now, why, everything=False)
    told = [record for record in ended if rule.resolved and record.told is not None]
    outlets = _outlets(look.connection, rule) if told else []
    if outlets:
        _notify(look, rule, [look.ways.message(one, "resolved", (), look.now, 0) for one in told], outlets)
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

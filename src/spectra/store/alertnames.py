"""The things that alerts name: chosen, written down and told for many alerts at once.

An alert names `MAX_SUBJECTS` things at most. What lasts and is known is no news; what happens again is counted, and
told again only where it was over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final, LiteralString, NamedTuple

import msgspec

from spectra.model.alerts import LASTING, MAX_LINES, MAX_SUBJECTS, AlertSubject, Kind, Occurrence
from spectra.store.database import Connection
from spectra.store.rows import encode

Worded = Callable[[Sequence[Occurrence]], Sequence[Occurrence]]
"""Gives words to things that have none yet."""
SUBJECT: Final = "s.kind, s.at, s.title, s.path, host(s.ip), s.port, s.protocol, s.cve, s.name, s.times, s.over"
_ROWS: Final = 5000  # in one statement
_WRITE: LiteralString = """
INSERT INTO alert_subject AS s (alert, key, kind, ip, port, protocol, cve, name, title, path, at, times, told)
SELECT k.* FROM json_to_recordset(%(rows)s::json) AS k (alert int8, key text, kind text, ip inet, port int4,
  protocol text, cve text, name text, title text, path text, at timestamptz, times int8, told boolean) ORDER BY 1, 2
ON CONFLICT (alert, key) DO UPDATE SET title = excluded.title, path = excluded.path,
  at = greatest(s.at, excluded.at), times = s.times + excluded.times, over = NULL, told = s.told AND s.over IS NULL
WHERE s.over IS NOT NULL OR s.kind <> ALL(%(lasting)s::text[])"""
_WRITE_AND_SAY: LiteralString = f"{_WRITE} RETURNING s.alert, s.key, s.told"
_STANDING: Final = """
SELECT s.alert, count(*), count(*) FILTER (WHERE s.over IS NULL AND s.kind = ANY(%s::text[])),
       array_agg(DISTINCT s.kind),
       (SELECT t.title FROM alert_subject t WHERE t.alert = s.alert ORDER BY t.at DESC, t.key LIMIT 1)
FROM alert_subject s WHERE s.alert = ANY(%s::int8[]) GROUP BY s.alert"""
_TELL: Final = f"""
WITH new AS (
  UPDATE alert_subject s SET told = true WHERE s.alert = ANY(%s::int8[]) AND NOT s.told AND s.over IS NULL
  RETURNING s.*),
placed AS (
  SELECT n.*, row_number() OVER (PARTITION BY n.alert ORDER BY n.at DESC, n.key) AS place,
         count(*) OVER (PARTITION BY n.alert) AS many FROM new n)
SELECT s.alert, s.many, {SUBJECT} FROM placed s WHERE s.place <= %s ORDER BY s.alert, s.place"""


class Choice(NamedTuple):
    """What the alert of a number is to name of what was found, and what it counts `beyond` that."""

    alert: int
    fits: Sequence[Occurrence]
    beyond: Sequence[Occurrence] = ()


class Standing(NamedTuple):
    """How many things an alert names, how many of them last and do so still, their kinds, and the newest's title."""

    named: int
    lasting: int
    kinds: Sequence[Kind]
    newest: str


class News(NamedTuple):
    """How many things people were not told of, and the newest of them, newest first, as many as a message has lines."""

    many: int = 0
    newest: Sequence[Occurrence] = ()


class _Row(msgspec.Struct):
    alert: int
    key: str
    kind: Kind
    ip: str | None
    port: int
    protocol: str
    cve: str
    name: str
    title: str
    path: str
    at: datetime
    times: int
    told: bool


def choose(connection: Connection, found: Sequence[tuple[int, int, Sequence[Occurrence]]]) -> list[Choice]:
    """What there is room for, of the number of an alert, how many things it names, and what was found, each once."""
    crowded = [alert for alert, names, things in found if names and names + len(things) > MAX_SUBJECTS]
    known = _known(connection, crowded) if crowded else {}
    choices: list[Choice] = []
    for alert, names, things in found:
        room = max(0, MAX_SUBJECTS - names)
        its = known.get(alert)
        if its is None:
            choices.append(Choice(alert, things[:room], things[room:]))
            continue
        fits = [one for one in things if one.key in its]
        others = [one for one in things if one.key not in its]
        choices.append(Choice(alert, [*fits, *others[:room]], others[room:]))
    return choices


def _known(connection: Connection, alerts: Sequence[int]) -> dict[int, set[str]]:
    known: dict[int, set[str]] = {alert: set() for alert in alerts}
    for alert, key in connection.execute(
        "SELECT alert, key FROM alert_subject WHERE alert = ANY(%s::int8[])", [list(alerts)]
    ):
        known[alert].add(key)
    return known


def worded(choices: Sequence[Choice], words: Worded) -> list[Choice]:
    """The same, with words for what is to be named."""
    named = iter(words([one for choice in choices for one in choice.fits]))
    return [Choice(alert, list(islice(named, len(fits))), beyond) for alert, fits, beyond in choices]


def write(connection: Connection, choices: Sequence[Choice], new: Mapping[int, bool]) -> dict[int, dict[str, bool]]:
    """Write down what alerts name; of those that are `new` whether it is told at once. Of the others by alert and key,
    whether people were told of it before; what lasts and is known is not among it.
    """
    written: dict[int, dict[str, bool]] = defaultdict(dict)
    for params in _pieces([choice for choice in choices if choice.alert in new], new):
        connection.execute(_WRITE, params)
    for params in _pieces([choice for choice in choices if choice.alert not in new], new):
        for alert, key, known in connection.execute(_WRITE_AND_SAY, params).fetchall():
            written[alert][key] = known
    return written


def _pieces(choices: Sequence[Choice], new: Mapping[int, bool]) -> Iterator[dict[str, object]]:
    rows = _rows(choices, new)
    while some := list(islice(rows, _ROWS)):
        yield {"rows": encode(some).decode(), "lasting": list(LASTING)}


def _rows(choices: Sequence[Choice], new: Mapping[int, bool]) -> Iterator[_Row]:
    for alert, fits, _ in choices:
        told = new.get(alert, False)
        for one in fits:
            where = one.ip or None, one.port, one.protocol
            yield _Row(
                alert, one.key, one.kind, *where, one.cve, one.name, one.title, one.path, one.at, one.times, told
            )


def standing(connection: Connection, alerts: Sequence[int]) -> dict[int, Standing]:
    """What alerts name now; an alert that names nothing is not among them."""
    rows = connection.execute(_STANDING, [list(LASTING), list(alerts)]) if alerts else ()
    return {alert: Standing(*told) for alert, *told in rows}


def standing_of(fits: Sequence[Occurrence], news: News) -> Standing:
    """The same of an alert that named nothing before, and what there is to tell of it."""
    lasting = sum(one.kind in LASTING for one in fits)
    return Standing(len(fits), lasting, sorted({one.kind for one in fits}), news.newest[0].title)


def news_of(fits: Sequence[Occurrence]) -> News:
    """What there is to tell of an alert that named nothing before."""
    ordered = sorted(sorted(fits, key=lambda one: one.key), key=lambda one: one.at, reverse=True)
    return News(len(fits), ordered[:MAX_LINES])


def tell(connection: Connection, alerts: Sequence[int]) -> dict[int, News]:
    """Write down that people were told of all that these alerts name and that is so; what was new to them."""
    many: dict[int, int] = {}
    newest: dict[int, list[Occurrence]] = defaultdict(list)
    rows = connection.execute(_TELL, [list(alerts), MAX_LINES]) if alerts else ()
    for alert, its, *row in rows:
        many[alert] = its
        newest[alert].append(as_subject(row))
    return {alert: News(its, newest[alert]) for alert, its in many.items()}


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

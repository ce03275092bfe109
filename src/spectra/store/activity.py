"""What happened, read from the provenance chain by its numbers, both ways; and what changes without an entry there."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple

from spectra.errors import Corrupt
from spectra.model.activity import ACCEPTED, NOUNS, TOPICS, Activity, ActivityPage, Progress, Topic, topic_of
from spectra.model.activitywords import NOBODY, Submission, told
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Link, flush

SPAN: Final = 50_000
"""Entries that one search of a text looks at; the next page goes on from there."""
JOBS: Final = 50
"""Jobs whose progress is told at once, the newest."""

_HEX: Final = re.compile("[0-9a-f]{64}")
_COLUMNS: LiteralString = "seq, hash, previous, at, kind, subject, entry"
_OBSERVATION: Final = "observation"
_ORDERS: Final[dict[bool, LiteralString]] = {True: "ASC", False: "DESC"}
# The words of the indexes provenance_act and provenance_noun.
_ACT: LiteralString = "NOT starts_with(kind, 'observation.')"
_NOUN: LiteralString = "split_part(kind, '.', 1)"
_KINDS: LiteralString = "(kind = ANY(%(kinds)s) OR split_part(kind, '.', 1) = ANY(%(kinds)s))"
_RANGE: LiteralString = "seq > %(low)s AND seq < %(high)s"
_TEXT: LiteralString = r"(subject ILIKE %(text)s OR entry ILIKE %(text)s)"
_TEXT_OF_SCAN: LiteralString = r"""(subject ILIKE %(text)s OR entry ILIKE %(text)s OR EXISTS (
  SELECT FROM observation o
  WHERE o.observation_id = decode(CASE WHEN subject ~ '^[0-9a-f]{64}$' THEN subject ELSE '' END, 'hex')
    AND (o.contributor ILIKE %(text)s OR o.scan_id ILIKE %(text)s)))"""
_PROGRESS: LiteralString = """
SELECT j.id, j.decision, j.total, t.done, t.leased, t.waiting, t.review, t.found
FROM (SELECT * FROM job WHERE counts IS NULL ORDER BY num DESC LIMIT %s) j CROSS JOIN LATERAL (
  SELECT count(*) FILTER (WHERE state = 'done') AS done,
         count(*) FILTER (WHERE state IN ('leased', 'submitted')) AS leased,
         count(*) FILTER (WHERE state = 'waiting') AS waiting,
         count(*) FILTER (WHERE state IN ('review', 'cancelled')) AS review,
         coalesce(sum(found), 0) AS found
  FROM target WHERE job = j.num) t
ORDER BY j.num"""
_MARKS: Final[dict[Topic, LiteralString]] = {
    "finding": "SELECT (SELECT max(since) FROM affected)::text, (SELECT max(until) FROM affected)::text",
    "node": "SELECT md5(coalesce(string_agg(node || ' ' || presence, ',' ORDER BY node), '')) FROM node_presence",
}


class Wanted(NamedTuple):
    """What is asked for: of these topics, of these kinds (`job.created`, or a noun, `job`; none: all), with this text
    in the entry or about it (empty: any).
    """

    topics: frozenset[Topic] = frozenset(TOPICS)
    kinds: tuple[str, ...] = ()
    text: str = ""

    def holds(self, activity: Activity) -> bool:
        """Whether `activity` is asked for, as far as topics and kinds say."""
        if activity.topic not in self.topics:
            return False
        if not self.kinds:
            return activity.kind != ACCEPTED
        return activity.kind in self.kinds or activity.kind.partition(".")[0] in self.kinds


def head(database: Database) -> int:
    """The newest cursor; 0 where nothing happened yet."""
    with database.connection() as connection:
        return _head(connection)


def page(
    database: Database,
    wanted: Wanted,
    *,
    before: int | None = None,
    after: int | None = None,
    least: int = 0,
    limit: int = 100,
    whole: bool = False,
) -> ActivityPage:
    """A page: newest first, or with `after` the oldest first; `before`, `after` and what is not after `least` are left
    out. `whole` with what the entries say.

    With `after` all that is answered is on disk: who goes on from its cursors misses nothing, whatever breaks down.
    Raises `Corrupt` for an entry that is none any more.
    """
    forward = after is not None
    with database.connection() as connection:
        newest = _head(connection)
        least = max(after or 0, least)
        low, high = least, before if before is not None else newest + 1
        if wanted.text and forward:
            high = min(high, low + SPAN + 1)
        elif wanted.text:
            low = max(low, high - SPAN - 1)
        rows = _rows(connection, wanted, low, high, limit + 1, forward=forward)
        found = _told(connection, rows[:limit], whole=whole)
    if forward and newest > low:  # also where nothing is found: who asks goes on from `head`
        flush(database)
    more = found[-1].cursor if len(rows) > limit else None
    if more is None and wanted.text:
        more = (high - 1 if high <= newest else None) if forward else (low + 1 if low > least else None)
    return ActivityPage(found, newest, more)


def following(database: Database, after: int, limit: int) -> tuple[Activity, ...]:
    """The next entries after the number `after`, of every kind and whole, once they are on disk."""
    with database.connection() as connection:
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM provenance WHERE seq > %s ORDER BY seq LIMIT %s", [after, limit]
        ).fetchall()
        found = _told(connection, [Link(*row) for row in rows], whole=True)
    if found:
        flush(database)
    return found


def cursor_at(database: Database, at: datetime) -> int:
    """The cursor of the last entry before the moment `at`; 0 where there is none.

    Entries of several coordinators are in order as far as their clocks agree.
    """
    low, high = 0, head(database)
    with database.connection() as connection:
        while low < high:  # the newest known to be before is `low`, and all after `high` are not
            middle = (low + high + 1) // 2
            row = connection.execute("SELECT at FROM provenance WHERE seq = %s", [middle]).fetchone()
            if row and datetime.fromisoformat(row[0]) < at:
                low = middle
            else:
                high = middle - 1
    return low


def progress(database: Database) -> tuple[Progress, ...]:
    """How far the jobs are that have not ended."""
    with database.connection() as connection:
        rows = connection.execute(_PROGRESS, [JOBS]).fetchall()
    return tuple(Progress(*row[:-1], found=int(row[-1])) for row in rows)


def marks(database: Database) -> dict[Topic, object]:
    """What stands for all that a topic has without being in the chain: another value when any of it changed."""
    with database.connection() as connection:
        return {topic: one(connection.execute(statement)) for topic, statement in _MARKS.items()}


def _head(connection: Connection) -> int:
    return int(one(connection.execute("SELECT coalesce(max(seq), 0) FROM provenance"))[0])


def _rows(connection: Connection, wanted: Wanted, low: int, high: int, limit: int, *, forward: bool) -> list[Link]:
    branches: list[LiteralString] = [_acts(wanted, forward), _submissions(wanted, forward)]
    branches = [branch for branch in branches if branch]
    if not branches:
        return []
    params = {
        "nouns": sorted(_nouns(wanted)),
        "known": sorted(NOUNS),
        "kinds": list(wanted.kinds),
        "text": f"%{_escaped(wanted.text)}%",
        "low": low,
        "high": high,
        "limit": limit,
    }
    order = _ORDERS[forward]
    query: LiteralString = " UNION ALL ".join(branches)
    rows = connection.execute(
        f"SELECT * FROM ({query}) AS found ORDER BY seq {order} LIMIT %(limit)s", params
    ).fetchall()
    return [Link(*row) for row in rows]


def _nouns(wanted: Wanted) -> set[str]:
    """The nouns of the entries that are asked for, submissions left out."""
    named = {kind.partition(".")[0] for kind in wanted.kinds} or set(NOUNS)
    return {noun for noun in named if topic_of(noun) in wanted.topics} - {_OBSERVATION}


def _acts(wanted: Wanted, forward: bool) -> LiteralString:
    """The entries that are no submissions. Where not all are asked for, each noun brings the next of its own, so that
    what is rare is found among what is frequent.
    """
    kinds: LiteralString = f" AND {_KINDS}" if wanted.kinds else ""
    text: LiteralString = f" AND {_TEXT}" if wanted.text else ""
    end: LiteralString = f"AND {_RANGE}{kinds}{text} ORDER BY seq {_ORDERS[forward]} LIMIT %(limit)s"
    if not wanted.kinds and wanted.topics >= set(TOPICS) - {_OBSERVATION}:
        return f"(SELECT {_COLUMNS} FROM provenance WHERE {_ACT} {end})"
    parts: list[LiteralString] = []
    if _nouns(wanted):
        parts.append(f"""(SELECT p.* FROM unnest(%(nouns)s::text[]) AS n (noun) CROSS JOIN LATERAL (
          SELECT {_COLUMNS} FROM provenance WHERE {_ACT} AND {_NOUN} = n.noun {end}) p)""")
    if not wanted.kinds and "other" in wanted.topics:
        parts.append(f"(SELECT {_COLUMNS} FROM provenance WHERE {_ACT} AND NOT {_NOUN} = ANY(%(known)s) {end})")
    return " UNION ALL ".join(parts)


def _submissions(wanted: Wanted, forward: bool) -> LiteralString:
    if _OBSERVATION not in wanted.topics:
        return ""
    if not wanted.kinds:
        kinds: LiteralString = "kind = 'observation.settled'"
    elif any(kind.partition(".")[0] == _OBSERVATION for kind in wanted.kinds):
        kinds = f"starts_with(kind, 'observation.') AND {_KINDS}"
    else:
        return ""
    text: LiteralString = f" AND {_TEXT_OF_SCAN}" if wanted.text else ""
    order = _ORDERS[forward]
    return f"(SELECT {_COLUMNS} FROM provenance WHERE {kinds} AND {_RANGE}{text} ORDER BY seq {order} LIMIT %(limit)s)"


def _told(connection: Connection, links: Sequence[Link], *, whole: bool) -> tuple[Activity, ...]:
    about = _submitted(connection, {link.subject for link in links if topic_of(link.kind) == _OBSERVATION})
    return tuple(_activity(link, about.get(link.subject, NOBODY), whole=whole) for link in links)


def _submitted(connection: Connection, ids: Collection[str]) -> dict[str, Submission]:
    known = [bytes.fromhex(text) for text in ids if _HEX.fullmatch(text)]
    if not known:
        return {}
    rows = connection.execute(
        "SELECT encode(observation_id, 'hex'), contributor, scan_id, scan_type FROM observation"
        " WHERE observation_id = ANY(%s)",
        [known],
    )
    return {row[0]: Submission(*row[1:]) for row in rows}


def _activity(link: Link, about: Submission, *, whole: bool) -> Activity:
    try:
        at, detail = datetime.fromisoformat(link.at), link.detail()
    except ValueError as error:
        raise Corrupt(
            f"Entry {link.seq} of the provenance chain is damaged.", hint="`spectra provenance verify` tells how far."
        ) from error
    said = told(link.kind, link.subject, detail, about)
    shown: dict[str, Any] = detail if whole else {}
    return Activity(
        link.seq, at, link.kind, topic_of(link.kind), said.title, link.subject, said.path, said.account, shown
    )


def _escaped(text: str) -> str:
    """`text` for LIKE, as the characters it is."""
    return re.sub(r"([\\%_])", r"\\\1", text)

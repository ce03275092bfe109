"""Insights: what agents concluded, in the words of the newest signed statement, and what people decided about it.

The body of an insight is that of its statement, which is as it was signed: `details` holds both against each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta

from spectra.errors import BadRequest, NotFound
from spectra.model.envelope import canonical, sha256_hex
from spectra.model.insights import SEVERITIES, Insight, InsightPage, InsightRecord, Kept, Resolution, Severity, State
from spectra.store import cursors
from spectra.store.accounts import Act
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry, commit, flush

MAX_LIMIT: Final = 1000
MAX_COMMENT: Final = 1000
_PREFIX: Final = 8  # hex digits by which an insight may be named at least
_PAGE: Final = 200

_COLUMNS = """i.body, i.state, i.statement, i.first_seen, i.last_seen, i.times, i.resolution, i.decided, i.decided_by,
  i.comment"""
_INSERT: Final = """
INSERT INTO insight (id, statement, agent, kind, severity, subjects, body, first_seen, last_seen, times, state)
VALUES (%(id)s, %(statement)s, %(agent)s, %(kind)s, %(severity)s, %(subjects)s, %(body)s, %(now)s, %(now)s, 1, 'open')
ON CONFLICT (id) DO UPDATE SET
  statement = CASE WHEN %(newest)s THEN excluded.statement ELSE insight.statement END,
  severity = CASE WHEN %(newest)s THEN excluded.severity ELSE insight.severity END,
  subjects = CASE WHEN %(newest)s THEN excluded.subjects ELSE insight.subjects END,
  body = CASE WHEN %(newest)s THEN excluded.body ELSE insight.body END,
  last_seen = greatest(insight.last_seen, excluded.last_seen),
  times = insight.times + 1"""
_REOPEN: Final = """
UPDATE insight SET state = 'open', resolution = NULL, decided = %(now)s, decided_by = %(by)s, comment = ''
WHERE id = ANY(%(ids)s)"""
_DECISION: Final = "SELECT id, state, resolution, decided, decided_by, comment FROM insight"
_ASKED: Final = f"""
SELECT {_COLUMNS} FROM insight i
WHERE (%(agent)s = '' OR i.agent = %(agent)s) AND (%(kind)s = '' OR i.kind = %(kind)s)
  AND (%(state)s = '' OR i.state = %(state)s) AND i.severity <= %(severity)s
  AND (%(subject)s = '' OR i.subjects @> ARRAY[%(subject)s])
  AND (%(since)s::timestamptz IS NULL OR i.last_seen >= %(since)s)
  AND (%(last)s::timestamptz IS NULL OR i.severity > %(after)s OR i.severity = %(after)s AND (
    i.last_seen < %(last)s OR i.last_seen = %(last)s AND i.id > %(id)s))
ORDER BY i.severity, i.last_seen DESC, i.id LIMIT %(limit)s"""


class NewStatement(NamedTuple):
    """A statement that passed the gate. `payload` is the canonical JSON that was signed, `sha256` its hash in hex."""

    sha256: str
    agent: str
    keyid: str
    signature: str
    payload: str
    issued: datetime
    received: datetime
    insights: tuple[Insight, ...]


class Wanted(NamedTuple):
    """Which insights are asked for; empty: any. `severity`: that one or worse; `subject`: a record id."""

    agent: str = ""
    kind: str = ""
    state: State | None = None
    severity: Severity = "info"
    subject: str = ""
    since: datetime | None = None


class _After(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Where a page ended."""

    severity: Annotated[int, Meta(ge=0, le=4)]
    last: Annotated[datetime, Meta(tz=True)]
    id: str


def insert(connection: Connection, new: NewStatement, by: str) -> tuple[Kept, list[Entry]]:
    """Keep a statement and its insights; what has to be put on record. The very same one again changes nothing.

    `by` is who opens again what was `fixed` and is there once more.
    """
    inserted = connection.execute(
        "INSERT INTO insight_statement (sha256, agent, keyid, signature, payload, issued, received)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        list(new[:7]),
    ).rowcount
    ids = sorted(insight.id for insight in new.insights)
    if not inserted:
        return Kept(statement=new.sha256, insights=_records(connection, ids), duplicate=True), []
    known = _known(connection, ids)
    for insight in sorted(new.insights, key=lambda insight: insight.id):
        _put(connection, insight, new, newest=new.issued >= known.get(insight.id, (new.issued, None))[0])
    reopened = [id_ for id_ in ids if known.get(id_, (None, None))[1] == "fixed"]
    entries = [Entry("insights.kept", _subject(new.sha256), _statement(connection, new.sha256), new.received)]
    if reopened:
        connection.execute(_REOPEN, {"ids": reopened, "now": new.received, "by": by})
        entries += [
            Entry("insight.reopened", f"insight:{id_}", _decision(connection, id_), new.received) for id_ in reopened
        ]
    return Kept(
        statement=new.sha256,
        insights=_records(connection, ids),
        new=tuple(id_ for id_ in ids if id_ not in known),
        again=tuple(id_ for id_ in ids if id_ in known),
        reopened=tuple(reopened),
    ), entries


def _known(connection: Connection, ids: list[str]) -> dict[str, tuple[datetime, str | None]]:
    """Those that are there: when their statement was signed, and how they were resolved. They stay as they are."""
    rows = connection.execute(
        "SELECT i.id, s.issued, i.resolution FROM insight i JOIN insight_statement s ON s.sha256 = i.statement"
        " WHERE i.id = ANY(%s) ORDER BY i.id FOR UPDATE OF i",
        [ids],
    ).fetchall()
    return {row[0]: (row[1], row[2]) for row in rows}


def _put(connection: Connection, insight: Insight, new: NewStatement, *, newest: bool) -> None:
    connection.execute(
        _INSERT,
        {
            "id": insight.id,
            "statement": new.sha256,
            "agent": insight.agent,
            "kind": insight.kind,
            "severity": SEVERITIES.index(insight.severity),
            "subjects": list(insight.subjects),
            "body": canonical(insight).decode(),
            "now": new.received,
            "newest": newest,
        },
    )


def existing(database: Database, sha256: str) -> Kept | None:
    """What became of a statement that was kept, once it is on disk."""
    with database.connection() as connection:
        row = connection.execute("SELECT payload FROM insight_statement WHERE sha256 = %s", [sha256]).fetchone()
        if row is None:
            return None
        kept = _records(connection, sorted(_signed(row[0])))
    flush(database)
    return Kept(statement=sha256, insights=kept, duplicate=True)


def page(database: Database, wanted: Wanted, *, cursor: str = "", limit: int = 100) -> InsightPage:
    """Insights that are asked for, the worst first, then the newest; raises `BadRequest` naming `cursor`."""
    after = cursors.read(cursor, _After, "insights") if cursor else None
    with database.connection() as connection:
        rows = connection.execute(
            _ASKED,
            {
                "agent": wanted.agent,
                "kind": wanted.kind,
                "state": wanted.state or "",
                "severity": SEVERITIES.index(wanted.severity),
                "subject": wanted.subject,
                "since": wanted.since,
                "after": after and after.severity,
                "last": after and after.last,
                "id": after.id if after else "",
                "limit": limit + 1,
            },
        ).fetchall()
    found = tuple(_record(row) for row in rows[:limit])
    if len(rows) <= limit:
        return InsightPage(found)
    last = found[-1]
    place = _After(SEVERITIES.index(last.insight.severity), last.last_seen, last.insight.id)
    return InsightPage(found, cursors.write(place, "insights"))


def get(database: Database, id_: str) -> InsightRecord:
    """One insight, by its id or eight of its first digits or more; raises `NotFound("unknown_insight")`."""
    with database.connection() as connection:
        return _record(
            one(connection.execute(f"SELECT {_COLUMNS} FROM insight i WHERE i.id = %s", [_whole(connection, id_)]))
        )


def resolve(database: Database, id_: str, resolution: Resolution, comment: str, act: Act) -> InsightRecord:
    """Put on record that nothing is left to do about an insight; again: with another reason.

    Raises `NotFound("unknown_insight")`, or `BadRequest` naming `comment`.
    """
    if len(comment) > MAX_COMMENT or not comment.isprintable():
        raise BadRequest(f"A comment is one line of at most {MAX_COMMENT} characters.", field="comment")

    def work(connection: Connection) -> tuple[InsightRecord, list[Entry]]:
        whole = _whole(connection, id_)
        connection.execute(
            "UPDATE insight SET state = 'resolved', resolution = %s, decided = %s, decided_by = %s, comment = %s"
            " WHERE id = %s",
            [resolution, act.now, act.by, comment, whole],
        )
        entry = Entry("insight.resolved", f"insight:{whole}", _decision(connection, whole), act.now)
        return _records(connection, [whole])[0], [entry]

    return commit(database, work)


def _whole(connection: Connection, id_: str) -> str:
    """The id that `id_` means."""
    if not re.fullmatch(rf"[0-9a-f]{{{_PREFIX},64}}", id_):
        raise _unknown(id_)
    rows = connection.execute("SELECT id FROM insight WHERE id LIKE %s LIMIT 2", [f"{id_}%"]).fetchall()
    if not rows:
        raise _unknown(id_)
    if len(rows) > 1:
        raise BadRequest(f"More than one insight begins with {id_}.", field="id", hint="Give more digits.")
    return rows[0][0]


def _unknown(id_: str) -> NotFound:
    return NotFound(
        f"There is no insight {id_[:64]!r}.", reason="unknown_insight", hint="`spectra insights list` shows them."
    )


def _records(connection: Connection, ids: Sequence[str]) -> tuple[InsightRecord, ...]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM insight i WHERE i.id = ANY(%s) ORDER BY i.severity, i.last_seen DESC, i.id",
        [list(ids)],
    ).fetchall()
    return tuple(_record(row) for row in rows)


def _record(row: tuple[Any, ...]) -> InsightRecord:
    body, state, statement, first, last, times, resolution, decided, by, comment = row
    resolved = state == "resolved"
    return InsightRecord(
        insight=msgspec.json.decode(body, type=Insight),
        state=state,
        statement=statement,
        first_seen=first,
        last_seen=last,
        times=times,
        resolution=resolution,
        resolved=decided if resolved else None,
        resolved_by=by if resolved else "",
        comment=comment,
    )


# On record -----------------------------------------------------------------------------------------------------------


def details(database: Database) -> dict[str, dict[str, object]]:
    """What the newest provenance entries of statements and decisions have to say, by their subject: as the rows are."""
    found: dict[str, dict[str, object]] = {}
    with database.connection() as connection:
        for sha256 in _every_statement(connection):
            found[_subject(sha256)] = _statement(connection, sha256)
        for row in connection.execute(f"{_DECISION} WHERE decided IS NOT NULL"):
            found[f"insight:{row[0]}"] = _decided(row)
    return found


def _every_statement(connection: Connection) -> Iterator[str]:
    after = ""
    while True:
        rows = connection.execute(
            "SELECT sha256 FROM insight_statement WHERE sha256 > %s ORDER BY sha256 LIMIT %s", [after, _PAGE]
        ).fetchall()
        if not rows:
            return
        yield from (row[0] for row in rows)
        after = rows[-1][0]


def _statement(connection: Connection, sha256: str) -> dict[str, object]:
    """What is on record of a statement; with what it cannot say, where insights are not as they were signed."""
    row = one(
        connection.execute(
            "SELECT agent, keyid, signature, payload, received FROM insight_statement WHERE sha256 = %s", [sha256]
        )
    )
    agent, keyid, signature, payload, received = row
    detail: dict[str, object] = {
        "statement": sha256 if sha256_hex(payload.encode()) == sha256 else "other bytes than were signed",
        "agent": agent,
        "keyid": keyid,
        "signature": signature,
        "received": received,
    }
    if wrong := _altered(connection, sha256, payload):
        detail["altered"] = wrong
    return detail


def _altered(connection: Connection, sha256: str, payload: str) -> str:
    """An insight that is not as this statement has it, or is gone; empty: none."""
    signed = _signed(payload)
    rows = connection.execute(
        "SELECT id, statement, agent, kind, severity, subjects, body FROM insight"
        " WHERE id = ANY(%s) OR statement = %s ORDER BY id",
        [list(signed), sha256],
    ).fetchall()
    if gone := signed.keys() - {row[0] for row in rows}:
        return f"insight {min(gone)} is gone"
    for id_, statement, agent, kind, severity, subjects, body in rows:
        if statement != sha256:
            continue
        insight = signed.get(id_)
        if insight is None or (canonical(insight).decode(), insight.agent, insight.kind) != (body, agent, kind):
            return f"insight {id_}"
        if (SEVERITIES[severity], tuple(subjects)) != (insight.severity, insight.subjects):
            return f"insight {id_}"
    return ""


class _Signed(msgspec.Struct):
    insights: tuple[Insight, ...]


def _signed(payload: str) -> dict[str, Insight]:
    """The insights of a statement, by id; none where it cannot be read any more."""
    try:
        return {insight.id: insight for insight in msgspec.json.decode(payload, type=_Signed).insights}
    except msgspec.DecodeError:
        return {}


def _decision(connection: Connection, id_: str) -> dict[str, object]:
    return _decided(one(connection.execute(f"{_DECISION} WHERE id = %s", [id_])))


def _decided(row: tuple[Any, ...]) -> dict[str, object]:
    names = ("insight", "state", "resolution", "decided", "by", "comment")
    return dict(zip(names, row, strict=True))


def _subject(sha256: str) -> str:
    return f"insights:{sha256}"

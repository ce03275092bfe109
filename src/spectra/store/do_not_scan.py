"""Networks that are never scanned, and the requests of those who do not want to be. Every decision is an entry of the
provenance chain; who asked, and how to reach them, is not: the chain forgets nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID, uuid4

from spectra.errors import BadRequest, NotFound
from spectra.model.limits import DoNotScanEntry, DoNotScanRequest
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry, commit

MAX_PENDING: Final = 1000
"""Requests that wait for a decision; no more are taken."""

_ENTRY = "SELECT id, net::text, added, added_by, reason, request FROM do_not_scan"
_ENTRY_DETAIL = "SELECT id, net::text, reason, request, added, added_by, removed, removed_by FROM do_not_scan"
_REQUEST = """
SELECT id, net::text, contact, reason, source::text, received, status, decided, decided_by, note
FROM do_not_scan_request"""
_DECISION = "SELECT id, net::text, received, status, decided, decided_by, note FROM do_not_scan_request"


class _Act(NamedTuple):
    """Who decides, when, and why."""

    by: str
    now: datetime
    note: str


class Excluded(NamedTuple):
    """What is not to be scanned: networks, and autonomous systems whose block says so."""

    networks: tuple[str, ...]
    asns: tuple[int, ...]


def excluded(connection: Connection, now: datetime) -> Excluded:
    """All that is not to be scanned at `now`: entries of the list, and blocks that are about targets too."""
    rows = connection.execute(
        """SELECT net::text, NULL::int8 FROM do_not_scan WHERE removed IS NULL
           UNION SELECT net::text, asn FROM block
           WHERE targets AND removed IS NULL AND (until IS NULL OR until > %s) ORDER BY 1, 2""",
        [now],
    ).fetchall()
    return Excluded(tuple(net for net, _ in rows if net), tuple(asn for _, asn in rows if asn))


def ask(
    database: Database, *, network: str, contact: str, reason: str, source: str, now: datetime
) -> DoNotScanRequest | None:
    """Keep a stranger's request; the same network from the same source is kept once. None where too many wait."""
    with database.transaction() as connection:
        connection.execute("LOCK TABLE do_not_scan_request IN SHARE ROW EXCLUSIVE MODE")  # the bound holds for all
        same = connection.execute(
            f"{_REQUEST} WHERE net = %s::cidr AND source = %s::cidr AND status = 'pending'", [network, source]
        ).fetchone()
        if same:
            return _request(same)
        waiting = one(connection.execute("SELECT count(*) FROM do_not_scan_request WHERE status = 'pending'"))[0]
        if waiting >= MAX_PENDING:
            return None
        request_id = uuid4()
        connection.execute(
            "INSERT INTO do_not_scan_request (id, net, contact, reason, source, received)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [request_id, network, contact, reason, source, now],
        )
        return _request(one(connection.execute(f"{_REQUEST} WHERE id = %s", [request_id])))


def requests(
    database: Database, *, status: str = "", limit: int = 100, after: tuple[datetime, UUID] | None = None
) -> tuple[DoNotScanRequest, ...]:
    """Requests newest first, of one status if that is asked for, and older than `after`."""
    received, request_id = after or (None, None)
    with database.connection() as connection:
        rows = connection.execute(
            f"{_REQUEST} WHERE (%(status)s = '' OR status = %(status)s)"
            " AND (%(received)s::timestamptz IS NULL OR (received, id) < (%(received)s, %(id)s::uuid))"
            " ORDER BY received DESC, id DESC LIMIT %(limit)s",
            {"status": status, "received": received, "id": request_id, "limit": limit},
        ).fetchall()
    return tuple(_request(row) for row in rows)


def approve(database: Database, request_id: UUID, *, by: str, now: datetime, note: str = "") -> DoNotScanRequest:
    """Grant a pending request: its network is on the list from now on."""

    def work(connection: Connection) -> tuple[DoNotScanRequest, list[Entry]]:
        act = _Act(by, now, note)
        request, told = _decide(connection, request_id, "approved", act)
        _, added = _add(connection, request.network, act, request_id)
        return request, [told, *added]

    return commit(database, work)


def reject(database: Database, request_id: UUID, *, by: str, now: datetime, note: str = "") -> DoNotScanRequest:
    """Turn a pending request down."""

    def work(connection: Connection) -> tuple[DoNotScanRequest, list[Entry]]:
        request, told = _decide(connection, request_id, "rejected", _Act(by, now, note))
        return request, [told]

    return commit(database, work)


def add(database: Database, *, network: str, reason: str, by: str, now: datetime) -> DoNotScanEntry:
    """Put a network (canonical CIDR) on the list; the entry there is if it is on it already."""

    def work(connection: Connection) -> tuple[DoNotScanEntry, list[Entry]]:
        return _add(connection, network, _Act(by, now, reason), None)

    return commit(database, work)


def remove(database: Database, entry_id: UUID, *, by: str, now: datetime) -> DoNotScanEntry:
    """Take an entry off the list; `NotFound` where there is none of this id, or none any more."""

    def work(connection: Connection) -> tuple[DoNotScanEntry, list[Entry]]:
        changed = connection.execute(
            "UPDATE do_not_scan SET removed = %s, removed_by = %s WHERE id = %s AND removed IS NULL",
            [now, by, entry_id],
        ).rowcount
        if not changed:
            raise NotFound(f"There is no entry {entry_id}.", hint="GET /v0/do-not-scan/entries lists them.")
        entry = _entry(one(connection.execute(f"{_ENTRY} WHERE id = %s", [entry_id])))
        return entry, [Entry("do_not_scan.removed", entry_id.hex, _entry_detail(connection, entry_id), now)]

    return commit(database, work)


def entries(database: Database, *, limit: int = 1000, after: str = "") -> tuple[DoNotScanEntry, ...]:
    """The list by network, after the network `after`."""
    with database.connection() as connection:
        rows = connection.execute(
            f"{_ENTRY} d WHERE removed IS NULL AND (%(after)s = '' OR net > nullif(%(after)s, '')::cidr)"
            " ORDER BY d.net LIMIT %(limit)s",  # `net` alone would be the text that is selected
            {"after": after, "limit": limit},
        ).fetchall()
    return tuple(_entry(row) for row in rows)


def details(database: Database) -> dict[str, dict[str, object]]:
    """What the newest provenance entry of each entry and decided request has to say, as the rows are now."""
    with database.connection() as connection:
        found = {row[0].hex: _entry_told(row) for row in connection.execute(_ENTRY_DETAIL)}
        decided = connection.execute(f"{_DECISION} WHERE status <> 'pending'")
        return found | {row[0].hex: _decision_told(row) for row in decided}


def _add(
    connection: Connection, network: str, act: _Act, request_id: UUID | None
) -> tuple[DoNotScanEntry, list[Entry]]:
    there = connection.execute(f"{_ENTRY} WHERE net = %s::cidr AND removed IS NULL", [network]).fetchone()
    if there:
        return _entry(there), []
    entry_id = uuid4()
    connection.execute(
        "INSERT INTO do_not_scan (id, net, reason, request, added, added_by) VALUES (%s, %s, %s, %s, %s, %s)",
        [entry_id, network, act.note, request_id, act.now, act.by],
    )
    entry = _entry(one(connection.execute(f"{_ENTRY} WHERE id = %s", [entry_id])))
    return entry, [Entry("do_not_scan.added", entry_id.hex, _entry_detail(connection, entry_id), act.now)]


def _decide(
    connection: Connection, request_id: UUID, status: Literal["approved", "rejected"], act: _Act
) -> tuple[DoNotScanRequest, Entry]:
    changed = connection.execute(
        "UPDATE do_not_scan_request SET status = %s, decided = %s, decided_by = %s, note = %s"
        " WHERE id = %s AND status = 'pending'",
        [status, act.now, act.by, act.note, request_id],
    ).rowcount
    row = connection.execute(f"{_REQUEST} WHERE id = %s", [request_id]).fetchone()
    if row is None:
        raise NotFound(f"There is no request {request_id}.", hint="`spectra scope requests` shows them.")
    request = _request(row)
    if not changed:
        raise BadRequest(f"That request is {request.status} already.", reason="request_decided", field="request_id")
    detail = _decision_told(one(connection.execute(f"{_DECISION} WHERE id = %s", [request_id])))
    return request, Entry(f"do_not_scan.{status}", request_id.hex, detail, act.now)


def _entry_detail(connection: Connection, entry_id: UUID) -> dict[str, object]:
    return _entry_told(one(connection.execute(f"{_ENTRY_DETAIL} WHERE id = %s", [entry_id])))


def _entry_told(row: tuple[Any, ...]) -> dict[str, object]:
    names = ("entry_id", "network", "reason", "request_id", "added", "added_by", "removed", "removed_by")
    return _named(names, row)


def _decision_told(row: tuple[Any, ...]) -> dict[str, object]:
    return _named(("request_id", "network", "received", "status", "decided", "decided_by", "note"), row)


def _named(names: Sequence[str], row: tuple[Any, ...]) -> dict[str, object]:
    return {name: str(v) if isinstance(v, UUID) else v for name, v in zip(names, row, strict=True)}


def _entry(row: tuple[Any, ...]) -> DoNotScanEntry:
    entry_id, network, added, added_by, reason, request_id = row
    return DoNotScanEntry(str(entry_id), network, added, added_by, reason, str(request_id) if request_id else "")


def _request(row: tuple[Any, ...]) -> DoNotScanRequest:
    return DoNotScanRequest(str(row[0]), *row[1:])

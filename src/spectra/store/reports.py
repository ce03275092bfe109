"""Reports: asked for, made, and finished by a person. What is said in one is a document in the blob store.

A row whose state is `waiting` or `running` is the outbox of the workflow that makes it. That a report was asked for,
what was stored of it and who finished it are entries of the provenance chain, whose newest says what the row is.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, LiteralString, NamedTuple

import msgspec
from msgspec import Meta

from spectra.errors import BadRequest, NotFound, Unavailable
from spectra.model.reports import Attempt, Author, ReportDetail, ReportRecord, ScanLine, State
from spectra.model.summaries import Target
from spectra.store import cursors
from spectra.store.accounts import Act
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry, commit

MAX_OPEN: Final = 200
"""Reports that may be waiting or under way at once."""
MAX_LISTED: Final = 1000
MAX_SCANS: Final = 100
_LOCK: Final = 0x5EC7_0021
_SETTLED: Final = ("done", "incomplete", "finished", "failed")
_DONE: Final = "report.finished"

_COLUMNS: LiteralString = """
r.id, r.kind, r.target, r.pattern, r.version, r.title, r.question, r.account, r.state, r.made_by, r.why, r.provider,
r.model, r.attempts, r.created, r.changed, coalesce(encode(r.document, 'hex'), ''), r.size,
(SELECT count(*) FROM report_host h WHERE h.report = r.num),
(SELECT count(*) FROM report_scan s WHERE s.report = r.num),
coalesce((SELECT f.id FROM report f WHERE f.num = r.follows), ''),
coalesce((SELECT f.id FROM report f WHERE f.follows = r.num), ''), r.num, r.facts, r.rules"""
_NAMES: Final = (
    *("id", "kind", "target", "pattern", "version", "title", "question", "account", "state", "by", "why", "provider"),
    *("model", "attempts", "created", "changed", "sha256", "size", "hosts", "scans", "follows", "followed_by"),
)
_NEXT: Final = """
SELECT coalesce(max(version), 0) + 1 FROM report WHERE kind = %s AND target = %s AND pattern = %s"""
_SCANS: Final = """
SELECT encode(o.observation_id, 'hex'), o.scan_id, o.scan_type, o.contributor, max(s.seen_at), count(DISTINCT s.ip),
       coalesce(nullif(o.facts->>'tool', ''), o.header::json->>'tool', '')
FROM sighting s JOIN observation o ON o.seq = s.observation
WHERE s.ip = ANY(%(ips)s::inet[]) GROUP BY o.seq ORDER BY max(s.seen_at) DESC, o.seq DESC LIMIT %(most)s"""


class Wanted(NamedTuple):
    """A report as it was asked for. `rules`: no model is asked."""

    id: str
    target: Target
    pattern: str
    version: int
    question: str
    account: str
    rules: bool
    state: State
    created: datetime
    attempts: int
    facts: bytes


class Made(NamedTuple):
    """What came of one: its document and facts as blobs, and what it tells of."""

    state: State
    by: Author
    title: str
    why: str
    provider: str
    model: str
    attempts: int
    document: bytes
    size: int
    ips: tuple[str, ...]
    observations: tuple[str, ...]


class _Key(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page ended."""

    num: Annotated[int, Meta(ge=0, le=2**63 - 1)]


# Asking --------------------------------------------------------------------------------------------------------------


def ask(
    database: Database, target: Target, pattern: str, question: str, act: Act, *, rules: bool = False, report: str = ""
) -> ReportRecord:
    """A new version of the report on `target` by `pattern`, waiting; the same id `report` again gives the one there
    is, unchanged. Raises `Unavailable` (`busy`) where many wait.
    """
    report = report or f"report-{secrets.token_hex(10)}"

    def work(connection: Connection) -> tuple[ReportRecord, list[Entry]]:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])  # versions are counted, and so is what waits
        if connection.execute("SELECT 1 FROM report WHERE id = %s", [report]).fetchone():
            return _get(connection, report), []
        busy = one(connection.execute("SELECT count(*) FROM report WHERE state IN ('waiting', 'running')"))[0]
        if busy >= MAX_OPEN:
            raise Unavailable(f"{busy} reports are being made already.", reason="busy", hint="Ask again later.")
        version = one(connection.execute(_NEXT, [*target_columns(target), pattern]))[0]
        connection.execute(
            "INSERT INTO report (id, kind, target, pattern, version, question, rules, account, state, created, changed)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 'waiting', %s, %s)",
            [report, *target_columns(target), pattern, version, question, rules, act.by, act.now, act.now],
        )
        return _get(connection, report), [_entry(connection, "report.asked", report, act)]

    return commit(database, work)


def target_columns(target: Target) -> tuple[str, str]:
    """The columns `kind` and `target`."""
    return target.kind, target.value


def wanted(database: Database, report: str) -> Wanted:
    """A report as its workflow needs it; raises `NotFound`."""
    with database.connection() as connection:
        row = _row(connection, report)
    record = _record(row)
    return Wanted(
        id=record.id,
        target=Target(record.kind, record.target),
        pattern=record.pattern,
        version=record.version,
        question=record.question,
        account=record.account,
        rules=row[-1],
        state=record.state,
        created=record.created,
        attempts=record.attempts,
        facts=row[-2] or b"",
    )


def open_ones(database: Database, before: datetime, limit: int = MAX_OPEN) -> tuple[str, ...]:
    """Those that wait or are under way, changed before a moment, the oldest first."""
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT id FROM report WHERE state IN ('waiting', 'running') AND changed < %s ORDER BY num LIMIT %s",
            [before, limit],
        ).fetchall()
    return tuple(row[0] for row in rows)


# Making --------------------------------------------------------------------------------------------------------------


def begin(database: Database, report: str, facts: bytes, now: datetime) -> None:
    """It is under way, by the facts that are the blob `facts`; one that has ended stays as it is."""
    with database.transaction() as connection:
        connection.execute(
            "UPDATE report SET state = 'running', facts = %s, changed = %s"
            " WHERE id = %s AND state IN ('waiting', 'running')",
            [facts, now, report],
        )


def attempted(database: Database, report: str, attempt: Attempt, prompt: bytes | None, answer: bytes | None) -> None:
    """Keep one attempt; the same number again takes its place, since the process that made it may have died."""
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO report_attempt (report, number, at, provider, model, label, prompt, answer, reasons)"
            " SELECT num, %(number)s, %(at)s, %(provider)s, %(model)s, %(label)s, %(prompt)s, %(answer)s, %(reasons)s"
            " FROM report WHERE id = %(report)s ON CONFLICT (report, number) DO UPDATE SET at = excluded.at,"
            " provider = excluded.provider, model = excluded.model, label = excluded.label, prompt = excluded.prompt,"
            " answer = excluded.answer, reasons = excluded.reasons",
            {
                "number": attempt.number,
                "at": attempt.at,
                "provider": attempt.provider,
                "model": attempt.model,
                "label": attempt.label,
                "prompt": prompt,
                "answer": answer,
                "reasons": list(attempt.reasons),
                "report": report,
            },
        )
        connection.execute(
            "UPDATE report SET attempts = greatest(attempts, %s), changed = %s WHERE id = %s"
            " AND state IN ('waiting', 'running')",
            [attempt.number, attempt.at, report],
        )


def keep(database: Database, report: str, made: Made, act: Act) -> ReportRecord:
    """Store what came of a report, with its hosts and scans, on record. One that has ended stays as it is."""

    def work(connection: Connection) -> tuple[ReportRecord, list[Entry]]:
        num = _keep(connection, report, made, act.now)
        if num is None:
            return _get(connection, report), []
        _link(connection, num, made)
        return _get(connection, report), [_entry(connection, "report.stored", report, act)]

    return commit(database, work)


def _keep(connection: Connection, report: str, made: Made, now: datetime) -> int | None:
    row = connection.execute(
        "UPDATE report SET state = %s, made_by = %s, title = %s, why = %s, provider = %s, model = %s, attempts = %s,"
        " document = %s, size = %s, changed = %s WHERE id = %s AND state IN ('waiting', 'running') RETURNING num",
        [
            *(made.state, made.by, made.title, made.why, made.provider, made.model, made.attempts),
            *(made.document or None, made.size, now, report),
        ],
    ).fetchone()
    return row[0] if row else None


def _link(connection: Connection, num: int, made: Made) -> None:
    connection.execute(
        "INSERT INTO report_host (report, ip) SELECT DISTINCT %s::int8, ip FROM unnest(%s::inet[]) AS h (ip)",
        [num, list(made.ips)],
    )
    connection.execute(
        "INSERT INTO report_scan (report, observation) SELECT %s::int8, seq FROM observation"
        " WHERE observation_id = ANY(%s::bytea[])",
        [num, [bytes.fromhex(observation) for observation in made.observations]],
    )


def finish(database: Database, report: str, new: str, made: Made, act: Act, *, version: int = 0) -> ReportRecord:
    """Store what a person made of an incomplete report as the version after the newest, under the id `new`; the one it
    follows is `finished`. Raises `BadRequest` (`report_settled`) where it is not incomplete, and `Unavailable`
    (`conflict`) where the version after the newest is another than `version`, if that is given.
    """

    def work(connection: Connection) -> tuple[ReportRecord, list[Entry]]:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        row = _row(connection, report)
        record = _record(row)
        if record.state != "incomplete":
            raise BadRequest(
                f"{report} is {record.state}: only an incomplete report is finished by hand.", reason="report_settled"
            )
        number = one(connection.execute(_NEXT, [record.kind, record.target, record.pattern]))[0]
        if version not in (0, number):
            raise Unavailable("Another version was made at the same time.", reason="conflict", hint="Send it again.")
        connection.execute(
            "INSERT INTO report (id, kind, target, pattern, version, question, rules, account, state, created, changed,"
            " facts, follows) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 'running', %s, %s, %s, %s)",
            [
                *(new, record.kind, record.target, record.pattern, number, record.question, row[-1], act.by),
                *(act.now, act.now, row[-2], row[-3]),
            ],
        )
        num = _keep(connection, new, made, act.now)
        assert num is not None
        _link(connection, num, made)
        connection.execute("UPDATE report SET state = 'finished', changed = %s WHERE id = %s", [act.now, report])
        entries = [_entry(connection, kind, name, act) for kind, name in (("report.stored", new), (_DONE, report))]
        return _get(connection, new), entries

    return commit(database, work)


def next_version(database: Database, target: Target, pattern: str) -> int:
    """The number that the next report on `target` by `pattern` gets, if nobody is quicker."""
    with database.connection() as connection:
        return one(connection.execute(_NEXT, [*target_columns(target), pattern]))[0]


# Reading -------------------------------------------------------------------------------------------------------------


def page(
    database: Database,
    *,
    state: str = "",
    target: str = "",
    ip: str = "",
    pattern: str = "",
    limit: int = 100,
    cursor: str = "",
) -> tuple[tuple[ReportRecord, ...], str]:
    """Reports, newest first: of one state, target or pattern, or that tell of the host `ip`; and the next cursor."""
    after = cursors.read(cursor, _Key, "reports").num if cursor else 2**63 - 1
    with database.connection() as connection:
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM report r WHERE r.num < %(after)s AND (%(state)s = '' OR r.state = %(state)s)"
            " AND (%(target)s = '' OR r.target = %(target)s) AND (%(pattern)s = '' OR r.pattern = %(pattern)s)"
            " AND (%(ip)s::inet IS NULL OR r.num IN (SELECT h.report FROM report_host h WHERE h.ip = %(ip)s::inet))"
            " ORDER BY r.num DESC LIMIT %(limit)s",
            {
                **{"after": after, "state": state, "target": target, "pattern": pattern},
                **{"ip": ip or None, "limit": limit + 1},
            },
        ).fetchall()
    more = len(rows) > limit
    following = cursors.write(_Key(rows[limit - 1][-3]), "reports") if more else ""
    return tuple(_record(row) for row in rows[:limit]), following


def get(database: Database, report: str) -> ReportRecord:
    """A report as it stands; raises `NotFound` (`unknown_report`)."""
    with database.connection() as connection:
        return _get(connection, report)


class Tried(NamedTuple):
    """An attempt, and the blobs of what was asked and answered."""

    attempt: Attempt
    prompt: bytes
    answer: bytes


def detail(database: Database, report: str) -> tuple[ReportDetail, tuple[Tried, ...]]:
    """A report with its hosts, scans and attempts; raises `NotFound` (`unknown_report`)."""
    with database.connection() as connection:
        row = _row(connection, report)
        num = row[-3]
        ips = connection.execute(
            "SELECT host(ip) FROM report_host WHERE report = %s ORDER BY ip LIMIT %s", [num, MAX_LISTED]
        ).fetchall()
        scans = connection.execute(
            "SELECT encode(o.observation_id, 'hex') FROM report_scan s JOIN observation o ON o.seq = s.observation"
            " WHERE s.report = %s ORDER BY o.seq DESC LIMIT %s",
            [num, MAX_LISTED],
        ).fetchall()
        tries = connection.execute(
            "SELECT number, at, provider, model, label, reasons, prompt, answer FROM report_attempt WHERE report = %s"
            " ORDER BY number",
            [num],
        ).fetchall()
    tried = tuple(
        Tried(
            Attempt(number=r[0], at=r[1], provider=r[2], model=r[3], label=r[4], reasons=tuple(r[5])),
            r[6] or b"",
            r[7] or b"",
        )
        for r in tries
    )
    whole = ReportDetail(
        **msgspec.structs.asdict(_record(row)),
        ips=tuple(r[0] for r in ips),
        observations=tuple(r[0] for r in scans),
        tries=tuple(t.attempt for t in tried),
    )
    return whole, tried


def document_of(database: Database, report: str) -> bytes:
    """The address of its document in the blob store; raises `NotFound`: `unknown_report`, or `report_unwritten` where
    there is none (yet).
    """
    with database.connection() as connection:
        record = _get(connection, report)
    if not record.sha256:
        said = record.why if record.state == "failed" else "It is still being made."
        raise NotFound(f"{report} has no document. {said}", reason="report_unwritten")
    return bytes.fromhex(record.sha256)


def scans_of(database: Database, ips: Sequence[str], limit: int = MAX_SCANS) -> tuple[ScanLine, ...]:
    """The newest observations that saw any of these hosts."""
    with database.connection() as connection:
        rows = connection.execute(_SCANS, {"ips": list(ips), "most": limit}).fetchall()
    return tuple(
        ScanLine(
            observation_id=r[0], scan_id=r[1], scan_type=r[2], contributor=r[3], seen_at=r[4], hosts=r[5], tool=r[6]
        )
        for r in rows
    )


def details(database: Database) -> dict[str, dict[str, Any]]:
    """Every report as the chain has to tell of it, by id."""
    with database.connection() as connection:
        rows = connection.execute(f"SELECT {_COLUMNS} FROM report r").fetchall()
    return {row[0]: _told(_record(row)) for row in rows}


def _entry(connection: Connection, kind: str, report: str, act: Act) -> Entry:
    return Entry(kind, report, _told(_get(connection, report)), act.now)


def _told(record: ReportRecord) -> dict[str, Any]:
    settled = record.state in _SETTLED
    return {
        "account": record.account,
        "kind": record.kind,
        "target": record.target,
        "pattern": record.pattern,
        "version": record.version,
        "state": record.state if settled else "",
        "by": record.by,
        "sha256": record.sha256,
    }


def _get(connection: Connection, report: str) -> ReportRecord:
    return _record(_row(connection, report))


def _row(connection: Connection, report: str) -> tuple[Any, ...]:
    row = connection.execute(f"SELECT {_COLUMNS} FROM report r WHERE r.id = %s", [report]).fetchone()
    if row is None:
        raise NotFound(
            f"There is no report {report[:60]}.", reason="unknown_report", hint="`spectra reports list` shows all."
        )
    return row


def _record(row: tuple[Any, ...]) -> ReportRecord:
    return ReportRecord(**dict(zip(_NAMES, row[: len(_NAMES)], strict=True)))

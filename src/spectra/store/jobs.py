"""Jobs: what somebody asked to have scanned, and the targets that it was cut into.

What a person decides about a job is an entry of the provenance chain, with the job as it is then. How targets come and
go with machines is not: see `store/leases.py` and `store/results.py`.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from spectra.errors import BadRequest
from spectra.model.presets import Preset
from spectra.model.work import Constraints, JobRecord, JobState, Permission, TargetRecord, TargetState
from spectra.store import cursors, jobrows, targetrows
from spectra.store.accounts import Act
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry, commit
from spectra.store.rows import encode

_BATCH: Final = 5000
_MAX_REASON: Final = 2000
_INSERT: Final = """
INSERT INTO job (id, account, created, changed, by, what, preset, tools, raw, ports, rate, priority, scan_id,
  permission, node, region, relay, windows, schedule, left_out, addresses, total, first, last)
VALUES (%(id)s, %(account)s, %(now)s, %(now)s, %(by)s, %(what)s, %(preset)s, %(tools)s, %(raw)s, %(ports)s, %(rate)s,
  %(priority)s, %(scan_id)s, %(permission)s, %(node)s, %(region)s, %(relay)s, %(windows)s, %(schedule)s, %(left_out)s,
  %(addresses)s, 0, 0, 0)
ON CONFLICT (id) DO NOTHING RETURNING num"""
_TARGETS: Final = """
WITH made AS (
  INSERT INTO target (job, targets, network, addresses, ports, since)
  SELECT %(job)s, ARRAY(SELECT json_array_elements_text(r.targets)), r.network, r.addresses, r.ports, %(now)s
  FROM ROWS FROM (json_to_recordset(%(rows)s::json) AS (targets json, network text, addresses int4, ports text))
    WITH ORDINALITY AS r (targets, network, addresses, ports, n) ORDER BY n
  RETURNING num, addresses)
SELECT count(*), min(num), max(num), sum(addresses)::int8 FROM made"""
_RETRY: Final = """
UPDATE target SET state = 'waiting', since = %(now)s, not_before = '-infinity', attempts = 0, returns = 0,
  excluded = '{}', reason = ''
WHERE job = %(job)s AND state IN ('review', 'cancelled')
  AND (%(targets)s::int8[] = '{}' OR num = ANY(%(targets)s::int8[]))"""
_CANCEL: Final = """
WITH those AS MATERIALIZED (
  SELECT num, lease, state FROM target WHERE job = %(job)s AND state IN ('waiting', 'leased') ORDER BY num FOR UPDATE),
ended AS (
  UPDATE target t SET state = 'cancelled', since = %(now)s, reason = %(reason)s FROM those WHERE t.num = those.num)
SELECT lease FROM those WHERE state = 'leased'"""
_END_LEASES: Final = """
WITH those AS MATERIALIZED (
  SELECT id FROM lease WHERE id = ANY(%(leases)s::uuid[]) AND ended IS NULL ORDER BY id FOR UPDATE)
UPDATE lease l SET ended = %(now)s, "end" = 'cancelled', reason = 'cancelled', message = %(reason)s
FROM those WHERE l.id = those.id RETURNING l.node, l.id, l.leased"""
# A partial result that was read while its job was being cancelled has put its target back.
_STRAYS: Final = """
UPDATE target SET state = 'cancelled', since = %(now)s, reason = j.reason FROM job j
WHERE j.num = target.job AND j.decision = 'cancelled' AND j.counts IS NULL AND target.state = 'waiting'"""


class _Key(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page ended."""

    num: Annotated[int, Meta(ge=0, le=2**63 - 1)]


class NewTarget(NamedTuple):
    """What one lease will carry. `network` is what limits are kept by; empty: none. `ports`: empty: the job's."""

    targets: tuple[str, ...]
    network: str
    addresses: int
    ports: str = ""


class NewJob(NamedTuple):
    """A job to be kept. `rate`: most probes a second, 0: what preset and settings say; `what` is shortened for people.

    `addresses`: how many it is about, 0: those of its targets.
    """

    account: str
    what: str
    preset: Preset
    ports: str
    scan_id: str
    permission: Permission
    priority: int = 0
    rate: int = 0
    constraints: Constraints = Constraints()
    windows: tuple[str, ...] = ()
    schedule: str = ""
    left_out: tuple[str, ...] = ()
    addresses: int = 0


class Held(NamedTuple):
    """A lease that a node holds, or held until now."""

    node: str
    lease: str
    leased: datetime


class Windowed(NamedTuple):
    """A running job and when it may run."""

    job: str
    windows: tuple[str, ...]


def create(
    database: Database, new: NewJob, targets: Iterable[NewTarget], act: Act, *, max_waiting: int, job: str = ""
) -> JobRecord:
    """Keep a job and its targets in one transaction. The same id `job` again gives the job there is, unchanged.

    Raises `BadRequest`: `too_much_work` where more than `max_waiting` targets would wait, `nothing_to_scan`.
    """
    job = job or f"job-{secrets.token_hex(10)}"

    def work(connection: Connection) -> tuple[JobRecord, list[Entry]]:
        made = connection.execute(_INSERT, _columns(new, job, act)).fetchone()
        if made is None:
            return _get(connection, job), []
        total, addresses = _insert_targets(connection, made[0], targets, act.now, max_waiting)
        connection.execute(
            "UPDATE job SET total = %s, addresses = %s WHERE num = %s", [total, new.addresses or addresses, made[0]]
        )
        return _get(connection, job), [jobrows.entry(connection, "job.created", job, act.now)]

    return commit(database, work)


def _columns(new: NewJob, job: str, act: Act) -> dict[str, object]:
    return {
        "id": job,
        "account": new.account,
        "now": act.now,
        "by": act.by,
        "what": new.what,
        "preset": encode(new.preset).decode(),
        "tools": list(new.preset.tools),
        "raw": new.preset.raw,
        "ports": new.ports,
        "rate": new.rate,
        "priority": new.priority,
        "scan_id": new.scan_id,
        "permission": encode(new.permission).decode(),
        "node": new.constraints.node,
        "region": new.constraints.region,
        "relay": new.constraints.relay,
        "windows": list(new.windows),
        "schedule": new.schedule,
        "left_out": list(new.left_out),
        "addresses": new.addresses,
    }


def _insert_targets(
    connection: Connection, job: int, targets: Iterable[NewTarget], now: datetime, max_waiting: int
) -> tuple[int, int]:
    """How many there are, of how many addresses."""
    room = max_waiting - _waiting(connection, max_waiting)
    total, first, last, addresses = 0, 0, 0, 0
    for batch in _batches(targets):
        total += len(batch)
        if total > room:
            raise BadRequest(
                f"More than {max_waiting} targets would wait.",
                reason="too_much_work",
                hint="Wait until some are done, cancel some, or raise work.max_waiting.",
            )
        rows = encode([target._asdict() for target in batch]).decode()
        _, low, high, found = one(connection.execute(_TARGETS, {"job": job, "now": now, "rows": rows}))
        first, last, addresses = first or low, high, addresses + found
    if not total:
        raise BadRequest("There is nothing to scan.", reason="nothing_to_scan", field="targets")
    connection.execute("UPDATE job SET first = %s, last = %s WHERE num = %s", [first, last, job])
    return total, addresses


def _batches(targets: Iterable[NewTarget]) -> Iterator[list[NewTarget]]:
    walk = iter(targets)
    while batch := list(itertools.islice(walk, _BATCH)):
        yield batch


def _waiting(connection: Connection, most: int) -> int:
    """How many targets wait; beyond `most` it does not matter."""
    counted = "SELECT count(*) FROM (SELECT FROM target WHERE state = 'waiting' LIMIT %s) w"
    return one(connection.execute(counted, [most]))[0]


def find(database: Database, job: str) -> JobRecord | None:
    """The job of this id."""
    with database.connection() as connection:
        return _find(connection, job)


def get(database: Database, job: str) -> JobRecord:
    """The job of this id; raises `NotFound("unknown_job")`."""
    with database.connection() as connection:
        return _get(connection, job)


def _find(connection: Connection, job: str) -> JobRecord | None:
    rows = connection.execute(f"{jobrows.RECORD} WHERE id = %s", [job[:100]]).fetchall()
    return jobrows.records(connection, rows)[0] if rows else None


def _get(connection: Connection, job: str) -> JobRecord:
    record = _find(connection, job)
    if record is None:
        raise jobrows.unknown(job)
    return record


def page(
    database: Database, *, state: JobState | Literal[""] = "", account: str = "", limit: int = 100, cursor: str = ""
) -> tuple[list[JobRecord], str]:
    """Jobs, newest first, and the cursor of the next page (empty: none); of one state or account where that is given.

    Raises `BadRequest` naming `cursor`.
    """
    with database.connection() as connection:
        rows = connection.execute(
            f"""{jobrows.RECORD} WHERE num < %(before)s AND (%(account)s = '' OR account = %(account)s)
              AND (%(state)s = '' OR %(state)s = CASE WHEN decision = 'cancelled' THEN decision
                                                       WHEN ended IS NOT NULL THEN 'done' ELSE decision END)
            ORDER BY num DESC LIMIT %(limit)s""",
            {"before": _after(cursor, "jobs", 2**63 - 1), "account": account, "state": state, "limit": limit + 1},
        ).fetchall()
        records = jobrows.records(connection, rows[:limit])
    return records, _more(rows, limit, "jobs")


def preset(database: Database, job: str) -> Preset:
    """The preset as it was when the job was made; raises `NotFound("unknown_job")`."""
    with database.connection() as connection:
        row = connection.execute("SELECT preset FROM job WHERE id = %s", [job[:100]]).fetchone()
    if row is None:
        raise jobrows.unknown(job)
    return jobrows.preset(row[0])


def windows(database: Database) -> list[Windowed]:
    """The running jobs that have time windows."""
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT id, windows FROM job WHERE decision = 'running' AND ended IS NULL AND windows <> '{}' ORDER BY num"
        ).fetchall()
    return [Windowed(job, tuple(said)) for job, said in rows]


# What people decide --------------------------------------------------------------------------------------------------


def cancel(database: Database, job: str, act: Act, reason: str) -> list[Held]:
    """End a job: what waits or is being scanned is cancelled; results that are stored are still read.

    Returns the leases that ended by it. A job that has ended stays as it is. Raises `NotFound("unknown_job")`.
    """

    def work(connection: Connection) -> tuple[list[Held], list[Entry]]:
        row = jobrows.hold(connection, job)
        if row.ended is not None or row.decision == "cancelled":
            return [], []
        _decide(connection, job, "cancelled", reason, act)
        why = {"job": row.num, "now": act.now, "reason": reason[:_MAX_REASON] or f"Cancelled by {act.by}."}
        leases = [found[0] for found in connection.execute(_CANCEL, why).fetchall()]
        ended = connection.execute(_END_LEASES, {"leases": leases, **why}).fetchall()
        jobrows.finish(connection, act.now, [row.num])
        held = [Held(node, lease.hex, leased) for node, lease, leased in ended]
        return held, [jobrows.entry(connection, "job.cancelled", job, act.now)]

    return commit(database, work)


def pause(database: Database, job: str, act: Act) -> JobRecord:
    """Hand out nothing more of a job. Raises `NotFound`, or `BadRequest("job_ended")`."""
    return _steer(database, job, "paused", act)


def resume(database: Database, job: str, act: Act) -> JobRecord:
    """Hand its targets out again. Raises `NotFound`, or `BadRequest("job_ended")`."""
    return _steer(database, job, "running", act)


def _steer(database: Database, job: str, decision: jobrows.Decision, act: Act) -> JobRecord:
    def work(connection: Connection) -> tuple[JobRecord, list[Entry]]:
        row = _going(connection, job)
        if row.decision == decision:
            return _get(connection, job), []
        _decide(connection, job, decision, "", act)
        kind = "job.paused" if decision == "paused" else "job.resumed"
        return _get(connection, job), [jobrows.entry(connection, kind, job, act.now)]

    return commit(database, work)


def prioritise(database: Database, job: str, priority: int, act: Act) -> JobRecord:
    """Give a job another priority (-100..100). Raises `NotFound`, or `BadRequest("job_ended")`."""

    def work(connection: Connection) -> tuple[JobRecord, list[Entry]]:
        _going(connection, job)
        changed = connection.execute(
            "UPDATE job SET priority = %(priority)s, changed = %(now)s, by = %(by)s"
            " WHERE id = %(id)s AND priority <> %(priority)s",
            {"priority": priority, "now": act.now, "by": act.by, "id": job},
        ).rowcount
        entries = [jobrows.entry(connection, "job.priority", job, act.now)] if changed else []
        return _get(connection, job), entries

    return commit(database, work)


def retry(database: Database, job: str, act: Act, targets: Sequence[int] = ()) -> int:
    """Let targets in review and cancelled ones wait again, with all attempts: all of the job's, or those named.

    Returns how many; the job runs again if it had ended. Raises `NotFound("unknown_job")`.
    """

    def work(connection: Connection) -> tuple[int, list[Entry]]:
        row = jobrows.hold(connection, job)
        again = connection.execute(_RETRY, {"job": row.num, "now": act.now, "targets": list(targets)}).rowcount
        if not again:
            return 0, []
        decision = "running" if row.ended or row.decision == "cancelled" else row.decision
        _decide(connection, job, decision, "", act)
        connection.execute("UPDATE job SET ended = NULL, counts = NULL WHERE num = %s", [row.num])
        return again, [jobrows.entry(connection, "job.retried", job, act.now)]

    return commit(database, work)


def _going(connection: Connection, job: str) -> jobrows.Row:
    row = jobrows.hold(connection, job)
    if row.ended is not None or row.decision == "cancelled":
        raise jobrows.over(job)
    return row


def _decide(connection: Connection, job: str, decision: jobrows.Decision, reason: str, act: Act) -> None:
    connection.execute(
        "UPDATE job SET decision = %s, reason = %s, changed = %s, by = %s WHERE id = %s",
        [decision, reason[:_MAX_REASON], act.now, act.by, job],
    )


def finish(database: Database, now: datetime) -> list[str]:
    """The jobs that have nothing open any more end now. Returns which."""
    with database.transaction() as connection:
        connection.execute(_STRAYS, {"now": now})
        return jobrows.finish(connection, now)


def details(database: Database) -> dict[str, dict[str, object]]:
    """What the newest provenance entry of each job has to say, as the rows are now."""
    with database.connection() as connection:
        return jobrows.details(connection)


# Targets -------------------------------------------------------------------------------------------------------------


def targets(
    database: Database, job: str, *, state: TargetState | Literal[""] = "", limit: int = 100, cursor: str = ""
) -> tuple[list[TargetRecord], str]:
    """The targets of a job in order, without their history, and the cursor of the next page.

    Raises `NotFound("unknown_job")`, or `BadRequest` naming `cursor`.
    """
    purpose = f"targets of {job}"
    after = _after(cursor, purpose, 0)
    with database.connection() as connection:
        row = connection.execute("SELECT num, first, last FROM job WHERE id = %s", [job[:100]]).fetchone()
        if row is None:
            raise jobrows.unknown(job)
        number, first, last = row
        rows = connection.execute(
            f"""{targetrows.RECORD} WHERE t.job = %(job)s AND t.num BETWEEN %(first)s AND %(last)s
              AND (%(state)s = '' OR t.state = %(state)s) ORDER BY t.num LIMIT %(limit)s""",
            {"job": number, "first": max(first, after + 1), "last": last, "state": state, "limit": limit + 1},
        ).fetchall()
    return [targetrows.record(found) for found in rows[:limit]], _more(rows, limit, purpose)


def target(database: Database, number: int) -> TargetRecord:
    """One target with every attempt; raises `NotFound("unknown_target")`."""
    with database.connection() as connection:
        row = connection.execute(f"{targetrows.RECORD} WHERE t.num = %s", [number]).fetchone()
        if row is None:
            raise targetrows.unknown(number)
        return targetrows.record(row, targetrows.histories(connection, [number])[number])


def in_review(database: Database, *, limit: int = 100, cursor: str = "") -> tuple[list[TargetRecord], str]:
    """Targets of all jobs that a person has to look at, newest first, with every attempt."""
    with database.connection() as connection:
        rows = connection.execute(
            f"{targetrows.RECORD} WHERE t.state = 'review' AND t.num < %s ORDER BY t.num DESC LIMIT %s",
            [_after(cursor, "review", 2**63 - 1), limit + 1],
        ).fetchall()
        histories = targetrows.histories(connection, [row[0] for row in rows[:limit]])
    return [targetrows.record(row, histories[row[0]]) for row in rows[:limit]], _more(rows, limit, "review")


def _after(cursor: str, purpose: str, otherwise: int) -> int:
    return cursors.read(cursor, _Key, purpose).num if cursor else otherwise


def _more(rows: Sequence[tuple[Any, ...]], limit: int, purpose: str) -> str:
    """The cursor after `limit` rows that begin with their number, where there are more."""
    return cursors.write(_Key(rows[limit - 1][0]), purpose) if len(rows) > limit else ""

"""The row of a job: held while it changes, as a record, and as its provenance entry tells of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

import msgspec

from spectra.errors import BadRequest, NotFound
from spectra.model.presets import Preset
from spectra.model.work import Constraints, JobRecord, Permission, TargetCounts
from spectra.store.database import Connection, one
from spectra.store.provenance import Entry

Decision = Literal["running", "paused", "cancelled"]
RECORD: Final = """
SELECT num, id, account, created, decision, reason, what, preset::json->>'name', ports, priority, scan_id, permission,
       node, region, relay, windows, schedule, left_out, addresses, total, ended, counts
FROM job"""
_DETAIL: Final = """
SELECT id, account, created, decision, reason, changed, by, what, preset, ports, rate, priority, scan_id, permission,
       node, region, relay, windows, schedule, left_out, addresses, total
FROM job"""
_NAMES: Final = tuple(name.strip() for name in _DETAIL.partition("FROM")[0].strip().removeprefix("SELECT").split(","))
_COUNT: Final = """
SELECT job, state, count(*), sum(found)::int8, sum(findings)::int8 FROM target WHERE job = ANY(%s::int8[])
GROUP BY job, state"""
# The open targets of a job that goes on are at its end: read backwards, one is found at once among all that have ended.
_FINISH: Final = """
UPDATE job j SET ended = coalesce(ended, %(now)s), counts = (
  SELECT json_build_object(
    'waiting', 0, 'leased', 0, 'submitted', 0, 'done', count(*) FILTER (WHERE state = 'done'),
    'review', count(*) FILTER (WHERE state = 'review'), 'cancelled', count(*) FILTER (WHERE state = 'cancelled'),
    'found', coalesce(sum(found), 0), 'findings', coalesce(sum(findings), 0))::text
  FROM target t WHERE t.job = j.num)
WHERE j.counts IS NULL AND (%(jobs)s::int8[] IS NULL OR j.num = ANY(%(jobs)s::int8[]))
  AND (SELECT num FROM target WHERE job = j.num AND state = 'waiting' ORDER BY num DESC LIMIT 1) IS NULL
  AND (SELECT num FROM target WHERE job = j.num AND state = 'leased' ORDER BY num DESC LIMIT 1) IS NULL
  AND (SELECT num FROM target WHERE job = j.num AND state = 'submitted' ORDER BY num DESC LIMIT 1) IS NULL
RETURNING j.id"""


class Row(NamedTuple):
    """What a change of a job has to know of it."""

    num: int
    decision: Decision
    ended: datetime | None


class Tally(msgspec.Struct, frozen=True):
    """How many targets of a job are in which state, and what was found."""

    waiting: int = 0
    leased: int = 0
    submitted: int = 0
    done: int = 0
    review: int = 0
    cancelled: int = 0
    found: int = 0
    findings: int = 0


def hold(connection: Connection, job: str) -> Row:
    """The job, as it stays until the transaction ends; raises `NotFound`. To be held before any target of it."""
    row = connection.execute(
        "SELECT num, decision, ended FROM job WHERE id = %s FOR NO KEY UPDATE", [job[:100]]
    ).fetchone()
    if row is None:
        raise unknown(job)
    return Row(*row)


def number(connection: Connection, job: str) -> int:
    """The number of a job; raises `NotFound`."""
    row = connection.execute("SELECT num FROM job WHERE id = %s", [job[:100]]).fetchone()
    if row is None:
        raise unknown(job)
    return row[0]


def unknown(job: str) -> NotFound:
    """There is no such job."""
    return NotFound(f"There is no job {job[:80]}.", reason="unknown_job", hint="`spectra jobs` shows all.")


def over(job: str) -> BadRequest:
    """For who wants something of a job that has ended."""
    return BadRequest(
        f"{job} has ended.",
        reason="job_ended",
        field="job",
        hint=f"`spectra jobs retry {job}` tries again what failed.",
    )


def finish(connection: Connection, now: datetime, jobs: Sequence[int] | None = None) -> list[str]:
    """End the jobs (numbers; None: all) that have no open target, as far as this transaction sees. Returns their ids.

    Two that each end one of the last two targets may both see an open one: whoever looks again later ends the job.
    """
    rows = connection.execute(_FINISH, {"now": now, "jobs": list(jobs) if jobs is not None else None})
    return sorted(row[0] for row in rows)


def entry(connection: Connection, kind: str, job: str, now: datetime) -> Entry:
    """What is put on record of a change: the job as it is now."""
    return Entry(kind, job, told(one(connection.execute(f"{_DETAIL} WHERE id = %s", [job]))), now)


def details(connection: Connection) -> dict[str, dict[str, object]]:
    """What the newest provenance entry of each job has to say, as the rows are now."""
    return {row[0]: told(row) for row in connection.execute(_DETAIL)}


def told(row: tuple[Any, ...]) -> dict[str, object]:
    """A row of the columns that are on record."""
    return dict(zip(_NAMES, row, strict=True))


def records(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> list[JobRecord]:
    """The records of rows of `RECORD`: those of jobs that go on are counted now."""
    going = [row[0] for row in rows if row[-1] is None]
    counted: dict[int, dict[str, int]] = {}
    for num, state, count, found, findings in connection.execute(_COUNT, [going]) if going else ():
        tally = counted.setdefault(num, {"found": 0, "findings": 0})
        tally[state] = count
        tally["found"] += found
        tally["findings"] += findings
    return [_record(row, counted.get(row[0], {})) for row in rows]


def _record(row: tuple[Any, ...], counted: dict[str, int]) -> JobRecord:
    (_, job, account, created, decision, reason, what, preset, ports, priority, scan_id, permission, *others) = row
    node, region, relay, windows, schedule, left_out, addresses, total, ended, counts = others
    tally = msgspec.json.decode(counts, type=Tally) if counts else msgspec.convert(counted, Tally)
    return JobRecord(
        job=job,
        account=account,
        created=created,
        state="cancelled" if decision == "cancelled" else "done" if ended else decision,
        what=what,
        preset=preset,
        ports=ports,
        priority=priority,
        scan_id=scan_id,
        permission=msgspec.json.decode(permission, type=Permission),
        addresses=addresses,
        total=total,
        counts=TargetCounts(tally.waiting, tally.leased, tally.submitted, tally.done, tally.review, tally.cancelled),
        constraints=Constraints(node=node, region=region, relay=relay),
        windows=tuple(windows),
        schedule=schedule,
        found=tally.found,
        findings=tally.findings,
        left_out=tuple(left_out),
        ended=ended,
        reason=reason,
    )


def preset(text: str) -> Preset:
    """A preset as it is stored."""
    return msgspec.json.decode(text, type=Preset)

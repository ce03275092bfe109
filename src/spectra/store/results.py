"""Results: the signed word of a machine on one lease, kept with what it brought, exactly once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import msgspec
import psycopg

from spectra.errors import BadRequest, NotFound, SpectraError
from spectra.model.results import ArtefactClaim, Result, ResultReceipt
from spectra.model.work import Outcome, TargetState
from spectra.store import attempts, jobrows
from spectra.store.attempts import Attempt, Standing, Terms
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry, flush
from spectra.store.targetrows import lease_id, unknown

Verdict = Literal["accepted", "late"]

_LEASE: Final = """
SELECT l.id, l.node, j.id, l.target, l.attempt, t.targets, j.scan_id, j.preset, l.leased, l.ended IS NULL
FROM lease l JOIN target t ON t.num = l.target JOIN job j ON j.num = t.job WHERE l.id = %s"""
_INSERT: Final = """
INSERT INTO result (lease, node, nonce, verdict, outcome, payload, signature, keyid, received)
VALUES (%(lease)s, %(node)s, %(nonce)s, %(verdict)s, %(outcome)s, %(payload)s, %(signature)s, %(keyid)s,
  %(received)s)"""
_LINK: Final = """
INSERT INTO result_observation (lease, observation)
SELECT %(lease)s, seq FROM observation WHERE observation_id = ANY(%(ids)s::bytea[])"""
_REOPEN: Final = """
UPDATE target SET state = 'submitted', since = %(now)s, reason = '' WHERE num = %(target)s"""
_RECEIPT: Final = """
SELECT r.verdict, r.received, ARRAY(SELECT encode(o.observation_id, 'hex') FROM result_observation b
  JOIN observation o ON o.seq = b.observation WHERE b.lease = r.lease ORDER BY o.seq)
FROM result r WHERE r.lease = %s"""
_TOLD: Final = """
SELECT r.lease, r.node, l.target, j.id, r.nonce, r.verdict, r.outcome, r.payload, r.signature, r.keyid, r.received
FROM result r JOIN lease l ON l.id = r.lease JOIN target t ON t.num = l.target JOIN job j ON j.num = t.job
WHERE r.lease = ANY(%s::uuid[])"""

_BROUGHT: Final = """
SELECT r.lease, r.payload,
  ARRAY(SELECT encode(o.observation_id, 'hex') FROM result_observation b JOIN observation o ON o.seq = b.observation
        WHERE b.lease = r.lease ORDER BY 1),
  ARRAY(SELECT concat_ws(' ', kind, name, media_type, encode(sha256, 'hex'), size) FROM artefact a
        WHERE a.lease = r.lease AND NOT EXISTS (
          SELECT FROM observation o WHERE o.seq = a.observation AND a.kind = 'raw' AND o.output_sha256 = a.sha256))
FROM result r WHERE r.lease = ANY(%s::uuid[])"""


class _Claims(msgspec.Struct):
    """What a signed result says that it brings."""

    observations: tuple[str, ...]
    artefacts: tuple[ArtefactClaim, ...]


class ResultTaken(SpectraError):
    """The result of this lease was committed by someone else meanwhile: look again and answer that."""

    reason = "result_taken"


class ResultRow(NamedTuple):
    """A verified result. `payload` is the canonical JSON that was signed, `signature` base64 as in the envelope."""

    result: Result
    payload: str
    signature: str
    keyid: str
    received: datetime


class Inserted(NamedTuple):
    """What became of a result, and what has to be put on record with it.

    `ingests`: the target is `submitted`, and its workflow has to run.
    """

    verdict: Verdict
    ingests: bool
    entries: list[Entry]


class Lease(NamedTuple):
    """What a result is checked against: whose lease it was, for what. `open`: it has not ended."""

    lease: str
    node: str
    job: str
    target: int
    attempt: int
    targets: tuple[str, ...]
    scan_id: str
    preset: str
    tools: tuple[str, ...]
    strict: bool
    leased: datetime
    open: bool


class Submitted(NamedTuple):
    """A target whose result is stored and not read yet."""

    target: int
    lease: str


def lease(database: Database, lease: str) -> Lease:
    """A lease, whether or not it has ended; raises `NotFound("unknown_lease")`."""
    with database.connection() as connection:
        row = connection.execute(_LEASE, [lease_id(lease)]).fetchone()
    if row is None:
        raise _unknown(lease)
    found, node, job, target, attempt, targets, scan_id, preset, leased, still = row
    how = jobrows.preset(preset)
    return Lease(
        lease=found.hex,
        node=node,
        job=job,
        target=target,
        attempt=attempt,
        targets=tuple(targets),
        scan_id=scan_id,
        preset=how.name,
        tools=how.tools,
        strict=how.bbot.strict,
        leased=leased,
        open=still,
    )


def verdict(connection: Connection, lease: str) -> Verdict:
    """What a result of this lease would be now; the target stays as it is until the transaction ends.

    For who has to know before `insert` (whether observations get a workflow of their own). Raises
    `NotFound("unknown_lease")`, or `ResultTaken` where there is one.
    """
    return _verdict(_held(connection, lease), "done")


def _verdict(held: Standing, outcome: Outcome) -> Verdict:
    """`accepted` also where nobody has got the target since the lease expired: then it need not be scanned again."""
    if held.ended is None or (_given_up(held) and outcome in ("done", "partial")):
        return "accepted"
    return "late"


def _given_up(held: Standing) -> bool:
    """Whether its lease has expired, and its target still waits for the next."""
    return held.end == "expired" and held.state == "waiting" and held.newest


def _held(connection: Connection, lease: str) -> Standing:
    found = lease_id(lease)
    held = attempts.hold(connection, found) if found else None
    if held is None:
        raise _unknown(lease)
    if connection.execute("SELECT 1 FROM result WHERE lease = %s", [found]).fetchone():
        raise ResultTaken("The result of this lease was stored meanwhile.")
    return held


def insert(connection: Connection, row: ResultRow, terms: Terms, now: datetime) -> Inserted:
    """Keep a result in the transaction that has stored its observations; its lease ends and its target moves on.

    `accepted` also where the lease expired and nobody else has got the target yet: it waits no more. Raises
    `ResultTaken`, `NotFound("unknown_lease")`, or `BadRequest("nonce_replayed")`.
    """
    result = row.result
    held = _held(connection, result.lease)
    found = _verdict(held, result.outcome)
    _write(connection, row, found)
    told = Attempt(result.outcome, result.reason, result.message, result.tool, result.tool_version, stats=result.stats)
    if held.ended is None:
        attempts.end(connection, result.lease, told, terms, now)
    elif found == "accepted":
        attempts.amend(connection, UUID(hex=result.lease), told)
        connection.execute(_REOPEN, {"now": now, "target": held.target})
    else:
        end = "late" if held.end == "expired" else held.end
        attempts.amend(connection, UUID(hex=result.lease), told._replace(end=end))
    ingests = found == "accepted" and result.outcome in ("done", "partial")
    detail = one(connection.execute(_TOLD, [[UUID(hex=result.lease)]]))
    return Inserted(found, ingests, [Entry(f"result.{found}", result.lease, _told(detail), now)])


def _write(connection: Connection, row: ResultRow, found: Verdict) -> None:
    result = row.result
    try:
        connection.execute(
            _INSERT,
            {
                "lease": UUID(hex=result.lease),
                "node": result.node,
                "nonce": result.nonce,
                "verdict": found,
                "outcome": result.outcome,
                "payload": row.payload,
                "signature": row.signature,
                "keyid": row.keyid,
                "received": row.received,
            },
        )
    except psycopg.errors.UniqueViolation as error:  # of the nonce: whoever writes this lease's holds its target
        raise BadRequest(
            "The nonce of this result was used before.", reason="nonce_replayed", hint="Sign it again."
        ) from error
    ids = [bytes.fromhex(found) for found in result.observations]
    linked = connection.execute(_LINK, {"lease": UUID(hex=result.lease), "ids": ids}).rowcount
    if linked != len(set(ids)):
        raise NotFound("Not all observations of this result are stored.", reason="unknown_observation")


def _unknown(lease: str) -> NotFound:
    return NotFound(
        f"There is no lease {lease[:40]}.", reason="unknown_lease", hint="It was never given, or by another mesh."
    )


def receipt(database: Database, lease: str) -> ResultReceipt | None:
    """The receipt of the result of this lease, once it is on disk, as a duplicate is answered."""
    with database.connection() as connection:
        row = connection.execute(_RECEIPT, [lease_id(lease)]).fetchone()
    if row is None:
        return None
    flush(database)
    verdict, received, observations = row
    return ResultReceipt(lease, verdict, received, tuple(observations), duplicate=True)


def reject(
    database: Database, node: str, lease: str, *, reason: str, message: str, terms: Terms, now: datetime
) -> TargetState | None:
    """End a lease of `node` whose result is not believed; counts as an attempt. None where it holds no such lease."""
    with database.transaction() as connection:
        return attempts.end(connection, lease, Attempt("rejected", reason, message), terms, now, node=node)


def submitted(database: Database, older_than: datetime, limit: int = 1000) -> list[Submitted]:
    """Targets that have been `submitted` since before, oldest first: their workflow may have to be started again."""
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT num, lease FROM target WHERE state = 'submitted' AND since < %s ORDER BY since, num LIMIT %s",
            [older_than, limit],
        ).fetchall()
    return [Submitted(target, found.hex) for target, found in rows]


def settle(
    where: Connection | Database,
    target: int,
    lease: str,
    *,
    found: int,
    findings: int,
    terms: Terms,
    now: datetime,
    failed: str = "",
) -> TargetState:
    """The result is read: a target whose attempt was `done` is done, after a `partial` one it waits again (or goes to
    review). `failed` says why its observations could not be read: that goes to review. Harmless to repeat.

    Returns what the target is now. Raises `NotFound("unknown_target")`.
    """
    if isinstance(where, Database):
        with where.transaction() as connection:
            return settle(
                connection, target, lease, found=found, findings=findings, terms=terms, now=now, failed=failed
            )
    held = attempts.hold(where, found_lease) if (found_lease := lease_id(lease)) else None
    if held is None or held.target != target:
        raise unknown(target)
    if held.state != "submitted" or not held.newest:
        return held.state
    where.execute("UPDATE target SET found = %s, findings = %s WHERE num = %s", [found, findings, target])
    told = one(where.execute('SELECT "end", reason, message FROM lease WHERE id = %s', [found_lease]))
    attempt = Attempt(*told)
    if failed:
        then = attempts.Next("review", held.attempts, held.returns)
    elif attempt.end == "partial":
        then = attempts.after_partial(held, terms, now)
    else:
        then = attempts.Next("done", held.attempts, held.returns)
    attempts.move(where, held, then, attempt, now, reason=failed)
    return then.state


# On record -----------------------------------------------------------------------------------------------------------


def details(database: Database, leases: Sequence[str]) -> dict[str, dict[str, object]]:
    """What the provenance entry of each of these results has to say, as the rows are now; and what it cannot say, where
    its observations or artefacts are not those that were signed.
    """
    ids = [found for text in leases if (found := lease_id(text))]
    with database.connection() as connection:
        told = {row[0].hex: _told(row) for row in connection.execute(_TOLD, [ids])}
        for found, payload, *brought in connection.execute(_BROUGHT, [ids]).fetchall():
            if wrong := _unsigned(payload, *brought):
                told[found.hex]["brought"] = wrong
    return told


def _unsigned(payload: str, observations: list[str], artefacts: list[str]) -> str:
    """What is not as it was signed; empty: nothing."""
    try:
        signed = msgspec.json.decode(payload, type=_Claims)
    except msgspec.DecodeError:
        return "no result"
    claimed = sorted(f"{a.kind} {a.name} {a.media_type} {a.sha256} {a.size}" for a in signed.artefacts)
    if sorted(signed.observations) != observations:
        return "other observations"
    return "" if claimed == sorted(artefacts) else "other artefacts"


def every_lease(database: Database) -> list[str]:
    """The leases that have a result."""
    with database.connection() as connection:
        return [row[0].hex for row in connection.execute("SELECT lease FROM result ORDER BY lease")]


def _told(row: tuple[Any, ...]) -> dict[str, object]:
    lease, node, target, job, nonce, verdict, outcome, payload, signature, keyid, received = row
    return {
        "lease": lease.hex,
        "node": node,
        "target": target,
        "job": job,
        "nonce": nonce,
        "verdict": verdict,
        "outcome": outcome,
        "payload": hashlib.sha256(payload.encode()).hexdigest(),
        "signature": signature,
        "keyid": keyid,
        "received": received,
    }

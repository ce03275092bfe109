"""Accepted submissions: one row an envelope, and the receipt it is answered with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, cast

import msgspec
import psycopg

from spectra.errors import NotFound, SpectraError
from spectra.model.envelope import Counts, Payload, Problem, Receipt
from spectra.model.observation import ScanFacts
from spectra.model.records import ObservationRecord
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import flush
from spectra.store.rows import encode

Status = Literal["accepted", "merged", "failed"]

MAX_PROBLEMS = 100  # kept of one submission; the count tells of all


class NonceTaken(SpectraError):
    """The nonce (or the very submission) was committed by someone else meanwhile: look again and answer that."""

    reason = "nonce_taken"


class Accepted(NamedTuple):
    """What the gate let through, as the store needs it."""

    observation_id: str
    payload: Payload
    header: str
    signature: str
    keyid: str
    received: datetime
    blob_sha256: bytes
    workflow_id: str = ""


class Outcome(NamedTuple):
    """What became of a submission's content."""

    status: Status
    format: str = ""
    facts: ScanFacts = ScanFacts()
    counts: Counts = Counts()
    problems: tuple[Problem, ...] = ()
    error: str = ""


class Pending(NamedTuple):
    """An accepted submission whose content is not in the graph yet."""

    seq: int
    observation_id: str
    header: str
    blob_sha256: bytes
    attempts: int
    received: datetime


def insert(connection: Connection, accepted: Accepted, status: Status) -> tuple[int, float]:
    """Write the row that makes a submission accepted; returns (seq, trust of the contributor).

    The UNIQUE constraints are what makes replay protection and idempotence hold between processes: `NonceTaken`.
    """
    p = accepted.payload
    try:
        row = one(
            connection.execute(
                """INSERT INTO observation (observation_id, contributor, nonce, keyid, signature, header, received,
                     trust, scan_id, scan_type, output_sha256, blob_sha256, status, workflow_id)
                   SELECT %s, c.name, %s, %s, %s, %s, %s, c.trust, %s, %s, %s, %s, %s, %s
                   FROM contributor c WHERE c.name = %s RETURNING seq, trust""",
                [
                    bytes.fromhex(accepted.observation_id),
                    p.nonce,
                    accepted.keyid,
                    accepted.signature,
                    accepted.header,
                    accepted.received,
                    p.scan_id,
                    p.scan_type,
                    bytes.fromhex(p.output.sha256),
                    accepted.blob_sha256,
                    status,
                    accepted.workflow_id,
                    p.contributor,
                ],
            )
        )
    except psycopg.errors.UniqueViolation as error:
        raise NonceTaken("This submission was accepted meanwhile.") from error
    return row[0], row[1]


def settle(connection: Connection, seq: int, outcome: Outcome) -> None:
    """Note what became of the content of submission `seq`."""
    connection.execute(
        "UPDATE observation SET status = %s, format = %s, facts = %s, counts = %s, problems = %s, error = %s"
        " WHERE seq = %s",
        [
            outcome.status,
            outcome.format,
            encode(outcome.facts).decode(),
            encode(outcome.counts).decode(),
            encode(outcome.problems[:MAX_PROBLEMS]).decode(),
            outcome.error,
            seq,
        ],
    )


def claim(connection: Connection, observation_id: str) -> Pending | None:
    """Lock an accepted submission for merging; None when it has been settled already (exactly once)."""
    row = connection.execute(
        "SELECT seq, encode(observation_id, 'hex'), header, blob_sha256, attempts, received FROM observation"
        " WHERE observation_id = %s AND status = 'accepted' FOR UPDATE",
        [bytes.fromhex(observation_id)],
    ).fetchone()
    return Pending(*row) if row else None


def pending(database: Database, limit: int = 1000) -> list[Pending]:
    """Accepted submissions not merged yet, oldest first, without those that are part of a target's result."""
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT seq, encode(observation_id, 'hex'), header, blob_sha256, attempts, received FROM observation"
            " WHERE status = 'accepted' AND NOT starts_with(workflow_id, 'target-') ORDER BY seq LIMIT %s",
            [limit],
        ).fetchall()
    return [Pending(*row) for row in rows]


def failed_workflows(database: Database, limit: int) -> list[str]:
    """The workflows of the newest submissions that could not be read."""
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT workflow_id FROM observation WHERE status = 'failed' AND workflow_id <> ''"
            " ORDER BY seq DESC LIMIT %s",
            [limit],
        ).fetchall()
    return [row[0] for row in rows]


def count_attempt(database: Database, pending: Pending) -> bool:
    """Count one more attempt to merge a submission; False where it was settled or somebody else did so meanwhile."""
    with database.connection() as connection:
        counted = connection.execute(
            "UPDATE observation SET attempts = attempts + 1 WHERE seq = %s AND attempts = %s AND status = 'accepted'",
            [pending.seq, pending.attempts],
        )
    return counted.rowcount == 1


def nonce_owner(database: Database, contributor: str, nonce: str) -> str | None:
    """The observation id (hex) that used this nonce, if one did."""
    with database.connection() as connection:
        row = connection.execute(
            "SELECT encode(observation_id, 'hex') FROM observation WHERE contributor = %s AND nonce = %s",
            [contributor, nonce],
        ).fetchone()
    return row[0] if row else None


def receipt(database: Database, observation_id: str, *, duplicate: bool = False) -> Receipt:
    """The receipt of an accepted submission. A duplicate's first may have committed a moment ago: its flush is
    waited for, so that this answer promises no less than the first's.
    """
    record = get(database, observation_id)
    if duplicate:
        flush(database)
    return Receipt(
        observation_id=record.observation_id,
        status=cast(Status, record.status),
        received=record.received,
        format=record.format,
        counts=record.counts,
        problems=record.problems,
        duplicate=duplicate,
        workflow_id=record.workflow_id,
        error=record.error,
    )


def known_outputs(database: Database, contributor: str, digests: Sequence[str]) -> dict[str, str]:
    """Which of these output SHA-256 (hex) this contributor has had accepted: {output: observation id}."""
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT encode(output_sha256, 'hex'), encode(min(observation_id), 'hex') FROM observation"
            " WHERE output_sha256 = ANY(%s) AND contributor = %s AND status <> 'failed' GROUP BY output_sha256",
            [[bytes.fromhex(d) for d in digests], contributor],
        ).fetchall()
    if rows:
        flush(database)  # the caller will not send these again
    return dict(rows)


def open_endpoints(database: Database, ids: Sequence[str]) -> int:
    """How many open endpoints these submissions (ids in hex) told of, each once."""
    with database.connection() as connection:
        row = connection.execute(
            """SELECT count(DISTINCT (s.ip, p.port)) FROM observation o JOIN sighting s ON s.observation = o.seq
               CROSS JOIN LATERAL unnest(s.ports, string_to_array(s.states, NULL)) AS p (port, state)
               WHERE o.observation_id = ANY(%s) AND p.state = 'o'""",
            [[bytes.fromhex(name) for name in ids]],
        )
        return int(one(row)[0])


_SELECT = """
SELECT seq, encode(observation_id, 'hex'), status, received, header, contributor, keyid, trust, format, facts, counts,
       problems, workflow_id, error, encode(blob_sha256, 'hex')
FROM observation"""


def get(database: Database, observation_id: str) -> ObservationRecord:
    """One submission as stored; raises `NotFound`."""
    with database.connection() as connection:
        row = connection.execute(
            f"{_SELECT} WHERE observation_id = %s", [_digest_or_nothing(observation_id)]
        ).fetchone()
    if row is None:
        raise NotFound(f"There is no observation {observation_id[:80]}.", hint="`spectra observations list` shows all.")
    return _record(row)


def payload(database: Database, observation_id: str) -> Payload:
    """What was signed, without the output's bytes."""
    with database.connection() as connection:
        row = connection.execute(
            "SELECT header FROM observation WHERE observation_id = %s", [bytes.fromhex(observation_id)]
        ).fetchone()
    if row is None:
        raise NotFound(f"There is no observation {observation_id}.")
    return msgspec.json.decode(row[0], type=Payload)


def newest(database: Database, *, limit: int = 100, before: int | None = None) -> tuple[list[ObservationRecord], int]:
    """A page of submissions, newest first, and the `before` of the next page (0: none)."""
    with database.connection() as connection:
        rows = connection.execute(
            f"{_SELECT} WHERE seq < coalesce(%s, 9223372036854775807) ORDER BY seq DESC LIMIT %s", [before, limit + 1]
        ).fetchall()
    return [_record(row) for row in rows[:limit]], rows[limit - 1][0] if len(rows) > limit else 0


def _digest_or_nothing(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _record(row: tuple[Any, ...]) -> ObservationRecord:
    _, observation_id, status, received, header, contributor, keyid, trust, form, facts, counts, *rest = row
    problems, workflow_id, error, blob = rest
    payload = msgspec.json.decode(header, type=Payload)
    found = msgspec.convert(facts, ScanFacts, strict=False)
    return ObservationRecord(
        observation_id=observation_id,
        status=status,
        received=received,
        tool=found.tool or payload.tool,
        tool_version=found.tool_version or payload.tool_version,
        scan_id=payload.scan_id,
        scan_type=payload.scan_type,
        contributor=contributor,
        keyid=keyid,
        trust=trust,
        privacy=payload.privacy.value,
        source=payload.source,
        format=form,
        output_sha256=payload.output.sha256,
        output_size=payload.output.size,
        blob_sha256=blob,
        started=found.started or payload.started,
        finished=found.finished or payload.finished,
        counts=msgspec.convert(counts, Counts),
        problems=tuple(msgspec.convert(problems, list[Problem])),
        workflow_id=workflow_id,
        error=error,
    )

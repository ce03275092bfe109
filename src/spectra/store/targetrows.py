"""The row of a target, as a record, with its attempts where they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from spectra.errors import NotFound
from spectra.model.work import ENDED, AttemptRecord, Stats, TargetRecord, TargetState
from spectra.store.database import Connection

RECORD: Final = """
SELECT t.num, j.id, t.targets, t.network, t.state, j.created, t.attempts, t.node,
       coalesce(l.fraction, 0), CASE WHEN t.state = 'leased' THEN l.found ELSE t.found END, t.findings, t.reason,
       nullif(t.not_before, '-infinity'), t.since, r.lease
FROM target t JOIN job j ON j.num = t.job LEFT JOIN lease l ON l.id = t.lease
LEFT JOIN result r ON r.lease = t.lease AND r.verdict = 'accepted'"""
_HISTORY: Final = """
SELECT l.target, l.id, l.node, l.attempt, l.leased, l.heard, l."end", l.ended, l.fraction, l.found, l.note, l.reason,
       l.message, l.tool, l.tool_version, l.stats,
       ARRAY(SELECT encode(o.observation_id, 'hex') FROM result_observation b
             JOIN observation o ON o.seq = b.observation WHERE b.lease = l.id ORDER BY o.seq)
FROM lease l WHERE l.target = ANY(%s::int8[]) ORDER BY l.target, l.attempt"""


def unknown(target: int) -> NotFound:
    """There is no such target."""
    return NotFound(f"There is no target {target}.", reason="unknown_target", hint="`spectra jobs targets` shows them.")


def workflow_id(target: int, lease: str) -> str:
    """The workflow that reads the result of `lease`."""
    return f"target-{target}-{lease}"


def record(row: tuple[Any, ...], history: Sequence[AttemptRecord] = ()) -> TargetRecord:
    """The record of a row of `RECORD`."""
    (num, job, targets, network, state, created, attempts, node, fraction, found, findings, reason, *others) = row
    not_before, since, lease = others
    ended: TargetState = state
    return TargetRecord(
        target=num,
        job=job,
        targets=tuple(targets),
        network=network,
        state=state,
        created=created,
        attempts=attempts,
        node=node,
        fraction=round(fraction, 4),
        found=found,
        findings=findings,
        reason=reason,
        not_before=not_before if state == "waiting" else None,
        ended=since if ended in ENDED else None,
        workflow_id=workflow_id(num, lease.hex) if lease else "",
        history=tuple(history),
    )


def histories(connection: Connection, targets: Sequence[int]) -> dict[int, list[AttemptRecord]]:
    """Every attempt at these targets, oldest first."""
    found: dict[int, list[AttemptRecord]] = {target: [] for target in targets}
    for target, *rest in connection.execute(_HISTORY, [list(targets)]):
        found[target].append(_attempt(rest))
    return found


def _attempt(row: list[Any]) -> AttemptRecord:
    lease, node, attempt, leased, heard, end, ended, fraction, found, note, *others = row
    reason, message, tool, tool_version, stats, observations = others
    return AttemptRecord(
        lease=hexed(lease),
        node=node,
        attempt=attempt,
        leased=leased,
        heard=heard,
        end=end,
        ended=ended,
        fraction=round(fraction, 4),
        found=found,
        note=note,
        reason=reason,
        message=message,
        tool=tool,
        tool_version=tool_version,
        stats=msgspec.json.decode(stats, type=Stats) if stats else None,
        observations=tuple(observations),
    )


def hexed(lease: UUID) -> str:
    """The id of a lease as everybody says it: 32 hex digits."""
    return lease.hex


def lease_id(text: str) -> UUID | None:
    """The id that `text` says; None where it says none."""
    try:
        return UUID(hex=text) if len(text) == 32 else None
    except ValueError:
        return None

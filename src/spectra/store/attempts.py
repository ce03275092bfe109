"""How attempts end, and what becomes of their targets.

Every change of a target holds its row first and its lease's then, so that of all who would end an attempt (a result, a
machine that gives it back, silence, a person) one does.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from spectra.model.work import AttemptEnd, Stats, TargetState
from spectra.store import jobrows
from spectra.store.database import Connection, one
from spectra.store.targetrows import lease_id

BACK_OFF_S: Final = 5.0
MAX_BACK_OFF_S: Final = 600.0
MAX_RETURNS: Final = 100
"""Attempts that do not count, before a person has to look nevertheless."""
MAX_LEASES: Final = 1000
"""Of one target, however often it is tried again (model/work.py Order)."""
EXCLUDED: Final = frozenset({"no_tool", "not_here"})
"""Reasons that keep a machine from a target, and say nothing of the target."""
UNCOUNTED: Final = EXCLUDED | {"law_unknown", "busy", "leaving", "window"}
"""Reasons that make no attempt of it."""
MAX_REASON: Final = 2000

_HOLD: Final = """
SELECT t.num, t.job, t.attempts, t.returns, t.leases, t.state, j.decision, l.node, l.ended, l."end", t.lease = l.id
FROM lease l JOIN target t ON t.num = l.target JOIN job j ON j.num = t.job WHERE l.id = %s FOR UPDATE OF t"""
_END: Final = """
UPDATE lease SET ended = %(now)s, heard = CASE WHEN %(heard)s THEN greatest(heard, %(now)s) ELSE heard END,
  "end" = %(end)s, reason = %(reason)s, message = %(message)s, tool = %(tool)s, tool_version = %(tool_version)s,
  stats = %(stats)s, found = coalesce(%(found)s, found), fraction = CASE WHEN %(end)s = 'done' THEN 1 ELSE fraction END
WHERE id = %(id)s AND ended IS NULL AND (%(node)s = '' OR node = %(node)s)
  AND (%(cutoff)s::timestamptz IS NULL OR heard < %(cutoff)s)
RETURNING node"""
_MOVE: Final = """
UPDATE target SET state = %(state)s, since = %(now)s, attempts = %(attempts)s, returns = %(returns)s,
  not_before = %(not_before)s, reason = %(reason)s,
  excluded = CASE WHEN %(exclude)s = ANY(excluded) OR %(exclude)s = '' THEN excluded ELSE excluded || %(exclude)s END
WHERE num = %(target)s"""
_WHY: Final = """
SELECT attempt, node, "end", reason, message FROM lease WHERE target = %s AND ended IS NOT NULL
ORDER BY attempt DESC LIMIT 20"""


class Terms(NamedTuple):
    """How work is handed out (settings `work`). `network_rate`: most probes a second into one network, from all."""

    lease_s: float = 60.0
    attempts: int = 5
    per_node: int = 4
    per_network: int = 2
    network_rate: int = 1000


class Attempt(NamedTuple):
    """What is known of an attempt when it ends. `message` is for people, `reason` a word."""

    end: AttemptEnd
    reason: str = ""
    message: str = ""
    tool: str = ""
    tool_version: str = ""
    stats: Stats | None = None


class Standing(NamedTuple):
    """A target and one of its leases, as they are while the target's row is held; `newest`: it had no other since."""

    target: int
    job: int
    attempts: int
    returns: int
    leases: int
    state: TargetState
    decision: jobrows.Decision
    node: str
    ended: datetime | None
    end: AttemptEnd
    newest: bool


class Next(NamedTuple):
    """Where a target goes."""

    state: TargetState
    attempts: int
    returns: int
    not_before: datetime | None = None


def hold(connection: Connection, lease: UUID) -> Standing | None:
    """Hold the target of a lease until the transaction ends; None where there is no such lease."""
    if connection.execute(_HOLD, [lease]).fetchone() is None:
        return None
    # Who waited for the row has the lease as it was before; now nobody changes either.
    return Standing(*one(connection.execute(_HOLD, [lease])))


def end(
    connection: Connection,
    lease: str,
    attempt: Attempt,
    terms: Terms,
    now: datetime,
    *,
    node: str = "",
    cutoff: datetime | None = None,
) -> TargetState | None:
    """End an open lease in the caller's transaction, and move its target on: `done` and `partial` to `submitted`,
    the others back to waiting, or to review after the last attempt. None where it has ended, is not of `node` (if that
    is given), or was heard of since `cutoff`.
    """
    lease_uuid = lease_id(lease)
    held = hold(connection, lease_uuid) if lease_uuid else None
    if held is None or held.ended is not None:
        return None
    ended = connection.execute(
        _END,
        {
            "id": lease_uuid,
            "now": now,
            "heard": attempt.end != "expired",
            "node": node,
            "cutoff": cutoff,
            "found": attempt.stats.found if attempt.stats else None,
            **_facts(attempt),
        },
    ).fetchone()
    if ended is None:
        return None
    move(connection, held, then := _after(held, attempt, terms, now), attempt, now)
    good, bad = then.state == "submitted", attempt.reason not in UNCOUNTED
    connection.execute(
        "UPDATE worker SET done = done + %s, failed = failed + %s WHERE node = %s",
        [int(good), int(bad and not good), ended[0]],
    )
    return then.state


def _facts(attempt: Attempt) -> dict[str, object]:
    """What is kept of an attempt."""
    return {
        "end": attempt.end,
        "reason": attempt.reason,
        "message": attempt.message[:MAX_REASON],
        "tool": attempt.tool,
        "tool_version": attempt.tool_version,
        "stats": msgspec.json.encode(attempt.stats).decode() if attempt.stats else None,
    }


def amend(connection: Connection, lease: UUID, attempt: Attempt) -> None:
    """Note what a lease that has ended has told since."""
    connection.execute(
        'UPDATE lease SET "end" = %(end)s, reason = %(reason)s, message = %(message)s, tool = %(tool)s,'
        " tool_version = %(tool_version)s, stats = %(stats)s WHERE id = %(id)s",
        {"id": lease, **_facts(attempt)},
    )


def _after(held: Standing, attempt: Attempt, terms: Terms, now: datetime) -> Next:
    if attempt.end in ("done", "partial"):
        return Next("submitted", held.attempts + 1, held.returns)
    if attempt.reason in UNCOUNTED:
        return waiting(held._replace(returns=held.returns + 1), terms, _uncounted(attempt, now))
    attempts = held.attempts + 1
    wait = _back_off(attempts - 1 if attempt.end == "expired" else attempts)
    return waiting(held._replace(attempts=attempts), terms, now + timedelta(seconds=wait))


def waiting(held: Standing, terms: Terms, not_before: datetime) -> Next:
    """Where a target goes that would wait again: that, unless its job was cancelled or it was tried often enough."""
    if held.decision == "cancelled":
        return Next("cancelled", held.attempts, held.returns)
    worn = held.attempts >= terms.attempts or held.returns >= MAX_RETURNS or held.leases >= MAX_LEASES
    return Next("review" if worn else "waiting", held.attempts, held.returns, None if worn else not_before)


def _uncounted(attempt: Attempt, now: datetime) -> datetime:
    """When a target that was given back may be given again: at once to others, where that machine is kept from it."""
    return now if attempt.reason in EXCLUDED else now + timedelta(seconds=BACK_OFF_S)


def _back_off(failures: int) -> float:
    """Seconds to wait after so many failures; the first silence is the machine's, and costs its target nothing."""
    return min(BACK_OFF_S * 2 ** (failures - 1), MAX_BACK_OFF_S) if failures else 0.0


def after_partial(held: Standing, terms: Terms, now: datetime) -> Next:
    """Where a target goes whose partial result has been read."""
    return waiting(held, terms, now + timedelta(seconds=_back_off(held.attempts)))


def move(
    connection: Connection, held: Standing, then: Next, attempt: Attempt, now: datetime, *, reason: str = ""
) -> None:
    """Put a target where it goes, for `reason` where its attempts do not say it all; a job with nothing open ends."""
    if then.state == "review":
        reason = reason or why(connection, held.target)
    elif then.state in ("waiting", "cancelled"):
        reason = attempt.message or attempt.reason
    connection.execute(
        _MOVE,
        {
            "target": held.target,
            "now": now,
            "state": then.state,
            "attempts": then.attempts,
            "returns": then.returns,
            "not_before": then.not_before or datetime.min.replace(tzinfo=now.tzinfo),
            "reason": reason[:MAX_REASON],
            "exclude": held.node if attempt.reason in EXCLUDED else "",
        },
    )
    if then.state in ("done", "review", "cancelled"):
        jobrows.finish(connection, now, [held.job])


def why(connection: Connection, target: int) -> str:
    """What every attempt at a target came to, in words, the oldest first."""
    rows = connection.execute(_WHY, [target]).fetchall()
    return f"{len(rows)} attempts failed. {' '.join(_words(row) for row in reversed(rows))}"[:MAX_REASON]


def _words(row: tuple[Any, ...]) -> str:
    attempt, node, end, reason, message = row
    told = message or reason.replace("_", " ")
    return f"{attempt} ({node}): {end}{f', {told}' if told else ''}.".replace("..", ".")

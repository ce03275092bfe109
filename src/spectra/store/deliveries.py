"""Messages on their way to outlets. A row that waits is the outbox of the workflow that sends it.

An outlet's turn is one workflow that sends what is due there; it has a number, and the next begins when it has ended.
So one coordinator is at an outlet at a time, and messages keep their order.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta

from spectra.errors import BadRequest, NotFound
from spectra.model.alerts import DeliveryPage, DeliveryRecord, DeliveryState, Message
from spectra.model.outlets import OutletKind
from spectra.store import cursors
from spectra.store.database import Connection, Database, one
from spectra.store.outlets import Outlet

KEPT: Final = timedelta(days=90)
"""How long a message is kept after it was sent or given up."""
_MAX_ERROR: Final = 500
_PRUNED: Final = 5000

_TASK: Final = """
SELECT o.num, o.name, o.kind, o.target, o.secret, o.enabled, d.notification, d.attempts, n.at, n.message
FROM outlet o JOIN delivery d ON d.outlet = o.name JOIN notification n ON n.num = d.notification
WHERE o.num = %(num)s AND o.turn = %(turn)s AND o.enabled AND d.state = 'waiting' AND d.next <= %(now)s
ORDER BY d.notification LIMIT 1"""
_DUE: Final = """
SELECT o.num, o.name, o.turn FROM outlet o
WHERE o.enabled AND EXISTS (SELECT FROM delivery d WHERE d.outlet = o.name AND d.state = 'waiting' AND d.next <= %s)
ORDER BY o.num"""
_PAGE: Final = """
SELECT d.notification, d.outlet, d.state, d.attempts, d.next, d.delivered, d.error, n.message
FROM delivery d JOIN notification n ON n.num = d.notification
WHERE (d.notification, d.outlet) < (%(num)s, %(outlet_after)s) AND (%(outlet)s = '' OR d.outlet = %(outlet)s)
  AND (%(state)s = '' OR d.state = %(state)s) AND (%(alert)s = '' OR n.alert = %(alert)s)
ORDER BY d.notification DESC, d.outlet DESC LIMIT %(limit)s"""


class Turn(NamedTuple):
    """The turn of an outlet that is to begin, or is under way."""

    num: int
    name: str
    turn: int

    @property
    def workflow(self) -> str:
        """The id of its workflow; an outlet that was removed and made again has others."""
        return f"notify-{self.num}-{self.turn}"


class Task(NamedTuple):
    """A message that is to be sent now, `attempts` tries after it was written down `at`."""

    outlet: Outlet
    notification: int
    attempts: int
    at: datetime
    message: Message


class _Key(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page ended."""

    num: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    outlet: Annotated[str, Meta(max_length=60)]


# Sending -------------------------------------------------------------------------------------------------------------


def due(database: Database, now: datetime) -> tuple[Turn, ...]:
    """The outlets that have something to send."""
    with database.connection() as connection:
        return tuple(Turn(*row) for row in connection.execute(_DUE, [now]))


def next_due(database: Database) -> datetime | None:
    """When the next message is due, or was."""
    with database.connection() as connection:
        return one(
            connection.execute(
                "SELECT min(d.next) FROM delivery d JOIN outlet o ON o.name = d.outlet"
                " WHERE d.state = 'waiting' AND o.enabled"
            )
        )[0]


def take(database: Database, turn: Turn, now: datetime) -> Task | None:
    """The next message of a turn; None where there is none, or the turn is over."""
    with database.connection() as connection:
        row = connection.execute(_TASK, {"num": turn.num, "turn": turn.turn, "now": now}).fetchone()
    if row is None:
        return None
    message = msgspec.json.decode(row[9], type=Message)
    return Task(Outlet(*row[:6]), row[6], row[7], row[8], message)


def delivered(database: Database, task: Task, now: datetime) -> None:
    """It arrived."""
    _settle(database, task, "delivered", now)


def given_up(database: Database, task: Task, error: str, now: datetime) -> None:
    """It is not tried again."""
    _settle(database, task, "failed", now, error)


def postponed(database: Database, task: Task, error: str, again: datetime, now: datetime, *, all_of_it: bool) -> None:
    """It did not arrive, and is tried again. `all_of_it`: nor would the others, which wait as long."""
    with database.transaction() as connection:
        connection.execute(
            "UPDATE delivery SET attempts = attempts + 1, next = %s, error = %s"
            " WHERE notification = %s AND outlet = %s AND state = 'waiting'",
            [again, error[:_MAX_ERROR], task.notification, task.outlet.name],
        )
        if all_of_it:
            connection.execute(
                "UPDATE delivery SET next = %s, error = %s WHERE outlet = %s AND state = 'waiting' AND next <= %s",
                [again, error[:_MAX_ERROR], task.outlet.name, now],
            )
        _note(connection, task.outlet.num, now, error)


def end(database: Database, turn: Turn) -> None:
    """The turn is over: the next may begin. Again harmless."""
    with database.connection() as connection:
        connection.execute("UPDATE outlet SET turn = turn + 1 WHERE num = %s AND turn = %s", [turn.num, turn.turn])


def hasten(database: Database, kinds: Collection[OutletKind], now: datetime, *, outlet: str = "") -> int:
    """What could not be sent before by outlets of these kinds, or by `outlet`, is due now: it can be reached
    again. How many messages that are; those that wait for the end of quiet hours go on waiting.
    """
    with database.connection() as connection:
        return connection.execute(
            "UPDATE delivery d SET next = %(now)s FROM outlet o WHERE o.name = d.outlet AND d.state = 'waiting'"
            " AND d.next > %(now)s AND d.error <> '' AND (o.kind = ANY(%(kinds)s) OR o.name = %(outlet)s)",
            {"now": now, "kinds": list(kinds), "outlet": outlet},
        ).rowcount


def prune(database: Database, now: datetime) -> int:
    """Forget old messages, some at a time; how many."""
    with database.connection() as connection:
        return connection.execute(
            "DELETE FROM notification WHERE num IN (SELECT n.num FROM notification n WHERE n.at < %s AND NOT EXISTS"
            " (SELECT FROM delivery d WHERE d.notification = n.num AND d.state = 'waiting') ORDER BY n.at LIMIT %s)",
            [now - KEPT, _PRUNED],
        ).rowcount


# People --------------------------------------------------------------------------------------------------------------


def page(
    database: Database,
    *,
    outlet: str = "",
    state: DeliveryState | None = None,
    alert: str = "",
    cursor: str = "",
    limit: int = 100,
) -> DeliveryPage:
    """Messages and where they are, the newest first; raises `BadRequest` naming `cursor`."""
    after = cursors.read(cursor, _Key, "deliveries") if cursor else _Key(2**63 - 1, "")
    given = {"outlet": outlet, "state": state or "", "alert": alert, "limit": limit + 1}
    with database.connection() as connection:
        rows = connection.execute(_PAGE, {"num": after.num, "outlet_after": after.outlet, **given}).fetchall()
    kept = rows[:limit]
    following = cursors.write(_Key(kept[-1][0], kept[-1][1]), "deliveries") if len(rows) > limit else ""
    return DeliveryPage(tuple(_record(row) for row in kept), following)


def again(database: Database, notification: str, outlet: str, now: datetime) -> DeliveryRecord:
    """Try a message again that waits, was given up or dropped: now, and as long as a new one.

    Raises `NotFound` (`unknown_delivery`), and `BadRequest` where it arrived or its outlet is not in use.
    """
    with database.transaction() as connection:
        found = _find(connection, notification, outlet)
        if found.state == "delivered":
            raise BadRequest("This message has arrived.", reason="delivered")
        used = connection.execute("SELECT 1 FROM outlet WHERE name = %s AND enabled", [outlet]).fetchone()
        if used is None:
            raise BadRequest(f"The outlet {outlet} is not in use.", reason="outlet_off")
        connection.execute(
            "UPDATE delivery d SET state = 'waiting', attempts = 0, next = %s, error = '' FROM notification n"
            " WHERE n.num = d.notification AND n.id = %s AND d.outlet = %s",
            [now, notification, outlet],
        )
        return _find(connection, notification, outlet)


def _find(connection: Connection, notification: str, outlet: str) -> DeliveryRecord:
    row = connection.execute(
        "SELECT d.notification, d.outlet, d.state, d.attempts, d.next, d.delivered, d.error, n.message"
        " FROM delivery d JOIN notification n ON n.num = d.notification WHERE n.id = %s AND d.outlet = %s FOR UPDATE",
        [notification, outlet],
    ).fetchone()
    if row is None:
        raise NotFound("There is no such message.", reason="unknown_delivery")
    return _record(row)


def _settle(database: Database, task: Task, state: DeliveryState, now: datetime, error: str = "") -> None:
    with database.transaction() as connection:
        connection.execute(
            "UPDATE delivery SET state = %s, attempts = attempts + 1, next = NULL, delivered = %s, error = %s"
            " WHERE notification = %s AND outlet = %s AND state = 'waiting'",
            [
                state,
                now if state == "delivered" else None,
                error[:_MAX_ERROR],
                task.notification,
                task.outlet.name,
            ],
        )
        _note(connection, task.outlet.num, now, error)


def _note(connection: Connection, num: int, now: datetime, error: str) -> None:
    """The same as `outlets.tried`, in the transaction of the message."""
    connection.execute(
        "UPDATE outlet SET tried = %(now)s, error = %(error)s,"
        " delivered = CASE WHEN %(error)s = '' THEN %(now)s ELSE delivered END WHERE num = %(num)s",
        {"now": now, "error": error[:_MAX_ERROR], "num": num},
    )


def _record(row: tuple[Any, ...]) -> DeliveryRecord:
    _, outlet, state, attempts, following, arrived, error, text = row
    message = msgspec.json.decode(text, type=Message)
    return DeliveryRecord(
        notification=message.id,
        outlet=outlet,
        state=state,
        alert=message.alert,
        rule=message.rule,
        told=message.told,
        severity=message.severity,
        title=message.title,
        at=message.at,
        attempts=attempts,
        next=following,
        delivered=arrived,
        error=error,
    )

"""Messages on their way: in their order, one turn of an outlet at a time, until they arrive or are given up."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.store import deliveries, outlets
from spectra.store.database import Database
from tests.store.machines import ROOT, T0
from tests.store.outletsamples import note, outlet

pytestmark = pytest.mark.engine

MINUTE = timedelta(minutes=1)


def states(database: Database) -> dict[str, str]:
    """What became of each message."""
    return {one.notification: one.state for one in deliveries.page(database).deliveries}


def test_a_turn(database: Database) -> None:
    """The oldest message first; what has arrived is not taken again, nor anything by a turn that is over."""
    outlet(database, "a", T0)
    for number in (1, 2):
        note(database, number, T0, "a")
    (turn,) = deliveries.due(database, T0)
    first = deliveries.take(database, turn, T0)
    assert first is not None
    assert (first.message.id, first.outlet.name, first.attempts, first.at) == ("note-1", "a", 0, T0)
    deliveries.delivered(database, first, T0)
    second = deliveries.take(database, turn, T0)
    assert second is not None
    deliveries.given_up(database, second, "gone", T0)
    assert deliveries.take(database, turn, T0) is None
    assert states(database) == {"note-1": "delivered", "note-2": "failed"}
    note(database, 3, T0, "a")
    deliveries.end(database, turn)
    deliveries.end(database, turn)
    assert deliveries.take(database, turn, T0) is None
    (following,) = deliveries.due(database, T0)
    assert (following.turn, following.workflow != turn.workflow) == (turn.turn + 1, True)


def test_later(database: Database) -> None:
    """What did not arrive waits, and what is behind it; quiet hours are not cut short when it can be reached again."""
    outlet(database, "a", T0, "xmpp")
    note(database, 1, T0, "a")
    note(database, 2, T0, "a")
    note(database, 3, T0, "a", due=T0 + 60 * MINUTE)
    (turn,) = deliveries.due(database, T0)
    task = deliveries.take(database, turn, T0)
    assert task is not None
    deliveries.postponed(database, task, "away", T0 + 10 * MINUTE, T0, all_of_it=True)
    assert deliveries.due(database, T0) == ()
    assert deliveries.next_due(database) == T0 + 10 * MINUTE
    assert deliveries.hasten(database, ("email",), T0 + MINUTE) == 0
    assert deliveries.hasten(database, ("xmpp", "xmpp-room"), T0 + MINUTE) == 2
    assert [one.next for one in deliveries.page(database).deliveries] == [T0 + 60 * MINUTE, T0 + MINUTE, T0 + MINUTE]
    assert outlets.get(database, "a").error == "away"


def test_people_look_and_send_again(database: Database) -> None:
    """By page, outlet, state and alert; what was given up is sent again, what arrived is not."""
    outlet(database, "a", T0)
    outlet(database, "b", T0)
    for number in (1, 2, 3):
        note(database, number, T0, "a", "b")
    page = deliveries.page(database, limit=4)
    rest = deliveries.page(database, limit=4, cursor=page.next_cursor)
    seen = [(one.notification, one.outlet) for one in page.deliveries + rest.deliveries]
    assert seen == [(f"note-{n}", name) for n in (3, 2, 1) for name in ("b", "a")]
    assert len(deliveries.page(database, outlet="a", state="waiting", alert="alert-1").deliveries) == 2
    (turn, _) = deliveries.due(database, T0)
    task = deliveries.take(database, turn, T0)
    assert task is not None
    deliveries.given_up(database, task, "gone", T0)
    again = deliveries.again(database, "note-1", "a", T0 + MINUTE)
    assert (again.state, again.attempts, again.next) == ("waiting", 0, T0 + MINUTE)
    deliveries.delivered(database, task, T0)
    with pytest.raises(BadRequest, match="has arrived"):
        deliveries.again(database, "note-1", "a", T0)
    outlets.remove(database, "b", ROOT)
    with pytest.raises(BadRequest, match="not in use"):
        deliveries.again(database, "note-1", "b", T0)
    with pytest.raises(NotFound):
        deliveries.again(database, "note-9", "a", T0)


def test_old_ones_are_forgotten(database: Database) -> None:
    """But for those that still wait."""
    outlet(database, "a", T0)
    note(database, 1, T0, "a")
    note(database, 2, T0, "a", due=T0 + MINUTE)
    (turn,) = deliveries.due(database, T0)
    task = deliveries.take(database, turn, T0)
    assert task is not None
    deliveries.delivered(database, task, T0)
    assert deliveries.prune(database, T0 + deliveries.KEPT) == 0
    assert deliveries.prune(database, T0 + deliveries.KEPT + MINUTE) == 1
    assert states(database) == {"note-2": "waiting"}

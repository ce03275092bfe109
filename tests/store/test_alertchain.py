"""How far it was looked: one at a time, and no more at once than fits."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.store import alertchain
from spectra.store.database import Database
from spectra.store.provenance import Entry, commit
from tests.store.scribe import T0, Scribe, host, seen

pytestmark = pytest.mark.engine


def enter(database: Database, kind: str, subject: str, **detail: object) -> None:
    """An entry of the chain."""
    commit(database, lambda _: (None, [Entry(kind, subject, detail, T0)]))


def test_one_holds_the_watch(database: Database) -> None:
    """From what there is when it is first held; others get nothing meanwhile."""
    enter(database, "key.registered", "k")
    assert alertchain.behind(database)
    assert not alertchain.begun(database)
    with database.transaction() as connection:
        watch = alertchain.hold(connection, T0)
        assert watch
        assert (watch.seq, watch.found, watch.first) == (1, 1, True)
    assert alertchain.begun(database)
    with database.transaction() as connection, database.transaction() as other:
        held = alertchain.hold(connection, T0)
        assert held
        assert not held.first
        assert alertchain.hold(other, T0) is None
        alertchain.move(connection, seq=1, found=1, now=T0)
    assert not alertchain.behind(database)


def test_entries_come_in_order(database: Database, write: Scribe) -> None:
    """Submissions by their numbers, sign-ins with what they say; as many as were asked for."""
    written = [write([host("192.0.2.1", T0 + timedelta(hours=n), seen(22))]) for n in range(2)]
    for one in written:
        enter(database, "observation.settled", one.observation_id)
    enter(database, "session.begun", "session:1", account="bob")
    with database.connection() as connection:
        batch = alertchain.batch(connection, 0)
        assert (batch.observations, batch.upto, batch.more) == (tuple(one.seq for one in written), 3, False)
        assert [(act.kind, act.detail) for act in batch.acts] == [("session.begun", {"account": "bob"})]
        assert alertchain.batch(connection, 0, entries=2).more
        assert alertchain.batch(connection, 3) == alertchain.Batch(3, 3)
        assert [act.subject for act in alertchain.acts(connection, T0, 10)] == ["session:1"]
        assert alertchain.unready(connection, batch.observations) is False


def test_large_submissions_are_looked_at_alone(database: Database, write: Scribe) -> None:
    """In a look and in a trial: none is left out, and none waits for ever."""
    written = [write([host("192.0.2.1", T0 + timedelta(hours=n), seen(22))]) for n in range(3)]
    with database.connection() as connection:
        connection.execute("""UPDATE observation SET counts = '{"endpoints": 15000}', status = 'merged'""")
    for one in written:
        enter(database, "observation.settled", one.observation_id)
    with database.connection() as connection:
        batch = alertchain.batch(connection, 0)
        assert (len(batch.observations), batch.more, batch.endpoints) == (1, True, 15_000)
        pieces, complete = alertchain.pieces(connection, T0, 10)
        assert ([len(piece.observations) for piece in pieces], complete) == ([1, 1, 1], True)
        assert alertchain.pieces(connection, T0, 2)[1] is False
        assert alertchain.received(connection, written[0].seq) == T0

"""Heartbeats and presence: a batch in one statement, the newest counts, and no disk is waited for."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from spectra.model.nodes import Load
from spectra.store import nodes, presence
from spectra.store.database import Database, one
from spectra.store.presence import Beat, Known, Seen
from tests.store.machines import ABLE, ROOT, T0, invite, member, told

pytestmark = pytest.mark.engine

SECOND = timedelta(seconds=1)


def test_a_batch_of_heartbeats(database: Database) -> None:
    """Of two from one node the later counts, whatever their order; and nothing of it is on record."""
    for name in ("attic", "barn"):
        member(database, name)
    before = told(database)
    presence.heartbeats(
        database,
        [
            Beat("attic", T0 + 2 * SECOND, Load(0.5, 700, 1), 0.25),
            Beat("attic", T0 + SECOND, Load(0.1), 9.0),
            Beat("barn", T0, Load()),
        ],
    )
    attic, barn = nodes.every(database)
    assert (attic.last_seen, attic.load, attic.skew_s) == (T0 + 2 * SECOND, Load(0.5, 700, 1), 0.25)
    assert (barn.last_seen, barn.load, barn.skew_s) == (T0, Load(), None)
    presence.heartbeats(database, [Beat("attic", T0, Load(0.9)), Beat("barn", T0 + SECOND, Load(1.5))])
    attic, barn = nodes.every(database)
    assert (attic.load, barn.load) == (Load(0.5, 700, 1), Load(1.5))
    assert told(database) == before


def test_what_a_node_can_do_comes_when_it_changes(database: Database) -> None:
    """In any heartbeat of the batch; what is left out stays as it was."""
    member(database, "attic")
    more = msgspec.structs.replace(ABLE, cores=8)
    presence.heartbeats(
        database, [Beat("attic", T0, Load(), capabilities=more), Beat("attic", T0 + SECOND, Load(), transport="nats")]
    )
    for _ in range(2):
        node = nodes.get(database, "attic")
        assert (node.capabilities, node.transport, node.last_seen) == (more, "nats", T0 + SECOND)
        presence.heartbeats(database, [Beat("attic", T0 + SECOND, Load())])


def test_strangers_and_revoked_ones_are_left_out(database: Database) -> None:
    """They do not spoil the batch either; an empty one is none."""
    member(database, "attic")
    member(database, "barn")
    nodes.revoke(database, "barn", "stolen", ROOT)
    names = ("nobody", "barn", "attic")
    presence.heartbeats(database, [Beat(name, T0, Load(), capabilities=ABLE) for name in names])
    assert presence.set_presence(database, [Seen(name, "alive", T0) for name in names]) == ()
    attic, barn = nodes.every(database)
    assert (attic.presence, barn.presence, barn.last_seen) == ("alive", "never", None)
    presence.set_presence(database, [Seen("barn", "dead", T0)])
    assert nodes.get(database, "barn").presence == "dead"
    presence.heartbeats(database, [])
    assert presence.set_presence(database, []) == ()


def test_presence_changes(database: Database) -> None:
    """Of two changes of one node the last counts; when it was heard never goes back."""
    member(database, "attic")
    presence.set_presence(database, [Seen("attic", "suspect", T0), Seen("attic", "alive", T0 + SECOND)])
    node = nodes.get(database, "attic")
    assert (node.presence, node.last_seen) == ("alive", T0 + SECOND)
    presence.set_presence(database, [Seen("attic", "left", T0)])
    node = nodes.get(database, "attic")
    assert (node.presence, node.last_seen) == ("left", T0 + SECOND)


def test_who_is_heard_elsewhere_is_not_dead(database: Database) -> None:
    """Another coordinator heard it later: it stays as it is, and whoever thought otherwise is told."""
    for name in ("attic", "barn", "cellar"):
        member(database, name)
    presence.set_presence(database, [Seen(name, "alive", T0) for name in ("attic", "barn")])
    presence.heartbeats(database, [Beat("attic", T0 + 9 * SECOND, Load())])
    thought = [Seen("attic", "dead", T0), Seen("barn", "dead", T0), Seen("cellar", "suspect", None)]
    assert presence.set_presence(database, thought) == (Seen("attic", "alive", T0 + 9 * SECOND),)
    assert [node.presence for node in nodes.every(database)] == ["alive", "dead", "suspect"]
    assert presence.set_presence(database, [Seen("attic", "dead", T0 + 9 * SECOND)]) == ()
    assert presence.set_presence(database, [Seen("attic", "dead", None)]) == (Seen("attic", "dead", T0 + 9 * SECOND),)


def test_all_that_ever_joined(database: Database) -> None:
    """With which a coordinator begins; those who were only invited are none."""
    member(database, "attic")
    member(database, "barn")
    invite(database, "cellar")
    presence.set_presence(database, [Seen("attic", "alive", T0)])
    nodes.revoke(database, "barn", "stolen", ROOT)
    assert presence.every(database) == (
        Known("attic", "active", "alive", T0),
        Known("barn", "revoked", "never", None),
    )


def test_heartbeats_are_updated_in_place(database: Database) -> None:
    """A thousand nodes every few seconds leave no garbage in an index: updates stay on their page (HOT)."""
    names = [f"n{number}" for number in range(200)]
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO node (name, uri, role, standing, by, created) SELECT n, n, 'worker', 'active', 'x', now()"
            " FROM unnest(%s::text[]) AS n",
            [names],
        )
        for second in range(10):
            presence.heartbeats(database, [Beat(name, T0 + second * SECOND, Load(0.5)) for name in names])
        size = one(connection.execute("SELECT pg_relation_size('node_beat_pkey')"))[0]
        kept = one(connection.execute("SELECT relpersistence, reloptions FROM pg_class WHERE relname = 'node_beat'"))
    assert size <= 4 * 8192
    assert (kept[0], kept[1]) == ("u", ["fillfactor=40"])

"""The row of a node, and what is put on record of it."""

from __future__ import annotations

import pytest

from spectra.errors import NotFound
from spectra.store import noderows, nodes
from spectra.store.audit import plain
from spectra.store.database import Database
from spectra.store.provenance import links
from tests.store.machines import ROOT, T0, invite, member, uri

pytestmark = pytest.mark.engine


def test_what_is_on_record_is_what_the_rows_say(database: Database) -> None:
    """The newest entry of each node, with every key that was revoked with it; none of one that was withdrawn."""
    member(database, "attic")
    member(database, "barn")
    invite(database, "cellar")
    nodes.revoke(database, "barn", "stolen", ROOT)
    nodes.revoke(database, "cellar", "a slip", ROOT)
    last = {link.subject: link.detail() for link in links(database) if link.kind.startswith("node.")}
    assert last.pop("node:cellar") == {"name": "cellar", "why": "a slip"}
    assert last == {subject: plain(detail) for subject, detail in noderows.details(database).items()}
    assert last["node:barn"]["revoked_keys"] == ["spki-barn"]
    assert last["node:attic"]["revoked_keys"] == []


def test_a_name_is_taken_once(database: Database) -> None:
    """Also of those that the API needs itself."""
    words = {"role": "worker", "standing": "active", "by": "x", "now": T0}
    with database.transaction() as connection:
        assert noderows.insert(connection, "attic", uri("attic"), **words)  # pyright: ignore[reportArgumentType]
        assert not noderows.insert(connection, "attic", uri("attic"), **words)  # pyright: ignore[reportArgumentType]
        assert not noderows.insert(connection, "ca", uri("ca"), **words)  # pyright: ignore[reportArgumentType]


def test_a_node_is_held(database: Database) -> None:
    """As it is; who is none is not found."""
    member(database, "attic")
    with database.transaction() as connection:
        row = noderows.held(connection, "attic")
        assert (row.name, row.role, row.standing, row.spki) == ("attic", "worker", "active", "spki-attic")
        assert noderows.hold(connection, "nobody") is None
        with pytest.raises(NotFound):
            noderows.held(connection, "nobody")

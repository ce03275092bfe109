"""Searches are kept by name, for each account its own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.errors import NotFound, SpectraError
from spectra.store import saved
from spectra.store.database import Database
from tests.store.scribe import T0

pytestmark = pytest.mark.engine


@pytest.fixture
def people(database: Database) -> Database:
    """Alice and Bob."""
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO contributor (name, role, created) VALUES ('alice', 'user', %s), ('bob', 'user', %s)", [T0, T0]
        )
    return database


def test_a_search_is_kept_and_changed(people: Database) -> None:
    """Under the same name it takes the place of what was there; when it was first kept is remembered."""
    later = T0 + timedelta(days=1)
    first = saved.keep(people, "alice", "ssh", "port:22", sort="last_seen", now=T0)
    again = saved.keep(people, "alice", "ssh", "service:ssh", sort="ip", now=later)
    assert (again.query, again.sort, again.created, again.changed) == ("service:ssh", "ip", first.created, later)
    assert saved.of(people, "alice", "ssh") == again
    assert saved.listed(people, "alice") == (again,)


def test_everyone_has_their_own(people: Database) -> None:
    """Nobody reads, changes or removes what another keeps."""
    mine = saved.keep(people, "alice", "ssh", "port:22", sort="ip", now=T0)
    saved.keep(people, "bob", "ssh", "port:2222", sort="ip", now=T0)
    saved.remove(people, "bob", "ssh")
    assert saved.listed(people, "bob") == ()
    assert saved.listed(people, "alice") == (mine,)
    for gone in (saved.remove, saved.of):
        with pytest.raises(NotFound):
            gone(people, "bob", "ssh")


def test_there_are_bounds(people: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than so many, but those that there are can be changed."""
    monkeypatch.setattr(saved, "MAX_SAVED", 2)
    for name in ("b", "A"):
        saved.keep(people, "alice", name, "", sort="ip", now=T0)
    with pytest.raises(SpectraError, match="no room"):
        saved.keep(people, "alice", "c", "", sort="ip", now=T0)
    saved.keep(people, "alice", "b", "port:1", sort="ip", now=T0)
    assert [one.name for one in saved.listed(people, "alice")] == ["A", "b"]

"""Embedders: one answers, one is filled, and they change places."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from spectra.store import embedders, vectors
from spectra.store.database import Database
from spectra.store.embedders import Embedder
from spectra.store.vectors import Vector
from tests.store.scribe import T0
from tests.store.wordy import Wordy

pytestmark = pytest.mark.engine


def begin(database: Database, model: str = "one", dims: int = 2, blob: bytes | None = None) -> Embedder:
    """A new embedder, being filled."""
    with database.transaction() as connection:
        embedders.lock(connection)
        number = embedders.begin(
            connection, kind="hashed", model=model, place="", dims=dims, blob=blob, texts=0, now=T0
        )
        found = embedders.get(connection, number)
    assert found is not None
    return found


def states(database: Database) -> list[tuple[str, str]]:
    """Of all embedders: model and state."""
    with database.connection() as connection:
        return connection.execute("SELECT model, state FROM embedder ORDER BY id").fetchall()


def test_they_take_each_others_place(database: Database) -> None:
    """The new one is filled beside the one that answers, and retires it; a third one gives the second up."""
    one = begin(database)
    with database.connection() as connection:
        assert embedders.current(connection) == (None, one)
    embedders.switch(database, one.id, T0, T0)
    begin(database, "two")
    third = begin(database, "three")
    assert states(database) == [("one", "ready"), ("two", "retired"), ("three", "filling")]
    embedders.switch(database, third.id, None, T0)
    embedders.switch(database, one.id, T0, T0)  # by a step that runs twice, late
    assert states(database) == [("one", "retired"), ("two", "retired"), ("three", "ready")]
    embedders.switch(database, 99, T0, T0)


def test_switching_twice_is_switching_once(database: Database) -> None:
    """What is up to date stays so; the time it was ready is the first."""
    one = begin(database)
    Wordy(database).tell("CVE-2024-0001", "text")
    embedders.switch(database, one.id, T0, T0)
    embedders.switch(database, one.id, T0 - timedelta(days=1), T0 + timedelta(days=1))
    with database.connection() as connection:
        ready, filling = embedders.current(connection)
    assert ready is not None
    assert filling is None
    assert (ready.seen, ready.ready, ready.total, ready.done) == (T0, T0, 1, 0)
    assert ready.record.model == "one"
    assert ready.record.ready == T0


def test_only_one_of_each(database: Database) -> None:
    """The database sees to it, whoever writes."""
    begin(database)
    with pytest.raises(psycopg.errors.UniqueViolation), database.transaction() as connection:
        connection.execute(
            "INSERT INTO embedder (kind, model, dims, state, created) VALUES ('hashed', 'x', 2, 'filling', now())"
        )


def test_the_past_is_what_still_takes_room(database: Database) -> None:
    """Retired ones with vectors or an index; a model is used as long as one that is not retired has it."""
    old = begin(database, blob=b"x" * 32)
    num = Wordy(database).tell("CVE-2024-0001", "text")
    vectors.write(database, old, [Vector(num, b"d", b"\x3c\0\0\0")])
    begin(database, "two", blob=b"y" * 32)
    with database.connection() as connection:
        assert [e.model for e in embedders.retired(connection)] == ["one"], "it has vectors and a model"
        assert embedders.is_used(connection, b"y" * 32)
        assert not embedders.is_used(connection, b"x" * 32)
    vectors.drop(database, old)
    embedders.forget(database, old.id)
    embedders.forget(database, old.id + 1)
    with database.connection() as connection:
        assert embedders.retired(connection) == []
        assert embedders.is_used(connection, b"y" * 32), "what is being filled is not forgotten"


def test_one_is_given_up(database: Database) -> None:
    """Only while it is being filled."""
    one = begin(database)
    embedders.switch(database, one.id, T0, T0)
    two = begin(database, "two")
    with database.transaction() as connection:
        for embedder in (one, two):
            embedders.retire(connection, embedder.id)
    assert states(database) == [("one", "ready"), ("two", "retired")]

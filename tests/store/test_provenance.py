"""The hash chain: what is hashed, that it is one line whoever writes, and that nobody waits for another's disk."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from spectra.errors import NotFound, Unavailable
from spectra.store import provenance
from spectra.store.database import Connection, Database, migrate, one
from spectra.store.provenance import GENESIS, Entry, Link, commit, head, links, timestamp
from tests.store.scribe import T0
from tests.support.own_server import own_server
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

Work = Callable[[Connection], tuple[None, list[Entry]]]


def entries(*subjects: str, kind: str = "test.done") -> Work:
    """Work that only puts something on record."""
    return lambda connection: (None, [Entry(kind, subject, {"b": 1, "a": subject}, T0) for subject in subjects])


def assert_unbroken(database: Database) -> list[Link]:
    """Every entry follows the one before it and hashes to its hash."""
    chain = list(links(database, page=7))
    previous = GENESIS
    for number, link in enumerate(chain, start=1):
        assert (link.seq, link.previous, link.hash) == (number, previous, link.expected_hash())
        previous = link.hash
    assert head(database) == (len(chain), previous.hex())
    return chain


def advisory_locks(database: Database) -> int:
    """How many advisory locks are held in this database; others on the server have theirs."""
    held = """SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = pg_locks.database
              WHERE locktype = 'advisory' AND d.datname = current_database()"""
    with database.connection() as connection:
        return one(connection.execute(held))[0]


def test_the_chain_begins_with_zeros(database: Database) -> None:
    """An empty chain has no entries and 32 zero bytes as head."""
    assert head(database) == (0, "00" * 32)
    assert list(links(database)) == []


def test_an_entry_hashes_as_documented(database: Database) -> None:
    """SHA-256 over the previous hash, the canonical entry with kind and subject, and the timestamp, byte for byte."""
    commit(database, entries("é", "two"))
    first, second = assert_unbroken(database)
    text = '{"detail":{"a":"é","b":1},"kind":"test.done","subject":"é"}'
    assert (first.entry, first.at, first.kind, first.subject) == (text, "2026-01-01T00:00:00Z", "test.done", "é")
    expected = hashlib.sha256(bytes(32) + text.encode() + b"2026-01-01T00:00:00Z").digest()
    assert first.hash == second.previous == expected
    assert first.detail() == {"a": "é", "b": 1}


@pytest.mark.parametrize("change", ["kind", "subject", "entry"])
def test_an_entry_that_contradicts_its_columns_is_no_entry(database: Database, change: str) -> None:
    """Kind and subject are part of what is hashed; the columns are copies."""
    commit(database, entries("one"))
    (link,) = links(database)
    with pytest.raises(ValueError):
        link._replace(**{change: "other"}).detail()


def test_a_timestamp_is_rfc_3339() -> None:
    """With the offset that the time carries, and microseconds only where there are any."""
    assert timestamp(datetime(2026, 1, 2, 3, 4, 5, 600, UTC)) == "2026-01-02T03:04:05.000600Z"
    assert timestamp(datetime(2026, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=2)))) == "2026-01-02T03:04:00+02:00"


def test_eight_writers_leave_one_unbroken_chain(database: Database) -> None:
    """Whatever their number, each entry follows exactly one other, and each writer's stand in its order."""
    start = threading.Barrier(8)

    def work(number: int) -> None:
        start.wait(30)
        for turn in range(5):
            commit(database, entries(f"{number} {turn} a", f"{number} {turn} b"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    subjects = [link.subject for link in assert_unbroken(database)]
    assert len(subjects) == 80
    for number in range(8):
        ours = [s for s in subjects if s.startswith(f"{number} ")]
        assert ours == [f"{number} {turn} {half}" for turn in range(5) for half in "ab"]
    assert advisory_locks(database) == 0


@pytest.mark.parametrize("trouble", [NotFound("nothing"), KeyboardInterrupt()], ids=["an error", "an interrupt"])
def test_failing_work_appends_nothing(database: Database, trouble: BaseException) -> None:
    """Neither its writes nor its entries stay, the lock is free, and the next commit follows the one before."""
    commit(database, entries("before"))

    def work(connection: Connection) -> tuple[None, list[Entry]]:
        connection.execute("INSERT INTO contributor (name, role, created) VALUES ('x', 'user', now())")
        raise trouble

    with pytest.raises(type(trouble)):
        commit(database, work)
    assert advisory_locks(database) == 0
    commit(database, entries("after"))
    assert [link.subject for link in assert_unbroken(database)] == ["before", "after"]
    with database.connection() as connection:
        assert one(connection.execute("SELECT count(*) FROM contributor"))[0] == 0


def test_a_check_is_made_while_the_chain_is_held(database: Database) -> None:
    """After the work, before its entries: what it raises undoes all, and work without entries is not checked."""
    order: list[str] = []

    def work(connection: Connection) -> tuple[None, list[Entry]]:
        order.append("work")
        connection.execute("INSERT INTO contributor (name, role, created) VALUES ('x', 'user', now())")
        return None, [Entry("kind", "x", {}, T0)]

    def check(connection: Connection) -> None:
        order.append("check")
        assert advisory_locks(database) == 1
        assert head(database)[0] == 0
        raise NotFound("gone meanwhile")

    with pytest.raises(NotFound):
        commit(database, work, check=check)
    assert order == ["work", "check"]
    assert head(database)[0] == advisory_locks(database) == 0
    commit(database, lambda connection: (None, []), check=check)
    assert order == ["work", "check"]
    with database.connection() as connection:
        assert one(connection.execute("SELECT count(*) FROM contributor"))[0] == 0


def test_an_entry_that_cannot_be_appended_takes_the_work_with_it(database: Database) -> None:
    """The work's writes and its entries are one transaction, also when it is the entries that fail."""

    def work(connection: Connection) -> tuple[None, list[Entry]]:
        connection.execute("INSERT INTO contributor (name, role, created) VALUES ('x', 'user', now())")
        return None, [Entry("kind", "fine", {}, T0), Entry("kind", "not JSON", {"x": object()}, T0)]

    with pytest.raises(TypeError):
        commit(database, work)
    assert head(database)[0] == advisory_locks(database) == 0
    with database.connection() as connection:
        assert one(connection.execute("SELECT count(*) FROM contributor"))[0] == 0


def test_a_connection_that_dies_releases_the_lock(database: Database) -> None:
    """The server ends the lock with the session; the caller is told that the database was away."""

    def work(connection: Connection) -> tuple[None, list[Entry]]:
        with Database(database.url, pool_size=1) as other, other.connection() as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 10000)", [connection.info.backend_pid])
        return None, [Entry("kind", "lost", {}, T0)]

    with pytest.raises(Unavailable):
        commit(database, work)
    commit(database, entries("after"))
    assert [link.subject for link in assert_unbroken(database)] == ["after"]


def test_work_without_entries_leaves_the_chain_alone(database: Database) -> None:
    """And returns what it made."""
    assert commit(database, lambda connection: ("made", [])) == "made"
    assert head(database)[0] == 0


def test_the_chain_is_read_in_pages(database: Database) -> None:
    """Entries appended while it is read are read too, and reading may begin anywhere."""
    commit(database, entries(*map(str, range(5))))
    walk = links(database, page=2)
    assert next(walk).subject == "0"
    commit(database, entries("5"))
    assert [link.subject for link in walk] == ["1", "2", "3", "4", "5"]
    assert [link.seq for link in links(database, after=4)] == [5, 6]


WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


def test_commits_do_not_wait_for_each_others_disk() -> None:
    """While one committer waits for its WAL to be safe, others append behind it, and nobody is answered too early.

    Shown on a server that counts a commit as safe only once a standby has it, and has no standby: there every flush
    waits until that rule is lifted. It is the same wait, in the same place, as the one for the disk.
    """
    with own_server(max_wal_senders="4", wal_level="replica") as own, Database(own.url) as database:
        migrate(database)
        own.reconfigure(synchronous_standby_names="nobody")
        with database.connection() as connection:
            eventually(lambda: one(connection.execute("SHOW synchronous_standby_names"))[0] == "nobody")
        with ThreadPoolExecutor(5) as pool:
            committed = [pool.submit(commit, database, entries(f"entry {n}")) for n in range(4)]
            try:
                eventually(lambda: head(database)[0] == 4)  # all four are in the chain ...
                with database.connection() as connection:
                    eventually(lambda: one(connection.execute(WAITING))[0] == 4)  # ... each waits for its own flush ...
                assert advisory_locks(database) == 0  # ... none holds the chain ...
                assert not any(future.done() for future in committed)  # ... and none has been told that it is safe.
                known = pool.submit(provenance.flush, database)
                with database.connection() as connection:
                    eventually(lambda: one(connection.execute(WAITING))[0] == 5)
                assert not known.done()
            finally:
                own.reconfigure(synchronous_standby_names="")
            for future in [*committed, known]:
                future.result(60)
        assert_unbroken(database)


def test_only_the_work_commits_asynchronously(database: Database) -> None:
    """The connection that goes back to the pool waits for the disk again, as everyone else's does."""
    seen: list[Any] = []

    def work(connection: Connection) -> tuple[Connection, list[Entry]]:
        seen.append(one(connection.execute("SHOW synchronous_commit"))[0])
        return connection, [Entry("kind", "x", {}, T0)]

    connection = commit(database, work)
    seen.append(one(connection.execute("SHOW synchronous_commit"))[0])
    assert seen == ["off", "on"]


def test_details_are_canonical(database: Database) -> None:
    """Structs and times are put on record as their JSON with sorted keys."""

    class Thing(msgspec.Struct):
        z: int
        a: datetime

    commit(database, lambda connection: (None, [Entry("kind", "x", Thing(1, T0), T0)]))
    (link,) = links(database)
    assert json.loads(link.entry)["detail"] == {"a": "2026-01-01T00:00:00Z", "z": 1}
    assert link.entry.startswith('{"detail":{"a":"2026-01-01T00:00:00Z","z":1}')

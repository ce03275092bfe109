"""Content is written once, shared, and believed to be there only when it is on disk."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from spectra.errors import NotFound
from spectra.model.observation import Certificate, Evidence, HostSeen
from spectra.store.content import Known
from spectra.store.database import Database
from spectra.store.graph import GraphWriter
from tests.store.scribe import T0, Scribe, host, seen

pytestmark = pytest.mark.engine

CLAIMED = Certificate("ab" * 32, subject_cn="claimed.example")
PROVEN = Certificate(
    "ab" * 32, "proven.example", "CN=proven.example", "CN=ca", ("a.example",), T0, T0, "01", "rsa 2048"
)


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    with database.connection() as connection:
        return connection.execute(query.encode()).fetchall()


def told(certificate: Certificate, ip: str = "192.0.2.1") -> HostSeen:
    """A host that showed this certificate."""
    return host(ip, T0, seen(443, certificate=certificate))


def add(database: Database, known: Known, *records: HostSeen, remember: bool, trouble: Exception | None = None) -> None:
    """Write records as observation 1, as another writer of the same process would; `trouble` ends the transaction."""
    with database.transaction() as connection:
        writer = GraphWriter(database, connection, known, 1)
        for record in records:
            writer.add(record)
        writer.finish()
        if trouble:
            raise trouble
    if remember:
        writer.remember()


def test_equal_services_share_a_row(database: Database, write: Scribe) -> None:
    """A thousand endpoints of one product are one service; in another observation, too."""
    write([host(f"192.0.2.{i}", T0, seen(80, "http", "nginx"), seen(81, "http", "nginx")) for i in range(200)])
    write([host("198.51.100.1", T0, seen(80, "http", "nginx"), seen(443, "http", "nginx", "1.2"))])
    assert rows(database, "SELECT product, version FROM service ORDER BY version") == [("nginx", ""), ("nginx", "1.2")]
    assert rows(database, "SELECT count(DISTINCT service) FROM endpoint") == [(2,)]


def test_content_is_remembered_only_once_it_is_durable(database: Database, write: Scribe) -> None:
    """A server that dies before the flush forgets content; a writer that does not trust its own memory writes it again.

    The lost rows are removed by hand, as such a death would.
    """
    known, record = Known(), host("192.0.2.1", T0, seen(22, "ssh", banner="SSH-2.0", evidence=[Evidence("k", "v")]))
    add(database, known, record, remember=False)
    with database.connection() as connection:
        connection.execute("DELETE FROM service; DELETE FROM banner; DELETE FROM remark")
    add(database, known, record, remember=True)
    assert rows(database, "SELECT name, text, kind FROM service, banner, remark") == [("ssh", "SSH-2.0", "k")]


def test_remembered_content_is_not_written_again(database: Database) -> None:
    """Once durable, a writer of the same process does not ask the database about it any more."""
    known, record = Known(), host("192.0.2.1", T0, seen(22, "ssh"))
    add(database, known, record, remember=True)
    with database.connection() as connection:
        connection.execute("DELETE FROM service")
    add(database, known, record, remember=True)
    assert rows(database, "SELECT count(*) FROM service") == [(0,)]
    known.clear()
    add(database, known, record, remember=True)
    assert rows(database, "SELECT count(*) FROM service") == [(1,)]


def test_content_is_written_once_in_a_submission(database: Database) -> None:
    """A second batch of one submission knows what the first wrote, before anything is durable."""
    with database.transaction() as connection:
        writer = GraphWriter(database, connection, Known(), 1)
        for _ in range(2):  # the same host again ends the batch
            writer.add(host("192.0.2.1", T0, seen(22, "ssh")))
        before = rows(database, "SELECT first_seen FROM service")
        writer.finish()
    assert rows(database, "SELECT first_seen FROM service") == before != []


@pytest.mark.parametrize("order", [(CLAIMED, PROVEN), (PROVEN, CLAIMED)], ids=["claimed first", "proven first"])
@pytest.mark.parametrize("together", [True, False], ids=["in one submission", "in two"])
def test_a_certificate_read_from_its_der_form_wins(
    database: Database, write: Scribe, order: tuple[Certificate, Certificate], together: bool
) -> None:
    """What a parser read from the certificate itself replaces what a tool claimed about it, and not the other way."""
    first, second = (told(c, f"192.0.2.{i}") for i, c in enumerate(order))
    if together:
        write([first, second])
    else:
        write([first])
        write([second])
    assert rows(database, "SELECT subject_cn, key, sans FROM certificate") == [
        ("proven.example", "rsa 2048", ["a.example"])
    ]


def test_a_certificate_of_a_failed_submission_is_not_kept(database: Database, write: Scribe) -> None:
    """Nobody accepted has said it, so it may not stand in the graph, nor keep others from saying something else."""
    with pytest.raises(NotFound):
        add(database, Known(), told(PROVEN), remember=False, trouble=NotFound("something else"))
    assert rows(database, "SELECT * FROM certificate") == []
    write([told(CLAIMED)])
    assert rows(database, "SELECT subject_cn FROM certificate") == [("claimed.example",)]


def test_a_submission_of_many_certificates(database: Database, write: Scribe) -> None:
    """More than are held back until the end: all are written, each with its times."""
    sha = [f"{i:064x}"[::-1] for i in range(10_500)]
    endpoint = [seen(443, certificate=Certificate(s, not_after=T0 + timedelta(days=i))) for i, s in enumerate(sha)]
    write([host(f"10.0.{i >> 8}.{i & 255}", T0, e) for i, e in enumerate(endpoint)])
    assert rows(database, "SELECT count(*), max(not_after) FROM certificate") == [(10_500, T0 + timedelta(days=10_499))]


def test_writers_that_hold_all_connections_still_get_one_for_content(database: Database) -> None:
    """As many writers as the pool has connections, each inside its transaction, write new content: nobody waits for
    a connection that only another of them could give back.
    """
    with Database(database.url, pool_size=4, timeout_s=10.0) as small:
        inside = threading.Barrier(4)

        def work(number: int) -> None:
            with small.transaction() as connection:
                inside.wait(30)
                writer = GraphWriter(small, connection, Known(), 1)
                writer.add(host(f"192.0.2.{number}", T0, seen(80, "http", f"product {number}")))
                writer.finish()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
    assert rows(database, "SELECT count(*) FROM service") == [(4,)]


def test_the_memory_is_bounded() -> None:
    """Of a full memory the older half is forgotten; what was just told is still known."""
    known = Known(10)
    for i in range(100):
        known.add([str(i)])
        assert str(i) in known
    assert len(list(known)) <= 11
    assert "0" not in known

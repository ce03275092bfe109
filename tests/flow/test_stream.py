"""Who listens misses nothing and hears nothing twice, however slow, however late, and costs the same for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from spectra.flow import stream as streams
from spectra.flow.stream import Listener, Stream, TooManyListeners
from spectra.model.activity import Topic
from spectra.store.activity import Wanted
from spectra.store.database import Database
from spectra.store.provenance import Entry, commit
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def happen(database: Database, number: int, kind: str = "job.created") -> None:
    """Put an entry on record."""
    commit(database, lambda _: (None, [Entry(kind, f"job-{number}", {"what": "x"}, NOW)]))


@pytest.fixture
def stream(database: Database) -> Iterator[Stream]:
    """A stream that is running."""
    one = Stream(database, most=3, per_account=2, every_s=0.02)
    one.start()
    yield one
    one.stop()


def heard(listener: Listener, until: int) -> list[int]:
    """The cursors that a listener hears, up to one."""
    found: list[int] = []

    def listen() -> bool:
        found.extend(one.cursor for one in listener.take().entries)
        return listener.cursor >= until

    eventually(listen)
    return found


def test_everybody_hears_what_comes_after_they_began(database: Database, stream: Stream) -> None:
    """At once; of what they asked for; from where they ask to go on."""
    happen(database, 1)
    told = threading.Event()
    late = stream.listen("ann", Wanted(), told.set)
    early = stream.listen("bob", Wanted(frozenset({"job"})), lambda: None, cursor=0)
    eventually(told.is_set)
    told.clear()
    happen(database, 2)
    happen(database, 3, "moon.landed")
    stream.wake()
    eventually(told.is_set)
    assert heard(late, 3) == [2, 3]
    assert heard(early, 3) == [1, 2]
    assert late.take().entries == ()
    assert not late.behind


def test_who_is_too_slow_reads_it_from_the_database(
    database: Database, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where more happened than is ever kept, page by page."""
    monkeypatch.setattr(streams, "PAGE", 3)
    slow = stream.listen("ann", Wanted(), lambda: None)
    quick = stream.listen("bob", Wanted(), lambda: None)
    happen(database, 1)
    assert heard(quick, 1) == [1]
    monkeypatch.setattr(streams, "KEPT", 4)
    commit(database, lambda _: (None, [Entry("job.created", f"job-{n}", {}, NOW) for n in range(2, 12)]))
    stream.wake()
    assert heard(quick, 11) == list(range(2, 12))
    assert heard(slow, 11) == list(range(1, 12))


def test_listeners_are_bounded(stream: Stream) -> None:
    """For each account, and for all; who leaves makes room."""
    first = stream.listen("ann", Wanted(), lambda: None)
    stream.listen("ann", Wanted(), lambda: None)
    with pytest.raises(TooManyListeners, match="2 times"):
        stream.listen("ann", Wanted(), lambda: None)
    stream.listen("bob", Wanted(), lambda: None)
    with pytest.raises(TooManyListeners, match="room"):
        stream.listen("eve", Wanted(), lambda: None)
    first.close()
    first.close()
    stream.listen("ann", Wanted(), lambda: None).close()
    assert stream.listeners == 2


def test_a_cursor_from_elsewhere_is_the_newest(database: Database, stream: Stream) -> None:
    """Such as one from before a backup was restored."""
    happen(database, 1)
    listener = stream.listen("ann", Wanted(), lambda: None, cursor=10**9)
    happen(database, 2)
    assert heard(listener, 2) == [2]


def test_a_node_that_ends_tells_who_listens(database: Database) -> None:
    """And lets nobody listen any more."""
    one = Stream(database, every_s=0.02)
    one.start()
    told = threading.Event()
    one.listen("ann", Wanted(), told.set)
    one.hang_up()
    assert told.is_set()
    assert one.closed
    with pytest.raises(TooManyListeners):
        one.listen("ann", Wanted(), lambda: None)
    one.stop()


def test_topics_without_entries_are_told_when_they_change(database: Database) -> None:
    """By what stands for them; not when somebody begins to listen."""
    state = ["a"]
    one = Stream(database, every_s=0.02, marks={"alert": lambda: state[0]})
    one.start()
    told = threading.Event()
    listener = one.listen("ann", Wanted(), told.set)
    eventually(lambda: "alert" in one.marks())
    assert listener.take().changed == frozenset()
    told.clear()
    state[0] = "b"
    eventually(lambda: listener.take().changed == frozenset[Topic]({"alert"}))
    assert told.is_set()
    one.stop()

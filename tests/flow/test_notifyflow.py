"""`wf.notify`: messages arrive once, in order, past failures, a server that is killed, and a node that is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path

import pytest

from spectra.act.notify.outlets import OutletError, OutletRefused, Outlets, Sender
from spectra.act.notify.xmpp import Xmpp
from spectra.flow.notifyflow import NotifyJob
from spectra.flow.submission import Ingest
from spectra.flow.workflows import Workflows
from spectra.model.alerts import Message
from spectra.model.outlets import OutletKind
from spectra.settings.notify import XmppSettings
from spectra.store import deliveries, outlets
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.outlets import Outlet
from tests.flow.desk import Clock
from tests.flow.test_workflows import TrueClock
from tests.store.outletsamples import note, outlet
from tests.support.waiting import eventually
from tests.support.xmpp import Reader, prosody

pytestmark = pytest.mark.engine


@pytest.fixture
def clock() -> Clock:
    """Runs."""
    return TrueClock()


class Post:
    """A way out that keeps what it is handed, after it failed as often as it is told to."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.failures: list[OutletError | Exception] = []

    def lacks(self) -> str:
        """Nothing."""
        return ""

    def send(self, outlet: Outlet, message: Message) -> None:
        """Keep it, or fail."""
        if self.failures:
            raise self.failures.pop(0)
        self.got.append(f"{outlet.name} {message.id}")

    def close(self) -> None:
        """Nothing."""


@contextlib.contextmanager
def running(ingest: Ingest, made: Callable[..., Outlets], *, first_pause_s: float = 0.02) -> Generator[NotifyJob]:
    """A coordinator that sends messages from now on, and tries again at once unless it is told otherwise."""
    job = NotifyJob(ingest.database, ingest.clock, outlets=made, first_pause_s=first_pause_s)
    workflows = Workflows(ingest, jobs=[job])
    workflows.start()
    job.sweep()
    try:
        yield job
    finally:
        workflows.stop()


def by(sender: Sender) -> Callable[[object], Outlets]:
    """Outlets whose every kind is sent by one."""
    kinds: tuple[OutletKind, ...] = ("xmpp", "xmpp-room", "webhook", "email")
    return lambda back: Outlets(dict.fromkeys(kinds, sender))


def states(database: Database) -> list[tuple[str, str, int]]:
    """Each message with its state and tries, the oldest first."""
    found = deliveries.page(database).deliveries[::-1]
    return [(one.notification, one.state, one.attempts) for one in found]


def test_in_order_past_failures(ingest: Ingest) -> None:
    """What fails is tried again, what never arrives is given up, and what it is about may be anything."""
    post, database, now = Post(), ingest.database, ingest.clock()
    outlet(database, "a", now)
    for number in (1, 2, 3):
        note(database, number, now, "a")
    post.failures = [OutletError("away", away=True), OutletError("once"), OutletRefused("never"), ValueError("odd")]
    with running(ingest, by(post)) as job:
        job.wake()
        eventually(lambda: all(state != "waiting" for _, state, _ in states(database)))
    found = states(database)
    assert sorted(post.got) == [f"a {one}" for one, state, _ in found if state == "delivered"]
    assert sorted(state for _, state, _ in found) == ["delivered", "delivered", "failed"]
    assert sum(tries for _, _, tries in found) == 4 + 2
    assert outlets.get(database, "a").delivered is not None


def test_what_is_too_old_is_given_up(ingest: Ingest) -> None:
    """But not without having been tried; and one outlet does not wait for another."""
    post, database, now = Post(), ingest.database, ingest.clock()
    outlet(database, "a", now)
    outlet(database, "b", now)
    note(database, 1, now - timedelta(days=4), "a")
    note(database, 2, now - timedelta(days=4), "b", due=now + timedelta(days=1))
    post.failures = [OutletError("away", away=True)]
    with running(ingest, by(post)) as job:
        job.wake()
        eventually(lambda: ("note-1", "failed", 1) in states(database))
        assert ("note-2", "waiting", 0) in states(database)
        deliveries.again(database, "note-1", "a", ingest.clock())
        job.wake()
        eventually(lambda: post.got == ["a note-1"])


def test_somebody_tries_an_outlet(ingest: Ingest) -> None:
    """It is told what came of it; where it went well, what waited is sent too."""
    post, database, now = Post(), ingest.database, ingest.clock()
    outlet(database, "a", now)
    note(database, 1, now, "a")
    act = Act("root", now)
    post.failures = [OutletError("away", away=True)]
    with running(ingest, by(post), first_pause_s=3600.0) as job:
        eventually(lambda: ("note-1", "waiting", 1) in states(database))
        post.failures = [OutletError("still away")]
        assert (job.try_out("a", act).delivered, outlets.get(database, "a").error) == (False, "still away")
        tried = job.try_out("a", act)
        assert (tried.delivered, tried.message.startswith("test-")) == (True, True)
        eventually(lambda: f"a {tried.message}" in post.got and "a note-1" in post.got)


def test_nothing_is_lost_with_a_server_that_is_killed(ingest: Ingest, tmp_path: Path) -> None:
    """A real Prosody: messages of its absence arrive in their order once it is back, long before they were due."""
    database, now = ingest.database, ingest.clock()
    with prosody(tmp_path) as server:
        jid, bob = server.account("spectra", "geheim"), server.account("bob", "bob")
        settings = XmppSettings(jid=jid, host="127.0.0.1", port=server.port, ca_file=server.roots)

        def made(back: Callable[[tuple[OutletKind, ...]], None]) -> Outlets:
            return Outlets({"xmpp": Xmpp(settings, password=lambda: "geheim", back=lambda: back(("xmpp",)))})

        outlet(database, "bob", now, "xmpp", bob)
        with running(ingest, made, first_pause_s=3600.0) as job:
            note(database, 1, now, "bob")
            job.wake()
            eventually(lambda: ("note-1", "delivered", 1) in states(database))
            server.kill()
            for number in (2, 3, 4):
                note(database, number, ingest.clock(), "bob")
            job.wake()
            eventually(lambda: ("note-2", "waiting", 1) in states(database))
            server.start()
            eventually(lambda: all(state == "delivered" for _, state, _ in states(database)))
        with Reader(server, bob, "bob") as reader:
            assert [one.id for one in reader.wait(4)] == ["note-1", "note-2", "note-3", "note-4"]


def test_a_turn_that_was_left_goes_on(ingest: Ingest) -> None:
    """By the next coordinator: what waits is found by its look, without anybody waking it."""
    post, database, now = Post(), ingest.database, ingest.clock()
    outlet(database, "a", now)
    note(database, 1, now, "a")
    with running(ingest, by(post)):
        eventually(lambda: post.got == ["a note-1"])
    note(database, 2, ingest.clock(), "a")
    with running(ingest, by(post)) as job:
        eventually(lambda: post.got == ["a note-1", "a note-2"])
        eventually(lambda: not deliveries.due(database, ingest.clock()))
        assert job.sweep() == 0

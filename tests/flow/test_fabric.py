"""Tests of spectra.flow.fabric, on a real database; the server of most of them only notes what it is told."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from spectra.errors import SetupError
from spectra.flow.fabric import FabricKeeper
from spectra.store import nodes
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.nodes import Member
from tests.flow.desk import Clock
from tests.store.machines import DAY, ROOT, T0, member
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


class Server:
    """Notes what it is told; `trouble` is raised by the next reloads."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.trouble: list[Exception] = []
        self.asked = threading.Event()

    def reload(self, config: str) -> None:
        """Another configuration."""
        self.asked.set()
        if self.trouble:
            raise self.trouble.pop()
        self.told.append(config)


def names(members: Sequence[Member]) -> str:
    """A configuration for people: who may do what."""
    return " ".join(f"{one.name}:{one.standing}" for one in members)


def keeper(database: Database, server: Server, clock: Clock, **options: object) -> FabricKeeper:
    """A keeper that does not wait between reloads."""
    clock.now = T0
    return FabricKeeper(database, server, names, clock=clock, least_s=0.0, **options)  # type: ignore[arg-type]


def test_what_the_server_started_with_is_not_told_again(database: Database, clock: Clock) -> None:
    """The configuration of the start holds until something changes."""
    member(database, "w1")
    server = Server()
    kept = keeper(database, server, clock)
    assert kept.config() == "w1:active"
    assert not kept.look()
    assert server.told == []


def test_who_comes_and_goes_and_is_quarantined_is_told(database: Database, clock: Clock) -> None:
    """Each change once; presence is none."""
    server = Server()
    kept = keeper(database, server, clock)
    kept.config()
    member(database, "w1")
    member(database, "w2")
    assert kept.look()
    nodes.quarantine(database, "w2", "its state changed", ROOT)
    assert kept.look()
    nodes.revoke(database, "w1", "stolen", ROOT)
    assert kept.look()
    assert not kept.look()
    assert server.told == ["w1:active w2:active", "w1:active w2:quarantined", "w2:quarantined"]
    assert kept.reloads == 3


def test_whose_certificate_ended_is_a_member_until_the_grace_is_over(database: Database, clock: Clock) -> None:
    """By the clock alone: nothing in the store changes."""
    server = Server()
    member(database, "w1")
    kept = keeper(database, server, clock, grace=timedelta(hours=2))
    kept.config()
    clock.now = T0 + DAY + timedelta(hours=1, minutes=59)
    assert not kept.look()
    clock.advance(timedelta(minutes=2))
    assert kept.look()
    assert server.told == [""]
    assert not kept.look()
    clock.advance(timedelta(hours=-1))
    assert kept.look()
    assert server.told == ["", "w1:active"]


def test_members_are_rendered_when_they_changed(database: Database, clock: Clock) -> None:
    """Not at each look: with thousands of them that would be work for nothing."""
    clock.now = T0
    rendered: list[int] = []

    def render(members: Sequence[Member]) -> str:
        rendered.append(len(members))
        return names(members)

    member(database, "w1")
    kept = FabricKeeper(database, Server(), render, clock=clock)
    kept.config()
    for _ in range(5):
        assert not kept.look()
        clock.advance(timedelta(minutes=1))
    member(database, "w2")
    assert kept.look()
    assert rendered == [1, 2]


def test_other_contents_of_the_files_are_told(database: Database, clock: Clock, tmp_path: Path) -> None:
    """A renewed certificate or another root has the same name: the server has to read it again."""
    roots = tmp_path / "roots.pem"
    server = Server()
    kept = keeper(database, server, clock, watched=[roots])
    kept.config()
    assert not kept.look()
    roots.write_text("one")
    assert kept.look()
    assert not kept.look()
    roots.write_text("two")
    assert kept.look()
    roots.unlink()
    assert kept.look()


def test_what_the_server_refused_is_told_again(database: Database, clock: Clock) -> None:
    """Until it takes it."""
    server = Server()
    kept = keeper(database, server, clock)
    kept.config()
    member(database, "w1")
    server.trouble = [SetupError("busy")]
    with pytest.raises(SetupError):
        kept.look()
    assert kept.look()
    assert server.told == ["w1:active"]


def test_its_thread_tells_what_it_is_woken_for(database: Database, clock: Clock) -> None:
    """And what another coordinator changed, without being woken; until it is stopped."""
    server = Server()
    kept = keeper(database, server, clock)
    kept.config()
    kept.start()
    member(database, "w1")
    kept.wake()
    eventually(lambda: server.told)
    member(database, "w2")
    eventually(lambda: server.told[-1:] == ["w1:active w2:active"])
    kept.stop()
    nodes.revoke(database, "w1", "stolen", Act("root", T0))
    kept.wake()
    assert server.told[-1] == "w1:active w2:active"


@pytest.mark.parametrize("trouble", [SetupError("no"), RuntimeError("odd")])
def test_its_thread_survives_trouble(database: Database, clock: Clock, trouble: Exception) -> None:
    """A server that does not take it is told again later."""
    server = Server()
    kept = keeper(database, server, clock)
    kept.config()
    server.trouble = [trouble]
    kept.start()
    member(database, "w1")
    kept.wake()
    assert server.asked.wait(60)
    kept.wake()
    eventually(lambda: server.told == ["w1:active"])
    kept.stop()


def test_many_changes_are_few_reloads(database: Database, clock: Clock) -> None:
    """What changes while the pause after a reload lasts is one reload."""
    clock.now = T0
    server = Server()
    kept = FabricKeeper(database, server, names, clock=clock, least_s=60.0)
    kept.config()
    kept.start()
    member(database, "w1")
    kept.wake()
    eventually(lambda: server.told)
    for n in range(2, 5):
        member(database, f"w{n}")
        kept.wake()
    kept.stop()
    assert server.told == ["w1:active"]

"""Machines as far as work goes: what they said last, and whether they drain."""

from __future__ import annotations

import msgspec
import pytest

from spectra.errors import BadRequest, NotFound
from spectra.model.nodes import Load, Tool
from spectra.model.work import WorkerRecord
from spectra.store import nodes, presence, workers
from spectra.store.database import Database
from spectra.store.presence import Beat
from spectra.store.workers import Asked
from tests.store import toil
from tests.store.machines import ABLE, ROOT, T0, invite, told
from tests.store.toil import SECOND

pytestmark = pytest.mark.engine


def test_what_machines_said_last(database: Database) -> None:
    """With what they run, and what they can; strangers and revoked ones are left out, and old words change nothing."""
    toil.workers(database, "attic", "barn", "cellar")
    nodes.revoke(database, "cellar", "stolen", ROOT)
    said = [Asked("attic", 2, 2), Asked("attic", 4, 1, 3, 4096, True), Asked("nobody", 1, 1), Asked("cellar", 1, 1)]
    workers.asked(database, said, T0 + SECOND)
    workers.asked(database, [Asked("attic", 9, 9)], T0)
    workers.asked(database, [], T0)
    tools = (Tool("nmap", "7.95"), Tool("masscan"), Tool("toaster"))
    able = msgspec.structs.replace(ABLE, tools=tools)
    presence.heartbeats(database, [Beat("attic", T0, Load(), capabilities=able)])
    toil.job(database, 1)
    toil.ask(database, "attic")
    expected = WorkerRecord(
        node="attic",
        slots=4,
        free=1,
        running=1,
        spooled=3,
        spooled_bytes=4096,
        spool_full=True,
        last_asked=T0 + SECOND,
        tools=("connect", "nmap", "masscan"),
    )
    assert workers.every(database) == (expected,)
    assert workers.find(database, "attic") == expected
    assert workers.find(database, "barn") is None


def test_draining(database: Database) -> None:
    """On record where it changes something; a machine that never drained need not be told to stop."""
    toil.workers(database, "attic", "barn")
    before = len(told(database))
    assert workers.drain(database, "barn", False, ROOT) == WorkerRecord("barn", slots=0, free=0, running=0)
    assert workers.drain(database, "attic", True, ROOT).draining
    assert workers.drain(database, "attic", True, ROOT).draining
    assert workers.draining(database) == {"attic"}
    assert workers.details(database)["worker/attic"]["by"] == "root"
    assert not workers.drain(database, "attic", False, ROOT).draining
    assert workers.draining(database) == set()
    assert [worker.node for worker in workers.every(database)] == ["attic"]
    assert told(database)[before:] == ["worker.drained", "worker.undrained"]


def test_who_cannot_drain(database: Database) -> None:
    """Strangers, those who have not come, and those who are revoked."""
    toil.workers(database, "attic")
    invite(database, "barn")
    nodes.revoke(database, "attic", "stolen", ROOT)
    with pytest.raises(NotFound) as caught:
        workers.drain(database, "nobody", True, ROOT)
    assert caught.value.reason == "unknown_node"
    for name, reason in (("barn", "not_joined"), ("attic", "node_revoked")):
        with pytest.raises(BadRequest) as refused:
            workers.drain(database, name, True, ROOT)
        assert refused.value.reason == reason

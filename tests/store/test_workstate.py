"""Whether work is handed out, how much there is, and which version of the do-not-scan list holds."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from spectra.model.work import TargetCounts
from spectra.store import blocks, do_not_scan, workers, workstate
from spectra.store.accounts import Act
from spectra.store.database import Database
from tests.store import toil
from tests.store.machines import ROOT, T0, told

pytestmark = pytest.mark.engine

HOUR = timedelta(hours=1)


def test_pausing_everything(database: Database) -> None:
    """Everybody sees it, with who and why; it is on record where it changes something."""
    assert not workstate.paused(database)
    assert workstate.details(database) == {}
    workstate.pause(database, False, "", ROOT)
    status = workstate.pause(database, True, "maintenance", Act("eve", T0))
    assert (status.paused, status.paused_by, status.paused_reason) == (True, "eve", "maintenance")
    workstate.pause(database, True, "again", ROOT)
    assert workstate.paused(database)
    assert workstate.status(database) == status
    assert not workstate.pause(database, False, "", ROOT).paused
    assert workstate.details(database)["work/pause"]["by"] == "root"
    assert told(database) == ["work.paused", "work.resumed"]


def test_how_much_there_is(database: Database) -> None:
    """The targets of all jobs that go on, and the machines."""
    toil.workers(database, "attic")
    workers.asked(database, [workers.Asked("attic", 2, 2)], T0)
    toil.job(database, 1, priority=1)
    toil.job(database, 3)
    done, sent, _ = toil.ask(database, "attic", count=3)
    for lease in (done, sent):
        toil.submit(database, lease)
    toil.settle(database, done)  # its job has ended with it
    status = workstate.status(database)
    assert status.counts == TargetCounts(waiting=1, leased=1, submitted=1)
    assert [(worker.node, worker.running, worker.done) for worker in status.workers] == [("attic", 1, 2)]


def test_the_version_grows_with_every_change_of_the_law(database: Database) -> None:
    """Entries and blocks of targets that come, go or run out; what is about nobody's targets changes nothing."""
    versions = [workstate.law_version(database, T0)]

    def grown(now: object = T0) -> bool:
        versions.append(workstate.law_version(database, T0 if now is T0 else T0 + 2 * HOUR))
        return versions[-1] > versions[-2]

    entry = do_not_scan.add(database, network="192.0.2.0/24", reason="x", by="root", now=T0)
    assert grown()
    do_not_scan.remove(database, UUID(entry.entry_id), by="root", now=T0)
    assert grown()
    blocks.add(database, network="198.51.100.0/24", reason="x", by="root", now=T0)
    assert not grown()
    block = blocks.add(database, asn=64500, reason="x", by="root", now=T0, targets=True)
    assert grown()
    blocks.remove(database, UUID(block.block_id), by="root", now=T0)
    assert grown()
    blocks.add(database, network="203.0.113.0/24", reason="x", by="root", now=T0, targets=True, until=T0 + HOUR)
    assert grown()
    assert grown(now=None)

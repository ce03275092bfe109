"""What becomes of a target, step by step: each may run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spectra.errors import NotFound
from spectra.flow.correlation import Correlation
from spectra.flow.submission import Ingest
from spectra.flow.targets import Read, Targets
from spectra.ingest.parsers import ParseError
from spectra.store import observations
from tests.flow.desk import Clock, host, nmap, port, rows, settled
from tests.flow.harvest import TERMS, Harvest

pytestmark = pytest.mark.engine

OUTPUT = nmap(host("192.0.2.1", port(80, "nginx"), port(22, "OpenSSH"), port(23, state="closed")))


@pytest.fixture
def harvest(tmp_path: Path, ingest: Ingest, clock: Clock) -> Harvest:
    """A coordinator that hands out work."""
    return Harvest(tmp_path, ingest, clock)


@pytest.fixture
def targets(ingest: Ingest, harvest: Harvest) -> Targets:
    """The parts of the workflow."""
    return Targets(ingest, Correlation(ingest.database), terms=TERMS, woken=harvest.begun.wake)


def taken(harvest: Harvest, **said: Any) -> tuple[int, str]:
    """A result that is stored: its target and lease."""
    worker = harvest.worker()
    leased = harvest.given(worker)
    harvest.results.take(worker.peer, harvest.bundle(worker, leased, [harvest.observation(worker, OUTPUT)], **said))
    return leased.target, leased.lease


def test_each_step_may_be_repeated(harvest: Harvest, targets: Targets) -> None:
    """A process may be killed before anybody noted that a step was done: the second time finds it done."""
    target, lease = taken(harvest)
    read = Read(0)
    for _ in range(2):
        read = targets.read(lease)  # the closed port is in the graph, and nothing that was found
        assert (read.found, read.failed, len(read.observations)) == (2, "", 1)
    for _ in range(2):
        assert targets.judge(read) == 0
        assert not rows(harvest.database, "SELECT name, product FROM service WHERE software IS NULL")
    for _ in range(2):
        assert targets.settle(target, lease, read, 0) == "done"
    assert [count for _, count in settled(harvest.database)] == [1]
    assert harvest.begun.woken == 0


def test_findings_of_the_targets_hosts_are_counted(harvest: Harvest, targets: Targets) -> None:
    """Those that are open now; here one CVE of the web server, put down by hand."""
    _, lease = taken(harvest)
    read = targets.read(lease)
    assert targets.judge(read) == 0
    with harvest.database.connection() as connection:
        connection.execute("INSERT INTO vuln (cve, sort, status, changed) VALUES ('CVE-2027-1', 1, 'scored', now())")
        connection.execute(
            "INSERT INTO affected (software, vuln, since, reason, confidence, identity)"
            " SELECT s.software, v.num, now(), 0, 1, 0 FROM service s, vuln v WHERE s.product = 'nginx'"
        )
    assert targets.judge(read) == 1


def test_what_can_no_longer_be_read_goes_to_review(
    harvest: Harvest, targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an update of a parser between taking a result and reading it."""
    target, lease = taken(harvest)

    def unreadable(*given: object) -> object:
        raise ParseError("no longer read", reason="unrecognised_format")

    monkeypatch.setattr(harvest.ingest, "normalise", unreadable)
    read = targets.read(lease)
    assert (read.found, read.failed) == (0, "unrecognised_format: no longer read")
    assert targets.settle(target, lease, read, 0) == "review"
    (name,) = [name for name, _ in settled(harvest.database)]
    assert observations.get(harvest.database, name).status == "failed"


def test_a_partial_result_wakes_who_hands_out(harvest: Harvest, targets: Targets) -> None:
    """Its target waits again."""
    target, lease = taken(harvest, outcome="partial")
    assert targets.settle(target, lease, targets.read(lease), 0) == "waiting"
    assert harvest.begun.woken == 1


def test_a_lease_without_a_result_is_not_found(targets: Targets) -> None:
    """Nobody asks for one."""
    with pytest.raises(NotFound):
        targets.read("0" * 32)

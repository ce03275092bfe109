"""What a job waits for, in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from spectra.flow.waits import Situation, why
from spectra.model.nodes import Capabilities, NodeRecord, Tool
from spectra.model.presets import Preset
from spectra.model.work import (
    Constraints,
    JobRecord,
    Permission,
    TargetCounts,
    WorkerRecord,
    WorkStatus,
)

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)
PRESET = Preset(name="services", description="", tools=("nmap", "naabu"))
JOB = JobRecord(
    job="job-0123456789abcdef0123",
    account="ann",
    created=NOW,
    state="running",
    what="192.0.2.0/24",
    preset="services",
    ports="22",
    priority=0,
    scan_id="scan-1",
    permission=Permission("ann", "ticket", NOW),
    addresses=256,
    total=1,
    counts=TargetCounts(waiting=1),
)


def machine(name: str, **more: Any) -> NodeRecord:
    """A machine that is alive and has nmap."""
    can = Capabilities(1, 512, "x86_64", "linux", "1.0", tools=(Tool("nmap"),), region="eu", relay=False)
    record = NodeRecord(name, f"spiffe://m/{name}", "worker", "active", "alive", NOW, capabilities=can)
    return msgspec.structs.replace(record, **more)


def worker(name: str, **more: Any) -> WorkerRecord:
    """The same as far as work goes: it has room."""
    return msgspec.structs.replace(WorkerRecord(name, 2, 2, 0, last_asked=NOW), **more)


def told(
    *workers: WorkerRecord,
    nodes: tuple[NodeRecord, ...] = (machine("w1"), machine("w2")),
    job: JobRecord = JOB,
    preset: Preset = PRESET,
    opens: datetime | None = None,
    again: datetime | None = None,
    **status: Any,
) -> str:
    """What is said where these machines work."""
    state = WorkStatus(paused=False, counts=TargetCounts(waiting=1), workers=workers)
    return why(job, preset, Situation(msgspec.structs.replace(state, **status), nodes, opens, again, NOW))


def wanting(**constraints: Any) -> JobRecord:
    """The job for certain machines only."""
    return msgspec.structs.replace(JOB, constraints=Constraints(**constraints))


def test_a_job_that_moves_or_is_next_waits_for_nothing() -> None:
    """Nor does one that has ended, or whose targets are all being read."""
    assert told(worker("w1")) == ""
    for job in (
        msgspec.structs.replace(JOB, counts=TargetCounts(waiting=1, leased=1)),
        msgspec.structs.replace(JOB, counts=TargetCounts(submitted=1)),
        msgspec.structs.replace(JOB, state="paused"),
    ):
        assert told(job=job) == ""


def test_what_holds_all_of_it() -> None:
    """A person, the fabric, the clock."""
    assert told(worker("w1"), paused=True, paused_by="ann", paused_reason="storm") == (
        "all work is paused by ann: storm"
    )
    assert told(worker("w1"), holds=("fabric",)) == "the fabric is away: no machine can be told of work"
    assert told(worker("w1"), opens=NOW + timedelta(hours=1)) == "its time window opens at 2027-01-01 13:00:00 UTC"


def test_without_machines() -> None:
    """None ever scanned, all are held back, or none lives."""
    assert told() == "no machine of the mesh scans: `spectra node token` lets one join"
    assert told(worker("w1", slots=0)) == "no machine of the mesh scans: `spectra node token` lets one join"
    assert told(worker("w1"), nodes=(machine("w1", presence="dead"),)) == "no machine that scans is alive"
    held = (machine("w1", standing="quarantined"),)
    assert told(worker("w1"), nodes=held) == "every machine that scans is quarantined: `spectra node release`"


def test_the_machine_that_was_named() -> None:
    """Is not there, not let in, dead, or does not scan."""
    job = wanting(node="w9")
    assert told(worker("w1"), job=job) == "there is no machine w9"
    assert told(worker("w1"), job=job, nodes=(machine("w9", standing="quarantined"),)) == "w9 is quarantined"
    assert told(worker("w1"), job=job, nodes=(machine("w9", presence="dead"),)) == "w9 is dead"
    both = (machine("w1"), machine("w9"))
    assert told(worker("w1"), job=job, nodes=both) == "w9 does not scan (worker.slots)"
    assert told(worker("w9"), job=job, nodes=both) == ""


@pytest.mark.parametrize(
    ("job", "preset", "words"),
    [
        (wanting(region="us"), PRESET, "no machine that scans is in us"),
        (wanting(relay=True), PRESET, "no machine that could take it sends through a relay"),
        (JOB, msgspec.structs.replace(PRESET, tools=("bbot",)), "no machine that could take it has bbot"),
        (JOB, msgspec.structs.replace(PRESET, raw=True), "no machine that could take it may open raw sockets"),
    ],
)
def test_what_no_machine_has(job: JobRecord, preset: Preset, words: str) -> None:
    """The first thing that none of those that could take it otherwise has."""
    assert told(worker("w1"), worker("w2"), job=job, preset=preset) == words


def test_machines_that_take_nothing_now() -> None:
    """They drain, their spools are full, or all are busy."""
    assert told(worker("w1", draining=True)) == "every machine that could take it drains"
    assert told(worker("w1", spool_full=True)) == "the spool of every machine that could take it is full"
    assert told(worker("w1", free=0)) == "w1 is busy"
    assert told(worker("w1", free=0), worker("w2", free=0)) == "all 2 machines that could take it are busy"


def test_what_only_time_changes() -> None:
    """Targets that failed, and networks that bear no more."""
    assert told(worker("w1"), again=NOW + timedelta(seconds=5)) == (
        "its targets failed, and are tried again at 2027-01-01 12:00:05 UTC"
    )
    assert told(worker("w1"), counts=TargetCounts(waiting=1, leased=2)).startswith("its networks have as many scans")

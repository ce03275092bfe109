"""Tests of spectra.flow.work, on a real database."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.flow.orders import Rules
from spectra.flow.work import Bounds, Work
from spectra.model.work import Constraints, JobRequest, Schedule
from spectra.store import do_not_scan, jobs
from spectra.store.database import Database
from spectra.store.leases import Terms
from tests.flow.desk import Clock
from tests.flow.yards import ANN, Yard
from tests.store.machines import T0

pytestmark = pytest.mark.engine


@pytest.fixture
def yard(database: Database, clock: Clock) -> Yard:
    """What people ask, a dispatcher, and a machine `w1`."""
    clock.now = T0
    made = Yard(database, clock)
    made.machine("w1")
    return made


def test_a_job_is_what_was_asked_for(yard: Yard) -> None:
    """Cut into targets, with who agreed on record; and it says what it waits for."""
    until = yard.clock() + timedelta(days=1)
    job = yard.ask(
        "10.1.0.0/22",
        "www.example.org",
        ports="22,443",
        priority=5,
        rate=50,
        consent_until=until,
        windows=("daily",),
        constraints=Constraints(node="w1"),
    )
    assert (job.account, job.state, job.what) == (ANN, "running", "10.1.0.0/22 www.example.org")
    assert (job.preset, job.ports, job.priority, job.total, job.addresses) == ("services", "22,443", 5, 5, 1025)
    assert job.scan_id.startswith("scan-20260301-120000-")
    assert (job.permission.by, job.permission.reason, job.permission.expires) == (ANN, "ticket 4711", until)
    assert job.permission.allow == ("10.0.0.0/8",)
    assert job.waits_for.startswith("no machine of the mesh scans")
    targets, _ = jobs.targets(yard.database, job.job)
    assert [target.targets for target in targets][:2] == [("www.example.org",), ("10.1.0.0/24",)]
    assert yard.work.job(job.job) == job


def test_the_same_job_again_is_no_news(yard: Yard) -> None:
    """Who repeats a request gets the job that it made, whatever else it says now."""
    asked = JobRequest(targets=("10.1.0.1",), consent="x", allow=("10.0.0.0/8",))
    job = yard.work.ask(asked, yard.act(), job="job-0123456789abcdef0123")
    again = yard.work.ask(JobRequest(), yard.act(), job=job.job)
    assert (job.job, again) == ("job-0123456789abcdef0123", job)


@pytest.mark.parametrize(
    ("asked", "field", "reason"),
    [
        ({"targets": ()}, "targets", "bad_request"),
        ({"targets": ("1.2.3",)}, "target", "bad_target"),
        ({"targets": ("2001:db8::/32",)}, "target", "bad_target"),
        ({"consent": " "}, "consent", "no_consent"),
        ({"consent_until": T0}, "consent_until", "no_consent"),
        ({"preset": "servces"}, "preset", "unknown_preset"),
        ({"ports": "22,x"}, "ports", "bad_ports"),
        ({"windows": ("Foo",)}, "windows", "bad_window"),
        ({"scan_id": "a\nb"}, "scan_id", "bad_request"),
        ({"allow": ("example.org",)}, "allow", "bad_target"),
        ({"allow": ()}, "targets", "special_use"),
        ({"allow": tuple(f"2001:db8:{n:x}:1111:2222::/80" for n in range(1000))}, "allow", "bad_request"),
        ({"max_targets": 3}, "max_targets", "too_much_work"),
        ({"constraints": Constraints(node="ghost")}, "constraints.node", "bad_request"),
        ({"plan": "plan-1"}, "plan", "bad_request"),
    ],
)
def test_bad_requests_name_their_field(yard: Yard, asked: dict[str, Any], field: str, reason: str) -> None:
    """And nothing is kept of them."""
    good: dict[str, Any] = {"targets": ("10.1.0.0/22",), "consent": "x", "allow": ("10.0.0.0/8",)}
    with pytest.raises(BadRequest) as caught:
        yard.work.ask(JobRequest(**good | asked), yard.act())
    assert (caught.value.field, caught.value.reason) == (field, reason)
    assert jobs.page(yard.database) == ([], "")


def test_what_is_on_the_list_is_refused_or_left_out(yard: Yard) -> None:
    """As who asks wants it; a job of which nothing is left is none."""
    do_not_scan.add(yard.database, network="10.1.1.0/24", reason="asked", by=ANN, now=yard.clock())
    with pytest.raises(BadRequest) as caught:
        yard.ask("10.1.0.0/23")
    assert (caught.value.reason, caught.value.field) == ("do_not_scan", "targets")
    job = yard.ask("10.1.0.0/23", skip=True)
    assert (job.total, job.addresses) == (1, 256)
    assert "do-not-scan list" in job.left_out[0]
    with pytest.raises(BadRequest, match="do-not-scan"):
        yard.ask("10.1.1.7", skip=True)


def test_too_much_work_is_refused(database: Database, clock: Clock) -> None:
    """As the settings bound it."""
    yard = Yard(database, clock)
    work = Work(database, yard.law, Rules(Terms()), Bounds(max_waiting=2), clock=clock)
    with pytest.raises(BadRequest) as caught:
        work.ask(JobRequest(targets=("10.1.0.0/22",), consent="x", allow=("10.0.0.0/8",)), yard.act())
    assert caught.value.reason == "too_much_work"


def test_presets_of_a_folder(database: Database, clock: Clock, tmp_path: Path) -> None:
    """Are there from the moment the file is, and say how large a target is."""
    yard = Yard(database, clock)
    work = Work(database, yard.law, Rules(Terms()), Bounds(folders=(tmp_path,)), clock=clock)
    (tmp_path / "mine.yaml").write_text("description: mine\ntools: [connect]\nports: '80'\nchunk: 64\n")
    assert {"mine", "services"} <= {preset.name for preset in work.presets()}
    asked = JobRequest(targets=("10.1.0.0/24",), preset="mine", consent="x", allow=("10.0.0.0/8",))
    job = work.ask(asked, yard.act())
    assert (job.ports, job.total, job.waits_for) == ("80", 4, "the fabric is away: no machine can be told of work")


def test_who_steers_a_job_wakes_the_dispatcher(yard: Yard) -> None:
    """Paused, resumed, preferred, cancelled, tried again."""
    yard.ready("w1")
    act = yard.act()
    job = yard.ask("10.1.0.0/24").job
    assert yard.work.pause(job, act).state == "paused"
    assert yard.look() == {}
    assert yard.work.resume(job, act).state == "running"
    assert yard.work.prioritise(job, 7, act).priority == 7
    assert list(yard.look()) == ["w1"]
    assert yard.work.cancel(job, "a mistake", act).state == "cancelled"
    assert [node for node, _ in yard.cancels()] == ["w1"]
    assert yard.work.retry(job, (), act) == 1
    assert yard.work.job(job).state == "running"
    with pytest.raises(NotFound):
        yard.work.job("job-00000000000000000000")


def test_status_tells_who_works_and_what_holds(yard: Yard) -> None:
    """Machines that asked, what is paused, and what this coordinator waits for itself."""
    yard.ready("w1", 2)
    assert yard.work.status().holds == ("settling",)
    (worker,) = yard.work.status().workers
    assert (worker.node, worker.slots, worker.free, worker.draining) == ("w1", 2, 2, False)
    assert yard.work.drain("w1", True, yard.act()).draining
    paused = yard.work.pause_all("storm", yard.act())
    assert (paused.paused, paused.paused_by, paused.paused_reason) == (True, ANN, "storm")
    yard.work.handed_out_by(None)
    assert yard.work.resume_all(yard.act()).holds == ("fabric",)


def test_schedules_are_checked_before_they_are_kept(yard: Yard) -> None:
    """They run when nobody looks: what would fail then is told now."""
    good: dict[str, Any] = {"name": "weekly", "query": "net:10.0.0.0/8", "every_s": 3600.0, "consent": "ticket"}
    act = yard.act()
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"preset": "nope"}, "preset"),
        ({"windows": ("Foo",)}, "windows"),
        ({"consent": " "}, "consent"),
        ({"allow": ("x.org",)}, "allow"),
    )
    for bad, field in wrong:
        with pytest.raises(BadRequest) as caught:
            yard.work.schedule(Schedule(**good | bad), act)
        assert caught.value.field == field
    unread: dict[str, Any] = {**good, "query": "nope:1"}
    with pytest.raises(BadRequest):
        yard.work.schedule(Schedule(**unread), act)
    kept = yard.work.schedule(Schedule(**good), act)
    assert (kept.account, kept.paused) == (ANN, False)
    assert yard.work.pause_schedule("weekly", True, act).paused
    yard.clock.advance(timedelta(hours=2))
    run = yard.work.run_schedule("weekly", yard.act())
    assert (run.next_run, run.paused) == (yard.clock(), False)
    assert yard.work.unschedule("weekly", act).name == "weekly"
    with pytest.raises(NotFound):
        yard.work.unschedule("weekly", act)

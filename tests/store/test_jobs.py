"""Jobs: kept whole or not at all, steered by people, and ended when nothing of them is open any more."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.model.work import Constraints, TargetCounts
from spectra.store import jobs, leases, results
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.jobs import Held, NewJob, NewTarget, Windowed
from tests.store.machines import told
from tests.store.toil import AGREED, ROOT, SECOND, T0, TERMS, WAYS, ask, hosts, job, settle, submit, workers

pytestmark = pytest.mark.engine

EVE = Act("eve", T0 + SECOND)


def test_a_job_is_kept_as_it_was_asked_for(database: Database) -> None:
    """All of it, its targets in order, and one entry of the chain."""
    more: dict[str, Any] = {
        "constraints": Constraints(node="attic", region="eu", relay=True),
        "windows": ("Sat-Sun",),
        "left_out": ("10.0.0.9: special",),
        "schedule": "nightly",
        "priority": -3,
    }
    made = job(
        database, [NewTarget(("10.0.0.1", "10.0.0.2"), "10.0.0.0/24", 2), NewTarget(("a.example",), "", 1)], **more
    )
    assert (made.state, made.total, made.addresses, made.counts) == ("running", 2, 3, TargetCounts(waiting=2))
    assert (made.account, made.preset, made.ports, made.scan_id) == ("root", "services", "top100", "scan-1")
    assert (made.constraints, made.windows, made.left_out) == (
        more["constraints"],
        ("Sat-Sun",),
        ("10.0.0.9: special",),
    )
    assert (made.schedule, made.priority, made.permission, made.created) == ("nightly", -3, AGREED, T0)
    assert jobs.get(database, made.job) == jobs.find(database, made.job) == made
    assert jobs.preset(database, made.job) == WAYS
    assert [t.targets for t in jobs.targets(database, made.job)[0]] == [("10.0.0.1", "10.0.0.2"), ("a.example",)]
    assert told(database) == ["job.created"]


def test_the_same_id_again_is_no_news(database: Database) -> None:
    """Whoever asks twice, or two at once, has one job."""
    new = NewJob("root", "x", WAYS, "22", "scan", AGREED)
    start = threading.Barrier(4)

    def make(_: int) -> str:
        start.wait(30)
        return jobs.create(database, new, hosts(3), ROOT, max_waiting=99, job=f"job-{'0' * 20}").job

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(make, range(4))) == {f"job-{'0' * 20}"}
    assert jobs.get(database, f"job-{'0' * 20}").total == 3
    assert told(database) == ["job.created"]


def test_too_much_or_nothing_is_refused_whole(database: Database) -> None:
    """Of a job that is refused nothing stays."""
    job(database, 3)
    new = NewJob("root", "x", WAYS, "22", "scan", AGREED)
    for wanted, reason in ((hosts(6), "too_much_work"), ([], "nothing_to_scan")):
        with pytest.raises(BadRequest) as caught:
            jobs.create(database, new, wanted, ROOT, max_waiting=8)
        assert caught.value.reason == reason
    assert len(jobs.page(database)[0]) == 1
    assert jobs.create(database, new, hosts(5), ROOT, max_waiting=8).total == 5


def test_many_targets_keep_their_order(database: Database) -> None:
    """Though they are written some thousands at a time; what they are made of is read as it is needed."""
    made = job(database, (NewTarget((f"h{n}.example",), "", 1) for n in range(5_100)))
    assert (made.total, made.counts.waiting) == (5_100, 5_100)
    found, cursor = jobs.targets(database, made.job, limit=5_050)
    rest, end = jobs.targets(database, made.job, limit=5_050, cursor=cursor)
    assert [target.targets[0] for target in (*found, *rest)] == [f"h{n}.example" for n in range(5_100)]
    assert end == ""


def test_what_there_is_not(database: Database) -> None:
    """Every way of asking for a job or target that there is not says so."""
    calls = (
        lambda: jobs.get(database, "job-x"),
        lambda: jobs.preset(database, "job-x"),
        lambda: jobs.targets(database, "job-x"),
        lambda: jobs.cancel(database, "job-x", ROOT, ""),
        lambda: jobs.pause(database, "job-x", ROOT),
        lambda: jobs.prioritise(database, "job-x", 1, ROOT),
        lambda: jobs.retry(database, "job-x", ROOT),
        lambda: jobs.target(database, 1),
    )
    for call, reason in zip(calls, ["unknown_job"] * 7 + ["unknown_target"], strict=True):
        with pytest.raises(NotFound) as caught:
            call()
        assert caught.value.reason == reason
    assert jobs.find(database, "job-x") is None


def test_pages_of_jobs(database: Database) -> None:
    """Newest first, by state and by account, a page at a time; a cursor of elsewhere is refused."""
    made = [job(database, 1, account="eve" if n == 1 else "root").job for n in range(5)]
    jobs.pause(database, made[0], ROOT)
    jobs.cancel(database, made[1], ROOT, "no")
    found, cursor = jobs.page(database, limit=2)
    assert [one.job for one in found] == [made[4], made[3]]
    rest, end = jobs.page(database, limit=3, cursor=cursor)
    assert ([one.job for one in rest], end) == ([made[2], made[1], made[0]], "")
    assert [one.job for one in jobs.page(database, account="eve")[0]] == [made[1]]
    assert [[one.job for one in jobs.page(database, state=state)[0]] for state in ("paused", "cancelled", "done")] == [
        [made[0]],
        [made[1]],
        [],
    ]
    for wrong in ("x", jobs.targets(database, job(database, 2).job, limit=1)[1]):
        with pytest.raises(BadRequest) as caught:
            jobs.page(database, cursor=wrong)
        assert caught.value.field == "cursor"


def test_pages_of_targets(database: Database) -> None:
    """In order, whatever lies between them, and by state."""
    workers(database, "attic")
    made = job(database, 5)
    other = job(database, 2)
    numbers = [target.target for target in jobs.targets(database, made.job)[0]]
    assert [target.target for target in jobs.targets(database, other.job)[0]] == [numbers[-1] + 1, numbers[-1] + 2]
    (given,) = ask(database, "attic")
    found, cursor = jobs.targets(database, made.job, limit=3)
    rest, end = jobs.targets(database, made.job, limit=3, cursor=cursor)
    assert ([target.target for target in (*found, *rest)], end) == (numbers, "")
    assert [target.target for target in jobs.targets(database, made.job, state="leased")[0]] == [given.target]
    with pytest.raises(BadRequest):
        jobs.targets(database, other.job, cursor=cursor)


def test_a_job_ends_with_its_last_target(database: Database) -> None:
    """Its counts are kept, with what was found; nothing of it is handed out any more."""
    workers(database, "attic")
    made = job(database, 2)
    for lease in ask(database, "attic", count=2):
        assert jobs.get(database, made.job).state == "running"
        submit(database, lease)
        settle(database, lease, at=T0 + 9 * SECOND)
    done = jobs.get(database, made.job)
    assert (done.state, done.ended, done.counts, done.found, done.findings) == (
        "done",
        T0 + 9 * SECOND,
        TargetCounts(done=2),
        6,
        2,
    )
    assert jobs.page(database, state="done")[0] == [done]
    for steer in (jobs.pause, jobs.resume):
        with pytest.raises(BadRequest) as caught:
            steer(database, made.job, ROOT)
        assert caught.value.reason == "job_ended"
    assert jobs.cancel(database, made.job, ROOT, "late") == []
    assert jobs.get(database, made.job) == done


def test_cancelling(database: Database) -> None:
    """What waits and what is being scanned ends; a result that is there is still read. Only the first time says so."""
    workers(database, "attic")
    made = job(database, 3)
    sent, running = ask(database, "attic", count=2)
    submit(database, sent)
    assert jobs.cancel(database, made.job, EVE, "wrong network") == [Held("attic", running.lease, T0)]
    assert jobs.cancel(database, made.job, EVE, "again") == []
    now = jobs.get(database, made.job)
    assert (now.state, now.reason, now.ended) == ("cancelled", "wrong network", None)
    assert now.counts == TargetCounts(submitted=1, cancelled=2)
    assert leases.renew(database, "attic", [running.lease], T0) == [running.lease]
    settle(database, sent)
    now = jobs.get(database, made.job)
    assert (now.state, now.ended, now.counts) == ("cancelled", T0, TargetCounts(done=1, cancelled=2))
    assert told(database, "job.") == ["job.created", "job.cancelled"]


def test_a_partial_result_of_a_cancelled_job_ends_it(database: Database) -> None:
    """What would wait again is cancelled, even where it was put back in the very moment."""
    workers(database, "attic")
    made = job(database, 2)
    one, two = ask(database, "attic", count=2)
    for lease in (one, two):
        submit(database, lease, "partial")
    settle(database, one)
    with database.connection() as connection:  # as a cancellation leaves it that did not see the target wait yet
        connection.execute("UPDATE job SET decision = 'cancelled'")
    assert settle(database, two) == "cancelled"
    assert jobs.get(database, made.job).counts == TargetCounts(waiting=1, cancelled=1)
    assert jobs.finish(database, T0) == [made.job]
    assert jobs.get(database, made.job).counts == TargetCounts(cancelled=2)
    assert jobs.finish(database, T0) == []


def test_steering(database: Database) -> None:
    """Pausing, resuming and another priority are on record where they change something."""
    made = job(database, 1)
    assert jobs.pause(database, made.job, EVE).state == "paused"
    jobs.pause(database, made.job, EVE)
    assert jobs.resume(database, made.job, EVE).state == "running"
    assert jobs.prioritise(database, made.job, 7, EVE).priority == 7
    jobs.prioritise(database, made.job, 7, EVE)
    assert told(database, "job.") == ["job.created", "job.paused", "job.resumed", "job.priority"]
    assert jobs.details(database)[made.job]["by"] == "eve"


def test_trying_again(database: Database) -> None:
    """Targets in review and cancelled ones have all their attempts anew, all or those named; the job runs again."""
    workers(database, "attic")
    made = job(database, 3)
    for lease in ask(database, "attic", count=2, terms=TERMS._replace(attempts=1)):
        submit(database, lease, "failed", message="no route", terms=TERMS._replace(attempts=1))
    jobs.cancel(database, made.job, ROOT, "enough")
    assert jobs.get(database, made.job).counts == TargetCounts(review=2, cancelled=1)
    review = jobs.in_review(database)[0]
    assert len(review) == 2
    assert review[0].reason == "1 attempts failed. 1 (attic): failed, no route."
    assert [attempt.end for attempt in review[0].history] == ["failed"]
    assert jobs.retry(database, made.job, EVE, [review[0].target, 999]) == 1
    now = jobs.get(database, made.job)
    assert (now.state, now.ended, now.reason) == ("running", None, "")
    assert now.counts == TargetCounts(waiting=1, review=1, cancelled=1)
    again = jobs.target(database, review[0].target)
    assert (again.attempts, again.reason, len(again.history)) == (0, "", 1)
    assert jobs.retry(database, made.job, EVE) == 2
    assert jobs.retry(database, made.job, EVE) == 0
    later = T0 + 61 * SECOND
    assert sorted(lease.attempt for lease in ask(database, "attic", at=later, count=3)) == [1, 2, 2]
    assert told(database, "job.")[-2:] == ["job.retried", "job.retried"]


def test_pages_of_what_a_person_has_to_look_at(database: Database) -> None:
    """Of all jobs, newest first."""
    workers(database, "attic")
    terms = TERMS._replace(attempts=1)
    for _ in range(3):
        job(database, 1)
        (lease,) = ask(database, "attic", terms=terms)
        submit(database, lease, "failed", terms=terms)
    found, cursor = jobs.in_review(database, limit=2)
    rest, end = jobs.in_review(database, limit=2, cursor=cursor)
    assert len({target.target for target in (*found, *rest)}) == 3
    assert (found[0].target > found[1].target > rest[0].target, end) == (True, "")


def test_windows_of_running_jobs(database: Database) -> None:
    """Jobs that have none, or do not run, are left out."""
    job(database, 1)
    jobs.pause(database, job(database, 1, windows=("Mon",)).job, ROOT)
    made = job(database, 1, windows=("Tue", "Wed"))
    assert jobs.windows(database) == [Windowed(made.job, ("Tue", "Wed"))]


def test_the_last_two_targets_may_end_at_once(database: Database) -> None:
    """Whichever of two transactions sees the other's target still open, the next look ends the job."""
    workers(database, "attic")
    made = job(database, 2)
    given = ask(database, "attic", count=2)
    for lease in given:
        submit(database, lease)
    with database.transaction() as one, database.transaction() as two:
        for connection, lease in zip((one, two), given, strict=True):
            results.settle(connection, lease.target, lease.lease, found=0, findings=0, terms=TERMS, now=T0)
    assert jobs.get(database, made.job).counts == TargetCounts(done=2)
    leases.expire(database, TERMS, T0)
    assert jobs.get(database, made.job).state == "done"

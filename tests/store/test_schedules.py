"""Schedules: due in their time, run by one of several coordinators, and on record."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from spectra.errors import NotFound
from spectra.model.work import Schedule
from spectra.store import schedules
from spectra.store.accounts import Act
from spectra.store.database import Database
from tests.store.machines import ROOT, T0, told

pytestmark = pytest.mark.engine

HOUR = timedelta(hours=1)
NIGHTLY = Schedule(name="nightly", query="port:22", every_s=3600, consent="ours", priority=-5)


def replaced(schedule: Schedule, **more: Any) -> Schedule:
    """A schedule with other words."""
    return msgspec.structs.replace(schedule, **more)


def test_a_schedule_is_kept_and_due(database: Database) -> None:
    """At once where it is new or changed; who put it last runs it; what was not asked for is not believed."""
    kept = schedules.put(database, replaced(NIGHTLY, account="mallory", last_job="job-x"), ROOT)
    assert kept == replaced(NIGHTLY, account="root", created=T0, next_run=T0)
    assert schedules.get(database, "nightly") == kept
    assert schedules.put(database, NIGHTLY, ROOT._replace(now=T0 + HOUR)) == kept
    changed = schedules.put(database, replaced(NIGHTLY, every_s=60), Act("eve", T0 + HOUR))
    assert (changed.account, changed.every_s, changed.created, changed.next_run) == ("eve", 60, T0, T0 + HOUR)
    assert schedules.all_of(database) == (changed,)
    assert told(database) == ["schedule.put", "schedule.put"]


def test_one_of_many_runs_it(database: Database) -> None:
    """The next run is a period later; a schedule that is not due cannot be taken."""
    schedules.put(database, NIGHTLY, ROOT)
    assert [found.name for found in schedules.due(database, T0)] == ["nightly"]
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(schedules.claim, database, "nightly", T0) for _ in range(8)]
        assert sorted(run.result(60) for run in runs) == [False] * 7 + [True]
    assert schedules.due(database, T0 + HOUR - timedelta(seconds=1)) == ()
    schedules.ran(database, "nightly", T0, job="job-1")
    schedules.ran(database, "nightly", T0 + HOUR, error="the feed is away")
    now = schedules.get(database, "nightly")
    assert (now.last_job, now.last_error, now.last_run, now.next_run) == (
        "job-1",
        "the feed is away",
        T0 + HOUR,
        T0 + HOUR,
    )
    assert schedules.claim(database, "nightly", T0 + HOUR)
    assert schedules.hurry(database, "nightly", ROOT).next_run == T0
    assert told(database) == ["schedule.put", "schedule.run"]


def test_the_longest_overdue_first(database: Database) -> None:
    """Whatever their names."""
    for number, name in enumerate(("c", "a", "b")):
        schedules.put(database, replaced(NIGHTLY, name=name), ROOT._replace(now=T0 + number * HOUR))
    assert [found.name for found in schedules.due(database, T0 + HOUR)] == ["c", "a"]


def test_pausing(database: Database) -> None:
    """It is not due while it is; neither whose it is nor when it is due changes."""
    kept = schedules.put(database, NIGHTLY, ROOT)
    eve = Act("eve", T0 + HOUR)
    paused = schedules.put(database, replaced(kept, paused=True), eve)
    assert paused == replaced(kept, paused=True, next_run=None)
    assert schedules.due(database, T0 + HOUR) == ()
    assert not schedules.claim(database, "nightly", T0 + HOUR)
    assert schedules.put(database, replaced(paused, paused=False), eve) == kept
    assert schedules.details(database)["schedule/nightly"]["by"] == "eve"
    assert told(database) == ["schedule.put"] * 3


def test_removing(database: Database) -> None:
    """It is gone, and what comes of a run that has begun is no news."""
    schedules.put(database, NIGHTLY, ROOT)
    schedules.remove(database, "nightly", ROOT)
    schedules.ran(database, "nightly", T0, job="job-1")
    assert schedules.all_of(database) == ()
    assert schedules.details(database) == {}
    assert not schedules.claim(database, "nightly", T0)
    calls = (
        lambda: schedules.get(database, "nightly"),
        lambda: schedules.remove(database, "nightly", ROOT),
        lambda: schedules.hurry(database, "nightly", ROOT),
    )
    for call in calls:
        with pytest.raises(NotFound) as caught:
            call()
        assert caught.value.reason == "unknown_schedule"
    assert told(database) == ["schedule.put", "schedule.removed"]

"""Two hundred targets, and everything that works on them killed in the middle: each ends exactly once."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from tests.mesh.town import kill
from tests.mesh.yard import Yard, yard
from tests.support.waiting import eventually

pytestmark = [pytest.mark.engine, pytest.mark.fault, pytest.mark.slow]

TARGETS = "127.9.0.1-200"


@pytest.fixture(scope="module")
def ground() -> Iterator[Yard]:
    """One coordinator and four workers."""
    with yard() as made:
        for name in ("w1", "w2", "w3", "w4"):
            made.worker(name, slots=2)
        yield made


def test_everything_is_killed_in_the_middle_of_two_hundred_targets(
    ground: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker, nats-server, the coordinator and PostgreSQL, each by SIGKILL while targets run: all targets end, each
    once, and nothing that was found is lost or counted twice.
    """
    job = ground.ask(TARGETS)
    assert ground.job(job)["total"] == 200
    resumed: dict[str, float] = {}

    ground.until(job, 15)
    worker = ground.workers["w1"]
    assert worker.end(signal.SIGKILL) == -signal.SIGKILL
    resumed["worker"] = ground.resumed(job, time.monotonic())

    ground.until(job, 40)
    began, before = time.monotonic(), ground.nats
    kill(before)
    eventually(lambda: ground.nats not in (0, before))
    resumed["nats-server"] = ground.resumed(job, began)

    ground.until(job, 80)
    began = time.monotonic()
    assert ground.running.end(signal.SIGKILL) == -signal.SIGKILL
    ground.running.start()
    resumed["coordinator"] = ground.resumed(job, began)

    ground.until(job, 120)
    began = time.monotonic()
    kill(ground.running.postmaster)
    resumed["PostgreSQL"] = ground.resumed(job, began)

    worker.begin("node", "run")
    ground.until(job, 200, within_s=300)
    ends = ground.ended_once(job)
    assert ends["done"] == 200
    assert not ends["failed"] + ends["refused"] + ends["rejected"], ends
    with capsys.disabled():
        told = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in resumed.items())
        print(f"\nwork resumed after SIGKILL of: {told}; attempts: {dict(ends)}")

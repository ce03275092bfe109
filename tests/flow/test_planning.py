"""Tests of spectra.flow.planning, on a real database: plans that become jobs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from spectra.errors import BadRequest, NotFound
from spectra.flow import planning
from spectra.model.lifetimes import Lifetimes
from spectra.model.plans import Selectors
from spectra.model.work import JobRequest
from spectra.store import jobs, plans
from spectra.store.database import Database
from spectra.store.plans import Asked
from spectra.store.staleness import Ages
from tests.flow.desk import Clock
from tests.flow.yards import Yard
from tests.store.scribe import T0, Scribe, host, seen

pytestmark = pytest.mark.engine

LATER = T0 + timedelta(days=30)


def plan(database: Database, q: str = "") -> str:
    """A plan of all that is stale a month later; its id."""
    selectors = Selectors(q=q)
    asked = Asked("ann", selectors, planning.question(selectors, LATER), Ages(LATER, Lifetimes(), None))
    return plans.create(database, asked, limit=1).plan_id


@pytest.fixture
def town(database: Database) -> Database:
    """Two hosts, seen long ago."""
    hosts = [host("10.0.0.1", T0, seen(22, "ssh"), seen(80, "http")), host("10.0.0.2", T0, seen(53, "domain"))]
    Scribe(database)(hosts)
    return database


def test_hosts_of_a_plan_with_the_ports_of_each(town: Database) -> None:
    """All pages of it, up to as many endpoints as are wanted."""
    assert planning.hosts(town, plan(town), LATER) == {"10.0.0.1": "22,80", "10.0.0.2": "53"}
    assert sum(len(ports.split(",")) for ports in planning.hosts(town, plan(town), LATER, 2).values()) == 2
    with pytest.raises(NotFound):
        planning.hosts(town, "plan-1", LATER)


def test_a_plan_becomes_a_job(town: Database, clock: Clock) -> None:
    """Each host on the ports it is planned for; by tools that tell what has closed."""
    clock.now = LATER
    yard = Yard(town, clock)
    yard.machine("w1")
    wanted = JobRequest(plan=plan(town), consent="ticket", allow=("10.0.0.0/8",), preset="discovery")
    job = yard.work.ask(wanted, yard.act())
    assert (job.total, job.ports, job.what) == (2, "as planned", f"plan {wanted.plan}")
    assert "naabu" not in jobs.preset(town, job.job).tools
    orders = yard.ready("w1", 2)
    assert {order.targets: order.ports for order in orders} == {("10.0.0.1",): "22,80", ("10.0.0.2",): "53"}
    wrong: tuple[dict[str, Any], ...] = ({"preset": "sweep"}, {"ports": "22"}, {"targets": ("10.0.0.9",)})
    for bad in wrong:
        with pytest.raises(BadRequest):
            yard.work.ask(structs.replace(wanted, **bad), yard.act())
    with pytest.raises(BadRequest, match="Nothing is left"):
        yard.work.ask(JobRequest(plan=plan(town, "port:9"), consent="x"), yard.act())

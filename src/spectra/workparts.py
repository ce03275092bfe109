"""The work of one coordinator, put together from its settings: the law, how orders are made, and what people ask."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from spectra.collect import presets
from spectra.collect.rules import denied
from spectra.flow.correlation import Correlation
from spectra.flow.jobs import Job
from spectra.flow.law import Law, Systems
from spectra.flow.orders import Rules
from spectra.flow.planflow import PlanJob, Planner
from spectra.flow.results import Next, Results
from spectra.flow.submission import Ingest
from spectra.flow.targetflow import TargetJob
from spectra.flow.targets import Targets
from spectra.flow.windows import parse_all
from spectra.flow.work import Bounds, Work
from spectra.flow.workflows import Workflows
from spectra.meshparts import MeshParts
from spectra.model.lifetimes import Lifetimes
from spectra.settings import Settings, config_dir, deny_files
from spectra.store.coordinators import Coordinator
from spectra.store.database import Database
from spectra.store.leases import Terms
from spectra.store.plans import Keeping


def work_of(settings: Settings, database: Database, systems: Systems, *, clock: Callable[[], datetime]) -> Work | None:
    """What the settings ask for; None where no scans are handed out.

    Raises `SpectraError` where a window, an entry of the do-not-scan list or its file cannot be read: handing out scans
    without them would be unlawful.
    """
    wanted = settings.work
    if not wanted.enabled:
        return None
    law = Law(
        database,
        systems,
        do_not_scan=denied(deny_files(), settings.scan.do_not_scan),
        allow=settings.scan.allow,
        clock=clock,
    )
    terms = Terms(
        lease_s=wanted.lease_s,
        attempts=wanted.attempts,
        per_node=wanted.per_node,
        per_network=wanted.per_network,
        network_rate=wanted.network_rate,
    )
    rules = Rules(terms, wanted.deadline_s, parse_all(wanted.windows, field="work.windows"))
    folders = tuple(presets.places(config_dir(), wanted.presets))
    presets.load(folders)  # a file that cannot be read is told at the start, rather than to who asks for a job
    return Work(database, law, rules, Bounds(wanted.chunk, wanted.max_waiting, folders), clock=clock)


class Settling(NamedTuple):
    """What becomes of results, and what schedules ask for: the workflows of both, and where results go."""

    jobs: tuple[Job, ...] = ()
    results: Callable[[Workflows], Results | None] = lambda workflows: None


def settling(
    settings: Settings, work: Work | None, ingest: Ingest, correlation: Correlation, lifetimes: Lifetimes
) -> Settling:
    """What is done with what machines send for the targets of `work`; nothing where there is none."""
    if work is None:
        return Settling()
    law, terms, woken, fresh = work.law, work.rules.terms, work.woken, settings.freshness
    targets = TargetJob(Targets(ingest, correlation, terms=terms, woken=woken))
    keeping = Keeping(fresh.plan_days, fresh.plans_per_account)
    plans = PlanJob(Planner(ingest.database, work, ingest.clock, lifetimes, keeping))

    def results(workflows: Workflows) -> Results:
        return Results(ingest, law, terms=terms, after=Next(targets.start, workflows.enqueue, woken))

    return Settling((targets, plans), results)


def coordinator_of(settings: Settings, mesh: MeshParts | None) -> Coordinator:
    """This coordinator among all on its database: its node, or without a mesh a name for each data folder."""
    if mesh is not None:
        return Coordinator(mesh.own.name, mesh.members.places.api_url)
    place = f"{socket.gethostname()}:{settings.data_dir.resolve()}"
    return Coordinator(f"coordinator-{hashlib.sha256(place.encode()).hexdigest()[:16]}", "")

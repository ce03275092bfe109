"""The first thing one looks at: what is new since the last time, and how it stands with all that works here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final, Generic, TypeVar

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from spectra.api import tiers
from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, caller_of, scope
from spectra.api.routes.activity import since_of
from spectra.api.services import Services
from spectra.flow.judging import JUDGE
from spectra.model.findingrecords import FindingSummary
from spectra.model.overview import (
    FeedAge,
    FindingNews,
    Freshness,
    Looked,
    OverviewPage,
    Refusals,
)
from spectra.model.query import Query as Question
from spectra.store import coverage, feeds, findingcounts, looks, newfindings, overview
from spectra.store.staleness import Ages

router = APIRouter(tags=["activity"])

T = TypeVar("T")

KEEP_S: Final = 60.0
"""Longest that numbers about all there is are kept: they move slowly, and take long to count of a million hosts."""
_WORTH: Final = 100.0
"""How much longer than it took to count them: what is counted at once is not kept for a minute."""
_SHOWN: Final = 10
_READ: Final = "activity:read"


class Remembered(Generic[T]):
    """A value that is made anew when it is older than it is worth, by one at a time. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._value: tuple[float, T] | None = None

    def read(self, make: Callable[[], T]) -> T:
        """The value; what `make` raises comes out."""
        with self._lock:
            began = time.monotonic()
            if self._value is None or began > self._value[0]:
                made = make()
                now = time.monotonic()
                self._value = now + min(KEEP_S, _WORTH * (now - began)), made
            return self._value[1]


class Kept:
    """What one app remembers of these."""

    def __init__(self) -> None:
        self.freshness = Remembered[Freshness]()
        self.findings = Remembered[FindingSummary]()
        self.feeds = Remembered[tuple[FeedAge, ...]]()


@router.get(
    "/v0/overview",
    summary="What is new, and how it stands",
    dependencies=[scope(_READ)],
    responses=described(OverviewPage, 400, 401, 403),
    response_class=Response,
)
def read(
    request: Request,
    services: ServicesDep,
    since: Annotated[str, Query(max_length=64, description="what is new since: `1h`, `7d`, `2026-03-01`")] = "",
) -> Response:
    """New since the caller last looked, where `since` does not say otherwise. Each part is there where the caller holds
    the scope to read what it is made of. Numbers about all there is may be a minute old.
    """
    now, caller = services.clock(), caller_of(request)
    begin = since_of(since, services) if since else looks.since(services.database, caller.contributor, now)
    has = caller.scopes.__contains__
    kept: Kept = request.app.state.overview
    hosts, endpoints = overview.totals(services.database)
    return answer(
        OverviewPage(
            at=now,
            since=begin,
            hosts=hosts,
            endpoints=endpoints,
            changes=overview.changes(services.database, begin) if has("hosts:read") else None,
            findings=_findings(services, kept, begin) if tiers.sees_findings(request) else None,
            freshness=kept.freshness.read(lambda: _freshness(services)) if has("coverage:read") else None,
            machines=overview.machines(services.database) if has("nodes:read") else None,
            queues=overview.queues(services.database) if has("jobs:read") else None,
            feeds=kept.feeds.read(lambda: _feeds(services)) if has("feeds:read") else None,
            refusals=_refusals(services, begin) if has("nodes:read") else None,
        )
    )


@router.post(
    "/v0/overview/look",
    summary="Say that the caller looks now",
    dependencies=[scope("self:write")],
    responses=described(Looked, 401, 403),
    response_class=Response,
)
def look(
    request: Request,
    services: ServicesDep,
    done: Annotated[bool, Query(description="all that is new was seen: nothing is new any more")] = False,
) -> Response:
    """Since when things are new to the caller. Looks less than half an hour apart are one visit, through which what was
    new at its beginning stays new.
    """
    account, now = caller_of(request).contributor, services.clock()
    mark = looks.seen if done else looks.look
    return answer(Looked(mark(services.database, account, now)))


def _findings(services: Services, kept: Kept, since: datetime) -> FindingNews:
    now = services.clock()
    new, worst = newfindings.began(services.database, since, JUDGE, now, limit=_SHOWN)
    whole = kept.findings.read(lambda: findingcounts.summary(services.database, now))
    return FindingNews(
        new=new,
        worst=worst,
        open=whole.open,
        kev=whole.kev,
        critical=whole.severity.get("critical", 0),
    )


def _freshness(services: Services) -> Freshness:
    ages = Ages(services.clock(), services.lifetimes)
    found = coverage.coverage(services.database, Question(), ages)
    return Freshness(found.fresh, found.stale, found.exact, found.median_age_s)


def _feeds(services: Services) -> tuple[FeedAge, ...]:
    places = [FeedAge(one.name, one.held.kind, one.held.updated, one.error) for one in feeds.every(services.database)]
    vulns = [FeedAge(one.name, one.kind, one.updated, one.error) for one in services.vuln_feeds.status().feeds]
    return tuple(places + vulns)


def _refusals(services: Services, since: datetime) -> Refusals:
    counted = {
        sample.labels["reason"]: int(sample.value)
        for metric in services.metrics.rejections.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.value
    }
    return Refusals(counted, overview.refused_machines(services.database, since))

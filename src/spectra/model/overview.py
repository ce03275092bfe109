"""What `GET /v0/overview` answers: what is new since somebody last looked, and how it stands with all that works here.

Parts that the caller's scopes do not allow are left out. Times are UTC.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from spectra.model.findingrecords import FindingRecord


class Bounded(msgspec.Struct, frozen=True):
    """How many there are; at least so many where not `exact`."""

    count: int
    exact: bool = True


class NewHost(msgspec.Struct, frozen=True, omit_defaults=True):
    """A host that was not known before, with its open endpoints."""

    ip: str
    at: datetime
    endpoints: int = 0
    name: str = ""


class EndpointNews(msgspec.Struct, frozen=True, omit_defaults=True):
    """An endpoint that opened or went, and what runs or ran there."""

    ip: str
    port: int
    protocol: str
    at: datetime
    service: str = ""
    product: str = ""
    version: str = ""


class Changes(msgspec.Struct, frozen=True):
    """What came and went: how many, and the newest of each."""

    hosts: Bounded
    services: Bounded
    gone: Bounded
    new_hosts: tuple[NewHost, ...]
    new_services: tuple[EndpointNews, ...]
    gone_services: tuple[EndpointNews, ...]


class FindingNews(msgspec.Struct, frozen=True):
    """Findings that are new, the most urgent first; how many those are, and how many are open in all."""

    new: Bounded
    worst: tuple[FindingRecord, ...]
    open: int
    kev: int
    critical: int


class Freshness(msgspec.Struct, frozen=True):
    """How many open endpoints are fresh by the lifetime of their service, and how many are stale."""

    fresh: int
    stale: int
    exact: bool
    median_age_s: int | None


class Machines(msgspec.Struct, frozen=True, omit_defaults=True):
    """Nodes: those heard now, those that are not, and those in quarantine; `lost` names some that are not heard."""

    alive: int = 0
    away: int = 0
    quarantined: int = 0
    lost: tuple[str, ...] = ()


class Queues(msgspec.Struct, frozen=True):
    """What waits: jobs that run, their targets, those that a person has to look at, and submissions not merged yet."""

    jobs: Bounded
    waiting: Bounded
    leased: Bounded
    review: Bounded
    submissions: Bounded


class FeedAge(msgspec.Struct, frozen=True, omit_defaults=True):
    """A feed, when it was last taken, and why the last attempt failed, if it did."""

    name: str
    kind: str
    updated: datetime | None = None
    error: str = ""


class Refusals(msgspec.Struct, frozen=True):
    """What was turned away: envelopes by the gate, by reason, since this node started, and what machines tried since
    `since`.
    """

    envelopes: dict[str, int]
    machines: int


class OverviewPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is new since `since`, and how it stands as of `at`."""

    at: datetime
    since: datetime
    hosts: int
    endpoints: int
    changes: Changes | None = None
    findings: FindingNews | None = None
    freshness: Freshness | None = None
    machines: Machines | None = None
    queues: Queues | None = None
    feeds: tuple[FeedAge, ...] | None = None
    refusals: Refusals | None = None


class Looked(msgspec.Struct, frozen=True):
    """Since when things are new to the caller."""

    since: datetime

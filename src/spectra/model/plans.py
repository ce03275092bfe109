"""Plans (what to look at again, oldest first) and coverage (how fresh the graph is, and what it never saw)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

MAX_TARGETS: Final = 10_000
"""Targets of one page."""

Words = Annotated[str, Meta(max_length=4096)]
Number = Annotated[str, Meta(max_length=4096)] | Annotated[int, Meta(ge=0, le=2**32)]


class Selectors(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Which endpoints: a query, and fields of its language by themselves; all have to hold, commas mean or.

    `common_port` is a port, or the label of a common one (`redis`).
    """

    q: Words = ""
    city: Words = ""
    asn: Number = ""
    country: Words = ""
    region: Words = ""
    cloud: Words = ""
    service: Words = ""
    port: Number = ""
    common_port: Number = ""
    net: Words = ""

    @property
    def filters(self) -> dict[str, str]:
        """The fields that were given, as text; without `q` and `common_port`, which are no fields."""
        given = {name: str(value) for name, value in msgspec.structs.asdict(self).items() if value != ""}
        return {name: text for name, text in given.items() if name not in ("q", "common_port")}


class PlanRequest(Selectors, frozen=True, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """A plan to be made. `min_age` (`5m`, `24h`, `7d`): stale is what is older than that, whatever its service."""

    min_age: Annotated[str, Meta(max_length=40)] = ""
    limit: Annotated[int, Meta(ge=1, le=MAX_TARGETS)] = MAX_TARGETS

    @property
    def selectors(self) -> Selectors:
        """What was selected, without how much of it was asked for."""
        return Selectors(**{name: getattr(self, name) for name in Selectors.__struct_fields__})


class Target(msgspec.Struct, frozen=True):
    """An endpoint to look at again. `service` is empty where it is unknown."""

    ip: str
    port: int
    protocol: str
    service: str
    last_seen: datetime
    stale_since: datetime


class PlanSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A plan without its targets. Ages count from `at`; `stale_total` was the number of targets when it was made."""

    plan_id: str
    account: str
    created: datetime
    at: datetime
    expires: datetime
    selectors: Selectors
    min_age_s: int | None
    stale_total: int
    exact: bool


class Plan(PlanSummary, frozen=True, kw_only=True):
    """A plan and a page of its targets, oldest first. What was rescanned since is no target any more.

    `left` is how many targets there still are; `exact` tells whether the two numbers were counted, not estimated.
    `next_cursor` is opaque and empty on the last page.
    """

    left: int
    targets: tuple[Target, ...]
    next_cursor: str = ""


class PlanList(msgspec.Struct, frozen=True, omit_defaults=True):
    """One's own plans, newest first."""

    plans: tuple[PlanSummary, ...]


class Age(msgspec.Struct, frozen=True):
    """How many endpoints were last seen `within` that span, and not within the one before (`older`: the rest)."""

    within: str
    endpoints: int


class ServiceFreshness(msgspec.Struct, frozen=True):
    """How much of one service (empty: unknown) is fresh, and how much has outlived its lifetime."""

    service: str
    fresh: int
    stale: int
    lifetime_s: int


class Gaps(msgspec.Struct, frozen=True, kw_only=True):
    """Where nothing was ever seen, in the networks that the question names.

    Blocks are the largest whole networks, no smaller than a /24 or an IPv6 /64 (or the network asked for). In one of
    `never_seen` no host answered and no probe went unanswered; in one of `silent` probes were sent and none answered.
    The lists hold the first of `never_seen_blocks` and `silent_blocks`. `exact`: all networks were looked through.
    """

    networks: int
    exact: bool
    never_seen: tuple[str, ...]
    never_seen_blocks: int
    silent: tuple[str, ...]
    silent_blocks: int


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """How fresh the selected open endpoints are. `exact` is false where numbers are scaled up from a sample.

    `services` are the ten with most endpoints; `median_age_s` and `oldest` are null where nothing is selected; `gaps`
    is null where the question names no network, and no AS of which the feeds know one.
    """

    at: datetime
    endpoints: int
    exact: bool
    fresh: int
    stale: int
    oldest: datetime | None
    median_age_s: int | None
    ages: tuple[Age, ...]
    services: tuple[ServiceFreshness, ...]
    gaps: Gaps | None

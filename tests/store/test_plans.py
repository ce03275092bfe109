"""Plans: the stale endpoints of a selection, oldest first, held against a naive filter and sort."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spectra.errors import BadRequest, NotFound
from spectra.model.facts import HostFacts, Place
from spectra.model.lifetimes import DAY, Lifetimes, stale_at
from spectra.model.observation import Silent
from spectra.model.plans import Plan, Selectors
from spectra.model.query import Query, parse
from spectra.store import blocks, do_not_scan, plans
from spectra.store.database import Database
from spectra.store.plans import Asked, Keeping
from spectra.store.staleness import Ages
from tests.store.scribe import T0, Scribe, host, seen

HOUR = timedelta(hours=1)
NOW = T0 + timedelta(days=30)
NAMES = ("http", "ssh", "redis", "")


@pytest.fixture(params=["sorted", "walked"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to a page; a small store would not be walked by itself."""
    if request.param == "walked":
        monkeypatch.setattr(plans, "FEW_TARGETS", -1)
        monkeypatch.setattr(plans, "MIN_REACH", 8)
        monkeypatch.setattr(plans, "MAX_REACH", 12)
    return request.param


def asked(q: str = "", *, at: datetime = NOW, min_age_s: int | None = None, account: str = "alice") -> Asked:
    """A plan of `q`."""
    return Asked(account, Selectors(q=q), parse(q, at), Ages(at, Lifetimes(), min_age_s))


def keys(plan: Plan) -> list[tuple[str, int, str]]:
    """(ip, port, protocol) of a page."""
    return [(t.ip, t.port, t.protocol) for t in plan.targets]


def pages(database: Database, plan: Plan, query: Query, limit: int) -> Iterator[Plan]:
    """Every page of a plan as it is now."""
    cursor = ""
    while True:
        found = plans.find(database, plan.plan_id, NOW)
        page = plans.targets(database, found, query, cursor=cursor, limit=limit)
        yield page
        cursor = page.next_cursor
        if not cursor:
            return


# What a plan says ----------------------------------------------------------------------------------------------------


def test_a_target_tells_what_to_do_and_why(database: Database, write: Scribe) -> None:
    """Address, port, service, when it was seen and since when that is too long ago."""
    write([host("10.0.0.1", NOW - 7 * HOUR, seen(443, "https"), seen(22, "ssh"))])
    plan = plans.create(database, asked())
    (target,) = plan.targets
    assert (target.ip, target.port, target.protocol, target.service) == ("10.0.0.1", 443, "tcp", "https")
    assert (target.last_seen, target.stale_since) == (NOW - 7 * HOUR, NOW - HOUR)
    assert (plan.stale_total, plan.left, plan.exact, plan.next_cursor) == (1, 1, True, "")
    assert (plan.at, plan.created, plan.expires) == (NOW, NOW, NOW + timedelta(days=7))


def test_what_is_not_open_is_no_target(database: Database, write: Scribe, way: str) -> None:
    """A port that was closed since is not looked at again for its own sake, not even when it is asked for."""
    write([host("10.0.0.1", T0, seen(22), seen(80))])
    write([host("10.0.0.1", T0 + HOUR, seen(22, state="closed"))])
    assert keys(plans.create(database, asked())) == [("10.0.0.1", 80, "tcp")]
    assert plans.create(database, asked("state:closed")).stale_total == 0


def test_a_selection_that_nothing_can_meet(database: Database, write: Scribe) -> None:
    """It is a plan all the same: an empty one."""
    write([host("10.0.0.1", T0, seen(22))])
    plan = plans.create(database, asked("service:gopher"))
    assert (plan.targets, plan.stale_total, plan.left, plan.exact) == ((), 0, 0, True)


def test_a_plan_empties_as_its_work_is_done(database: Database, write: Scribe, way: str) -> None:
    """What was seen, found closed or did not answer since is gone from it; `stale_total` tells what there was."""
    write([host(f"10.0.0.{n}", T0, seen(22, "ssh")) for n in range(1, 6)])
    plan = plans.create(database, asked("port:22"), limit=2)
    assert (plan.stale_total, plan.left) == (5, 5)
    write([host("10.0.0.1", NOW + HOUR, seen(22, "ssh")), host("10.0.0.2", NOW + HOUR, seen(22, state="closed"))])
    write([Silent("10.0.0.3", NOW + HOUR)])
    (page,) = list(pages(database, plan, parse("port:22", NOW), 10))[:1]
    assert sorted(keys(page)) == [("10.0.0.4", 22, "tcp"), ("10.0.0.5", 22, "tcp")]
    assert page.stale_total == 5
    assert page.left == 2


def test_do_not_scan_is_never_a_target(database: Database, write: Scribe, way: str) -> None:
    """Networks on this node's list, nested ones and IPv6 too, and those blocked as targets, are in no plan."""
    every = ["10.0.0.1", "10.0.1.1", "10.0.2.1", "10.9.9.9", "192.0.2.1", "2001:db8::1", "2001:db9::1"]
    write([host(ip, T0, seen(22)) for ip in every])
    for net in ("10.0.1.0/24", "10.0.1.0/28", "2001:db8::/32", "192.0.2.1/32"):
        do_not_scan.add(database, network=net, reason="asked", by="admin", now=T0)
    blocks.add(database, network="10.9.0.0/16", reason="theirs", by="admin", now=T0, targets=True)
    blocks.add(database, network="10.0.2.0/24", reason="a client of theirs", by="admin", now=T0)
    plan = plans.create(database, asked())
    assert {ip for ip, _, _ in keys(plan)} == {"10.0.0.1", "10.0.2.1", "2001:db9::1"}
    assert plan.stale_total == 3


def test_a_blocked_as_is_never_a_target(database: Database, write: Scribe) -> None:
    """By the places of its hosts; one that is nowhere is in no AS."""
    write([host("10.0.0.1", T0, seen(22)), host("10.0.0.2", T0, seen(22)), host("10.0.0.3", T0, seen(22))])
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO place VALUES (gen_random_uuid(), 64500, '', '', '', '', '', '', '', ''),"
            " (gen_random_uuid(), 64501, '', '', '', '', '', '', '', '')"
        )
        for ip, asn in (("10.0.0.1", 64500), ("10.0.0.2", 64501)):
            connection.execute(
                "UPDATE endpoint SET place = (SELECT id FROM place WHERE asn = %s) WHERE ip = %s::inet", [asn, ip]
            )
    blocks.add(database, asn=64500, reason="theirs", by="admin", now=T0, targets=True)
    assert {ip for ip, _, _ in keys(plans.create(database, asked()))} == {"10.0.0.2", "10.0.0.3"}


PARIS = Place(asn=3215, country="FR", country_name="France", region="Ile-de-France", city="Paris")
TOKYO = Place(asn=2516, country="JP", country_name="Japan", region="Tokyo", city="Tokyo", cloud="aws")


@pytest.mark.parametrize(
    ("selectors", "found"),
    [
        (Selectors(city="Paris"), {"10.0.0.1"}),
        (Selectors(city="Paris,Tokyo", service="redis"), {"10.0.0.1", "10.0.0.2"}),
        (Selectors(asn=3215), {"10.0.0.1"}),
        (Selectors(asn="AS2516", country="JP"), {"10.0.0.2"}),
        (Selectors(country="FR", city="Tokyo"), set[str]()),
        (Selectors(region="Tokyo", cloud="aws", port=6379), {"10.0.0.2"}),
        (Selectors(q="-city:Paris", net="10.0.0.0/24"), {"10.0.0.2", "10.0.0.3"}),
    ],
)
def test_places_select(database: Database, write: Scribe, way: str, selectors: Selectors, found: set[str]) -> None:
    """City, region, country, AS and cloud, as the feeds say; a host that is nowhere is in none of them."""
    facts = [HostFacts("10.0.0.1", 1, PARIS), HostFacts("10.0.0.2", 1, TOKYO)]
    write([*facts, *(host(f"10.0.0.{n}", T0, seen(6379, "redis")) for n in (1, 2, 3))])
    query = parse(selectors.q, NOW, selectors.filters)
    plan = plans.create(database, Asked("alice", selectors, query, Ages(NOW, Lifetimes())))
    assert {target.ip for target in plan.targets} == found
    kept, lifetimes = plans.find(database, plan.plan_id, NOW)
    assert kept.selectors == selectors
    assert plans.targets(database, (kept, lifetimes), query).targets == plan.targets


def test_many_are_estimated_and_said_to_be(
    database: Database, write: Scribe, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound the number is scaled up from a sample; here the sample is everything, so it is right."""
    write([host(f"10.0.{n // 250}.{n % 250}", T0 + n * HOUR / 100, seen(22)) for n in range(600)])
    monkeypatch.setattr(plans, "FEW_TARGETS", -1)
    monkeypatch.setattr(plans, "COUNTED", 500)
    with database.connection() as connection:
        connection.execute("ANALYZE endpoint")
    plan = plans.create(database, asked(), limit=10)
    assert (plan.stale_total, plan.exact) == (600, False)
    assert plans.create(database, asked("port:22 ip:10.0.0.7"), limit=10).exact


# Plans are kept ------------------------------------------------------------------------------------------------------


def test_a_plan_is_kept_as_it_was_asked_for(database: Database, write: Scribe) -> None:
    """Who, when, which selectors and which lifetimes; settings that change later do not change it."""
    write([host("10.0.0.1", NOW - 2 * HOUR, seen(80, "http"))])
    short = Ages(NOW, Lifetimes({"http": 3600}, 7200))
    plan = plans.create(database, Asked("alice", Selectors(city="Paris", asn=3215), Query(), short))
    assert len(plan.targets) == 1
    summary, lifetimes = plans.find(database, plan.plan_id, NOW)
    assert summary.selectors == Selectors(city="Paris", asn=3215)
    assert (summary.account, summary.min_age_s, summary.stale_total) == ("alice", None, 1)
    assert (lifetimes.seconds("http"), lifetimes.seconds("gopher")) == (3600, 7200)
    assert plans.targets(database, (summary, lifetimes), Query()).targets == plan.targets


def test_plans_are_listed_expire_and_are_bounded(database: Database) -> None:
    """One's own, newest first; what has expired is not found, and the oldest makes room."""
    made = [plans.create(database, asked(at=NOW + n * HOUR)).plan_id for n in range(3)]
    plans.create(database, asked(account="bob"))
    assert [p.plan_id for p in plans.newest(database, "alice", NOW)] == made[::-1]
    assert [p.plan_id for p in plans.newest(database, "alice", NOW, limit=1)] == made[-1:]
    later = NOW + timedelta(days=7) + HOUR
    assert [p.plan_id for p in plans.newest(database, "alice", later)] == made[:1:-1]
    with pytest.raises(NotFound):
        plans.find(database, made[0], later)
    kept = plans.create(database, asked(at=NOW + 9 * HOUR), keeping=Keeping(days=1, plans=2))
    assert [p.plan_id for p in plans.newest(database, "alice", NOW)] == [kept.plan_id, made[-1]]
    assert len(plans.newest(database, "bob", NOW)) == 1


def test_there_is_no_such_plan(database: Database) -> None:
    """Whatever the id looks like."""
    for plan_id in ("plan-x", "'; DROP TABLE plan", "x" * 5000):
        with pytest.raises(NotFound):
            plans.find(database, plan_id, NOW)


# Pages ---------------------------------------------------------------------------------------------------------------


class Endpoint(NamedTuple):
    """An endpoint of the property: the age of its host is `hours`."""

    ip: str
    port: int
    name: str
    hours: int


hosts = st.dictionaries(
    st.sampled_from([*(f"10.0.0.{n}" for n in range(1, 30)), "2001:db8::1", "2001:db8::2"]),
    st.tuples(st.integers(0, 50), st.dictionaries(st.integers(1, 6), st.sampled_from(NAMES), min_size=1, max_size=3)),
    min_size=1,
    max_size=20,
)


def naive(endpoints: list[Endpoint], min_age_s: int | None) -> list[tuple[str, int, str]]:
    """Filter and sort, as the documentation says it."""
    stale: list[Endpoint] = []
    for one in endpoints:
        last_seen = NOW - one.hours * HOUR
        age = timedelta(seconds=min_age_s) if min_age_s is not None else stale_at(one.name, T0, Lifetimes()) - T0
        if last_seen + age <= NOW:
            stale.append(one)

    def order(one: Endpoint) -> tuple[int, tuple[int, int], int]:
        ip = ipaddress.ip_address(one.ip)
        return -one.hours, (-ip.version, -int(ip)), -one.port

    return [(one.ip, one.port, "tcp") for one in sorted(stale, key=order)]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hosts, st.sampled_from([None, 0, 6 * 3600, DAY]), st.integers(1, 9))
def test_a_plan_is_a_filter_and_a_sort(
    database: Database,
    write: Scribe,
    way: str,
    town: dict[str, tuple[int, dict[int, str]]],
    min_age_s: int | None,
    limit: int,
) -> None:
    """All pages in a row are what is stale, oldest first, each target once; the totals count them."""
    with database.connection() as connection:
        connection.execute("TRUNCATE host, endpoint, sighting, silent_host")
    for ip, (hours, ports) in town.items():
        write([host(ip, NOW - hours * HOUR, *(seen(port, name) for port, name in ports.items()))])
    with database.connection() as connection:
        connection.execute("ANALYZE endpoint")
    endpoints = [Endpoint(ip, port, name, hours) for ip, (hours, ports) in town.items() for port, name in ports.items()]
    expected = naive(endpoints, min_age_s)
    plan = plans.create(database, asked(min_age_s=min_age_s), limit=limit)
    found = list(pages(database, plan, Query(), limit))
    assert [key for page in found for key in keys(page)] == expected
    assert keys(plan) == keys(found[0])
    assert {page.left for page in found} == {len(expected)}
    assert plan.stale_total == len(expected)
    assert all(len(page.targets) <= limit for page in found)


def test_a_bad_page_is_refused(database: Database, write: Scribe) -> None:
    """A limit out of bounds, a damaged cursor, and one of another plan; the field is named."""
    write([host("10.0.0.1", T0, seen(22), seen(23))])
    plan, other = plans.create(database, asked(), limit=1), plans.create(database, asked(), limit=1)
    found = plans.find(database, plan.plan_id, NOW)
    for limit in (0, 10_001):
        with pytest.raises(BadRequest) as caught:
            plans.targets(database, found, Query(), limit=limit)
        assert caught.value.field == "limit"
    for cursor in ("x", "é", plan.next_cursor[:-1], plan.next_cursor + "=", other.next_cursor, "A" * 2000):
        with pytest.raises(BadRequest) as caught:
            plans.targets(database, found, Query(), cursor=cursor)
        assert caught.value.field == "cursor"

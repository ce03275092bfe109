"""Plans over HTTP: selectors, pages, whose they are, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spectra.api.rates import Limits
from spectra.model.lifetimes import Lifetimes
from spectra.store.limits import Buckets, Rate
from tests.api.node import Node, is_problem
from tests.support import samples

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def ips(node: Node) -> list[str]:
    """Three hosts, seen one, two and three months ago and by nobody since; 80/tcp and 6379/tcp each."""
    now = datetime.now(UTC).replace(microsecond=0)
    addresses = [samples.address() for _ in range(3)]
    for months, ip in enumerate(addresses, 1):
        at = now - timedelta(days=30 * months)
        node.submitted(samples.nmap(samples.nmap_host(ip, 80, at=at), at=at))
        redis = samples.nmap_host(ip, 6379, at=at + timedelta(seconds=1), product="Redis", name="redis")
        node.submitted(samples.nmap(redis, at=at))
    return addresses


def made(node: Node, role: str = "user", **selectors: Any) -> dict[str, Any]:
    """A new plan."""
    response = node.ask("POST", "/v0/plan", role, json=selectors)
    assert response.status_code == 201, response.text
    return response.json()


def targets(plan: dict[str, Any]) -> list[tuple[str, int]]:
    """(ip, port) of a page."""
    return [(target["ip"], target["port"]) for target in plan["targets"]]


def test_a_plan_is_what_is_stale_oldest_first(node: Node, ips: list[str]) -> None:
    """With all that a scanner needs to know, and who asked for what."""
    plan = made(node, q=f"ip:{','.join(ips)}", service="http")
    assert targets(plan) == [(ip, 80) for ip in ips[::-1]]
    target = plan["targets"][0]
    assert (target["protocol"], target["service"]) == ("tcp", "http")
    seen = datetime.fromisoformat(target["last_seen"])
    assert datetime.fromisoformat(target["stale_since"]) == seen + timedelta(hours=6)
    assert (plan["stale_total"], plan["left"], plan["exact"], plan["next_cursor"]) == (3, 3, True, "")
    assert plan["account"] == node.of("user").name
    assert plan["selectors"] == {"q": f"ip:{','.join(ips)}", "service": "http"}
    assert plan["created"] == plan["at"] < plan["expires"]


@pytest.mark.parametrize(
    ("selectors", "found"),
    [
        ({"port": 6379}, 3),
        ({"port": "80,6379"}, 6),
        ({"common_port": 6379}, 3),
        ({"common_port": "6379,80", "service": "redis"}, 3),
        ({"common_port": "redis, 80"}, 6),
        ({"common_port": "redis", "port": 80}, 0),
        ({"min_age": "45d"}, 4),
        ({"min_age": "5m"}, 6),
        ({"min_age": "1000d"}, 0),
        ({"net": "198.18.0.0/15", "port": 80}, 3),
        ({"net": "10.0.0.0/8"}, 0),
    ],
)
def test_selectors_hold_together(node: Node, ips: list[str], selectors: dict[str, Any], found: int) -> None:
    """Fields, the query and an age."""
    plan = made(node, q=f"ip:{','.join(ips)}", **selectors)
    assert plan["stale_total"] == len(plan["targets"]) == found


def test_pages_of_a_plan(node: Node, ips: list[str]) -> None:
    """The first comes with the plan, the others by its id; together they are every target once."""
    plan = made(node, q=f"ip:{','.join(ips)}", limit=4)
    first = targets(plan)
    assert len(first) == 4
    page = node.get(f"/v0/plan/{plan['plan_id']}", "user", cursor=plan["next_cursor"], limit=4).json()
    assert page["next_cursor"] == ""
    assert {*first, *targets(page)} == {(ip, port) for ip in ips for port in (80, 6379)}
    assert len(first) + len(page["targets"]) == 6


def test_what_was_rescanned_is_gone(node: Node) -> None:
    """`left` shrinks, `stale_total` and the moment that ages count from stay."""
    ip, at = samples.address(), datetime.now(UTC) - timedelta(days=3)
    node.submitted(samples.nmap(samples.nmap_host(ip, 80, 81, at=at), at=at))
    plan = made(node, q=f"ip:{ip}")
    assert plan["left"] == 2
    later = datetime.now(UTC) + timedelta(seconds=2)
    node.submitted(samples.nmap(samples.nmap_host(ip, 80, at=later), at=later))
    again = node.get(f"/v0/plan/{plan['plan_id']}", "user").json()
    assert targets(again) == [(ip, 81)]
    assert (again["left"], again["stale_total"], again["at"]) == (1, 2, plan["at"])


def test_plans_are_listed_for_those_who_made_them(node: Node) -> None:
    """Newest first, without targets; another account may work one off that it was told of."""
    ids = [made(node, "contributor", q=f"port:{port}", limit=1)["plan_id"] for port in (1, 2)]
    listed = node.get("/v0/plan", "contributor", limit=2).json()["plans"]
    assert [plan["plan_id"] for plan in listed] == ids[::-1]
    assert "targets" not in listed[0]
    assert ids[0] not in {plan["plan_id"] for plan in node.get("/v0/plan", "automation").json()["plans"]}
    assert node.get(f"/v0/plan/{ids[0]}", "automation").status_code == 200


def test_lifetimes_are_the_node_s(node: Node, ips: list[str]) -> None:
    """Settings say when a service is stale, and `min_age` goes over them."""
    with node.variant(lifetimes=Lifetimes({"redis": 365 * 86400})) as patient:
        assert {port for _, port in targets(made(patient, q=f"ip:{','.join(ips)}"))} == {80}
        assert made(patient, q=f"ip:{','.join(ips)}", min_age="1h")["stale_total"] == 6


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"q": "prot:22"}, "q"),
        ({"service": ""}, ""),
        ({"port": "seven"}, "port"),
        ({"net": "10.0.0.0/99"}, "net"),
        ({"min_age": "5 minutes"}, "min_age"),
        ({"limit": 10_001}, "limit"),
        ({"limit": 0}, "limit"),
        ({"town": "Paris"}, "body"),
        ({"asn": -1}, "asn"),
    ],
)
def test_what_is_wrong_is_named(node: Node, body: dict[str, Any], field: str) -> None:
    """A selector that cannot be read plans nothing; an empty one selects nothing."""
    response = node.ask("POST", "/v0/plan", "user", json=body)
    if not field:
        assert response.status_code == 201
        return
    assert response.status_code == 400, response.text
    assert response.json()["field"] == field


def test_a_common_port_that_there_is_not(node: Node) -> None:
    """The one that was probably meant is suggested."""
    answer = node.ask("POST", "/v0/plan", "user", json={"common_port": "reddis"}).json()
    assert (answer["field"], answer["hint"]) == ("common_port", 'Did you mean "redis"?')
    assert node.ask("POST", "/v0/plan", "user", json={"common_port": ","}).json()["field"] == "common_port"


def test_there_is_no_such_plan(node: Node) -> None:
    """A made-up id is not found, and a cursor that was not made here is refused."""
    is_problem(node.get("/v0/plan/plan-0123", "user"), 404, "not_found")
    plan = made(node)
    is_problem(node.get(f"/v0/plan/{plan['plan_id']}", "user", cursor="abc"), 400, "bad_request")
    assert node.get(f"/v0/plan/{plan['plan_id']}", "user", limit=0).json()["field"] == "limit"


def test_an_account_plans_so_often_a_minute(node: Node) -> None:
    """Then it is told when to ask again; looking at a plan is not making one."""
    limits = Limits(Buckets(node.services.database), {"plan": Rate(2)})
    with node.variant(limits=limits) as strict:
        plan = made(strict, q="port:1")
        made(strict, q="port:1")
        refused = strict.ask("POST", "/v0/plan", "user", json={})
        assert is_problem(refused, 429, "rate_limited")["retry_after"] > 0
        assert int(refused.headers["retry-after"]) >= 1
        assert strict.get(f"/v0/plan/{plan['plan_id']}", "user").status_code == 200


def test_a_module_may_not_plan(node: Node) -> None:
    """Planning is a scope of its own."""
    is_problem(node.ask("POST", "/v0/plan", "module", json={}), 403, "forbidden")
    is_problem(node.ask("POST", "/v0/plan", "", json={}), 401, "unauthenticated")

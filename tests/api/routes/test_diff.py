"""What changed, over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.api.node import Node, is_problem
from tests.support import samples

pytestmark = pytest.mark.engine

T0 = samples.T0
DAY = timedelta(days=1)


@pytest.fixture
def changing(node: Node) -> str:
    """A host that ran nginx at T0 and Apache a day later, by two scans named after it."""
    ip = samples.address()
    for day, product in enumerate(("nginx", "Apache httpd")):
        scan = samples.scan_of(ip, 80, at=T0 + day * DAY, product=product)
        node.submitted(scan, scan_id=f"{ip}-{day}")
    return ip


def ask(node: Node, **params: str) -> dict[str, Any]:
    """A diff."""
    response = node.get("/v0/diff", **params)
    assert response.status_code == 200, response.text
    return response.json()


def test_two_times(node: Node, changing: str) -> None:
    """New since before it was seen, changed since the first day; filters may be parameters."""
    early, noon = (T0 - DAY).isoformat(), (T0 + DAY / 2).isoformat()
    new = ask(node, **{"from": early}, to=noon, ip=changing)
    assert [e["kind"] for e in new["entries"]] == ["new"]
    assert new["hosts"] == [{"kind": "host_new", "ip": changing, "at": T0.isoformat().replace("+00:00", "Z")}]
    entry = ask(node, **{"from": noon}, to="now", q=f"ip:{changing}")["entries"][0]
    assert entry["kind"] == "changed"
    assert {"field": "product", "before": "nginx", "after": "Apache httpd"} in entry["changes"]
    assert (entry["before"]["service"]["product"], entry["after"]["service"]["product"]) == ("nginx", "Apache httpd")


def test_two_scans(node: Node, changing: str) -> None:
    """Scan ids are told from times; `scan:` says so."""
    page = ask(node, **{"from": f"{changing}-0"}, to=f"scan:{changing}-1")
    assert (page["from"], page["to"], page["by"]) == (f"{changing}-0", f"{changing}-1", "scan")
    assert [e["kind"] for e in page["entries"]] == ["changed"]
    assert page["summary"]["changed"] == 1


def test_a_cursor_leads_on(node: Node) -> None:
    """Pages hold what their cursor was made for, whatever the span means by then."""
    ips = {samples.address() for _ in range(5)}
    for ip in ips:
        node.submitted(samples.scan_of(ip, 80, at=T0))
    page = ask(node, **{"from": (T0 - DAY).isoformat()}, ip=",".join(ips), limit="2")
    found = [e["ip"] for e in page["entries"]]
    while page.get("next_cursor"):
        page = ask(node, **{"from": "1h"}, ip=",".join(ips), limit="2", cursor=page["next_cursor"])
        found += [e["ip"] for e in page["entries"]]
    assert sorted(found) == sorted(ips)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"from": "weekly-1"}, "from"),
        ({"from": "7d", "to": "weekly-1"}, "to"),
        ({"from": "weekly-1", "to": "7d"}, "to"),
        ({"from": "1d", "to": "7d"}, "to"),
        ({"from": "scan:", "to": "b"}, "from"),
        ({"from": "999999999d"}, "from"),
        ({"from": "7d", "q": "prt:1"}, "q"),
        ({"from": "7d", "colour": "red"}, "colour"),
        ({"from": "7d", "cursor": "x"}, "cursor"),
        ({"from": "7d", "limit": "0"}, "limit"),
        ({"from": "7d", "kind": "odd"}, "kind"),
        ({}, "from"),
    ],
)
def test_bad_questions_name_their_field(node: Node, params: dict[str, str], field: str) -> None:
    """What is neither time nor scan, or one of each, is answered with the parameter's name."""
    response = node.get("/v0/diff", **params)
    assert response.status_code == 400, response.text
    assert response.json()["field"] == field


def test_a_scan_nobody_made(node: Node) -> None:
    """An unknown id is not found."""
    is_problem(node.get("/v0/diff", **{"from": "no-such", "to": "nor-this"}), 404, "not_found")


def test_who_may_ask(node: Node) -> None:
    """It takes the scope to read hosts."""
    assert node.ask("GET", "/v0/diff?from=7d", "").status_code == 401
    assert node.ask("GET", "/v0/diff?from=7d", "module").status_code == 403
    assert node.ask("GET", "/v0/diff?from=7d", "read-only").status_code == 200

"""Findings over the API: the list, the numbers, one of them, and those of a host."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spectra.model.tiers import Policy
from tests.api.node import Node, is_problem
from tests.api.routes.weaknesses import settled
from tests.store.weak import Weak
from tests.support import samples

pytestmark = pytest.mark.engine

T0 = samples.T0


@pytest.fixture
def weak(node: Node) -> tuple[str, str]:
    """A host with a product of its own that has two weaknesses; its address and the first CVE."""
    ip = samples.address()
    product = f"odd product {ip}"
    node.submitted(samples.scan_of(ip, 80, at=T0, product=product))
    database = node.services.database
    settled(database)
    tables = Weak(database)
    number = int(ip.rpartition(".")[2]) + 1000 * int(ip.split(".")[2])
    cves = [f"CVE-2098-{number:07}", f"CVE-2099-{number:07}"]
    with database.connection() as connection:
        row = connection.execute("SELECT version FROM service WHERE product = %s", [product]).fetchone()
    software = tables.software(product, row[0] if row else "")
    tables.affected(software, tables.vuln(cves[0], 90.0, severity="critical", title="Bad"), T0)
    tables.affected(software, tables.vuln(cves[1], 20.0, severity="low"), datetime.now(UTC) - timedelta(days=1))
    return ip, cves[0]


def listed(node: Node, ip: str, **params: Any) -> list[dict[str, Any]]:
    """The findings at an address."""
    response = node.get("/v0/findings", ip=ip, **params)
    assert response.status_code == 200, response.text
    return response.json()["findings"]


def test_the_list(node: Node, weak: tuple[str, str]) -> None:
    """The most urgent first, each with its reasons; filters leave what they say."""
    ip, cve = weak
    found = listed(node, ip)
    assert [f["severity"] for f in found] == ["critical", "low"]
    first = found[0]
    assert first["id"] == f"{ip}~80~tcp~{cve}"
    assert (first["title"], first["state"], first["opened"]) == ("Bad", "open", T0.isoformat().replace("+00:00", "Z"))
    assert first["reason"]
    assert first["priority"]["reasons"]
    for params, count in (
        ({"severity": "critical"}, 1),
        ({"q": f"vuln:{cve}"}, 1),
        ({"min_priority": 50}, 1),
        ({"state": "new"}, 1),
        ({"state": "closed"}, 0),
        ({"since": "3d"}, 1),
        ({"since": "2001-01-01T00:00:00+02:00"}, 2),
        ({"level": "confirmed"}, 2),
        ({"level": "possible,likely"}, 0),
        ({"patched": "possibly"}, 0),
        ({"triaged": "only"}, 0),
        ({"kev": "true"}, 0),
        ({"sort": "opened", "port": "80"}, 2),
    ):
        assert len(listed(node, ip, **params)) == count, params


def test_pages(node: Node, weak: tuple[str, str]) -> None:
    """One at a time, by the cursor of the page before."""
    first = node.get("/v0/findings", ip=weak[0], limit=1).json()
    second = node.get("/v0/findings", ip=weak[0], limit=1, cursor=first["next_cursor"]).json()
    assert [len(first["findings"]), len(second["findings"])] == [1, 1]
    assert first["findings"][0]["id"] != second["findings"][0]["id"]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"since": "soon"}, "since"),
        ({"level": "sure"}, "level"),
        ({"sort": "colour"}, "sort"),
        ({"state": "shut"}, "state"),
        ({"cursor": "x"}, "cursor"),
        ({"limit": 0}, "limit"),
        ({"min_priority": 101}, "min_priority"),
        ({"q": "severity:bad"}, "q"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_slips_are_named(node: Node, params: dict[str, Any], field: str) -> None:
    """400 with the parameter that is wrong."""
    assert is_problem(node.get("/v0/findings", **params), 400, _reason(params))["field"] == field


def _reason(params: dict[str, Any]) -> str:
    return "query" if "q" in params else "bad_request"


def test_one(node: Node, weak: tuple[str, str]) -> None:
    """By its id, now and at a moment; 404 for one that never was, 400 for what is no id."""
    ip, cve = weak
    found = node.get(f"/v0/findings/{ip}~80~tcp~{cve}").json()
    assert [interval["known"] for interval in found["history"]] == [found["known"]]
    assert node.get(f"/v0/findings/{ip}~80~tcp~{cve}", at=(T0 + timedelta(days=1)).isoformat()).json()["state"] == "new"
    is_problem(node.get(f"/v0/findings/{ip}~81~tcp~{cve}"), 404, "not_found")
    is_problem(node.get(f"/v0/findings/{ip}~80~tcp~{cve}", at="2001-01-01"), 404, "not_found")
    assert is_problem(node.get(f"/v0/findings/{ip}"), 400, "bad_request")["field"] == "id"


@pytest.mark.usefixtures("weak")
def test_numbers(node: Node) -> None:
    """By severity and in all."""
    counted = node.get("/v0/findings/summary").json()
    assert counted["severity"]["critical"] >= 1
    assert counted["open"] == sum(counted["severity"].values()) >= 2
    assert counted["hosts"] >= 1


def test_a_host_carries_its_findings(node: Node, weak: tuple[str, str]) -> None:
    """With how many there are; at a moment those that were known then."""
    ip, cve = weak
    host = node.get(f"/v0/host/{ip}").json()
    assert ([f["severity"] for f in host["findings"]], host["findings_total"]) == (["critical", "low"], 2)
    then = node.get(f"/v0/host/{ip}", at=(T0 + timedelta(days=1)).isoformat()).json()
    assert [f["cve"] for f in then["findings"]] == [cve]


def test_who_may_ask(node: Node, weak: tuple[str, str]) -> None:
    """Findings are for those who hold the scope; a host is told without them to whoever does not."""
    is_problem(node.get("/v0/findings", "module"), 403, "forbidden")
    is_problem(node.ask("GET", "/v0/findings", ""), 401, "unauthenticated")
    assert len(node.get(f"/v0/host/{weak[0]}", "read-only").json()["findings"]) == 2
    with node.variant(tiers=Policy("earned")) as other:
        is_problem(other.get("/v0/findings", "read-only"), 402, "pro_required")
        assert "findings" not in other.get(f"/v0/host/{weak[0]}", "read-only").json()

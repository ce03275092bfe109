"""CVEs over HTTP: what filters select, pages, one with all that is known of it, and the endpoints it concerns."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from spectra.model.tiers import Policy
from spectra.model.vulns import Criterion, Epss, Kev, Metric, VulnRecord
from spectra.model.vulns import Node as Part
from spectra.store.vulnscores import replace_epss, replace_kev
from spectra.store.vulnwrite import Writer
from tests.api.node import Node, is_problem
from tests.api.people import bearing, coordinator, make, signed_in
from tests.store.corpus import KNOWLEDGE
from tests.store.weak import Weak
from tests.support import samples

pytestmark = pytest.mark.engine

NOW = datetime.now(UTC)
SSH, WEB, OLD, OFF = (f"CVE-2031-{number}" for number in (7001, 7002, 7003, 70010))


def cpe(vendor: str, product: str) -> str:
    """Every version of a product."""
    return f"cpe:2.3:a:{vendor}:{product}:*:*:*:*:*:*:*:*"


RECORDS = [
    VulnRecord(
        SSH, "nvd", title="zyxgate race", description="A race in the zyxgate daemon.",
        published=NOW - timedelta(days=2), modified=NOW - timedelta(days=1), metrics=(Metric("3.1", 8.1, "high"),),
        weaknesses=("CWE-364",), configurations=(Part(criteria=(Criterion(cpe("zyx", "gate"), below="9.8"),)),),
    ),
    VulnRecord(
        WEB, "nvd", description="Overflow in zyxweb, beside the zyxgate daemon.", published=NOW - timedelta(days=40),
        modified=NOW - timedelta(days=40), metrics=(Metric("3.1", 9.8, "critical"),), weaknesses=("CWE-787",),
        configurations=(Part(criteria=(Criterion(cpe("zyx", "zyx_web")),)),),
    ),
    VulnRecord(OLD, "nvd", description="zyxgate, disputed", status="disputed", published=NOW - timedelta(days=400)),
    VulnRecord(OFF, "nvd", description="zyxgate, taken back", status="rejected"),
]  # fmt: skip


@pytest.fixture(scope="module")
def loaded(node: Node) -> Node:
    """The node with a few CVEs of products that no other test has."""
    with node.services.database.transaction() as connection:
        replace_kev(connection, [Kev(WEB, date(2031, 1, 1), ransomware=True, name="zyx")])
        replace_epss(connection, [Epss(SSH, 0.4, 0.9), Epss("CVE-2031-9999", 0.1)])
        Writer(connection, KNOWLEDGE, NOW).write(RECORDS)
    return node


def found(node: Node, **params: Any) -> list[str]:
    """The CVEs that a question finds, in order."""
    response = node.get("/v0/vulns", **params)
    assert response.status_code == 200, response.text
    return [one["cve"] for one in response.json()["vulns"]]


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({"text": "zyxgate"}, [SSH, WEB, OLD]),
        ({"text": "zyxgate -overflow"}, [SSH, OLD]),
        ({"text": '"zyxgate daemon"', "sort": "cve"}, [SSH, WEB]),
        ({"text": "CVE-2031-7001"}, [SSH]),
        ({"text": "cve-2031-7*", "sort": "-cve"}, [OLD, WEB, SSH]),
        ({"text": "CVE-2031-7001 or zyxweb", "sort": "cvss"}, [WEB, SSH]),
        ({"year": "2031", "severity": "high,critical", "sort": "risk"}, [WEB, SSH]),
        ({"year": "2031", "min_cvss": "9"}, [WEB]),
        ({"year": "2031", "max_cvss": "8.1"}, [SSH]),
        ({"year": "2031", "min_epss": "0.4"}, [SSH]),
        ({"year": "2031", "kev": "true"}, [WEB]),
        ({"year": "2031", "kev": "false", "sort": "cve"}, [SSH, OLD]),
        ({"year": "2031", "ransomware": "true"}, [WEB]),
        ({"year": "2031", "cwe": "364,cwe-1"}, [SSH]),
        ({"year": "2031", "status": "rejected"}, [OFF]),
        ({"year": "2031", "status": "all", "sort": "cve"}, [SSH, WEB, OLD, OFF]),
        ({"year": "2031", "status": "published", "sort": "published"}, [SSH, WEB]),
        ({"year": "2031", "published_since": "30d"}, [SSH]),
        ({"year": "2031", "published_before": "30d", "sort": "published"}, [WEB, OLD]),
        ({"year": "2031", "modified_since": "2d"}, [SSH]),
        ({"year": "2031", "modified_before": (NOW - timedelta(days=3)).isoformat()}, [WEB]),
        ({"product": "zyx:gate"}, [SSH]),
        ({"product": "Zyx Web"}, [WEB]),
        ({"product": "zyxweb,gate", "sort": "cve"}, [SSH, WEB]),
        ({"product": "zyx:nothing"}, []),
    ],
)  # fmt: skip
def test_filters(loaded: Node, params: dict[str, str], wanted: list[str]) -> None:
    """Each filter, with others; words first by how well they match, all else by risk."""
    assert found(loaded, **params) == wanted


def test_a_row_and_the_total(loaded: Node) -> None:
    """What a list tells of each, and how many there are where that was asked for."""
    body = loaded.get("/v0/vulns", text="zyxgate", limit=1, total="true").json()
    assert body["total"] == {"count": 3, "exact": True}
    (row,) = body["vulns"]
    assert row["relevance"] > 0
    assert (row["severity"], row["cvss_version"], row["products"]) == ("high", "3.1", ["zyx:gate"])
    assert (row["epss_percentile"], row["title"]) == (pytest.approx(0.9), "zyxgate race")
    assert "total" not in loaded.get("/v0/vulns", limit=1).json()


@pytest.mark.parametrize("sort", ["", "relevance", "risk", "-risk", "cvss", "epss", "published", "modified", "cve"])
def test_pages(loaded: Node, sort: str) -> None:
    """Following cursors gives what one page gives."""
    params = {"text": "zyxgate", "sort": sort, "status": "all"}
    whole, paged, cursor = found(loaded, **params), list[str](), ""
    while True:
        body = loaded.get("/v0/vulns", **params, limit=1, cursor=cursor).json()
        paged += [one["cve"] for one in body["vulns"]]
        cursor = body.get("next_cursor", "")
        if not cursor:
            break
    assert paged == whole
    assert len(whole) == 4


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"severity": "hihg"}, "severity"),
        ({"min_cvss": "11"}, "min_cvss"),
        ({"max_cvss": "nan"}, "max_cvss"),
        ({"min_epss": "1.5"}, "min_epss"),
        ({"kev": "perhaps"}, "kev"),
        ({"published_since": "someday"}, "published_since"),
        ({"modified_before": "99999999999y"}, "modified_before"),
        ({"year": "twenty"}, "year"),
        ({"status": "gone"}, "status"),
        ({"product": "a:"}, "product"),
        ({"cwe": "x"}, "cwe"),
        ({"text": "the"}, "text"),
        ({"text": "x" * 500}, "text"),
        ({"sort": "colour"}, "sort"),
        ({"cursor": "made-up"}, "cursor"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"severty": "high"}, "severty"),
    ],
)
def test_a_mistake_is_pointed_at(node: Node, params: dict[str, str], field: str) -> None:
    """The parameter it stands in; one there is not is refused, with the nearest one."""
    body = is_problem(node.get("/v0/vulns", **params), 400, "bad_request")
    assert body["field"] == field
    if field == "severty":
        assert "severity" in body["hint"]


def test_one(loaded: Node) -> None:
    """By its id in any case: scores, exploitation, criteria in words and what each source says."""
    body = loaded.get(f"/v0/vulns/{WEB.lower()}").json()
    assert (body["cve"], body["severity"], body["kev"]["ransomware"]) == (WEB, "critical", True)
    assert body["configurations"] == [{"affected": ["zyx:zyx_web every version"]}]
    assert [(one["source"], one["criteria"]) for one in body["sources"]] == [("nvd", 1)]
    assert body["hosts"] == {"hosts": [], "endpoints": 0}


def test_the_endpoints_it_concerns(loaded: Node) -> None:
    """With why; a page at a time, in order of address."""
    ips = sorted((samples.address() for _ in range(3)), key=lambda ip: tuple(map(int, ip.split("."))))
    for ip in ips:
        loaded.submitted(samples.nmap(samples.nmap_host(ip, 2231, product="Zyxgate", name="zyx")))
    weak = Weak(loaded.services.database)
    with loaded.services.database.connection() as connection:
        (num,) = connection.execute("SELECT num FROM vuln WHERE cve = %s", [SSH]).fetchone() or (0,)
        ((version,),) = connection.execute("SELECT version FROM service WHERE product = 'Zyxgate'").fetchall()
    weak.affected(weak.software("Zyxgate", version), num)
    body = loaded.get(f"/v0/vulns/{SSH}").json()["hosts"]
    assert (body["endpoints"], [one["ip"] for one in body["hosts"]]) == (3, ips)
    assert body["hosts"][0]["range"] == "< 9.8"
    first = loaded.get(f"/v0/vulns/{SSH.lower()}/hosts", limit=2).json()
    second = loaded.get(f"/v0/vulns/{SSH}/hosts", limit=2, cursor=first["next_cursor"]).json()
    assert first["hosts"] + second["hosts"] == body["hosts"]
    assert "next_cursor" not in second
    assert found(loaded, affecting="true", text="zyxgate") == [SSH]
    assert found(loaded, affecting="false", text="zyxgate") == [WEB, OLD]


def test_endpoints_are_findings(loaded: Node, tmp_path: Path) -> None:
    """Who may read of weaknesses but not of findings is told all but where they are."""
    with coordinator(loaded, tmp_path) as other:
        token = signed_in(other, make(other, "admin"), scope="vulns:read")["access_token"]
        body = bearing(other, token, f"/v0/vulns/{SSH}")
        assert body.status_code == 200, body.text
        assert "hosts" not in body.json()
        assert is_problem(bearing(other, token, f"/v0/vulns/{SSH}/hosts"), 403, "forbidden")


@pytest.mark.parametrize("suffix", ["", "/hosts"])
def test_one_that_is_not_here(loaded: Node, suffix: str) -> None:
    """404 with which feed would tell of it, and what the scores know."""
    body = is_problem(loaded.get(f"/v0/vulns/cve-2031-9999{suffix}"), 404, "not_found")
    assert "CVE-2031-9999" in body["detail"]
    assert "10.00%" in body["detail"]
    assert "spectra feeds" in body["hint"]


@pytest.mark.parametrize("suffix", ["", "/hosts"])
def test_what_is_no_id(node: Node, suffix: str) -> None:
    """400 for what begins like one; other words are paths of their own."""
    for text in ("CVE-2024", "CVE-2024-1", "CVE-24-1234", "CVE-2024-1234567890", "cve-2024-63x7"):
        assert is_problem(node.get(f"/v0/vulns/{text}{suffix}"), 400, "bad_request")["field"] == "cve"
    for text in ("GHSA-1234", "2024-6387"):
        is_problem(node.get(f"/v0/vulns/{text}{suffix}"), 404, "no_such_path")


@pytest.mark.parametrize("path", ["/v0/vulns", f"/v0/vulns/{SSH}", f"/v0/vulns/{SSH}/hosts"])
def test_who_may_ask(loaded: Node, path: str) -> None:
    """A token, its scope and Pro are needed, in this order."""
    is_problem(loaded.ask("GET", path, ""), 401, "unauthenticated")
    is_problem(loaded.ask("GET", path, "module"), 403, "forbidden")
    with loaded.variant(tiers=Policy("earned", threshold=4, window_days=3, daily_cap=0)) as strict:
        is_problem(strict.ask("GET", path, "user"), 402, "pro_required")

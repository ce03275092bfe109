"""The pages of a host: now, at a past moment, over time, one endpoint, and in words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.model.findinglife import State
from spectra.model.findingrecords import FindingRecord, PriorityRecord
from spectra.model.vulns import Severity
from spectra.web.routes.hosts import Weakness, host_path, weaknesses
from tests.api.routes.weaknesses import Flawed, flawed
from tests.support import samples
from tests.web.site import Site

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def host(site: Site) -> Flawed:
    """A host with weaknesses that runs something else since a day."""
    found = flawed(site.node)
    found.scan()
    return found


def test_a_host_is_shown_with_its_endpoints_and_findings(site: Site, host: Flawed) -> None:
    """Each endpoint leads to its own page; findings can be ticked by who may decide, and only by them."""
    page = site.page(f"/hosts/{host.ip}")
    assert (page.status, page.find("//h1/span")[0].text) == (200, host.ip)
    links = [row.get("href") for row in page.find("//section[@id='endpoints']//tbody/tr/th/a")]
    assert links == [f"/hosts/{host.ip}/80/tcp", f"/hosts/{host.ip}/81/tcp"]
    assert "critical 2" in page.words("//section[@id='endpoints']//tbody/tr")
    assert sorted(box.get("value") for box in page.find("//input[@name='id']")) == sorted(host.ids)
    assert page.form("/reports")["target"] == host.ip
    reader = site.page(f"/hosts/{host.ip}", "read-only")
    assert (reader.status, reader.find("//input[@name='id']")) == (200, [])
    assert not reader.find("//form[@action='/reports']")
    assert site.page(f"/hosts/{host.ip}", "contributor").find("//section[@id='findings']") == []


def test_a_host_as_it_was(site: Site, host: Flawed) -> None:
    """At a moment, also as a browser's field writes one; before it was seen there is nothing."""
    past = (samples.T0 + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    page = site.page(f"/hosts/{host.ip}", "admin", at=past)
    assert "As it was known to be" in page.words("//p[contains(@class, 'told')]")
    assert page.find("//input[@name='at']")[0].get("value") == past
    early = site.page(f"/hosts/{host.ip}", "admin", at="2001-01-01")
    assert (early.status, "had not been seen" in early.words()) == (404, True)
    assert site.page("/hosts/203.0.113.250").status == 404
    assert site.page("/hosts/nowhere").status == 400
    assert site.page("/hosts?q=port:22").response.headers["location"] == "/search?q=port%3A22"


def test_one_endpoint_whole(site: Site, host: Flawed) -> None:
    """Its service, its life as a chart with a table, its findings; a port of which nothing is known is no page."""
    page = site.page(f"/hosts/{host.ip}/80/tcp")
    assert host.product in page.words("//dl")
    assert {link.text for link in page.find("//section[@id='findings']//th/a")} == set(host.cves)
    assert page.find("//section[@id='versions']//*[@role='img']")
    assert page.find("//section[@id='versions']//table")
    assert site.page(f"/hosts/{host.ip}/9/tcp").status == 404
    assert site.page(f"/hosts/{host.ip}/80/smtp").status == 400


def test_history_is_a_time_line_with_scans_to_compare(site: Site, host: Flawed) -> None:
    """A lane an endpoint, a mark a scan, and a form that leads to the comparison of two of them."""
    page = site.page(f"/hosts/{host.ip}/history")
    assert "80/tcp" in page.words("//figure//table")
    scans = page.find("//section[@id='scans']//tbody/tr")
    assert len(scans) >= 2
    assert page.find("//section[@id='scans']//a[starts-with(@href, '/observations/')]")
    form = page.form(f"/hosts/{host.ip}/compare")
    assert form["from"] < form["to"]
    compared = site.page(f"/hosts/{host.ip}/compare", "admin", **form)
    assert compared.status == 200


def test_summary_by_rules_at_once_and_by_a_model_on_demand(site: Site, host: Flawed) -> None:
    """Nothing is asked of a model before somebody says so; who may not ask is not offered it."""
    page = site.page(f"/hosts/{host.ip}/summary")
    assert "no model was asked" in page.words("//section[@id='summary']")
    made = site.sent(f"/hosts/{host.ip}/summary", f"/hosts/{host.ip}/summary", "admin", question="What is urgent?")
    assert made.status == 200
    assert made.find(f"//section[@id='summary']//a[starts-with(@href, '/hosts/{host.ip}')]")
    assert made.find("//input[@name='question']")[0].get("value") == "What is urgent?"
    assert not site.page(f"/hosts/{host.ip}/summary", "read-only").find("//input[@name='question']")


def test_many_endpoints_are_pages(site: Site) -> None:
    """So many at once, open ones first, and a link to the others; the page stays small."""
    ip = samples.address()
    site.node.submitted(samples.scan_of(ip, *range(1000, 1090)))
    first = site.page(f"/hosts/{ip}")
    assert len(first.find("//section[@id='endpoints']//tbody/tr")) == 40
    assert len(first.text) < 150_000
    last = site.page(f"/hosts/{ip}", "admin", **{"from": 80})
    assert len(last.find("//section[@id='endpoints']//tbody/tr")) == 10


def test_the_worst_of_an_endpoint_is_told() -> None:
    """With how many are open there; closed ones do not count."""

    def flaw(severity: Severity, port: int = 80, state: State = "new") -> FindingRecord:
        return FindingRecord(
            id=severity, ip="192.0.2.1", port=port, protocol="tcp", cve="CVE-2024-1", severity=severity, state=state,
            opened=samples.T0, known=samples.T0, confidence=0.9, level="likely", priority=PriorityRecord(1, "low"),
        )  # fmt: skip

    told = weaknesses([flaw("low"), flaw("critical"), flaw("", 81), flaw("high", 82, "closed")])
    assert told == {(80, "tcp"): Weakness(2, "critical"), (81, "tcp"): Weakness(1, "")}
    assert host_path("2001:db8::1", "/around", relation="asn") == "/hosts/2001%3Adb8%3A%3A1/around?relation=asn"

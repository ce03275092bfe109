"""Weaknesses: found, shown, and decided about for every host at once."""

from __future__ import annotations

import pytest

from tests.api.routes.weaknesses import Flawed, flawed
from tests.web.site import Site

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def host(site: Site) -> Flawed:
    """A host with two CVEs of its own."""
    return flawed(site.node)


def test_cves_are_found(site: Site, host: Flawed) -> None:
    """By id, by severity; a mistake is told beside the form."""
    page = site.page("/vulns", "admin", text=host.cves[0])
    assert [link.text for link in page.find("//tbody//th/a")] == [host.cves[0]]
    assert site.page("/vulns", "admin", text=host.cves[0], severity="low").find("//tbody//th/a") == []
    wrong = site.page("/vulns", "admin", min_epss="lots", text="openssh")
    assert (wrong.status, wrong.find("//input[@id='f-text']")[0].get("value")) == (400, "openssh")


def test_one_with_where_it_is(site: Site, host: Flawed) -> None:
    """Endpoints lead to their findings; who may not read findings is told none."""
    page = site.page(f"/vulns/{host.cves[0].lower()}")
    hrefs = [link.get("href") for link in page.find("//section[@id='hosts']//tbody//a")]
    assert hrefs == [f"/findings/{one.replace('~', '%7E')}" for one in host.ids[::2]] or hrefs == [
        f"/findings/{one}" for one in host.ids[::2]
    ]
    assert site.page(f"/vulns/{host.cves[0]}/similar").status == 200
    assert site.page("/vulns/CVE-1999-99999999").status == 404
    assert site.page("/vulns/nonsense").status == 404


def test_a_decision_for_every_host(site: Site, host: Flawed) -> None:
    """By one form; the findings of that CVE are settled wherever they are."""
    path = f"/vulns/{host.cves[1]}"
    after = site.after(path, "/findings/triage", "user", status="not_affected", justification="code_not_reachable")
    assert "1 decision: not affected." in after.words("//p[@role='status']")
    left = site.page("/findings", "admin", q=f"ip:{host.ip}")
    assert {box.get("value") for box in left.find("//input[@name='id']")} == set(host.ids[::2])

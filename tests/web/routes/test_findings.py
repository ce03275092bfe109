"""Findings as a list, one by one, and what is decided about them."""

from __future__ import annotations

import pytest

from tests.api.routes.weaknesses import Flawed, flawed
from tests.web.site import Page, Site

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def host(site: Site) -> Flawed:
    """A host with four findings of its own."""
    return flawed(site.node)


def listed(page: Page) -> set[str]:
    """The findings that a page has rows of."""
    return {box.get("value") for box in page.find("//input[@name='id']")}


def asked(site: Site, host: Flawed, **params: str) -> set[str]:
    """The findings of the host that the list has."""
    return listed(site.page("/findings", "admin", q=f"ip:{host.ip}", **params))


def test_the_list_can_be_narrowed(site: Site, host: Flawed) -> None:
    """By a query, by state, by how urgent; tiles count all; what is asked wrongly is told beside the form."""
    assert asked(site, host) == set(host.ids)
    assert asked(site, host, min_priority="50") == {one for one in host.ids if one.endswith(host.cves[0])}
    assert asked(site, host, state="closed") == set()
    page = site.page("/findings", "admin", q="port:x")
    assert (page.status, page.find("//input[@id='f-q']")[0].get("value")) == (400, "port:x")
    assert page.find("//p[@role='alert']")
    assert "critical" in page.words("//ul[@class='tiles']")
    assert listed(site.page("/findings", "read-only", q=f"ip:{host.ip}")) == set()
    assert site.page("/findings", "contributor").status == 402


def test_decisions_in_bulk_without_a_script(site: Site) -> None:
    """Those that are ticked are settled with one reason, leave the list, and come back when that is taken back."""
    host = flawed(site.node)
    path = f"/findings?q=ip%3A{host.ip}"
    ticked = host.ids[:2]
    fields = {"id": ticked, "status": "accepted", "note": "known", "until": "90d"}
    page = site.after(path, "/findings/triage", "user", **fields)
    assert "2 decisions: accepted." in page.words("//p[@role='status']")
    assert listed(page) == set(host.ids[2:])
    assert asked(site, host, triaged="only") == set(ticked)
    decisions = site.page("/findings/decisions", "admin", cve=host.cves[0])
    (form,) = [one for one in decisions.root.forms if one.get("action", "").endswith("/remove")]
    back = site.after(f"/findings/decisions?cve={host.cves[0]}", form.get("action"), "user")
    assert "Taken back: accepted" in back.words("//p[@role='status']")
    assert asked(site, host) == set(host.ids) - {ticked[1]}


def test_nothing_ticked_and_what_does_not_fit_is_said(site: Site, host: Flawed) -> None:
    """On the page that the form stands on; who may only read is told that they may not."""
    path = f"/findings?q=ip%3A{host.ip}"
    told = site.after(path, "/findings/triage", "user", id=[], status="accepted").words("//p[@role='status']")
    assert told.startswith("Tick the findings")
    wrong = {"id": host.ids[0], "status": "accepted", "justification": "code_not_present"}
    refused = site.after(path, "/findings/triage", "user", **wrong)
    assert "bad" in refused.find("//p[@role='status']")[0].get("class")
    assert asked(site, host) == set(host.ids)
    strange = site.sent(path, "/findings/triage", "user", id=host.ids[0], next="//evil.example/", status="fixed")
    assert strange.response.headers["location"] == "/findings"


def test_those_ticked_on_a_host_are_decided_about_on_a_page(site: Site, host: Flawed) -> None:
    """Boxes that are ticked already, and the way back; none, or what is no id, is told."""
    page = site.page("/findings/decide", "user", id=host.ids, next=f"/hosts/{host.ip}")
    assert listed(page) == set(host.ids)
    assert page.form("/findings/triage")["next"] == f"/hosts/{host.ip}"
    assert "Nothing was ticked" in site.page("/findings/decide", "user").words()
    assert site.page("/findings/decide", "user", id="x").status == 400
    assert site.page("/findings/decide", "read-only").status == 403


def test_one_finding_with_its_reasons(site: Site, host: Flawed) -> None:
    """Why it is one, its priority, its past; a decision for the whole host holds for the other endpoint as well."""
    path = f"/findings/{host.ids[0]}"  # the last test that looks at this host
    page = site.page(path)
    assert host.product in page.words("//section[@id='why']")
    assert page.find("//section[@id='priority']//li")
    after = site.after(path, "/findings/triage", "user", status="false_positive", scope="host")
    assert "false positive" in after.words()
    assert asked(site, host) == {one for one in host.ids if one.endswith(host.cves[1])}
    assert not site.page(path, "read-only").find("//section[@id='decide']")
    assert site.page(f"/findings/203.0.113.9~1~tcp~{host.cves[0]}").status == 404
    assert site.page("/findings/nonsense").status == 400

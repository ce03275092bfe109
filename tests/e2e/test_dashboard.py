"""The dashboard as people meet it: the real command, machines that join and scan, a real XMPP server, and Chromium.

One story, told in order by the tests of this file; each says what it proves.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.mesh.yard import Yard, yard
from tests.support import samples
from tests.support.browser import DESKTOP, PHONE, Tab, chromium, needs_chromium, tab
from tests.support.xmpp import Prosody, Reader, prosody

pytestmark = [pytest.mark.engine, pytest.mark.slow, needs_chromium]

ANA = "ana"
PASSWORD = "five words that nobody guesses"
SECRET = "a password of the test alone"
MACHINE = "127.9.0.1"
OTHER = "127.9.0.2"
CVE = "CVE-2099-20001"
_WEAKNESS = {
    "vulnerabilities": [
        {
            "cve": {
                "id": CVE,
                "published": "2026-01-01T00:00:00.000",
                "lastModified": "2026-01-02T00:00:00.000",
                "vulnStatus": "Analyzed",
                "descriptions": [{"lang": "en", "value": "A flaw made up for a test."}],
                "metrics": {
                    "cvssMetricV31": [
                        {
                            "source": "nvd@nist.gov",
                            "type": "Primary",
                            "cvssData": {
                                "version": "3.1",
                                "vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
                                "baseScore": 9.8,
                                "baseSeverity": "CRITICAL",
                            },
                        }
                    ]
                },
                "configurations": [
                    {
                        "nodes": [
                            {
                                "operator": "OR",
                                "negate": False,
                                "cpeMatch": [
                                    {
                                        "vulnerable": True,
                                        "criteria": "cpe:2.3:a:f5:nginx:*:*:*:*:*:*:*:*",
                                        "versionEndExcluding": "1.19.0",
                                        "matchCriteriaId": "5E5D0B1A-0B5A-4E4C-9F4B-0D6C1E2F3A4B",
                                    }
                                ],
                            }
                        ]
                    }
                ],
                "references": [],
            }
        }
    ]
}
PICTURES = Path(os.environ.get("SPECTRA_PICTURES", Path(__file__).parents[2] / ".artefacts" / "pictures"))


@dataclass
class Story:
    """A mesh, who reads its messages, and the browser of whoever looks at it."""

    yard: Yard
    prosody: Prosody
    reader: Reader
    browser: Browser
    tab: Tab
    kept: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def base(self) -> str:
        """Where the dashboard is, by the name that the set-up link has: passkeys are bound to a name."""
        return self.yard.running.url.replace("127.0.0.1", "localhost")

    @property
    def page(self) -> Page:
        """What is open."""
        return self.tab.page

    def go(self, path: str) -> Page:
        """Open a page of the dashboard."""
        assert self.tab.went(self.base + path) == 200
        return self.page

    def seen(self, ip: str, *ports: int, product: str = "nginx", after: timedelta = timedelta(0)) -> None:
        """Somebody submits that these ports of a host are open."""
        output = samples.scan_of(ip, *ports, product=product, at=samples.T0 + after)
        response = self.yard.running.submit(self.yard.running.seal(output))
        assert response.status_code == 200, response.text

    def cookie(self) -> dict[str, str]:
        """Of the browser."""
        found = self.page.context.cookies()
        return {"spectra": next(one.get("value", "") for one in found if one.get("name") == "spectra")}


def _outdated(ip: str) -> bytes:
    """What nmap says of a host with an old nginx."""
    return (
        f'<?xml version="1.0"?><nmaprun scanner="nmap" start="1773000000" version="7.94"><host starttime="1773000000" '
        f'endtime="1773000010"><status state="up" reason="syn-ack"/><address addr="{ip}" addrtype="ipv4"/><ports>'
        '<port protocol="tcp" portid="8080"><state state="open" reason="syn-ack"/><service name="http" product="nginx" '
        'version="1.18.0" method="probed" conf="10"><cpe>cpe:/a:igor_sysoev:nginx:1.18.0</cpe></service></port></ports>'
        '</host><runstats><finished time="1773000010"/><hosts up="1" down="0" total="1"/></runstats></nmaprun>'
    ).encode()


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """All of it, running."""
    with prosody(tmp_path_factory.mktemp("prosody")) as server:
        node, reader = server.account("spectra", SECRET), server.account("ana", SECRET)
        xmpp = {
            "SPECTRA_NOTIFY__XMPP__JID": node,
            "SPECTRA_NOTIFY__XMPP__PASSWORD": SECRET,
            "SPECTRA_NOTIFY__XMPP__HOST": "127.0.0.1",
            "SPECTRA_NOTIFY__XMPP__PORT": str(server.port),
            "SPECTRA_NOTIFY__XMPP__CA_FILE": str(server.roots),
        }
        with (
            Reader(server, reader, SECRET) as heard,
            yard(**xmpp) as made,
            chromium() as browser,
            tab(browser) as first,
        ):
            yield Story(made, server, heard, browser, first)


def test_the_first_start_shows_a_link_that_makes_the_first_account(story: Story) -> None:
    """It makes an admin and signs in; used once, it is good for nothing."""
    link = re.search(r"http://\S+/setup\S+", story.yard.running.cli("auth", "setup-link"))
    assert link is not None
    story.tab.went(link[0])
    story.page.get_by_label("Name").fill(ANA)
    story.page.get_by_label("Password").fill(PASSWORD)
    story.page.get_by_label("Once more").fill(PASSWORD)
    story.page.get_by_role("button").last.click()
    expect(story.page.get_by_role("heading", level=1)).to_have_text("Overview")
    expect(story.page.get_by_role("status")).to_contain_text(f"Welcome, {ANA}")
    with tab(story.browser) as stranger:
        stranger.went(link[0])
        expect(stranger.page.get_by_text("This node is set up already.")).to_be_visible()


def test_signing_out_and_in_again_leads_to_the_page_that_was_asked_for(story: Story) -> None:
    """A wrong password says nothing but that."""
    story.page.locator("details.who summary").click()
    story.page.get_by_role("button", name="Sign out").click()
    story.tab.went(f"{story.base}/nodes")
    expect(story.page).to_have_url(re.compile("/login\\?next=%2Fnodes$"))
    for password in ("not this one at all", PASSWORD):
        story.page.get_by_label("Name").fill(ANA)
        story.page.get_by_label("Password").fill(password)
        story.page.get_by_role("button", name="Sign in").click()
        if password != PASSWORD:
            expect(story.page.get_by_role("alert")).to_contain_text("wrong")
    expect(story.page).to_have_url(f"{story.base}/nodes")


def test_a_machine_joins_by_the_command_that_the_page_shows(story: Story) -> None:
    """Copied as it stands; the machine appears without the page being loaded again."""
    story.go("/nodes/join")
    story.page.get_by_label("Name", exact=True).fill("board-1")
    story.page.get_by_role("button", name="Make the command").click()
    command = shlex.split(story.page.locator("#join-command").inner_text())
    assert command[:2] == ["spectra", "join"]
    story.go("/nodes")
    board = story.yard.board("board-1", SPECTRA_WORKER__SLOTS="2")
    words = [word for word in command[1:] if word != "--detach"]
    board.begin(*words)
    row = story.page.get_by_role("row").filter(has_text="board-1").first
    expect(row).to_contain_text("alive", timeout=30_000)


def test_a_job_is_asked_for_and_seen_to_end(story: Story) -> None:
    """Sent twice at once, as by a double click, it is one job, whose page follows the machine's work live."""
    story.go("/jobs/new")
    story.page.get_by_label("Targets").fill("127.9.0.1-8")
    story.page.get_by_label("Who agreed, and why").fill("a test of our own machine")
    story.page.get_by_label("Way of scanning").select_option("yard")
    story.page.get_by_text("More", exact=True).click()
    story.page.get_by_label("Allowed networks").fill("127.0.0.0/8")
    button = story.page.get_by_role("button", name="Have it scanned")
    button.evaluate("one => { one.form.requestSubmit(one); setTimeout(() => one.form.requestSubmit(one)); }")
    expect(story.page).to_have_url(re.compile("/jobs/job-[0-9a-f]+$"))
    story.kept["job"] = story.page.url.rpartition("/")[2]
    assert [job["job"] for job in story.yard.running.get("/v0/jobs")["jobs"]] == [story.kept["job"]]
    expect(story.page.locator("main")).to_contain_text("done", timeout=60_000)
    story.yard.until(story.kept["job"], 8)


def test_what_was_found_is_searched_by_completion_and_facets(story: Story) -> None:
    """Words are completed with the keyboard alone; a bar that is clicked becomes a term."""
    page = story.go("/search")
    field = page.locator("main").get_by_label("Query")
    field.press_sequentially("net:127.9.0.0/24 por")
    offers = page.get_by_role("listbox")
    expect(offers.first).to_be_visible()
    field.press("ArrowDown")
    field.press("Enter")
    expect(field).to_have_value(re.compile(r"^net:127\.9\.0\.0/24 port:$"))
    field.press_sequentially(str(story.yard.answering.port))
    field.press("Escape")
    field.press("Enter")
    expect(page.locator("#results")).to_contain_text("8 open endpoints match")
    port = page.locator("aside.facets a").filter(has_text=str(story.yard.answering.port)).first
    assert "port" in quote(port.get_attribute("href") or "")
    page.get_by_role("link", name=MACHINE, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(MACHINE)


def test_a_host_page_changes_while_it_is_open_and_two_moments_are_compared(story: Story) -> None:
    """What somebody submits now is there without loading the page again; the comparison names it."""
    page = story.go(f"/hosts/{OTHER}")
    story.seen(OTHER, 8443, after=timedelta(days=1))
    expect(page.locator("main")).to_contain_text("8443/tcp", timeout=20_000)
    story.seen(OTHER, 8443, 9443, after=timedelta(days=2))
    story.go(f"/hosts/{OTHER}/history")
    for name, day in (("from", "2026-03-02"), ("to", "2026-03-03")):
        page.get_by_role("row").filter(has_text=day).locator(f'input[name="{name}"]').check()
    page.get_by_role("button", name="Compare the two").click()
    expect(page.locator("main")).to_contain_text("9443/tcp")


def test_a_rule_is_tried_on_the_past_and_its_alert_arrives_by_xmpp(story: Story) -> None:
    """An outlet is made and tested, a rule tried and kept; what then happens is told to a real client of a real server
    and stands on the page, where somebody looks after it.
    """
    page = story.go("/outlets")
    page.get_by_label("Name", exact=True).fill("ana")
    page.get_by_label("Kind").select_option("xmpp")
    page.get_by_label("To", exact=True).fill("ana@localhost")
    page.get_by_role("button", name="Make it").click()
    page.get_by_role("link", name="ana", exact=True).click() if page.url.endswith("/outlets") else None
    page.get_by_role("button", name="Send a test message").click()
    assert story.reader.wait(1)
    story.go("/alerts/rules/new")
    page.get_by_label("Name", exact=True).fill("telnet")
    chosen = page.locator('input[name="on"]:checked')
    while chosen.count():
        chosen.first.uncheck()
    page.locator('input[name="on"][value="port.opened"]').check()
    page.get_by_label("Only where").fill("port:23")
    page.get_by_label("Severity", exact=True).select_option("high")
    page.locator('input[name="outlet"][value="ana"]').check()
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#trial")).to_contain_text("It is not kept yet.")
    page.get_by_role("button", name="Keep it").click()
    expect(page.locator("main")).to_contain_text("telnet")
    story.go("/alerts")
    story.seen(MACHINE, 23, after=timedelta(days=3))
    told = story.reader.wait(2)[-1]
    assert told.sender.startswith("spectra@localhost")
    assert MACHINE in told.text
    row = page.locator("#alerts tr").filter(has_text=MACHINE)
    expect(row).to_be_visible(timeout=20_000)
    row.get_by_role("checkbox").check()
    page.get_by_label("A line about it").fill("known, being replaced")
    page.get_by_role("button", name="Look after those ticked").click()
    expect(page.locator("#alerts")).to_contain_text("looked after")


def test_findings_are_decided_in_bulk(story: Story, tmp_path: Path) -> None:
    """Two are ticked and decided about at once; both are settled, and stand among the decisions."""
    for ip in (MACHINE, OTHER):
        response = story.yard.running.submit(story.yard.running.seal(_outdated(ip)))
        assert response.status_code == 200, response.text
    feed = tmp_path / "nvd.json"
    feed.write_text(json.dumps(_WEAKNESS))
    story.yard.running.cli("feeds", "vulns", "add", "nvd", feed, "--watch")
    page = story.go("/findings")
    rows = page.locator("#findings tbody tr").filter(has_text=CVE)
    expect(rows).to_have_count(2, timeout=30_000)
    for number in range(2):
        rows.nth(number).get_by_role("checkbox").check()
    page.get_by_label("Decide", exact=True).select_option("false_positive")
    page.get_by_label("Note").fill("not built in here")
    page.get_by_role("button", name="Decide about those ticked").click()
    expect(page.locator("main")).not_to_contain_text(f"{MACHINE} 8080/tcp")
    story.go("/findings/decisions")
    expect(page.locator("main tbody tr").filter(has_text=CVE)).to_have_count(2)


def test_all_of_it_works_without_javascript(story: Story) -> None:
    """Signing in, searching, a facet, a host, a decision, looking after an alert: links and forms alone."""
    with tab(story.browser, script=False) as plain:
        page = plain.page
        plain.went(f"{story.base}/search?q=net:127.9.0.0/24")
        page.get_by_label("Name").fill(ANA)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("#results")).to_contain_text("match")
        page.locator("aside.facets a").filter(has_text=str(story.yard.answering.port)).first.click()
        expect(page).to_have_url(re.compile("/search\\?.*port"))
        page.locator("#results tbody a").first.click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("127.9.0.")
        plain.went(f"{story.base}/alerts?state=acknowledged")
        page.locator("#alerts tbody a").first.click()
        page.get_by_role("button", name="Leave out").click()
        expect(page.get_by_role("status")).to_be_visible()
        plain.went(f"{story.base}/jobs/{story.kept['job']}")
        expect(page.locator("main")).to_contain_text("done")
        page.locator("details.who summary").click()
        page.get_by_role("button", name="Sign out").click()
        plain.went(f"{story.base}/jobs")
        expect(page).to_have_url(re.compile("/login"))


def test_pages_have_no_serious_fault_and_are_kept_as_pictures(story: Story) -> None:
    """By axe-core under WCAG 2.2 AA, on a desktop and on a phone, light and dark; none scrolls sideways, none is over
    150 KB, none asked anybody but this node for anything, and no script or policy complained.
    """
    paths = {
        "overview": "/",
        "search": "/search",
        "space": "/space",
        "host": f"/hosts/{MACHINE}",
        "history": f"/hosts/{OTHER}/history",
        "around": f"/hosts/{MACHINE}/around",
        "findings": "/findings",
        "alerts": "/alerts",
        "jobs": "/jobs",
        "job": f"/jobs/{story.kept['job']}",
        "nodes": "/nodes",
        "coverage": "/coverage",
        "activity": "/activity",
        "provenance": "/provenance",
        "settings": "/settings",
        "account": "/me",
    }
    wrong: list[str] = []
    views: tuple[tuple[tuple[int, int], Literal["light", "dark"]], ...]
    views = ((DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light"), (PHONE, "dark"))
    for size, scheme in views:
        with tab(story.browser, size=size, scheme=scheme, cookies=story.cookie(), url=story.base) as one:
            for name, path in paths.items():
                at = f"{name} at {size[0]}, {scheme}"
                if (status := one.went(story.base + path)) != 200:
                    wrong.append(f"{at}: {status}")
                    continue
                if size == DESKTOP or scheme == "light":
                    wrong += [f"{at}: {fault}" for fault in one.unfit()]
                if one.page.evaluate("document.documentElement.scrollWidth") > size[0]:
                    wrong.append(f"{at}: scrolls sideways")
                if len(one.page.content()) > 150 * 1024:
                    wrong.append(f"{at}: {len(one.page.content())} bytes")
                one.shot(PICTURES / f"{name}-{'desktop' if size == DESKTOP else 'phone'}-{scheme}.png")
            wrong += one.faults
            wrong += [url for url in one.asked if not url.startswith((story.base, "data:"))]
    assert not wrong, "\n".join(wrong)
    assert not story.tab.faults

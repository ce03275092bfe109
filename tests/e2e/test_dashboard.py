"""The dashboard as people meet it: the real command, machines that join and scan, a real XMPP server, and Chromium.

One story, told in order by the tests of this file; each says what it proves.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
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
        return {one["name"]: one["value"] for one in self.page.context.cookies() if one["name"] == "spectra"}


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
    """Its page follows the machine's work live."""
    story.go("/jobs/new")
    story.page.get_by_label("Targets").fill("127.9.0.1-8")
    story.page.get_by_label("Who agreed, and why").fill("a test of our own machine")
    story.page.get_by_label("Way of scanning").select_option("yard")
    story.page.get_by_text("More", exact=True).click()
    story.page.get_by_label("Allowed networks").fill("127.0.0.0/8")
    story.page.get_by_role("button", name="Have it scanned").click()
    expect(story.page).to_have_url(re.compile("/jobs/[0-9a-z-]+$"))
    story.kept["job"] = story.page.url.rpartition("/")[2]
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
    page.get_by_role("button", name="Compare the two").click()
    expect(page.locator("main")).to_contain_text("9443/tcp")


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
    for size, scheme in ((DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light"), (PHONE, "dark")):
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

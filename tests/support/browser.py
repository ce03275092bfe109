"""A real browser for tests: Debian's Chromium, driven by Playwright, with nothing but loopback to go to."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or ""
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium")

DESKTOP: Final = (1280, 900)
PHONE: Final = (390, 844)
_FLAGS: Final = (
    "--no-sandbox",  # CI runs as root in a container
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
_AXE: Final = Path(axe_playwright_python.__file__).with_name("axe.min.js")
_RULES: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")


@contextlib.contextmanager
def chromium() -> Generator[Browser]:
    """A browser without a profile, until the block ends."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Tab:
    """A page of a window, and what went wrong in it: errors of scripts, refusals of the policy, dialogs."""

    page: Page
    faults: list[str] = field(default_factory=list[str])
    asked: list[str] = field(default_factory=list[str])

    def went(self, url: str) -> int:
        """Go there; the status of the answer."""
        response = self.page.goto(url)
        assert response is not None
        return response.status

    def shot(self, path: Path) -> None:
        """Keep a picture of the whole page."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path, full_page=True)

    def unfit(self) -> list[str]:
        """What axe-core holds against the page under WCAG 2.2 AA, serious or worse: rule, element, why."""
        # Into a world of its own: the page's policy lets no script in that is not its own file.
        session = self.page.context.new_cdp_session(self.page)
        frame = session.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
        world = session.send("Page.createIsolatedWorld", {"frameId": frame})["executionContextId"]
        for source in (_AXE.read_text("utf-8"), _run(_RULES)):
            told = session.send(
                "Runtime.evaluate",
                {"expression": source, "contextId": world, "awaitPromise": True, "returnByValue": True},
            )
            assert "exceptionDetails" not in told, told["exceptionDetails"]
        session.detach()
        found: list[dict[str, Any]] = json.loads(told["result"]["value"])
        return [f"{one['id']}: {one['where']}: {one['why']}" for one in found]


def _run(rules: tuple[str, ...]) -> str:
    return f"""axe.run(document, {{runOnly: {{type: "tag", values: {json.dumps(rules)}}}}}).then(found =>
      JSON.stringify(found.violations.filter(one => ["serious", "critical"].includes(one.impact)).flatMap(one =>
        one.nodes.map(node => ({{id: one.id, where: node.html.slice(0, 200), why: node.failureSummary}})))))"""


@contextlib.contextmanager
def tab(
    browser: Browser,
    *,
    size: tuple[int, int] = DESKTOP,
    scheme: Literal["light", "dark"] = "light",
    script: bool = True,
    cookies: dict[str, str] | None = None,
    url: str = "",
) -> Generator[Tab]:
    """A page in a window of its own, with the `cookies` of the server at `url`."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, java_script_enabled=script
    )
    context.set_default_timeout(20_000)
    try:
        for name, value in (cookies or {}).items():
            context.add_cookies([{"name": name, "value": value, "url": url}])
        yield _watched(context)
    finally:
        context.close()


def _watched(context: BrowserContext) -> Tab:
    page = context.new_page()
    made = Tab(page)

    def said(message: ConsoleMessage) -> None:
        # A status of 404 or 403 is what the test is about, not a fault of a script.
        if message.type == "error" and "the server responded with a status" not in message.text:
            made.faults.append(message.text)

    page.on("console", said)
    page.on("pageerror", lambda error: made.faults.append(str(error)))
    page.on("request", lambda request: made.asked.append(request.url))
    page.on("dialog", lambda dialog: dialog.accept())
    return made

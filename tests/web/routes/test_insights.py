"""Insights: listed, looked at, resolved."""

from __future__ import annotations

import json

import pytest

from tests.ai.agents.test_threat_analyst import alert
from tests.web.site import Site

pytestmark = pytest.mark.engine

IP = "10.0.98.77"


@pytest.fixture(scope="module")
def told(site: Site) -> str:
    """The path of an insight about a host of ours that attacks."""
    alerts = json.dumps([alert(IP)]).encode()
    done = site.node.ask("POST", "/v0/ai/agents/threat-analyst", content=alerts)
    return f"/insights/{done.json()['insights'][0]['insight']['id']}"


def test_an_insight_is_found_and_resolved(site: Site, told: str) -> None:
    """With what was looked at and what it rests on; resolved, it is in no list of open ones."""
    asked = {"subject": f"host:{IP}"}
    assert [link.get("href") for link in site.page("/insights", "admin", **asked).find("//tbody//th/a")] == [told]
    page = site.page(told)
    assert page.find(f"//dl//a[@href='/hosts/{IP}']")
    assert "threshold" in page.text.lower()
    assert not site.page(told, "read-only").find(f"//form[@action='{told}/resolve']")
    wrong = site.sent(told, f"{told}/resolve", resolution="ignored")
    assert wrong.response.headers["location"] == told
    done = site.after(told, f"{told}/resolve", resolution="accepted", comment="a test of ours")
    assert "a test of ours" in done.words()
    assert site.page("/insights", "admin", **asked).find("//tbody//th/a") == []
    assert len(site.page("/insights", "admin", **asked, state="all").find("//tbody//th/a")) == 1


def test_mistakes_and_nothing(site: Site) -> None:
    """Told beside the form, or as an empty page that says what to do."""
    assert site.page("/insights", "admin", agent="nobody").status == 400
    empty = site.page("/insights", "admin", subject="host:203.0.113.1")
    assert "spectra agents run" in empty.words()
    assert site.page("/insights/ffffffffffff").status == 404

"""Pages of rules: tried on what has happened, kept, switched off and removed."""

from __future__ import annotations

import secrets

import pytest

from tests.web.site import Site

pytestmark = pytest.mark.engine


def test_a_rule_is_tried_and_kept(site: Site) -> None:
    """What it would have told is shown, and nothing is kept by that; then it watches as it was written."""
    name = f"rule-{secrets.token_hex(4)}"
    said = {
        "name": name,
        "on": ["host.new", "port.opened"],
        "query": "net:10.0.89.0/24",
        "severity": "high",
        "threshold": "2",
        "quiet_start": "22:00",
        "quiet_end": "07:00",
        "day": ["1", "7"],
    }
    tried = site.sent("/alerts/rules/new", "/alerts/rules/new", "user", **said, **{"try": "1"})
    assert tried.status == 200
    assert "What it would have told" in tried.words()
    assert tried.find("//input[@name='query']")[0].get("value") == "net:10.0.89.0/24"
    assert site.page(f"/alerts/rules/{name}").status == 404
    kept = site.after("/alerts/rules/new", "/alerts/rules/new", "user", **said, keep="1")
    assert f"The rule {name} is kept" in kept.words("//body")
    page = site.page(f"/alerts/rules/{name}")
    ticked = [box.get("value") for box in page.find("//input[@name='on' and @checked]")]
    assert ticked == ["host.new", "port.opened"]
    assert page.find("//input[@name='threshold']")[0].get("value") == "2"
    assert [box.get("value") for box in page.find("//input[@name='day' and @checked]")] == ["1", "7"]
    assert len(page.text) < 150_000
    off = site.after("/alerts/rules", f"/alerts/rules/{name}/switch", off="1")
    assert f"{name} is off" in off.words("//body")
    gone = site.after(f"/alerts/rules/{name}", f"/alerts/rules/{name}/remove")
    assert "is gone" in gone.words("//body")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"name": "Not So", "on": ["host.new"]}, "A name has small letters"),
        ({"name": "ok", "on": []}, "Tick what to watch for"),
        ({"name": "ok", "on": ["host.new"], "query": "nofield:1"}, "nofield"),
        ({"name": "ok", "on": ["host.new"], "threshold": "many"}, "threshold has to be a whole number"),
        ({"name": "ok", "on": ["host.new"], "quiet_start": "22:00"}, "Quiet hours have a begin and an end"),
    ],
)
def test_what_is_wrong_is_said_on_the_page(site: Site, said: dict[str, object], words: str) -> None:
    """And no rule is kept."""
    page = site.sent("/alerts/rules/new", "/alerts/rules/new", **said, keep="1")
    assert (page.status, words in page.words("//*[@role='alert']")) == (400, True)
    assert site.page("/alerts/rules/ok").status == 404


def test_who_only_reads_has_no_editor(site: Site) -> None:
    """But sees the rules."""
    page = site.page("/alerts/rules", "read-only")
    assert "exploited" in page.words()
    link = page.find("//tbody//th/a/@href")[0]
    assert not site.page(link, "read-only").find("//form[@id='rule']")
    assert site.page("/alerts/rules/new", "read-only").status == 403

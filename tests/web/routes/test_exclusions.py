"""What is never scanned, and who is blocked, on a page."""

from __future__ import annotations

import secrets

import pytest

from tests.web.site import Site

pytestmark = pytest.mark.engine


def network() -> str:
    """One that no other test has."""
    octets = secrets.token_bytes(2)
    return f"203.{octets[0] % 100 + 101}.{octets[1]}.0/24"


def test_a_network_is_put_on_the_list_and_taken_off(site: Site) -> None:
    """At once; what is no network is said."""
    net = network()
    done = site.after("/exclusions", "/exclusions", network=net, reason="asked by mail")
    assert "asked by mail" in done.words(f"//section[@id='list']//tr[th='{net}']")
    action = done.find(f"//section[@id='list']//tr[th='{net}']//form/@action")[0]
    gone = site.after("/exclusions", action)
    assert gone.find(f"//section[@id='list']//tr[th='{net}']") == []
    assert "not a network" in site.after("/exclusions", "/exclusions", network="rubbish").words()


@pytest.mark.parametrize(("decision", "told"), [("approve", "approved"), ("reject", "rejected")])
def test_a_request_is_decided(site: Site, decision: str, told: str) -> None:
    """With a note that stands on record; granted, it is on the list."""
    net = network()
    body = {"network": net, "contact": "noc@example.org", "reason": "<b>please</b>"}
    asked = site.node.ask("POST", "/v0/do-not-scan", "", json=body).json()
    page = site.page("/exclusions")
    assert "<b>please</b>" in page.words(f"//section[@id='requests']//tr[th='{net}']")
    approve = f"/exclusions/requests/{asked['request_id']}/approve"
    form = page.form(approve) | {"note": "a fair wish"}
    with site.visit(follow_redirects=True) as client:
        client.post(approve.replace("approve", decision), data=form)
    assert net not in site.page("/exclusions").words("//section[@id='requests']")
    decided = site.page("/exclusions", all="true").words(f"//section[@id='requests']//tr[th='{net}']")
    assert told in decided
    assert "a fair wish" in decided
    assert bool(site.page("/exclusions").find(f"//section[@id='list']//tr[th='{net}']")) is (decision == "approve")


def test_somebody_is_blocked_and_let_in_again(site: Site) -> None:
    """A network until a day; an AS that no feed knows, and a day that is none, are said."""
    net = network()
    done = site.after("/exclusions", "/blocks", what=net, reason="rude", until="2099-12-31")
    assert "2099-12-31" in done.words(f"//section[@id='blocks']//tr[th='{net}']")
    action = done.find(f"//section[@id='blocks']//tr[th='{net}']//form/@action")[0]
    assert "The block is gone." in site.after("/exclusions", action).words()
    unknown = site.after("/exclusions", "/blocks", what="AS4200000000", reason="rude")
    assert "No feed knows a network of AS4200000000" in unknown.words()
    assert site.sent("/exclusions", "/blocks", what=net, reason="rude", until="never").status == 400


def test_it_is_the_admins(site: Site) -> None:
    """Contacts of those who asked are nobody else's business."""
    assert site.page("/exclusions", "user").status == 403

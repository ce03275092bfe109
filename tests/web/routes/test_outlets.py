"""Pages of outlets: made, tried and removed by forms; and messages."""

from __future__ import annotations

import secrets

import pytest

from tests.act.notify.test_webhook import Receiver
from tests.store.outletsamples import note
from tests.support.waiting import eventually
from tests.web.site import Site

pytestmark = pytest.mark.engine


def test_an_outlet_by_its_pages(site: Site) -> None:
    """The secret is shown once; a test message says how it went; who may not change it has no forms."""
    name = f"web-{secrets.token_hex(4)}"
    path = f"/outlets/{name}"
    with Receiver() as receiver:
        target = f"http://127.0.0.1:{receiver.port}/s3cret"
        made = site.sent("/outlets", "/outlets", "admin", name=name, kind="webhook", target=target)
        assert made.words("//code[@id='webhook-secret']").startswith("whsec_")
        assert not site.page(path).find("//code[@id='webhook-secret']")
        assert "It arrived" in site.after(path, f"{path}/test").words("//body")
        assert len(receiver.got) == 1
        receiver.status = 500
        assert "answered 500" in site.after(path, f"{path}/test").words("//body")
    seen = site.page(path, "read-only")
    assert "s3cret" not in seen.text
    assert not seen.find(f"//form[@action='{path}/test']")
    assert "There is one of this name" in site.after("/outlets", "/outlets", name=name, target="a@b").words("//body")
    changed = site.after(path, path, kind="webhook", target="https://example.org/other", note="ours")
    assert ("Saved." in changed.words("//body"), "ours" in changed.words()) == (True, True)
    assert name in site.page("/outlets").words()
    gone = site.after(path, f"{path}/remove")
    assert "is gone" in gone.words("//body")
    assert site.page(path).status == 404


def test_what_is_none_is_said_beside_the_form(site: Site) -> None:
    """With what was typed, but for a secret."""
    page = site.sent("/outlets", "/outlets", name="x", kind="xmpp", target="nobody", secret="geheim")
    assert (page.status, page.find("//input[@name='target']")[0].get("value")) == (400, "nobody")
    assert "geheim" not in page.text


def test_messages_are_sent_again(site: Site) -> None:
    """From their page; what is in a title is text."""
    name, services = f"msg-{secrets.token_hex(4)}", site.node.services
    site.sent("/outlets", "/outlets", name=name, kind="webhook", target="http://127.0.0.1:1/")
    number = secrets.randbelow(10**9)
    note(services.database, number, services.clock(), name)
    assert services.notify is not None
    services.notify.wake()
    path = f"/deliveries?outlet={name}"
    eventually(lambda: "cannot be reached" in site.page(path).words())
    again = f"/deliveries/note-{number}/{name}/again"
    assert "It is sent again" in site.after(path, again, "user").words("//body")
    assert not site.page(path, "read-only").find(f"//form[@action='{again}']")
    assert "No messages" in site.page("/deliveries", "read-only", outlet="none").words()
    site.sent(f"/outlets/{name}", f"/outlets/{name}/remove")

"""The machines of the mesh on pages."""

from __future__ import annotations

import re
import secrets

import pytest

from spectra.store import refusals, workers
from spectra.store.workers import Asked
from tests.api.routes.errands import machine
from tests.web.site import Site

pytestmark = pytest.mark.engine


def test_a_machine_is_let_join(site: Site) -> None:
    """The whole command is shown, on this answer and nowhere else; the token can be revoked."""
    name = f"lab-{secrets.token_hex(4)}"
    made = site.sent("/nodes/join", "/nodes/join", name=name, ttl_s="900")
    command = made.words("//code[@id='join-command']")
    assert re.fullmatch(r"spectra join [\w-]+\.[\w-]+\.[\w-]+", command)
    assert made.response.headers["cache-control"] == "no-store"
    token = command.rpartition(" ")[2]
    page = site.page("/nodes")
    assert name in page.words()
    assert token not in page.text
    action = page.find(f"//button[contains(@aria-label, '{name}')]/ancestor::form/@action")[0]
    assert "Nobody gets in with this token" in site.after("/nodes", action).words()


def test_what_no_node_may_be_called_is_said(site: Site) -> None:
    """And a reusable token that names one."""
    assert "No node is called ca." in site.sent("/nodes/join", "/nodes/join", name="ca").words("//p[@role='alert']")
    page = site.sent("/nodes/join", "/nodes/join", name="x", reusable="1")
    assert (page.status, page.form("/nodes/join")["name"]) == (400, "x")


def test_what_is_decided_about_a_machine(site: Site) -> None:
    """Drained, kept away with the reason for all to see, released, and thrown out by its name alone."""
    name = machine(site.node)
    workers.asked(site.node.services.database, [Asked(name, slots=2, free=2)], site.node.services.clock())
    path = f"/nodes/{name}"
    assert "gets nothing new" in site.after(path, f"{path}/drain").words()
    assert "draining" in site.page("/nodes", "user").words(f"//tr[.//a='{name}']")
    assert "is given work again" in site.after(path, f"{path}/drain").words()
    assert "odd results" in site.after(path, f"{path}/quarantine", reason="odd results").words("//section[@id='node']")
    assert "works again" in site.after(path, f"{path}/release").words()
    assert "cannot be undone" in site.after(path, f"{path}/revoke", because="stolen", sure="another").words()
    gone = site.after(path, f"{path}/revoke", because="stolen", sure=name)
    assert "revoked" in gone.words("//section[@id='node']")
    assert gone.find("//form[contains(@action, 'revoke')]") == []


def test_lists_are_filtered_and_paged_by_what_is_known(site: Site) -> None:
    """By standing and presence; a word that is none of them is left out."""
    name = machine(site.node)
    assert name in site.page("/nodes", standing="active").words()
    assert name not in site.page("/nodes", standing="revoked").words("//section[@id='nodes']")
    assert name in site.page("/nodes", standing="rubbish").words()


def test_what_machines_were_refused(site: Site) -> None:
    """What, who and how often."""
    services = site.node.services
    refusals.count(services.database, "impostor", "scanner-x", "another key", services.clock())
    told = site.page("/nodes", "user").words("//section[@id='refusals']//tr[td='scanner-x']")
    assert "impostor" in told
    assert "another key" in told


def test_who_may_only_read(site: Site) -> None:
    """Sees no buttons, and lets nobody join."""
    name = machine(site.node)
    assert site.page(f"/nodes/{name}", "user").find("//main//button") == []
    assert site.page("/nodes/join", "user").status == 403
    assert site.page("/nodes", "read-only").status == 403
    assert site.page("/nodes/nobody").status == 404

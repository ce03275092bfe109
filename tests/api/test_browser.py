"""Browsers that are signed in: sessions like any other, a new secret each time, and forms that only our pages send."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spectra.api import browser
from spectra.api.auth import Caller
from spectra.api.browser import Visitor
from spectra.api.problems import Forbidden
from spectra.identity.roles import ROLES
from spectra.store.provenance import links
from tests.api.asking import ORIGIN, Browser, desk_of
from tests.api.node import Node
from tests.api.people import Clock, bearing, make, signed_in

pytestmark = pytest.mark.engine


@pytest.fixture
def clock() -> Clock:
    """A clock that the test sets."""
    return Clock()


@pytest.fixture
def desk(node: Node, tmp_path: Path, clock: Clock) -> Iterator[Node]:
    """A coordinator whose clock the test sets."""
    with desk_of(node, tmp_path, clock) as found:
        yield found


def sign_in(here: Browser, account: str, grant: str = "password") -> Visitor:
    """A browser signs in; who it is by the cookie it got."""
    here.take(browser.begin(here.request(), here.services, account, grant=grant))
    found = browser.visitor(here.request(), here.services)
    assert found is not None
    return found


def begun(node: Node, session: str) -> dict[str, object]:
    """What the chain says of a sign-in."""
    (found,) = [link.detail() for link in links(node.services.database) if link.subject == f"session:{session}"]
    return found


def test_a_browser_signs_in_and_out(desk: Node) -> None:
    """With all that the role holds; the session is listed and on record; signing out ends it on the server."""
    here, name = Browser(desk), make(desk)
    assert browser.visitor(here.request(), here.services) is None
    who = sign_in(here, name)
    assert (who.account, who.caller.scopes, who.caller.session) == (name, ROLES["user"], who.session)
    token = signed_in(desk, name)["access_token"]
    listed = {s["id"]: s for s in bearing(desk, token, "/v0/auth/sessions").json()["sessions"]}
    assert (listed[who.session]["client_id"], listed[who.session]["source"]) == ("browser", "192.0.2.7")
    assert begun(desk, who.session)["by"] == "password"
    kept = dict(here.cookies)
    here.take(browser.end(here.request(), here.services, who))
    assert "spectra" not in here.cookies
    here.cookies = kept
    assert browser.visitor(here.request(), here.services) is None


def test_a_session_can_be_ended_from_elsewhere(desk: Node) -> None:
    """As any other: from its next request on. And it ends with its account."""
    here, name = Browser(desk), make(desk)
    token = signed_in(desk, name)["access_token"]
    who = sign_in(here, name)
    assert bearing(desk, token, f"/v0/auth/sessions/{who.session}", "DELETE").status_code == 200
    assert browser.visitor(here.request(), here.services) is None
    sign_in(here, name)
    desk.ask("PATCH", f"/v0/accounts/{name}", json={"disabled": True})
    assert browser.visitor(here.request(), here.services) is None


def test_nobody_can_plant_a_session(desk: Node) -> None:
    """Signing in makes a new secret and ends the session that was there: fixation gains nothing (CWE-384)."""
    here, attacker, victim = Browser(desk), make(desk), make(desk)
    planted = sign_in(here, attacker)
    before = here.cookies["spectra"]
    who = sign_in(here, victim)
    assert here.cookies["spectra"] != before
    assert who.account == victim
    there = Browser(desk)
    there.cookies["spectra"] = before
    assert browser.visitor(there.request(), there.services) is None
    assert planted.session != who.session
    made_up = Browser(desk)
    made_up.cookies["spectra"] = browser.new_secret()
    assert browser.visitor(made_up.request(), made_up.services) is None


def test_it_ends_when_idle_and_at_last_in_any_case(desk: Node, clock: Clock) -> None:
    """Twelve hours unused, or thirty days however much used."""
    here, name = Browser(desk), make(desk)
    sign_in(here, name)
    began = clock.now
    for hours in range(11, 30 * 24, 11):
        clock.now = began + timedelta(hours=hours)
        assert browser.visitor(here.request(), here.services) is not None, hours
    clock.now = began + timedelta(days=30)
    assert browser.visitor(here.request(), here.services) is None
    clock.now = began
    sign_in(here, name)
    clock.now += timedelta(hours=12)
    assert browser.visitor(here.request(), here.services) is None


def test_strange_sign_ins_are_told_apart(desk: Node) -> None:
    """The first has nothing to compare with; later ones are known by network or by browser, or are strange."""
    name, home = make(desk), Browser(desk)

    def seen(here: Browser) -> tuple[object, object]:
        told = begun(desk, sign_in(here, name).session)
        return told["first"], told["known"]

    assert seen(home) == (True, False)
    assert seen(Browser(desk)) == (False, True)
    home.address = "198.51.100.9"
    assert seen(home) == (False, True)
    assert seen(Browser(desk, address="203.0.113.1")) == (False, False)
    assert seen(Browser(desk, address="2001:db8:0:1::1")) == (False, False)
    assert seen(Browser(desk, address="2001:db8:0:1::2")) == (False, True)


# Forms ---------------------------------------------------------------------------------------------------------------


def test_a_form_brings_its_token_back(desk: Node) -> None:
    """Another text each time it is asked for, all good for this session and no other."""
    here, name = Browser(desk), make(desk)
    who = sign_in(here, name)
    shown = {who.csrf for _ in range(8)}
    assert len(shown) == 8
    for token in shown:
        browser.check_csrf(here.request(), who, token)
    other = sign_in(Browser(desk), name)
    with pytest.raises(Forbidden):
        browser.check_csrf(here.request(), who, other.csrf)
    assert who.secret not in repr(who)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=100), st.binary(max_size=64).map(lambda b: b.hex())))
def test_no_other_token_is_good(node: Node, token: str) -> None:
    """Whatever it is, it is refused and nothing breaks."""
    with pytest.raises(Forbidden):
        browser.check_csrf(Browser(node).request(), _nobody(), token)


def _nobody() -> Visitor:
    return Visitor(Caller("a", "user", frozenset()), "s", "a", browser.new_secret())


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({}, True),
        ({"origin": ORIGIN}, True),
        ({"origin": ORIGIN.upper()}, True),
        ({"sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "none"}, True),
        ({"sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": "cross-site", "origin": ORIGIN}, False),
        ({"origin": "null"}, False),
        ({"origin": "https://localhost:8765"}, False),
        ({"origin": "http://localhost"}, False),
        ({"origin": "http://evil.example"}, False),
    ],
)
def test_where_a_form_comes_from(node: Node, headers: dict[str, str], ours: bool) -> None:
    """With a good token, and of nobody who is signed in: the sign-in form cannot be sent by another site."""
    who, asked = _nobody(), Browser(node).request(**headers)
    for visitor in (who, None):
        if ours:
            browser.check_csrf(asked, visitor, who.csrf)
        else:
            with pytest.raises(Forbidden):
                browser.check_csrf(asked, visitor, who.csrf)

"""Who gets in where: every route, of the dashboard and of the API, asked by every role; made from the route table."""

from __future__ import annotations

import html
import secrets
from collections.abc import Iterator

import httpx
import pyotp
import pytest

from spectra.api.auth import scope_of
from spectra.identity.roles import PUBLIC, ROLES, SCOPES
from tests.api.people import PASSWORD, bearing, make, signed_in
from tests.web.doors import CALLS, ENDLESS, EVERY, PAGES, Door
from tests.web.site import Page, Site

# What acts at once, without a body or a name that could be wrong: being let in is not tried there.
AT_ONCE = frozenset(
    {
        "/v0/correlate",
        "/v0/enrich",
        "/v0/vulns/vectorize",
        "/v0/provenance/verify",
        "/v0/work/resume",
        "/v0/nodes/ca/rotate",
        "/v0/nodes/ca/retire",
    }
)


@pytest.fixture(scope="module")
def visits(site: Site) -> Iterator[dict[str, httpx.Client]]:
    """A browser for each role, and one in which nobody is signed in."""
    clients = {role: site.visit(role) for role in ("", *ROLES)}
    yield clients
    for client in clients.values():
        client.close()


@pytest.fixture(scope="module")
def callers(site: Site) -> Iterator[dict[str, httpx.Client]]:
    """A program for each role, and one without a token."""
    clients = {role: site.node.client(role) for role in ("", *ROLES)}
    yield clients
    for client in clients.values():
        client.close()


def test_every_page_declares_a_scope_that_exists() -> None:
    """Without one it would not be in the tests below."""
    assert PAGES
    for door in PAGES:
        assert door.scope in SCOPES or door.open, door.name
    assert scope_of([]) == ""


def test_pages_open_to_anyone_are_these() -> None:
    """What needs nobody to be signed in is listed here, so that adding to it is a decision."""
    opened = {door.name for door in PAGES if door.open}
    assert opened == {
        "GET /static/{digest}/{name}",
        "GET /keyboard",
        "POST /theme",
        "GET /login",
        "POST /login",
        "GET /login/second",
        "POST /login/second",
        "GET /login/passkey",
        "POST /login/passkey",
        "GET /setup",
        "POST /setup",
        "POST /logout",
    }


def test_nobody_gets_in_without_signing_in(visits: dict[str, httpx.Client], callers: dict[str, httpx.Client]) -> None:
    """Pages lead to the sign-in, and back where that can be; the API says what it needs."""
    for door in EVERY:
        if door.open:
            continue
        answer = (visits if door.page else callers)[""].request(door.method, door.filled())
        if door.page:
            assert answer.status_code == 303, door.name
            assert answer.headers["location"].startswith("/login"), door.name
        else:
            assert answer.status_code == 401, door.name
            assert "bearer" in answer.headers["www-authenticate"].lower(), door.name


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_kept_out_where_it_holds_no_scope(
    role: str, visits: dict[str, httpx.Client], callers: dict[str, httpx.Client]
) -> None:
    """With 403, whatever stands in the path: what is there is not told either."""
    for door in EVERY:
        if door.held_by(role):
            continue
        answer = (visits if door.page else callers)[role].request(door.method, door.filled())
        assert answer.status_code == 403, door.name
        assert refused(answer, door), door.name


def test_who_holds_the_scope_gets_in(visits: dict[str, httpx.Client], callers: dict[str, httpx.Client]) -> None:
    """The role that holds least besides: what is answered is about what was asked, which is not there or no body."""
    for door in EVERY:
        if door.open or door.path in AT_ONCE | ENDLESS:
            continue
        role = min((role for role in ROLES if door.held_by(role)), key=lambda role: len(ROLES[role]))
        client = (visits if door.page else callers)[role]
        if door.method == "GET":
            answer = client.get(door.filled())
        else:
            answer = client.request(door.method, door.filled(), content=b"{", headers={"content-type": "text/plain"})
        assert answer.status_code != 401, door.name
        assert answer.status_code < 500 or answer.status_code in (501, 503), (door.name, answer.text)
        assert not refused(answer, door), door.name


def refused(answer: httpx.Response, door: Door) -> bool:
    """Whether an answer says that the caller's role lacks the route's scope."""
    return answer.status_code == 403 and f"does not hold {door.scope}." in html.unescape(answer.text)


def test_a_page_shows_no_way_to_what_would_be_refused(site: Site) -> None:
    """The navigation of each role leads nowhere that keeps it out."""
    scopes = {door.path: door.scope for door in PAGES if door.method == "GET"}
    for role, held in ROLES.items():
        shown = [str(path) for path in site.page("/me", role).find("//nav[@aria-label='Main']//a/@href")]
        assert shown
        for path in shown:
            assert scopes.get(path, PUBLIC) in held | {PUBLIC}, (role, path)


# Objects of other accounts --------------------------------------------------------------------------------------------


def others_session(site: Site) -> str:
    """A session of another account."""
    name = make(site.node)
    site.signed_in(name)
    [session] = site.node.get("/v0/auth/sessions", account=name).json()["sessions"]
    return session["id"]


def test_sessions_of_others_cannot_be_ended(site: Site) -> None:
    """Nor seen: by the API and by the page of one's own account."""
    session = others_session(site)
    assert site.node.ask("DELETE", f"/v0/auth/sessions/{session}", "user").status_code == 404
    assert site.node.get("/v0/auth/sessions", "user", account="*").status_code == 403
    assert session not in site.page("/me", "user").text
    token = site.page("/me", "user").form("/theme")["csrf"]
    with site.visit("user") as client:
        answer = client.post(f"/me/sessions/{session}/end", data={"csrf": token})
    assert answer.status_code == 404
    assert site.node.get("/v0/auth/sessions", account="*", limit=1000).text.count(session) == 1


def test_what_others_keep_is_theirs(site: Site) -> None:
    """A saved search and a second factor are not there for anybody else, by whatever name or id."""
    owner, other = (signed_in(site.node, make(site.node))["access_token"] for _ in range(2))
    name = f"kept {secrets.token_hex(3)}"
    assert bearing(site.node, owner, f"/v0/searches/{name}", "PUT", json={"query": "port:22"}).status_code == 200
    assert bearing(site.node, other, f"/v0/searches/{name}").status_code == 404
    assert bearing(site.node, other, f"/v0/searches/{name}", "DELETE").status_code == 404
    assert name not in bearing(site.node, other, "/v0/searches").text
    factors, body = "/v0/accounts/me/factors", {"password": PASSWORD}
    begun = bearing(site.node, owner, f"{factors}/totp", "POST", json=body).json()
    code = {"code": pyotp.TOTP(begun["secret"]).now()}
    assert bearing(site.node, other, f"{factors}/totp/{begun['id']}", "POST", json=code).status_code in (400, 404)
    added = bearing(site.node, owner, f"{factors}/totp/{begun['id']}", "POST", json=code).json()
    path = f"{factors}/{added['factor']['id']}/remove"
    assert bearing(site.node, other, path, "POST", json=body).status_code == 404
    assert len(bearing(site.node, owner, factors).json()["factors"]) == 1


def test_a_clerk_touches_no_account_that_holds_more(site: Site) -> None:
    """Who may write accounts, and little else, cannot take over an admin's by any form of any page."""
    role = f"clerk-{secrets.token_hex(3)}"
    wish = {"scopes": ["accounts:read", "accounts:write"]}
    assert site.node.ask("PUT", f"/v0/roles/{role}", json=wish).status_code == 200
    clerk, admin = make(site.node, role), make(site.node, "admin")
    browser = site.signed_in(admin)
    session = site.node.get("/v0/auth/sessions", account=admin).json()["sessions"][0]["id"]
    with site.visit("") as client:
        client.cookies.update(site.signed_in(clerk))
        page = Page(client.get(f"/accounts/{admin}"))
        assert page.status == 200
        assert not page.find(f"//form[starts-with(@action, '/accounts/{admin}/')]")
        fields = {"csrf": page.form("/theme")["csrf"], "password": "a sentence of the clerk's own", "disabled": "yes"}
        for door in PAGES:
            if door.method == "POST" and door.path.startswith("/accounts/{account}/"):
                answer = client.post(door.filled({"account": admin, "session": session}), data=fields)
                assert answer.status_code == 403, door.name
        assert client.post("/accounts", data=fields | {"name": "x9", "role": "admin"}).status_code == 403
    with site.visit("") as client:
        client.cookies.update(browser)
        assert client.get("/me").status_code == 200


def test_calls_are_as_many_as_the_table_has() -> None:
    """The table is read whole: a router that is left out would not be tested."""
    assert len({door.name for door in EVERY}) == len(EVERY)
    assert len(CALLS) > 150

"""Accounts for those who run the node: made, changed, put out, and what was done about them."""

from __future__ import annotations

import secrets

import pyotp
import pytest

from tests.api.people import PASSWORD, bearing, login, make, signed_in
from tests.web.site import Site

pytestmark = pytest.mark.engine


def new_name() -> str:
    """A name that nobody has."""
    return f"somebody-{secrets.token_hex(4)}"


def test_an_account_is_made(site: Site) -> None:
    """With a role and a password; it is on its page, and in the list."""
    name = new_name()
    page = site.after("/accounts", "/accounts", name=name, role="read-only", password=PASSWORD)
    assert f"{name} is made." in page.words()
    assert "read-only" in page.words("//dl")
    assert login(site.node, name).status_code == 200
    assert "account.created" in page.words("//*[@id='audit']")
    listed = site.page("/accounts", "admin", after=name[:-1]).find("//tbody//a/@href")
    assert f"/accounts/{name}" in listed
    assert site.page("/accounts", "admin", name=f" {name} ").response.headers["location"] == f"/accounts/{name}"


def test_what_cannot_be_made_is_said_and_kept(site: Site) -> None:
    """On the same page, with what was typed, but the password."""
    for fields, status in (
        ({"name": "in vain", "role": "user"}, 400),
        ({"name": site.node.of("user").name, "role": "user"}, 409),
        ({"name": new_name(), "role": "user", "password": "short"}, 400),
        ({"name": new_name(), "role": "no-such", "trust": "0.5"}, 400),
    ):
        page = site.sent("/accounts", "/accounts", "admin", **fields)
        assert page.status == status, page.words()
        assert page.find("//*[@role='alert']")
        assert page.form("/accounts").get("name") == fields["name"]
        assert not page.form("/accounts").get("password")
    assert site.sent("/accounts", "/accounts", "admin", name=new_name(), trust="much").status == 400


def test_an_account_is_changed(site: Site) -> None:
    """Role, trust, password, and whether it may sign in."""
    name = make(site.node)
    path = f"/accounts/{name}"
    assert "read-only" in site.after(path, f"{path}/change", "admin", role="read-only", trust="0.25").words("//dl")
    token = signed_in(site.node, name)["access_token"]
    page = site.after(path, f"{path}/password", "admin", password="another sentence, quite long")
    assert "every session" in page.words("//*[@role='status']")
    assert bearing(site.node, token).status_code == 401
    assert "disabled" in site.after(path, f"{path}/status").words("//dl")
    assert login(site.node, name, "another sentence, quite long").status_code == 400
    assert "active" in site.after(path, f"{path}/status").words("//dl")
    assert "Passwordno" in site.after(path, f"{path}/password", "admin", remove="yes").words("//dl")
    said = site.after(path, f"{path}/password", "admin", password="short").find("//*[@role='status']/@class")
    assert said == ["told bad"]


def test_its_sessions_are_ended(site: Site) -> None:
    """One, or all of them."""
    name = make(site.node)
    tokens = [signed_in(site.node, name)["access_token"] for _ in range(3)]
    path = f"/accounts/{name}"
    ends = site.page(path).find("//*[@id='sessions']//td//form/@action")
    assert len(ends) == 3
    site.after(path, str(ends[0]))
    assert sorted(bearing(site.node, token).status_code for token in tokens) == [200, 200, 401]
    assert "Nobody is signed in" in site.after(path, f"{path}/sessions/end").words("//*[@id='sessions']")
    assert {bearing(site.node, token).status_code for token in tokens} == {401}


def test_its_second_factors_are_taken_away(site: Site) -> None:
    """For who has lost them: shown without any secret, then the password alone lets in."""
    name = make(site.node)
    token = signed_in(site.node, name)["access_token"]
    own = "/v0/accounts/me/factors"
    begun = bearing(site.node, token, f"{own}/totp", "POST", json={"password": PASSWORD, "name": "lost"}).json()
    code = {"code": pyotp.TOTP(begun["secret"]).now()}
    assert bearing(site.node, token, f"{own}/totp/{begun['id']}", "POST", json=code).status_code == 200
    assert login(site.node, name).json()["error"] == "mfa_required"
    path = f"/accounts/{name}"
    page = site.page(path)
    assert "lost" in page.words("//*[@id='factors']")
    assert begun["secret"] not in page.text
    assert "None" in site.after(path, f"{path}/factors/remove").words("//*[@id='factors']")
    assert login(site.node, name).status_code == 200


def test_ones_own_account_is_not_put_out(site: Site) -> None:
    """The page of one's own offers neither another role nor an end."""
    name = site.node.of("admin").name
    page = site.page(f"/accounts/{name}")
    assert "role" not in page.form(f"/accounts/{name}/change")
    actions = [form.get("action") for form in page.root.forms]
    assert f"/accounts/{name}/status" not in actions
    assert page.find("//main//a[@href='/me']")


def test_nobody_is_not_there(site: Site) -> None:
    """A page that says so."""
    assert site.page("/accounts/nobody-at-all").status == 404

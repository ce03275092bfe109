"""Roles: the built-in ones are shown, one's own are defined, changed and removed."""

from __future__ import annotations

import secrets

import pytest

from spectra.identity.roles import ROLES, SCOPES, SELF
from spectra.web.routes.roles import by_noun
from tests.api.people import make
from tests.web.site import Page, Site

pytestmark = pytest.mark.engine


def new_role() -> str:
    """A name that no role has."""
    return f"role-{secrets.token_hex(4)}"


def test_scopes_stand_under_their_nouns() -> None:
    """Each once; not what everybody has, nor what nobody is given."""
    listed = [scope for _, scopes in by_noun(SCOPES) for scope in scopes]
    assert sorted(listed) == sorted(SCOPES - SELF - {"admin:all"})
    assert all(scope.startswith(f"{noun}:") for noun, scopes in by_noun(SCOPES) for scope in scopes)


def test_all_are_listed(site: Site) -> None:
    """Each with its page; those that are built in can only be looked at."""
    links = site.page("/roles").find("//tbody//a/@href")
    assert {f"/roles/{name}" for name in ROLES} <= set(links)
    page = site.page("/roles/user")
    assert all(box.get("disabled") is not None for box in page.find("//main//input[@name='scope']"))
    assert {box.get("value") for box in page.find("//main//input[@checked]")} == set(ROLES["user"]) - SELF
    assert site.page("/roles/nothing-here").status == 404


def test_a_role_of_ones_own(site: Site) -> None:
    """Defined, narrowed, kept while somebody has it, removed."""
    name = new_role()
    page = site.after("/roles", "/roles", "admin", name=name, scope=["search:read", "hosts:read"])
    assert f"The role {name} is defined." in page.words()
    assert ticked(page) == {"search:read", "hosts:read"}
    path = f"/roles/{name}"
    assert ticked(site.after(path, path, "admin", scope=["search:read"])) == {"search:read"}
    holder = make(site.node, name)
    assert "Accounts have the role" in site.after(path, f"{path}/remove").words("//*[@role='status']")
    site.node.ask("PATCH", f"/v0/accounts/{holder}", json={"role": "user"})
    assert f"{name} is gone" in site.after(path, f"{path}/remove").words()
    assert site.page(path).status == 404


def ticked(page: Page) -> set[str]:
    """The scopes that a page shows as held."""
    return {str(value) for value in page.find("//main//input[@name='scope'][@checked]/@value")}


@pytest.mark.parametrize("name", ["admin", "Upper", "a/b", "../x", "-", "x" * 41])
def test_names_that_cannot_be(site: Site, name: str) -> None:
    """Said on the same page, what was ticked stays so."""
    page = site.sent("/roles", "/roles", "admin", name=name, scope=["search:read"])
    assert page.status == 400
    assert page.find("//*[@role='alert']")
    assert ticked(page) == {"search:read"}


def test_who_only_reads_changes_nothing(site: Site) -> None:
    """No form is offered to who may not send it."""
    role = new_role()
    site.node.ask("PUT", f"/v0/roles/{role}", json={"scopes": ["accounts:read"]})
    with site.visit("") as client:
        client.cookies.update(site.signed_in(make(site.node, role)))
        for path in ("/roles", f"/roles/{role}", "/accounts", f"/accounts/{site.node.of('user').name}"):
            page = Page(client.get(path))
            assert page.status == 200
            assert not page.find("//main//form[@method='post']"), path

"""Roles and scopes."""

from __future__ import annotations

import re

import pytest

from spectra.identity.roles import PUBLIC, ROLES, SCOPES, SELF, allows, scopes

MAY_SUBMIT = {"contributor", "module", "automation", "admin"}


@pytest.mark.parametrize("role", ROLES)
def test_who_may_submit(role: str) -> None:
    """Readers never submit; contributors, modules, automation and admins do."""
    assert allows(role, "observations:write") == (role in MAY_SUBMIT)


@pytest.mark.parametrize("role", ROLES)
def test_only_admins_hold_the_admin_scopes(role: str) -> None:
    """`admin:all` and other people's keys are the admin's alone."""
    assert allows(role, "admin:all") == (role == "admin")
    assert allows(role, "keys:write") == (role == "admin")
    assert allows(role, "accounts:read") == allows(role, "accounts:write") == (role == "admin")
    assert allows(role, "nodes:write") == (role == "admin")


@pytest.mark.parametrize("role", ROLES)
def test_who_may_look_at_the_machines(role: str) -> None:
    """People with an account of their own and automation; readers, and machines that submit, have no business there."""
    assert allows(role, "nodes:read") == (role in {"user", "contributor", "automation", "admin"})


def test_an_admin_holds_every_scope() -> None:
    """There is no scope that no one holds, nor one outside the list of all scopes."""
    assert scopes("admin") == SCOPES == frozenset().union(*ROLES.values())


def test_unknown_roles_and_scopes_are_never_allowed() -> None:
    """A typing error in a role or route closes the door; a public route is open whatever the role."""
    assert scopes("root") == frozenset()
    assert not allows("root", "hosts:read")
    assert not allows("admin", "host:read")
    assert allows("root", PUBLIC)


def test_roles_of_ones_own() -> None:
    """Hold the scopes given to them that exist; nothing can be added to a built-in role."""
    assert scopes("looker", ["search:read", "made:up"]) == {"search:read"}
    assert allows("looker", "search:read", ["search:read"])
    assert not allows("looker", "hosts:read", ["search:read"])
    assert scopes("user", ["admin:all"]) == ROLES["user"]
    assert allows("looker", PUBLIC)


@pytest.mark.parametrize("role", ROLES)
def test_everybody_has_an_account_of_their_own(role: str) -> None:
    """Whatever the role: to see what it holds, to end sessions, to change the password."""
    assert ROLES[role] >= SELF


def test_scopes_are_noun_and_verb() -> None:
    """Every scope is spelled `noun:verb`."""
    assert all(re.fullmatch(r"[a-z]+:[a-z]+", scope) for scope in SCOPES)

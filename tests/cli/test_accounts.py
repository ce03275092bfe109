"""`spectra accounts`: what is asked of the server, and that passwords come by standard input or a terminal alone."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from spectra.model.accounts import AccountPage, AccountRecord, Me, RoleList, RoleRecord
from tests.cli.conftest import Run
from tests.cli.standin import Answer, StandIn

NOW = datetime(2025, 11, 1, tzinfo=UTC)
ALICE = AccountRecord("alice", "user", 1.0, NOW, password=True)
PASSWORD = "a sentence nobody would guess"


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a text on standard input."""

    def put(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    return put


def body(server: StandIn) -> Any:
    """The JSON of the last request."""
    return msgspec.json.decode(server.requests[-1].body)


def test_add(run: Run, server: StandIn, type_in: Callable[[str], None]) -> None:
    """With a password from standard input, or with none for a machine."""
    server.say("POST", "/v0/accounts", Answer(201, (msgspec.json.encode(ALICE),)))
    type_in(f"{PASSWORD}\n")
    result = run("accounts", "add", "alice", "--role", "user", "--password-stdin", "--json")
    assert json.loads(result.out)["name"] == "alice"
    assert body(server) == {"name": "alice", "role": "user", "trust": 1.0, "password": PASSWORD}
    assert PASSWORD not in result.out + result.err
    assert run("accounts", "add", "probe", "--role", "module", "--no-password", "--trust", "0.5").code == 0
    assert body(server) == {"name": "probe", "role": "module", "trust": 0.5}
    assert run("accounts", "add", "x", "--no-password", "--password-stdin").code == 2
    type_in("")
    assert "--password-stdin" in run("accounts", "add", "x").err


def test_list(run: Run, server: StandIn) -> None:
    """Every page; disabled ones are seen."""
    bob = AccountRecord("bob", "admin", 0.5, NOW, "disabled", NOW, keys=2)
    server.say("GET", "/v0/accounts", AccountPage((ALICE,), "alice"), AccountPage((bob,)))
    result = run("accounts", "list")
    assert [r.params["cursor"] for r in server.asked("/v0/accounts")] == ["", "alice"]
    assert result.lines[1].split()[:5] == ["alice", "user", "active", "1", "yes"]
    assert result.lines[2].split()[:6] == ["bob", "admin", "disabled", "0.5", "no", "2"]


@pytest.mark.parametrize(
    ("words", "wish"),
    [
        (("role", "alice", "contributor"), {"role": "contributor"}),
        (("trust", "alice", "0.25"), {"trust": 0.25}),
        (("disable", "alice"), {"disabled": True}),
        (("enable", "alice"), {"disabled": False}),
    ],
    ids=str,
)
def test_changes(run: Run, server: StandIn, words: tuple[str, ...], wish: dict[str, Any]) -> None:
    """Each asks for one thing."""
    server.say("PATCH", "/v0/accounts/alice", ALICE)
    assert run("accounts", *words).code == 0
    assert body(server) == wish


def test_changes_that_make_no_sense(run: Run, server: StandIn) -> None:
    """Told here; a name cannot reach another route."""
    assert run("accounts", "trust", "alice", "1.5").code == 2
    assert run("accounts", "disable", "..").code == 2
    assert server.requests == []


def test_passwd_of_another(run: Run, server: StandIn, type_in: Callable[[str], None]) -> None:
    """An admin sets or removes it."""
    server.say("POST", "/v0/accounts/alice/password", ALICE, msgspec.structs.replace(ALICE, password=False))
    type_in(f"{PASSWORD}\n")
    assert run("accounts", "passwd", "alice", "--password-stdin").out == "the password of alice is changed\n"
    assert body(server) == {"password": PASSWORD}
    assert run("accounts", "passwd", "alice", "--remove").out == "the password of alice is removed\n"
    assert body(server) == {"password": None}
    assert run("accounts", "passwd", "--remove").code == 2


@pytest.mark.parametrize("has_one", [True, False])
def test_passwd_of_ones_own(run: Run, server: StandIn, type_in: Callable[[str], None], has_one: bool) -> None:
    """The current one first, where there is one."""
    server.say("GET", "/v0/accounts/me", Me(msgspec.structs.replace(ALICE, password=has_one), ()))
    server.say("POST", "/v0/accounts/me/password", ALICE)
    type_in(f"old\n{PASSWORD}\n" if has_one else f"{PASSWORD}\n")
    assert run("accounts", "passwd", "--password-stdin").code == 0
    assert body(server) == {"password": PASSWORD, "current": "old" if has_one else ""}


def test_roles(run: Run, server: StandIn) -> None:
    """Listed, defined with scopes however they are written, removed."""
    looker = RoleRecord("looker", ("hosts:read", "search:read"), False)
    server.say("GET", "/v0/roles", RoleList((RoleRecord("admin", ("admin:all",), True), looker), ("admin:all",)))
    assert [line.split()[0] for line in run("accounts", "roles", "list").lines] == ["ROLE", "admin", "looker"]
    server.say("PUT", "/v0/roles/looker", looker)
    assert run("accounts", "roles", "add", "looker", "--scope", "search:read,hosts:read", "--scope", "a:b").code == 0
    assert body(server) == {"scopes": ["search:read", "hosts:read", "a:b"]}
    server.say("DELETE", "/v0/roles/looker", looker)
    assert run("accounts", "roles", "remove", "looker").out == "removed looker\n"

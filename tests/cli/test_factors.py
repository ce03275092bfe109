"""`spectra accounts factors`: what is asked for, sent and shown."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable

import pytest

from spectra.model.people import FactorAdded, FactorList, FactorRecord, RecoveryCodes, TotpStart
from tests.cli.conftest import Run
from tests.cli.standin import RECEIVED, StandIn, problem

MINE = "/v0/accounts/me/factors"
APP = FactorRecord("f-1", "totp", "phone", RECEIVED)
KEY = FactorRecord("f-2", "passkey", "\x1b[31mstick", RECEIVED, RECEIVED, usable=False)


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a text on standard input."""

    def put(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    return put


def test_listing(run: Run, server: StandIn) -> None:
    """One's own, or another's; names are made safe for the terminal."""
    server.say("GET", MINE, FactorList((APP, KEY), 7))
    server.say("GET", "/v0/accounts/alice/factors", FactorList((), 0))
    shown = run("accounts", "factors", "list")
    assert "phone" in shown.out
    assert "\x1b[31m" not in shown.out
    assert "7 recovery codes" in shown.err
    lines = run("accounts", "factors", "list", "--json").out.splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["totp", "passkey"]
    assert "no second factor" in run("accounts", "factors", "list", "alice").err


def test_setting_up_an_app(run: Run, server: StandIn, type_in: Callable[[str], None]) -> None:
    """The secret is shown for the app, its code is asked for, and the recovery codes are shown once."""
    server.say("POST", f"{MINE}/totp", TotpStart("t-1", "ABCDEFGH", "otpauth://totp/x"))
    server.say("POST", f"{MINE}/totp/t-1", FactorAdded(APP, ("aaaa-bbbb",)))
    type_in("a password\n123456\n")
    result = run("accounts", "factors", "add-app", "--name", "phone", "--password-stdin")
    assert result.code == 0, result.err
    assert "ABCD EFGH" in result.err
    assert "aaaa-bbbb" in result.out
    bodies = [json.loads(request.body) for request in server.requests]
    assert bodies == [{"password": "a password", "name": "phone"}, {"code": "123456"}]


def test_without_a_code_the_way_is_told(run: Run, server: StandIn, type_in: Callable[[str], None]) -> None:
    """And nothing more is sent."""
    server.say("POST", f"{MINE}/totp", TotpStart("t-1", "ABCDEFGH", "otpauth://totp/x"))
    type_in("a password\n")
    assert "standard input" in run("accounts", "factors", "add-app", "--password-stdin").err
    assert not server.asked(f"{MINE}/totp/t-1")


def test_codes_removing_and_resetting(run: Run, server: StandIn, type_in: Callable[[str], None]) -> None:
    """New codes, a factor less, and an admin's way for who lost theirs."""
    server.say("POST", f"{MINE}/recovery", RecoveryCodes(("cccc-dddd",)))
    server.say("POST", f"{MINE}/f-1/remove", FactorList((), 0))
    server.say("DELETE", "/v0/accounts/alice/factors", FactorList((), 0))
    type_in("a password\n")
    assert "cccc-dddd" in run("accounts", "factors", "recovery", "--password-stdin").out
    type_in("a password\n")
    assert "removed f-1" in run("accounts", "factors", "remove", "f-1", "--password-stdin").out
    assert "password alone" in run("accounts", "factors", "reset", "alice").out


def test_a_wrong_password(run: Run, server: StandIn, type_in: Callable[[str], None]) -> None:
    """The server's word is shown."""
    server.say("POST", f"{MINE}/recovery", problem(400, "This is not the password.", reason="wrong_password"))
    type_in("wrong\n")
    result = run("accounts", "factors", "recovery", "--password-stdin")
    assert result.code != 0
    assert "not the password" in result.err

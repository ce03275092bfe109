"""The routes of second factors: one's own after the password again, another's only over who holds no more."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest

from tests.api.asking import HOST, ORIGIN, desk_of
from tests.api.node import Node, is_problem
from tests.api.people import PASSWORD, Clock, bearing, login, make, on_record, refusal, signed_in
from tests.support.passkeys import Authenticator

pytestmark = pytest.mark.engine
MINE = "/v0/accounts/me/factors"


@pytest.fixture
def clock() -> Clock:
    """A clock that the test sets."""
    return Clock()


@pytest.fixture
def desk(node: Node, tmp_path: Path, clock: Clock) -> Iterator[Node]:
    """A coordinator whose clock the test sets."""
    with desk_of(node, tmp_path, clock) as found:
        yield found


def post(desk: Node, token: str, path: str, status: int = 201, **body: Any) -> Any:
    """POST to one's own factors."""
    response = bearing(desk, token, f"{MINE}/{path}", "POST", json=body)
    assert response.status_code == status, response.text
    return response.json()


def test_an_app_from_beginning_to_end(desk: Node, clock: Clock) -> None:
    """Set up, listed without its secret, asked for, and removed with the password."""
    name = make(desk)
    token = signed_in(desk, name)["access_token"]
    begun = post(desk, token, "totp", password=PASSWORD, name="phone")
    code = pyotp.TOTP(begun["secret"]).at(clock.now)
    added = post(desk, token, f"totp/{begun['id']}", 200, code=code)
    assert len(added["recovery_codes"]) == 10
    listed = bearing(desk, token, MINE)
    assert listed.json()["recovery_codes"] == 10
    assert begun["secret"] not in listed.text
    refusal(login(desk, name), 400, "mfa_required")
    made = post(desk, token, "recovery", password=PASSWORD)["codes"]
    signed_in(desk, name, otp=made[0])
    ident = added["factor"]["id"]
    assert post(desk, token, f"{ident}/remove", 400, password="wrong")["reason"] == "wrong_password"
    assert post(desk, token, f"{ident}/remove", 200, password=PASSWORD) == {"factors": [], "recovery_codes": 0}
    signed_in(desk, name)
    assert on_record(desk)


def test_a_passkey_over_the_api(desk: Node) -> None:
    """Under a name that passkeys can be had at; under an address it is said what to do."""
    name = make(desk)
    token = signed_in(desk, name)["access_token"]
    is_problem(bearing(desk, token, f"{MINE}/passkey", "POST", json={"password": PASSWORD}), 400, "passkey_origin")
    headers = {"authorization": f"Bearer {token}", "host": HOST}
    begun = desk.ask("POST", f"{MINE}/passkey", "", headers=headers, json={"password": PASSWORD}).json()
    answer = Authenticator().create(begun["options"], ORIGIN)
    body = {"answer": answer}
    added = desk.ask("POST", f"{MINE}/passkey/{begun['id']}", "", headers=headers, json=body)
    assert added.json()["factor"]["kind"] == "passkey"
    again = desk.ask("POST", f"{MINE}/passkey/{begun['id']}", "", headers=headers, json=body)
    is_problem(again, 404, "unknown_factor")


def test_setting_up_asks_for_the_password(desk: Node) -> None:
    """A session that somebody else got hold of cannot lock its owner out."""
    token = signed_in(desk, make(desk))["access_token"]
    for path in ("totp", "passkey", "recovery"):
        assert post(desk, token, path, 400, password="wrong")["reason"] == "wrong_password"
    assert post(desk, token, "totp/unknown", 404, code="123456")["reason"] == "unknown_factor"
    assert post(desk, token, f"{'é' * 3}/remove", 404, password=PASSWORD)["reason"] == "unknown_factor"


def test_an_admin_resets_anothers(desk: Node, clock: Clock) -> None:
    """For who lost theirs. Who may write accounts does so only over those who hold no more than they."""
    name = make(desk)
    token = signed_in(desk, name)["access_token"]
    begun = post(desk, token, "totp", password=PASSWORD)
    post(desk, token, f"totp/{begun['id']}", 200, code=pyotp.TOTP(begun["secret"]).at(clock.now))
    path = f"/v0/accounts/{name}/factors"
    assert len(desk.ask("GET", path).json()["factors"]) == 1
    is_problem(bearing(desk, token, path), 403, "forbidden")
    is_problem(bearing(desk, token, path, "DELETE"), 403, "forbidden")
    role = f"clerk-{secrets.token_hex(3)}"
    desk.ask("PUT", f"/v0/roles/{role}", json={"scopes": ["accounts:read", "accounts:write"]})
    clerk = signed_in(desk, make(desk, role))["access_token"]
    is_problem(bearing(desk, clerk, path, "DELETE"), 403, "forbidden")
    assert desk.ask("DELETE", path).json() == {"factors": [], "recovery_codes": 0}
    signed_in(desk, name)
    is_problem(desk.ask("DELETE", "/v0/accounts/nobody/factors"), 404, "unknown_account")
    is_problem(desk.ask("GET", "/v0/accounts/nobody/factors"), 404, "unknown_account")


def test_an_admin_ends_anothers_sessions(desk: Node) -> None:
    """All of them at once, or one; not those of an account that holds more."""
    name, admin = make(desk), make(desk, "admin")
    tokens = [signed_in(desk, name)["access_token"] for _ in range(2)]
    role = f"clerk-{secrets.token_hex(3)}"
    desk.ask("PUT", f"/v0/roles/{role}", json={"scopes": ["accounts:read", "accounts:write"]})
    clerk = signed_in(desk, make(desk, role))["access_token"]
    theirs = bearing(desk, signed_in(desk, admin)["access_token"]).json()["session"]
    is_problem(bearing(desk, clerk, f"/v0/accounts/{admin}/sessions", "DELETE"), 403, "forbidden")
    is_problem(bearing(desk, clerk, f"/v0/auth/sessions/{theirs}", "DELETE"), 403, "forbidden")
    assert desk.ask("DELETE", f"/v0/accounts/{name}/sessions").json() == {"account": name, "ended": 2}
    assert [bearing(desk, token).status_code for token in tokens] == [401, 401]
    assert desk.ask("DELETE", f"/v0/accounts/{name}/sessions").json()["ended"] == 0


def test_ones_own_session_goes_on(desk: Node) -> None:
    """When an admin ends all of their own."""
    admin = make(desk, "admin")
    one, two = (signed_in(desk, admin)["access_token"] for _ in range(2))
    assert bearing(desk, one, f"/v0/accounts/{admin}/sessions", "DELETE").json()["ended"] == 1
    assert (bearing(desk, one).status_code, bearing(desk, two).status_code) == (200, 401)

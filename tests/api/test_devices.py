"""Letting devices in: to one's own account, with no more than one holds, and by nobody who guesses codes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from spectra.api import devices
from spectra.api.devices import GRANT
from tests.api.asking import desk_of
from tests.api.node import Node, is_problem
from tests.api.people import Clock, bearing, make, refusal, signed_in, token_request

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


def ask(desk: Node, **fields: str) -> dict[str, Any]:
    """A device asks for a code."""
    response = desk.ask("POST", "/v0/auth/device", "", data={"client_id": "cli", **fields})
    assert response.status_code == 200, response.text
    return response.json()


def poll(desk: Node, device: dict[str, Any]) -> Any:
    """The device asks whether it was let in."""
    return token_request(desk, grant_type=GRANT, device_code=device["device_code"], client_id="cli")


def decide(desk: Node, token: str, code: str, *, allow: bool = True) -> Any:
    """Whoever holds `token` decides."""
    return bearing(desk, token, f"/v0/auth/devices/{code}", "POST", json={"allow": allow})


def test_a_device_is_let_in(desk: Node, clock: Clock) -> None:
    """It waits, somebody types its code, and it is signed in as them, with a session that is listed."""
    device, name = ask(desk), make(desk)
    assert (device["expires_in"], device["interval"]) == (600, 5)
    port = desk.url.rpartition(":")[2]
    assert device["verification_uri"] == f"http://localhost:{port}/device"
    assert device["verification_uri_complete"] == f"{device['verification_uri']}?code={device['user_code']}"
    refusal(poll(desk, device), 400, "authorization_pending")
    refusal(poll(desk, device), 400, "slow_down")
    token = signed_in(desk, name)["access_token"]
    typed = device["user_code"].lower().replace("-", "")
    shown = bearing(desk, token, f"/v0/auth/devices/{typed}").json()
    assert (shown["client_id"], shown["source"]) == ("cli", "127.0.0.1")
    assert decide(desk, token, typed).json()["state"] == "allowed"
    clock.now += timedelta(seconds=60)
    tokens = poll(desk, device).json()
    me = bearing(desk, tokens["access_token"]).json()
    assert me["account"]["name"] == name
    assert tokens["refresh_token"]
    sessions = bearing(desk, token, "/v0/auth/sessions").json()["sessions"]
    assert {s["grant_type"] for s in sessions} == {"password", "device"}
    clock.now += timedelta(seconds=60)
    refusal(poll(desk, device), 400, "invalid_grant")


def test_a_device_is_refused(desk: Node) -> None:
    """It is told; and what was decided is decided."""
    device, token = ask(desk), signed_in(desk, make(desk))["access_token"]
    assert decide(desk, token, device["user_code"], allow=False).json()["state"] == "refused"
    is_problem(decide(desk, token, device["user_code"]), 404, "unknown_device")
    refusal(poll(desk, device), 400, "access_denied")


def test_no_more_than_whoever_lets_it_in_holds(desk: Node) -> None:
    """A session that was narrowed cannot let in one that was not."""
    device, name = ask(desk), make(desk)
    narrow = signed_in(desk, name, scope="self:read self:write hosts:read")["access_token"]
    decide(desk, narrow, device["user_code"])
    assert set(poll(desk, device).json()["scope"].split()) == {"self:read", "self:write", "hosts:read"}
    device = ask(desk, scope="search:read")
    whole = signed_in(desk, name)["access_token"]
    decide(desk, whole, device["user_code"])
    assert poll(desk, device).json()["scope"] == "search:read"


def test_a_disabled_account_lets_nobody_in(desk: Node) -> None:
    """Not even a device that it let in before."""
    device, name = ask(desk), make(desk)
    decide(desk, signed_in(desk, name)["access_token"], device["user_code"])
    desk.ask("PATCH", f"/v0/accounts/{name}", json={"disabled": True})
    refusal(poll(desk, device), 400, "access_denied")


def test_codes_are_over_and_cannot_be_guessed(desk: Node, clock: Clock) -> None:
    """After ten minutes; and who tries many has to wait (RFC 8628 section 5.1)."""
    device = ask(desk)
    clock.now += devices.LASTS
    refusal(poll(desk, device), 400, "expired_token")
    token = signed_in(desk, make(desk))["access_token"]
    is_problem(decide(desk, token, device["user_code"]), 404, "unknown_device")
    is_problem(decide(desk, token, "no-code"), 404, "unknown_device")
    statuses = [bearing(desk, token, "/v0/auth/devices/BBBB-BBBB").status_code for _ in range(32)]
    assert statuses[0] == 404
    assert statuses[-1] == 429


def test_what_a_device_may_not_ask_for(desk: Node) -> None:
    """A scope that there is none of, a code for nobody, or another's code."""
    wrong = desk.ask("POST", "/v0/auth/device", "", data={"client_id": "cli", "scope": "all:all"})
    refusal(wrong, 400, "invalid_scope")
    refusal(desk.ask("POST", "/v0/auth/device", "", data={"scope": "hosts:read"}), 400, "invalid_request")
    device = ask(desk)
    other = token_request(desk, grant_type=GRANT, device_code=device["device_code"], client_id="another")
    refusal(other, 400, "invalid_grant")
    refusal(token_request(desk, grant_type=GRANT, client_id="cli"), 400, "invalid_request")

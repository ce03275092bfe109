"""Grants: who gets tokens, what a refusal says, and how guessing is slowed without locking anybody out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.api import grants, signin
from spectra.api.grants import form_of
from spectra.api.signin import Refused, Source
from spectra.identity.roles import ROLES
from spectra.store import accounts
from tests.api.node import Node
from tests.api.people import (
    PASSWORD,
    Clock,
    assert_in,
    assertion,
    bearing,
    coordinator,
    login,
    make,
    refresh,
    refusal,
    signed_in,
    token_request,
)
from tests.support.fixed_keys import fixed_key

pytestmark = pytest.mark.engine
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def clock() -> Clock:
    """A clock that the test sets."""
    return Clock()


@pytest.fixture
def desk(node: Node, tmp_path: Path, clock: Clock) -> Iterator[Node]:
    """A coordinator whose clock the test sets; what other tests counted against this machine is forgotten."""
    with node.services.database.connection() as connection:
        connection.execute("DELETE FROM login_throttle")
    with coordinator(node, tmp_path, clock) as found:
        yield found


# People --------------------------------------------------------------------------------------------------------------


def test_a_person_signs_in(desk: Node) -> None:
    """With all that the role holds."""
    name = make(desk)
    tokens = signed_in(desk, name)
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 600)
    assert set(tokens["scope"].split()) == ROLES["user"]
    me = bearing(desk, tokens["access_token"]).json()
    assert me["account"]["name"] == name
    assert set(me["scopes"]) == ROLES["user"]


def test_refusals_do_not_tell_why(desk: Node) -> None:
    """Unknown, wrong, without a password, disabled: one answer."""
    disabled, keyed, name = make(desk), make(desk, password=None), make(desk)
    desk.ask("PATCH", f"/v0/accounts/{disabled}", json={"disabled": True})
    said = [
        refusal(login(desk, who, password), 400, "invalid_grant")
        for who, password in (
            ("nobody", PASSWORD),
            (name, "wrong"),
            (keyed, "guess"),
            (disabled, PASSWORD),
            ("x" * 201, PASSWORD),
            (name, "x" * 1025),
            ("a\x00b", PASSWORD),
        )
    ]
    assert all(one == said[0] for one in said)


def test_fewer_scopes_than_the_role(desk: Node) -> None:
    """What was asked for is what the token can do, and what its refreshed ones can."""
    tokens = signed_in(desk, make(desk), scope="status:read self:read")
    for _ in range(2):
        assert tokens["scope"] == "self:read status:read"
        assert bearing(desk, tokens["access_token"], "/v0/status").status_code == 200
        assert bearing(desk, tokens["access_token"], "/v0/keys").status_code == 403
        tokens = refresh(desk, tokens["refresh_token"]).json()


def test_scopes_beyond_the_role(desk: Node) -> None:
    """Refused, whether they exist or not."""
    name = make(desk)
    for scope in ("keys:write", "made:up", "search:read keys:write", "é", "\x00"):
        refusal(login(desk, name, scope=scope), 400, "invalid_scope")


def test_a_refresh_may_narrow_one_token(desk: Node) -> None:
    """That token alone: the session keeps what it had."""
    tokens = signed_in(desk, make(desk))
    narrow = refresh(desk, tokens["refresh_token"], scope="self:read").json()
    assert narrow["scope"] == "self:read"
    assert bearing(desk, narrow["access_token"], "/v0/status").status_code == 403
    wide = refresh(desk, narrow["refresh_token"]).json()
    assert bearing(desk, wide["access_token"], "/v0/status").status_code == 200
    refusal(refresh(desk, wide["refresh_token"], scope="made:up"), 400, "invalid_scope")


def test_role_changes_hold_at_once(desk: Node) -> None:
    """Both ways, for a token that was issued before."""
    name = make(desk)
    token = signed_in(desk, name)["access_token"]
    assert bearing(desk, token, "/v0/accounts").status_code == 403
    desk.ask("PATCH", f"/v0/accounts/{name}", json={"role": "admin"})
    assert bearing(desk, token, "/v0/accounts").status_code == 200
    desk.ask("PATCH", f"/v0/accounts/{name}", json={"role": "module"})
    assert bearing(desk, token, "/v0/keys").status_code == 403


def test_a_disabled_account_is_out_at_once(desk: Node) -> None:
    """Access token, refresh token and assertion."""
    name = make(desk)
    tokens = signed_in(desk, name)
    machine = desk.account()
    for who in (name, machine.name):
        desk.ask("PATCH", f"/v0/accounts/{who}", json={"disabled": True})
    assert bearing(desk, tokens["access_token"]).status_code == 401
    refusal(refresh(desk, tokens["refresh_token"]), 400, "invalid_grant")
    refusal(assert_in(desk, assertion(desk, machine)), 401, "invalid_client")


def test_a_hash_of_old_parameters_is_renewed(node: Node, desk: Node, tmp_path: Path) -> None:
    """At the first sign-in after the settings changed; the password stays."""
    name = make(desk)

    def stored() -> str:
        found = accounts.sign_in(node.services.database, name)
        assert found
        return found.password

    before = stored()
    assert "m=19456" in before
    with coordinator(node, tmp_path, password_memory_mib=20) as stronger:
        signed_in(stronger, name)
        assert "m=20480" in stored()
        renewed = stored()
        signed_in(stronger, name)
        assert stored() == renewed


# Guessing ------------------------------------------------------------------------------------------------------------


def guess(desk: Node, name: str, times: int, source: str = "192.0.2.7") -> list[int]:
    """The statuses of wrong guesses from an address."""
    found: list[int] = []
    for _ in range(times):
        try:
            signin.check_password(desk.services, name, "wrong", Source(source))
        except Refused as error:
            found.append(error.status)
    return found


def test_guesses_are_slowed_down(desk: Node, clock: Clock) -> None:
    """Six, then one every half minute, with Retry-After; a right password in between counts for nothing."""
    name = make(desk)
    assert [login(desk, name, "wrong").status_code for _ in range(6)] == [400] * 6
    slowed = login(desk, name, PASSWORD)
    refusal(slowed, 429, "temporarily_unavailable")
    assert 0 < int(slowed.headers["retry-after"]) <= 30
    clock.now += timedelta(seconds=31)
    assert login(desk, name).status_code == 200
    assert [login(desk, name, "wrong").status_code for _ in range(6)] == [400] * 6  # counted anew after a success


def test_guessing_elsewhere_locks_nobody_out(desk: Node) -> None:
    """An account under attack from everywhere is still open from where its owner signed in before."""
    name = make(desk)
    signed_in(desk, name)  # from 127.0.0.1
    for host in range(60):
        guess(desk, name, 1, f"198.51.100.{host}")
    assert guess(desk, name, 1, "203.0.113.1") == [429]  # somewhere new: the account is exhausted
    assert login(desk, name).status_code == 200


def test_a_source_that_guesses_is_slowed_for_all_accounts(desk: Node) -> None:
    """Many names from one place; another place is not concerned."""
    names = [f"made-up-{n}" for n in range(40)]
    statuses = [guess(desk, name, 1, "2001:db8::1")[0] for name in names]
    assert statuses == [400] * 30 + [429] * 10
    assert guess(desk, "somebody", 1, "2001:db8:0:0:ffff::2") == [429]  # of the same /64
    assert guess(desk, "somebody", 1, "2001:db8:0:1::2") == [400]


def test_success_costs_nothing(desk: Node) -> None:
    """Who signs in all day is never slowed down."""
    name = make(desk)
    assert [login(desk, name).status_code for _ in range(12)] == [200] * 12


# Machines ------------------------------------------------------------------------------------------------------------


def test_a_machine_signs_in_with_its_key(desk: Node) -> None:
    """By its name or its keyid; there is no refresh token, it can sign again."""
    account = desk.account("module")
    keyid = account.key.public.keyid
    for text in (assertion(desk, account), assertion(desk, account, subject=keyid)):
        tokens = assert_in(desk, text, client_id=account.name).json()
        assert "refresh_token" not in tokens
        assert bearing(desk, tokens["access_token"]).json()["account"]["name"] == account.name
    narrow = assert_in(desk, assertion(desk, account), scope="status:read").json()
    assert narrow["scope"] == "status:read"
    refusal(assert_in(desk, assertion(desk, account), scope="keys:write"), 400, "invalid_scope")


def test_an_assertion_is_good_once(desk: Node) -> None:
    """Its jti is remembered until it cannot be used any more."""
    text = assertion(desk, desk.account())
    assert assert_in(desk, text).status_code == 200
    assert "used already" in refusal(assert_in(desk, text), 401, "invalid_client")["error_description"]


@pytest.mark.parametrize(
    "changes",
    [
        {"audience": "http://evil.example/v0/auth/token"},
        {"audience": "http://127.0.0.1:1/v0/auth/token"},
        {"subject": "somebody-else"},
        {"ttl_s": 331},
        {"ttl_s": -60},
        {"jti": "short"},
        {"key": fixed_key(1)},
    ],
    ids=repr,
)
def test_assertions_that_are_refused(desk: Node, changes: dict[str, Any]) -> None:
    """Not for us, of another, too long, over, by a stranger's key."""
    refusal(assert_in(desk, assertion(desk, desk.account(), **changes)), 401, "invalid_client")


def test_the_host_header_names_no_audience(desk: Node) -> None:
    """A server that a machine was led to sign in to cannot pass the assertion on under its own name."""
    account = desk.account()
    text = assertion(desk, account, audience="http://evil.example/v0/auth/token")
    fields = {
        "grant_type": "client_credentials",
        "client_assertion_type": grants.ASSERTION_TYPE,
        "client_assertion": text,
    }
    for headers in ({"host": "evil.example"}, {"x-forwarded-host": "evil.example"}):
        refusal(desk.ask("POST", "/v0/auth/token", "", data=fields, headers=headers), 401, "invalid_client")


def test_a_named_url_is_an_audience(node: Node, tmp_path: Path) -> None:
    """Behind a proxy the settings say what the node is called."""
    with coordinator(node, tmp_path, urls=["https://spectra.example.org/"]) as named:
        text = assertion(named, named.account(), audience="https://spectra.example.org/v0/auth/token")
        assert assert_in(named, text).status_code == 200
        port = named.url.rpartition(":")[2]
        text = assertion(named, named.account(), audience=f"http://localhost:{port}/v0/auth/token")
        assert assert_in(named, text).status_code == 200


def test_a_revoked_key_signs_nobody_in(desk: Node) -> None:
    """Nor does what it signed in before go on."""
    account = desk.account()
    token = assert_in(desk, assertion(desk, account)).json()["access_token"]
    assert bearing(desk, token).status_code == 200
    desk.ask("POST", "/v0/keys/revoke", json={"keyid": account.key.public.keyid})
    assert bearing(desk, token).status_code == 401
    refusal(assert_in(desk, assertion(desk, account)), 401, "invalid_client")


def test_a_client_id_has_to_fit(desk: Node) -> None:
    """RFC 7521 section 4.2: it names the client that the assertion names."""
    account = desk.account()
    refusal(assert_in(desk, assertion(desk, account), client_id="another"), 401, "invalid_client")
    refusal(login(desk, make(desk), client_id="x" * 201), 401, "invalid_client")
    tokens = signed_in(desk, make(desk), client_id="phone")
    refusal(refresh(desk, tokens["refresh_token"], client_id="laptop"), 400, "invalid_grant")
    assert refresh(desk, tokens["refresh_token"], client_id="phone").status_code == 200


# Sessions ------------------------------------------------------------------------------------------------------------


def test_a_used_refresh_token_ends_the_session(desk: Node) -> None:
    """For the thief and for the owner."""
    first = signed_in(desk, make(desk))
    second = refresh(desk, first["refresh_token"]).json()
    refusal(refresh(desk, first["refresh_token"]), 400, "invalid_grant")
    refusal(refresh(desk, second["refresh_token"]), 400, "invalid_grant")
    assert bearing(desk, second["access_token"]).status_code == 401


def test_a_session_ends_when_unused_and_in_the_end(desk: Node, clock: Clock) -> None:
    """Two weeks without a refresh, a month however often."""
    name = make(desk)
    unused, used = signed_in(desk, name), signed_in(desk, name)
    for _ in range(2):
        clock.now += timedelta(days=13)
        used = refresh(desk, used["refresh_token"]).json()
    refusal(refresh(desk, unused["refresh_token"]), 400, "invalid_grant")
    clock.now += timedelta(days=4)
    refusal(refresh(desk, used["refresh_token"]), 400, "invalid_grant")


@pytest.mark.parametrize("token", ["x", "spr_", "spr_" + "é" * 43, "spr_" + "x" * 43, "spk_" + "x" * 43, "x" * 4000])
def test_what_is_no_refresh_token(desk: Node, token: str) -> None:
    """Whatever is sent."""
    refusal(refresh(desk, token), 400, "invalid_grant")


# Forms ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "code": "x"}, "unsupported_grant_type"),
        ({"grant_type": "password"}, "invalid_request"),
        ({"grant_type": "password", "username": "x"}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "client_credentials"}, "invalid_request"),
        ({"grant_type": "client_credentials", "client_assertion_type": "x"}, "invalid_request"),
        (
            {"grant_type": "client_credentials", "client_assertion_type": grants.ASSERTION_TYPE},
            "invalid_request",
        ),
    ],
    ids=str,
)
def test_forms_that_ask_for_nothing(desk: Node, fields: dict[str, str], error: str) -> None:
    """RFC 6749 section 5.2."""
    refusal(token_request(desk, **fields), 400, error)


def test_a_form_is_read_strictly() -> None:
    """No parameter twice, none without a name for what it is; empty ones are left out."""
    assert form_of(b"a=1&b=&c=%20x+y", f"{FORM}; charset=UTF-8") == {"a": "1", "c": " x y"}
    for raw, kind in (
        (b"a=1&a=2", FORM),
        (b"a=1&a=", FORM),
        (b"\xff=1", FORM),
        (b"a=%ff", FORM),
        (b"&".join(b"p%d=1" % n for n in range(21)), FORM),
        (b"a=1", "application/json"),
        (b"a=1", ""),
        (b"a=1", "multipart/form-data"),
    ):
        with pytest.raises(Refused) as caught:
            form_of(raw, kind)
        assert caught.value.reason == "invalid_request"


@given(st.binary(max_size=200))
def test_any_form_is_read_or_refused(raw: bytes) -> None:
    """Nothing else comes out."""
    try:
        form = form_of(raw, FORM)
    except Refused:
        return
    assert all(isinstance(v, str) and v for v in form.values())
    msgspec.json.encode(form)


@pytest.mark.parametrize(
    ("address", "network"),
    [("192.0.2.7", "192.0.2.7"), ("2001:db8::1", "2001:db8::/64"), ("", "")],
)
def test_a_source_is_what_one_subscriber_has(address: str, network: str) -> None:
    """An IPv4 address, an IPv6 /64; none for a local socket."""
    assert Source(address).network == network

"""Passkeys: who holds one is let in, and nobody else, at no other name, with no other answer, and not twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spectra.api import passkeys, secondfactors, signin
from spectra.api.signin import Refused
from spectra.errors import BadRequest
from spectra.settings import WebSettings
from spectra.store import accounts
from spectra.store.accounts import Act
from tests.api.asking import ORIGIN, Browser, desk_of
from tests.api.node import Node
from tests.api.people import Clock, login, make, refusal
from tests.support.passkeys import PRESENT, VERIFIED, Authenticator

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


def add(here: Browser, account: str, key: Authenticator) -> tuple[str, ...]:
    """Make a passkey for an account; the recovery codes that come with it."""
    begun = secondfactors.begin_passkey(here.request(), here.services, account, "")
    answer = key.create(begun.options, ORIGIN)
    return secondfactors.finish_passkey(here.request(), here.services, account, begun.id, answer).recovery_codes


def answered(here: Browser, key: Authenticator, account: str = "", **changes: Any) -> str:
    """Sign in with a passkey: the account that lets in."""
    options = passkeys.options(here.request(), here.services, account)
    return passkeys.check(here.request(), here.services, key.get(options, ORIGIN, **changes), account)


def test_alone_and_as_a_second_factor(desk: Node) -> None:
    """Alone its device has to have asked who holds it; after the password it need not."""
    here, name, key = Browser(desk), make(desk), Authenticator()
    assert len(add(here, name, key)) == 10
    assert answered(here, key) == name
    assert answered(here, key, name, flags=PRESENT) == name
    with pytest.raises(Refused):
        answered(here, key, flags=PRESENT)
    with pytest.raises(Refused):
        answered(here, key, name, flags=VERIFIED)  # nobody was there
    assert signin.needs(desk.services, name) == ("passkey", "recovery")


def test_the_browser_is_told_which(desk: Node) -> None:
    """After a password those of the account; alone any, which the device shows. An account's name is not in it."""
    here, name, key = Browser(desk), make(desk), Authenticator()
    add(here, name, key)
    asked = passkeys.options(here.request(), here.services, name)
    assert [one["transports"] for one in asked["allowCredentials"]] == [["usb"]]
    assert (asked["rpId"], asked["userVerification"]) == ("localhost", "preferred")
    alone = passkeys.options(here.request(), here.services)
    assert (alone.get("allowCredentials", []), alone["userVerification"]) == ([], "required")
    assert name.encode() not in key.handle


def test_nobody_else_is_let_in(desk: Node) -> None:
    """Not by a passkey of nobody's, of another account, of another origin or name, nor by an answer to another."""
    here, name, other = Browser(desk), make(desk), make(desk)
    key, others = Authenticator(), Authenticator()
    add(here, name, key)
    add(here, other, others)
    wrong: list[tuple[str, str]] = []
    for account in ("", name):
        options = passkeys.options(here.request(), here.services, account)
        forged = Authenticator(id=key.id)
        wrong += [
            (account, Authenticator().get(options, ORIGIN)),
            (account, forged.get(options, ORIGIN)),
            (account, key.get(options, "http://evil.example")),
            (account, key.get({**options, "rpId": "evil.example"}, ORIGIN)),
            (account, key.get({**options, "challenge": "AAAA"}, ORIGIN)),
        ]
    wrong.append((name, others.get(passkeys.options(here.request(), here.services, name), ORIGIN)))
    wrong.append((name, key.get(passkeys.options(here.request(), here.services, other), ORIGIN)))
    stranger = replace(key, handle=others.handle)
    wrong.append(("", stranger.get(passkeys.options(here.request(), here.services), ORIGIN)))
    for account, answer in wrong:
        with pytest.raises(Refused) as caught:
            passkeys.check(here.request(), here.services, answer, account)
        assert caught.value.reason == "invalid_grant"


def test_an_answer_counts_once_and_soon(desk: Node, clock: Clock) -> None:
    """Nor does one count whose passkey says that it was used less often than before: it was copied."""
    here, name, key = Browser(desk), make(desk), Authenticator(counts=True)
    add(here, name, key)
    options = passkeys.options(here.request(), here.services)
    answer = key.get(options, ORIGIN)
    assert passkeys.check(here.request(), here.services, answer) == name
    with pytest.raises(Refused):
        passkeys.check(here.request(), here.services, answer)
    with pytest.raises(Refused):
        passkeys.check(here.request(), here.services, key.get(options, ORIGIN))
    copied = replace(key, uses=0)
    with pytest.raises(Refused):
        answered(here, copied)
    options = passkeys.options(here.request(), here.services)
    clock.now += timedelta(minutes=6)
    with pytest.raises(Refused):
        passkeys.check(here.request(), here.services, key.get(options, ORIGIN))
    assert answered(here, key) == name


def test_a_disabled_account(desk: Node, clock: Clock) -> None:
    """It looks like one that is not there."""
    here, name, key = Browser(desk), make(desk), Authenticator()
    add(here, name, key)
    accounts.disable(desk.services.database, name, Act("root", clock.now))
    with pytest.raises(Refused):
        answered(here, key)


def test_the_token_endpoint_sends_whoever_has_only_a_passkey_to_a_browser(desk: Node) -> None:
    """A program cannot ask for one; a recovery code does."""
    here, name, key = Browser(desk), make(desk), Authenticator()
    recovery = add(here, name, key)
    assert "otp" in refusal(login(desk, name), 400, "mfa_required")["error_description"]
    assert login(desk, name, otp=recovery[0]).status_code == 200


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(max_size=60),
        st.recursive(
            st.one_of(st.none(), st.integers(), st.text(max_size=20)),
            lambda inner: st.dictionaries(
                st.sampled_from(["id", "rawId", "type", "response", "clientDataJSON", "signature", "userHandle"]), inner
            ),
            max_leaves=8,
        ).map(json.dumps),
    )
)
def test_whatever_is_sent_is_refused(node: Node, answer: str) -> None:
    """With one answer, and never a fault."""
    here = Browser(node)
    with pytest.raises(Refused):
        passkeys.check(here.request(), here.services, answer)


@pytest.mark.parametrize(
    ("host", "origin", "ours"),
    [
        ("localhost:8765", "", True),
        ("abcdefghij234567.onion", "", True),
        ("s.example.org", "https://s.example.org", True),
        ("s.example.org", "", False),
        ("evil.example", "https://s.example.org", False),
        ("127.0.0.1:8765", "", False),
        ("[::1]:8765", "", False),
        ("localhost.evil.example", "", False),
    ],
)
def test_under_which_names_passkeys_can_be_had(node: Node, host: str, origin: str, ours: bool) -> None:
    """This machine's, an onion's, or what the settings say: not whatever name somebody pointed at us."""
    here = Browser(replace(node, services=replace(node.services, web=WebSettings(origin=origin))), host=host)
    if ours:
        party = passkeys.party(here.request(), here.services)
        assert (party.id, party.origin) == (host.partition(":")[0], origin or f"http://{host}")
        return
    with pytest.raises(BadRequest) as caught:
        passkeys.party(here.request(), here.services)
    assert caught.value.reason == "passkey_origin"

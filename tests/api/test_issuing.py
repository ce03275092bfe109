"""Access tokens: every coordinator on a database believes all of them, as long as everything below them stands."""

from __future__ import annotations

import stat
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import jwt
import pytest

from spectra.api.issuing import Issuer
from spectra.api.problems import Busy
from spectra.identity import jwts
from spectra.identity.keys import SigningKey
from spectra.settings import AuthSettings
from spectra.store import token_keys
from tests.api.node import Node, is_problem
from tests.api.people import Clock, assert_in, assertion, bearing, coordinator, make, refresh, signed_in

pytestmark = pytest.mark.engine


@pytest.fixture
def clock() -> Clock:
    """A clock that the test sets."""
    return Clock()


@pytest.fixture
def one(node: Node, tmp_path: Path, clock: Clock) -> Iterator[Node]:
    """A coordinator."""
    with coordinator(node, tmp_path / "one", clock) as found:
        yield found


@pytest.fixture
def two(node: Node, tmp_path: Path, clock: Clock) -> Iterator[Node]:
    """Another on the same database, with a token key of its own."""
    with coordinator(node, tmp_path / "two", clock) as found:
        yield found


def kid(token: str) -> str:
    """Which key signed a token."""
    return jwt.get_unverified_header(token)["kid"]


def test_coordinators_believe_each_other(one: Node, two: Node) -> None:
    """Signed in here, used there, refreshed there, used here; revoked there, refused here."""
    name = make(one)
    first = signed_in(one, name)
    assert bearing(two, first["access_token"]).json()["account"]["name"] == name
    second = refresh(two, first["refresh_token"]).json()
    assert kid(first["access_token"]) != kid(second["access_token"])
    assert bearing(one, second["access_token"]).status_code == 200
    assert {k["kid"] for k in one.get("/v0/auth/jwks.json", "").json()["keys"]} >= {
        kid(first["access_token"]),
        kid(second["access_token"]),
    }
    two.ask("POST", "/v0/auth/revoke", "", data={"token": second["refresh_token"]})
    for token in (first, second):
        is_problem(bearing(one, token["access_token"]), 401, "unauthenticated")


def test_a_replayed_assertion_is_refused_by_every_coordinator(one: Node, two: Node) -> None:
    """Made for both by the issuer's name, good at one of them once."""
    account = one.account()
    text = assertion(one, account, audience=one.services.issuer.name)
    assert assert_in(one, text).status_code == 200
    assert assert_in(two, text).status_code == 401
    assert assert_in(one, text).status_code == 401


def test_the_token_key_is_a_private_file(one: Node, tmp_path: Path) -> None:
    """Mode 0600, and in the database only its public half."""
    signed_in(one, make(one))
    path = tmp_path / "one" / "keys" / "token.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = SigningKey.load(path)
    row = token_keys.find(one.services.database, key.public.keyid)
    assert row
    assert row.public_key == key.public.raw


def test_keys_change_and_overlap(one: Node, clock: Clock, tmp_path: Path) -> None:
    """After its days a new key signs; what the old one signed holds until it expires."""
    name = make(one)
    old = signed_in(one, name)["access_token"]
    clock.now += timedelta(days=30) - timedelta(seconds=60)
    late = signed_in(one, name)["access_token"]
    clock.now += timedelta(seconds=61)
    new = signed_in(one, name)["access_token"]
    assert kid(old) == kid(late) != kid(new)
    assert SigningKey.load(tmp_path / "one" / "keys" / "token.pem").public.keyid == kid(new)
    assert [bearing(one, t).status_code for t in (old, late, new)] == [401, 200, 200]


def test_a_revoked_token_key_is_replaced(one: Node, two: Node) -> None:
    """What it signed is refused at once by all; its coordinator makes another by itself."""
    name = make(one)
    tokens = signed_in(one, name)
    path = f"/v0/auth/keys/{kid(tokens['access_token'])}"
    is_problem(one.ask("DELETE", path, "automation"), 403, "forbidden")
    assert one.ask("DELETE", path).status_code == 200
    for wrong in ("x", "0" * 64):
        is_problem(one.ask("DELETE", f"/v0/auth/keys/{wrong}"), 404, "unknown_key")
    for node in (one, two):
        is_problem(bearing(node, tokens["access_token"]), 401, "unauthenticated")
    fresh = refresh(one, tokens["refresh_token"]).json()["access_token"]
    assert kid(fresh) != kid(tokens["access_token"])
    assert bearing(two, fresh).status_code == 200


def test_the_key_is_kept_over_a_restart(node: Node, tmp_path: Path) -> None:
    """A coordinator that starts again signs with the key it had."""
    name, used = make(node), set[str]()
    for _ in range(2):
        with coordinator(node, tmp_path) as again:
            used.add(kid(signed_in(again, name)["access_token"]))
    assert len(used) == 1


def test_tokens_end(one: Node, clock: Clock) -> None:
    """Ten minutes and the leeway, and not longer than the session."""
    token = signed_in(one, make(one))["access_token"]
    clock.now += timedelta(seconds=600 + jwts.LEEWAY_S - 1)
    assert bearing(one, token).status_code == 200
    clock.now += timedelta(seconds=2)
    is_problem(bearing(one, token), 401, "unauthenticated")


def test_another_issuer_is_not_believed(node: Node, one: Node, tmp_path: Path) -> None:
    """Where the settings name an issuer, tokens of another name are refused, though the key is known."""
    token = signed_in(one, make(one))["access_token"]
    with coordinator(node, tmp_path / "named", issuer="https://spectra.example.org") as named:
        is_problem(bearing(named, token), 401, "unauthenticated")
        said = named.get("/.well-known/oauth-authorization-server", "").json()
        assert said["issuer"] == "https://spectra.example.org"
        assert said["token_endpoint"] == "https://spectra.example.org/v0/auth/token"


def test_an_altered_database_makes_no_key(one: Node) -> None:
    """A row whose id is not the hash of its key is no key."""
    signed_in(one, make(one))
    forger = SigningKey.generate()
    other = SigningKey.generate()
    with one.services.database.connection() as connection:
        connection.execute(
            "INSERT INTO token_key VALUES (%s, %s, now(), now() + interval '1 day', NULL)",
            [other.public.keyid, forger.public.raw],
        )
    try:
        assert one.services.issuer._known(other.public.keyid) is None
    finally:
        with one.services.database.connection() as connection:
            connection.execute("DELETE FROM token_key WHERE kid = %s", [other.public.keyid])


def test_hashing_is_bounded(node: Node, tmp_path: Path) -> None:
    """Two at once and eight waiting; the next is told to come again, and no thread waits for it."""
    issuer = Issuer(node.services.database, AuthSettings(password_memory_mib=19), tmp_path, clock=node.services.clock)
    leave, inside = threading.Event(), threading.Semaphore(0)

    def hold() -> None:
        with issuer.password_turn():
            inside.release()
            leave.wait(30)

    threads = [threading.Thread(target=hold) for _ in range(10)]
    for thread in threads:
        thread.start()
    try:
        assert [inside.acquire(timeout=30) for _ in range(2)] == [True, True]
        while issuer._passwords_waiting._value:  # the others are on their way to the queue
            leave.wait(0.01)
        with pytest.raises(Busy), issuer.password_turn():
            pass
    finally:
        leave.set()
        for thread in threads:
            thread.join()
    with issuer.password_turn():
        pass

"""Keys: registered by an admin with the holder's proof, rotated by the holder, revoked at once."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from spectra.identity import dsse, rotation
from spectra.identity.keys import SigningKey
from spectra.model.envelope import canonical
from tests.api.node import Account, Node, is_problem, raw_answer, raw_connection
from tests.support import samples

pytestmark = pytest.mark.engine


def request_for(key: SigningKey, contributor: str, role: str = "contributor", **changes: Any) -> dict[str, Any]:
    """The body that registers `key`."""
    now = changes.pop("now", datetime.now(UTC))
    proof = rotation.build_registration(key, contributor=contributor, role=role, now=now)
    body = {"contributor": contributor, "role": role, "public_key": key.public.b64, "proof": proof.decode()}
    return body | changes


def register(node: Node, body: object) -> httpx.Response:
    """POST it as an admin."""
    return node.ask("POST", "/v0/keys", json=body)


def new_name() -> str:
    """A contributor nobody else uses."""
    return f"c-{secrets.token_hex(4)}"


def submits(node: Node, key: SigningKey, contributor: str) -> int:
    """The status that a submission signed with `key` is answered with."""
    return node.submit(samples.sealed(key, contributor, samples.scan_of(samples.address(), 80))).status_code


def rotate(node: Node, old: SigningKey, new: SigningKey, now: datetime | None = None) -> httpx.Response:
    """Have `new` take the place of `old`, without a token."""
    statement = rotation.build_rotation(old, new, now=now or datetime.now(UTC))
    return node.ask("POST", "/v0/keys/rotate", "", content=statement)


def test_the_life_of_a_key(node: Node) -> None:
    """Registered, used, rotated (the old one still good), revoked (at once), all of it in the list and the chain."""
    name, old, new = new_name(), SigningKey.generate(), SigningKey.generate()
    assert submits(node, old, name) == 401
    response = register(node, request_for(old, name, comment="the laptop"))
    assert response.status_code == 201
    assert response.json()["status"] == "active"
    assert response.json()["comment"] == "the laptop"
    assert submits(node, old, name) == 200
    rotated = rotate(node, old, new).json()
    assert (rotated["old"]["status"], rotated["new"]["status"]) == ("retiring", "active")
    assert [submits(node, key, name) for key in (old, new)] == [200, 200]
    revoked = node.ask("POST", "/v0/keys/revoke", json={"keyid": new.public.keyid})
    assert revoked.json()["status"] == "revoked"
    assert [submits(node, key, name) for key in (old, new)] == [200, 401]
    node.ask("POST", "/v0/keys/revoke", json={"keyid": old.public.keyid})
    assert [submits(node, key, name) for key in (old, new)] == [401, 401]
    listed = {k["keyid"]: k["status"] for k in node.get("/v0/keys", "user").json()["keys"]}
    assert listed[old.public.keyid] == listed[new.public.keyid] == "revoked"
    own = node.get("/v0/keys", "user", contributor=name).json()["keys"]
    assert [k["keyid"] for k in own] == [old.public.keyid, new.public.keyid]


def test_what_was_accepted_before_stays_after_a_revocation(node: Node) -> None:
    """Revoking ends submissions, not history; the same submission is still answered? No: its key is not trusted."""
    account = node.account()
    ip = samples.address()
    envelope = account.seal(samples.scan_of(ip, 80))
    assert node.submit(envelope).status_code == 200
    node.ask("POST", "/v0/keys/revoke", json={"keyid": account.key.public.keyid})
    is_problem(node.submit(envelope), 401, "key_revoked")
    assert len(node.found(f"ip:{ip}")) == 1


def test_a_rotated_key_expires_with_its_grace(node: Node) -> None:
    """Without any grace it is over at once; the new key is the one that counts."""
    with node.variant(key_grace_s=0) as strict:
        account, new = strict.account(), SigningKey.generate()
        assert rotate(strict, account.key, new).status_code == 200
        is_problem(strict.submit(account.seal(samples.scan_of(samples.address(), 80))), 401, "key_expired")
        assert submits(strict, new, account.name) == 200


def test_only_an_active_key_can_be_rotated(node: Node) -> None:
    """Rotated already, revoked, unknown: 401 for each, so nobody learns which keys there are."""
    account, new = node.account(), SigningKey.generate()
    assert rotate(node, account.key, new).status_code == 200
    is_problem(rotate(node, account.key, SigningKey.generate()), 401, "unknown_key")
    node.ask("POST", "/v0/keys/revoke", json={"keyid": new.public.keyid})
    is_problem(rotate(node, new, SigningKey.generate()), 401, "unknown_key")
    is_problem(rotate(node, SigningKey.generate(), SigningKey.generate()), 401, "unknown_key")


def test_a_rotation_cannot_take_over_another_key(node: Node) -> None:
    """A key that is registered already is nobody's new one, and nothing changed by the attempt."""
    one, two = node.account(), node.account()
    is_problem(rotate(node, one.key, two.key), 409, "key_exists")
    assert [submits(node, a.key, a.name) for a in (one, two)] == [200, 200]
    listed = {k["keyid"]: k["status"] for k in node.get("/v0/keys").json()["keys"]}
    assert listed[one.key.public.keyid] == "active"


def test_a_rotation_statement_is_fresh_and_signed_by_both(node: Node) -> None:
    """Old, from the future, forged, of another kind, or too large."""
    account, new, now = node.account(), SigningKey.generate(), datetime.now(UTC)
    is_problem(rotate(node, account.key, new, now - timedelta(hours=1)), 400, "expired")
    is_problem(rotate(node, account.key, new, now + timedelta(hours=1)), 400, "from_the_future")
    statement = json.loads(rotation.build_rotation(account.key, new, now=now))
    swapped = statement | {"signatures": statement["signatures"][::-1]}
    single = statement | {"signatures": statement["signatures"][:1]}
    for body, status, reason in (
        (json.dumps(swapped), 401, "unknown_key"),
        (json.dumps(single), 400, "malformed_envelope"),
        (account.seal(b"x").decode(), 400, "malformed_envelope"),
        ("{}", 400, "malformed_envelope"),
        (" " * (rotation.MAX_STATEMENT_BYTES + 1), 413, "too_large"),
    ):
        is_problem(node.ask("POST", "/v0/keys/rotate", "", content=body), status, reason)
    assert submits(node, account.key, account.name) == 200


def test_a_slow_rotation_is_given_up(node: Node) -> None:
    """The route is open to strangers: its body is bounded in time as well."""
    with node.variant(body_timeout_s=0.2) as hasty, raw_connection(hasty.url) as connection:
        connection.sendall(b"POST /v0/keys/rotate HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        assert raw_answer(connection)[0] == 408


def test_a_registration_needs_the_holders_proof(node: Node) -> None:
    """Of this key, for this contributor and role, made now."""
    name, key, other = new_name(), SigningKey.generate(), SigningKey.generate()
    good = request_for(key, name)
    theirs = request_for(other, name)
    cases = [
        (good | {"contributor": new_name()}, 400, "proof_mismatch"),
        (good | {"role": "admin"}, 400, "proof_mismatch"),
        (good | {"public_key": other.public.b64}, 400, "proof_mismatch"),
        (good | {"proof": theirs["proof"]}, 400, "proof_mismatch"),
        (good | {"proof": "{}"}, 400, "malformed_envelope"),
        (
            good | {"proof": rotation.build_rotation(key, other, now=datetime.now(UTC)).decode()},
            400,
            "malformed_envelope",
        ),
        (request_for(key, name, now=datetime.now(UTC) - timedelta(hours=1)), 400, "expired"),
        (good | {"role": "emperor"}, 400, "bad_request"),
        (good | {"public_key": "x"}, 400, "identity"),
        (good | {"public_key": "A" * 43 + "="}, 400, "identity"),
        (good | {"comment": "a\u0000b"}, 400, "bad_request"),
        (good | {"comment": "x" * 201}, 400, "bad_request"),
        (good | {"contributor": "x" * 201}, 400, "bad_request"),
        (good | {"more": 1}, 400, "bad_request"),
        ({}, 400, "bad_request"),
    ]
    for body, status, reason in cases:
        is_problem(register(node, body), status, reason)
    assert submits(node, key, name) == 401
    assert register(node, good).status_code == 201


def test_a_proof_signed_by_another_key_is_forged(node: Node) -> None:
    """Somebody registers a key they only saw."""
    seen, own, name = SigningKey.generate(), SigningKey.generate(), new_name()
    statement = rotation.Registration(
        version=1,
        contributor=name,
        role="contributor",
        public_key=seen.public.b64,
        issued=datetime.now(UTC),
        nonce=secrets.token_urlsafe(24),
    )
    forged = dsse.sign(own, canonical(statement), rotation.REGISTRATION_TYPE)
    is_problem(register(node, request_for(seen, name, proof=forged.decode())), 401, "bad_signature")


def test_a_key_belongs_to_one_contributor_and_that_has_one_role(node: Node) -> None:
    """409 for a key known already and for a contributor known in another role; more keys in the same role are fine."""
    name, key = new_name(), SigningKey.generate()
    assert register(node, request_for(key, name)).status_code == 201
    is_problem(register(node, request_for(key, name)), 409, "key_exists")
    is_problem(register(node, request_for(key, new_name())), 409, "key_exists")
    is_problem(register(node, request_for(SigningKey.generate(), name, "admin")), 409, "role_conflict")
    assert register(node, request_for(SigningKey.generate(), name)).status_code == 201


def test_revoking_what_is_no_key(node: Node) -> None:
    """404 for an unknown id, 400 for what is none; revoking twice changes nothing."""
    is_problem(node.ask("POST", "/v0/keys/revoke", json={"keyid": "0" * 64}), 404, "unknown_key")
    for keyid in ("x", "0" * 63, "\u0000", 5, None):
        is_problem(node.ask("POST", "/v0/keys/revoke", json={"keyid": keyid}), 400, "bad_request")
    account: Account = node.account()
    twice = [node.ask("POST", "/v0/keys/revoke", json={"keyid": account.key.public.keyid}).json() for _ in range(2)]
    assert twice[0] == twice[1]


def test_a_read_only_contributor_cannot_submit(node: Node) -> None:
    """A registered key is not enough: its role has to hold the scope."""
    name, key = new_name(), SigningKey.generate()
    assert register(node, request_for(key, name, "read-only")).status_code == 201
    assert submits(node, key, name) == 403

"""Accounts and roles over HTTP: what admins may do, what people may do for themselves, and what nobody may."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from spectra.identity import rotation
from spectra.identity.keys import SigningKey
from spectra.identity.roles import ROLES, SCOPES
from tests.api.node import Node, is_problem
from tests.api.people import PASSWORD, bearing, coordinator, login, make, on_record, refusal, signed_in
from tests.support import samples

pytestmark = pytest.mark.engine

NEW = "another sentence, quite long"


@pytest.fixture
def desk(node: Node, tmp_path: Path) -> Iterator[Node]:
    """A coordinator with cheap passwords."""
    with node.services.database.connection() as connection:
        connection.execute("DELETE FROM login_throttle")
    with coordinator(node, tmp_path) as found:
        yield found


def create(node: Node, **body: Any) -> httpx.Response:
    """POST an account."""
    return node.ask("POST", "/v0/accounts", json={"name": f"a-{secrets.token_hex(4)}", "role": "user"} | body)


def change(node: Node, name: str, **body: Any) -> httpx.Response:
    """PATCH an account."""
    return node.ask("PATCH", f"/v0/accounts/{name}", json=body)


def own_role(node: Node, *scopes: str) -> str:
    """The name of a new role."""
    name = f"r-{secrets.token_hex(4)}"
    assert node.ask("PUT", f"/v0/roles/{name}", json={"scopes": list(scopes)}).status_code == 200
    return name


def test_the_life_of_an_account(desk: Node) -> None:
    """Made, found, changed, disabled, enabled; the chain holds together over all of it."""
    created = create(desk, name="b" + secrets.token_hex(4), trust=0.5, password=PASSWORD)
    assert created.status_code == 201
    record = created.json()
    name = record["name"]
    assert record | {"created": ""} == {"name": name, "role": "user", "trust": 0.5, "created": "", "password": True}
    assert desk.get(f"/v0/accounts/{name}").json() == record
    assert change(desk, name, role="contributor", trust=1).json()["role"] == "contributor"
    assert change(desk, name, disabled=True).json()["status"] == "disabled"
    refusal(login(desk, name), 400, "invalid_grant")
    assert "status" not in change(desk, name, disabled=False).json()
    assert login(desk, name).status_code == 200
    assert on_record(desk)


def test_accounts_come_in_pages(desk: Node) -> None:
    """Every one once, by name."""
    made = {make(desk) for _ in range(3)}
    found: list[str] = []
    cursor = ""
    while True:
        page = desk.get("/v0/accounts", limit=2, cursor=cursor).json()
        found += [a["name"] for a in page["accounts"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert made <= set(found)
    assert found == sorted(set(found))
    is_problem(desk.get("/v0/accounts", cursor="\x00"), 400, "bad_request")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "me"}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "a\n"}, "name"),
        ({"name": "../x"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"role": "emperor"}, "role"),
        ({"trust": 1.5}, "trust"),
        ({"trust": "NaN"}, "trust"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 600}, "password"),
        ({"password": 7}, "password"),
    ],
    ids=str,
)
def test_accounts_that_cannot_be(desk: Node, body: dict[str, Any], field: str) -> None:
    """The field is named."""
    response = create(desk, **body)
    assert response.status_code == 400
    assert response.json()["field"] == field


def test_a_name_is_taken_once(desk: Node) -> None:
    """409, also by who only ever signed."""
    is_problem(create(desk, name=make(desk)), 409, "account_exists")
    is_problem(create(desk, name=desk.account().name), 409, "account_exists")


def test_unknown_accounts(desk: Node) -> None:
    """404 for each route, whatever stands in the path."""
    for name in ("nobody", "x" * 300, "%0a", "' OR true --"):
        is_problem(desk.get(f"/v0/accounts/{name}"), 404, "unknown_account")
        is_problem(change(desk, name, trust=1), 404, "unknown_account")
        body = {"password": PASSWORD}
        is_problem(desk.ask("POST", f"/v0/accounts/{name}/password", json=body), 404, "unknown_account")


def test_me(desk: Node) -> None:
    """By a token of the old kind and by a session."""
    account = desk.of("user")
    said = desk.get("/v0/accounts/me", "user").json()
    assert said["account"]["name"] == account.name
    assert said["session"] == ""
    tokens = signed_in(desk, make(desk), scope="self:read")
    said = bearing(desk, tokens["access_token"]).json()
    assert said["scopes"] == ["self:read"]
    assert said["session"]


def test_a_person_changes_their_password(desk: Node) -> None:
    """With the current one; the other sessions end, this one goes on."""
    name = make(desk)
    here, there = signed_in(desk, name)["access_token"], signed_in(desk, name)["access_token"]

    def ask(**body: str) -> httpx.Response:
        return bearing(desk, here, "/v0/accounts/me/password", "POST", json=body)

    for wrong in ("", "wrong", NEW):
        is_problem(ask(password=NEW, current=wrong), 400, "wrong_password")
    is_problem(ask(password="short", current=PASSWORD), 400, "bad_password")
    assert ask(password=NEW, current=PASSWORD).status_code == 200
    assert [bearing(desk, t).status_code for t in (here, there)] == [200, 401]
    refusal(login(desk, name), 400, "invalid_grant")
    assert login(desk, name, NEW).status_code == 200
    statuses = [ask(password=NEW, current="wrong").status_code for _ in range(8)]
    assert statuses[0] == 400
    assert statuses[-1] == 429  # a stolen session cannot try passwords without end


def test_a_first_password_needs_no_current_one(desk: Node) -> None:
    """An account that only had a key or a token."""
    account = desk.account("user")
    header = {"authorization": f"Bearer {account.token}"}
    body = {"password": NEW}
    assert desk.ask("POST", "/v0/accounts/me/password", "", headers=header, json=body).status_code == 200
    assert login(desk, account.name, NEW).status_code == 200


def test_an_admin_sets_and_removes_passwords(desk: Node) -> None:
    """Every session ends."""
    name = make(desk)
    token = signed_in(desk, name)["access_token"]
    path = f"/v0/accounts/{name}/password"
    assert desk.ask("POST", path, json={"password": NEW}).json()["password"]
    assert bearing(desk, token).status_code == 401
    assert login(desk, name, NEW).status_code == 200
    assert "password" not in desk.ask("POST", path, json={"password": None}).json()
    refusal(login(desk, name, NEW), 400, "invalid_grant")
    is_problem(desk.ask("POST", path, json={}), 400, "bad_request")


def test_nobody_locks_themselves_out(desk: Node) -> None:
    """An admin neither disables nor demotes their own account; trust and the same role are fine."""
    me = desk.of("admin").name
    is_problem(change(desk, me, disabled=True), 400, "own_account")
    is_problem(change(desk, me, role="user"), 400, "own_account")
    assert change(desk, me, role="admin", disabled=False).status_code == 200


def test_nobody_grants_what_they_do_not_hold(desk: Node) -> None:
    """Who may write accounts, and no more, can neither make an admin, nor touch one, nor widen a role."""
    clerk = make(desk, own_role(desk, "accounts:read", "accounts:write", "search:read"))
    token = signed_in(desk, clerk)["access_token"]
    admin, reader, wide = make(desk, "admin"), own_role(desk, "search:read"), own_role(desk, "keys:write")
    other = make(desk, reader)
    attempts = [
        ("POST", "/v0/accounts", {"name": "x1", "role": "admin"}),
        ("POST", "/v0/accounts", {"name": "x1", "role": "user"}),
        ("PATCH", f"/v0/accounts/{admin}", {"disabled": True}),
        ("PATCH", f"/v0/accounts/{admin}", {"role": reader}),
        ("PATCH", f"/v0/accounts/{other}", {"role": "admin"}),
        ("POST", f"/v0/accounts/{admin}/password", {"password": NEW}),
        ("PUT", f"/v0/roles/{reader}", {"scopes": ["keys:write"]}),
        ("PUT", f"/v0/roles/{wide}", {"scopes": ["search:read"]}),
        ("DELETE", f"/v0/roles/{wide}", None),
    ]
    for method, path, body in attempts:
        is_problem(bearing(desk, token, path, method, json=body), 403, "forbidden")
    assert bearing(desk, token, f"/v0/accounts/{other}", "PATCH", json={"disabled": True}).status_code == 200
    assert login(desk, admin).status_code == 200


def test_roles_of_ones_own(desk: Node) -> None:
    """Defined, used for tokens and for signing submissions, narrowed at once, removed when nobody has it."""
    role = own_role(desk, "search:read", "observations:write", "keys:rotate")
    listed = {r["name"]: r for r in desk.get("/v0/roles").json()["roles"]}
    assert listed[role]["scopes"] == ["keys:rotate", "observations:write", "search:read", "self:read", "self:write"]
    assert listed.keys() >= ROLES.keys()
    assert set(desk.get("/v0/roles").json()["scopes"]) == SCOPES
    name, key = make(desk, role), SigningKey.generate()
    token = signed_in(desk, name)["access_token"]
    assert bearing(desk, token, "/v0/search?q=port:22").status_code == 200
    assert bearing(desk, token, "/v0/status").status_code == 403
    registered = bearing(desk, token, "/v0/keys", "POST", json=registration(desk, key, name, role))
    assert registered.status_code == 201, registered.text
    sealed = lambda: samples.sealed(key, name, samples.scan_of(samples.address(), 80))  # noqa: E731
    assert desk.submit(sealed()).status_code == 200
    desk.ask("PUT", f"/v0/roles/{role}", json={"scopes": ["status:read"]})
    is_problem(desk.submit(sealed()), 403, "role_forbidden")
    assert bearing(desk, token, "/v0/search?q=port:22").status_code == 403
    assert bearing(desk, token, "/v0/status").status_code == 200
    is_problem(desk.ask("DELETE", f"/v0/roles/{role}"), 409, "role_in_use")
    change(desk, name, role="user")
    assert desk.ask("DELETE", f"/v0/roles/{role}").status_code == 200
    is_problem(desk.ask("DELETE", f"/v0/roles/{role}"), 404, "unknown_role")
    assert on_record(desk)


def registration(node: Node, key: SigningKey, name: str, role: str) -> dict[str, str]:
    """The body that registers a key."""
    proof = rotation.build_registration(key, contributor=name, role=role, now=node.services.clock())
    return {"contributor": name, "role": role, "public_key": key.public.b64, "proof": proof.decode()}


@pytest.mark.parametrize(
    ("name", "scopes"),
    [
        ("admin", ["search:read"]),
        ("user", ["search:read"]),
        ("Upper", ["search:read"]),
        ("1st", ["search:read"]),
        ("x" * 41, ["search:read"]),
        ("looker", []),
        ("looker", ["made:up"]),
        ("looker", ["admin:all"]),
        ("looker", ["public"]),
        ("looker", "search:read"),
    ],
    ids=str,
)
def test_roles_that_cannot_be(desk: Node, name: str, scopes: object) -> None:
    """Built-in ones are not to be changed, and only scopes that exist are given."""
    assert desk.ask("PUT", f"/v0/roles/{name}", json={"scopes": scopes}).status_code == 400


def test_keys_of_ones_own(desk: Node) -> None:
    """A contributor registers a further key and revokes it without an admin; another's, or of another role, not."""
    name, key = make(desk, "contributor"), SigningKey.generate()
    token = signed_in(desk, name)["access_token"]
    body = registration(desk, key, name, "contributor")
    assert bearing(desk, token, "/v0/keys", "POST", json=body).status_code == 201
    is_problem(bearing(desk, token, "/v0/keys", "POST", json=body), 409, "key_exists")  # a replay of the same proof
    for who, role in ((make(desk, "contributor"), "contributor"), (name, "admin"), ("new-one", "contributor")):
        wrong = registration(desk, SigningKey.generate(), who, role)
        is_problem(bearing(desk, token, "/v0/keys", "POST", json=wrong), 403, "forbidden")
    other = desk.account().key.public.keyid
    is_problem(bearing(desk, token, "/v0/keys/revoke", "POST", json={"keyid": other}), 403, "forbidden")
    own = bearing(desk, token, "/v0/keys/revoke", "POST", json={"keyid": key.public.keyid})
    assert own.json()["status"] == "revoked"


def test_a_disabled_account_signs_nothing(desk: Node) -> None:
    """Its keys are shown as disabled, its submissions and rotations refused, until it is enabled again."""
    account = desk.account()
    envelope = lambda: account.seal(samples.scan_of(samples.address(), 80))  # noqa: E731
    assert change(desk, account.name, disabled=True).status_code == 200
    is_problem(desk.submit(envelope()), 403, "account_disabled")
    statement = rotation.build_rotation(account.key, SigningKey.generate(), now=desk.services.clock())
    is_problem(desk.ask("POST", "/v0/keys/rotate", "", content=statement), 401, "unknown_key")
    listed = {k["keyid"]: k["status"] for k in desk.get("/v0/keys").json()["keys"]}
    assert listed[account.key.public.keyid] == "disabled"
    change(desk, account.name, disabled=False)
    assert desk.submit(envelope()).status_code == 200

"""The token endpoint and its neighbours over HTTP, as the RFCs have them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import pytest

from spectra.identity.jwts import AUDIENCE
from spectra.identity.roles import SCOPES
from spectra.store.provenance import links
from tests.api.node import Node, is_problem, raw_answer, raw_connection
from tests.api.people import (
    PASSWORD,
    assert_in,
    assertion,
    bearing,
    coordinator,
    login,
    make,
    refresh,
    refusal,
    signed_in,
)

pytestmark = pytest.mark.engine

TOKEN = "/v0/auth/token"


@pytest.fixture
def desk(node: Node, tmp_path: Path) -> Iterator[Node]:
    """A coordinator with cheap passwords."""
    with node.services.database.connection() as connection:
        connection.execute("DELETE FROM login_throttle")
    with coordinator(node, tmp_path) as found:
        yield found


def test_tokens_are_stored_by_nobody_in_between(desk: Node) -> None:
    """RFC 6749 section 5.1: neither kept by a cache nor of another type than JSON."""
    response = login(desk, make(desk))
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["pragma"] == "no-cache"
    assert response.headers["content-type"] == "application/json"
    assert set(response.json()) == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}


def test_an_access_token_is_rfc_9068s(desk: Node) -> None:
    """Header and claims of the profile, verified by another library with the published keys."""
    name = make(desk)
    text = signed_in(desk, name)["access_token"]
    header = jwt.get_unverified_header(text)
    assert (header["alg"], header["typ"]) == ("EdDSA", "at+jwt")
    published = jwt.PyJWKSet.from_dict(desk.get("/v0/auth/jwks.json", "").json())
    issuer = desk.get("/.well-known/oauth-authorization-server", "").json()["issuer"]
    claims = jwt.decode(text, published[header["kid"]], algorithms=["EdDSA"], audience=AUDIENCE, issuer=issuer)
    assert claims["exp"] - claims["iat"] == 600
    assert (claims["sub"], claims["client_id"], claims["role"]) == (name, "spectra", "user")
    assert {"jti", "scope"} <= claims.keys()


def test_the_metadata_says_where_what_is(desk: Node) -> None:
    """RFC 8414: the endpoints at the URL that was asked, and what they take."""
    said = desk.get("/.well-known/oauth-authorization-server", "").json()
    assert said["token_endpoint"] == f"{desk.url}{TOKEN}"
    assert desk.ask("GET", said["jwks_uri"].removeprefix(desk.url), "").status_code == 200
    assert said["token_endpoint_auth_signing_alg_values_supported"] == ["EdDSA"]
    assert set(said["scopes_supported"]) == SCOPES


@pytest.mark.parametrize("path", [TOKEN, "/v0/auth/revoke"])
def test_bodies_of_strangers_are_bounded(desk: Node, path: str) -> None:
    """In size, in time and in form."""
    is_problem(desk.ask("POST", path, "", content=b"x" * 20_000), 413, "too_large")
    refusal(desk.ask("POST", path, "", json={"grant_type": "password"}), 400, "invalid_request")
    refusal(desk.ask("POST", path, "", data={"more": "x"}), 400, "invalid_request")
    with desk.variant(body_timeout_s=0.2) as hasty, raw_connection(hasty.url) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\ng".encode())
        assert raw_answer(connection)[0] == 408


def test_signing_out(desk: Node) -> None:
    """By the refresh token, a used one too, or by the access token; RFC 7009: what is no token is revoked already."""
    name = make(desk)
    for by in ("refresh_token", "access_token"):
        tokens = signed_in(desk, name)
        assert desk.ask("POST", "/v0/auth/revoke", "", data={"token": tokens[by]}).status_code == 200
        assert bearing(desk, tokens["access_token"]).status_code == 401
        refusal(refresh(desk, tokens["refresh_token"]), 400, "invalid_grant")
        assert desk.ask("POST", "/v0/auth/revoke", "", data={"token": tokens[by]}).status_code == 200
    for text in ("x", "spr_" + "x" * 43, "a.b.c"):
        assert desk.ask("POST", "/v0/auth/revoke", "", data={"token": text}).json() == {}


def test_introspection(desk: Node) -> None:
    """Whose a token is, for who may see accounts; nothing but `active: false` of any other text."""
    name = make(desk)
    text = signed_in(desk, name, scope="search:read self:read")["access_token"]

    def ask(token: str, role: str = "admin") -> httpx.Response:
        return desk.ask("POST", "/v0/auth/introspect", role, data={"token": token})

    said = ask(text).json()
    assert (said["active"], said["sub"], said["scope"]) == (True, name, "search:read self:read")
    assert ask("x").json() == {"active": False}
    assert ask(text, "user").status_code == 403
    is_problem(desk.ask("POST", "/v0/auth/introspect", data={"x": "y"}), 400, "bad_request")


def test_sessions_are_listed_and_ended(desk: Node) -> None:
    """One's own, with the one that asks marked; another's for who may; ended at once."""
    name = make(desk)
    first, second = signed_in(desk, name, client_id="phone"), signed_in(desk, name)
    listed = bearing(desk, second["access_token"], "/v0/auth/sessions").json()["sessions"]
    assert [(s["client_id"], s.get("current", False)) for s in listed] == [("spectra", True), ("phone", False)]
    assert listed[0]["source"] == "127.0.0.1"
    phone = f"/v0/auth/sessions/{listed[1]['id']}"
    stranger = signed_in(desk, make(desk))["access_token"]
    is_problem(bearing(desk, stranger, phone, "DELETE"), 404, "unknown_session")
    is_problem(bearing(desk, stranger, f"/v0/auth/sessions?account={name}"), 403, "forbidden")
    assert bearing(desk, second["access_token"], phone, "DELETE").json() == {"id": listed[1]["id"]}
    assert bearing(desk, first["access_token"]).status_code == 401
    assert [s["id"] for s in desk.get("/v0/auth/sessions", account=name).json()["sessions"]] == [listed[0]["id"]]
    assert desk.ask("DELETE", f"/v0/auth/sessions/{listed[0]['id']}").status_code == 200
    assert bearing(desk, second["access_token"]).status_code == 401
    for wrong in ("x", "%0a", "' OR true"):
        is_problem(desk.ask("DELETE", f"/v0/auth/sessions/{wrong}"), 404, "unknown_session")


def test_sessions_come_in_pages(desk: Node) -> None:
    """By an opaque cursor; one made up is refused."""
    name = make(desk)
    for _ in range(3):
        signed_in(desk, name)
    first = desk.get("/v0/auth/sessions", account=name, limit=2).json()
    rest = desk.get("/v0/auth/sessions", account=name, limit=2, cursor=first["next_cursor"]).json()
    assert len({s["id"] for s in (*first["sessions"], *rest["sessions"])}) == 3
    assert rest["next_cursor"] == ""
    assert len(desk.get("/v0/auth/sessions", account="*").json()["sessions"]) >= 3
    is_problem(desk.get("/v0/auth/sessions", cursor="x"), 400, "bad_request")


def test_no_secret_is_logged_or_on_record(desk: Node, caplog: pytest.LogCaptureFixture) -> None:
    """Passwords, tokens and assertions: not in the log, not in the chain, not in an answer that refuses them."""
    caplog.set_level(logging.DEBUG)
    name, account = make(desk), desk.account()
    wrong = "another long password, wrong"
    tokens = signed_in(desk, name)
    text = assertion(desk, account)
    machine = assert_in(desk, text).json()
    answers = [
        login(desk, name, wrong).text,
        refresh(desk, refresh(desk, tokens["refresh_token"]).json()["refresh_token"], scope="x").text,
        refresh(desk, tokens["refresh_token"]).text,
        assert_in(desk, text).text,
        bearing(desk, tokens["access_token"], "/v0/accounts/me/password", "POST", json={"password": wrong}).text,
    ]
    secrets = [PASSWORD, wrong, tokens["access_token"], tokens["refresh_token"], machine["access_token"], text]
    chain = "".join(link.entry for link in links(desk.services.database))
    logged = "\n".join(f"{r.getMessage()} {json.dumps(vars(r), default=str)}" for r in caplog.records)
    for secret in secrets:
        assert secret not in chain
        assert secret not in logged
        assert not [answer for answer in answers if secret in answer]
    assert logged

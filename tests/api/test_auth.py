"""Who gets in: every route against every role, and all the ways of not having a token."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import httpx
import pytest
from fastapi.routing import APIRoute

from spectra.api.app import ROUTERS
from spectra.api.auth import ENVELOPE, SIGN_IN, open_to, scope, scope_of
from spectra.api.routes import health
from spectra.identity import tokens
from spectra.identity.roles import PUBLIC, ROLES, allows
from tests.api.node import Node, is_problem, raw_answer, raw_connection

pytestmark = pytest.mark.engine


class Route(NamedTuple):
    """One operation, with its path parameters filled in."""

    method: str
    path: str
    scope: str


def every_route() -> list[Route]:
    """All operations, from the route table itself, so that a new one cannot be forgotten."""
    found: list[Route] = []
    for router in (*ROUTERS, health.document):
        for route in router.routes:
            assert isinstance(route, APIRoute)
            path = route.path.replace("{ip}", "192.0.2.1").replace("{name}", "example.org")
            path = path.replace("{workflow_id}", "0" * 64).replace("{observation_id}", "0" * 64)
            path = re.sub(r"\{[a-z_]+_id\}", str(UUID(int=0)), path)
            path = path.replace("{account}", "nobody").replace("{role}", "looker")
            path = path.replace("{cve:cve}", "CVE-2024-6387")
            path = re.sub(r"\{[a-z_]+(:path)?\}", "1", path)
            assert "{" not in path
            declared = scope_of(list(route.dependencies))
            found += [Route(method, path, declared) for method in sorted(route.methods or ())]
    return found


ROUTES = every_route()
GUARDED = [r for r in ROUTES if r.scope not in (PUBLIC, ENVELOPE, SIGN_IN)]


def named(route: Route) -> str:
    """A test's id."""
    return f"{route.method} {route.path}"


@pytest.mark.parametrize("role", list(ROLES))
@pytest.mark.parametrize("route", GUARDED, ids=named)
def test_a_role_may_do_what_its_scopes_say(node: Node, route: Route, role: str) -> None:
    """403 without the scope; with it the route itself answers, be it that nothing is there."""
    with node.client(role) as client, client.stream(route.method, route.path) as response:
        if "text/event-stream" not in response.headers.get("content-type", ""):  # which has no end
            response.read()
    if allows(role, route.scope):
        assert response.status_code not in (401, 403, 500), response.read()
    else:
        words = refused(response, route, 403, "forbidden")
        assert role in words
        assert route.scope in words


def refused(response: httpx.Response, route: Route, status: int, reason: str) -> str:
    """Why a route refused: a problem, or an error of OpenAI's where its API is spoken."""
    if not route.path.startswith("/v1/"):
        return is_problem(response, status, reason)["detail"]
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, reason)
    return error["message"]


@pytest.mark.parametrize("route", GUARDED, ids=named)
def test_nobody_gets_in_without_a_token(node: Node, route: Route) -> None:
    """401 with `WWW-Authenticate` (RFC 9110 section 11.6.1): no token, a made-up one, another scheme."""
    for header in ({}, {"authorization": f"Bearer {tokens.new_token()}"}, {"authorization": "Basic YTpi"}):
        response = node.ask(route.method, route.path, "", headers=header)
        refused(response, route, 401, "unauthenticated")
        assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("route", [r for r in ROUTES if r.scope == PUBLIC], ids=named)
def test_public_routes_ask_for_nothing(node: Node, route: Route) -> None:
    """Health, metrics and the document are for anyone; a form that anyone may send is looked at."""
    assert node.ask(route.method, route.path, "").status_code == (200 if route.method == "GET" else 400)


@pytest.mark.parametrize("route", [r for r in ROUTES if r.scope == ENVELOPE], ids=named)
@pytest.mark.parametrize("role", ["", "read-only", "admin"])
def test_envelopes_speak_for_themselves(node: Node, route: Route, role: str) -> None:
    """A token neither helps nor hinders: what is not signed is refused for that."""
    is_problem(node.ask(route.method, route.path, role, content=b"{}"), 400, "malformed_envelope")


@pytest.mark.parametrize(
    "header", ["Bearer", "", "spk_x", "Bearer spk_", "Bearer é", "Bearer a b", "Bearer " + "x" * 9000]
)
def test_malformed_credentials_are_no_credentials(node: Node, header: str) -> None:
    """Never anything but 401, whatever stands in the field."""
    response = node.ask("GET", "/v0/status", "", headers={"authorization": header.encode("latin-1")})
    is_problem(response, 401, "unauthenticated")


def test_the_scheme_has_no_case(node: Node) -> None:
    """RFC 9110 section 11.1: scheme names are case-insensitive."""
    token = node.of("user").token
    assert node.ask("GET", "/v0/status", "", headers={"authorization": f"bEARER {token}"}).status_code == 200


@pytest.mark.parametrize("column", ["revoked", "expires"])
def test_a_revoked_or_expired_token_is_refused_at_once(node: Node, column: str) -> None:
    """From the next request on: nothing about tokens is cached."""
    account = node.account("user")
    header = {"authorization": f"Bearer {account.token}"}
    assert node.ask("GET", "/v0/status", "", headers=header).status_code == 200
    past = datetime.now(UTC) - timedelta(seconds=1)
    statement = f"UPDATE credential SET {column} = %s WHERE digest = %s".encode()
    with node.services.database.connection() as connection:
        connection.execute(statement, [past, tokens.digest(account.token)])
    try:
        is_problem(node.ask("GET", "/v0/status", "", headers=header), 401, "unauthenticated")
    finally:  # the chain knows nothing of it
        with node.services.database.connection() as connection:
            connection.execute(statement, [None, tokens.digest(account.token)])


@pytest.mark.parametrize("path", ["/v0/keys", "/v0/keys/revoke", "/v0/observations/known"])
def test_a_strangers_body_is_not_read(node: Node, path: str) -> None:
    """The answer comes before a byte of the two gigabytes that were announced."""
    with raw_connection(node.url) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2147483648\r\n\r\n".encode())
        status, _, _ = raw_answer(connection)
    assert status == 401


def test_a_guarded_route_cannot_be_declared_open() -> None:
    """`open_to` is for the two open scopes alone."""
    with pytest.raises(ValueError, match="use scope"):
        open_to("search:read")


def test_the_scope_of_a_route_can_be_read() -> None:
    """By which the architecture test and the document know it."""
    assert scope_of([scope("keys:read")]) == "keys:read"
    assert scope_of([open_to(PUBLIC)]) == PUBLIC
    assert scope_of([]) == ""

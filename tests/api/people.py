"""Accounts that sign in, for tests: a coordinator beside the node's, with tokens and bounds of its own."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from spectra.api.grants import ASSERTION_TYPE
from spectra.api.issuing import TOKEN_PATH, Issuer
from spectra.identity import jwts
from spectra.identity.keys import SigningKey
from spectra.settings import AuthSettings
from spectra.store import accounts, audit, tiers, token_keys
from spectra.store.provenance import links
from tests.api.node import Account, Node

PASSWORD = "a sentence nobody would guess"


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        """The time it shows."""
        return self.now


@contextlib.contextmanager
def coordinator(
    node: Node, folder: Path, clock: Callable[[], datetime] | None = None, **changes: Any
) -> Generator[Node]:
    """Another coordinator on the node's database, with a token key of its own in `folder`."""
    clock = clock or (lambda: datetime.now(UTC))
    settings = AuthSettings.model_validate({"password_memory_mib": 19, **changes})
    issuer = Issuer(node.services.database, settings, folder, clock=clock)
    with node.variant(issuer=issuer, clock=clock) as other:
        yield other


def make(node: Node, role: str = "user", password: str | None = PASSWORD) -> str:
    """The name of a new account."""
    name = f"{role}-{secrets.token_hex(4)}"
    response = node.ask("POST", "/v0/accounts", json={"name": name, "role": role, "password": password})
    assert response.status_code == 201, response.text
    return name


def token_request(node: Node, **fields: str) -> httpx.Response:
    """POST a form to the token endpoint."""
    return node.ask("POST", TOKEN_PATH, "", data=fields)


def login(node: Node, name: str, password: str = PASSWORD, **fields: str) -> httpx.Response:
    """Ask for tokens by password."""
    return token_request(node, grant_type="password", username=name, password=password, **fields)


def signed_in(node: Node, name: str, **fields: str) -> dict[str, Any]:
    """The tokens of an account."""
    response = login(node, name, **fields)
    assert response.status_code == 200, response.text
    return response.json()


def refresh(node: Node, token: str, **fields: str) -> httpx.Response:
    """Exchange a refresh token."""
    return token_request(node, grant_type="refresh_token", refresh_token=token, **fields)


def assertion(
    node: Node, account: Account, *, key: SigningKey | None = None, audience: str = "", **changes: Any
) -> str:
    """An assertion of `account` for this node."""
    made: dict[str, Any] = {
        "subject": account.name,
        "now": node.services.clock(),
        "jti": secrets.token_hex(8),
    } | changes
    return jwts.build_assertion(key or account.key, audience=audience or node.url + TOKEN_PATH, **made)


def assert_in(node: Node, text: str, **fields: str) -> httpx.Response:
    """Ask for a token by assertion."""
    return token_request(
        node, grant_type="client_credentials", client_assertion_type=ASSERTION_TYPE, client_assertion=text, **fields
    )


def bearing(
    node: Node, token: str, path: str = "/v0/accounts/me", method: str = "GET", **options: Any
) -> httpx.Response:
    """A request with this access token."""
    return node.ask(method, path, "", headers={"authorization": f"Bearer {token}"}, **options)


def on_record(node: Node) -> bool:
    """Whether every account, role, tier and token key is what the chain says. (Other tests tamper with the rest.)"""
    newest = {link.subject: link.detail() for link in links(node.services.database)}
    rooms = (accounts, tiers, token_keys)
    rows = {subject: told for room in rooms for subject, told in room.details(node.services.database).items()}
    return all(newest.get(subject) == audit.plain(detail) for subject, detail in rows.items())


def refusal(response: httpx.Response, status: int, error: str) -> dict[str, Any]:
    """The RFC 6749 error that this answer has to be."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert "no-store" in response.headers["cache-control"]
    body = response.json()
    assert body["error"] == error
    return body

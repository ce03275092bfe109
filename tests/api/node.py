"""A real node for tests: real services on a real database, served by the real HTTP server on loopback."""

from __future__ import annotations

import contextlib
import http.client
import io
import secrets
import socket
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import httpx
import uvicorn
from fastapi import FastAPI

from spectra.api.app import create_app
from spectra.api.metrics import Metrics
from spectra.api.protocol import BoundedHttp
from spectra.api.services import Services
from spectra.identity import tokens
from spectra.identity.keys import SigningKey
from spectra.identity.roles import ROLES
from spectra.store import keys
from tests.support import chain, samples
from tests.support.waiting import eventually


@contextlib.contextmanager
def serving(services: Services, extend: Callable[[FastAPI], object] = lambda app: None) -> Generator[str]:
    """The URL of an app around `services`, on a free loopback port, until the block ends."""
    app = create_app(services)
    extend(app)
    with served(app) as url:
        yield url


@contextlib.contextmanager
def served(app: FastAPI) -> Generator[str]:
    """The URL of any app, likewise."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        config = uvicorn.Config(
            app,
            http=BoundedHttp,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=5,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            eventually(lambda: server.started or not thread.is_alive())
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)


@dataclass(frozen=True)
class Account:
    """A contributor with a registered key and a token."""

    name: str
    role: str
    key: SigningKey
    token: str

    def seal(self, output: bytes, **fields: Any) -> bytes:
        """An envelope around `output`, signed by this account."""
        return samples.sealed(self.key, self.name, output, **fields)


@dataclass
class Node:
    """A served app, and accounts that may use it."""

    url: str
    services: Services
    accounts: dict[str, Account] = field(default_factory=dict[str, Account])

    def account(self, role: str = "contributor") -> Account:
        """A new account of `role`."""
        name, key, token = f"{role}-{secrets.token_hex(4)}", SigningKey.generate(), tokens.new_token()
        now = datetime.now(UTC)
        public = key.public
        database = self.services.database
        keys.register(database, contributor=name, role=role, public_key=public.raw, keyid=public.keyid, now=now)
        keys.add_credential(database, digest=tokens.digest(token), contributor=name, now=now)
        return Account(name, role, key, token)

    def of(self, role: str) -> Account:
        """The standing account of `role`."""
        if role not in self.accounts:
            assert role in ROLES
            self.accounts[role] = self.account(role)
        return self.accounts[role]

    def client(self, role: str = "", **options: Any) -> httpx.Client:
        """An HTTP client with the token of `role`; without one where that is empty."""
        headers = {"authorization": f"Bearer {self.of(role).token}"} if role else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False, verify=False, **options)

    def ask(self, method: str, path: str, role: str = "admin", **options: Any) -> httpx.Response:
        """One request as `role`."""
        with self.client(role) as client:
            return client.request(method, path, **options)

    def get(self, path: str, role: str = "admin", /, **params: Any) -> httpx.Response:
        """One GET as `role`."""
        return self.ask("GET", path, role, params=params)

    def submit(self, envelope: bytes, path: str = "/v0/mesh/ingest") -> httpx.Response:
        """POST an envelope, without a token."""
        return self.ask("POST", path, "", content=envelope)

    def submitted(self, output: bytes, role: str = "contributor", **fields: Any) -> dict[str, Any]:
        """The receipt of `output` on the fast path, signed by the account of `role`."""
        response = self.submit(self.of(role).seal(output, **fields))
        assert response.status_code == 200, response.text
        return response.json()

    def found(self, q: str) -> list[dict[str, Any]]:
        """What a search finds."""
        response = self.get("/v0/search", q=q)
        assert response.status_code == 200, response.text
        return response.json()["matches"]

    def entries(self) -> int:
        """How long the provenance chain is."""
        return self.get("/v0/provenance").json()["entries"]

    def recorded(self, after: int) -> list[str]:
        """`chain.kinds` of the entries that came after so many."""
        return chain.kinds(self.get("/v0/provenance/entries", after=after, limit=1000).json())

    def metric(self, line: str) -> float:
        """The value of a metric's line at `/metrics`; 0 where it is not there yet."""
        text = self.ask("GET", "/metrics", "").text
        found = [rest for rest in text.splitlines() if rest.startswith(f"{line} ")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0

    @contextlib.contextmanager
    def variant(self, **changes: Any) -> Generator[Node]:
        """The same engines behind a second app, some of its bounds changed."""
        services = replace(self.services, metrics=Metrics(), **changes)
        with serving(services) as url:
            yield Node(url, services, self.accounts)


def is_problem(response: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    """Assert that `response` is an RFC 9457 problem of this status and reason; returns its body."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["type"] == f"urn:spectra:problem:{reason}"
    assert (body["reason"], body["status"]) == (reason, status)
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == response.headers["x-request-id"]
    return body


@contextlib.contextmanager
def raw_connection(url: str) -> Generator[socket.socket]:
    """A plain TCP connection to the server at `url`, for what no HTTP client would send."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        yield connection


class _Unhurried:
    """A connection of which no more is read than is asked for: what follows belongs to the next answer."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def makefile(self, _mode: str) -> io.BufferedReader:
        """A file with room for one byte to look ahead."""
        return self._connection.makefile("rb", buffering=1)


def raw_answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, header fields (lower case) and body of the next answer that comes on `connection`."""
    response = http.client.HTTPResponse(cast(socket.socket, _Unhurried(connection)))
    response.begin()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()

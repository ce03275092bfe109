"""The TLS listener of the mesh: who is let in, who is told of, what is bounded, and that its certificate is exchanged
while it runs.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from collections.abc import Generator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.x509 import load_pem_x509_certificate

from spectra.api.meshserver import BOUNDS, Bounds, MeshServer, server_context
from spectra.errors import SetupError
from spectra.identity import x509
from spectra.identity.ca import Authority
from tests.support import tls
from tests.support.waiting import eventually


async def told(scope: Any, receive: Any, send: Any) -> None:
    """An app that answers what it was told of TLS, and the method."""
    extension = scope.get("extensions", {}).get("tls")
    body = json.dumps({"tls": extension, "scheme": scope["scheme"]}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


class Listener:
    """A served app, and what was refused."""

    def __init__(self, ca: Authority, folder: Path, port: int, server: MeshServer, refused: list[tuple[str, str, str]]):
        self.ca = ca
        self.folder = folder
        self.port = port
        self.server = server
        self.refused = refused

    @property
    def kinds(self) -> list[str]:
        """The kinds of what was refused."""
        return [kind for kind, _, _ in self.refused]

    def client(self, files: tls.Files | None = None, ca: Authority | None = None) -> httpx.Client:
        """A client that trusts the CA."""
        context = tls.client_context(ca or self.ca, files)
        return httpx.Client(verify=context, base_url=f"https://127.0.0.1:{self.port}", trust_env=False, timeout=30)

    def ask(self, files: tls.Files | None = None) -> dict[str, Any]:
        """What the app was told of one request."""
        with self.client(files) as client:
            return client.get("/").json()

    def node(self, name: str, **options: Any) -> tls.Files:
        """A node's certificate."""
        return tls.node_files(self.ca, self.folder / name, name, **options)

    def connect(self) -> socket.socket:
        """A TCP connection alone."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


@contextlib.contextmanager
def listening(folder: Path, bounds: Bounds = BOUNDS) -> Generator[Listener]:
    """A listener on a free port with a CA of its own."""
    ca = tls.authority(folder / "ca")
    files = tls.server_files(ca, folder / "server")
    refused: list[tuple[str, str, str]] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        context = server_context(files.cert, files.key, x509.pem(*ca.roots))

        def refuse(kind: str, address: str, detail: str) -> None:
            refused.append((kind, address, detail))

        server = MeshServer(told, listener, context, on_refusal=refuse, bounds=bounds)
        port = listener.getsockname()[1]
        server.start()
        try:
            yield Listener(ca, folder, port, server, refused)
        finally:
            server.stop()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Listener]:
    """A listener with the usual bounds."""
    with listening(tmp_path) as one:
        yield one


def test_who_has_no_certificate_yet_is_answered(served: Listener) -> None:
    """There is an extension that says so: TLS 1.3, and no client's certificate."""
    found = served.ask()
    assert found["scheme"] == "https"
    assert found["tls"]["client_cert_chain"] == []
    assert found["tls"]["tls_version"] == 0x0304


@pytest.mark.parametrize("kind", ["p256", "ed25519"])
def test_the_app_sees_the_certificate_of_a_node(served: Listener, kind: x509.Kind) -> None:
    """In PEM form, as it was issued; either kind of key."""
    files = served.node("w1", kind=kind)
    (found,) = served.ask(files)["tls"]["client_cert_chain"]
    shown = load_pem_x509_certificate(found.encode())
    assert x509.uri_of(shown) == f"spiffe://{tls.MESH}/node/w1"
    assert shown == load_pem_x509_certificate(files.cert.read_bytes())


def test_tls_1_2_will_do(served: Listener) -> None:
    """As an older client speaks it; the version is told."""
    context = tls.client_context(served.ca, served.node("old"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with httpx.Client(verify=context, trust_env=False) as client:
        found = client.get(f"https://127.0.0.1:{served.port}/").json()
    assert found["tls"]["tls_version"] == 0x0303
    assert len(found["tls"]["client_cert_chain"]) == 1


def test_a_certificate_of_another_ca_is_refused_and_told(served: Listener, tmp_path: Path) -> None:
    """Though it names the same mesh and node."""
    other = tls.authority(tmp_path / "other")
    with served.client(tls.node_files(other, tmp_path / "w1", "w1")) as client, pytest.raises(httpx.TransportError):
        client.get("/")
    eventually(lambda: served.kinds == ["untrusted"])
    assert served.refused[0][1] == "127.0.0.1"
    assert "issuer" in served.refused[0][2] or "self-signed" in served.refused[0][2]


def test_an_expired_certificate_is_refused_and_told(served: Listener) -> None:
    """Whoever has one renews with a token that the key signs, without the certificate."""
    with served.client(served.node("late", ended=timedelta(hours=1))) as client, pytest.raises(httpx.TransportError):
        client.get("/")
    eventually(lambda: served.kinds == ["expired"])


def test_what_is_no_tls_is_refused_and_told(served: Listener) -> None:
    """Plain HTTP to this port gets no answer."""
    with served.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert not connection.recv(1000).startswith(b"HTTP")
    eventually(lambda: served.kinds == ["handshake"])


def test_who_just_goes_is_not_told(served: Listener) -> None:
    """A probe that connects and leaves, as load balancers do; the next client is answered."""
    served.connect().close()
    assert served.ask()["scheme"] == "https"
    assert served.refused == []


def test_a_handshake_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    """Whoever says nothing is disconnected, and told."""
    with listening(tmp_path, BOUNDS._replace(handshake_s=0.2)) as served, served.connect() as connection:
        assert connection.recv(1) == b""
        eventually(lambda: served.kinds == ["handshake"])
        assert "too long" in served.refused[0][2]


@pytest.mark.parametrize("bounds", [BOUNDS._replace(connections_of_one=2), BOUNDS._replace(connections=2)])
def test_connections_are_bounded(tmp_path: Path, bounds: Bounds) -> None:
    """Silent ones count as well; when one goes, there is room again."""
    with listening(tmp_path, bounds) as served, contextlib.ExitStack() as stack:
        first = stack.enter_context(served.connect())
        stack.enter_context(served.connect())
        third = stack.enter_context(served.connect())
        assert third.recv(1) == b""
        assert served.kinds == ["too_many_connections"]
        first.close()

        def is_answered() -> bool:
            try:
                return served.ask()["scheme"] == "https"
            except httpx.TransportError:
                return False

        eventually(is_answered)


def test_another_certificate_and_other_roots_count_from_then_on(served: Listener, tmp_path: Path) -> None:
    """New connections see the new certificate; an open one ends, so that its client is looked at with the roots of
    now: one that only an old root vouches for is out.
    """
    old_ca, old = served.ca, served.node("w1")
    new_ca = tls.authority(tmp_path / "new-ca")
    files = tls.server_files(new_ca, tmp_path / "new-server")
    with served.client(old) as client:
        assert client.get("/").status_code == 200
        served.server.use(server_context(files.cert, files.key, x509.pem(*new_ca.roots)))
        eventually(lambda: _is_out(client))
    served.ca = new_ca
    assert served.ask(tls.node_files(new_ca, tmp_path / "w2", "w2"))["tls"]["client_cert_chain"]
    context = tls.client_context(new_ca)
    context.load_cert_chain(old.cert, old.key)
    with httpx.Client(verify=context, trust_env=False) as client, pytest.raises(httpx.TransportError):
        client.get(f"https://127.0.0.1:{served.port}/")
    eventually(lambda: "untrusted" in served.kinds)
    assert old_ca.roots != new_ca.roots


def _is_out(client: httpx.Client) -> bool:
    """Whether a client of the old CA gets no answer any more."""
    try:
        client.get("/")
    except httpx.TransportError:
        return True
    return False


def test_no_session_is_resumed(served: Listener) -> None:
    """Each connection brings its certificate anew: there is no ticket to come back with."""
    context = tls.client_context(served.ca, served.node("w1"))
    with served.connect() as raw, context.wrap_socket(raw, server_hostname="127.0.0.1") as first:
        first.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert first.recv(100).startswith(b"HTTP/1.1 200")
        assert first.session is None or not first.session.has_ticket


def test_stopping_ends_connections_and_frees_the_port(served: Listener) -> None:
    """An idle client is closed; nobody can connect afterwards."""
    with served.client() as client:
        assert client.get("/").status_code == 200
        served.server.stop()
        with pytest.raises(httpx.TransportError):
            client.get("/")
    with pytest.raises(OSError):
        served.connect()


def test_a_certificate_that_does_not_fit_its_key_is_said(tmp_path: Path) -> None:
    """And one that is not there: a clear error at the start."""
    ca = tls.authority(tmp_path / "ca")
    first, second = tls.server_files(ca, tmp_path / "a"), tls.server_files(ca, tmp_path / "b")
    for cert, key in ((first.cert, second.key), (tmp_path / "none", first.key)):
        with pytest.raises(SetupError, match="cannot be used"):
            server_context(cert, key, x509.pem(*ca.roots))

"""Real certificates for tests of TLS: a CA in a folder, and certificates with their keys as files."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from spectra.identity import x509
from spectra.identity.ca import Authority
from spectra.identity.names import node_uri

MESH = "mesh-test"


class Files(NamedTuple):
    """A certificate with what follows it, and its key, in files."""

    cert: Path
    key: Path


def now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def authority(folder: Path, mesh: str = MESH) -> Authority:
    """A new CA."""
    return Authority.create(folder, mesh, now())


def server_files(ca: Authority, folder: Path) -> Files:
    """A certificate for a server on loopback."""
    key = x509.new_key()
    names = ("localhost", "127.0.0.1", "::1")
    request = x509.csr(key, "localhost", names)
    issued = ca.issue(request, subject="localhost", dns=names[:1], ips=names[1:], now=now(), server=True)
    return _written(folder, issued.pem, key)


def node_files(
    ca: Authority, folder: Path, name: str, *, ended: timedelta | None = None, kind: x509.Kind = "p256"
) -> Files:
    """A node's certificate; one that expired `ended` ago where that is given."""
    key, life = x509.new_key(kind), timedelta(hours=24)
    begin = now() - ended - life if ended is not None else None
    request = x509.csr(key, name, [])
    issued = ca.issue(request, subject=name, uris=[node_uri(ca.mesh, name)], now=now(), not_before=begin, lifetime=life)
    return _written(folder, issued.pem, key)


def client_context(ca: Authority, files: Files | None = None) -> ssl.SSLContext:
    """Trusts the roots of `ca`, and shows a certificate where one is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=x509.pem(*ca.roots))
    if files is not None:
        context.load_cert_chain(files.cert, files.key)
    return context


def _written(folder: Path, pem: str, key: x509.PrivateKey) -> Files:
    folder.mkdir(parents=True, exist_ok=True)
    files = Files(folder / "tls.crt", folder / "tls.key")
    files.cert.write_text(pem)
    files.key.write_bytes(x509.key_pem(key))
    return files

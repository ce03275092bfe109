"""Machines that join a mesh, for the tests of the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from spectra.identity.keys import SigningKey
from spectra.model.nodes import Capabilities, CertificateRecord, NodeRecord, Role, Tool, Transport
from spectra.store import jointokens, nodes
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.jointokens import NewToken
from spectra.store.provenance import links

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ROOT = Act("root", T0)
ABLE = Capabilities(4, 1900, "aarch64", "linux", "0.5.0", tools=(Tool("nmap", "7.95"),))


def uri(name: str) -> str:
    """Who `name` is in the mesh of these tests."""
    return f"spiffe://mesh-test/node/{name}"


def certificate(serial: int | str, spki: str, at: datetime = T0, life: timedelta = DAY) -> CertificateRecord:
    """A certificate of `life` from `at` on."""
    return CertificateRecord(str(serial), spki, at, at + life)


def invite(database: Database, name: str = "", *, token: str = "", role: Role = "worker", act: Act = ROOT) -> str:
    """A token of an hour for `name`, or a reusable one; its id."""
    token = token or f"token-{name}"
    new = NewToken(token, role, act.now + HOUR, name, reusable=not name)
    jointokens.add(database, new, uri(name) if name else "", act)
    return token


def enrol(database: Database, name: str, *, token: str = "", spki: str = "", at: datetime = T0) -> NodeRecord:
    """Use a token for a certificate with the key `spki`."""
    spki = spki or f"spki-{name}"
    kept = certificate(f"{name}-{spki}-{at:%d%H%M}", spki, at)
    return nodes.enrol(database, token=token or f"token-{name}", name=name, uri=uri(name), certificate=kept, now=at)


def join(
    database: Database, name: str, *, key: SigningKey | None = None, at: datetime = T0, transport: Transport = "mqtt"
) -> NodeRecord:
    """Make a machine that has a certificate a member, which signs by `key`."""
    public = (key or SigningKey.generate()).public
    return nodes.join(
        database,
        name,
        keyid=public.keyid,
        public_key=public.raw,
        capabilities=ABLE,
        transport=transport,
        nonce=f"nonce-{public.keyid}",
        now=at,
    )


def member(database: Database, name: str, *, role: Role = "worker", key: SigningKey | None = None) -> NodeRecord:
    """A machine that was invited and came."""
    invite(database, name, role=role)
    enrol(database, name)
    return join(database, name, key=key)


def told(database: Database, prefix: str = "") -> list[str]:
    """The kinds of all entries of the chain, in order."""
    return [link.kind for link in links(database) if link.kind.startswith(prefix)]

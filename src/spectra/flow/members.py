"""Whom a certificate speaks for, and how a machine becomes a member and leaves; whichever CA issued the certificate."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from cryptography.x509 import Certificate

from spectra.errors import BadRequest, NotFound
from spectra.identity import rotation, x509
from spectra.identity.errors import IdentityError
from spectra.identity.keys import PublicKey
from spectra.identity.names import parse_uri
from spectra.model.nodes import CertificateRecord, FabricPlace, NodeRecord, Role, Standing
from spectra.model.registration import Registration, Welcome
from spectra.store import certificates, nodes
from spectra.store.accounts import Act
from spectra.store.adoption import adopt
from spectra.store.database import Database

SIGNER_ROLE: Final = "module"
STATEMENT_AGE_S: Final = 600.0


class Places(NamedTuple):
    """Where machines reach the CA and the coordinator. `hosts`: every name and address in its certificate."""

    ca_url: str
    api_url: str
    hosts: tuple[str, ...]


class Peer(NamedTuple):
    """The machine behind a connection, as of this request."""

    name: str
    role: Role
    standing: Standing
    keyid: str
    uri: str
    serial: str
    spki: str
    certificate: Certificate


def _nothing() -> None:
    """Nobody wants to know."""


def _let_in(role: Role) -> str:
    """Whoever joins is let in at once."""
    return ""


class Members:
    """Who is in the mesh. Thread-safe.

    `on_change` is called after a change of who may speak. `hold` says why a new machine of a role is kept in quarantine
    until it has proved its state; empty where it is not. `elsewhere`: another CA issues certificates, so that we learn
    of them when they are shown.
    """

    def __init__(
        self,
        database: Database,
        mesh: str,
        places: Places,
        *,
        clock: Callable[[], datetime],
        on_change: Callable[[], None] = _nothing,
        hold: Callable[[Role], str] = _let_in,
        elsewhere: bool = False,
    ) -> None:
        self.mesh: Final = mesh
        self.places: Final = places
        self.fabric = FabricPlace(api=places.api_url)
        """Where machines are sent to; exchanged once the fabric is up."""
        self.changed: Final = on_change
        self._database = database
        self._clock = clock
        self._hold = hold
        self._elsewhere = elsewhere

    def known(self, certificate: Certificate) -> Peer:
        """Whom a certificate speaks for at this moment; TLS has verified that it leads to one of our roots.

        Raises `IdentityError` (`certificate_expired`, `certificate_not_yet`, `bad_certificate`, `unknown_member`), or
        `BadRequest("revoked")` where the node or the key is.
        """
        now = self._clock()
        if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
            late = now >= certificate.not_valid_after_utc
            raise IdentityError(
                f"the certificate {'has expired' if late else 'is not valid yet'}.",
                reason="certificate_expired" if late else "certificate_not_yet",
            )
        peer = self.admitted(certificate)
        return self._adopted(peer, now) if self._elsewhere else peer

    def admitted(self, certificate: Certificate) -> Peer:
        """As `known`, whenever the certificate holds."""
        uri = x509.uri_of(certificate)
        mesh, name = parse_uri(uri)
        if mesh != self.mesh:
            raise IdentityError("the certificate is of another mesh.", reason="bad_certificate")
        spki = x509.spki(certificate)
        try:
            found = nodes.admitted(self._database, name, spki)
        except NotFound as error:
            raise IdentityError(f"{name} is no member of this mesh.", reason="unknown_member") from error
        serial = str(certificate.serial_number)
        return Peer(found.name, found.role, found.standing, found.keyid, uri, serial, spki, certificate)

    def register(self, peer: Peer, asked: Registration, roots: tuple[Certificate, ...]) -> Welcome:
        """Take the key that signs what the machine submits; the same one again is no news.

        Raises `IdentityError` as `rotation.verify_registration` does, `BadRequest` as `nodes.join` does.
        """
        now = self._clock()
        statement = rotation.verify_registration(asked.statement.encode(), now=now, max_age_s=STATEMENT_AGE_S)
        if (statement.contributor, statement.role) != (nodes.contributor(peer.name), SIGNER_ROLE):
            raise BadRequest(
                f"The statement is not of {nodes.contributor(peer.name)} in the role {SIGNER_ROLE}.",
                reason="impostor",
                field="statement",
            )
        key = PublicKey.from_b64(statement.public_key)
        nodes.join(
            self._database,
            peer.name,
            keyid=key.keyid,
            public_key=key.raw,
            capabilities=asked.capabilities,
            transport=asked.transport,
            nonce=statement.nonce,
            now=now,
            hold=self._hold(peer.role),
        )
        self.changed()
        return self.welcome(peer.name, roots)

    def welcome(self, name: str, roots: tuple[Certificate, ...]) -> Welcome:
        """What a machine is told of itself and of where the mesh is."""
        return Welcome(nodes.get(self._database, name), self.fabric, x509.pem(*roots))

    def leave(self, name: str) -> None:
        """At its own wish, for good."""
        nodes.leave(self._database, name, self.act(name))
        self.changed()

    def revoke(self, name: str, reason: str, act: Act) -> None:
        """It is let in nowhere any more."""
        nodes.revoke(self._database, name, reason, act)
        self.changed()

    def hold_back(self, record: NodeRecord) -> None:
        """A machine that takes the place of an active one has to prove its state first, as every new one."""
        if record.standing == "active" and (why := self._hold(record.role)):
            nodes.quarantine(self._database, record.name, why, Act("attestation", self._clock()))

    def _adopted(self, peer: Peer, now: datetime) -> Peer:
        """Record a certificate that we did not see before. One for a new key costs a token, as with our own CA."""
        if certificates.holder(self._database, peer.serial) == peer.name:
            return peer
        record = adopt(self._database, peer.name, peer.uri, recorded(peer.certificate), now)
        if record is not None:
            self.hold_back(record)
        self.changed()
        return self.admitted(peer.certificate)

    def act(self, name: str) -> Act:
        """What a node does itself."""
        return Act(nodes.contributor(name), self._clock())


def recorded(leaf: Certificate) -> CertificateRecord:
    """What the store keeps of a certificate."""
    return CertificateRecord(
        str(leaf.serial_number), x509.spki(leaf), leaf.not_valid_before_utc, leaf.not_valid_after_utc
    )

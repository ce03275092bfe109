"""The CA at work: identity's `Authority`, which signs, and the store, which knows who may have a certificate.

A certificate is made in memory, then recorded in the transaction that uses its token up or finds its holder revoked,
and only then handed out. So a token is good for one machine, and who is revoked comes by none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from cryptography.x509 import Certificate

from spectra.errors import BadRequest, NotFound
from spectra.flow.members import Members, Peer, recorded
from spectra.flow.signing import Asked
from spectra.identity import jointokens, x509
from spectra.identity.ca import Authority, Crl, Issued
from spectra.identity.errors import IdentityError
from spectra.identity.jointokens import Join
from spectra.identity.names import key_name, new_name, node_uri
from spectra.model.joining import RESERVED, AuthorityRecord, RootRecord
from spectra.model.nodes import is_node_name
from spectra.store import authorities, certificates, keys, nodes
from spectra.store import jointokens as tokens
from spectra.store.accounts import Act
from spectra.store.authorities import Root
from spectra.store.database import Database

SHORTEST: Final = timedelta(seconds=1)
_EARLY: Final = timedelta(hours=1)  # before now, for machines whose clocks are behind ours
_ATTEMPTS: Final = 5  # at a name that nobody has; new ones have 30 random bits
_TOKEN_LIFE: Final = timedelta(hours=1)  # longest that a revocation token is remembered


class Terms(NamedTuple):
    """How long certificates hold, and how long after their end they can still be renewed."""

    lifetime: timedelta
    grace: timedelta


class Period(NamedTuple):
    """What a client asks for; None: as the CA likes."""

    begin: datetime | None = None
    end: datetime | None = None


ANY_PERIOD: Final = Period()


class Certificates:
    """The built-in CA: a `Signer`, and what step-ca's API asks of it. Thread-safe."""

    def __init__(
        self,
        authority: Authority,
        database: Database,
        members: Members,
        *,
        terms: Terms,
        clock: Callable[[], datetime],
    ) -> None:
        self.authority = authority  # exchanged whole, so that every call works with one
        self.members: Final = members
        self._exchange = threading.Lock()
        self._database = database
        self._terms = terms
        self._clock = clock

    # --- what it shows ---

    @property
    def roots(self) -> tuple[Certificate, ...]:
        """Every root that is trusted now."""
        return self.authority.roots

    @property
    def intermediates(self) -> tuple[Certificate, ...]:
        """What follows a leaf."""
        return self.authority.intermediates

    def root(self, fingerprint: str) -> Certificate:
        """The root with this SHA-256. Raises `NotFound`."""
        for root in self.roots:
            if x509.fingerprint(root) == fingerprint:
                return root
        raise NotFound(f"root certificate with fingerprint {fingerprint[:64]!r} was not found", reason="unknown_root")

    def provisioner(self) -> dict[str, object]:
        """Whose tokens are taken, as step-ca describes it."""
        own = self.authority.provisioner
        longest = f"{int(self._terms.lifetime.total_seconds())}s"
        claims = {"maxTLSCertDuration": longest, "defaultTLSCertDuration": longest, "allowRenewalAfterExpiry": True}
        return {"type": "JWK", "name": own.name, "key": own.jwk_public(), "claims": claims}

    # --- certificates ---

    def sign(self, csr: bytes, ott: str, period: Period = ANY_PERIOD) -> Issued:
        """The certificate that a join token is good for, once. The same key may come again with it: its answer was
        lost.

        Raises `IdentityError` (`bad_token`, `token_expired`, `bad_csr`) and `BadRequest` as `nodes.enrol` does.
        """
        now, authority = self._clock(), self.authority
        join = jointokens.verify(ott, provisioner=authority.provisioner, audiences=self._audiences("sign"), now=now)
        if join.mesh != authority.mesh:
            raise IdentityError("the token is for another mesh.", reason="bad_token")
        request = x509.read_csr(csr)
        common, spki = x509.requested(request)[0], x509.spki(request)
        before = tokens.enrolled(self._database, join.id, spki)
        begin, lifetime = self._times(period, now)
        for attempt in range(_ATTEMPTS):
            name = before or self._name(join, common, attempt)
            uri = node_uri(authority.mesh, name)
            issued = authority.issue(
                csr,
                subject=name,
                uris=[uri],
                dns=[key_name(spki, authority.mesh)],
                lifetime=lifetime,
                now=now,
                not_before=begin,
                rename=join.reusable,
            )
            kept = recorded(issued.leaf)
            try:
                record = nodes.enrol(self._database, token=join.id, name=name, uri=uri, certificate=kept, now=now)
            except BadRequest as error:
                if error.reason != "name_taken" or not join.reusable:
                    raise
                continue
            if not before:
                self.members.hold_back(record)
            self.members.changed()
            return issued
        raise BadRequest("No name was free.", reason="name_taken", hint="Name the machine: spectra join --name ...")

    def renew(self, certificate: Certificate) -> Issued:
        """The same for longer, for the same key. Raises as `Members.known` does."""
        return self._again(self.members.known(certificate))

    def renew_by_token(self, token: str) -> Issued:
        """The same for a certificate that may have expired within the grace period, by a token that its key signed.

        Raises `IdentityError` as `jointokens.verify_renew` and `Authority.verify` do, and as `Members.known` does.
        """
        now = self._clock()
        leaf, rest = jointokens.verify_renew(token, audiences=self._audiences("renew"), now=now)
        self.authority.verify(leaf, rest, now, self._terms.grace)
        return self._again(self.members.admitted(leaf))

    def rekey(self, certificate: Certificate, csr: bytes) -> Issued:
        """The same for another key, which the request proves to be there. Raises as `Members.known`, and `bad_csr`."""
        return self._again(self.members.known(certificate), csr)

    # --- as a signer ---

    def token(self, asked: Asked, act: Act) -> str:
        """A join token that pins the present root."""
        authority, places = self.authority, self.members.places
        return jointokens.mint(
            authority.provisioner,
            ca_url=places.ca_url,
            api_url=places.api_url,
            mesh=authority.mesh,
            role=asked.role,
            fingerprint=x509.fingerprint(authority.root),
            now=act.now,
            ttl=asked.ttl,
            name=asked.name,
            reusable=not asked.name,
            jti=asked.id,
        )

    def own(self, key: x509.PrivateKey, name: str) -> tuple[Certificate, ...]:
        """The coordinator's own certificate, by which it is a server for its hosts and the node `name`."""
        now, authority = self._clock(), self.authority
        hosts = x509.sort_names(self.members.places.hosts)
        uri = node_uri(authority.mesh, name)
        early = min(_EARLY, self._terms.lifetime / 4)
        issued = authority.issue(
            x509.csr(key, name, [uri, *self.members.places.hosts]),
            subject=name,
            uris=[uri],
            dns=hosts.dns,
            ips=hosts.ips,
            lifetime=self._terms.lifetime + early,
            now=now,
            not_before=now - early,
            server=True,
        )
        return issued.leaf, *issued.chain

    def is_current(self, chain: Sequence[Certificate]) -> bool:
        """Whether `chain` follows certificates that are issued now."""
        return tuple(chain) == self.authority.chain

    def maintain(self) -> None:
        """Renew the intermediate when two thirds of its year are over."""
        now = self._clock()
        if not self.authority.needs_intermediate(now):
            return
        with self._exchange:
            self.authority = self.authority.renew_intermediate(now)
            root = _stored(self.authority)
            authorities.intermediate(self._database, root.fingerprint, root.intermediate, Act(nodes.SYSTEM, now))

    def describe(self) -> AuthorityRecord:
        """The roots, and until when the present intermediate signs."""
        authority = self.authority
        current = x509.fingerprint(authority.root)
        return AuthorityRecord(
            mesh=authority.mesh,
            kind="built-in",
            fingerprint=current,
            roots=tuple(root_record(root, current) for root in authority.roots),
            intermediate_until=authority.intermediate.not_valid_after_utc,
            ca_url=self.members.places.ca_url,
        )

    def rotate(self, act: Act) -> None:
        """A new root, cross-signed by the present one; both are trusted until `retire`. Nothing stops meanwhile.

        Raises `BadRequest("ca_rotating")` where too many are trusted already.
        """
        with self._exchange:
            try:
                self.authority = self.authority.rotate(act.now)
            except IdentityError as error:
                raise BadRequest(error.message, reason="ca_rotating", hint="Retire the old root first.") from error
            authorities.add(self._database, _stored(self.authority), act, "rotated")

    def retire(self, act: Act) -> None:
        """Trust the newest root alone. Whoever still has a certificate of another has to join anew."""
        with self._exchange:
            before = self.authority.roots
            self.authority = self.authority.retire(act.now)
            left = {x509.fingerprint(root) for root in self.authority.roots}
            for gone in (x509.fingerprint(root) for root in before):
                if gone not in left:
                    authorities.retire(self._database, gone, act)

    # --- revocation ---

    def revoke_own(self, certificate: Certificate, reason: str) -> None:
        """What `step ca revoke --cert` does: the holder gives up this certificate, and with it the node."""
        peer = self.members.known(certificate)
        self.members.revoke(peer.name, reason or "revoked by itself", self.members.act(peer.name))

    def revoke_by_token(self, ott: str, serial: str, reason: str) -> None:
        """What holders of the provisioner's key may do, once for each token. Raises `IdentityError`, `NotFound`."""
        now, authority = self._clock(), self.authority
        said = jointokens.verify_revocation(
            ott, provisioner=authority.provisioner, audiences=self._audiences("revoke"), now=now
        )
        if said.serial != serial:
            raise IdentityError("the token is about another serial number.", reason="bad_token")
        with self._database.transaction() as connection:
            if not keys.claim(connection, "ca:revoke", said.id, now + _TOKEN_LIFE):
                raise IdentityError("the token was used already.", reason="token_used")
        name = certificates.holder(self._database, serial)
        if not name:
            raise NotFound(f"There is no certificate {serial}.", reason="unknown_certificate")
        self.members.revoke(name, reason or "revoked by token", Act("provisioner", now))

    def crl(self) -> Crl:
        """The certificates that were revoked and have not expired."""
        now = self._clock()
        rows = certificates.revoked_serials(self._database, now)
        return self.authority.crl([(int(serial), at) for serial, at in rows], now)

    # --- inside ---

    def _audiences(self, path: jointokens.Path) -> frozenset[str]:
        port = self.members.places.ca_url.rpartition(":")[2]
        urls = [
            f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
            for host in self.members.places.hosts
        ]
        return jointokens.audiences(self.members.places.ca_url, *urls, path=path)

    def _name(self, join: Join, common: str, attempt: int) -> str:
        """The token's; of a reusable one what the machine calls itself, if that is free, else a new one."""
        if not join.reusable:
            return join.name
        free = is_node_name(common) and common not in RESERVED
        if attempt == 0 and free and nodes.find(self._database, common) is None:
            return common
        return new_name()

    def _times(self, period: Period, now: datetime) -> tuple[datetime | None, timedelta]:
        """From when, where that is not now, and for how long. Raises `BadRequest("bad_period")`."""
        longest, begin = self._terms.lifetime, period.begin or now
        lifetime = longest if period.end is None else period.end - begin
        if not SHORTEST <= lifetime <= longest or abs(begin - now) > longest:
            raise BadRequest(
                f"A certificate holds for {longest.total_seconds():.0f} s at most, about now.",
                reason="bad_period",
                field="notAfter",
            )
        return period.begin, lifetime

    def _again(self, peer: Peer, csr: bytes | None = None) -> Issued:
        now, authority, lifetime = self._clock(), self.authority, self._terms.lifetime
        if csr is None:
            issued = authority.renew(peer.certificate, lifetime=lifetime, now=now)
        else:
            named = key_name(x509.spki(x509.read_csr(csr)), authority.mesh)
            issued = authority.issue(csr, subject=peer.name, uris=[peer.uri], dns=[named], lifetime=lifetime, now=now)
        certificates.record(self._database, peer.name, recorded(issued.leaf), now)
        return issued


def record_roots(authority: Authority, database: Database, act: Act) -> None:
    """Have the store know every root that is trusted; a database that is new under an old folder learns them."""
    for root in reversed(authority.roots):
        authorities.add(database, _stored(authority, root), act)


def _stored(authority: Authority, root: Certificate | None = None) -> Root:
    """What the store keeps of a root, the present one unless another is named."""
    root = root or authority.root
    return Root(x509.fingerprint(root), authority.mesh, x509.pem(root), x509.fingerprint(authority.intermediate))


def root_record(root: Certificate, current: str) -> RootRecord:
    """A root for people; `current` is the fingerprint of the one that signs."""
    own = x509.fingerprint(root)
    return RootRecord(
        fingerprint=own,
        subject=root.subject.rfc4514_string(),
        not_before=root.not_valid_before_utc,
        not_after=root.not_valid_after_utc,
        current=own == current,
    )

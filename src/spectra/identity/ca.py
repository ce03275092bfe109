"""The built-in CA: a root (10 years), an intermediate (1 year) that signs, and the nodes' certificates (a day).

An `Authority` is immutable. `rotate`, `retire` and `renew_intermediate` write the folder and return what to use from
then on. While a root is being rotated, leaves come with a certificate of the new root's key by the old root (a
cross-certificate): peers that know either root accept them, so nothing has to be exchanged at one moment.

Path lengths bound what each certificate may certify: the intermediate leaves only. Name constraints are not used: the
root is trusted by this mesh alone, and of the mesh for all; verifiers that do not know constraints on URIs (Python's
and Rust's among them) refuse certificates that have them. The names are checked where a certificate is issued.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509 as cx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from spectra.errors import SetupError
from spectra.identity import cafolder, chains, x509
from spectra.identity.cafolder import MAX_ROOTS, Material
from spectra.identity.errors import IdentityError
from spectra.identity.names import is_mesh_name, new_mesh, parse_uri
from spectra.identity.provisioner import Provisioner
from spectra.identity.strict import to_utc
from spectra.identity.x509 import Kind, Names, PrivateKey, PublicKey

ROOT_LIFETIME: Final = timedelta(days=3650)
INTERMEDIATE_LIFETIME: Final = timedelta(days=365)
LEAF_LIFETIME: Final = timedelta(hours=24)
BACKDATE: Final = timedelta(minutes=1)
"""Leaves are valid from a little before they are issued, for clocks that are behind ours; so does step-ca."""
CRL_LIFETIME: Final = timedelta(hours=24)

_CA_BACKDATE: Final = timedelta(days=1)
_NO_GRACE: Final = timedelta(0)


class Issued(NamedTuple):
    """A new certificate, what follows it up to below the root, and both in PEM form."""

    leaf: Certificate
    chain: tuple[Certificate, ...]
    pem: str


class Crl(NamedTuple):
    """A revocation list, in both forms, and when the next one is due."""

    der: bytes
    pem: bytes
    until: datetime


@dataclass(frozen=True)
class _Issuer:
    key: PrivateKey
    name: cx.Name
    public: PublicKey


class Authority:
    """A CA and the folder it is kept in. Immutable, and safe to be used by several threads."""

    def __init__(self, folder: Path, material: Material) -> None:
        """From what was read; see `load`."""
        self._folder = folder
        self._material = material
        self.mesh: Final = _mesh_of(material.roots[0])

    @classmethod
    def create(cls, folder: Path, mesh: str, now: datetime, key: Kind = "p256") -> Authority:
        """A new CA for `mesh`. Raises `SetupError` where the folder holds one, `IdentityError` for a bad name."""
        if not is_mesh_name(mesh):
            raise IdentityError("a mesh is named by 1 to 63 of a-z, 0-9 and inner hyphens.")
        root_key, intermediate_key = x509.new_key(key), x509.new_key(key)
        root = _root(mesh, root_key, now)
        intermediate = _intermediate(mesh, intermediate_key.public_key(), root, root_key, now)
        material = Material(root_key, (root,), (), intermediate_key, intermediate, Provisioner.create())
        cafolder.create(folder, material)
        return cls(folder, material)

    @classmethod
    def load(cls, folder: Path) -> Authority:
        """The CA in `folder`. Raises `SetupError`: absent, readable by others, or damaged."""
        return cls(folder, cafolder.read(folder))

    @classmethod
    def open_or_create(cls, folder: Path, mesh: str, now: datetime) -> Authority:
        """The CA in `folder`; where there is none, a new one for `mesh` (a random name if that is empty).

        Raises `SetupError`, also where the folder holds the CA of another mesh.
        """
        material = cafolder.read_or_none(folder)
        if material is None:
            return cls.create(folder, mesh or new_mesh(), now)
        found = cls(folder, material)
        if mesh and found.mesh != mesh:
            raise SetupError(f"{folder} holds the CA of the mesh {found.mesh}, not of {mesh}.")
        return found

    @property
    def roots(self) -> tuple[Certificate, ...]:
        """Every root that is trusted now, the current one first."""
        return self._material.roots

    @property
    def root(self) -> Certificate:
        """The root that certifies the intermediate."""
        return self._material.roots[0]

    @property
    def intermediate(self) -> Certificate:
        """The one that signs leaves."""
        return self._material.intermediate

    @property
    def chain(self) -> tuple[Certificate, ...]:
        """What follows a leaf: the intermediate and, while roots are rotated, the cross-certificates."""
        return (self._material.intermediate, *self._material.crosses)

    @property
    def intermediates(self) -> tuple[Certificate, ...]:
        """As `chain`, by the name that step-ca's API has for it."""
        return self.chain

    @property
    def provisioner(self) -> Provisioner:
        """The key that signs join tokens. It stays the same when the root is rotated."""
        return self._material.provisioner

    def issue(
        self,
        csr: bytes,
        *,
        subject: str,
        uris: Sequence[str] = (),
        dns: Sequence[str] = (),
        ips: Sequence[str] = (),
        lifetime: timedelta = LEAF_LIFETIME,
        now: datetime,
        not_before: datetime | None = None,
        server: bool = False,
        rename: bool = False,
    ) -> Issued:
        """A certificate for the key of a request (PEM): for `subject`, with exactly these alternative names.

        Of the request only the key and the proof of holding it are used. It may ask for no names or for some of these;
        for others it is refused, unless `rename` says that the CA names the machine. `server`: for serving TLS, too.
        Raises `IdentityError`: `bad_csr`, `forbidden_name`, or `identity` where this CA cannot certify that.
        """
        request = x509.read_csr(csr)
        names = _names(uris, dns, ips)
        if not rename:
            _require_allowed(request, subject, names)
        return self._certify(
            request.public_key(), subject, names, now=now, lifetime=lifetime, not_before=not_before, server=server
        )

    def renew(self, leaf: Certificate, *, lifetime: timedelta, now: datetime, csr: bytes | None = None) -> Issued:
        """The same again for longer: subject, names and purposes of a `leaf` that the caller has verified.

        The key is the same, or that of `csr`. Raises `IdentityError` as `issue`.
        """
        subject, names = x509.requested(leaf)
        key: object = leaf.public_key()
        if csr is not None:
            request = x509.read_csr(csr)
            _require_allowed(request, subject, names)
            key = request.public_key()
        purposes = leaf.extensions.get_extension_for_class(cx.ExtendedKeyUsage).value
        server = ExtendedKeyUsageOID.SERVER_AUTH in purposes
        return self._certify(key, subject, names, now=now, lifetime=lifetime, not_before=None, server=server)

    def verify(
        self, leaf: Certificate, intermediates: Sequence[Certificate], now: datetime, grace: timedelta = _NO_GRACE
    ) -> str:
        """The node (its URI) that `leaf` certifies, or has until `grace` ago. Its intermediates need not be ours of
        today; where they are, the peer may leave them out.

        Raises `IdentityError`: `untrusted`, `expired` or `not_yet`. Revocation is for the caller to look up.
        """
        pool = [*intermediates, self.intermediate]
        return chains.verify_chain(leaf, pool, roots=self.roots, mesh=self.mesh, now=now, grace=grace)

    def crl(self, revoked: Iterable[tuple[int, datetime]], now: datetime) -> Crl:
        """The list of revoked serial numbers and when they were (RFC 5280 section 5), signed by the intermediate."""
        now = _second(now)
        until = now + CRL_LIFETIME
        builder = cx.CertificateRevocationListBuilder().issuer_name(self.intermediate.subject)
        builder = builder.last_update(now).next_update(until)
        builder = builder.add_extension(cx.CRLNumber(int(now.timestamp())), critical=False)
        builder = builder.add_extension(_key_identifier_of(self.intermediate), critical=False)
        for serial, at in revoked:
            entry = cx.RevokedCertificateBuilder().serial_number(serial).revocation_date(_second(at)).build()
            builder = builder.add_revoked_certificate(entry)
        made = builder.sign(self._material.intermediate_key, x509.algorithm(self._material.intermediate_key))
        return Crl(made.public_bytes(Encoding.DER), made.public_bytes(Encoding.PEM), until)

    def needs_intermediate(self, now: datetime) -> bool:
        """Whether two thirds of the intermediate's life are over: time for `renew_intermediate`."""
        return _is_old(self.intermediate, now)

    def needs_root(self, now: datetime) -> bool:
        """Whether two thirds of the root's life are over: time for `rotate`."""
        return _is_old(self.root, now)

    def renew_intermediate(self, now: datetime) -> Authority:
        """A new intermediate with a key of its own. Leaves of the old one hold on: they bring it along."""
        key = x509.new_key(_kind(self._material.intermediate_key))
        made = _intermediate(self.mesh, key.public_key(), self.root, self._material.root_key, now)
        return self._succeeded_by(replace(self._material, intermediate_key=key, intermediate=made))

    def rotate(self, now: datetime) -> Authority:
        """A new root and intermediate. Both roots are trusted until `retire`.

        Raises `IdentityError("not_retired")` where three roots are trusted already.
        """
        if len(self.roots) >= MAX_ROOTS:
            raise IdentityError(
                f"{MAX_ROOTS} roots are trusted already.", reason="not_retired", hint="Retire the old ones first."
            )
        kind = _kind(self._material.root_key)
        root_key, key = x509.new_key(kind), x509.new_key(kind)
        root = _root(self.mesh, root_key, now)
        cross = _cross(root, self.root, self._material.root_key)
        made = _intermediate(self.mesh, key.public_key(), root, root_key, now)
        return self._succeeded_by(
            Material(
                root_key, (root, *self.roots), (cross, *self._material.crosses), key, made, self._material.provisioner
            )
        )

    def retire(self, now: datetime) -> Authority:
        """Trust the current root alone. Certificates issued before the last `rotate` do not hold any more."""
        _ = now
        if len(self.roots) == 1:
            return self
        return self._succeeded_by(replace(self._material, roots=self.roots[:1], crosses=()))

    def _succeeded_by(self, material: Material) -> Authority:
        cafolder.replace(self._folder, self._material, material)
        return Authority(self._folder, material)

    def _certify(
        self,
        key: object,
        subject: str,
        names: Names,
        *,
        now: datetime,
        lifetime: timedelta,
        not_before: datetime | None,
        server: bool,
    ) -> Issued:
        self._require_ours(names)
        if not isinstance(key, PublicKey) or x509.key_flaw(key):
            raise IdentityError(f"the key is not certified: {x509.key_flaw(key)}.", reason="bad_csr")
        begin = _second(now if not_before is None else not_before)
        until = min(begin + lifetime, self.intermediate.not_valid_after_utc)
        if not_before is None:
            begin = max(begin - BACKDATE, self.intermediate.not_valid_before_utc)
        if begin >= until or lifetime <= timedelta(0):
            raise IdentityError("the certificate would end before it begins; is the CA's intermediate expired?")
        extensions: list[tuple[cx.ExtensionType, bool]] = [
            (cx.BasicConstraints(ca=False, path_length=None), True),
            (_usage(encipherment=isinstance(key, RSAPublicKey)), True),
            (cx.ExtendedKeyUsage(_PURPOSES[: 2 if server else 1]), False),
        ]
        if names.all:
            extensions.append((x509.alternative_names(names), False))
        name = x509.distinguished(subject)
        leaf = _sign(name, key, self._issuer(), begin=begin, until=until, extensions=extensions)
        return Issued(leaf, self.chain, x509.pem(leaf, *self.chain))

    def _issuer(self) -> _Issuer:
        key = self._material.intermediate_key
        return _Issuer(key, self.intermediate.subject, key.public_key())

    def _require_ours(self, names: Names) -> None:
        """A certificate is for one node of this mesh at most, whatever the caller was talked into."""
        if len(names.uris) > 1 or any(parse_uri(uri)[0] != self.mesh for uri in names.uris):
            raise IdentityError("this CA certifies one node of its mesh at a time.")


_PURPOSES: Final = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)


def _names(uris: Sequence[str], dns: Sequence[str], ips: Sequence[str]) -> Names:
    """In the spellings that requests are read in."""
    found = x509.sort_names([*dns, *ips])
    return Names(tuple(uris), found.dns, found.ips)


def _require_allowed(request: cx.CertificateSigningRequest, subject: str, allowed: Names) -> None:
    common, names = x509.requested(request)
    if common not in ("", subject, *allowed.all):
        raise _forbidden(common, subject)
    names = _names(names.uris, names.dns, names.ips)
    if others := sorted(names.all - allowed.all - {subject}):
        raise _forbidden(others[0], subject)


def _forbidden(asked: str, subject: str) -> IdentityError:
    shown = asked[:80] if asked.isprintable() else ascii(asked[:80])
    return IdentityError(
        f"the request asks for {shown}, not only for {subject} and its names.", reason="forbidden_name"
    )


def _root(mesh: str, key: PrivateKey, now: datetime) -> Certificate:
    begin = _second(now)
    name = _ca_name(mesh, "root", key.public_key())
    issuer = _Issuer(key, name, key.public_key())
    # Under the oldest of MAX_ROOTS roots stand the newer ones, certified by it, and the intermediate.
    extensions = _ca_extensions(path_length=MAX_ROOTS)
    until = begin + ROOT_LIFETIME
    return _sign(name, key.public_key(), issuer, begin=begin - _CA_BACKDATE, until=until, extensions=extensions)


def _cross(new: Certificate, old: Certificate, old_key: PrivateKey) -> Certificate:
    """The new root's name and key, certified by the old root for as long as both live."""
    key = new.public_key()
    assert isinstance(key, PublicKey)
    issuer = _Issuer(old_key, old.subject, old_key.public_key())
    begin = max(new.not_valid_before_utc, old.not_valid_before_utc)
    until = min(new.not_valid_after_utc, old.not_valid_after_utc)
    extensions = _ca_extensions(path_length=MAX_ROOTS - 1)
    return _sign(new.subject, key, issuer, begin=begin, until=until, extensions=extensions)


def _intermediate(mesh: str, key: PublicKey, root: Certificate, root_key: PrivateKey, now: datetime) -> Certificate:
    begin = _second(now)
    until = min(begin + INTERMEDIATE_LIFETIME, root.not_valid_after_utc)
    if until <= begin:
        raise IdentityError("the root has expired.", hint="Rotate the CA: spectra ca rotate")
    issuer = _Issuer(root_key, root.subject, root_key.public_key())
    name = _ca_name(mesh, "intermediate", key)
    begin = max(begin - _CA_BACKDATE, root.not_valid_before_utc)
    return _sign(name, key, issuer, begin=begin, until=until, extensions=_ca_extensions(path_length=0))


def _ca_name(mesh: str, what: str, key: PublicKey) -> cx.Name:
    """The mesh as organization (it is read from there), and a common name that no other CA of the mesh has."""
    return cx.Name(
        [
            cx.NameAttribute(NameOID.ORGANIZATION_NAME, mesh),
            cx.NameAttribute(NameOID.COMMON_NAME, f"Spectra {what} {x509.spki(key)[:8]}"),
        ]
    )


def _mesh_of(root: Certificate) -> str:
    values = [str(a.value) for a in root.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    if len(values) != 1 or not is_mesh_name(values[0]):
        raise SetupError("the CA's root names no mesh; it is not one that Spectra made.")
    return values[0]


def _ca_extensions(path_length: int) -> list[tuple[cx.ExtensionType, bool]]:
    return [(cx.BasicConstraints(ca=True, path_length=path_length), True), (_usage(ca=True), True)]


def _usage(*, ca: bool = False, encipherment: bool = False) -> cx.KeyUsage:
    return cx.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=encipherment,  # only RSA keys can, in TLS 1.2
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _sign(
    subject: cx.Name,
    key: PublicKey,
    issuer: _Issuer,
    *,
    begin: datetime,
    until: datetime,
    extensions: Iterable[tuple[cx.ExtensionType, bool]],
) -> Certificate:
    builder = cx.CertificateBuilder().issuer_name(issuer.name).subject_name(subject).public_key(key)
    builder = builder.serial_number(1 + secrets.randbelow(2**128 - 1)).not_valid_before(begin).not_valid_after(until)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    builder = builder.add_extension(cx.SubjectKeyIdentifier.from_public_key(key), critical=False)
    identifier = cx.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public)
    return builder.add_extension(identifier, critical=False).sign(issuer.key, x509.algorithm(issuer.key))


def _key_identifier_of(issuer: Certificate) -> cx.AuthorityKeyIdentifier:
    own = issuer.extensions.get_extension_for_class(cx.SubjectKeyIdentifier).value
    return cx.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _is_old(certificate: Certificate, now: datetime) -> bool:
    begin, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return to_utc(now, field="now") >= begin + (until - begin) * 2 / 3


def _kind(key: PrivateKey) -> Kind:
    return "ed25519" if x509.algorithm(key) is None else "p256"


def _second(moment: datetime) -> datetime:
    """Certificates know whole seconds, in UTC."""
    return to_utc(moment, field="now").replace(microsecond=0)

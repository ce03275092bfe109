"""Keys, certificate requests and certificates of the mesh (RFC 5280, RFC 2986): making, reading, naming them.

Everything read here may come from a stranger, so it is bounded before it is parsed. Trust is not decided here but in
`spectra.identity.ca`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import NameOID

from spectra.identity import private_file
from spectra.identity.errors import IdentityError
from spectra.identity.names import parse_uri
from spectra.model.envelope import sha256_hex

PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey
"""What we make: ECDSA on P-256, or Ed25519."""
PublicKey = EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey
"""What we certify: also P-384 and RSA, which other clients of the CA may bring."""

Kind = Literal["p256", "ed25519"]

MAX_CERTIFICATE_CHARS: Final = 16 * 1024
MAX_CSR_BYTES: Final = 16 * 1024
MAX_NAME_CHARS: Final = 64  # ub-common-name, RFC 5280 appendix A.1
_MAX_SANS: Final = 32
_RSA_BITS: Final = range(2048, 4097)  # below it is weak; above, checking a signature costs us more than the sender
_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----[\s\S]*?-----END \1-----")
_DNS: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


# What the library raises for bytes that are no certificate or request of use.
_UNREADABLE: Final = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    TypeError,  # a name of the wrong ASN.1 string
    UserWarning,  # an odd serial number or country, where warnings are errors
)


class Names(NamedTuple):
    """The subject alternative names of a request or certificate, as text."""

    uris: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()

    @property
    def all(self) -> frozenset[str]:
        """All of them; their spellings do not overlap."""
        return frozenset(self.uris + self.dns + self.ips)


def new_key(kind: Kind = "p256") -> PrivateKey:
    """A new private key from the operating system's random source."""
    return Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())


def key_pem(key: PrivateKey) -> bytes:
    """Unencrypted PKCS #8 PEM: a secret."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def parse_key(pem_bytes: bytes) -> PrivateKey:
    """A private key from unencrypted PEM. Raises `IdentityError` for another kind than we make, or no key."""
    try:
        key = serialization.load_pem_private_key(pem_bytes, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise IdentityError("this is no unencrypted private key in PEM form.") from None
    if isinstance(key, Ed25519PrivateKey):
        return key
    if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise IdentityError("the private key is neither ECDSA P-256 nor Ed25519.")


def load_key(path: Path) -> PrivateKey:
    """From a file. Raises `SetupError` (absent, mode not 0600) or `IdentityError` (not a key of ours)."""
    return parse_key(private_file.read(path))


def save_key(key: PrivateKey, path: Path, *, overwrite: bool = False) -> None:
    """To a file of mode 0600, atomically. Raises `SetupError`, also where one exists and `overwrite` is False."""
    private_file.write(path, key_pem(key), overwrite=overwrite)


def algorithm(key: PrivateKey) -> hashes.SHA256 | None:
    """What `cryptography` wants to be told for signing with `key`: Ed25519 brings its own hash."""
    return None if isinstance(key, Ed25519PrivateKey) else hashes.SHA256()


def distinguished(name: str) -> x509.Name:
    """A subject of just a common name. Raises `IdentityError` where it is longer than 64 characters."""
    if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise IdentityError(f"a subject has 1 to {MAX_NAME_CHARS} printable characters.")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def csr(key: PrivateKey, name: str, sans: Sequence[str]) -> bytes:
    """The PEM of a certificate request (PKCS #10) for `name`; `sans` are URIs (with `://`), IP addresses, DNS names.

    An empty `name` asks for none. Raises `IdentityError`.
    """
    builder = x509.CertificateSigningRequestBuilder().subject_name(distinguished(name) if name else x509.Name([]))
    if sans:
        builder = builder.add_extension(alternative_names(sort_names(sans)), critical=False)
    return builder.sign(key, algorithm(key)).public_bytes(serialization.Encoding.PEM)


def sort_names(sans: Sequence[str]) -> Names:
    """URIs, DNS names and IP addresses told apart. Raises `IdentityError` for what is none of them."""
    uris: list[str] = []
    dns: list[str] = []
    ips: list[str] = []
    for san in sans:
        if "://" in san:
            uris.append(san)
        elif (address := _address(san)) is not None:
            ips.append(str(address))
        else:
            dns.append(san.lower())
    return Names(tuple(uris), tuple(dns), tuple(ips))


def alternative_names(names: Names) -> x509.SubjectAlternativeName:
    """The extension of `names`. Raises `IdentityError` where one cannot stand in a certificate, or all are too many."""
    if len(names.all) > _MAX_SANS:
        raise IdentityError(f"a certificate has {_MAX_SANS} names at most.")
    general: list[x509.GeneralName] = []
    for uri in names.uris:
        if not uri.isascii() or not uri.isprintable() or not 1 <= len(uri) <= 512:
            raise IdentityError("a URI in a certificate has up to 512 printable ASCII characters.")
        general.append(x509.UniformResourceIdentifier(uri))
    for name in names.dns:
        if not _DNS.fullmatch(name):
            raise IdentityError("a DNS name consists of labels of a-z, 0-9 and inner hyphens; no wildcards.")
        general.append(x509.DNSName(name))
    for ip in names.ips:
        address = _address(ip)
        if address is None:
            raise IdentityError("this is not an IP address.")
        general.append(x509.IPAddress(address))
    return x509.SubjectAlternativeName(general)


def read_csr(raw: bytes) -> x509.CertificateSigningRequest:
    """A request in PEM form whose signature shows that the sender holds a key good enough to be certified.

    Raises `IdentityError("bad_csr")` for anything else.
    """
    if len(raw) > MAX_CSR_BYTES:
        raise _bad_csr(f"it is larger than {MAX_CSR_BYTES} bytes")
    try:
        request = x509.load_pem_x509_csr(raw)
        _ = request.subject, request.extensions
        key = request.public_key()
    except _UNREADABLE:
        raise _bad_csr("it is not PKCS #10 in PEM form with a key that we know") from None
    if flaw := key_flaw(key):
        raise _bad_csr(flaw)
    _require_signed(request)
    return request


def key_flaw(key: object) -> str:
    """Why this public key is not certified; empty if it is."""
    if isinstance(key, Ed25519PublicKey):
        return ""
    if isinstance(key, EllipticCurvePublicKey):
        return "" if isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1) else "its curve is neither P-256 nor P-384"
    if isinstance(key, RSAPublicKey):
        good = key.key_size in _RSA_BITS and key.public_numbers().e == 65537
        return "" if good else "an RSA key must have 2048 to 4096 bits and the exponent 65537"
    return "its key is neither ECDSA, Ed25519 nor RSA"


def requested(request: x509.CertificateSigningRequest | x509.Certificate) -> tuple[str, Names]:
    """The common name (empty where there is none) and the alternative names.

    Raises `IdentityError` (`bad_csr`, `bad_certificate`) where it bears names of other kinds (mail addresses and so
    on), or several common names: nobody would have looked at them.
    """
    common = [str(a.value) for a in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if len(common) > 1:
        raise _refusal(request, "it has several common names")
    return "".join(common), _alternative(request)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate (DER), as 64 lower-case hex digits: what join tokens pin."""
    return sha256_hex(certificate.public_bytes(serialization.Encoding.DER))


def spki(holder: x509.Certificate | x509.CertificateSigningRequest | PublicKey | PrivateKey) -> str:
    """SHA-256 of the public key (SubjectPublicKeyInfo, DER) in hex: what revocation names, whatever is re-issued."""
    key = holder if isinstance(holder, PublicKey) else holder.public_key()
    return sha256_hex(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))


def pem(*certificates: x509.Certificate) -> str:
    """The certificates in PEM form, one after the other."""
    return "".join(c.public_bytes(serialization.Encoding.PEM).decode("ascii") for c in certificates)


def read_pem(text: str, limit: int = 8) -> tuple[x509.Certificate, ...]:
    """One to `limit` certificates in PEM form; text around them is passed over, blocks of other kinds are not.

    Raises `IdentityError("bad_certificate")`.
    """
    if len(text) > limit * MAX_CERTIFICATE_CHARS:
        raise _bad_certificate("the file is too large")
    begun = text.count("-----BEGIN")  # first, as a block that never ends is searched for to the end of the text
    blocks = list(_BLOCK.finditer(text)) if 1 <= begun <= limit else []
    if not blocks or begun != len(blocks):
        raise _bad_certificate(f"expected are one to {limit} whole PEM blocks")
    if any(block[1] != "CERTIFICATE" for block in blocks):
        raise _bad_certificate("something else than certificates is among them")
    return tuple(_certificate(block[0]) for block in blocks)


def read_der(data: bytes) -> x509.Certificate:
    """One certificate in DER form. Raises `IdentityError("bad_certificate")`."""
    if len(data) > MAX_CERTIFICATE_CHARS:
        raise _bad_certificate("it is too large")
    try:
        return _checked(x509.load_der_x509_certificate(data))
    except _UNREADABLE:
        raise _bad_certificate("it is not X.509 in DER form") from None


def uri_of(certificate: x509.Certificate) -> str:
    """The node that a certificate names: its one URI. Raises `IdentityError("bad_certificate")`.

    A certificate of two URIs is none of a node's (SPIFFE X.509-SVID section 2): which of them would be checked?
    """
    uris = _alternative(certificate).uris
    if len(uris) != 1:
        raise _bad_certificate("it has not exactly one URI")
    try:
        parse_uri(uris[0])
    except IdentityError as error:
        raise _bad_certificate("its URI is no node's") from error
    return uris[0]


def _certificate(block: str) -> x509.Certificate:
    try:
        return _checked(x509.load_pem_x509_certificate(block.encode("ascii")))
    except _UNREADABLE:
        raise _bad_certificate("a block is not X.509 in PEM form") from None


def _checked(certificate: x509.Certificate) -> x509.Certificate:
    """The library reads lazily; what cannot be read shall be found out here, not where it is used."""
    _ = certificate.extensions, certificate.subject, certificate.issuer, certificate.public_key()
    if certificate.serial_number <= 0:  # RFC 5280 section 4.1.2.2
        raise ValueError("its serial number is not positive")
    return certificate


def _require_signed(request: x509.CertificateSigningRequest) -> None:
    try:
        weak = isinstance(request.signature_hash_algorithm, hashes.SHA1 | hashes.MD5)
        good = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature):
        weak, good = True, False
    if weak or not good:
        raise _bad_csr("its signature does not hold, or is of a kind that we do not know")


def _alternative(holder: x509.CertificateSigningRequest | x509.Certificate) -> Names:
    try:
        found = holder.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return Names()
    if len(found) > _MAX_SANS:
        raise _refusal(holder, f"it has more than {_MAX_SANS} names")
    uris = found.get_values_for_type(x509.UniformResourceIdentifier)
    dns = found.get_values_for_type(x509.DNSName)
    ips = found.get_values_for_type(x509.IPAddress)
    if len(uris) + len(dns) + len(ips) != len(found):
        raise _refusal(holder, "it has names that are no URI, DNS name or IP address")
    return Names(tuple(uris), tuple(dns), tuple(str(ip) for ip in ips))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _refusal(holder: x509.CertificateSigningRequest | x509.Certificate, why: str) -> IdentityError:
    return _bad_certificate(why) if isinstance(holder, x509.Certificate) else _bad_csr(why)


def _bad_csr(why: str) -> IdentityError:
    return IdentityError(f"the certificate request is refused: {why}.", reason="bad_csr")


def _bad_certificate(why: str) -> IdentityError:
    return IdentityError(f"this is no certificate of use: {why}.", reason="bad_certificate")

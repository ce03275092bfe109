"""A certificate's DER or PEM form as a `Certificate`; never raises."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import threading
import warnings
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import NameOID

from spectra.ingest.parsers.text import LABEL_CHARS, NAME_CHARS, clean
from spectra.model.observation import Certificate

MAX_DER_BYTES = 64 * 1024
MAX_SANS = 200
_DN_CHARS = 1000
_SHA256 = re.compile(r"[0-9a-f]{64}")
_quiet = threading.Lock()  # `catch_warnings` puts back what it found: two at once would leave warnings off
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")

# What `cryptography` raises on bytes that are not a certificate, or hold a name, date or key it cannot read.
_UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


def sha256_hex(text: str | None) -> str | None:
    """A SHA-256 as 64 lower-case hex digits from the ways tools write it (colons, spaces, capitals), or None."""
    digits = (text or "")[:200].replace(":", "").replace(" ", "").lower()
    return digits if _SHA256.fullmatch(digits) else None


def told(  # noqa: PLR0917 - one argument for each field of a certificate
    sha256: str,
    subject_cn: str | None = "",
    subject: str | None = "",
    issuer: str | None = "",
    sans: Iterable[str] = (),
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    serial: str | None = "",
    key: str = "",
) -> Certificate:
    """A certificate as a tool described it, made safe to keep."""
    return Certificate(
        sha256=sha256,
        subject_cn=clean(subject_cn, NAME_CHARS),
        subject=clean(subject, _DN_CHARS),
        issuer=clean(issuer, _DN_CHARS),
        sans=tuple(dict.fromkeys(clean(san, NAME_CHARS) for san in list(sans)[:MAX_SANS] if san)),
        not_before=not_before,
        not_after=not_after,
        serial=clean((serial or "").replace(":", "").lower().lstrip("0")),
        key=clean(key, LABEL_CHARS),
    )


def from_pem(text: str) -> Certificate | None:
    """The first certificate in PEM in `text`; None where there is none."""
    found = _PEM.search(text[: MAX_DER_BYTES * 2])
    return from_base64("".join(found.group(1).split())) if found else None


def from_base64(text: str) -> Certificate | None:
    """A certificate from the base64 of its DER form; None where that is not base64 of a DER sequence."""
    if len(text) > MAX_DER_BYTES * 2:
        return None
    try:
        return from_der(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return None


@lru_cache(maxsize=1024)
def from_der(der: bytes) -> Certificate | None:
    """A certificate from its DER form.

    One that cannot be read further is kept by its SHA-256 alone, as long as its outermost SEQUENCE has the length it
    claims (X.690 8.1.3): a hash of cut-off bytes would be the address of a certificate that does not exist.
    """
    if len(der) > MAX_DER_BYTES or not _is_whole_sequence(der):
        return None
    sha256 = hashlib.sha256(der).hexdigest()
    try:
        # A stranger's certificate breaks rules; what `cryptography` thinks of it is not our news.
        with _quiet, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _described(sha256, x509.load_der_x509_certificate(der))
    except _UNREADABLE:
        return Certificate(sha256=sha256)


def _is_whole_sequence(der: bytes) -> bool:
    if len(der) < 2 or der[0] != 0x30:
        return False
    if der[1] < 0x80:
        return len(der) == 2 + der[1]
    octets = der[1] & 0x7F
    return 1 <= octets <= 3 and len(der) == 2 + octets + int.from_bytes(der[2 : 2 + octets])


def _described(sha256: str, certificate: x509.Certificate) -> Certificate:
    return told(
        sha256,
        _common_name(certificate),
        certificate.subject.rfc4514_string(),
        certificate.issuer.rfc4514_string(),
        _alternative_names(certificate),
        _utc(certificate.not_valid_before_utc),
        _utc(certificate.not_valid_after_utc),
        f"{certificate.serial_number:x}",
        _key(certificate),
    )


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    value = names[0].value if names else ""
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _alternative_names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, *_UNREADABLE):
        return []
    dns = [name.value for name in names if isinstance(name, x509.DNSName)]
    return dns + [str(name.value) for name in names if isinstance(name, x509.IPAddress)]


def _key(certificate: x509.Certificate) -> str:
    try:
        key = certificate.public_key()
    except _UNREADABLE:
        return ""
    if isinstance(key, rsa.RSAPublicKey):
        return f"rsa {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ec {key.curve.name}"
    if isinstance(key, dsa.DSAPublicKey):
        return f"dsa {key.key_size}"
    return type(key).__name__.removeprefix("_").removesuffix("PublicKey").lower()

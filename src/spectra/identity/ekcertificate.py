"""The certificate by which a TPM's maker says that an endorsement key is of a TPM it made.

Without it any program can claim to be a TPM. Makers' authorities are many and have no common root, so an admin names
those that are trusted ("EK Credential Profile" section 3: the certificate; Part 1 section 9.4.3: why it matters).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from spectra.identity.errors import IdentityError
from spectra.identity.tpm import TpmPublic

UNKNOWN: Final = "unknown_tpm_maker"
_UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)


def require_maker(der: bytes, ek: TpmPublic, makers: Sequence[x509.Certificate], now: datetime) -> None:
    """Raises `IdentityError("unknown_tpm_maker")` unless `der` certifies `ek`, now and by one of `makers`."""
    if not der:
        raise IdentityError("this TPM carries no certificate of its maker.", reason=UNKNOWN)
    try:
        certificate = x509.load_der_x509_certificate(der)
        same = certificate.public_key() == ek.key
        issued = any(_issued(certificate, maker, now) for maker in makers)
        current = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
    except _UNREADABLE as error:
        raise IdentityError("the TPM's certificate cannot be read.", reason=UNKNOWN) from error
    if not same:
        raise IdentityError("the TPM's certificate is about another key than its endorsement key.", reason=UNKNOWN)
    if not issued or not current:
        raise IdentityError("the TPM's certificate is by no maker that is trusted here, or over.", reason=UNKNOWN)


def _issued(certificate: x509.Certificate, maker: x509.Certificate, now: datetime) -> bool:
    if not maker.not_valid_before_utc <= now <= maker.not_valid_after_utc or not _is_authority(maker):
        return False
    try:
        certificate.verify_directly_issued_by(maker)
    except (*_UNREADABLE, InvalidSignature):  # another name, another kind of key, another key
        return False
    return True


def _is_authority(maker: x509.Certificate) -> bool:
    try:
        return maker.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False

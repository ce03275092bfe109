"""Whose TPMs count, where an admin wants to know."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from spectra.identity.ekcertificate import require_maker
from spectra.identity.errors import IdentityError
from spectra.identity.tpm import TpmPublic, read_public
from tests.support.papertpm import PaperTpm, self_signed

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)
YEAR = timedelta(days=365)
EK = read_public(PaperTpm().keys.ek)
AK = read_public(PaperTpm().keys.ak)


class Maker:
    """An authority that certifies TPMs."""

    def __init__(self, name: str = "Maker", *, ca: bool = True, begin: datetime = NOW - YEAR) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = x509.CertificateBuilder(self.name, self.name, self._key.public_key(), 1, begin, begin + 2 * YEAR)
        constraints = x509.BasicConstraints(ca=ca, path_length=None)
        self.certificate = made.add_extension(constraints, critical=True).sign(self._key, SHA256())

    def certify(self, key: TpmPublic, begin: datetime = NOW - YEAR) -> bytes:
        """The certificate (DER) of a TPM's key."""
        subject = x509.Name([])
        made = x509.CertificateBuilder(self.name, subject, key.key, 2, begin, begin + 2 * YEAR)
        return made.sign(self._key, SHA256()).public_bytes(Encoding.DER)


MAKER, OTHER = Maker(), Maker()


def refused(der: bytes, *makers: Maker, key: TpmPublic = EK) -> bool:
    """Whether a certificate does not count."""
    try:
        require_maker(der, key, [maker.certificate for maker in makers], NOW)
    except IdentityError as error:
        return error.reason == "unknown_tpm_maker"
    return False


def test_a_tpm_of_a_trusted_maker_counts() -> None:
    """Whichever of several makers it is."""
    assert not refused(MAKER.certify(EK), MAKER)
    assert not refused(MAKER.certify(EK), OTHER, MAKER)


def test_any_other_does_not() -> None:
    """No certificate, another maker of the same name, nobody trusted, or one by the key itself."""
    assert refused(b"", MAKER)
    assert refused(OTHER.certify(EK), MAKER)
    assert refused(Maker("Else").certify(EK), MAKER)
    assert refused(MAKER.certify(EK))
    assert refused(self_signed().public_bytes(Encoding.DER), MAKER)


def test_the_certificate_is_about_this_key() -> None:
    """A real TPM's certificate does not make another key real."""
    assert refused(MAKER.certify(AK), MAKER)
    assert not refused(MAKER.certify(AK), MAKER, key=AK)


def test_makers_and_certificates_hold_for_a_time() -> None:
    """What is over, or has not begun, does not count; nor does a maker who may certify nobody."""
    assert refused(MAKER.certify(EK, NOW + YEAR), MAKER)
    assert refused(MAKER.certify(EK, NOW - 3 * YEAR), MAKER)
    old, young, no_ca = Maker(begin=NOW - 3 * YEAR), Maker(begin=NOW + YEAR), Maker(ca=False)
    for maker in (old, young, no_ca):
        assert refused(maker.certify(EK), maker)


def test_a_maker_without_constraints_certifies_nobody() -> None:
    """A certificate that does not say that it may is no authority's."""
    plain = self_signed()
    with pytest.raises(IdentityError):
        require_maker(plain.public_bytes(Encoding.DER), EK, [plain], NOW)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")  # a serial number below one
@given(st.binary(max_size=200), st.integers(0, 10**6), st.integers(0, 255))
def test_no_bytes_break_the_reader(raw: bytes, at: int, byte: int) -> None:
    """Whatever is sent is refused as it should be, also a good certificate with one byte changed."""
    assert refused(raw, MAKER)
    good = GOOD
    at %= len(good)
    changed = good[:at] + bytes([byte]) + good[at + 1 :]
    assert refused(changed, MAKER) or changed == good


GOOD = MAKER.certify(EK)

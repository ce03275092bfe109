"""Certificates from their DER and PEM forms."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from spectra.ingest.parsers import certificate as certificates
from spectra.ingest.parsers.certificate import from_base64, from_der, from_pem, sha256_hex
from spectra.model.observation import Certificate


def test_fields_of_a_certificate(der: bytes) -> None:
    """Every field of the model is filled, and the address is the SHA-256 of the DER form."""
    assert from_der(der) == Certificate(
        sha256=hashlib.sha256(der).hexdigest(),
        subject_cn="example.org",
        subject="CN=example.org",
        issuer="CN=example.org",
        sans=("example.org", "www.example.org"),
        not_before=datetime(2024, 1, 2, tzinfo=UTC),
        not_after=datetime(2024, 4, 1, tzinfo=UTC),
        serial="abc",
        key="ec secp256r1",
    )


def test_pem_and_base64_are_the_same_certificate(der: bytes, pem: str) -> None:
    """The form it comes in does not change its address; text around PEM does not matter."""
    assert from_pem(f"Subject: x\n{pem}\nmore") == from_base64(base64.b64encode(der).decode()) == from_der(der)


def test_a_cut_certificate_is_none(der: bytes) -> None:
    """The hash of a cut form would name a certificate that does not exist."""
    assert all(from_der(der[:cut]) is None for cut in range(len(der)))
    assert from_der(der + b"\x00") is None
    assert from_pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----") is None
    assert from_base64("%%%") is None
    assert from_base64("A" * 200_000) is None


def test_an_unreadable_certificate_is_kept_by_its_hash() -> None:
    """A whole SEQUENCE that is no certificate `cryptography` can read is still the bytes a server sent."""
    assert from_der(b"\x30\x02\x05\x00") == Certificate(hashlib.sha256(b"\x30\x02\x05\x00").hexdigest())


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 255))
def test_mangled_certificates_raise_nothing(tail: bytes, at: int, value: int) -> None:
    """Any bytes, and a real certificate with one byte changed, give a certificate or None."""
    from_der(tail)
    from_der(b"\x30\x82" + len(tail).to_bytes(2) + tail)
    mangled = bytearray(_RSA)
    mangled[at % len(mangled)] = value
    from_der(bytes(mangled))


def _signed(key: rsa.RSAPrivateKey | dsa.DSAPrivateKey | ed25519.Ed25519PrivateKey, name: x509.Name) -> bytes:
    signature = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2024, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2025, 1, 1, tzinfo=UTC))
    )
    return built.sign(key, signature).public_bytes(Encoding.DER)


_NAMELESS = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example")])
_RSA = _signed(rsa.generate_private_key(65537, 2048), _NAMELESS)


@pytest.mark.parametrize(
    ("der", "key"),
    [
        (_RSA, "rsa 2048"),
        (_signed(dsa.generate_private_key(1024), _NAMELESS), "dsa 1024"),
        (_signed(ed25519.Ed25519PrivateKey.generate(), _NAMELESS), "ed25519"),
    ],
)
def test_kinds_of_keys(der: bytes, key: str) -> None:
    """The key is told by kind and size; a certificate without common name or alternative names is fine."""
    found = from_der(der)
    assert found is not None
    assert (found.key, found.subject_cn, found.sans) == (key, "", ())


def test_real_certificates(shared_data: Path) -> None:
    """Each of the 48 certificates that masscan grabbed is read in full, whatever rules it breaks."""
    text = (shared_data / "scans/nmap/ivre__tests__samples__test-T443.xml").read_text()
    banners = re.findall(r'name="X509" banner="([^"]*)"', text)
    assert len(banners) == 48
    found = [from_base64(banner) for banner in banners]
    assert all(one is None or one.not_after for one in found)
    assert sum(one is not None for one in found) >= 40


def test_forms_of_a_hash() -> None:
    """Colons, spaces and capitals are the same hash; another length is none."""
    digest = "ab" * 32
    assert sha256_hex(":".join(["AB"] * 32)) == sha256_hex(digest) == digest
    assert sha256_hex("ab" * 20) is None
    assert sha256_hex(None) is None
    assert certificates.told(digest, serial="00:0A:BC").serial == "abc"

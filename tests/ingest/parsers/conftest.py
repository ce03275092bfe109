"""Fixtures of the parsers' tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@pytest.fixture(scope="session")
def certificate() -> x509.Certificate:
    """A self-signed certificate for example.org with two names and an address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.org")])
    start = datetime(2024, 1, 2, tzinfo=UTC)
    names = [x509.DNSName("example.org"), x509.DNSName("www.example.org")]
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(0xABC)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )


@pytest.fixture(scope="session")
def der(certificate: x509.Certificate) -> bytes:
    """Its DER form."""
    return certificate.public_bytes(serialization.Encoding.DER)


@pytest.fixture(scope="session")
def pem(certificate: x509.Certificate) -> str:
    """Its PEM form."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()

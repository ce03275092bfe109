"""Two certificates for the same name, for `make-samples.sh`: day 1's is about to expire, day 2's has replaced it.

python sample_certificates.py FOLDER    writes day1.crt, day1.key, day2.crt and day2.key
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "www.example.org"
LIFETIME = timedelta(days=90)


def write(folder: Path, name: str, start: datetime) -> None:
    """Make a key and a self-signed certificate valid from `start`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, NAME), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example Bakery")]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME), x509.DNSName("example.org")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / f"{name}.key").write_bytes(private)


if __name__ == "__main__":
    today = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    write(Path(sys.argv[1]), "day1", today - timedelta(days=83))
    write(Path(sys.argv[1]), "day2", today - timedelta(hours=3))

"""A private CA of tests: certificates of nodes as ours makes them, and those that no mesh should accept."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from spectra.fabric.link import TlsFiles

MESH = "mesh-test"
Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Made:
    """A certificate and its key."""

    key: Key
    certificate: x509.Certificate


def uri(name: str) -> str:
    """The identity of a node of the tests' mesh."""
    return f"spiffe://{MESH}/node/{name}"


class TestAuthority:
    """A root, an intermediate, and folders of nodes below `folder`."""

    __test__ = False

    def __init__(self, folder: Path, common_name: str = "Test root") -> None:
        self._folder = folder
        self._root = _make(common_name, None, ca=True)
        self._intermediate = _make("Test intermediate", self._root, ca=True)

    def node(
        self, name: str, *, lifetime: timedelta = timedelta(hours=1), common_name: str = "", dns: Sequence[str] = ()
    ) -> TlsFiles:
        """The files of a node, made or renewed."""
        made = _make(common_name or name, self._intermediate, uris=[uri(name)], dns=dns, lifetime=lifetime)
        return self._write(name, made)

    def server(self, name: str = "coordinator") -> TlsFiles:
        """The files of a coordinator, whose certificate names this machine too."""
        made = _make(name, self._intermediate, uris=[uri(name)], dns=["localhost"], ips=["127.0.0.1"])
        return self._write(name, made)

    def _files(self, name: str) -> TlsFiles:
        folder = self._folder / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return TlsFiles(folder / "tls.crt", folder / "tls.key", folder / "roots.pem")

    def _write(self, name: str, made: Made) -> TlsFiles:
        files = self._files(name)
        files.cert.write_bytes(_pem(made.certificate) + _pem(self._intermediate.certificate))
        files.key.write_bytes(
            made.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        files.key.chmod(0o600)
        files.roots.write_bytes(_pem(self._root.certificate))
        return files


def strangers(folder: Path, ours: TlsFiles, name: str, common_name: str = "") -> TlsFiles:
    """A certificate of another CA in the name of a node of ours, by somebody who knows our root."""
    files = TestAuthority(folder, "Another root").node(name, common_name=common_name)
    files.roots.write_bytes(ours.roots.read_bytes())
    return files


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _make(
    common_name: str,
    issuer: Made | None,
    *,
    ca: bool = False,
    uris: Sequence[str] = (),
    dns: Sequence[str] = (),
    ips: Sequence[str] = (),
    lifetime: timedelta = timedelta(hours=1),
) -> Made:
    """A certificate that ends `lifetime` from now, and began two minutes before now or before its end."""
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, now + lifetime) - timedelta(minutes=2))
        .not_valid_after(now + lifetime)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(text) for text in uris]
    names += [x509.DNSName(text) for text in dns]
    names += [x509.IPAddress(ipaddress.ip_address(text)) for text in ips]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if not ca:
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return Made(key, builder.sign(issuer.key if issuer else key, hashes.SHA256()))

"""The files of nodes, made by our own CA: those that hold, and those that no mesh should accept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509 as cx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from spectra.fabric.link import TlsFiles
from spectra.identity import x509
from spectra.identity.ca import Authority, Issued
from spectra.identity.names import node_uri
from spectra.identity.x509 import Kind, PrivateKey

MESH = "mesh-test"
HOUR = timedelta(hours=1)


def uri(name: str) -> str:
    """The identity of a node of the tests' mesh."""
    return node_uri(MESH, name)


class TestAuthority:
    """A CA of the tests' mesh, and the folders of its nodes, below `folder`."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ca = Authority.create(folder / ".ca", MESH, datetime.now(UTC))

    def node(
        self,
        name: str,
        *,
        lifetime: timedelta = HOUR,
        common_name: str = "",
        dns: Sequence[str] = (),
        key: Kind = "p256",
    ) -> TlsFiles:
        """The files of a node, made or renewed; a lifetime below zero ended so long ago."""
        now, made = datetime.now(UTC), x509.new_key(key)
        if lifetime < timedelta(0):
            now, lifetime = now + lifetime - HOUR, HOUR
        subject = common_name or name
        issued = self.ca.issue(
            x509.csr(made, name, []),
            subject=subject,
            uris=[uri(name)],
            dns=dns,
            lifetime=lifetime,
            now=now,
            rename=True,
        )
        return self._write(name, made, issued)

    def server(self, name: str = "coordinator") -> TlsFiles:
        """The files of a coordinator, whose certificate names this machine too."""
        now, made = datetime.now(UTC), x509.new_key()
        issued = self.ca.issue(
            x509.csr(made, name, []),
            subject=name,
            uris=[uri(name)],
            dns=["localhost"],
            ips=["127.0.0.1"],
            lifetime=HOUR,
            now=now,
            server=True,
        )
        return self._write(name, made, issued)

    def rotate(self) -> None:
        """A new root, which is trusted beside the old one by who gets files from now on."""
        self.ca = self.ca.rotate(datetime.now(UTC))

    def _write(self, name: str, key: PrivateKey, issued: Issued) -> TlsFiles:
        folder = self._folder / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = TlsFiles(folder / "tls.crt", folder / "tls.key", folder / "roots.pem")
        files.cert.write_text(issued.pem)
        files.key.write_bytes(x509.key_pem(key))
        files.key.chmod(0o600)
        files.roots.write_text(x509.pem(*self.ca.roots))
        return files


def strangers(folder: Path, ours: TlsFiles, name: str, common_name: str = "") -> TlsFiles:
    """A certificate that somebody signed in the name of a node of ours, who knows our root; any common name will do."""
    now, key = datetime.now(UTC), ec.generate_private_key(ec.SECP256R1())
    subject = cx.Name([cx.NameAttribute(NameOID.COMMON_NAME, common_name or name)])
    certificate = (
        cx.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(cx.random_serial_number())
        .not_valid_before(now - HOUR)
        .not_valid_after(now + HOUR)
        .add_extension(cx.SubjectAlternativeName([cx.UniformResourceIdentifier(uri(name))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True)
    files = TlsFiles(folder / "tls.crt", folder / "tls.key", folder / "roots.pem")
    files.cert.write_text(x509.pem(certificate))
    files.key.write_bytes(x509.key_pem(key))
    files.roots.write_bytes(ours.roots.read_bytes())
    return files

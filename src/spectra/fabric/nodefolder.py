"""The folder of a machine that joined a mesh: what it is, its two keys, its certificate and the roots it trusts.

    node.json    what it is and where it reaches the mesh      tls.key      key of the certificate
    tls.crt      the certificate and what follows it           signing.pem  Ed25519 key of what it submits
    roots.pem    every root trusted now

Each file is written whole or not at all, for the owner's eyes only. Joining writes the keys first and `node.json` last:
where that stands, there is a certificate. A renewal keeps the key, so it changes one file.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import msgspec
from cryptography import x509

from spectra.errors import SetupError
from spectra.fabric.errors import MeshError
from spectra.fabric.link import TlsFiles
from spectra.identity import private_file
from spectra.identity.errors import IdentityError
from spectra.identity.keys import SigningKey
from spectra.identity.x509 import PrivateKey, fingerprint, load_key, new_key, pem, read_pem, save_key
from spectra.model.nodes import FabricPlace, NodeName, Role, Transport

MAX_CERTIFICATES: Final = 8  # of a chain, and of the roots trusted at once


class NodeState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a machine knows of itself. `registered`: the coordinator has its signing key; before that the join goes on.

    `transport`, `region`, `relay` and `tpm` are what was said when joining; None or empty: the settings decide.
    `revoked` says since when it knows that it was thrown out.
    """

    mesh: str
    name: NodeName
    role: Role
    uri: str
    ca_url: str
    api_url: str
    fabric: FabricPlace = FabricPlace()
    transport: Transport | None = None
    region: str = ""
    relay: bool | None = None
    tpm: str = ""
    registered: bool = False
    revoked: datetime | None = None
    version: Literal[1] = 1

    def speaks(self, setting: Transport | None) -> Transport:
        """What it speaks with the mesh: as was said when joining, else by the setting, else by its role."""
        return self.transport or setting or ("mqtt" if self.role == "worker" else "nats")


class NotJoined(MeshError):
    """This machine is no node of a mesh."""

    reason = "not_joined"


class NodeFolder:
    """The files of one node below `path`, which need not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state = path / "node.json"
        self._signing = path / "signing.pem"
        self.tls = TlsFiles(cert=path / "tls.crt", key=path / "tls.key", roots=path / "roots.pem")

    @property
    def joined(self) -> bool:
        """Whether there is a certificate of a mesh in here, registered or not."""
        return _exists(self._state)

    @property
    def state(self) -> NodeState:
        """What the machine is. Raises `NotJoined`, or `SetupError` where the file is damaged."""
        if not _exists(self._state):
            raise NotJoined(
                f"this machine has not joined a mesh: there is no {self._state}.",
                hint="Ask the mesh's operator for a join token: `spectra node token` prints the command to run here.",
            )
        try:
            return msgspec.json.decode(private_file.read(self._state), type=NodeState)
        except (msgspec.DecodeError, RecursionError) as error:
            raise SetupError(f"{self._state} is damaged: {error}.", hint="Join anew with a new token.") from error

    def write_state(self, state: NodeState) -> None:
        """Keep what the machine is."""
        private_file.write(self._state, msgspec.json.format(msgspec.json.encode(state)) + b"\n", overwrite=True)

    def make_keys(self, kind: Literal["p256", "ed25519"] = "p256") -> tuple[PrivateKey, SigningKey]:
        """The two keys, made where they are missing: what was begun with them can be gone on with."""
        if not self.tls.key.exists():
            save_key(new_key(kind), self.tls.key)
        if not self._signing.exists():
            SigningKey.generate().save(self._signing)
        return self.tls_key, self.signing_key

    @property
    def tls_key(self) -> PrivateKey:
        """The key of the certificate."""
        return load_key(self.tls.key)

    @property
    def signing_key(self) -> SigningKey:
        """The key that signs what this machine submits."""
        return SigningKey.load(self._signing)

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """The certificate and what follows it. Raises `NotJoined` where there is none."""
        if not _exists(self.tls.cert):
            raise NotJoined(f"there is no certificate {self.tls.cert}.", reason="no_certificate")
        return self._certificates(self.tls.cert)

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate of this machine."""
        return self.chain[0]

    @property
    def roots(self) -> tuple[x509.Certificate, ...]:
        """Every root trusted now."""
        return self._certificates(self.tls.roots)

    def write_chain(self, chain: Sequence[x509.Certificate]) -> None:
        """Keep a certificate and what follows it."""
        private_file.write(self.tls.cert, pem(*chain).encode(), overwrite=True)

    def write_roots(self, roots: Sequence[x509.Certificate]) -> bool:
        """Trust these roots and no other from now on; whether that is news. Without any, nothing changes."""
        if not roots or (self.tls.roots.exists() and _prints(self.roots) == _prints(roots)):
            return False
        private_file.write(self.tls.roots, pem(*roots).encode(), overwrite=True)
        return True

    def forget(self) -> None:
        """Remove what makes this machine a node, `node.json` first; harmless where nothing is left."""
        names = ("ak.pub", "ak.priv", "agent.json", "law.json", "apis.json", "relays.json")  # of `collect`
        others = [self.path / name for name in names]
        shutil.rmtree(self.path / "spool", ignore_errors=True)  # results that no other mesh would take
        for path in (self._state, self.tls.cert, self.tls.key, self._signing, self.tls.roots, *others):
            path.unlink(missing_ok=True)

    def _certificates(self, path: Path) -> tuple[x509.Certificate, ...]:
        try:
            return read_pem(private_file.read(path).decode("ascii", "replace"), MAX_CERTIFICATES)
        except IdentityError as error:
            raise SetupError(f"{path} is damaged: {error.message}", hint="Join anew with a new token.") from error


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError as error:
        raise SetupError(
            f"cannot read {path}: {error.strerror}.", hint="Run as the user that joined the mesh."
        ) from error


def _prints(certificates: Sequence[x509.Certificate]) -> frozenset[str]:
    return frozenset(fingerprint(one) for one in certificates)

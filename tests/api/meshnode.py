"""The mesh of the tests' node: its real listener with TLS, and machines that ask it."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import ssl
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from spectra.errors import SpectraError
from spectra.fabric.link import TlsFiles
from spectra.flow.authority import Certificates
from spectra.identity import rotation, x509
from spectra.identity.keys import SigningKey
from spectra.listening import port_of, url_of
from spectra.meshparts import MeshParts, mesh_listening
from spectra.model.joining import Invitation, Invite
from spectra.model.nodes import RefusalRecord
from spectra.settings import AttestationSettings, LimitsSettings, MeshSettings, Settings
from spectra.store import refusals
from spectra.store.accounts import Act
from tests.api.node import Node
from tests.support.postgres import reachable_folder
from tests.support.waiting import eventually


def now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


@dataclass
class Machine:
    """A machine with its keys and, once it has one, its certificate, in a folder of its own."""

    name: str
    folder: Path
    key: x509.PrivateKey = field(default_factory=x509.new_key)
    signing: SigningKey = field(default_factory=SigningKey.generate)

    def csr(self, *sans: str) -> str:
        """A certificate request."""
        return x509.csr(self.key, self.name, sans).decode()

    @property
    def files(self) -> TlsFiles:
        """Where its certificate and key are."""
        return TlsFiles(self.folder / "tls.crt", self.folder / "tls.key", self.folder / "roots.pem")

    def take(self, answer: dict[str, Any]) -> x509.x509.Certificate:
        """Keep the certificate that the CA answered with."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.files.cert.write_text("".join(answer["certChain"]))
        self.files.key.write_bytes(x509.key_pem(self.key))
        return self.certificate

    @property
    def certificate(self) -> x509.x509.Certificate:
        """Its certificate."""
        return x509.read_pem(self.files.cert.read_text())[0]

    def registration(self, contributor: str = "", role: str = "module") -> dict[str, Any]:
        """What it says to become a member."""
        statement = rotation.build_registration(
            self.signing, contributor=contributor or f"node-{self.name}", role=role, now=now()
        )
        can = {"cores": 4, "memory_mb": 2048, "arch": "aarch64", "os": "Linux", "software": "0.1"}
        return {"statement": statement.decode(), "capabilities": can, "transport": "mqtt"}


@dataclass
class MeshNode:
    """A served mesh."""

    node: Node
    parts: MeshParts
    url: str
    folder: Path

    @property
    def ca(self) -> Certificates:
        """The built-in CA."""
        assert self.parts.certificates is not None
        return self.parts.certificates

    def context(self, machine: Machine | None = None) -> ssl.SSLContext:
        """TLS that trusts the mesh's roots, and shows the certificate of `machine`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=x509.pem(*self.parts.signer.roots))
        if machine is not None:
            context.load_cert_chain(machine.files.cert, machine.files.key)
        return context

    def client(self, machine: Machine | None = None) -> httpx.Client:
        """An HTTP client of the mesh's listener."""
        return httpx.Client(base_url=self.url, verify=self.context(machine), timeout=30, trust_env=False)

    def ask(self, method: str, path: str, machine: Machine | None = None, **options: Any) -> httpx.Response:
        """One request."""
        with self.client(machine) as client:
            return client.request(method, path, **options)

    @property
    def act(self) -> Act:
        """An admin, now."""
        return Act("test", now())

    def invite(self, name: str = "", **asked: Any) -> Invitation:
        """A join token."""
        return self.parts.admin.invite(Invite(name=name, **asked), self.act)

    def machine(self, name: str = "") -> Machine:
        """A machine that nobody knows yet."""
        name = name or f"w-{secrets.token_hex(4)}"
        return Machine(name, self.folder / f"{name}-{secrets.token_hex(2)}")

    def sign(self, machine: Machine, token: str = "", **more: Any) -> httpx.Response:
        """Ask for its first certificate."""
        token = token or self.invite(machine.name).token
        return self.ask("POST", "/1.0/sign", json={"csr": machine.csr(), "ott": token, **more})

    def enrolled(self, name: str = "") -> Machine:
        """A machine with a certificate."""
        machine = self.machine(name)
        answer = self.sign(machine)
        assert answer.status_code == 201, answer.text
        machine.take(answer.json())
        return machine

    def joined(self, name: str = "") -> Machine:
        """A machine that is a member."""
        machine = self.enrolled(name)
        answer = self.ask("POST", "/v0/mesh/nodes", machine, json=machine.registration())
        assert answer.status_code == 201, answer.text
        return machine

    def refused(self, kind: str, who: str, times: int = 1) -> RefusalRecord:
        """The refusal that was counted, once it is `times` times or more: each is written up to a second later."""

        def found() -> RefusalRecord | None:
            rows = refusals.every(self.node.services.database, kind=kind)
            return next((row for row in rows if row.who == who and row.count >= times), None)

        record = eventually(found)
        assert record is not None
        return record


@contextlib.contextmanager
def mesh_of(node: Node, *, failures_per_minute: int = 0, **mesh: Any) -> Generator[MeshNode]:
    """A mesh around the services of `node`, without a fabric, on a free port."""
    folder = reachable_folder()
    settings = Settings(
        data_dir=folder / "data",
        mesh=MeshSettings(port=0, fabric="off", attestation=AttestationSettings(), **mesh),
        limits=LimitsSettings(mesh_failures_per_minute=failures_per_minute),
    )

    def fail(error: SpectraError) -> None:
        raise AssertionError(str(error))

    try:
        with mesh_listening(settings) as listener:
            assert listener is not None
            parts = MeshParts(settings, node.services.database, clock=node.services.clock, port=port_of(listener))
            with parts.serving(node.services, listener, fail):
                yield MeshNode(node, parts, url_of("https", "127.0.0.1", port_of(listener)), folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)

"""A CA at work on a test's database: certificates, their admin, and machines that come for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.x509 import Certificate

from spectra.flow.authority import Certificates, Terms, record_roots
from spectra.flow.members import Members, Places
from spectra.flow.meshadmin import MeshAdmin
from spectra.identity import rotation, x509
from spectra.identity.ca import Authority, Issued
from spectra.identity.keys import SigningKey
from spectra.model.joining import Invitation, Invite
from spectra.model.nodes import Capabilities, Role
from spectra.model.registration import Registration, Welcome
from spectra.store.accounts import Act
from spectra.store.database import Database

MESH = "mesh-test"
URL = "https://127.0.0.1:8766"
HOSTS = ("127.0.0.1", "localhost", "mesh.example.org")
TERMS = Terms(timedelta(hours=24), timedelta(days=7))
CAN = Capabilities(cores=4, memory_mb=2048, arch="aarch64", os="Linux", software="0.1")


@dataclass
class Machine:
    """What a machine that joins holds."""

    key: x509.PrivateKey = field(default_factory=x509.new_key)
    signing: SigningKey = field(default_factory=SigningKey.generate)

    def csr(self, name: str = "", *sans: str) -> bytes:
        """A certificate request."""
        return x509.csr(self.key, name, sans)

    def registration(self, name: str, now: datetime, *, role: str = "module", contributor: str = "") -> Registration:
        """What it says to become a member."""
        statement = rotation.build_registration(
            self.signing, contributor=contributor or f"node-{name}", role=role, now=now
        )
        return Registration(statement.decode(), CAN, "mqtt")


class MeshDesk:
    """A CA, its database and its admin; counts what it tells others."""

    def __init__(self, folder: Path, database: Database, clock: Callable[[], datetime], hold: str = "") -> None:
        self.database = database
        self.clock = clock
        self.hold = hold
        self.changes = 0
        self.root_changes = 0
        self.members = Members(
            database,
            MESH,
            Places(URL, URL, HOSTS),
            clock=clock,
            on_change=self._changed,
            hold=lambda role: self.hold,
        )
        authority = Authority.open_or_create(folder / "ca", MESH, clock())
        record_roots(authority, database, self.act)
        self.certificates = Certificates(authority, database, self.members, terms=TERMS, clock=clock)
        self.admin = MeshAdmin(
            self.certificates, self.members, database, own="coordinator-1", on_roots=self._roots_changed
        )

    def _changed(self) -> None:
        self.changes += 1

    def _roots_changed(self) -> None:
        self.root_changes += 1

    @property
    def act(self) -> Act:
        """An admin, now."""
        return Act("alice", self.clock())

    def invite(self, name: str = "", *, role: Role = "worker", reusable: bool = False, ttl_s: int = 3600) -> Invitation:
        """A join token."""
        assert role != "coordinator"
        return self.admin.invite(Invite(role=role, name=name, reusable=reusable, ttl_s=ttl_s), self.act)

    def enrolled(self, name: str, machine: Machine | None = None) -> tuple[Machine, Issued]:
        """A machine with its first certificate."""
        machine = machine or Machine()
        return machine, self.certificates.sign(machine.csr(name), self.invite(name).token)

    def joined(self, name: str) -> tuple[Machine, Certificate]:
        """A machine that is a member."""
        machine, issued = self.enrolled(name)
        self.registered(issued.leaf, machine.registration(name, self.clock()))
        return machine, issued.leaf

    def registered(self, leaf: Certificate, said: Registration) -> Welcome:
        """What a machine is told that says this with its certificate."""
        return self.members.register(self.members.known(leaf), said, self.certificates.roots)

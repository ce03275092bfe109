"""Machines show their state over the mesh's own listener, with the certificates they joined for."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import httpx
import psycopg
import pytest
from psycopg import sql

from spectra.collect.attest import attest
from spectra.collect.joining import Joining, Wishes
from spectra.collect.tpm import Tpm
from spectra.errors import SpectraError
from spectra.fabric.calls import Refused
from spectra.fabric.enrol import member_call
from spectra.fabric.nodefolder import NodeFolder
from spectra.identity import measure
from spectra.identity.measure import Measurement
from spectra.meshparts import MeshParts
from spectra.model.attestations import Challenge, Evidence, TpmKeys, Verdict, Word
from spectra.model.joining import Invite
from spectra.model.nodes import Capabilities, NodeRecord
from spectra.settings import ApiSettings, AttestationSettings, MeshSettings, Settings
from spectra.store import nodes, refusals
from spectra.store.accounts import Act
from spectra.store.database import Database, migrate
from tests.api.node import Node
from tests.support.papertpm import PaperTpm
from tests.support.postgres import drop, in_database
from tests.support.swtpm import SoftTpm, soft
from tests.support.waiting import eventually

__all__ = ["soft"]
pytestmark = pytest.mark.engine

T = TypeVar("T")

ABLE = Capabilities(cores=2, memory_mb=2048, arch="x", os="x", software="x")
MEASURED = Measurement(
    binary="1" * 64, interpreter="2" * 64, configuration="3" * 64, software="1.2.0", python="3.11.2 (main)"
)


def now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


@dataclass
class Mesh:
    """A coordinator with its listener."""

    parts: MeshParts
    database: Database
    folder: Path

    def join(self, name: str, role: str = "worker") -> Machine:
        """A machine that was invited and came."""
        asked = Invite(role="full" if role == "full" else "worker", name=name)
        invited = self.parts.admin.invite(asked, Act("root", now()))
        folder = NodeFolder(self.folder / name)
        Joining(folder, now=now, pause=_no_pause).join(invited.token, Wishes(name=name), lambda: ABLE, "mqtt")
        return Machine(self, folder, name)


def _no_pause(_: float) -> None:
    """Nothing here is tried twice."""


@dataclass
class Machine:
    """A member; what it asks goes over TLS with its certificate."""

    mesh: Mesh
    folder: NodeFolder
    name: str

    def ask(self, method: str, path: str, kind: type[T], /, body: object = None) -> T:
        """One request."""
        return member_call(self.folder, method, path, kind, now=now(), body=body)

    def show(self, tpm: Tpm | None = None) -> Verdict | None:
        """Show its state."""
        key = self.folder.signing_key
        return attest(self.ask, node=self.name, key=key, tpm=tpm, measured=lambda: MEASURED)

    def reason_of(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        """How a request is refused."""
        with pytest.raises(Refused) as caught:
            self.ask(method, path, Challenge, body)
        return caught.value.status, caught.value.reason

    @property
    def record(self) -> NodeRecord:
        """What the coordinator knows of it."""
        return nodes.get(self.mesh.database, self.name)


@pytest.fixture(scope="module")
def mesh(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A mesh without a fabric, on a database of its own: full nodes have to have a TPM."""
    folder, name = tmp_path_factory.mktemp("mesh"), f"spectra_mesh_{secrets.token_hex(6)}"
    server = node.services.database.url
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} ENCODING 'UTF8'").format(sql.Identifier(name)))
    settings = Settings(
        data_dir=folder,
        api=ApiSettings(port=0),
        mesh=MeshSettings(port=0, fabric="off", attestation=AttestationSettings(full="required", every_s=60)),
    )
    try:
        with Database(in_database(server, name), pool_size=6) as database, socket.socket() as listener:
            migrate(database)
            listener.bind(("127.0.0.1", 0))
            listener.listen(16)
            parts = MeshParts(settings, database, clock=now, port=listener.getsockname()[1])
            with parts.serving(replace(node.services, database=database), listener, _fail):
                yield Mesh(parts, database, folder)
    finally:
        drop(server, name)


def _fail(error: SpectraError) -> None:
    raise AssertionError(error)


def test_a_machine_shows_its_state_by_its_tpm(mesh: Mesh, soft: SoftTpm, tmp_path: Path) -> None:
    """A full node gets no work before, and work at once afterwards; a change is told, here and in its record."""
    machine, tpm = mesh.join("full-1", "full"), Tpm(soft.tcti, tmp_path)
    assert machine.record.standing == "quarantined"
    assert machine.record.reason == "it has not proved its state by a TPM yet, which mesh.attestation.full requires"
    assert machine.show(tpm) == Verdict(ok=True, standing="active", every_s=60, kind="tpm")
    assert machine.record.standing == "active"
    soft.extend(4)
    verdict = machine.show(tpm)
    assert verdict is not None
    assert verdict.reason.startswith("PCR 4 was 000000000000 when it was accepted and is ")
    assert (machine.record.standing, machine.record.reason) == ("quarantined", verdict.reason)
    mesh.parts.admin.release("full-1", Act("root", now()))
    assert machine.show(tpm) == Verdict(ok=True, standing="active", every_s=60, kind="tpm")


def test_a_machine_without_a_tpm_gives_its_word(mesh: Mesh) -> None:
    """Good for a worker, and not for a full node, which is told why."""
    worker, full = mesh.join("worker-1"), mesh.join("full-2", "full")
    assert worker.show() == Verdict(ok=True, standing="active", every_s=60, kind="statement")
    verdict = full.show()
    assert verdict is not None
    assert (verdict.standing, full.record.standing) == ("quarantined", "quarantined")
    assert verdict.reason == "it has no TPM to prove its state by, which mesh.attestation.full requires"


def test_lies_are_refused_counted_and_visible(mesh: Mesh) -> None:
    """What was forged, not asked for or is none; with the node's name and what it was."""
    machine = mesh.join("worker-2")
    asked = machine.ask("GET", "/v0/mesh/attest", Challenge)
    assert len(asked.nonce) == 64
    forged = Evidence(asked.nonce, PaperTpm().quote(bytes.fromhex(asked.nonce)))
    assert machine.reason_of("POST", "/v0/mesh/attest", forged) == (400, "bad_tpm_key")
    assert machine.reason_of("POST", "/v0/mesh/attest", forged)[1] == "no_challenge"
    assert machine.reason_of("POST", "/v0/mesh/attest", {"nonce": "x"})[0] == 400
    assert machine.reason_of("POST", "/v0/mesh/attest/tpm", TpmKeys(ek=b"x", ak=b"y"))[1] == "bad_tpm_data"
    assert machine.record.standing == "quarantined"
    wanted = {"bad_tpm_key", "no_challenge", "bad_tpm_data"}
    seen = eventually(lambda: {one.kind for one in refusals.every(mesh.database) if one.who == "worker-2"} >= wanted)
    assert seen
    assert machine.show() == Verdict(ok=True, standing="active", every_s=60, kind="statement")


def test_who_has_no_certificate_is_asked_nothing(mesh: Mesh) -> None:
    """No nonce for strangers, and no proof of theirs is looked at."""
    folder = mesh.join("worker-3").folder
    url = folder.state.api_url
    evidence = {"nonce": "0a" * 32, "proof": {"type": "statement", "statement": "{}"}}
    with httpx.Client(base_url=url, verify=False, trust_env=False, timeout=30) as client:
        assert client.get("/v0/mesh/attest").status_code == 401
        assert client.post("/v0/mesh/attest", json=evidence).status_code == 401
        assert client.post("/v0/mesh/attest/tpm", json={"ek": "", "ak": ""}).status_code == 401


def test_a_machine_answers_for_itself(mesh: Mesh) -> None:
    """Another's challenge, or another's word over one's own, counts for nothing."""
    one, two = mesh.join("worker-4"), mesh.join("worker-5")
    asked = one.ask("GET", "/v0/mesh/attest", Challenge)
    said = measure.build(one.folder.signing_key, node="worker-4", nonce=asked.nonce, measured=MEASURED).decode()
    assert two.reason_of("POST", "/v0/mesh/attest", Evidence(asked.nonce, Word(said)))[1] == "no_challenge"
    own = two.ask("GET", "/v0/mesh/attest", Challenge)
    said = measure.build(one.folder.signing_key, node="worker-5", nonce=own.nonce, measured=MEASURED).decode()
    assert two.reason_of("POST", "/v0/mesh/attest", Evidence(own.nonce, Word(said)))[1] == "unknown_key"
    assert one.record.standing == "active"

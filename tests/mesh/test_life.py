"""The life of machines in a mesh, as real processes with certificates of some seconds: joining, renewing, leaving."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509 as cx

from spectra.cli.agentmain import REVOKED
from spectra.identity.x509 import fingerprint, read_pem
from tests.mesh.town import Board, Town, lines, town
from tests.support import coordinator as standin
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

LIFETIME_S = 12
NEEDS, FRESH, NO_CERTIFICATE, UNTOLD = 0, 1, 2, 255


@pytest.fixture(scope="module")
def mesh() -> Iterator[Town]:
    """One coordinator for this file."""
    with town(SPECTRA_MESH__LIFETIME_S=str(LIFETIME_S)) as made:
        yield made


@pytest.fixture(scope="module")
def worker(mesh: Town) -> Board:
    """A worker, joined by one command and a token, as `spectra node token` prints it."""
    words = mesh.running.cli("node", "token", "--name", "attic").split()
    assert words[:2] == ["spectra", "join"]
    return mesh.board("attic").begin(*words[1:], "--region", "roof")


@pytest.fixture(scope="module")
def full(mesh: Town) -> Board:
    """A full node."""
    return mesh.joined("vault", role="full")


def test_joined_machines_are_listed(mesh: Town, worker: Board, full: Board) -> None:
    """A worker came over MQTT and a full node over NATS; both are there with what they can do."""
    assert worker.connected
    assert full.connected
    mesh.wait("attic", presence="alive", standing="active")
    nodes = {node["name"]: node for node in lines(mesh.running.cli("nodes", "--json"))}
    attic, vault = nodes["attic"], nodes["vault"]
    assert (attic["role"], attic["transport"], vault["role"], vault["transport"]) == ("worker", "mqtt", "full", "nats")
    assert {one["role"] for one in nodes.values()} == {"worker", "full", "coordinator"}
    for node in (attic, vault):
        assert node["capabilities"]["cores"] > 0
        assert node["capabilities"]["memory_mb"] > 0
        assert node["capabilities"]["arch"]
        assert any(tool["name"] == "connect" for tool in node["capabilities"]["tools"])
        assert abs(node["skew_s"]) < 60
    assert (attic["capabilities"]["region"], vault["capabilities"].get("region", "")) == ("roof", "")
    assert mesh.node("attic")["uri"].endswith("/node/attic")


def test_a_token_lets_one_machine_in(mesh: Town, worker: Board) -> None:
    """The same one does not serve another machine; nor does this machine join twice."""
    invited = mesh.invite("cellar")
    first, second = mesh.board("cellar"), mesh.board("not-cellar")
    assert first.cli("join", invited["token"], "--no-start").strip().endswith("/node/cellar")
    refused = second.run("join", invited["token"], "--no-start")
    assert (refused.returncode, "used" in refused.stderr) == (1, True), refused.stderr
    assert not second.node.joined
    assert eventually(lambda: mesh.refused("token_used"))
    again = worker.run("join", mesh.token("attic-2"), "--no-start", "--data-dir", str(first.data_dir))
    assert (again.returncode, "spectra node leave" in again.stderr) == (1, True), again.stderr


def test_a_token_that_is_no_longer_good(mesh: Town) -> None:
    """Expired, or taken back: refused, and the machine is told why."""
    board = mesh.board("shed")
    expired = board.run("join", mesh.forged("shed", age=timedelta(hours=2)), "--no-start")
    assert (expired.returncode, "expired" in expired.stderr) == (1, True), expired.stderr
    invited = mesh.invite("barn")
    mesh.running.cli("node", "tokens", "--revoke", invited["id"])
    revoked = board.run("join", invited["token"], "--no-start")
    assert (revoked.returncode, "taken back" in revoked.stderr or "revoked" in revoked.stderr) == (1, True)
    assert not board.node.joined
    assert eventually(lambda: mesh.refused("token_expired") and mesh.refused("token_revoked"))


def test_another_coordinators_fingerprint(mesh: Town, tmp_path: Path) -> None:
    """The token names the CA of another mesh: nothing is sent to this one, and the token stays good."""
    other = standin.coordinator(tmp_path / "other")
    token = mesh.forged("loft", fingerprint=fingerprint(other.authority.root))
    refused = mesh.board("loft").run("join", token, "--no-start")
    assert refused.returncode == 1, refused.stderr
    assert "is not the one that the token names" in refused.stderr
    invited = {one["name"]: one for one in mesh.running.get("/v0/nodes/tokens", all=True)["tokens"]}
    assert invited["loft"].get("used", 0) == 0


def test_a_ca_that_the_token_does_not_pin(mesh: Town, tmp_path: Path) -> None:
    """Somebody else answers at the address, even with the right root in hand: no request is sent to them."""
    impostor = standin.coordinator(tmp_path / "impostor")
    board = mesh.board("garage")
    with standin.serving(impostor):
        token = mesh.forged("garage", ca_url=impostor.url)
        unknown = board.run("join", token, "--no-start")
        impostor.shown_root = _root(mesh)
        copied = board.run("join", token, "--no-start")
    assert (unknown.returncode, copied.returncode) == (1, 1)
    assert "is not the one that the token names" in unknown.stderr
    assert "does not prove to belong to the mesh" in copied.stderr
    assert {asked.method for asked in impostor.asked} <= {"GET"}
    assert not any("sign" in asked.path for asked in impostor.asked)


def _root(mesh: Town) -> cx.Certificate:
    return read_pem((mesh.running.data_dir / "ca" / "root.crt").read_text())[0]


def test_certificates_are_renewed_by_themselves(mesh: Town, worker: Board, full: Board) -> None:
    """Before their end, and without a node being missed; that of the coordinator, too."""
    held = {board: board.node.certificate.serial_number for board in (worker, full)}
    own = next(node for node in lines(mesh.running.cli("nodes", "--json")) if node["role"] == "coordinator")
    for board in (worker, full):
        eventually(lambda board=board: board.node.certificate.serial_number != held[board])
        eventually(lambda board=board: board.renewals and board.connected)
    moment = datetime.now(UTC)
    for name, board in (("attic", worker), ("vault", full)):
        mesh.wait(name, after=moment, presence="alive")
        eventually(lambda name=name, board=board: _told_serial(mesh, name) == board.node.certificate.serial_number)
    eventually(lambda: _told_serial(mesh, own["name"]) != int(own["certificate"]["serial"]), every_s=0.2)
    assert not mesh.turns("attic", "vault")


def _told_serial(mesh: Town, name: str) -> int:
    """Of the newest certificate that the coordinator knows of a node."""
    return int(mesh.node(name)["certificate"]["serial"])


def test_a_machine_that_wakes_too_late(mesh: Town, worker: Board) -> None:
    """It slept past the end of its certificate: it is due by its exit code, and renews by itself when it wakes."""
    slept = worker.renewals
    worker.signal(signal.SIGSTOP)
    try:
        eventually(lambda: datetime.now(UTC) > worker.end_of_certificate)
        assert worker.run("node", "needs-renewal").returncode == NEEDS
        mesh.wait("attic", presence="dead")
    finally:
        woke = datetime.now(UTC)
        worker.signal(signal.SIGCONT)
    eventually(lambda: worker.renewals > slept and worker.connected)
    mesh.wait("attic", after=woke, presence="alive", standing="active")
    assert worker.end_of_certificate > woke


def test_whether_a_certificate_is_due(mesh: Town, worker: Board) -> None:
    """What `step certificate needs-renewal` exits with: nothing there, not yet, and what cannot be read."""
    assert mesh.board("empty").run("node", "needs-renewal").returncode == NO_CERTIFICATE
    damaged = mesh.board("damaged")
    shutil.copytree(worker.node.path, damaged.node.path)
    damaged.cli("node", "renew")
    assert damaged.run("node", "needs-renewal").returncode == FRESH
    damaged.node.tls.cert.write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    assert damaged.run("node", "needs-renewal").returncode == UNTOLD


def test_the_authority_is_rotated(mesh: Town, worker: Board, full: Board) -> None:
    """Nodes stay, take the new root as they renew, outlive the old one's end, and new ones join under the new one."""
    old = fingerprint(_root(mesh))
    mesh.running.cli("ca", "rotate")
    new = mesh.running.cli("ca", "fingerprint").strip()
    assert new != old
    boards = {"attic": worker, "vault": full}
    for board in boards.values():
        eventually(lambda board=board: {fingerprint(root) for root in board.node.roots} == {old, new})
        eventually(lambda board=board: _is_under(board, new) and board.connected)
    mesh.running.cli("ca", "retire")
    retired = datetime.now(UTC)
    renewals = {name: board.renewals for name, board in boards.items()}
    mesh.joined("newcomer")
    for name, board in boards.items():
        eventually(lambda name=name, board=board: board.renewals > renewals[name] and board.connected)
        eventually(lambda board=board: [fingerprint(root) for root in board.node.roots] == [new])
        mesh.wait(name, after=retired, presence="alive", standing="active")
    assert len(mesh.turns("vault")) == 0


def _is_under(board: Board, root: str) -> bool:
    """Whether the node's certificate was issued by an intermediate of this root."""
    trusted = next((one for one in board.node.roots if fingerprint(one) == root), None)
    leaf, issuer, *_ = board.node.chain
    return trusted is not None and issuer.issuer == trusted.subject and leaf.issuer == issuer.subject


def test_a_node_is_thrown_out(mesh: Town) -> None:
    """Its open connection ends and its agent with it; its key gets no certificate again, whatever the token."""
    board = mesh.joined("thief", role="full")
    kept = board.folder / "kept"
    shutil.copytree(board.node.path, kept)
    mesh.running.cli("node", "revoke", "thief", "--reason", "stolen", "--yes")
    assert board.process is not None
    assert board.process.wait(60) == REVOKED
    assert "stolen" in board.logged
    assert mesh.node("thief")["standing"] == "revoked"
    assert board.run("node", "run").returncode == REVOKED
    reusable = mesh.token(reusable=True)
    returned = mesh.board("returned")
    returned.node.path.mkdir(parents=True)
    for name in ("tls.key", "signing.pem"):
        shutil.copy(kept / name, returned.node.path / name)
    refused = returned.run("join", reusable, "--no-start")
    assert (refused.returncode, "revoked" in refused.stderr) == (1, True), refused.stderr
    shutil.rmtree(returned.node.path)
    shutil.copytree(kept, returned.node.path)
    renewed = returned.run("node", "renew")
    assert (renewed.returncode, "revoked" in renewed.stderr) == (1, True), renewed.stderr


def test_a_machine_leaves(mesh: Town) -> None:
    """Its keys are gone here and revoked there; with a new token it comes again, under another name."""
    board = mesh.joined("guest")
    board.cli("node", "leave")
    assert board.process is not None
    assert board.process.wait(60) == 0
    assert not board.node.tls.key.exists()
    node = mesh.wait("guest", standing="revoked", presence="left")
    assert node["reason"] == "left"
    assert board.run("node", "needs-renewal").returncode == NO_CERTIFICATE
    assert board.cli("join", mesh.token("guest-2"), "--no-start").strip().endswith("/node/guest-2")

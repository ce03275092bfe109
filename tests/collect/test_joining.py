"""Joining, broken off between any two steps and gone on with, over real TLS with a real CA."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from spectra.collect import joining
from spectra.collect.joining import AlreadyJoined, Joining, Wishes, own_name
from spectra.errors import BadRequest
from spectra.fabric.errors import MeshError, Unreachable
from spectra.fabric.nodefolder import NodeFolder, NodeState
from spectra.identity import x509
from spectra.identity.errors import IdentityError
from spectra.model.nodes import Capabilities, FabricPlace
from tests.support.coordinator import MESH, Coordinator, coordinator, serving

ABLE = Capabilities(cores=4, memory_mb=2000, arch="aarch64", os="Debian", software="0.1.0")


class Machine:
    """A machine that joins; `pauses` are what it would have waited, `after` is called instead of waiting."""

    def __init__(self, folder: Path, skew: timedelta = timedelta(0)) -> None:
        self.folder = NodeFolder(folder)
        self.pauses: list[float] = []
        self.told: list[str] = []
        self.skew = skew
        self.after: list[str] = []
        self.mesh: Coordinator | None = None

    def now(self) -> datetime:
        """Its clock."""
        return datetime.now(UTC) + self.skew

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if self.mesh and self.after:
            self.mesh.away.discard(self.after.pop(0))

    def join(self, token: str = "", **wishes: str) -> NodeState:
        """`spectra join`."""
        way = Joining(self.folder, now=self.now, pause=self._pause, tell=self.told.append)
        return way.join(token, Wishes(**wishes), lambda: ABLE, None)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Coordinator]:
    """A coordinator at work."""
    place = FabricPlace(mqtt="mqtts://127.0.0.1:8883", nats="tls://127.0.0.1:4222")
    with serving(coordinator(tmp_path / "mesh", fabric=place)) as running:
        yield running


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine that has not joined."""
    return Machine(tmp_path / "node")


def test_one_command_joins(mesh: Coordinator, machine: Machine) -> None:
    """A certificate, a registered signing key, and where the fabric is; a second join is refused."""
    state = machine.join(mesh.token(), region="eu-west")
    assert state == machine.folder.state
    assert (state.mesh, state.name, state.role, state.registered) == (MESH, "board-1", "worker", True)
    assert (state.fabric, state.region) == (mesh.fabric, "eu-west")
    member = mesh.members["board-1"]
    assert (member.standing, member.keyid) == ("active", machine.folder.signing_key.public.b64)
    assert (member.capabilities, member.transport) == (ABLE, "mqtt")
    assert machine.folder.roots == mesh.authority.roots
    assert x509.uri_of(machine.folder.certificate) == state.uri
    for token in ("", mesh.token("board-2")):
        with pytest.raises(AlreadyJoined, match="spectra node leave"):
            machine.join(token)


def test_a_full_node_speaks_nats(mesh: Coordinator, machine: Machine) -> None:
    """Unless it wishes otherwise; the wish stays with the folder."""
    state = machine.join(mesh.token("hub", role="full"))
    assert mesh.members["hub"].transport == "nats"
    assert state.speaks("mqtt") == "mqtt"
    machine.folder.forget()
    assert machine.join(mesh.token("hub-2", role="full"), transport="mqtt").speaks("nats") == "mqtt"


def test_without_a_token(machine: Machine) -> None:
    """The message says who has one."""
    with pytest.raises(BadRequest, match="spectra node token"):
        machine.join()
    with pytest.raises(IdentityError):
        machine.join("no token")
    assert not machine.folder.path.exists()


def test_a_wrong_fingerprint(mesh: Coordinator, machine: Machine, tmp_path: Path) -> None:
    """Another CA at the same place: nothing but the root is asked for, and nothing is made here."""
    with serving(coordinator(tmp_path / "impostor")) as impostor:
        token = token_at(mesh, impostor.url)
        impostor.shown_root = mesh.authority.root
        with pytest.raises(MeshError) as refused:
            machine.join(token)
        assert refused.value.reason == "untrusted"
        impostor.shown_root = None
        with pytest.raises(MeshError) as wrong:
            machine.join(token)
        assert wrong.value.reason == "wrong_fingerprint"
        assert all(one.path.startswith("/root/") for one in impostor.asked)
    assert not machine.folder.path.exists()


def token_at(mesh: Coordinator, url: str) -> str:
    """A token of the mesh for another place."""
    own, mesh.url = mesh.url, url
    try:
        return mesh.token()
    finally:
        mesh.url = own


def test_names(mesh: Coordinator, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token for one machine names it; with a reusable one the machine's wish counts, else its host name."""
    for name, said in (("board-2", "is for the name board-1"), ("Board_1", "no name of a node")):
        with pytest.raises(BadRequest, match=said):
            machine.join(mesh.token(), name=name)
    assert machine.join(mesh.token(""), name="attic").name == "attic"
    machine.folder.forget()
    monkeypatch.setattr(socket, "gethostname", lambda: "Pi_4.lan")
    assert machine.join(mesh.token("")).name == "pi-4"
    machine.folder.forget()
    monkeypatch.setattr(socket, "gethostname", lambda: "localhost")
    assert own_name() == ""
    assert machine.join(mesh.token("")).name == "made-up"


def test_a_lost_certificate_costs_no_token(mesh: Coordinator, machine: Machine) -> None:
    """The answer to the request got lost: the same key asks again and gets one."""
    mesh.deaf.add("/1.0/sign")
    assert machine.join(mesh.token()).registered
    assert machine.pauses == [1.0]
    assert "trying again in 1 s" in " ".join(machine.told)


def test_going_on_without_a_token(mesh: Coordinator, machine: Machine) -> None:
    """Broken off after the certificate: `spectra join` alone goes on, and so does the used token."""
    token = mesh.token()
    mesh.away.add("/v0/mesh/nodes")
    with pytest.raises(Unreachable):
        machine.join(token)
    assert machine.pauses == list(joining.PAUSES_S)
    serial = machine.folder.certificate.serial_number
    assert not machine.folder.state.registered
    with pytest.raises(Unreachable):
        machine.join(token)
    mesh.away.clear()
    assert machine.join().registered
    assert machine.folder.certificate.serial_number == serial


def test_another_token_begins_anew(mesh: Coordinator, machine: Machine) -> None:
    """What was begun for another name is forgotten, its keys with it."""
    mesh.away.add("/v0/mesh/nodes")
    with pytest.raises(Unreachable):
        machine.join(mesh.token("board-1"))
    key = x509.spki(machine.folder.tls_key)
    mesh.away.clear()
    assert machine.join(mesh.token("board-2")).name == "board-2"
    assert x509.spki(machine.folder.tls_key) != key


def test_patience_is_rewarded(mesh: Coordinator, machine: Machine) -> None:
    """A coordinator that is just starting."""
    machine.mesh, machine.after = mesh, ["", "", "/1.0/sign"]
    mesh.away.add("/1.0/sign")
    assert machine.join(mesh.token()).registered
    assert machine.pauses == [1.0, 2.0, 4.0]


def test_a_machine_that_was_thrown_out_joins_with_new_keys(mesh: Coordinator, machine: Machine) -> None:
    """Its old ones are refused for good."""
    state = machine.join(mesh.token())
    key, signing = x509.spki(machine.folder.tls_key), machine.folder.signing_key.public
    machine.folder.write_state(msgspec.structs.replace(state, revoked=machine.now()))
    with pytest.raises(BadRequest, match="needs a token"):
        machine.join()
    assert machine.join(mesh.token("board-2")).name == "board-2"
    assert x509.spki(machine.folder.tls_key) != key
    assert machine.folder.signing_key.public != signing


@pytest.mark.parametrize("minutes", [10, -10])
def test_a_wrong_clock(tmp_path: Path, minutes: int) -> None:
    """Ten minutes either way: the message says that it is the clock; once it is set, the same token serves."""
    with serving(coordinator(tmp_path / "mesh")) as mesh:
        machine = Machine(tmp_path / "node", timedelta(minutes=minutes))
        token = mesh.token()
        with pytest.raises(MeshError, match=f"10 min {'ahead of' if minutes > 0 else 'behind'}") as wrong:
            machine.join(token)
        assert wrong.value.reason == "wrong_clock"
        machine.skew = timedelta(0)
        assert machine.join(token).registered

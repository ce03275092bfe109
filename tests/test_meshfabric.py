"""The fabric of one coordinator: members come and go without a restart, ports that are taken, clusters elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spectra.api.services import Services
from spectra.errors import SetupError
from spectra.fabric import enrol, messages, subjects
from spectra.fabric.natslink import NatsLink
from spectra.fabric.nodefolder import NodeFolder, NodeState
from spectra.identity import jointokens, x509
from spectra.listening import listening, port_of
from spectra.model.joining import Invite
from spectra.model.nodes import Capabilities, Heartbeat
from spectra.settings import MeshSettings
from spectra.store import nodes, refusals
from spectra.store.accounts import Act
from tests.support.postgres import database_url, embedded, reachable_folder
from tests.support.waiting import eventually
from tests.test_meshparts import settings_of, started

__all__ = ["database_url", "embedded"]

pytestmark = pytest.mark.engine


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder."""
    made = reachable_folder()
    yield made / "data"
    shutil.rmtree(made, ignore_errors=True)


@pytest.mark.parametrize("which", ["nats_port", "mqtt_port"])
def test_a_taken_port_is_said_with_the_setting(folder: Path, database_url: str, which: str) -> None:
    """And nothing is left running."""
    with listening("127.0.0.1", 0, hint="") as other:
        settings = settings_of(folder, database_url, **{which: port_of(other)})
        with pytest.raises(SetupError) as caught, started(settings):
            pass
    assert "address already in use" in caught.value.message
    assert f"SPECTRA_MESH__{which.upper()}" in caught.value.hint


def test_an_external_cluster_is_configuration_only(folder: Path, database_url: str) -> None:
    """Machines are sent there; one that does not answer yet keeps nothing from starting."""
    elsewhere = {"fabric_url": "tls://127.0.0.1:1", "fabric_mqtt_url": "mqtts://127.0.0.1:2"}
    with started(settings_of(folder, database_url, fabric="external", **elsewhere)) as (_, status):
        assert (status.nats, status.mqtt) == ("tls://127.0.0.1:1", "mqtts://127.0.0.1:2")
    assert not (folder / "nats").exists()


def test_a_cluster_of_another_coordinator(folder: Path, database_url: str) -> None:
    """Whose CA knows this one: its heartbeats go through there."""
    with started(settings_of(folder, database_url)) as (_, first):
        shutil.copytree(folder / "ca", folder.parent / "second" / "ca")
        shutil.copytree(folder / "mesh", folder.parent / "second" / "mesh")
        (folder.parent / "second" / "mesh" / "ports.json").unlink()
        settings = settings_of(folder.parent / "second", database_url, fabric="external", fabric_url=first.nats)
        with started(settings) as (services, second):
            assert second.nats == first.nats
            eventually(lambda: nodes.get(services.database, second.node).presence == "alive", 60)


def joined(services: Services, folder: Path, name: str) -> NodeFolder:
    """A machine that enrolled over HTTPS and is a member."""
    assert services.mesh is not None
    invitation = services.mesh.invite(Invite(name=name, role="full"), Act("test", services.clock()))
    join, node = jointokens.peek(invitation.token), NodeFolder(folder)
    key, _ = node.make_keys()
    roots = enrol.bootstrap(join.ca_url, join.fingerprint, services.clock())
    chain = enrol.sign(join.ca_url, roots, x509.csr(key, name, []), invitation.token, services.clock())
    node.write_roots(roots)
    node.write_chain(chain)
    node.write_state(
        NodeState(mesh=join.mesh, name=name, role="full", uri=join.uri, ca_url=join.ca_url, api_url=join.api_url)
    )
    can = Capabilities(cores=1, memory_mb=1, arch="x", os="x", software="x")
    assert enrol.register(node, can, "nats", services.clock()).fabric.nats
    return node


class Client:
    """A machine's link, and what went wrong with it."""

    def __init__(self, node: NodeFolder, url: str) -> None:
        self.errors: list[str] = []
        self.name = node.state.name
        self.link = NatsLink([url], node.tls, self.name, on_error=lambda error: self.errors.append(error.reason))

    def says(self, subject: str) -> None:
        """A heartbeat on a subject that is its own, or is not."""
        beat = Heartbeat(version=1, node=self.name, incarnation=1, seq=0, sent=datetime.now(UTC))
        self.link.publish(subject, messages.encode(beat))


@pytest.fixture
def clients() -> Iterator[list[Client]]:
    """Links that are closed at the end."""
    made: list[Client] = []
    yield made
    for client in made:
        client.link.close()


def counted(services: Services, kind: str, who: str) -> bool:
    """Whether something of this kind was refused to somebody."""
    return any(row.who == who for row in refusals.every(services.database, kind=kind))


def test_members_come_speak_and_are_thrown_out(folder: Path, database_url: str, clients: list[Client]) -> None:
    """Heard within seconds of joining; another's subject is refused and counted; a revocation drops the connection."""
    with started(settings_of(folder, database_url)) as (services, status):
        assert services.mesh is not None
        client = Client(joined(services, folder.parent / "w1", "w1"), status.nats)
        clients.append(client)
        eventually(lambda: client.link.connected)
        client.says(subjects.presence("w1"))
        eventually(lambda: nodes.get(services.database, "w1").presence == "alive")
        heard = services.mesh.hearing()
        assert heard is not None
        assert heard.counts.get("alive", 0) >= 1
        client.says(subjects.presence("w2"))
        eventually(lambda: counted(services, "forbidden_publish", "w1"))
        services.mesh.revoke("w1", "stolen", Act("test", services.clock()))
        eventually(lambda: not client.link.connected and "refused" in client.errors)
        eventually(lambda: counted(services, "not_a_member", "w1"))


def test_an_older_key_of_the_same_name_is_out(folder: Path, database_url: str, clients: list[Client]) -> None:
    """Another machine came in the place of the first: though its certificate has hours left, the first is dropped."""
    with started(settings_of(folder, database_url)) as (services, status):
        first = Client(joined(services, folder.parent / "old", "w1"), status.nats)
        clients.append(first)
        eventually(lambda: first.link.connected)
        second = Client(joined(services, folder.parent / "new", "w1"), status.nats)
        clients.append(second)
        eventually(lambda: second.link.connected)
        eventually(lambda: not first.link.connected and "refused" in first.errors)
        assert second.link.connected


def test_its_own_certificate_is_renewed_without_a_stop(folder: Path, database_url: str, clients: list[Client]) -> None:
    """A rotation of the CA gives the coordinator another certificate: links that are open stay, new ones see it."""
    with started(settings_of(folder, database_url)) as (services, status):
        assert services.mesh is not None
        client = Client(joined(services, folder.parent / "w1", "w1"), status.nats)
        clients.append(client)
        eventually(lambda: client.link.connected)
        before = NodeFolder(folder / "mesh" / "node").certificate
        services.mesh.rotate(Act("test", services.clock()))
        assert NodeFolder(folder / "mesh" / "node").certificate != before
        node = joined(services, folder.parent / "w2", "w2")
        assert len(node.roots) == 2
        late = Client(node, status.nats)
        clients.append(late)
        eventually(lambda: late.link.connected)
        late.says(subjects.presence("w2"))
        client.says(subjects.presence("w1"))
        for name in ("w1", "w2"):
            eventually(lambda name=name: nodes.get(services.database, name).presence == "alive")


def test_settings_say_where_it_is() -> None:
    """An external fabric without a place is refused where it is read."""
    with pytest.raises(ValueError, match="fabric_url"):
        MeshSettings(fabric="external")

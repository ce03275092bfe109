"""The coordinator as a node of its own mesh: one certificate, kept, renewed, and made anew where it must be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from spectra.fabric.nodefolder import NodeFolder
from spectra.flow.members import Places
from spectra.flow.ownnode import OwnNode
from spectra.identity import x509
from spectra.identity.names import node_uri
from spectra.store import authorities, nodes
from spectra.store.database import Database
from tests.flow.desk import Clock
from tests.flow.meshdesk import MESH, URL, MeshDesk
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


class Owner:
    """A desk with the coordinator's own node."""

    def __init__(self, folder: Path, database: Database, clock: Clock) -> None:
        self.desk = MeshDesk(folder, database, clock)
        self.folder = NodeFolder(folder / "node")
        self.clock = clock
        self.renewed = 0

    def node(self, name: str = "", **options: object) -> OwnNode:
        """As a start makes it."""
        return OwnNode(
            self.desk.certificates,
            self.desk.members,
            self.folder,
            self.desk.database,
            name=name,
            clock=self.clock,
            on_renewed=self._renewed,
            **options,  # pyright: ignore[reportArgumentType]
        )

    def _renewed(self) -> None:
        self.renewed += 1


@pytest.fixture
def owner(tmp_path: Path, database: Database, clock: Clock) -> Owner:
    """Before the first start."""
    return Owner(tmp_path, database, clock)


def test_the_first_start_makes_a_node_that_later_ones_keep(owner: Owner) -> None:
    """Name, key and certificate stay; the folder is one that every command knows."""
    own = owner.node()
    assert own.ensure()
    first = owner.folder.certificate
    assert own.name.startswith("coordinator-")
    assert owner.folder.state.role == "coordinator"
    assert owner.folder.state.uri == node_uri(MESH, own.name)
    assert x509.pem(*owner.folder.roots) == x509.pem(*owner.desk.certificates.roots)
    record = nodes.get(owner.desk.database, own.name)
    assert (record.role, record.standing) == ("coordinator", "active")
    again = owner.node("another")
    assert not again.ensure()
    assert (again.name, owner.folder.certificate) == (own.name, first)


def test_a_name_that_is_set_is_taken(owner: Owner) -> None:
    """At the first start."""
    own = owner.node("hq")
    own.ensure()
    assert (own.name, owner.folder.state.name) == ("hq", "hq")


def test_it_is_renewed_when_two_thirds_are_over(owner: Owner) -> None:
    """And whoever uses it is told; before that nothing happens."""
    own = owner.node()
    own.ensure()
    key = x509.spki(owner.folder.certificate)
    owner.clock.now += timedelta(hours=12)
    own.look()
    assert owner.renewed == 0
    owner.clock.now += timedelta(hours=6)
    own.look()
    assert owner.renewed == 1
    assert owner.folder.certificate.not_valid_after_utc == owner.clock.now + timedelta(hours=24)
    assert x509.spki(owner.folder.certificate) == key


def damage(folder: NodeFolder) -> None:
    """A file that is no certificate."""
    folder.tls.cert.write_text("-")


def lose(folder: NodeFolder) -> None:
    """The key is gone."""
    folder.tls.key.unlink()


@pytest.mark.parametrize("harm", [damage, lose])
def test_what_was_damaged_is_made_anew(owner: Owner, harm: Callable[[NodeFolder], None]) -> None:
    """The name stays."""
    own = owner.node()
    own.ensure()
    harm(owner.folder)
    again = owner.node()
    assert again.ensure()
    assert again.name == own.name
    assert x509.spki(owner.folder.certificate) == x509.spki(owner.folder.tls_key)


def test_another_address_takes_another_certificate(owner: Owner) -> None:
    """Machines check the name that they call."""
    owner.node().ensure()
    owner.desk.members.places = Places(URL, URL, ("192.0.2.1", "localhost"))  # pyright: ignore[reportAttributeAccessIssue]
    assert owner.node().ensure()
    assert "192.0.2.1" in x509.requested(owner.folder.certificate)[1].ips


def test_after_a_rotation_it_is_by_the_new_root_at_once(owner: Owner) -> None:
    """And both roots are in its folder until the old one is retired."""
    own = owner.node()
    own.ensure()
    owner.desk.admin.rotate(owner.desk.act)
    own.look()
    assert owner.renewed == 1
    assert tuple(owner.folder.chain[1:]) == owner.desk.certificates.authority.chain
    assert len(owner.folder.roots) == 2
    owner.desk.admin.retire(owner.desk.act)
    own.look()
    assert owner.renewed == 2
    assert len(owner.folder.roots) == 1


def test_another_mesh_makes_another_node(owner: Owner, tmp_path: Path) -> None:
    """The CA's folder was removed: what was of the old mesh is worth nothing."""
    own = owner.node()
    own.ensure()
    other = Owner(tmp_path / "other", owner.desk.database, owner.clock)
    other.folder = owner.folder
    owner.folder.write_state(replace(owner.folder.state, mesh="mesh-x"))
    again = other.node()
    assert again.name != own.name
    assert again.ensure()
    assert owner.folder.state.mesh == MESH


def test_the_intermediate_is_renewed_in_time(owner: Owner) -> None:
    """At two thirds of its year; certificates of before hold on."""
    own = owner.node()
    own.ensure()
    before = owner.desk.certificates.authority.intermediate
    owner.clock.now += timedelta(days=250)
    own.look()
    after = owner.desk.certificates.authority.intermediate
    assert after != before
    assert owner.folder.chain[1] == after
    (root,) = authorities.every(owner.desk.database)
    assert root.intermediate == x509.fingerprint(after)


def test_chores_are_done_now_and_then(owner: Owner) -> None:
    """One that fails keeps neither the others nor the next round from being done."""
    done: list[str] = []

    def fail() -> None:
        done.append("fail")
        raise OSError("no")

    own = owner.node(look_every_s=0.01, chores=(fail, lambda: done.append("other")))
    own.start()
    try:
        eventually(lambda: done.count("other") > 1)
    finally:
        own.stop()
    assert done.count("fail") > 1

"""Whom a certificate speaks for at this moment, and how a machine becomes a member and leaves."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from spectra.errors import BadRequest, SpectraError
from spectra.flow.authority import Certificates
from spectra.identity import x509
from spectra.identity.errors import IdentityError
from spectra.identity.names import node_uri
from spectra.store import keys, nodes
from spectra.store.accounts import Act
from spectra.store.database import Database
from tests.flow.desk import Clock
from tests.flow.meshdesk import MESH, URL, Machine, MeshDesk

pytestmark = pytest.mark.engine


@pytest.fixture
def desk(tmp_path: Path, database: Database, clock: Clock) -> MeshDesk:
    """A CA."""
    return MeshDesk(tmp_path, database, clock)


@pytest.fixture
def ca(desk: MeshDesk) -> Certificates:
    """The CA itself."""
    return desk.certificates


def refused(reason: str) -> pytest.RaisesExc[SpectraError]:
    """Asserts that something is refused for this reason."""
    return pytest.raises(SpectraError, check=lambda error: error.reason == reason)


def test_a_member_is_known_by_its_certificate(desk: MeshDesk, ca: Certificates) -> None:
    """And submits with the key that it registered."""
    machine, leaf = desk.joined("w1")
    peer = desk.members.known(leaf)
    assert (peer.name, peer.role, peer.standing, peer.uri) == ("w1", "worker", "active", node_uri(MESH, "w1"))
    assert peer.keyid == machine.signing.public.keyid
    key = keys.find(desk.database, peer.keyid)
    assert key is not None
    assert (key.contributor, key.role, key.status) == ("node-w1", "module", "active")


def test_registering_says_where_the_mesh_is(desk: MeshDesk, ca: Certificates) -> None:
    """Once more with the same key is no news."""
    machine, issued = desk.enrolled("w1")
    first, welcome = (desk.registered(issued.leaf, machine.registration("w1", desk.clock())) for _ in range(2))
    assert first.node.keyid == welcome.node.keyid
    assert welcome.node.standing == "active"
    assert welcome.fabric.api == URL
    assert x509.read_pem(welcome.roots) == ca.roots


@pytest.mark.parametrize(
    ("words", "reason"),
    [({"contributor": "node-w2"}, "impostor"), ({"role": "admin"}, "impostor"), ({"contributor": "alice"}, "impostor")],
)
def test_nobody_registers_for_another(desk: MeshDesk, ca: Certificates, words: dict[str, str], reason: str) -> None:
    """Nor in a role with more rights."""
    machine, issued = desk.enrolled("w1")
    with refused(reason):
        desk.registered(issued.leaf, machine.registration("w1", desk.clock(), **words))
    assert nodes.get(desk.database, "w1").standing == "invited"


def test_who_has_to_prove_its_state_is_held_back(desk: MeshDesk, ca: Certificates) -> None:
    """From the first moment on, and so is a machine that takes an active one's place."""
    desk.joined("w1")
    desk.hold = "prove it"
    desk.joined("w2")
    assert (nodes.get(desk.database, "w2").standing, nodes.get(desk.database, "w2").reason) == (
        "quarantined",
        "prove it",
    )
    desk.enrolled("w1")
    assert nodes.get(desk.database, "w1").standing == "quarantined"


def test_who_leaves_is_gone_for_good(desk: MeshDesk, ca: Certificates) -> None:
    """Its certificate opens nothing any more."""
    _, leaf = desk.joined("w1")
    desk.members.leave("w1")
    with refused("revoked"):
        desk.members.known(leaf)
    assert nodes.get(desk.database, "w1").presence == "left"


def test_a_clock_that_runs_behind_is_said(desk: MeshDesk, ca: Certificates, clock: Clock) -> None:
    """Before the certificate holds."""
    _, leaf = desk.joined("w1")
    clock.now -= timedelta(hours=1)
    with refused("certificate_not_yet"):
        desk.members.known(leaf)


def test_a_name_that_is_no_member_is_told_so(desk: MeshDesk, ca: Certificates) -> None:
    """A database that was restored to an earlier day does not know who came since."""
    issued = ca.authority.issue(
        Machine().csr("ghost"), subject="ghost", uris=[node_uri(MESH, "ghost")], now=desk.clock()
    )
    with pytest.raises(IdentityError) as caught:
        desk.members.known(issued.leaf)
    assert caught.value.reason == "unknown_member"


def test_members_are_told_of_changes_alone(desk: MeshDesk, ca: Certificates) -> None:
    """A renewal changes nobody's rights."""
    _, leaf = desk.joined("w1")
    before = desk.changes
    ca.renew(leaf)
    assert desk.changes == before
    desk.admin.quarantine("w1", "odd", Act("alice", desk.clock()))
    assert desk.changes == before + 1
    with pytest.raises(BadRequest):
        desk.admin.revoke("coordinator-1", "no", desk.act)

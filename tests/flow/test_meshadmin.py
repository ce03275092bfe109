"""What people decide about the mesh: invitations, standing, and exchanging the CA's root without a stop."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.identity import jointokens, x509
from spectra.identity.cafolder import MAX_ROOTS
from spectra.model.joining import Invite
from spectra.store import authorities, nodes
from spectra.store.database import Database
from tests.flow.desk import Clock
from tests.flow.meshdesk import MESH, URL, Machine, MeshDesk

pytestmark = pytest.mark.engine


@pytest.fixture
def desk(tmp_path: Path, database: Database, clock: Clock) -> MeshDesk:
    """A CA."""
    return MeshDesk(tmp_path, database, clock)


def test_an_invitation_pins_the_ca(desk: MeshDesk) -> None:
    """The token says all that a machine has to know; a name is made up where none is asked for."""
    invitation = desk.invite(role="full")
    join = jointokens.peek(invitation.token)
    assert join.fingerprint == invitation.ca_fingerprint == x509.fingerprint(desk.certificates.authority.root)
    assert (join.ca_url, join.api_url, join.mesh, join.role) == (URL, URL, MESH, "full")
    assert join.name == invitation.name
    assert invitation.name.startswith("node-")
    assert nodes.get(desk.database, invitation.name).standing == "invited"


def test_a_reusable_invitation_names_nobody(desk: MeshDesk) -> None:
    """And may not."""
    invitation = desk.invite(reusable=True)
    assert (invitation.name, jointokens.peek(invitation.token).name) == ("", "")
    with pytest.raises(BadRequest):
        desk.admin.invite(Invite(name="w1", reusable=True), desk.act)


def test_standing_is_decided_and_told(desk: MeshDesk) -> None:
    """Each decision is stored and those who enforce it are told; nobody decides about the coordinator itself."""
    desk.joined("w1")
    before = desk.changes
    assert desk.admin.quarantine("w1", "odd", desk.act).standing == "quarantined"
    assert desk.admin.release("w1", desk.act).standing == "active"
    assert desk.admin.revoke("w1", "gone", desk.act).standing == "revoked"
    assert desk.changes == before + 3
    for decide in (desk.admin.revoke, desk.admin.quarantine):
        with pytest.raises(BadRequest, match="itself"):
            decide("coordinator-1", "no", desk.act)
        with pytest.raises(NotFound):
            decide("nobody", "no", desk.act)


def test_the_root_is_exchanged_in_two_steps(desk: MeshDesk, clock: Clock) -> None:
    """Rotate: old certificates hold, new ones are by the new root and hold for those who know the old one. Retire: the
    new root alone.
    """
    _, old = desk.joined("w1")
    first = desk.admin.authority()
    assert [root.current for root in first.roots] == [True]
    clock.advance(timedelta(hours=1))
    rotated = desk.admin.rotate(desk.act)
    assert rotated.fingerprint != first.fingerprint
    assert {root.fingerprint for root in rotated.roots} == {rotated.fingerprint, first.fingerprint}
    assert authorities.every(desk.database)[0].fingerprint == rotated.fingerprint
    ca = desk.certificates
    assert desk.members.known(old).name == "w1"
    renewed = ca.renew(old)
    assert ca.authority.verify(renewed.leaf, renewed.chain, clock.now)
    assert jointokens.peek(desk.invite("w2").token).fingerprint == rotated.fingerprint
    retired = desk.admin.retire(desk.act)
    assert [root.fingerprint for root in retired.roots] == [rotated.fingerprint]
    assert [root.fingerprint for root in authorities.every(desk.database)] == [rotated.fingerprint]
    assert desk.root_changes == 2


def test_rotating_without_end_is_refused(desk: MeshDesk) -> None:
    """Chains would grow with each; retire first."""
    for _ in range(MAX_ROOTS - 1):
        desk.admin.rotate(desk.act)
    with pytest.raises(BadRequest) as caught:
        desk.admin.rotate(desk.act)
    assert caught.value.reason == "ca_rotating"
    assert desk.admin.retire(desk.act).fingerprint == desk.admin.authority().fingerprint


def test_a_token_from_before_a_rotation_still_lets_in(desk: MeshDesk) -> None:
    """Its pin is a root that is still trusted, and the key that signed it stays."""
    token = desk.invite("w1").token
    desk.admin.rotate(desk.act)
    issued = desk.certificates.sign(Machine().csr(), token)
    assert desk.certificates.root(jointokens.peek(token).fingerprint) in desk.certificates.roots
    assert desk.members.known(issued.leaf).name == "w1"


def test_the_status_says_where_the_mesh_is(desk: MeshDesk) -> None:
    """Name, own name, and where machines join."""
    status = desk.admin.status()
    assert (status.name, status.node, status.url) == (MESH, "coordinator-1", URL)

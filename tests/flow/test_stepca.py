"""A step-ca in the place of the built-in CA: tokens that it takes, and what is not ours to do. The real one is tested
by `tests/mesh`.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

import pytest

from spectra.errors import BadRequest, SetupError
from spectra.fabric.errors import MeshError
from spectra.flow.members import Members, Places
from spectra.flow.meshadmin import MeshAdmin
from spectra.flow.signing import Asked
from spectra.flow.stepca import StepCa, open_provisioner
from spectra.identity import jointokens, private_file, x509
from spectra.identity.ca import Authority, Issued
from spectra.identity.names import node_uri
from spectra.identity.provisioner import Provisioner
from spectra.model.joining import Invite
from spectra.store import nodes
from spectra.store.database import Database
from tests.flow.desk import Clock
from tests.flow.meshdesk import HOSTS, MESH, URL, Machine
from tests.identity.test_provisionerkey import COMPACT, KID
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

CA = "https://127.0.0.1:9"  # where nobody answers


class External:
    """A coordinator whose CA is elsewhere; `authority` plays the CA's keys."""

    def __init__(self, folder: Path, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock
        self.authority = Authority.create(folder / "ca", MESH, clock())
        self.members = Members(database, MESH, Places(CA, URL, HOSTS), clock=clock, elsewhere=True)
        self.file = folder / "step-ca" / "roots.pem"
        private_file.write(self.file, x509.pem(*self.authority.roots).encode())
        self.signer = self.made(x509.fingerprint(self.authority.root))
        self.admin = MeshAdmin(self.signer, self.members, database, own="coordinator-1", on_roots=lambda: None)

    def made(self, pinned: str) -> StepCa:
        """The signer of a start: with roots that are kept it asks nobody."""
        return StepCa(
            self.members,
            self.database,
            self.authority.provisioner,
            pinned=pinned,
            file=self.file,
            clock=self.clock,
        )

    def issued(self, machine: Machine, name: str) -> Issued:
        """As that CA does, without asking us."""
        return self.authority.issue(
            machine.csr(name), subject=name, uris=[node_uri(MESH, name)], now=self.clock(), lifetime=timedelta(hours=24)
        )


@pytest.fixture
def external(tmp_path: Path, database: Database, clock: Clock) -> External:
    """One of them."""
    return External(tmp_path, database, clock)


def test_an_invitation_sends_machines_there(external: External) -> None:
    """The token is for that CA and pins its root; membership is asked for here."""
    invitation = external.admin.invite(Invite(name="w1"), external.members.act("x"))
    join = jointokens.peek(invitation.token)
    assert (join.ca_url, join.api_url, join.name) == (CA, URL, "w1")
    assert join.fingerprint == x509.fingerprint(external.authority.root) == invitation.ca_fingerprint
    audiences = jointokens.audiences(CA)
    assert jointokens.verify(
        invitation.token, provisioner=external.authority.provisioner, audiences=audiences, now=external.clock()
    )


def test_what_is_not_ours_to_do(external: External) -> None:
    """Exchanging roots, and tokens for whoever comes: step-ca takes none."""
    act = external.members.act("x")
    for refused in (
        lambda: external.admin.rotate(act),
        lambda: external.admin.retire(act),
        lambda: external.admin.invite(Invite(reusable=True), act),
        lambda: external.signer.token(Asked(id="0" * 32, name="", role="worker", ttl=timedelta(hours=1)), act),
    ):
        with pytest.raises(BadRequest) as caught:
            refused()
        assert caught.value.reason == "ca_external"
    shown = external.admin.authority()
    assert (shown.kind, shown.ca_url, shown.mesh) == ("external", CA, MESH)
    external.signer.maintain()
    assert external.signer.is_current(external.authority.chain)
    assert not external.signer.is_current([])


def test_a_machine_joins_with_a_certificate_from_there(external: External) -> None:
    """Invited here, certified there; a renewal there is known here when it is shown. Revocation is ours alone."""
    machine = Machine()
    external.admin.invite(Invite(name="w1"), external.members.act("x"))
    issued = external.issued(machine, "w1")
    peer = external.members.known(issued.leaf)
    assert peer.standing == "invited"
    welcome = external.members.register(peer, machine.registration("w1", external.clock()), external.signer.roots)
    assert welcome.node.standing == "active"
    external.clock.advance(timedelta(hours=16))
    renewed = external.issued(machine, "w1")
    external.members.known(renewed.leaf)
    record = nodes.get(external.database, "w1")
    assert record.certificate is not None
    assert record.certificate.serial == str(renewed.leaf.serial_number)
    external.admin.revoke("w1", "stolen", external.members.act("x"))
    for leaf in (renewed.leaf, external.issued(machine, "w1").leaf):
        with pytest.raises(BadRequest, match="revoked"):
            external.members.known(leaf)


def test_a_certificate_for_another_key_takes_nobodys_place(external: External) -> None:
    """That CA may certify more than we ask of it: only who is invited anew comes in the place of a node."""
    external.admin.invite(Invite(name="w1"), external.members.act("x"))
    machine, other = Machine(), Machine()
    peer = external.members.known(external.issued(machine, "w1").leaf)
    external.members.register(peer, machine.registration("w1", external.clock()), external.signer.roots)
    taking = external.issued(other, "w1").leaf
    with pytest.raises(BadRequest) as caught:
        external.members.known(taking)
    assert caught.value.reason == "unknown_token"
    external.admin.invite(Invite(name="w1"), external.members.act("x"))
    assert external.members.known(taking).spki == x509.spki(taking)
    with pytest.raises(BadRequest, match="revoked"):
        external.members.known(external.issued(machine, "w1").leaf)


def test_roots_that_are_kept_are_those_of_the_pin(external: External) -> None:
    """With another fingerprint in the settings they are asked for anew, and that CA has to have it."""
    assert external.made(x509.fingerprint(external.authority.root)).roots == external.authority.roots
    with pytest.raises(MeshError):
        external.made("0" * 64)
    private_file.write(external.file, b"no certificate", overwrite=True)
    with pytest.raises(SetupError, match=str(external.file)):
        external.made("0" * 64)


def test_a_chain_to_another_root_is_not_current(external: External, tmp_path: Path) -> None:
    """So the coordinator's own certificate is made anew after its CA was replaced."""
    other = Authority.create(tmp_path / "other", MESH, external.clock())
    assert not external.signer.is_current(other.chain)


def test_a_step_ca_that_is_away_is_said_once(external: External, caplog: pytest.LogCaptureFixture) -> None:
    """It is asked again and again; this mesh goes on."""
    heard = caplog.at_level(logging.WARNING, logger="spectra.mesh")
    with heard, external.signer.running(on_roots=lambda: pytest.fail("no roots came")):
        eventually(lambda: caplog.records)
        external.signer.wake()
    assert len(caplog.records) == 1
    with pytest.raises(MeshError):
        external.signer.look()


def test_the_files_of_a_provisioner(tmp_path: Path) -> None:
    """A key, and a password where it has one; what is neither is said with the settings."""
    key, password = tmp_path / "key", tmp_path / "password"
    private_file.write(key, Provisioner.create("admin@example.org").to_json())
    private_file.write(password, b"secret\n")
    assert open_provisioner("", key, None).name == "admin@example.org"
    assert open_provisioner("spectra", key, password).name == "spectra"
    private_file.write(key, COMPACT, overwrite=True)
    assert open_provisioner("spectra", key, password).kid == KID
    with pytest.raises(SetupError, match=r"no password") as caught:
        open_provisioner("spectra", key, None)
    assert "ca_provisioner_password" in caught.value.hint
    key.chmod(0o644)
    with pytest.raises(SetupError, match="mode"):
        open_provisioner("spectra", key, password)

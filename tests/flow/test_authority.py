"""The CA at work: one machine for one token, renewal within its bounds, and no way back for who is revoked."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509 as cx

from spectra.errors import NotFound, SpectraError
from spectra.flow.authority import Certificates, Period
from spectra.identity import jointokens, x509
from spectra.identity.ca import Issued
from spectra.identity.names import key_name, node_uri
from spectra.store import nodes
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


# --- joining ---


def test_a_token_is_good_for_one_certificate(desk: MeshDesk, ca: Certificates) -> None:
    """For the node that it names, by the CA, for a day; the node is invited until it becomes a member."""
    issued = ca.sign(Machine().csr(), desk.invite("w1").token)
    assert x509.uri_of(issued.leaf) == node_uri(MESH, "w1")
    assert x509.requested(issued.leaf)[1].dns == (key_name(x509.spki(issued.leaf), MESH),)
    assert ca.authority.verify(issued.leaf, issued.chain, desk.clock()) == node_uri(MESH, "w1")
    assert issued.leaf.not_valid_after_utc - desk.clock() == timedelta(hours=24)
    record = nodes.get(desk.database, "w1")
    assert (record.standing, record.role) == ("invited", "worker")
    assert record.certificate is not None
    assert record.certificate.serial == str(issued.leaf.serial_number)
    assert desk.changes == 1


def test_a_token_is_used_once(desk: MeshDesk, ca: Certificates) -> None:
    """Another machine with it is refused; the same key may ask again, because its answer may have been lost."""
    token, first = desk.invite("w1").token, Machine()
    ca.sign(first.csr(), token)
    with refused("token_used"):
        ca.sign(Machine().csr(), token)
    assert x509.uri_of(ca.sign(first.csr(), token).leaf) == node_uri(MESH, "w1")


def test_of_many_with_one_token_one_gets_in(desk: MeshDesk, ca: Certificates) -> None:
    """All at once."""
    token, got, reasons = desk.invite("w1").token, list[Issued](), list[str]()

    def come(machine: Machine) -> None:
        try:
            got.append(ca.sign(machine.csr(), token))
        except SpectraError as error:
            reasons.append(error.reason)

    threads = [threading.Thread(target=come, args=(Machine(),)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(got), reasons) == (1, ["token_used"] * 4)


def test_tokens_that_do_not_hold(desk: MeshDesk, ca: Certificates, clock: Clock) -> None:
    """Expired, revoked, forged by another key, for another purpose: each says what is wrong with it."""
    invitation = desk.invite("w1", ttl_s=60)
    desk.admin.revoke_token(invitation.id, desk.act)
    with refused("token_revoked"):
        ca.sign(Machine().csr(), invitation.token)
    late = desk.invite("w2", ttl_s=60).token
    clock.now += timedelta(minutes=10)
    with refused("token_expired"):
        ca.sign(Machine().csr(), late)
    for token in ("", "nonsense", late[:-4] + "AAAA", desk.invite("w3").token.replace(".", "")):
        with refused("bad_token"):
            ca.sign(Machine().csr(), token)


def test_a_token_of_another_mesh_is_none(desk: MeshDesk, ca: Certificates, database: Database, tmp_path: Path) -> None:
    """Its CA has another key, though everything else is the same."""
    other = MeshDesk(tmp_path / "other", database, desk.clock)
    with refused("bad_token"):
        ca.sign(Machine().csr(), other.invite("w1").token)


def test_a_token_that_was_never_recorded_is_none(desk: MeshDesk, ca: Certificates) -> None:
    """Also where it is signed by our own key: a stolen folder alone invites nobody."""
    authority = ca.authority
    token = jointokens.mint(
        authority.provisioner,
        ca_url=URL,
        api_url=URL,
        mesh=MESH,
        role="worker",
        fingerprint=x509.fingerprint(authority.root),
        now=desk.clock(),
        ttl=timedelta(hours=1),
        name="w1",
    )
    with refused("unknown_token"):
        ca.sign(Machine().csr(), token)


def test_a_request_for_other_names_is_refused(desk: MeshDesk, ca: Certificates) -> None:
    """Another node's identity, or a server's name; the token is still good for an honest one."""
    token = desk.invite("w1").token
    for sans in ([node_uri(MESH, "w2")], ["bank.example"], ["10.0.0.1"]):
        with refused("forbidden_name"):
            ca.sign(Machine().csr("w1", *sans), token)
    assert ca.sign(Machine().csr("w1", node_uri(MESH, "w1")), token)


def test_what_is_no_request_is_refused(desk: MeshDesk, ca: Certificates) -> None:
    """And uses nothing up."""
    token = desk.invite("w1").token
    for csr in (b"", b"x" * 100, b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"):
        with refused("bad_csr"):
            ca.sign(csr, token)
    assert ca.sign(Machine().csr(), token)


def test_a_reusable_token_names_who_comes(desk: MeshDesk, ca: Certificates) -> None:
    """As they call themselves where that is free and no name of ours; else a new name. The same key keeps its own."""
    token = desk.invite(reusable=True).token
    first = Machine()
    uris = [
        x509.uri_of(ca.sign(machine.csr(name), token).leaf)
        for machine, name in ((first, "board-1"), (Machine(), "board-1"), (Machine(), "ca"), (Machine(), "No Name"))
    ]
    assert uris[0] == node_uri(MESH, "board-1")
    assert len(set(uris)) == 4
    assert all(uri.startswith(f"spiffe://{MESH}/node/node-") for uri in uris[1:])
    assert x509.uri_of(ca.sign(first.csr("other"), token).leaf) == uris[0]


def test_the_period_is_honoured_within_bounds(desk: MeshDesk, ca: Certificates) -> None:
    """Shorter and a little shifted is fine, longer and long ago is not."""
    now, token = desk.clock(), desk.invite("w1").token
    for wrong in (
        Period(end=now + timedelta(hours=25)),
        Period(end=now),
        Period(begin=now + timedelta(hours=1), end=now),
        Period(begin=now - timedelta(days=30), end=now - timedelta(days=29, hours=12)),
    ):
        with refused("bad_period"):
            ca.sign(Machine().csr(), token, wrong)
    leaf = ca.sign(Machine().csr(), token, Period(now + timedelta(minutes=1), now + timedelta(minutes=6))).leaf
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(minutes=5)


def test_a_new_machine_takes_the_place_of_an_old_one(desk: MeshDesk, ca: Certificates) -> None:
    """An admin invites under the name again: the old machine's key is out from then on."""
    _, old = desk.joined("w1")
    desk.enrolled("w1")
    with refused("revoked"):
        desk.members.known(old)


# --- renewal ---


def test_renewal_gives_the_same_for_longer(desk: MeshDesk, ca: Certificates, clock: Clock) -> None:
    """Same key, same name; recorded before it is handed out."""
    _, leaf = desk.joined("w1")
    clock.now += timedelta(hours=16)
    renewed = ca.renew(leaf).leaf
    assert (x509.spki(renewed), x509.uri_of(renewed)) == (x509.spki(leaf), x509.uri_of(leaf))
    assert renewed.not_valid_after_utc == clock.now + timedelta(hours=24)
    record = nodes.get(desk.database, "w1")
    assert record.certificate is not None
    assert record.certificate.serial == str(renewed.serial_number)


def test_rekeying_takes_another_key(desk: MeshDesk, ca: Certificates) -> None:
    """Which the request proves to be there; for the same name alone."""
    _, leaf = desk.joined("w1")
    other = Machine()
    rekeyed = ca.rekey(leaf, other.csr("w1")).leaf
    assert x509.spki(rekeyed) == x509.spki(other.key)
    assert x509.requested(rekeyed)[1].dns == (key_name(x509.spki(other.key), MESH),)
    with refused("forbidden_name"):
        ca.rekey(leaf, other.csr("w2"))


def test_an_expired_certificate_is_renewed_by_a_token(desk: MeshDesk, ca: Certificates, clock: Clock) -> None:
    """Within the grace period and not after it; by its certificate alone it is known no more."""
    machine, issued = desk.enrolled("w1")
    clock.now += timedelta(days=3)
    with refused("certificate_expired"):
        ca.renew(issued.leaf)

    def token() -> str:
        return jointokens.renew_token(machine.key, (issued.leaf, *issued.chain), ca_url=URL, now=clock.now)

    renewed = ca.renew_by_token(token()).leaf
    assert desk.members.known(renewed).name == "w1"
    clock.now += timedelta(days=30)
    with refused("expired"):
        ca.renew_by_token(token())


def test_a_renew_token_for_a_stranger_s_certificate_is_none(desk: MeshDesk, ca: Certificates, tmp_path: Path) -> None:
    """One of another CA that names the same mesh and node."""
    other = MeshDesk(tmp_path / "other", desk.database, desk.clock)
    machine, issued = other.enrolled("w1")
    token = jointokens.renew_token(machine.key, (issued.leaf, *issued.chain), ca_url=URL, now=desk.clock())
    with refused("untrusted"):
        ca.renew_by_token(token)


# --- revocation ---


def test_who_is_revoked_comes_by_no_certificate(desk: MeshDesk, ca: Certificates) -> None:
    """Neither by renewal, nor by another key, nor by a renew token, nor by a new invitation of the name."""
    machine, issued = desk.enrolled("w1")
    desk.admin.revoke("w1", "stolen", desk.act)
    token = jointokens.renew_token(machine.key, (issued.leaf, *issued.chain), ca_url=URL, now=desk.clock())
    for attempt in (
        lambda: ca.renew(issued.leaf),
        lambda: ca.rekey(issued.leaf, Machine().csr("w1")),
        lambda: ca.renew_by_token(token),
    ):
        with refused("revoked"):
            attempt()
    with refused("node_revoked"):
        desk.invite("w1")
    with refused("revoked"):
        ca.sign(machine.csr("other"), desk.invite(reusable=True).token)


def test_a_certificate_revokes_itself(desk: MeshDesk, ca: Certificates) -> None:
    """As `step ca revoke --cert` does."""
    _, leaf = desk.joined("w1")
    ca.revoke_own(leaf, "")
    record = nodes.get(desk.database, "w1")
    assert (record.standing, record.reason) == ("revoked", "revoked by itself")


def revocation(ca: Certificates, serial: str, desk: MeshDesk, **claims: object) -> str:
    """A token as `step ca token --revoke` makes it with the provisioner's key."""
    at = int(desk.clock().timestamp())
    usual: dict[str, object] = {
        "iss": ca.authority.provisioner.name,
        "aud": f"{URL}/1.0/revoke",
        "sub": serial,
        "iat": at,
        "nbf": at,
        "exp": at + 300,
        "jti": "0123456789abcdef",
    }
    return ca.authority.provisioner.sign({**usual, **claims})


def test_a_revocation_token_is_good_once(desk: MeshDesk, ca: Certificates) -> None:
    """For the serial number that it names."""
    _, leaf = desk.joined("w1")
    serial = str(leaf.serial_number)
    with refused("bad_token"):
        ca.revoke_by_token(revocation(ca, serial, desk), "12", "")
    token = revocation(ca, serial, desk)
    ca.revoke_by_token(token, serial, "lost")
    assert nodes.get(desk.database, "w1").reason == "lost"
    with refused("token_used"):
        ca.revoke_by_token(token, serial, "lost")
    with pytest.raises(NotFound):
        ca.revoke_by_token(revocation(ca, "12", desk, jti="fedcba9876543210"), "12", "")


def test_a_join_token_revokes_nothing(desk: MeshDesk, ca: Certificates) -> None:
    """It is for another purpose."""
    _, leaf = desk.joined("w1")
    with refused("bad_token"):
        ca.revoke_by_token(desk.invite("w2").token, str(leaf.serial_number), "")


def test_the_list_of_revoked_certificates(desk: MeshDesk, ca: Certificates, clock: Clock) -> None:
    """Signed by the CA, with those that have not expired."""
    _, leaf = desk.joined("w1")
    assert len(cx.load_der_x509_crl(ca.crl().der)) == 0
    desk.admin.revoke("w1", "stolen", desk.act)
    made = ca.crl()
    crl = cx.load_der_x509_crl(made.der)
    assert crl.is_signature_valid(ca.authority.intermediate.public_key())  # pyright: ignore[reportArgumentType]
    assert crl.get_revoked_certificate_by_serial_number(leaf.serial_number) is not None
    assert cx.load_pem_x509_crl(made.pem) == crl
    assert made.until > clock.now
    clock.now += timedelta(days=2)
    assert len(cx.load_der_x509_crl(ca.crl().der)) == 0


# --- what it shows ---


def test_roots_are_found_by_fingerprint(ca: Certificates) -> None:
    """That is how a machine that knows nothing else begins to trust."""
    assert ca.root(x509.fingerprint(ca.authority.root)) == ca.authority.root
    with pytest.raises(NotFound):
        ca.root("ab" * 32)
    shown = ca.provisioner()
    assert shown["type"] == "JWK"
    assert set(ca.authority.provisioner.jwk_public()) == {
        "kty",
        "crv",
        "x",
        "y",
        "kid",
        "alg",
        "use",
    }  # nothing private
    assert shown["key"] == ca.authority.provisioner.jwk_public()


def test_the_coordinator_s_own_certificate_serves_and_speaks(desk: MeshDesk, ca: Certificates) -> None:
    """For every name it is reached by, and as a node."""
    leaf, *chain = ca.own(x509.new_key(), "coordinator-1")
    assert ca.is_current(chain)
    names = x509.requested(leaf)[1]
    assert names.dns == ("localhost", "mesh.example.org")
    assert names.ips == ("127.0.0.1",)
    assert names.uris == (node_uri(MESH, "coordinator-1"),)
    assert ca.authority.verify(leaf, chain, desk.clock()) == node_uri(MESH, "coordinator-1")
    assert leaf.not_valid_before_utc <= desk.clock() - timedelta(hours=1)

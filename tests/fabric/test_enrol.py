"""Becoming and staying a node, over real TLS with a real CA."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from spectra.fabric import enrol
from spectra.fabric.calls import Refused
from spectra.fabric.errors import MeshError, Unreachable
from spectra.fabric.nodefolder import NodeFolder, NodeState
from spectra.identity import x509
from spectra.identity.ca import Authority
from spectra.identity.jointokens import peek
from spectra.model.nodes import Capabilities
from tests.support.coordinator import MESH, Coordinator, coordinator, serving

ABLE = Capabilities(cores=4, memory_mb=2000, arch="aarch64", os="Debian", software="0.1.0")


def now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Coordinator]:
    """A coordinator at work."""
    with serving(coordinator(tmp_path / "mesh")) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> NodeFolder:
    """The folder of a machine."""
    return NodeFolder(tmp_path / "node")


def enrolled(mesh: Coordinator, folder: NodeFolder, name: str = "board-1", at: datetime | None = None) -> NodeFolder:
    """A machine with a certificate, not registered yet."""
    token = mesh.token(name)
    said = peek(token)
    roots = enrol.bootstrap(said.ca_url, said.fingerprint, now())
    key, _ = folder.make_keys()
    chain = enrol.sign(said.ca_url, roots, x509.csr(key, name, [said.uri]), token, at or now())
    enrol.require_ours(chain, x509.spki(key), said.uri)
    folder.write_roots(roots)
    folder.write_chain(chain)
    folder.write_state(NodeState(MESH, name, said.role, said.uri, said.ca_url, said.api_url))
    return folder


def test_the_root_is_believed_for_its_hash(mesh: Coordinator) -> None:
    """Asked of whoever answers, then used to check who that is."""
    print_ = x509.fingerprint(mesh.authority.root)
    assert enrol.bootstrap(mesh.url, print_, now()) == mesh.authority.roots
    assert mesh.paths() == [f"/root/{print_}", "/roots"]


def test_a_wrong_fingerprint_is_refused_before_anything_is_sent(mesh: Coordinator, tmp_path: Path) -> None:
    """A CA that has another root, shows another one, or shows the right one without its key."""
    other = Authority.create(tmp_path / "other", "mesh-other", now())
    wanted = x509.fingerprint(other.root)
    with pytest.raises(MeshError, match=r"Nothing was sent") as unknown:
        enrol.bootstrap(mesh.url, wanted, now())
    assert unknown.value.reason == "wrong_fingerprint"
    mesh.shown_root = mesh.authority.root
    with pytest.raises(MeshError) as another:
        enrol.bootstrap(mesh.url, wanted, now())
    assert another.value.reason == "wrong_fingerprint"
    mesh.shown_root = other.root
    with pytest.raises(MeshError) as posing:
        enrol.bootstrap(mesh.url, wanted, now())
    assert posing.value.reason == "untrusted"
    assert {one.path for one in mesh.asked} == {f"/root/{wanted}"}


def test_a_certificate_and_membership(mesh: Coordinator, folder: NodeFolder) -> None:
    """The certificate is for our key and name; the coordinator then knows the key that signs what we submit."""
    enrolled(mesh, folder)
    said = enrol.register(folder, ABLE, "mqtt", now())
    assert (said.node.name, said.node.standing) == ("board-1", "active")
    member = mesh.members["board-1"]
    assert (member.keyid, member.capabilities) == (folder.signing_key.public.b64, ABLE)
    assert enrol.register(folder, ABLE, "mqtt", now()).node.standing == "active"
    assert enrol.myself(folder, now()).node.name == "board-1"


def test_a_token_serves_one_key(mesh: Coordinator, folder: NodeFolder, tmp_path: Path) -> None:
    """Used again by the same machine it is a lost answer, by another one it is theft."""
    token = mesh.token()
    said = peek(token)
    roots = enrol.bootstrap(said.ca_url, said.fingerprint, now())
    key, _ = folder.make_keys()
    request = x509.csr(key, said.name, [said.uri])
    mesh.deaf.add("/1.0/sign")
    with pytest.raises(Unreachable):
        enrol.sign(said.ca_url, roots, request, token, now())
    assert x509.uri_of(enrol.sign(said.ca_url, roots, request, token, now())[0]) == said.uri
    stolen = x509.csr(x509.new_key(), said.name, [said.uri])
    with pytest.raises(Refused, match="used before") as refused:
        enrol.sign(said.ca_url, roots, stolen, token, now())
    assert (refused.value.reason, refused.value.status) == ("token_used", 401)


def test_a_certificate_of_somebody_else_is_not_taken(mesh: Coordinator, folder: NodeFolder) -> None:
    """Another key, another name, or none of a node's."""
    chain = enrolled(mesh, folder).chain
    ours = x509.spki(folder.tls_key)
    assert enrol.require_ours(chain, ours) == folder.state.uri
    for spki, uri in ((x509.spki(x509.new_key()), ""), (ours, f"spiffe://{MESH}/node/board-2")):
        with pytest.raises(MeshError) as wrong:
            enrol.require_ours(chain, spki, uri)
        assert wrong.value.reason == "wrong_certificate"
    with pytest.raises(MeshError):
        enrol.require_ours((mesh.authority.root,), ours)


def test_renewal(mesh: Coordinator, folder: NodeFolder) -> None:
    """A later end, the same key; the old certificate goes on working."""
    old = enrolled(mesh, folder).certificate
    mesh.skew = timedelta(hours=1)
    new = enrol.renew(folder, now())
    assert folder.certificate == new
    assert new.not_valid_after_utc > old.not_valid_after_utc
    assert x509.spki(new) == x509.spki(old)
    assert x509.uri_of(new) == folder.state.uri


def test_renewal_after_the_end(mesh: Coordinator, folder: NodeFolder) -> None:
    """By a token that the key signs, within the grace period; beyond it the CA says no."""
    mesh.skew = timedelta(days=-2)
    enrolled(mesh, folder, at=mesh.now)
    mesh.skew = timedelta(0)
    assert folder.certificate.not_valid_after_utc < now()
    mesh.grace = timedelta(0)
    with pytest.raises(Refused) as over:
        enrol.renew(folder, now())
    assert over.value.reason == "expired"
    mesh.grace = timedelta(days=7)
    assert enrol.renew(folder, now()).not_valid_after_utc > now()
    assert "board-1" not in {one.who for one in mesh.asked}


def test_a_revoked_machine_is_told(mesh: Coordinator, folder: NodeFolder) -> None:
    """In every call it may make; nothing else is taken for it."""
    enrolled(mesh, folder)
    mesh.throw_out("board-1")
    for call in (
        lambda: enrol.renew(folder, now()),
        lambda: enrol.myself(folder, now()),
        lambda: enrol.register(folder, ABLE, "nats", now()),
    ):
        with pytest.raises(MeshError) as refused:
            call()
        assert enrol.is_revoked(refused.value)
    assert not enrol.is_revoked(MeshError("x", reason="revoked"))
    assert not enrol.is_revoked(Refused("x", reason="expired"))


def test_leaving(mesh: Coordinator, folder: NodeFolder) -> None:
    """The mesh revokes what we had."""
    enrol.leave(enrolled(mesh, folder), now())
    assert mesh.members["board-1"].standing == "revoked"


def test_the_roots_of_a_rotation(mesh: Coordinator, folder: NodeFolder) -> None:
    """Both for a while; peers that know either are understood; then the new one alone. The node just goes on."""
    enrolled(mesh, folder)
    old = mesh.authority.root
    mesh.authority = mesh.authority.rotate(now())
    mesh.server_files()
    assert enrol.refresh_roots(folder, now())
    assert not enrol.refresh_roots(folder, now())
    assert set(folder.roots) == {old, mesh.authority.root}
    assert enrol.renew(folder, now()).issuer != old.subject
    mesh.authority = mesh.authority.retire(now())
    mesh.server_files()
    assert enrol.take_roots(folder, enrol.myself(folder, now()).roots)
    assert folder.roots == mesh.authority.roots
    assert not enrol.take_roots(folder, "")


def test_a_late_joiner_of_a_rotation(mesh: Coordinator, folder: NodeFolder) -> None:
    """A token made before pins the old root; who comes with it is told of both."""
    token_print = x509.fingerprint(mesh.authority.root)
    mesh.authority = mesh.authority.rotate(now())
    mesh.server_files()
    roots = enrol.bootstrap(mesh.url, token_print, now())
    assert x509.fingerprint(roots[0]) == token_print
    assert set(roots) == set(mesh.authority.roots)


def test_places_that_cannot_be(folder: NodeFolder, mesh: Coordinator) -> None:
    """A token or a folder that names no https URL is refused without a request."""
    enrolled(mesh, folder)
    folder.write_state(msgspec.structs.replace(folder.state, api_url="http://127.0.0.1:1"))
    with pytest.raises(MeshError, match="not the https URL"):
        enrol.myself(folder, now())


def test_certificates_that_are_none(mesh: Coordinator, folder: NodeFolder) -> None:
    """What the CA sends is read strictly."""
    enrolled(mesh, folder)
    with pytest.raises(MeshError) as wrong:
        enrol.take_roots(folder, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert wrong.value.reason == "bad_answer"

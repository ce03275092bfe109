"""A real step-ca of smallstep as the CA of a mesh: Spectra and its nodes get their certificates there."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from spectra.fabric import enrol
from spectra.fabric.nodefolder import NodeFolder, NodeState
from spectra.identity import x509
from spectra.identity.names import parse_uri
from tests.support.running import Running, spectra
from tests.support.steps import PROVISIONER, StepCaServer, program, step_ca
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


def settings_of(server: StepCaServer) -> dict[str, str]:
    """What makes it the CA of a mesh."""
    return {
        "SPECTRA_MESH__CA": "external",
        "SPECTRA_MESH__CA_URL": server.url,
        "SPECTRA_MESH__CA_FINGERPRINT": server.fingerprint,
        "SPECTRA_MESH__CA_PROVISIONER": PROVISIONER,
        "SPECTRA_MESH__CA_PROVISIONER_KEY": str(server.key),
        "SPECTRA_MESH__CA_PROVISIONER_PASSWORD": str(server.password),
    }


class Mesh(NamedTuple):
    """A running Spectra and its CA."""

    running: Running
    ca: StepCaServer

    @property
    def url(self) -> str:
        """Of the mesh's listener, where machines become members."""
        return self.running.get("/v0/status")["mesh"]["url"]

    def token(self, *words: str) -> str:
        """The token in the command that `spectra node token` prints."""
        return self.running.cli("node", "token", *words).split()[2]

    def node(self, name: str) -> Any:
        """What the mesh knows of a node."""
        return self.running.get(f"/v0/nodes/{name}")

    def folder(self, name: str) -> Path:
        """The data folder of a machine."""
        return self.running.folder / f"machine-{name}"

    def on(self, name: str, *words: str, code: int = 0) -> str:
        """`spectra WORDS` on that machine."""
        return self.running.cli(*words, code=code, SPECTRA_DATA_DIR=str(self.folder(name)))

    def join(self, name: str) -> NodeFolder:
        """A new machine joins and does not start its agent."""
        self.on(name, "join", self.token("--name", name), "--no-start")
        return NodeFolder(self.folder(name) / "node")


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """One for all tests in here."""
    for name in ("step", "step-ca"):
        program(name)
    with step_ca(tmp_path_factory.mktemp("step-ca")) as server, spectra(None, **settings_of(server)) as running:
        running.start()
        yield Mesh(running, server)


def by_step_ca(mesh: Mesh, folder: NodeFolder) -> bool:
    """Whether the chain of a certificate ends below its root."""
    (root,) = x509.read_pem((mesh.ca.folder / "step/certs/root_ca.crt").read_text())
    folder.chain[-1].verify_directly_issued_by(root)
    return folder.roots == (root,)


def test_the_coordinator_has_its_certificate_from_there(mesh: Mesh) -> None:
    """It serves with it, it is alive in the fabric with it, and it says who the CA is."""
    own = NodeFolder(mesh.running.data_dir / "mesh" / "node")
    assert by_step_ca(mesh, own)
    mesh.ca.step("certificate", "verify", mesh.url, "--roots", "step/certs/root_ca.crt")
    eventually(lambda: mesh.node(own.state.name)["presence"] == "alive")
    shown = mesh.running.get("/v0/nodes/ca")
    assert (shown["kind"], shown["fingerprint"], shown["ca_url"]) == ("external", mesh.ca.fingerprint, mesh.ca.url)
    assert mesh.running.cli("ca", "fingerprint").strip() == mesh.ca.fingerprint
    assert not (mesh.running.data_dir / "ca").exists()


def test_a_node_joins_works_renews_and_is_thrown_out(mesh: Mesh) -> None:
    """The whole life of a machine, with its agent running; step-ca refuses to renew what was revoked here."""
    folder = mesh.join("attic")
    assert by_step_ca(mesh, folder)
    assert mesh.node("attic")["standing"] == "active"
    mesh.on("attic", "node", "run", "--detach")
    try:
        eventually(lambda: mesh.node("attic")["presence"] == "alive")
        first = folder.certificate
        mesh.on("attic", "node", "renew")
        assert by_step_ca(mesh, folder)
        second = folder.certificate
        assert first.serial_number != second.serial_number
        assert x509.spki(first) == x509.spki(second)
        assert status_of(mesh, folder.tls.cert, folder.tls.key) == 200  # shown for the first time, and so on record
        assert mesh.node("attic")["certificate"]["serial"] == str(second.serial_number)
        mesh.running.cli("node", "revoke", "attic", "--reason", "stolen", "--yes")
        eventually(lambda: agent_of(mesh, "attic").get("ended") == "revoked")
    finally:
        mesh.running.run("node", "stop", SPECTRA_DATA_DIR=str(mesh.folder("attic")))
    for certificate in (first, second):
        eventually(lambda serial=certificate.serial_number: revoked_there(mesh, serial))
    assert status_of(mesh, folder.tls.cert, folder.tls.key) == 403
    for way in ("--mtls=true", "--mtls=false"):
        mesh.ca.step("ca", "renew", "--force", way, *trust(mesh), str(folder.tls.cert), str(folder.tls.key), code=1)
    assert "certificate has been revoked" in mesh.ca.logged


def revoked_there(mesh: Mesh, serial: int) -> bool:
    """Whether step-ca has put on record that this certificate is revoked."""
    told = [line for line in mesh.ca.logged.splitlines() if "path=/1.0/revoke" in line and f"serial={serial}" in line]
    return any("status=200" in line for line in told)


def agent_of(mesh: Mesh, name: str) -> Any:
    """The state that a machine's agent writes."""
    path = mesh.folder(name) / "node" / "agent.json"
    return json.loads(path.read_bytes()) if path.exists() else {}


def trust(mesh: Mesh) -> list[str]:
    """Where the step client finds its CA."""
    return ["--ca-url", mesh.ca.url, "--root", "step/certs/root_ca.crt"]


def status_of(mesh: Mesh, certificate: Path | None = None, key: Path | None = None) -> int:
    """How the mesh's listener answers to who shows this certificate, or none."""
    context = ssl.create_default_context(cafile=mesh.ca.folder / "step/certs/root_ca.crt")
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return httpx.get(f"{mesh.url}/v0/mesh/self", verify=context, trust_env=False).status_code


def test_a_certificate_that_step_got_is_good_for_the_mesh(mesh: Mesh) -> None:
    """The same token works with smallstep's client, once: the mesh's listener knows who comes with what it got."""
    step, folder = mesh.ca.step, mesh.ca.folder
    words = ["--token", mesh.token("--name", "barn"), *trust(mesh)]
    step("ca", "certificate", *words, "barn", "barn.crt", "barn.key")
    step("ca", "certificate", *words, "barn", "again.crt", "again.key", code=1)
    assert "token already used" in mesh.ca.logged
    assert status_of(mesh, folder / "barn.crt", folder / "barn.key") == 200
    assert status_of(mesh) == 401
    assert mesh.node("barn")["standing"] == "invited"


def test_a_node_that_slept_too_long_is_renewed_there(mesh: Mesh, tmp_path: Path) -> None:
    """By the token that a node signs with the key of its expired certificate, as far as the provisioner allows it."""
    step = mesh.ca.step
    words = ["--token", mesh.token("--name", "sleeper"), "--not-after=3s", *trust(mesh)]
    step("ca", "certificate", *words, "sleeper", "sleeper.crt", "sleeper.key")
    chain = x509.read_pem((mesh.ca.folder / "sleeper.crt").read_text())
    (tmp_path / "tls.key").touch(0o600)
    (tmp_path / "tls.key").write_bytes((mesh.ca.folder / "sleeper.key").read_bytes())
    folder, uri = NodeFolder(tmp_path), x509.uri_of(chain[0])
    folder.write_chain(chain)
    folder.write_roots(x509.read_pem((mesh.ca.folder / "step/certs/root_ca.crt").read_text()))
    folder.write_state(NodeState(parse_uri(uri)[0], "sleeper", "worker", uri, mesh.ca.url, mesh.url))
    eventually(lambda: datetime.now(UTC) > chain[0].not_valid_after_utc)
    renewed = enrol.renew(folder, datetime.now(UTC))
    assert renewed.not_valid_after_utc > datetime.now(UTC)
    assert status_of(mesh, folder.tls.cert, folder.tls.key) == 200


def test_what_it_certifies_for_others_takes_nobodys_place(mesh: Mesh) -> None:
    """Whoever else has a provisioner of that step-ca can name a node, but was not invited by the mesh."""
    step, folder, node = mesh.ca.step, mesh.ca.folder, mesh.join("cellar")
    words = ["--provisioner", PROVISIONER, "--provisioner-password-file", "password", *trust(mesh)]
    for name in ("cellar", "stranger"):
        uri = node.state.uri.replace("cellar", name)
        step("ca", "certificate", "--san", uri, *words, name, f"{name}.crt", f"{name}.key")
        assert status_of(mesh, folder / f"{name}.crt", folder / f"{name}.key") == 401
    assert status_of(mesh, node.tls.cert, node.tls.key) == 200
    assert mesh.node("cellar")["standing"] == "active"


def test_what_step_ca_does_not_do_is_said(mesh: Mesh) -> None:
    """It takes each token for the name in it, and its root is exchanged there: no machine has to find that out."""
    for words in (("node", "token", "--reusable"), ("ca", "rotate"), ("ca", "retire", "--yes")):
        done = mesh.running.run(*words)
        assert (done.returncode, "step-ca" in done.stderr) == (1, True), done.stderr


def test_a_step_ca_that_is_away_stops_nobody(mesh: Mesh) -> None:
    """Who has a certificate goes on, revocation is in force at once, and step-ca is told once it is back."""
    gone, kept = mesh.join("dock"), mesh.join("eaves")
    mesh.ca.stop()
    try:
        mesh.running.cli("node", "revoke", "dock", "--reason", "stolen", "--yes")
        assert status_of(mesh, gone.tls.cert, gone.tls.key) == 403
        mesh.running.end()
        mesh.running.start()  # with what it kept
        assert status_of(mesh, kept.tls.cert, kept.tls.key) == 200
    finally:
        mesh.ca.start()
    mesh.running.cli("node", "revoke", "eaves", "--reason", "stolen", "--yes")
    for folder in (gone, kept):
        eventually(lambda serial=folder.certificate.serial_number: revoked_there(mesh, serial))

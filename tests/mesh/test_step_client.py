"""The real `step` client of smallstep against the CA of a Spectra that was started as people start it."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.running import Running, spectra
from tests.support.steps import Step, program
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

NEEDED, NOT_NEEDED, NO_FILE = 0, 1, 2  # exit codes of `step certificate needs-renewal`


class Mesh(NamedTuple):
    """A running Spectra and what the client is told of its CA."""

    running: Running
    url: str
    fingerprint: str

    def token(self, *words: str) -> str:
        """The token in the command that `spectra node token` prints."""
        command = self.running.cli("node", "token", *words)
        assert command.startswith("spectra join ")
        return command.split()[2]

    def node(self, name: str) -> Any:
        """What the mesh knows of a node."""
        return self.running.get(f"/v0/nodes/{name}")

    def refused(self, kind: str) -> list[str]:
        """Who was refused something of this kind."""
        return [one["who"] for one in self.running.get("/v0/nodes/refusals", kind=kind)["refusals"]]


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    """One Spectra for all tests in here; each has nodes of its own."""
    program("step")
    with spectra(SPECTRA_MESH__FABRIC="off") as running:
        running.start()
        yield Mesh(running, running.get("/v0/status")["mesh"]["url"], running.cli("ca", "fingerprint").strip())


@pytest.fixture
def step(mesh: Mesh, tmp_path: Path) -> Step:
    """A client that trusts the mesh's CA by the fingerprint of its root."""
    client = Step(tmp_path)
    client("ca", "bootstrap", "--ca-url", mesh.url, "--fingerprint", mesh.fingerprint)
    return client


def enrol(step: Step, mesh: Mesh, name: str, *words: str) -> None:
    """`NAME.crt` and `NAME.key` for a new node."""
    step("ca", "certificate", name, f"{name}.crt", f"{name}.key", "--token", mesh.token("--name", name), *words)


def crl_of(step: Step, mesh: Mesh, certificate: str) -> str:
    """The mesh's revocation list as step reads it, its signature verified by what follows `certificate`."""
    trust = ssl.create_default_context(cafile=step.folder / "step/certs/root_ca.crt")
    (step.folder / "list.crl").write_bytes(httpx.get(f"{mesh.url}/crl", verify=trust, trust_env=False).content)
    end = "-----END CERTIFICATE-----\n"
    (step.folder / "issuer.crt").write_text((step.folder / certificate).read_text().split(end)[1] + end)
    return step("crl", "inspect", "list.crl", "--ca", "issuer.crt", "--format", "json")


def test_it_bootstraps_and_finds_the_ca_healthy(mesh: Mesh, step: Step) -> None:
    """By the fingerprint that `spectra ca fingerprint` prints; then over verified TLS."""
    assert step("ca", "health").strip() == "ok"
    step("ca", "roots", "roots.pem")
    assert step("certificate", "fingerprint", "roots.pem").strip() == mesh.fingerprint
    step("ca", "root", "root.pem")
    assert (step.folder / "root.pem").read_text() == (step.folder / "roots.pem").read_text()
    assert '"name": "spectra"' in step("ca", "provisioner", "list")


def test_a_wrong_fingerprint_is_refused(mesh: Mesh, tmp_path: Path) -> None:
    """The client keeps nothing of a CA that has no such root."""
    client = Step(tmp_path)
    said = client("ca", "bootstrap", "--ca-url", mesh.url, "--fingerprint", "0" * 64, code=1)
    assert "not found" in said
    assert not (client.folder / "step/certs/root_ca.crt").exists()


@pytest.mark.parametrize(
    ("name", "key"),
    [("p256", ()), ("ed25519", ("--kty", "OKP", "--crv", "Ed25519")), ("rsa", ("--kty", "RSA", "--size", "2048"))],
)
def test_it_gets_and_renews_a_certificate(mesh: Mesh, step: Step, name: str, key: tuple[str, ...]) -> None:
    """With the very token that `spectra node token` prints; renewed by mutual TLS and by a token of its key."""
    enrol(step, mesh, name, *key)
    first = step.inspect(f"{name}.crt")
    assert first["subject"]["common_name"] == [name]
    uri = mesh.node(name)["uri"]
    assert first["extensions"]["subject_alt_name"]["uniform_resource_identifiers"] == [uri]
    step("certificate", "verify", f"{name}.crt", "--roots", "step/certs/root_ca.crt")
    step("certificate", "needs-renewal", f"{name}.crt", code=NOT_NEEDED)
    serials = {first["serial_number"]}
    for way in ("--mtls=true", "--mtls=false"):
        step("ca", "renew", way, "--force", f"{name}.crt", f"{name}.key")
        again = step.inspect(f"{name}.crt")
        assert again["extensions"]["subject_alt_name"]["uniform_resource_identifiers"] == [uri]
        serials.add(again["serial_number"])
    assert len(serials) == 3
    assert mesh.node(name)["certificate"]["serial"] in serials
    step("ca", "rekey", "--force", f"{name}.crt", f"{name}.key")
    assert step.inspect(f"{name}.crt")["serial_number"] not in serials


def test_it_says_from_when_until_when(mesh: Mesh, step: Step) -> None:
    """Durations as Go writes them, negative ones too; the second counts from the first."""
    enrol(step, mesh, "early", "--not-before=-5m", "--not-after=15m")
    held = step.inspect("early.crt")["validity"]["length"]
    assert 15 * 60 - 1 <= held <= 16 * 60  # backdated by a minute at most, and both ends count


def test_a_token_is_good_for_one_machine(mesh: Mesh, step: Step) -> None:
    """The second to come with it is told so, and counted."""
    token = mesh.token("--name", "once")
    step("ca", "certificate", "once", "once.crt", "once.key", "--token", token)
    said = step("ca", "certificate", "once", "other.crt", "other.key", "--token", token, code=1)
    assert "used already" in said
    assert not (step.folder / "other.crt").exists()
    eventually(lambda: mesh.refused("token_used"))


def test_a_reusable_token_names_machines(mesh: Mesh, step: Step) -> None:
    """Each that comes is another node, named by the mesh."""
    token = mesh.token("--reusable")
    for file in ("one", "two"):
        step("ca", "certificate", "*", f"{file}.crt", f"{file}.key", "--token", token)
    names = {step.inspect(f"{file}.crt")["subject"]["common_name"][0] for file in ("one", "two")}
    assert len(names) == 2
    assert all(mesh.node(name)["standing"] == "invited" for name in names)


def test_an_expired_certificate_is_renewed_within_grace(mesh: Mesh, step: Step) -> None:
    """Mutual TLS is over by then; the client signs a token with its key instead."""
    enrol(step, mesh, "late", "--not-after", "3s")
    verify = ("certificate", "verify", "late.crt", "--roots", "step/certs/root_ca.crt")
    eventually(lambda: "expired" in step.run(*verify).stdout)
    step("certificate", "needs-renewal", "late.crt", code=NEEDED)
    step("ca", "renew", "--force", "late.crt", "late.key")
    step(*verify)
    step("certificate", "needs-renewal", "late.crt", code=NOT_NEEDED)
    step("certificate", "needs-renewal", "none.crt", code=NO_FILE)


def test_the_coordinators_own_certificate_verifies(mesh: Mesh, step: Step) -> None:
    """As any client would do it that trusts the root: name, chain and validity."""
    step("certificate", "verify", mesh.url, "--roots", "step/certs/root_ca.crt")
    place = urlsplit(mesh.url)
    assert place.hostname
    assert place.port
    pem = ssl.get_server_certificate((place.hostname, place.port))
    (step.folder / "server.crt").write_text(pem)
    assert "coordinator-" in step.inspect("server.crt")["subject"]["common_name"][0]


def test_its_holder_revokes_a_certificate(mesh: Mesh, step: Step) -> None:
    """With it goes the node: neither way of renewing is open any more, and the CRL has its serial number."""
    enrol(step, mesh, "lost")
    serial = step.inspect("lost.crt")["serial_number"]
    assert "has been revoked" in step("ca", "revoke", "--cert", "lost.crt", "--key", "lost.key", "--reason", "stolen")
    node = mesh.node("lost")
    assert (node["standing"], node["reason"]) == ("revoked", "stolen")
    for way in ("--mtls=true", "--mtls=false"):
        assert "revoked" in step("ca", "renew", way, "--force", "lost.crt", "lost.key", code=1)
    assert serial in crl_of(step, mesh, "lost.crt")
    eventually(lambda: "lost" in mesh.refused("revoked"))


def test_the_provisioners_key_revokes_any(mesh: Mesh, step: Step) -> None:
    """`step ca token --revoke` makes a token for one serial number; it is good once."""
    enrol(step, mesh, "other")
    serial = step.inspect("other.crt")["serial_number"]
    key = step.folder / "provisioner.jwk"
    key.touch(0o600)
    key.write_text(_key_of(mesh.running))
    token = step("ca", "token", serial, "--revoke", "--issuer", "spectra", "--key", str(key)).split()[-1]
    step("ca", "revoke", serial, "--token", token)
    assert mesh.node("other")["standing"] == "revoked"
    assert "used already" in step("ca", "revoke", serial, "--token", token, code=1)


def _key_of(running: Running) -> str:
    """The JWK that signs join tokens, as only the coordinator's account can read it."""
    return json.dumps(json.loads((running.data_dir / "ca/provisioner.json").read_bytes())["key"])

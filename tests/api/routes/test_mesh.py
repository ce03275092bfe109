"""What machines ask of their coordinator, by certificate, over real TLS."""

from __future__ import annotations

import pytest

from spectra.store import keys, nodes
from tests.api.meshnode import MeshNode
from tests.api.node import is_problem
from tests.support import samples

pytestmark = pytest.mark.engine


def test_a_machine_becomes_a_member(mesh: MeshNode) -> None:
    """Active from then on; what it is told names the rest of the mesh. Once more is no news."""
    machine = mesh.enrolled()
    for _ in range(2):
        answer = mesh.ask("POST", "/v0/mesh/nodes", machine, json=machine.registration())
        assert answer.status_code == 201, answer.text
        body = answer.json()
        assert (body["node"]["name"], body["node"]["standing"]) == (machine.name, "active")
        assert body["node"]["capabilities"]["cores"] == 4
        assert body["fabric"]["api"].startswith("https://127.0.0.1:")
        assert "BEGIN CERTIFICATE" in body["roots"]
    key = keys.find(mesh.node.services.database, machine.signing.public.keyid)
    assert key is not None
    assert (key.contributor, key.status) == (f"node-{machine.name}", "active")


def test_nobody_asks_without_a_certificate(mesh: MeshNode) -> None:
    """Nor with a token of a person: that is for the other listener."""
    for method, path in (("POST", "/v0/mesh/nodes"), ("GET", "/v0/mesh/self"), ("DELETE", "/v0/mesh/self")):
        is_problem(mesh.ask(method, path), 401, "unauthenticated")
        header = {"authorization": f"Bearer {mesh.node.of('admin').token}"}
        is_problem(mesh.ask(method, path, headers=header), 401, "unauthenticated")


@pytest.mark.parametrize("words", [{"contributor": "node-other"}, {"contributor": "local-admin"}, {"role": "admin"}])
def test_an_impostor_is_refused_and_counted(mesh: MeshNode, words: dict[str, str]) -> None:
    """Who registers a key for another node, for a person, or in a role with more rights."""
    machine = mesh.enrolled()
    is_problem(mesh.ask("POST", "/v0/mesh/nodes", machine, json=machine.registration(**words)), 403, "impostor")
    assert mesh.refused("impostor", machine.name).count == 1
    assert nodes.get(mesh.node.services.database, machine.name).standing == "invited"


def test_a_statement_is_used_once(mesh: MeshNode) -> None:
    """Another machine cannot register with what it overheard."""
    machine, other = mesh.joined(), mesh.enrolled()
    said = other.registration()
    is_problem(mesh.ask("POST", "/v0/mesh/nodes", machine, json=said), 403, "impostor")
    said = machine.registration()
    machine.signing = other.signing
    assert mesh.ask("POST", "/v0/mesh/nodes", machine, json=said).status_code == 201


@pytest.mark.parametrize(
    "body", [{}, {"statement": "x"}, {"statement": "x", "capabilities": {}, "transport": "pigeon"}, {"more": 1}]
)
def test_bodies_that_are_none(mesh: MeshNode, body: dict[str, object]) -> None:
    """The wrong field is named."""
    assert mesh.ask("POST", "/v0/mesh/nodes", mesh.enrolled(), json=body).status_code == 400


def test_a_machine_learns_what_was_decided(mesh: MeshNode) -> None:
    """Standing and why, at the next question."""
    machine = mesh.joined()
    with mesh.client(machine) as client:
        assert client.get("/v0/mesh/self").json()["node"]["standing"] == "active"
        mesh.parts.admin.quarantine(machine.name, "odd traffic", mesh.act)
        node = client.get("/v0/mesh/self").json()["node"]
        assert (node["standing"], node["reason"]) == ("quarantined", "odd traffic")
        mesh.parts.admin.revoke(machine.name, "stolen", mesh.act)
        is_problem(client.get("/v0/mesh/self"), 403, "revoked")


def test_who_leaves_is_gone(mesh: MeshNode) -> None:
    """And learns so at its next question."""
    machine = mesh.joined()
    assert mesh.ask("DELETE", "/v0/mesh/self", machine).status_code == 204
    is_problem(mesh.ask("GET", "/v0/mesh/self", machine), 403, "revoked")
    assert nodes.get(mesh.node.services.database, machine.name).presence == "left"


def test_a_member_submits_here(mesh: MeshNode) -> None:
    """Signed with the key that it registered; a revoked machine's envelope is refused."""
    machine, ip = mesh.joined(), samples.address()

    def sealed() -> bytes:
        return samples.sealed(machine.signing, f"node-{machine.name}", samples.scan_of(ip, 80))

    assert mesh.ask("POST", "/v0/mesh/ingest", machine, content=sealed()).status_code == 200
    assert len(mesh.node.found(f"ip:{ip}")) == 1
    mesh.parts.admin.revoke(machine.name, "stolen", mesh.act)
    is_problem(mesh.ask("POST", "/v0/mesh/ingest", machine, content=sealed()), 401, "key_revoked")


def test_it_says_that_it_lives(mesh: MeshNode) -> None:
    """To anybody who trusts it."""
    assert mesh.ask("GET", "/v0/health").json() == {"status": "ok"}

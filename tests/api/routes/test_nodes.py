"""The machines of the mesh, as people see and govern them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from spectra.flow.authority import Certificates, Terms
from spectra.flow.members import Members, Places
from spectra.flow.meshadmin import MeshAdmin
from spectra.identity import jointokens
from spectra.identity.ca import Authority
from spectra.identity.keys import SigningKey
from spectra.identity.x509 import fingerprint, pem
from spectra.model.nodes import Capabilities, CertificateRecord, Load, NodeRecord
from spectra.store import authorities, nodes, presence, refusals
from spectra.store.accounts import Act
from spectra.store.presence import Beat, Seen
from tests.api.node import Node, is_problem

pytestmark = pytest.mark.engine

HOST = "https://mesh.example:8766"


@pytest.fixture
def meshed(node: Node, tmp_path: Path) -> Iterator[Node]:
    """A node that holds a mesh, with a CA of its own."""
    database, clock = node.services.database, node.services.clock
    authority = Authority.create(tmp_path / "ca", "mesh-test", clock())
    signs = fingerprint(authority.intermediate)
    root = authorities.Root(fingerprint(authority.root), "mesh-test", pem(authority.root), signs)
    authorities.add(database, root, Act("test", clock()))
    members = Members(database, "mesh-test", Places(HOST, HOST, ("mesh.example",)), clock=clock)
    terms = Terms(timedelta(days=1), timedelta(days=7))
    certificates = Certificates(authority, database, members, terms=terms, clock=clock)
    admin = MeshAdmin(certificates, members, database, own="hub", on_roots=lambda: None)
    with node.variant(mesh=admin) as other:
        yield other


def fresh(name: str) -> str:
    """A name that no other test has."""
    return f"{name}-{secrets.token_hex(4)}"


def invite(node: Node, **fields: Any) -> httpx.Response:
    """Ask for a join token."""
    return node.ask("POST", "/v0/nodes/tokens", json=fields)


def decide(node: Node, name: str, verb: str, **fields: Any) -> httpx.Response:
    """Decide about a node."""
    return node.ask("POST", f"/v0/nodes/{name}/{verb}", json=fields or None)


def joined(node: Node, name: str) -> NodeRecord:
    """A machine that was invited and came."""
    database, now = node.services.database, datetime.now(UTC)
    made = invite(node, name=name).json()
    certificate = CertificateRecord(str(secrets.randbits(63)), f"spki-{name}", now, now + timedelta(days=1))
    uri = f"spiffe://mesh-test/node/{name}"
    nodes.enrol(database, token=made["id"], name=name, uri=uri, certificate=certificate, now=now)
    key = SigningKey.generate().public
    return nodes.join(
        database,
        name,
        keyid=key.keyid,
        public_key=key.raw,
        capabilities=Capabilities(4, 1900, "aarch64", "linux", "0.5.0"),
        transport="mqtt",
        nonce=secrets.token_hex(16),
        now=now,
    )


def test_a_machine_is_invited(meshed: Node) -> None:
    """The token is in the answer, pins the CA and is kept nowhere; the invitation is on record."""
    name = fresh("attic")
    response = invite(meshed, name=name, role="full", ttl_s=900)
    assert response.status_code == 201
    made = response.json()
    said = jointokens.peek(made["token"])
    assert (said.name, said.role, said.fingerprint, said.id) == (name, "full", made["ca_fingerprint"], made["id"])
    assert (made["ca_url"], made["reusable"]) == (HOST, False)
    listed = meshed.get("/v0/nodes/tokens").json()["tokens"]
    (token,) = [token for token in listed if token["id"] == made["id"]]
    assert (token["name"], token["created_by"]) == (name, meshed.of("admin").name)
    assert made["token"] not in meshed.get("/v0/nodes/tokens").text
    assert meshed.get(f"/v0/nodes/{name}").json()["standing"] == "invited"
    acts = meshed.get("/v0/audit", subject=f"join-token:{made['id']}").json()["acts"]
    assert [act["kind"] for act in acts] == ["join-token.added"]


def test_a_name_is_made_up(meshed: Node) -> None:
    """Where none is asked for; a reusable token has none."""
    assert invite(meshed).json()["name"].startswith("node-")
    assert invite(meshed, reusable=True).json()["name"] == ""


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "Attic"}, "name"),
        ({"name": "a" * 64}, "name"),
        ({"name": "tokens"}, "name"),
        ({"name": "attic", "reusable": True}, "name"),
        ({"role": "coordinator"}, "role"),
        ({"ttl_s": 59}, "ttl_s"),
        ({"ttl_s": 604801}, "ttl_s"),
        ({"why": "x"}, "body"),
    ],
)
def test_what_is_no_invitation(meshed: Node, fields: dict[str, Any], field: str) -> None:
    """By the field that is wrong."""
    assert is_problem(invite(meshed, **fields), 400, "bad_request")["field"] == field


def test_a_token_is_revoked(meshed: Node) -> None:
    """With the invitation; then it is listed among all alone."""
    name = fresh("attic")
    made = invite(meshed, name=name).json()
    assert meshed.ask("DELETE", f"/v0/nodes/tokens/{made['id']}").json()["revoked"]
    is_problem(meshed.get(f"/v0/nodes/{name}"), 404, "unknown_node")
    for every, there in (("false", False), ("true", True)):
        listed = meshed.get("/v0/nodes/tokens", all=every).json()["tokens"]
        assert (made["id"] in [token["id"] for token in listed]) is there
    is_problem(meshed.ask("DELETE", "/v0/nodes/tokens/another"), 404, "unknown_token")
    is_problem(meshed.ask("DELETE", "/v0/nodes/tokens/a%00b"), 400, "bad_request")


def test_the_list_of_nodes(meshed: Node) -> None:
    """By name, in pages, and of one kind where that is asked for."""
    names = sorted(fresh(name) for name in ("attic", "barn", "cellar"))
    for name in names:
        joined(meshed, name)
    database, now = meshed.services.database, datetime.now(UTC)
    presence.heartbeats(database, [Beat(names[0], now, Load(0.5), 0.1)])
    presence.set_presence(database, [Seen(names[0], "alive", now)])

    def listed(**params: Any) -> list[str]:
        found: list[str] = []
        cursor = ""
        while True:
            page = meshed.get("/v0/nodes", cursor=cursor, limit=2, **params).json()
            found += [node["name"] for node in page["nodes"]]
            if not (cursor := page["next_cursor"]):
                return [name for name in found if name in names]

    assert listed() == names
    assert listed(presence="alive") == names[:1]
    assert listed(presence="never", standing="active", role="worker") == names[1:]
    assert listed(role="full") == []
    node = meshed.get(f"/v0/nodes/{names[0]}").json()
    assert (node["presence"], node["load"]["cpu"], node["certificate"]["spki"]) == ("alive", 0.5, f"spki-{names[0]}")
    for wrong in ({"presence": "late"}, {"role": "boss"}, {"cursor": "a\x00"}, {"limit": 0}):
        is_problem(meshed.get("/v0/nodes", **wrong), 400, "bad_request")
    is_problem(meshed.get("/v0/nodes/Attic"), 400, "bad_request")


def test_a_node_is_kept_away_and_let_in_again(meshed: Node) -> None:
    """For a reason, and on record by whom."""
    name = fresh("attic")
    joined(meshed, name)
    kept = decide(meshed, name, "quarantine", reason="odd").json()
    assert (kept["standing"], kept["reason"]) == ("quarantined", "odd")
    assert decide(meshed, name, "release").json()["standing"] == "active"
    for reason in ("", " ", "a\nb", "x" * 201):
        is_problem(decide(meshed, name, "quarantine", reason=reason), 400, "bad_request")
    acts = meshed.get("/v0/audit", subject=f"node:{name}").json()["acts"]
    assert [act["kind"] for act in acts][:2] == ["node.released", "node.quarantined"]
    assert acts[0]["detail"]["by"] == meshed.of("admin").name


def test_a_node_is_thrown_out(meshed: Node) -> None:
    """For good: its name stays taken, and nothing is decided about it any more."""
    name = fresh("attic")
    joined(meshed, name)
    assert decide(meshed, name, "revoke", reason="stolen").json()["standing"] == "revoked"
    is_problem(decide(meshed, name, "release"), 409, "node_revoked")
    is_problem(decide(meshed, name, "quarantine", reason="x"), 409, "node_revoked")
    is_problem(invite(meshed, name=name), 409, "node_revoked")
    is_problem(decide(meshed, fresh("nobody"), "revoke", reason="x"), 404, "unknown_node")


def test_nobody_decides_about_whom_nobody_came_as(meshed: Node) -> None:
    """There is nothing to keep away yet; a role is not changed by inviting again."""
    name = fresh("attic")
    invite(meshed, name=name)
    is_problem(decide(meshed, name, "quarantine", reason="x"), 409, "not_joined")
    joined(meshed, name)
    is_problem(invite(meshed, name=name, role="full"), 409, "role_conflict")


def test_what_machines_were_refused(meshed: Node) -> None:
    """Of one kind where that is asked for."""
    kind = fresh("kind")
    refusals.count(meshed.services.database, kind, "192.0.2.7", "token", datetime.now(UTC), times=3)
    (found,) = meshed.get("/v0/nodes/refusals", kind=kind).json()["refusals"]
    assert (found["who"], found["count"], found["detail"]) == ("192.0.2.7", 3, "token")
    assert meshed.get("/v0/nodes/refusals", kind=fresh("kind")).json() == {"refusals": []}
    is_problem(meshed.get("/v0/nodes/refusals", kind="a\x00"), 400, "bad_request")


def test_the_ca_is_rotated(meshed: Node) -> None:
    """A new root signs, both are trusted, and at the end the new one alone."""
    before = meshed.get("/v0/nodes/ca").json()
    assert (before["mesh"], before["kind"], len(before["roots"])) == ("mesh-test", "built-in", 1)
    rotated = meshed.ask("POST", "/v0/nodes/ca/rotate").json()
    assert rotated["fingerprint"] != before["fingerprint"]
    assert {root["fingerprint"] for root in rotated["roots"]} == {before["fingerprint"], rotated["fingerprint"]}
    assert [root["fingerprint"] for root in rotated["roots"] if root["current"]] == [rotated["fingerprint"]]
    retired = meshed.ask("POST", "/v0/nodes/ca/retire").json()
    assert [root["fingerprint"] for root in retired["roots"]] == [rotated["fingerprint"]]


READS = ("/v0/nodes", "/v0/nodes/tokens", "/v0/nodes/refusals", "/v0/nodes/ca")
WRITES: dict[tuple[str, str], dict[str, str] | None] = {
    ("POST", "/v0/nodes/tokens"): {},
    ("DELETE", "/v0/nodes/tokens/x"): None,
    ("POST", "/v0/nodes/attic/quarantine"): {"reason": "x"},
    ("POST", "/v0/nodes/attic/release"): None,
    ("POST", "/v0/nodes/attic/revoke"): {"reason": "x"},
    ("POST", "/v0/nodes/ca/rotate"): None,
    ("POST", "/v0/nodes/ca/retire"): None,
}


@pytest.mark.parametrize("path", READS)
def test_who_may_look(meshed: Node, path: str) -> None:
    """Users and automation; readers and machines that submit have nothing to do with it."""
    for role, status in (("user", 200), ("automation", 200), ("read-only", 403), ("module", 403), ("", 401)):
        assert meshed.get(path, role).status_code == status, role


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_who_may_decide(node: Node, method: str, path: str) -> None:
    """Admins alone; and where there is no mesh, not even they."""
    body = WRITES[method, path]
    with node.variant(mesh=None) as alone:
        for role, status in (("automation", 403), ("contributor", 403), ("", 401)):
            assert alone.ask(method, path, role, json=body).status_code == status, role
        is_problem(alone.ask(method, path, json=body), 409, "mesh_off")


def test_without_a_mesh_there_is_no_ca(node: Node) -> None:
    """What is known of machines can be read all the same."""
    with node.variant(mesh=None) as alone:
        is_problem(alone.get("/v0/nodes/ca"), 409, "mesh_off")
        assert alone.get("/v0/nodes").status_code == 200

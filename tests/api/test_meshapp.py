"""The app of the mesh's listener: its own list of routes, errors in two shapes, and networks that are shut out."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from fastapi.routing import APIRoute

from spectra.api.app import routed_app
from spectra.api.meshapp import MESH_ROUTERS
from spectra.identity import x509
from spectra.identity.names import node_uri
from tests.api.meshnode import MeshNode, mesh_of, now
from tests.api.node import Node, is_problem
from tests.support.tls import authority, node_files

pytestmark = pytest.mark.engine


def test_each_listener_has_its_own_routes(mesh: MeshNode, node: Node) -> None:
    """People's questions are not answered here, nor those of machines there; nor does their document know of these."""
    for path in ("/v0/hosts", "/v0/nodes", "/v0/status", "/metrics", "/openapi.json", "/v0/keys"):
        assert mesh.ask("GET", path).status_code == 404
    for path in ("/1.0/health", "/roots", "/v0/mesh/self"):
        assert node.ask("GET", path).status_code == 404
    shown = set(routed_app().openapi()["paths"])
    own = {r.path for router in MESH_ROUTERS for r in router.routes if isinstance(r, APIRoute)}
    assert shown & own == {"/v0/mesh/ingest", "/v0/ingest"}


def test_errors_are_step_s_or_ours_by_path(mesh: MeshNode) -> None:
    """Also those of the framework; each answer has a request id."""
    answer = mesh.ask("GET", "/no/such/path")
    assert answer.json() == {"status": 404, "message": "Not Found.", "reason": "no_such_path"}
    assert answer.headers["x-request-id"]
    is_problem(mesh.ask("GET", "/v0/no/such/path"), 404, "no_such_path")
    answer = mesh.ask("DELETE", "/1.0/sign")
    assert (answer.status_code, answer.json()["reason"]) == (405, "method_not_allowed")
    assert "POST" in answer.headers["allow"]


def test_a_certificate_of_another_mesh_is_counted_by_address(mesh: MeshNode) -> None:
    """TLS refuses it before any route is asked."""
    other = authority(mesh.folder / "other-ca", mesh.ca.authority.mesh)
    files = node_files(other, mesh.folder / "stranger", "stranger")
    context = mesh.context()
    context.load_cert_chain(files.cert, files.key)
    with (
        httpx.Client(verify=context, base_url=mesh.url, trust_env=False) as client,
        pytest.raises(httpx.TransportError),
    ):
        client.get("/v0/mesh/self")
    assert mesh.refused("untrusted", "127.0.0.1").detail


def test_a_name_that_is_no_member_is_counted_by_name(mesh: MeshNode) -> None:
    """A certificate that our CA signed for a node that the store does not know."""
    machine = mesh.machine("ghost")
    ca = mesh.ca.authority
    issued = ca.issue(machine.csr().encode(), subject="ghost", uris=[node_uri(ca.mesh, "ghost")], now=now())
    machine.take({"certChain": [issued.pem]})
    is_problem(mesh.ask("GET", "/v0/mesh/self", machine), 401, "unknown_member")
    assert mesh.refused("unknown_member", "ghost").count == 1


def test_who_gets_too_much_wrong_is_shut_out_for_a_while(node: Node) -> None:
    """Told when to come again, in the shape of the path; nothing that is asked is looked at meanwhile."""
    with mesh_of(node, failures_per_minute=5) as strict:
        machine = strict.joined()
        for _ in range(6):
            assert strict.ask("POST", "/1.0/sign", json={"csr": "x", "ott": "y"}).status_code == 401
        refused = strict.ask("POST", "/1.0/sign", json={"csr": "x", "ott": "y"})
        assert (refused.status_code, refused.json()["reason"]) == (429, "rate_limited")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        is_problem(strict.ask("GET", "/v0/mesh/self", machine), 429, "rate_limited")


def test_the_certificate_of_the_listener_is_renewed_while_it_runs(node: Node) -> None:
    """A rotation of the CA: who knows the old root alone is let in, and sees a certificate that leads there."""
    with mesh_of(node) as mesh:
        machine = mesh.joined()
        context = mesh.context(machine)
        mesh.parts.admin.rotate(mesh.act)
        with httpx.Client(verify=context, base_url=mesh.url, trust_env=False, timeout=30) as client:
            body = client.get("/v0/mesh/self").json()
        assert len(x509.read_pem(body["roots"])) == 2
        renewed = mesh.ask("POST", "/renew", machine)
        machine.take(renewed.json())
        mesh.parts.admin.retire(mesh.act)
        assert mesh.ask("GET", "/v0/mesh/self", machine).status_code == 200
        assert machine.certificate.not_valid_after_utc - now() > timedelta(hours=23)

"""VEX documents over the API."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from spectra.flow import audit
from spectra.model.tiers import Policy
from tests.api.node import Node, is_problem
from tests.api.routes.weaknesses import Flawed, flawed

pytestmark = pytest.mark.engine


@pytest.fixture
def weak(node: Node) -> Flawed:
    """A host with a product of its own at two ports that has two weaknesses."""
    return flawed(node)


def post(node: Node, document: Any, role: str = "admin") -> httpx.Response:
    """Read a document."""
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return node.ask("POST", "/v0/vex", role, content=content)


def openvex(ident: str, *statements: dict[str, Any], version: int = 1) -> dict[str, Any]:
    """A document of somebody else."""
    return {"@context": "https://openvex.dev/ns/v0.2.0", "@id": ident, "author": "Acme", "version": version,
            "timestamp": "2026-03-01T00:00:00Z", "statements": statements}  # fmt: skip


def about(cve: str, *products: str, status: str = "fixed") -> dict[str, Any]:
    """A statement."""
    return {"vulnerability": {"name": cve}, "products": [{"@id": one} for one in products], "status": status}


@pytest.mark.parametrize(
    ("kind", "media"), [("openvex", "application/json"), ("cyclonedx", "application/vnd.cyclonedx+json")]
)
def test_out_and_in(node: Node, weak: Flawed, kind: str, media: str) -> None:
    """What was decided goes out, and comes in again after it was taken back."""
    node.ask("PUT", f"/v0/findings/{weak.ids[0]}/triage", json={"status": "accepted", "note": "ours", "until": "30d"})
    found = node.get("/v0/vex", format=kind, q=f"net:{weak.ip}", decided="true")
    assert found.status_code == 200, found.text
    assert found.headers["content-type"].startswith(media)
    said = found.json()["statements" if kind == "openvex" else "vulnerabilities"]
    assert len(said) == 1
    whole = node.get("/v0/vex", format=kind, ip=weak.ip).json()
    assert len(whole["statements" if kind == "openvex" else "vulnerabilities"]) > 1
    node.ask("DELETE", f"/v0/findings/{weak.ids[0]}/triage")
    report = post(node, found.content)
    assert report.status_code == 200, report.text
    assert (report.json()["decided"], report.json()["problems_total"]) == (1, 0)
    shown = node.get(f"/v0/findings/{weak.ids[0]}").json()["triage"]
    assert (shown["status"], shown["note"], shown["origin"]) == ("accepted", "ours", report.json()["id"])
    assert audit.verify(node.services.database, node.services.blobs).ok


def test_a_vendor(node: Node, weak: Flawed) -> None:
    """What is good counts, the rest is told; an older version is refused."""
    ident = f"https://example.org/vex/{weak.ip}"
    first = about(weak.cves[0], f"{weak.ip}:80", "203.0.113.99")
    body = post(node, openvex(ident, first, about(weak.cves[1], weak.ip, status="x"), version=2)).json()
    assert (body["statements"], body["decided"], body["unmatched"][0]["product"]) == (1, 1, "203.0.113.99")
    assert body["problems"][0]["field"] == "statements[1].status"
    listed = node.get("/v0/triage", origin=ident).json()["decisions"]
    assert [(one["ip"], one["port"], one["by"]) for one in listed] == [(weak.ip, 80, node.of("admin").name)]
    is_problem(post(node, openvex(ident, version=1)), 409, "vex_older")
    assert post(node, openvex(ident, version=3)).json()["removed"] == 1
    assert node.get("/v0/triage", origin=ident).json()["decisions"] == []
    (act, *_) = node.get("/v0/audit", kind="vex", limit=1).json()["acts"]
    assert (act["kind"], act["detail"]["document"], act["detail"]["version"]) == ("vex.imported", ident, 3)


@pytest.mark.parametrize(
    ("document", "status", "reason"),
    [
        (b"", 400, "vex"),
        (b"<bom/>", 400, "vex"),
        ({"bomFormat": "CycloneDX", "components": []}, 400, "vex"),
        (b"[" * 100_000, 400, "vex"),
        (b" " * (16 * 1024 * 1024 + 1), 413, "too_large"),
    ],
)
def test_what_is_no_document(node: Node, document: Any, status: int, reason: str) -> None:
    """Is answered with what is wrong."""
    is_problem(post(node, document), status, reason)


@pytest.mark.parametrize(
    ("params", "status", "reason"),
    [
        ({"format": "csaf"}, 400, "bad_request"),
        ({"q": "colour:"}, 400, "query"),
        ({"colour": "red"}, 400, "bad_request"),
        ({"ip": "203.0.113.99"}, 404, "not_found"),
    ],
)
def test_slips_of_an_export(node: Node, params: dict[str, Any], status: int, reason: str) -> None:
    """Are named; nothing is no document."""
    is_problem(node.get("/v0/vex", **params), status, reason)


def test_who_may(node: Node, weak: Flawed) -> None:
    """Who may read findings exports, who may write them imports; both belong to Pro."""
    assert node.get("/v0/vex", "read-only", ip=weak.ip).status_code == 200
    is_problem(post(node, b"{}", "read-only"), 403, "forbidden")
    is_problem(node.get("/v0/vex", "module"), 403, "forbidden")
    with node.variant(tiers=Policy("earned")) as other:
        is_problem(other.get("/v0/vex", "read-only"), 402, "pro_required")
        is_problem(post(other, b"{}", "user"), 402, "pro_required")

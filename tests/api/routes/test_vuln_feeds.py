"""The routes of feeds of weaknesses, on a node with all its engines."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import pytest

from tests.api.node import Node, is_problem
from tests.flow.vulndesk import kev, nvd
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


@pytest.fixture
def name() -> str:
    """A feed of the test's own: the node is shared."""
    return f"f-{secrets.token_hex(4)}"


def put(node: Node, name: str, content: bytes, role: str = "admin", **params: Any) -> Any:
    """The answer to a file."""
    headers = {"content-type": "application/octet-stream"}
    return node.ask("PUT", f"/v0/vuln-feeds/{name}", role, content=content, headers=headers, params=params)


def ended(node: Node, workflow_id: str) -> dict[str, Any]:
    """A workflow at its end."""

    def state() -> dict[str, Any] | None:
        found = node.get(f"/v0/workflows/{workflow_id}").json()
        return found if found["status"] in ("done", "failed") else None

    record = eventually(state)
    assert record is not None
    return record


def feed(node: Node, name: str) -> dict[str, Any]:
    """One feed of the page."""
    return next(f for f in node.get("/v0/vuln-feeds").json()["feeds"] if f["name"] == name)


def test_a_file_from_end_to_end(node: Node, name: str, tmp_path: Path) -> None:
    """Accepted, followed, told of, unchanged the second time, and taken back."""
    content = nvd(tmp_path / "feed", *range(7001, 7008)).read_bytes()
    answer = put(node, name, content)
    assert answer.status_code == 202, answer.text
    begun = answer.json()
    assert (begun["name"], begun["outcome"]) == (name, "started")
    record = ended(node, begun["workflow_id"])
    assert (record["status"], record["done"], record["total"]) == ("done", 7, 7)
    assert begun["workflow_id"] in {w["workflow_id"] for w in node.get("/v0/workflows").json()["workflows"]}
    told = feed(node, name)
    assert (told["kind"], told["records"], told["source"], told["unread"]) == ("nvd", 7, "upload", {})
    totals = node.get("/v0/vuln-feeds").json()["totals"]
    assert totals["cves"] >= totals["configured"] >= 7
    again = put(node, name, content)
    assert (again.status_code, again.json()) == (202, {"name": name, "outcome": "unchanged"})
    removed = node.ask("DELETE", f"/v0/vuln-feeds/{name}")
    assert removed.status_code == 202
    if workflow_id := removed.json().get("workflow_id"):
        ended(node, workflow_id)
    is_problem(node.ask("DELETE", f"/v0/vuln-feeds/{name}"), 404, "not_found")


def test_what_is_no_feed(node: Node, name: str, tmp_path: Path) -> None:
    """Answered at once, and nothing is left of it."""
    is_problem(put(node, name, b"<html>not found</html>"), 422, "feed_corrupt")
    is_problem(put(node, name, b"some text"), 422, "feed_unknown")
    is_problem(put(node, name, b""), 422, "feed_corrupt")
    ended(node, put(node, name, nvd(tmp_path / "feed", 7001).read_bytes()).json()["workflow_id"])
    is_problem(put(node, name, kev(tmp_path / "kev", 1).read_bytes()), 409, "feed_other_kind")
    assert "of kind kev" in feed(node, name)["error"]


def test_a_url(node: Node, name: str) -> None:
    """Where this machine alone can go nothing is fetched from, and the reason is with the workflow and the feed."""
    path = f"/v0/vuln-feeds/{name}"
    headers = {"content-type": "application/json"}
    begun = node.ask("PUT", path, content=json.dumps({"url": "http://127.0.0.1:1/x?key=secret"}), headers=headers)
    assert begun.status_code == 202
    record = ended(node, begun.json()["workflow_id"])
    assert (record["status"], "127.0.0.1" in record["error"]) == ("failed", True)
    assert feed(node, name)["source"] == "http://127.0.0.1:1/x?key=..."
    assert node.ask("POST", f"{path}/update").status_code == 202
    is_problem(node.ask("PUT", path, content=b'{"uri": 1}', headers=headers), 400, "bad_request")
    is_problem(node.ask("PUT", path, content=b'{"url": "file:///etc/passwd"}', headers=headers), 400, "bad_request")


@pytest.mark.parametrize(("method", "verb"), [("PUT", ""), ("POST", "/update"), ("DELETE", "")])
def test_who_may(node: Node, name: str, method: str, verb: str) -> None:
    """Only who may write feeds changes them; a name is checked before anything."""
    path = f"/v0/vuln-feeds/{name}{verb}"
    assert node.ask(method, path, "", content=b"x").status_code == 401
    assert node.ask(method, path, "contributor", content=b"x").status_code == 403
    assert node.ask(method, f"/v0/vuln-feeds/UPPER{verb}", content=b"x").status_code == 400


def test_who_may_read(node: Node) -> None:
    """As feeds of places."""
    assert node.ask("GET", "/v0/vuln-feeds", "").status_code == 401
    allowed = [role for role in ("admin", "contributor", "read-only") if node.get("/v0/feeds", role).status_code == 200]
    assert allowed == [
        r for r in ("admin", "contributor", "read-only") if node.get("/v0/vuln-feeds", r).status_code == 200
    ]

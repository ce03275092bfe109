"""The public form, the public list, and the decisions between them."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.api.node import Node, is_problem
from tests.support import samples

pytestmark = pytest.mark.engine

ENTRIES = "/v0/do-not-scan/entries"
REQUESTS = "/v0/do-not-scan/requests"


def network() -> str:
    """A /24 of the test's own."""
    return f"100.{64 + secrets.randbelow(64)}.{secrets.randbelow(256)}.0/24"


def ask(node: Node, **fields: Any) -> httpx.Response:
    """A stranger's request, without a token."""
    form = {"network": "192.0.2.0/24", "contact": "noc@example.org", "reason": "ours"} | fields
    return node.ask("POST", "/v0/do-not-scan", "", json=form)


def decide(node: Node, request_id: str, verb: str, **fields: Any) -> httpx.Response:
    """An admin's decision."""
    return node.ask("POST", f"{REQUESTS}/{request_id}/{verb}", json=fields)


def listed(node: Node) -> list[str]:
    """The public list, as a scanner asks for it."""
    response = node.ask("GET", "/v0/do-not-scan", "", headers={"accept": "text/plain"})
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    return response.text.splitlines()


def test_from_the_form_to_the_list(node: Node) -> None:
    """Anybody asks, an admin approves, every scanner is told; who asked stays with the admins."""
    wanted = network()
    asked = ask(node, network=wanted)
    assert asked.status_code == 202
    request_id = asked.json()["request_id"]
    assert asked.json() == {"request_id": request_id, "network": wanted, "status": "pending"}
    assert wanted not in listed(node)
    (request,) = [one for one in node.get(REQUESTS).json()["requests"] if one["request_id"] == request_id]
    assert (request["contact"], request["source"]) == ("noc@example.org", "127.0.0.0/24")
    assert decide(node, request_id, "approve", note="ticket 7").json()["status"] == "approved"
    assert wanted in listed(node)
    assert wanted in node.get("/v0/do-not-scan", "").json()["networks"]
    assert "noc@example.org" not in node.ask("GET", "/v0/do-not-scan", "").text
    kinds = [act["kind"] for act in node.get("/v0/audit", kind="do_not_scan", limit=2).json()["acts"]]
    assert kinds == ["do_not_scan.added", "do_not_scan.approved"]
    is_problem(decide(node, request_id, "reject"), 409, "request_decided")


def test_a_rejected_request_changes_nothing(node: Node) -> None:
    """But the list of requests."""
    wanted = network()
    request_id = ask(node, network=wanted).json()["request_id"]
    assert decide(node, request_id, "reject").json()["decided_by"] == node.of("admin").name
    assert wanted not in listed(node)
    rejected = node.get(REQUESTS, status="rejected").json()["requests"]
    assert request_id in [one["request_id"] for one in rejected]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"network": "example.org"}, "network"),
        ({"network": "192.0.2.7/24"}, "network"),
        ({"network": "0.0.0.0/0"}, "network"),
        ({"network": "2001::/15"}, "network"),
        ({"network": "1" * 65}, "network"),
        ({"contact": ""}, "contact"),
        ({"contact": "a\nb@example.org"}, "contact"),
        ({"contact": "x" * 201}, "contact"),
        ({"reason": ""}, "reason"),
        ({"reason": "\x1b[2Jours"}, "reason"),
        ({"reason": "x" * 1001}, "reason"),
        ({"url": "http://example.org"}, "body"),
    ],
)
def test_the_form_is_strict(node: Node, fields: dict[str, Any], field: str) -> None:
    """What does not fit is refused by its field, and nothing is kept."""
    before = node.get(REQUESTS).json()["requests"]
    assert is_problem(ask(node, **fields), 400, "bad_request")["field"] == field
    assert node.get(REQUESTS).json()["requests"] == before


def test_the_form_is_small(node: Node) -> None:
    """8 KiB are more than enough."""
    response = node.ask("POST", "/v0/do-not-scan", "", content=b'{"network": "' + b" " * 9000)
    is_problem(response, 413, "too_large")


@pytest.mark.parametrize(
    ("accept", "plain"),
    [
        ("text/plain", True),
        ("text/plain;q=0.9, */*", True),
        ("*/*", False),
        ("application/json, text/plain", False),
        ("", False),
        ("nonsense", False),
    ],
)
def test_the_list_comes_as_it_is_asked_for(node: Node, accept: str, plain: bool) -> None:
    """Text for scanners, JSON for everything else."""
    response = node.ask("GET", "/v0/do-not-scan", "", headers={"accept": accept})
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain" if plain else "application/json")


def test_entries_are_added_and_removed(node: Node) -> None:
    """By an admin, at once, once; a page at a time."""
    wanted = [network(), network()]
    made = [node.ask("POST", ENTRIES, json={"network": net, "reason": "ours"}) for net in wanted]
    assert [response.status_code for response in made] == [201, 201]
    assert node.ask("POST", ENTRIES, json={"network": wanted[0]}).json() == made[0].json()
    assert set(wanted) <= set(listed(node))
    found: list[str] = []
    cursor = ""
    while True:
        page = node.get(ENTRIES, limit=1, cursor=cursor).json()
        found += [entry["network"] for entry in page["entries"]]
        cursor = page.get("next_cursor", "")
        if not cursor:
            break
    assert set(wanted) <= set(found)
    assert len(found) == len(set(found))
    for response in made:
        assert node.ask("DELETE", f"{ENTRIES}/{response.json()['entry_id']}").status_code == 200
    assert not set(wanted) & set(listed(node))
    is_problem(node.ask("DELETE", f"{ENTRIES}/{made[0].json()['entry_id']}"), 404, "not_found")


def test_requests_come_in_pages(node: Node) -> None:
    """Newest first, each once; a cursor made elsewhere is refused."""
    wanted = [ask(node, network=network()).json()["request_id"] for _ in range(3)]
    first = node.get(REQUESTS, limit=2).json()
    rest = node.get(REQUESTS, limit=1000, cursor=first["next_cursor"]).json()
    found = [one["request_id"] for one in (*first["requests"], *rest["requests"])]
    assert found[:3] == wanted[::-1]
    assert len(found) == len(set(found))
    for cursor in ("x", "2026-01-01T00:00:00+00:00_x", "_", "é"):
        assert is_problem(node.get(REQUESTS, cursor=cursor), 400, "bad_request")["field"] == "cursor"
    assert is_problem(node.get(ENTRIES, cursor="x"), 400, "bad_request")["field"] == "cursor"


def test_a_plan_never_lists_what_is_on_the_list(node: Node) -> None:
    """From the moment of the approval, and again after it was taken off."""
    ip = samples.address()
    node.submitted(samples.scan_of(ip, 22))
    later = node.services.clock() + timedelta(days=2)
    with node.variant(clock=lambda: later) as other:

        def planned() -> list[str]:
            response = other.ask("POST", "/v0/plan", json={"net": ip})
            assert response.status_code == 201, response.text
            return [target["ip"] for target in response.json()["targets"]]

        assert planned() == [ip]
        entry = other.ask("POST", ENTRIES, json={"network": ip}).json()
        assert planned() == []
        other.ask("DELETE", f"{ENTRIES}/{entry['entry_id']}")
        assert planned() == [ip]
        block = other.ask("POST", "/v0/blocks", json={"network": ip, "reason": "x", "targets": True}).json()
        assert planned() == []
        other.ask("DELETE", f"/v0/blocks/{block['block_id']}")


def test_the_list_says_as_of_when(node: Node) -> None:
    """So that a scanner can tell how old its copy is."""
    as_of = datetime.fromisoformat(node.get("/v0/do-not-scan", "").json()["as_of"])
    assert abs(datetime.now(UTC) - as_of) < timedelta(minutes=1)

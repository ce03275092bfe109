"""Files of attempts: found by what they belong to, and given so that no browser runs them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.node import Node, is_problem
from tests.api.routes.errands import brought, kept, toiled
from tests.support import samples

pytestmark = pytest.mark.engine

NMAP = b"<nmaprun>\xff</nmaprun>"


def ids(node: Node, **params: object) -> list[int]:
    """The files that are found, all pages of them."""
    found: list[int] = []
    cursor = ""
    while True:
        page = node.get("/v0/artefacts", "user", cursor=cursor, limit=2, **params).json()
        found += [one["id"] for one in page["artefacts"]]
        if not (cursor := page.get("next_cursor", "")):
            return found


def test_files_are_found_by_what_they_belong_to(node: Node) -> None:
    """Job, target, scan, observation and the hosts that one saw; newest first, in pages."""
    job, (first, second) = toiled(node, 2, scan_id="weekly-18")
    host = samples.address()
    observation = node.submitted(samples.scan_of(host, 80))["observation_id"]
    log = kept(node, first, b"began\nended\n")
    raw = kept(node, first, NMAP, "nmap.xml", kind="raw", media_type="application/xml", observation=observation)
    brought(node, first, observation)
    other = kept(node, second, b"nothing\n")
    assert ids(node, job=job.job) == [other, raw, log]
    assert ids(node, target=first.target) == [raw, log]
    assert ids(node, scan="weekly-18", target=second.target) == [other]
    assert ids(node, observation=observation) == [raw, log]
    assert ids(node, host=host, job=job.job) == [raw, log]
    seen = samples.T0.isoformat()
    assert ids(node, host=host, since=seen, until=seen) == [raw, log]
    assert (
        ids(node, host=host, since="2026-03-01T12:00:01Z") == ids(node, host=host, until="2026-03-01T11:59:59Z") == []
    )
    assert ids(node, host="203.0.113.254") == []
    one = node.get(f"/v0/artefacts/{raw}", "user").json()
    assert (one["kind"], one["name"], one["size"], one["node"]) == ("raw", "nmap.xml", len(NMAP), first.node)
    assert (one["job"], one["target"], one["lease"]) == (job.job, first.target, first.lease)
    assert (one["scan_id"], one["observation_id"]) == ("weekly-18", observation)


def test_a_file_is_given_as_it_was_sent(node: Node) -> None:
    """To be saved under its name: no browser shows it, whatever it is."""
    _, (lease,) = toiled(node)
    number = kept(node, lease, NMAP, "nmap.xml", kind="raw", media_type="application/xml")
    response = node.get(f"/v0/artefacts/{number}/content", "user")
    assert response.content == NMAP
    assert response.headers["content-type"] == "application/xml"
    assert response.headers["content-disposition"] == 'attachment; filename="nmap.xml"'
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert response.headers["cache-control"] == "no-store"


def test_the_output_of_a_tool_is_the_observations_own(node: Node) -> None:
    """It is kept once, whoever asks for it by whichever name."""
    _, (lease,) = toiled(node)
    output = samples.scan_of(samples.address(), 80)
    observation = node.submitted(output)["observation_id"]
    brought(node, lease, observation)
    claim: dict[str, Any] = {"kind": "raw", "media_type": "application/xml", "stored": False}
    number = kept(node, lease, output, "nmap.xml", observation=observation, **claim)
    response = node.get(f"/v0/artefacts/{number}/content", "user")
    assert response.content == output == node.get(f"/v0/observations/{observation}/raw").content
    assert response.headers["content-type"] == "application/xml"
    assert response.headers["content-disposition"] == 'attachment; filename="nmap.xml"'
    assert response.headers["content-length"] == str(len(output))


@pytest.mark.parametrize("claimed", ["text/html", "image/svg+xml", "application/xhtml+xml", "text/javascript"])
def test_what_a_browser_would_run_is_bytes(node: Node, claimed: str) -> None:
    """A machine says what its file is, and may say anything."""
    _, (lease,) = toiled(node)
    number = kept(node, lease, b"<script>alert(1)</script>", "page.html", media_type=claimed)
    assert node.get(f"/v0/artefacts/{number}/content").headers["content-type"] == "application/octet-stream"
    assert node.get(f"/v0/artefacts/{number}").json()["media_type"] == claimed


def test_a_damaged_file_is_not_given(node: Node) -> None:
    """Its bytes are held against their hash; one that is missing is told as such."""
    _, (lease,) = toiled(node)
    number = kept(node, lease, b"will be gone")
    sha256 = node.get(f"/v0/artefacts/{number}").json()["sha256"]
    node.services.blobs.discard(bytes.fromhex(sha256))
    is_problem(node.get(f"/v0/artefacts/{number}/content"), 404, "blob_missing")


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"job": "job-x"}, "job"),
        ({"target": -1}, "target"),
        ({"host": "attic"}, "ip"),
        ({"host": "192.0.2.1", "since": "soon"}, "since"),
        ({"host": "192.0.2.1", "until": "never"}, "until"),
        ({"scan": "a" * 201}, "scan"),
        ({"observation": "ab"}, "observation"),
        ({"cursor": "x"}, "cursor"),
    ],
)
def test_what_cannot_be_asked(node: Node, params: dict[str, object], field: str) -> None:
    """By the parameter that is wrong."""
    assert is_problem(node.get("/v0/artefacts", **params), 400, "bad_request")["field"] == field


def test_a_file_that_is_not_there(node: Node) -> None:
    """Neither its record nor its bytes; and only who may read jobs gets either."""
    for path in ("/v0/artefacts/9007199254740992", "/v0/artefacts/9007199254740992/content"):
        is_problem(node.get(path), 404, "unknown_artefact")
        is_problem(node.get(path, "module"), 403, "forbidden")

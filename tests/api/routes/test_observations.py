"""Submissions on record, and their originals."""

from __future__ import annotations

import pytest

from spectra.model.envelope import sha256_hex
from tests.api.node import Node, is_problem
from tests.support import samples

pytestmark = pytest.mark.engine


def test_known_outputs_are_the_callers_own(node: Node) -> None:
    """What makes an import resumable: one contributor is not told of another's submissions."""
    output = samples.scan_of(samples.address(), 80)
    digest, unseen = sha256_hex(output), "0" * 64
    receipt = node.submitted(output)
    asked = {"output_sha256": [digest, unseen]}
    own = node.ask("POST", "/v0/observations/known", "contributor", json=asked)
    assert own.json() == {"known": {digest: receipt["observation_id"]}}
    assert node.ask("POST", "/v0/observations/known", "admin", json=asked).json() == {"known": {}}


def test_what_failed_is_not_known(node: Node) -> None:
    """A file that could not be read may be sent again, to a newer release perhaps."""
    output = b"\x00 unreadable, but on record"
    assert node.submit(node.of("contributor").seal(output)).status_code == 422
    asked = {"output_sha256": [sha256_hex(output)]}
    assert node.ask("POST", "/v0/observations/known", "contributor", json=asked).json() == {"known": {}}


def test_one_submission_with_all_that_was_said(node: Node) -> None:
    """The record of the store, as the API contract has it."""
    output = samples.scan_of(samples.address(), 22)
    receipt = node.submitted(output, scan_type="service", source="night.xml")
    record = node.get(f"/v0/observations/{receipt['observation_id']}").json()
    assert record["output_sha256"] == sha256_hex(output)
    assert record["output_size"] == len(output)
    assert (record["tool"], record["tool_version"]) == ("nmap", "7.93")
    assert record["keyid"] == node.of("contributor").key.public.keyid
    assert (record["scan_type"], record["source"], record["privacy"]) == ("service", "night.xml", "full")


@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd"])
def test_the_original_comes_back_byte_for_byte(node: Node, encoding: str) -> None:
    """However it was compressed on the way."""
    output = samples.scan_of(samples.address(), 80)
    receipt = node.submitted(output, encoding=encoding)
    response = node.get(f"/v0/observations/{receipt['observation_id']}/raw")
    assert response.content == output
    assert response.headers["content-type"] == "application/octet-stream"


def test_a_damaged_original_is_reported_and_not_served(node: Node) -> None:
    """500 with a reason of its own; and 404 where it is gone."""
    receipt = node.submitted(samples.scan_of(samples.address(), 80))
    path = f"/v0/observations/{receipt['observation_id']}"
    blob = node.get(path).json()["blob_sha256"]
    folder = node.services.blobs._folder  # the file itself, as a bad disk would
    assert folder is not None
    file = folder / "sha256" / blob[:2] / blob[2:4] / blob
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    is_problem(node.get(f"{path}/raw"), 500, "blob_corrupt")
    file.unlink()
    is_problem(node.get(f"{path}/raw"), 404, "blob_missing")
    file.write_bytes(whole)
    assert node.get(f"{path}/raw").status_code == 200


@pytest.mark.parametrize("name", ["0" * 64, "x", "..%2f..", "' OR 1=1 --", "0" * 5000])
@pytest.mark.parametrize("suffix", ["", "/raw"])
def test_an_unknown_submission(node: Node, name: str, suffix: str) -> None:
    """404, whatever stands for its id."""
    response = node.get(f"/v0/observations/{name}{suffix}")
    assert is_problem(response, 404, response.json()["reason"])


def test_pages_hold_every_submission_once(node: Node) -> None:
    """Newest first; following cursors finds all, also those that came while reading (and those only once)."""
    sent = [node.submitted(samples.scan_of(samples.address(), 80))["observation_id"] for _ in range(5)]
    seen: list[str] = []
    cursor = ""
    for page in range(1000):
        body = node.get("/v0/observations", limit=2, cursor=cursor).json()
        assert 1 <= len(body["observations"]) <= 2
        seen += [o["observation_id"] for o in body["observations"]]
        if page == 0:
            node.submitted(samples.scan_of(samples.address(), 80))
        cursor = body.get("next_cursor", "")
        if not cursor:
            break
    assert len(seen) == len(set(seen))
    assert seen[:5] == sent[::-1]


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "9" * 19, "\u0663", "1;"])
def test_a_foreign_cursor_is_refused(node: Node, cursor: str) -> None:
    """400 naming the parameter."""
    assert is_problem(node.get("/v0/observations", cursor=cursor), 400, "bad_request")["field"] == "cursor"


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "many", ""])
def test_limits_are_bounded(node: Node, limit: str) -> None:
    """1 to 1000."""
    assert is_problem(node.get("/v0/observations", limit=limit), 400, "bad_request")["field"] == "limit"

"""The chain's head, and the stream of its walk."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from spectra.settings import BlobSettings
from spectra.store.blobs import BlobStore
from tests.api.node import Node, is_problem
from tests.support import samples
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


def walk(node: Node, **params: str) -> list[dict[str, Any]]:
    """The lines of a walk."""
    with (
        node.client("admin") as client,
        client.stream("POST", "/v0/provenance/verify", params=params) as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/x-ndjson"
        return [json.loads(line) for line in response.iter_lines() if line.strip()]


def test_the_head_moves_with_every_submission(node: Node) -> None:
    """Length and hash; two entries for what was accepted and settled."""
    node.of("contributor")  # whose registration is an entry too
    before = node.get("/v0/provenance").json()
    node.submitted(samples.scan_of(samples.address(), 80))
    after = node.get("/v0/provenance").json()
    assert node.recorded(before["entries"]) == ["observation.accepted", "observation.settled"]
    assert after["head"] != before["head"]
    assert len(bytes.fromhex(after["head"])) == 32


@pytest.mark.parametrize("deep", ["false", "true"])
def test_a_walk_tells_of_its_progress_and_ends_in_a_report(node: Node, deep: str) -> None:
    """JSON lines: progress that never goes back, then one report."""
    node.submitted(samples.scan_of(samples.address(), 80))
    *progress, last = walk(node, deep=deep)
    done = [line["progress"]["done"] for line in progress]
    assert done == sorted(done)
    report = last["report"]
    assert report["ok"], report
    assert report["entries"] >= 2
    assert report.get("deep", False) is (deep == "true")


def test_an_edited_row_is_named(node: Node) -> None:
    """The report names the entry and the observation; put back, the chain holds again."""
    receipt = node.submitted(samples.scan_of(samples.address(), 80), scan_id="the-true-one")
    observation = bytes.fromhex(receipt["observation_id"])
    statement = b"UPDATE observation SET scan_id = %s WHERE observation_id = %s"
    with node.services.database.connection() as connection:
        connection.execute(statement, ["another", observation])
    report = walk(node)[-1]["report"]
    with node.services.database.connection() as connection:
        connection.execute(statement, ["the-true-one", observation])
    assert report["ok"] is False
    assert report["broken_observation"] == receipt["observation_id"]
    assert report["broken_seq"] > 0
    assert walk(node)[-1]["report"]["ok"]


def test_a_reader_who_leaves_ends_the_walk(node: Node) -> None:
    """No thread is left behind."""
    with node.client("admin") as client, client.stream("POST", "/v0/provenance/verify") as response:
        next(response.iter_lines())
    eventually(lambda: not [t for t in threading.enumerate() if t.name == "audit"])


def test_a_walk_is_for_who_may_read_the_chain(node: Node) -> None:
    """The refusal is an answer of its own, not a line of the stream."""
    is_problem(node.ask("POST", "/v0/provenance/verify", "read-only"), 403, "forbidden")


def test_deep_is_yes_or_no(node: Node) -> None:
    """400 naming the parameter."""
    body = is_problem(node.ask("POST", "/v0/provenance/verify?deep=perhaps"), 400, "bad_request")
    assert body["field"] == "deep"


def test_a_walk_that_cannot_go_on_says_why(node: Node) -> None:
    """The answer had begun: the reason is its last line, and a missing report is never mistaken for a good one."""
    node.submitted(samples.scan_of(samples.address(), 80))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        away = BlobSettings(
            url="s3://nowhere",
            endpoint=f"http://127.0.0.1:{closed.getsockname()[1]}",
            access_key_id=SecretStr("x"),
            secret_access_key=SecretStr("x"),
        )
        with node.variant(blobs=BlobStore.from_settings(away, Path())) as other:
            assert walk(other)[-1]["error"]["reason"] == "blob_store_away"
    with node.variant(blobs=None) as broken:
        last = walk(broken)[-1]
    assert last["error"]["reason"] == "internal"
    assert "NoneType" not in str(last)


def test_entries_are_read_page_by_page(node: Node) -> None:
    """Newest first by cursor; those after a number; of one kind. A cursor that was not made here is refused."""
    receipt = node.submitted(samples.scan_of(samples.address(), 80))
    first = node.get("/v0/provenance/entries", limit=2).json()
    second = node.get("/v0/provenance/entries", limit=2, cursor=first["next_cursor"]).json()
    numbers = [one["seq"] for one in first["entries"] + second["entries"]]
    assert numbers == list(range(numbers[0], numbers[0] - 4, -1))
    later = node.get("/v0/provenance/entries", after=numbers[-1], limit=2).json()
    assert [one["seq"] for one in later["entries"]] == [numbers[-1] + 2, numbers[-1] + 1]
    about = node.get("/v0/provenance/entries", subject=receipt["observation_id"], kind="observation.accepted").json()
    assert [one["subject"] for one in about["entries"]] == [receipt["observation_id"]]
    assert "next_cursor" not in node.get("/v0/provenance/entries", kind="nothing").json()
    is_problem(node.get("/v0/provenance/entries", cursor="x"), 400, "bad_request")


def test_an_entry_is_proved(node: Node) -> None:
    """Its hash, and its place in the chain; what those with privileges did is told to who may read that."""
    node.of("user")
    newest = node.get("/v0/provenance/entries", kind="key", limit=1).json()["entries"][0]
    path = f"/v0/provenance/entries/{newest['seq']}"
    proof = node.get(path).json()
    assert (proof["hashes"], proof["follows"]) == (True, True)
    assert json.loads(proof["text"])["subject"] == newest["subject"]
    hidden = node.get(path, "user").json()
    assert (hidden["text"], hidden["entry"]["withheld"], hidden["entry"]["hash"]) == ("", True, newest["hash"])
    is_problem(node.get("/v0/provenance/entries/999999999"), 404, "unknown_entry")

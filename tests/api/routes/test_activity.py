"""What happened and what happens, over HTTP: to whom it is told, and how one goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpx
import msgspec
import pytest

from spectra.identity import roles
from spectra.model.activity import TOPICS, Activity, seen_by
from tests.api.node import Node, is_problem
from tests.support import samples
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


def events(response: httpx.Response) -> Iterator[Activity]:
    """The activity that a stream tells."""
    kind = ""
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        kind = value if name == "event" else kind
        if name == "data" and kind == "activity":
            yield msgspec.json.decode(value, type=Activity)


def block(node: Node, network: str) -> None:
    """Something that happens."""
    answer = node.ask("POST", "/v0/blocks", json={"network": network, "reason": "noise"})
    assert answer.status_code == 201, answer.text


def head(node: Node) -> int:
    """The newest cursor."""
    return node.get("/v0/activity", limit=1).json()["head"]


def test_everybody_sees_the_topics_of_their_scopes(node: Node) -> None:
    """And what entries say in full only with the audit trail; one asked for without its scope is refused."""
    block(node, "198.51.100.8/32")
    admin = node.get("/v0/activity", limit=50).json()["activity"]
    assert any(one["kind"] == "block.added" and one["detail"]["reason"] == "noise" for one in admin)
    for role in ("read-only", "user"):
        found = node.get("/v0/activity", role, limit=1000).json()["activity"]
        seen = seen_by(roles.scopes(role))
        assert {one["topic"] for one in found} <= seen < set(TOPICS)
        assert all("detail" not in one for one in found)
        assert node.get("/v0/activity", role, topics="security").status_code == 200
    is_problem(node.get("/v0/activity", "read-only", topics="law"), 403, "forbidden")
    is_problem(node.get("/v0/activity", topics="moon"), 400, "bad_request")
    is_problem(node.get("/v0/activity", since="soon"), 400, "bad_request")
    is_problem(node.get("/v0/activity", "module"), 403, "forbidden")


def test_pages_and_text(node: Node) -> None:
    """A page goes on where the one before ended; text and time narrow it."""
    blocked = samples.address()
    block(node, f"{blocked}/32")
    first = node.get("/v0/activity", limit=1).json()
    second = node.get("/v0/activity", limit=1, before=first["next_cursor"]).json()
    assert second["activity"][0]["cursor"] < first["activity"][0]["cursor"]
    found = node.get("/v0/activity", q=blocked).json()["activity"]
    assert [one["kind"] for one in found] == ["block.added"]
    assert node.get("/v0/activity", q=blocked, kinds="job").json()["activity"] == []
    assert node.get("/v0/activity", since="1h", limit=1).json()["activity"]


def test_a_stream_tells_what_happens_and_goes_on_where_it_left(node: Node) -> None:
    """As it happens, a submission at once; from the id told last, by header or parameter."""
    begin = head(node)
    with node.client("admin") as client, client.stream("GET", "/v0/stream", params={"cursor": begin}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        node.submitted(samples.scan_of(samples.address(), 22))
        told = next(one for one in events(response) if one.kind == "observation.settled")
        assert "1 host" in told.title
    block(node, "198.51.100.10/32")
    for headers, params in (({"last-event-id": str(told.cursor)}, {}), ({}, {"cursor": told.cursor})):
        with (
            node.client("admin") as client,
            client.stream("GET", "/v0/stream", headers=headers, params=params) as response,
        ):
            assert next(events(response)).cursor > told.cursor
    wanted = {"kinds": "block.added", "cursor": begin}
    with node.client("admin") as client, client.stream("GET", "/v0/stream", params=wanted) as response:
        assert next(events(response)).kind == "block.added"


def test_who_leaves_is_forgotten_and_many_are_refused(node: Node) -> None:
    """Each account may listen so many times; a client that hangs up makes room."""
    stream = node.services.stream
    assert stream is not None
    eventually(lambda: stream.listeners == 0)
    held = threading.Event()
    with node.client("user") as client, client.stream("GET", "/v0/stream") as response:
        eventually(lambda: stream.listeners == 1)
        held.set()
        assert response.status_code == 200
    eventually(lambda: stream.listeners == 0)
    assert held.is_set()
    is_problem(node.get("/v0/stream", "user", topics="account"), 403, "forbidden")

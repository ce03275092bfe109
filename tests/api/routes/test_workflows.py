"""Workflows as the API tells of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.node import Node, is_problem
from tests.support import samples
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


def accepted(node: Node, output: bytes) -> dict[str, Any]:
    """The receipt of a submission on the durable path."""
    return node.submit(node.of("contributor").seal(output), "/v0/ingest").json()


def ended(node: Node, workflow_id: str, status: str) -> dict[str, Any]:
    """The workflow, once it has this status."""

    def look() -> dict[str, Any] | None:
        record = node.get(f"/v0/workflows/{workflow_id}").json()
        return record if record["status"] == status else None

    found = eventually(look)
    assert found
    return found


def test_a_workflow_and_its_steps(node: Node) -> None:
    """The source document's names, in order, and the observation it works on."""
    receipt = accepted(node, samples.scan_of(samples.address(), 80))
    record = ended(node, receipt["workflow_id"], "done")
    assert record["name"] == "wf.scan"
    assert record["observation_id"] == receipt["observation_id"]
    assert [step["name"] for step in record["steps"]][:2] == ["normalise", "wf.enrich"]
    assert record["created"] <= record["updated"]


def test_the_newest_come_first_and_by_status(node: Node) -> None:
    """All, or those of one status; at most as many as asked for."""
    good = accepted(node, samples.scan_of(samples.address(), 80))["workflow_id"]
    ended(node, good, "done")
    bad = accepted(node, b"\x00 nothing that anybody writes")["workflow_id"]
    ended(node, bad, "failed")
    newest = node.get("/v0/workflows").json()["workflows"]
    order = [w["workflow_id"] for w in newest]
    assert order.index(bad) < order.index(good)
    assert len(node.get("/v0/workflows", limit=1).json()["workflows"]) == 1
    done = node.get("/v0/workflows", status="done").json()["workflows"]
    assert good in [w["workflow_id"] for w in done]
    assert {w["status"] for w in done} == {"done"}


def test_an_unknown_workflow(node: Node) -> None:
    """404 for an id that could be one, 400 for what could not."""
    is_problem(node.get("/v0/workflows/" + "0" * 64), 404, "not_found")
    for name in ("%00", "a'b", "x" * 201, "%ff"):
        is_problem(node.get(f"/v0/workflows/{name}"), 400, "bad_request")


@pytest.mark.parametrize(("name", "value"), [("status", "odd"), ("limit", "0"), ("limit", "1001")])
def test_parameters_are_checked(node: Node, name: str, value: str) -> None:
    """400 naming the parameter."""
    assert is_problem(node.get("/v0/workflows", **{name: value}), 400, "bad_request")["field"] == name

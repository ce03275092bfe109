"""Whether work is handed out, pausing all of it, and draining machines."""

from __future__ import annotations

import pytest

from spectra.store import workers
from spectra.store.workers import Asked
from tests.api.node import Node, is_problem
from tests.api.routes.errands import machine, made, toiled

pytestmark = pytest.mark.engine


def test_how_it_stands(node: Node) -> None:
    """How many targets there are of each state, what holds them up, and who does them."""
    made(node)
    _, (lease,) = toiled(node)
    workers.asked(node.services.database, [Asked(lease.node, slots=2, free=1)], node.services.clock())
    status = node.get("/v0/work", "user").json()
    assert status["paused"] is False
    assert status["holds"] == ["fabric"]  # this node has none
    assert status["counts"]["waiting"] >= 1
    assert status["counts"]["leased"] >= 1
    (worker,) = [one for one in status["workers"] if one["node"] == lease.node]
    assert (worker["running"], worker["slots"], worker["free"]) == (1, 2, 1)


def test_all_is_paused_and_goes_on(node: Node) -> None:
    """By those who may write jobs, on record with the reason, and seen by everybody."""
    is_problem(node.ask("POST", "/v0/work/pause", "contributor", json={}), 403, "forbidden")
    try:
        told = node.ask("POST", "/v0/work/pause", "automation", json={"reason": "the move"}).json()
        assert (told["paused"], told["paused_by"], told["paused_reason"]) == (
            True,
            node.of("automation").name,
            "the move",
        )
        assert "the move" in made(node)["waits_for"]
    finally:
        after = node.ask("POST", "/v0/work/resume").json()
    assert after["paused"] is False
    kinds = [act["kind"] for act in node.get("/v0/audit", kind="work").json()["acts"]]
    assert kinds[:2] == ["work.resumed", "work.paused"]
    is_problem(node.ask("POST", "/v0/work/pause", json={"reason": "a\nb"}), 400, "bad_request")


def test_a_machine_is_drained(node: Node) -> None:
    """It gets nothing new until that is taken back; both are on record."""
    name = machine(node)
    is_problem(node.ask("POST", f"/v0/nodes/{name}/drain", "contributor"), 403, "forbidden")
    assert node.ask("POST", f"/v0/nodes/{name}/drain", "automation").json()["draining"] is True
    assert not node.ask("POST", f"/v0/nodes/{name}/undrain").json().get("draining")
    kinds = [act["kind"] for act in node.get("/v0/audit", subject=f"worker/{name}").json()["acts"]]
    assert kinds == ["worker.undrained", "worker.drained"]
    for verb in ("drain", "undrain"):
        is_problem(node.ask("POST", f"/v0/nodes/nobody/{verb}"), 404, "unknown_node")


def test_without_work(node: Node) -> None:
    """There is no state of it."""
    with node.variant(work=None) as idle:
        is_problem(idle.get("/v0/work"), 409, "work_off")
        is_problem(idle.ask("POST", "/v0/nodes/attic/drain"), 409, "work_off")

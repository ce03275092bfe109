"""Ways of scanning by name."""

from __future__ import annotations

import pytest

from tests.api.node import Node, is_problem

pytestmark = pytest.mark.engine


def test_presets_are_told(node: Node) -> None:
    """By name, each with all that it says."""
    found = node.get("/v0/presets", "user").json()["presets"]
    names = [preset["name"] for preset in found]
    assert names == sorted(names)
    assert "services" in names
    for preset in found:
        assert node.get(f"/v0/presets/{preset['name']}", "user").json() == preset


def test_a_preset_that_is_not_there(node: Node) -> None:
    """And which one may be meant."""
    assert "services" in is_problem(node.get("/v0/presets/service"), 404, "unknown_preset")["hint"]
    assert "There are " in is_problem(node.get("/v0/presets/zzzzzz"), 404, "unknown_preset")["hint"]
    is_problem(node.get("/v0/presets/A"), 400, "bad_request")
    with node.variant(work=None) as idle:
        is_problem(idle.get("/v0/presets"), 409, "work_off")
